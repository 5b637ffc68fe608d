"""Activation functions as layers."""

from __future__ import annotations

from pellucid import ops
from pellucid.graph import Parameter, Tensor
from pellucid.nn.initializers import constant
from pellucid.nn.layers import Linear
from pellucid.nn.layers.checks import finite, positive
from pellucid.nn.module import Module


class Sigmoid(Module):
    """1 / (1 + e^(-x)): x of any shape -> the same.

    >>> nn.Sigmoid()(pl.input((4, 8))).shape
    (4, 8)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.sigmoid(x)


class Tanh(Module):
    """(e^x - e^(-x)) / (e^x + e^(-x)), the hyperbolic tangent: x of any shape -> the same.

    >>> nn.Tanh()(pl.input((4, 8))).shape
    (4, 8)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.tanh(x)


class ReLU(Module):
    """max(0, x): x of any shape -> the same.

    >>> nn.ReLU()(pl.input((4, 8))).shape
    (4, 8)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(x)


class ReLU6(Module):
    """min(max(0, x), 6), whose derivative at 0 and at 6 is 0: x of any shape -> the same.

    >>> nn.ReLU6()(pl.input((4, 8))).shape
    (4, 8)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.clip(x, 0.0, 6.0, open=True)


class LeakyReLU(Module):
    """x where x > 0, else `negative_slope` * x: x of any shape -> the same.

    >>> nn.LeakyReLU(0.2)(pl.input((4, 8))).shape
    (4, 8)
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        (self.negative_slope,) = finite("LeakyReLU", negative_slope=negative_slope)

    def forward(self, x: Tensor) -> Tensor:
        return ops.leaky_relu(x, self.negative_slope)


class PReLU(Module):
    """x where x > 0, else weight[c] * x, with a learned weight: x (N, C, ...) -> the same (He et al. 2015).

    weight (num_parameters,) of `dtype` starts at `init`; `num_parameters` is 1, or C for one of each channel.

    >>> nn.PReLU(8)(pl.input((4, 8))).shape
    (4, 8)
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: str = "float32") -> None:
        super().__init__()
        (num_parameters,) = positive("PReLU", num_parameters=num_parameters)
        (init,) = finite("PReLU", init=init)
        self.weight = Parameter((num_parameters,), constant(init), dtype)

    def forward(self, x: Tensor) -> Tensor:
        return ops.prelu(x, self.weight)


class ELU(Module):
    """x where x > 0, else `alpha` * (e^x - 1): x of any shape -> the same (Clevert et al. 2016).

    >>> nn.ELU()(pl.input((4, 8))).shape
    (4, 8)
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        (self.alpha,) = finite("ELU", alpha=alpha)

    def forward(self, x: Tensor) -> Tensor:
        return ops.elu(x, self.alpha)


class SELU(Module):
    """The ELU scaled so that activations keep mean 0 and variance 1: x of any shape -> the same (Klambauer et al. 2017).

    >>> nn.SELU()(pl.input((4, 8))).shape
    (4, 8)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.selu(x)


class GELU(Module):
    """x times the Gaussian distribution function of x: x of any shape -> the same (Hendrycks and Gimpel 2016).

    `approximate` is "none", or "tanh" for the paper's formula with a hyperbolic tangent.

    >>> nn.GELU()(pl.input((4, 8))).shape
    (4, 8)
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return ops.gelu(x, self.approximate)


class SiLU(Module):
    """x * sigmoid(x), also called swish: x of any shape -> the same.

    >>> nn.SiLU()(pl.input((4, 8))).shape
    (4, 8)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.silu(x)


class Hardswish(Module):
    """x * min(max(x + 3, 0), 6) / 6: x of any shape -> the same (Howard et al. 2019).

    >>> nn.Hardswish()(pl.input((4, 8))).shape
    (4, 8)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.hard_swish(x)


class Softplus(Module):
    """log(1 + e^x): x of any shape -> the same.

    >>> nn.Softplus()(pl.input((4, 8))).shape
    (4, 8)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.softplus(x)


class Mish(Module):
    """x * tanh(softplus(x)): x of any shape -> the same (Misra 2020).

    >>> nn.Mish()(pl.input((4, 8))).shape
    (4, 8)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.mish(x)


class Softmax(Module):
    """e^x / sum of e^x along the axis `dim`: x of any shape -> the same.

    >>> nn.Softmax()(pl.input((4, 8))).shape
    (4, 8)
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return ops.softmax(x, self.dim)


class LogSoftmax(Module):
    """Logarithm of the softmax along the axis `dim`: x of any shape -> the same.

    >>> nn.LogSoftmax()(pl.input((4, 8))).shape
    (4, 8)
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return ops.log_softmax(x, self.dim)


class Maxout(Module):
    """max over p of (w_p x + b_p): `num_pieces` affine functions of the input, of which the largest counts.

    `in_features`, `out_features` and `dtype` are those of `Linear`. x (..., in_features) -> (..., out_features)
    (Goodfellow et al. 2013).

    >>> nn.Maxout(8, 3)(pl.input((4, 8))).shape
    (4, 3)
    """

    def __init__(self, in_features: int, out_features: int, num_pieces: int = 2, dtype: str = "float32") -> None:
        super().__init__()
        out_features, num_pieces = positive("Maxout", out_features=out_features, num_pieces=num_pieces)
        self.num_pieces = num_pieces
        self.pieces = Linear(in_features, out_features * num_pieces, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return ops.maxout(self.pieces(x), self.num_pieces)
