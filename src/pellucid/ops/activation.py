"""Activation functions, from the sigmoid of the first networks to the family in use today."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from pellucid.errors import ShapeError, unknown
from pellucid.graph import Constant, Tensor, apply, as_tensors, constant, of_arrays
from pellucid.op import FLOATS, NUMBERS, Array, Op, OpSample, Shape, composite
from pellucid.ops.comparison import Cast, Less, cast, clip, where
from pellucid.ops.elementwise import Multiply, erf, expm1
from pellucid.ops.reduction import max
from pellucid.ops.shape import normalize_axis, reshape
from pellucid.real_numbers import real
from pellucid.whole_numbers import whole

F = TypeVar("F", bound=Callable[..., Any])

_X = np.array([[-2.0, -0.5, 0.25], [1.5, 3.5, -4.0]])
_ZERO = np.array([0.0, 1.0, -1.0])


class _Activation(Op, registered=False):
    elementwise: ClassVar[bool] = True

    def shape(self, *inputs: Tensor) -> Shape:
        return inputs[0].shape


@dataclass(frozen=True)
class Sigmoid(_Activation):
    """y = 1 / (1 + e^(-x))"""

    takes = FLOATS

    def reference(self, *arrays: Array) -> Array:
        x = arrays[0]
        small = np.exp(-np.abs(x))  # never overflows
        return np.where(x >= 0, 1, small) / (1 + small)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (upstream * (node * (1 - node)),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.sigmoid(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(sigmoid, (_X,)), OpSample(sigmoid, (np.array([-800.0, 800.0]),), "huge")]


@dataclass(frozen=True)
class Tanh(_Activation):
    """y = (e^x - e^(-x)) / (e^x + e^(-x))"""

    takes = FLOATS

    def reference(self, *arrays: Array) -> Array:
        return np.tanh(arrays[0])

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (upstream * (1 - node * node),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.tanh(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(tanh, (_X,))]


@dataclass(frozen=True)
class Relu(_Activation):
    """y = max(0, x); the derivative at 0 is 0"""

    takes = NUMBERS

    def reference(self, *arrays: Array) -> Array:
        return np.maximum(arrays[0], 0)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (relu_mask(upstream, node),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.relu(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(relu, (_X,)), OpSample(relu, (_ZERO,), "at-zero", (np.array([0.0, 1.0, 0.0]),))]


@dataclass(frozen=True)
class Softplus(_Activation):
    """y = log(1 + e^x)"""

    takes = FLOATS

    def reference(self, *arrays: Array) -> Array:
        return np.maximum(arrays[0], 0) + np.log1p(np.exp(-np.abs(arrays[0])))

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (upstream * sigmoid(node.inputs[0]),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.clamp(tensors[0], min=0) + torch.log1p(torch.exp(-torch.abs(tensors[0])))

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(softplus, (_X,)), OpSample(softplus, (np.array([-300.0, 300.0]),), "huge")]


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + e^(-x))"""
    return apply(Sigmoid(), *as_tensors(x))


def tanh(x: Any) -> Tensor:
    """(e^x - e^(-x)) / (e^x + e^(-x))"""
    return apply(Tanh(), *as_tensors(x))


def relu(x: Any) -> Tensor:
    """max(0, x); the derivative at 0 is 0"""
    return apply(Relu(), *as_tensors(x))


def relu_mask(slope: Tensor, y: Tensor, name: str = "greater") -> Tensor:
    """The slope that ReLU hands on where y, its value, is positive, else 0 times the slope.

    Made of a comparison, called `name`, a cast and a product; passes and chains know it by `masked_by`.
    """
    return slope * cast(apply(Less(), constant(0.0, y.dtype), y, name=name), y.dtype)


def masked_by(node: Tensor) -> Tensor | None:
    """The y of `relu_mask(slope, y)` if that is what `node` computes."""
    if not isinstance(node.op, Multiply) or not isinstance(node.inputs[1].op, Cast):
        return None
    (above,) = node.inputs[1].inputs
    if not isinstance(above.op, Less) or not isinstance(above.inputs[0].op, Constant):
        return None
    zero, y = above.inputs[0].op.value, above.inputs[1]
    return y if zero.size == 1 and float(zero.reshape(())) == 0 and y.dtype != "int64" else None


def softplus(x: Any) -> Tensor:
    """log(1 + e^x)"""
    return apply(Softplus(), *as_tensors(x))


def _activation(oracle: Callable[..., Any], at_zero: float | None = None) -> Callable[[F], F]:
    """Register a composite activation with its samples; `at_zero` is the derivative stated for a kink at 0."""

    def register(function: F) -> F:
        def samples() -> list[OpSample]:
            cases = [OpSample(function, (_X,))]
            if at_zero is not None:
                cases.append(OpSample(function, (np.array([0.0]),), "at-zero", (np.array([at_zero]),)))
            return cases

        return composite(samples, oracle)(function)

    return register


