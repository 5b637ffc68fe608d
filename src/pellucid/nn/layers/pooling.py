"""Pooling over windows, grids and whole maps."""

from __future__ import annotations

from pellucid import ops
from pellucid.flags import flag
from pellucid.graph import Tensor
from pellucid.nn.errors import ModuleError
from pellucid.nn.module import Module
from pellucid.ops.window import Pair, pair


class MaxPool2d(Module):
    """The largest element of each window.

    `kernel_size`, `stride` (the kernel's size unless given) and `padding` are whole numbers or pairs; with `ceil_mode` a
    last window that reaches over the edge counts too. x (N, C, H, W) -> (N, C, OH, OW).

    >>> nn.MaxPool2d(2)(pl.input((1, 8, 7, 7))).shape
    (1, 8, 3, 3)
    >>> nn.MaxPool2d(2, ceil_mode=True)(pl.input((1, 8, 7, 7))).shape
    (1, 8, 4, 4)
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.ceil_mode = flag("MaxPool2d", "ceil_mode", ceil_mode, ModuleError)
        self.kernel_size = pair("MaxPool2d", "kernel_size", kernel_size, 1)
        self.padding = pair("MaxPool2d", "padding", padding, 0)
        self.stride = self.kernel_size if stride is None else pair("MaxPool2d", "stride", stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        return ops.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode)


class AvgPool2d(Module):
    """The mean of each window.

    `kernel_size`, `stride` (the kernel's size unless given) and `padding` are whole numbers or pairs; the zeros of the
    padding count as elements unless `count_include_pad` is False. x (N, C, H, W) -> (N, C, OH, OW).

    >>> nn.AvgPool2d(2)(pl.input((1, 8, 6, 6))).shape
    (1, 8, 3, 3)
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = pair("AvgPool2d", "kernel_size", kernel_size, 1)
        self.padding = pair("AvgPool2d", "padding", padding, 0)
        self.stride = self.kernel_size if stride is None else pair("AvgPool2d", "stride", stride, 1)
        self.count_include_pad = flag("AvgPool2d", "count_include_pad", count_include_pad, ModuleError)

    def forward(self, x: Tensor) -> Tensor:
        return ops.average_pool2d(x, self.kernel_size, self.stride, self.padding, self.count_include_pad)


class AdaptiveAvgPool2d(Module):
    """The mean of each bin of a grid.

    `output_size` is the grid's size, a whole number or a pair. x (N, C, H, W) -> (N, C, *output_size).

    >>> nn.AdaptiveAvgPool2d(7)(pl.input((1, 8, 10, 12))).shape
    (1, 8, 7, 7)
    """

    def __init__(self, output_size: int | Pair) -> None:
        super().__init__()
        self.output_size = pair("AdaptiveAvgPool2d", "output_size", output_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        return ops.adaptive_average_pool2d(x, self.output_size)


class AdaptiveMaxPool2d(Module):
    """The largest element of each bin of a grid.

    `output_size` is the grid's size, a whole number or a pair. x (N, C, H, W) -> (N, C, *output_size).

    >>> nn.AdaptiveMaxPool2d((2, 3))(pl.input((1, 8, 10, 12))).shape
    (1, 8, 2, 3)
    """

    def __init__(self, output_size: int | Pair) -> None:
        super().__init__()
        self.output_size = pair("AdaptiveMaxPool2d", "output_size", output_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        return ops.adaptive_max_pool2d(x, self.output_size)


class GlobalAvgPool2d(Module):
    """The mean of each channel: x (N, C, H, W) -> (N, C, 1, 1).

    >>> nn.GlobalAvgPool2d()(pl.input((1, 8, 10, 12))).shape
    (1, 8, 1, 1)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.global_average_pool2d(x)


class GlobalMaxPool2d(Module):
    """The largest element of each channel: x (N, C, H, W) -> (N, C, 1, 1).

    >>> nn.GlobalMaxPool2d()(pl.input((1, 8, 10, 12))).shape
    (1, 8, 1, 1)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.global_max_pool2d(x)
