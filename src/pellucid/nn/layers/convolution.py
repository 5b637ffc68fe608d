"""Convolutions: shared weights, transposed, and with weights that are not shared."""

from __future__ import annotations

from pellucid import ops
from pellucid.flags import flag
from pellucid.graph import Parameter, Tensor
from pellucid.nn.errors import ModuleError
from pellucid.nn.initializers import fan_in_uniform
from pellucid.nn.layers.checks import positive, want_channels
from pellucid.nn.module import Module
from pellucid.ops.window import Pair, Window, pair


class Conv2d(Module):
    """Convolution: each output channel is a sum over windows of all input channels of its group, times its kernel, plus b.

    `kernel_size`, `stride`, `padding` (zeros on each side) and `dilation` (distance of the kernel's elements) are whole
    numbers or pairs (rows, columns); `groups` cuts the `in_channels` and `out_channels` into as many convolutions side by
    side; without `bias` there is no b. weight (out_channels, in_channels / groups, *kernel_size), bias (out_channels,), both
    of `dtype`. x (N, in_channels, H, W) -> (N, out_channels, OH, OW), where
    OH = floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1.

    >>> nn.Conv2d(3, 8, 3, stride=2, padding=1)(pl.input((1, 3, 32, 32))).shape
    (1, 8, 16, 16)
    """

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
        bias = flag(type(self).__name__, "bias", bias, ModuleError)
        in_channels, out_channels, groups = positive(
            "Conv2d", in_channels=in_channels, out_channels=out_channels, groups=groups
        )
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
        want_channels(self, x, self.in_channels)
        return ops.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class ConvTranspose2d(Module):
    """Transposed convolution, which enlarges: what `Conv2d` of the same settings does to gradients.

    `in_channels`, `out_channels`, `kernel_size`, `stride`, `padding`, `groups`, `bias`, `dilation` and `dtype` are those of
    `Conv2d`; `output_padding` adds rows and columns at the end. weight (in_channels, out_channels / groups, *kernel_size),
    bias (out_channels,). x (N, in_channels, H, W) -> (N, out_channels, OH, OW), OH = (H - 1) stride - 2 padding + dilation
    (kernel_size - 1) + output_padding + 1.

    >>> nn.ConvTranspose2d(8, 3, 2, stride=2)(pl.input((1, 8, 16, 16))).shape
    (1, 3, 32, 32)
    """

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
        bias = flag(type(self).__name__, "bias", bias, ModuleError)
        in_channels, out_channels, groups = positive(
            "ConvTranspose2d", in_channels=in_channels, out_channels=out_channels, groups=groups
        )
        if in_channels % groups or out_channels % groups:
            raise ModuleError(
                f"ConvTranspose2d: {in_channels} input and {out_channels} output channels must divide into {groups} groups"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair("ConvTranspose2d", "kernel_size", kernel_size, 1)
        self.stride = pair("ConvTranspose2d", "stride", stride, 1)
        self.padding = pair("ConvTranspose2d", "padding", padding, 0)
        self.output_padding = pair("ConvTranspose2d", "output_padding", output_padding, 0)
        self.dilation = pair("ConvTranspose2d", "dilation", dilation, 1)
        start = fan_in_uniform(out_channels // groups * self.kernel_size[0] * self.kernel_size[1])
        self.weight = Parameter((in_channels, out_channels // groups, *self.kernel_size), start, dtype)
        self.bias = Parameter((out_channels,), start, dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        want_channels(self, x, self.in_channels)
        return ops.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.dilation, self.groups
        )


class LocallyConnected2d(Module):
    """A convolution whose weights are not shared: every place has a kernel of its own.

    `in_channels`, `out_channels`, `kernel_size`, `stride`, `padding`, `bias` and `dtype` are those of `Conv2d`;
    `image_size` (H, W) is the size of its input, which it is made for. weight (OH * OW, in_channels * kh * kw,
    out_channels), bias (out_channels, OH, OW). x (N, in_channels, H, W) -> (N, out_channels, OH, OW).

    >>> nn.LocallyConnected2d(1, 4, (8, 8), 3)(pl.input((1, 1, 8, 8))).shape
    (1, 4, 6, 6)
    """

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
        bias = flag(type(self).__name__, "bias", bias, ModuleError)
        in_channels, out_channels = positive("LocallyConnected2d", in_channels=in_channels, out_channels=out_channels)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.image_size = pair("LocallyConnected2d", "image_size", image_size, 1)
        window = Window(
            pair("LocallyConnected2d", "kernel_size", kernel_size, 1),
            pair("LocallyConnected2d", "stride", stride, 1),
            pair("LocallyConnected2d", "padding", padding, 0),
        )
        size = window.output_size("LocallyConnected2d", self.image_size)
        self.kernel_size, self.stride, self.padding = window.kernel, window.stride, window.padding
        fan_in = in_channels * window.kernel[0] * window.kernel[1]
        start = fan_in_uniform(fan_in)
        self.weight = Parameter((size[0] * size[1], fan_in, out_channels), start, dtype)
        self.bias = Parameter((out_channels, *size), start, dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        want_channels(self, x, self.in_channels)
        return ops.locally_connected2d(x, self.weight, self.bias, self.kernel_size, self.stride, self.padding)
