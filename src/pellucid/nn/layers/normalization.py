"""Normalization: over batches, over the axes of a sample, over groups and neighbors of channels."""

from __future__ import annotations

from pellucid import ops
from pellucid.errors import ShapeError
from pellucid.flags import flag
from pellucid.graph import Parameter, Tensor
from pellucid.nn.errors import ModuleError
from pellucid.nn.initializers import ones, zeros
from pellucid.nn.layers.checks import called, finite, positive, want_channels
from pellucid.nn.module import Module
from pellucid.op import check_shape
from pellucid.real_numbers import real
from pellucid.scopes import any_frozen, latest, record_update
from pellucid.whole_numbers import one_or_several


class _BatchNorm(Module):
    ndims: tuple[int, ...] = ()

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True, dtype: str = "float32"
    ) -> None:
        super().__init__()
        affine = flag(type(self).__name__, "affine", affine, ModuleError)
        (num_features,) = positive(type(self).__name__, num_features=num_features)
        self.num_features = num_features
        self.eps = real(type(self).__name__, "eps", eps, 0, raises=ModuleError)
        self.momentum = real(type(self).__name__, "momentum", momentum, 0, 1, ModuleError)
        self.weight = Parameter((num_features,), ones(), dtype) if affine else None
        self.bias = Parameter((num_features,), zeros(), dtype) if affine else None
        self.running_mean = Parameter((num_features,), zeros(), dtype, trainable=False)
        self.running_var = Parameter((num_features,), ones(), dtype, trainable=False)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in self.ndims or x.shape[1] != self.num_features:
            raise ShapeError(
                f"{called(self)}: wants {self.num_features} channels and {' or '.join(map(str, self.ndims))} axes, got {x.shape} (from {x.name!r})"
            )
        if not self.training or any_frozen(self.running_mean, self.running_var):
            return ops.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, self.eps)
        count = x.size // self.num_features
        if count == 1:
            raise ShapeError(
                f"{called(self)}: in training wants more than one value per channel, got {x.shape} (from {x.name!r}); "
                "give larger batches, or net.eval() first"
            )
        y, mean, variance = ops.batch_norm_training(x, self.weight, self.bias, self.eps)
        keep, rate = 1 - self.momentum, self.momentum
        record_update(self.running_mean, latest(self.running_mean) * keep + mean * rate)
        record_update(self.running_var, latest(self.running_var) * keep + variance * (rate * count / (count - 1)))
        return y


class BatchNorm1d(_BatchNorm):
    """Batch normalization: (x - mean) / sqrt(var + eps) * weight + bias, per channel (Ioffe and Szegedy 2015).

    `num_features` is C, `eps` keeps the root from 0. In training mean and var are the batch's, and running_mean and
    running_var go the share `momentum` of the way to them; in inference they are the running ones. Without `affine` there is
    no weight and bias. All have the shape (C,) and are of `dtype`. x (N, C) or (N, C, L) -> the same.

    >>> nn.BatchNorm1d(8)(pl.input((4, 8))).shape
    (4, 8)
    """

    ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalization: (x - mean) / sqrt(var + eps) * weight + bias, per channel (Ioffe and Szegedy 2015).

    `num_features`, `eps`, `momentum`, `affine` and `dtype` are those of `BatchNorm1d`. x (N, C, H, W) -> the same.

    >>> nn.BatchNorm2d(8)(pl.input((4, 8, 5, 5))).shape
    (4, 8, 5, 5)
    """

    ndims = (4,)


class LayerNorm(Module):
    """Normalization over the last axes of each sample (Ba et al. 2016).

    `normalized_shape` is the shape of these axes, also that of weight and bias, which are there with
    `elementwise_affine` and of `dtype`; `eps` is added to the variance. x (..., *normalized_shape) -> the same.

    >>> nn.LayerNorm((8, 5))(pl.input((4, 8, 5))).shape
    (4, 8, 5)
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        elementwise_affine = flag(type(self).__name__, "elementwise_affine", elementwise_affine, ModuleError)
        self.normalized_shape = check_shape("LayerNorm", one_or_several(normalized_shape))
        self.eps = real("LayerNorm", "eps", eps, 0, raises=ModuleError)
        self.weight = Parameter(self.normalized_shape, ones(), dtype) if elementwise_affine else None
        self.bias = Parameter(self.normalized_shape, zeros(), dtype) if elementwise_affine else None

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-len(self.normalized_shape) :] != self.normalized_shape:
            raise ShapeError(
                f"{called(self)}: wants last axes {self.normalized_shape}, got {x.shape} (from {x.name!r})"
            )
        return ops.layer_norm(x, len(self.normalized_shape), self.weight, self.bias, self.eps)


class GroupNorm(Module):
    """Normalization over groups of channels of each sample (Wu and He 2018).

    The `num_channels` channels are cut into `num_groups`; `eps` is added to the variance. With `affine` each channel has
    a weight and a bias (num_channels,) of `dtype`. x (N, num_channels, ...) -> the same.

    >>> nn.GroupNorm(2, 8)(pl.input((4, 8, 5, 5))).shape
    (4, 8, 5, 5)
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, dtype: str = "float32"
    ) -> None:
        super().__init__()
        affine = flag(type(self).__name__, "affine", affine, ModuleError)
        num_groups, num_channels = positive("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ModuleError(f"GroupNorm: {num_channels} channels do not divide into {num_groups} groups")
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps = real("GroupNorm", "eps", eps, 0, raises=ModuleError)
        self.weight = Parameter((num_channels,), ones(), dtype) if affine else None
        self.bias = Parameter((num_channels,), zeros(), dtype) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        want_channels(self, x, self.num_channels)
        return ops.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class LocalResponseNorm(Module):
    """Division by the energy of neighboring channels: x / (k + alpha * mean of squares)^beta (Krizhevsky et al. 2012).

    The mean goes over `size` channels around each; `alpha`, `beta` and `k` are the paper's. x (N, C, ...) -> the same.

    >>> nn.LocalResponseNorm(5)(pl.input((1, 8, 5, 5))).shape
    (1, 8, 5, 5)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        (size,) = positive("LocalResponseNorm", size=size)
        self.size = size
        self.alpha, self.beta, self.k = finite("LocalResponseNorm", alpha=alpha, beta=beta, k=k)

    def forward(self, x: Tensor) -> Tensor:
        return ops.local_response_norm(x, self.size, self.alpha, self.beta, self.k)