@_activation(lambda torch, x: torch.nn.functional.leaky_relu(x), at_zero=0.01)
def leaky_relu(x: Any, slope: float = 0.01) -> Tensor:
    """y = x where x > 0, else slope * x; the derivative at 0 is slope"""
    (x,) = as_tensors(x)
    return where(x > 0, x, x * real("leaky_relu", "slope", slope))


def _prelu_samples() -> list[OpSample]:
    return [OpSample(prelu, (_X, np.array([0.25, -0.1, 0.5]))), OpSample(prelu, (_X, np.array([0.3])), "shared")]


@composite(_prelu_samples, oracle=lambda torch, x, w: torch.nn.functional.prelu(x, w))
@of_arrays
def prelu(x: Tensor, weight: Tensor) -> Tensor:
    """y = x where x > 0, else weight[c] * x, with one weight per channel c or one for all (He et al. 2015)"""
    if weight.ndim != 1 or weight.size not in (1, x.shape[1] if x.ndim > 1 else 1):
        channels = x.shape[1] if x.ndim > 1 else 1
        raise ShapeError(f"prelu: weight {weight.name!r} must have shape (1,) or ({channels},), got {weight.shape}")
    slope = reshape(weight, (weight.size, *(1,) * (x.ndim - 2))) if x.ndim > 1 else weight
    return where(x > 0, x, x * slope)


@_activation(lambda torch, x: torch.nn.functional.elu(x), at_zero=1.0)
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """y = x where x > 0, else alpha * (e^x - 1) (Clevert et al. 2016)"""
    (x,) = as_tensors(x)
    return where(x > 0, x, expm1(where(x > 0, 0.0, x)) * real("elu", "alpha", alpha))


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@_activation(lambda torch, x: torch.nn.functional.selu(x), at_zero=_SELU_SCALE * _SELU_ALPHA)
def selu(x: Any) -> Tensor:
    """y = 1.0507 * elu(x, 1.6733) (Klambauer et al. 2017)"""
    return elu(x, _SELU_ALPHA) * _SELU_SCALE


@_activation(lambda torch, x: torch.nn.functional.gelu(x))
def gelu(x: Any, approximate: str = "none") -> Tensor:
    """y = x/2 * (1 + erf(x / sqrt 2)); approximate="tanh": x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))"""
    (x,) = as_tensors(x)
    if approximate == "none":
        return x * 0.5 * (1.0 + erf(x * math.sqrt(0.5)))
    if approximate == "tanh":
        return x * 0.5 * (1.0 + tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)))
    raise unknown("GELU approximation", approximate, ["none", "tanh"])


@_activation(lambda torch, x: torch.nn.functional.silu(x))
def silu(x: Any) -> Tensor:
    """y = x * sigmoid(x), also called swish (Elfwing et al. 2018)"""
    (x,) = as_tensors(x)
    return x * sigmoid(x)


@_activation(lambda torch, x: torch.nn.functional.hardswish(x))
def hard_swish(x: Any) -> Tensor:
    """y = x * min(max(x + 3, 0), 6) / 6 (Howard et al. 2019); the derivative at -3 is 0 and at 3 is 1"""
    (x,) = as_tensors(x)
    return x * (clip(x + 3.0, 0.0, 6.0, open=True) * (1 / 6))


@_activation(lambda torch, x: torch.nn.functional.mish(x))
def mish(x: Any) -> Tensor:
    """y = x * tanh(softplus(x)) (Misra 2020)"""
    (x,) = as_tensors(x)
    return x * tanh(softplus(x))


def _maxout_samples() -> list[OpSample]:
    return [OpSample(lambda x: maxout(x, 2), (np.sin(np.arange(24.0) * 2.3).reshape(2, 6, 2),))]


@composite(_maxout_samples, oracle=lambda torch, x: x.reshape(2, 3, 2, 2).amax(2))
@of_arrays
def maxout(x: Tensor, num_pieces: int, axis: int = 1) -> Tensor:
    """y[c] = max over p of x[c * num_pieces + p] along `axis` (Goodfellow et al. 2013)"""
    at = normalize_axis("maxout", axis, x.ndim)
    size, num_pieces = x.shape[at], whole("maxout", "num_pieces", num_pieces)
    if num_pieces < 1 or size % num_pieces:
        raise ShapeError(
            f"maxout: {size} features along axis {at} of {x.name!r} do not split into pieces of {num_pieces}"
        )
    return max(reshape(x, (*x.shape[:at], size // num_pieces, num_pieces, *x.shape[at + 1 :])), at + 1)
