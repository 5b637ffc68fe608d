"""Layers with weights: linear, convolution, normalisation; and pooling, dropout, containers. Names as in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pellucid import ops
from pellucid.errors import ShapeError
from pellucid.graph import Parameter, Tensor
from pellucid.nn.errors import ModuleError
from pellucid.nn.initializers import fan_in_uniform, ones, zeros
from pellucid.nn.module import Module, order_of, path_of
from pellucid.nn.randomness import draw_key
from pellucid.ops.window import Pair, Window, pair
from pellucid.scopes import any_frozen, latest, record_update


def positive(layer: str, **sizes: int) -> None:
    """Raise `ModuleError` for a size below 1."""
    for name, value in sizes.items():
        if value < 1:
            raise ModuleError(f"{layer}: {name} must be at least 1, got {value}")


class Linear(Module):
    """y = x W^T + b: every output from every input. weight (out, in), bias (out,)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: str = "float32") -> None:
        super().__init__()
        positive("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        start = fan_in_uniform(in_features)
        self.weight = Parameter((out_features, in_features), start, dtype)
        self.bias = Parameter((out_features,), start, dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.in_features:
            raise ShapeError(f"{_name(self)}: wants {self.in_features} input features, got {x.shape} (from {x.name!r})")
        return ops.linear(x, self.weight, self.bias)


class Conv2d(Module):
    """Convolution; weight (out, in / groups, kh, kw), bias (out,)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        positive("Conv2d", in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ModuleError(
                f"Conv2d: {in_channels} input and {out_channels} output channels must both divide into {groups} groups"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = pair("Conv2d", "stride", stride, 1)
        self.padding = pair("Conv2d", "padding", padding, 0)
        self.dilation = pair("Conv2d", "dilation", dilation, 1)
        per_group = in_channels // groups
        start = fan_in_uniform(per_group * self.kernel_size[0] * self.kernel_size[1])
        self.weight = Parameter((out_channels, per_group, *self.kernel_size), start, dtype)
        self.bias = Parameter((out_channels,), start, dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        _want_channels(self, x, self.in_channels)
        return ops.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class ConvTranspose2d(Module):
    """Transposed convolution, which enlarges; weight (in, out / groups, kh, kw), bias (out,)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Pair = 1,
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        positive("ConvTranspose2d", in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ModuleError(
                f"ConvTranspose2d: {in_channels} input and {out_channels} output channels must divide into {groups} groups"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair("ConvTranspose2d", "kernel_size", kernel_size, 1)
        self.stride, self.padding, self.output_padding, self.dilation = stride, padding, output_padding, dilation
        start = fan_in_uniform(out_channels // groups * self.kernel_size[0] * self.kernel_size[1])
        self.weight = Parameter((in_channels, out_channels // groups, *self.kernel_size), start, dtype)
        self.bias = Parameter((out_channels,), start, dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        _want_channels(self, x, self.in_channels)
        return ops.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.dilation, self.groups
        )


class LocallyConnected2d(Module):
    """A convolution whose weights are not shared: weight (OH * OW, in * kh * kw, out), bias (out, OH, OW)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        image_size: Pair,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        bias: bool = True,
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        positive("LocallyConnected2d", in_channels=in_channels, out_channels=out_channels)
        self.in_channels, self.out_channels, self.image_size = in_channels, out_channels, image_size
        window = Window(
            pair("LocallyConnected2d", "kernel_size", kernel_size, 1),
            pair("LocallyConnected2d", "stride", stride, 1),
            pair("LocallyConnected2d", "padding", padding, 0),
        )
        size = window.output_size("LocallyConnected2d", image_size)
        self.kernel_size, self.stride, self.padding = window.kernel, window.stride, window.padding
        fan_in = in_channels * window.kernel[0] * window.kernel[1]
        start = fan_in_uniform(fan_in)
        self.weight = Parameter((size[0] * size[1], fan_in, out_channels), start, dtype)
        self.bias = Parameter((out_channels, *size), start, dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        _want_channels(self, x, self.in_channels)
        return ops.locally_connected2d(x, self.weight, self.bias, self.kernel_size, self.stride, self.padding)


class MaxPool2d(Module):
    """The largest element of each window; with `ceil_mode` also of a last one that reaches over the edge."""

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.ceil_mode = ceil_mode
        self.kernel_size, self.padding = pair("MaxPool2d", "kernel_size", kernel_size, 1), padding
        self.stride = self.kernel_size if stride is None else pair("MaxPool2d", "stride", stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        return ops.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode)


class AvgPool2d(Module):
    """The mean of each window."""

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding = pair("AvgPool2d", "kernel_size", kernel_size, 1), padding
        self.stride = self.kernel_size if stride is None else pair("AvgPool2d", "stride", stride, 1)
        self.count_include_pad = count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        return ops.average_pool2d(x, self.kernel_size, self.stride, self.padding, self.count_include_pad)


class AdaptiveAvgPool2d(Module):
    """The mean of each bin of an `output_size` grid."""

    def __init__(self, output_size: int | Pair) -> None:
        super().__init__()
        self.output_size = pair("AdaptiveAvgPool2d", "output_size", output_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        return ops.adaptive_average_pool2d(x, self.output_size)


class AdaptiveMaxPool2d(Module):
    """The largest element of each bin of an `output_size` grid."""

    def __init__(self, output_size: int | Pair) -> None:
        super().__init__()
        self.output_size = pair("AdaptiveMaxPool2d", "output_size", output_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        return ops.adaptive_max_pool2d(x, self.output_size)


class GlobalAvgPool2d(Module):
    """The mean of each channel: (N, C, H, W) -> (N, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.global_average_pool2d(x)


class GlobalMaxPool2d(Module):
    """The largest element of each channel: (N, C, H, W) -> (N, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.global_max_pool2d(x)


class _BatchNorm(Module):
    ndims: tuple[int, ...] = ()

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True, dtype: str = "float32"
    ) -> None:
        super().__init__()
        positive(type(self).__name__, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = Parameter((num_features,), ones(), dtype) if affine else None
        self.bias = Parameter((num_features,), zeros(), dtype) if affine else None
        self.running_mean = Parameter((num_features,), zeros(), dtype, trainable=False)
        self.running_var = Parameter((num_features,), ones(), dtype, trainable=False)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in self.ndims or x.shape[1] != self.num_features:
            raise ShapeError(
                f"{_name(self)}: wants {self.num_features} channels and {' or '.join(map(str, self.ndims))} axes, got {x.shape} (from {x.name!r})"
            )
        if not self.training or any_frozen(self.running_mean, self.running_var):
            return ops.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, self.eps)
        count = x.size // self.num_features
        if count == 1:
            raise ShapeError(
                f"{_name(self)}: in training wants more than one value per channel, got {x.shape} (from {x.name!r}); "
                "give larger batches, or net.eval() first"
            )
        y, mean, variance = ops.batch_norm_training(x, self.weight, self.bias, self.eps)
        keep, rate = 1 - self.momentum, self.momentum
        record_update(self.running_mean, latest(self.running_mean) * keep + mean * rate)
        record_update(self.running_var, latest(self.running_var) * keep + variance * (rate * count / (count - 1)))
        return y


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L); keeps running statistics for inference (Ioffe and Szegedy 2015)."""

    ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of (N, C, H, W); keeps running statistics for inference (Ioffe and Szegedy 2015)."""

    ndims = (4,)


class LayerNorm(Module):
    """Normalisation over the last axes, whose shape is `normalized_shape` (Ba et al. 2016)."""

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.weight = Parameter(self.normalized_shape, ones(), dtype) if elementwise_affine else None
        self.bias = Parameter(self.normalized_shape, zeros(), dtype) if elementwise_affine else None

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-len(self.normalized_shape) :] != self.normalized_shape:
            raise ShapeError(f"{_name(self)}: wants last axes {self.normalized_shape}, got {x.shape} (from {x.name!r})")
        return ops.layer_norm(x, len(self.normalized_shape), self.weight, self.bias, self.eps)


class GroupNorm(Module):
    """Normalisation over groups of channels of each sample (Wu and He 2018)."""

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, dtype: str = "float32"
    ) -> None:
        super().__init__()
        positive("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ModuleError(f"GroupNorm: {num_channels} channels do not divide into {num_groups} groups")
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = Parameter((num_channels,), ones(), dtype) if affine else None
        self.bias = Parameter((num_channels,), zeros(), dtype) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        _want_channels(self, x, self.num_channels)
        return ops.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class LocalResponseNorm(Module):
    """Division by the energy of neighbouring channels (Krizhevsky et al. 2012)."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        positive("LocalResponseNorm", size=size)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        return ops.local_response_norm(x, self.size, self.alpha, self.beta, self.k)


class Dropout(Module):
    """In training each element is 0 with probability p, else divided by 1 - p; in inference the identity."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ModuleError(f"Dropout: p must lie in [0, 1), got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        key = draw_key(_name(self), order_of(self))
        return ops.dropout(x, self.p, key.step, key.seed, key.stream)


class Flatten(Module):
    """All axes but the batch made one."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.flatten(x)


class Identity(Module):
    """y = x"""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Sequential(Module):
    """Modules one after another: `Sequential(Linear(4, 8), ReLU())` or, with names, `Sequential(fc=Linear(4, 8))`."""

    def __init__(self, *modules: Module, **named: Module) -> None:
        super().__init__()
        parts: dict[str, Any] = {**{str(i): m for i, m in enumerate(modules)}, **named}
        for name, module in parts.items():
            if not isinstance(module, Module):
                raise ModuleError(f"Sequential: {name} must be a layer, got {type(module).__name__}")
            if name.startswith("_") or hasattr(self, name):
                raise ModuleError(f"Sequential: {name!r} cannot name a layer; choose another name")
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Tensor:
        for _, module in self.children():
            x = module(x)
        return x

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.children())

    def __len__(self) -> int:
        return len(list(self.children()))

    def __getitem__(self, index: int) -> Module:
        return list(self)[index]


def _name(layer: Module) -> str:
    return path_of(layer) or type(layer).__name__


def _want_channels(layer: Module, x: Tensor, channels: int) -> None:
    if x.ndim < 2 or x.shape[1] != channels:
        got = x.shape[1] if x.ndim > 1 else x.shape
        raise ShapeError(f"{_name(layer)}: wants {channels} input channels, got {got} (from {x.name!r})")
