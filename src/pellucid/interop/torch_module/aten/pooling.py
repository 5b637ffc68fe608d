"""Pooling, with PyTorch's windows that may reach over the edge, be spread out, or be counted in other ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.graph import Tensor, constant
from pellucid.interop.torch_module.aten.layers import as_rows, pair, require, row, without_rows
from pellucid.interop.torch_module.aten.registry import aten
from pellucid.op import Array
from pellucid.ops.window import Pair

Ints = Sequence[int]


def _count(size: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """Number of windows; with `ceil_mode` a last one that reaches over the edge counts if it starts inside."""
    room = size + 2 * padding - kernel
    count = -(-room // stride) + 1 if ceil_mode else room // stride + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= size + padding else count


def _padded(x: Tensor, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool, value: float) -> tuple[Tensor, Pair]:
    """The image with all that the windows see around it, and how many windows there are."""
    sizes = zip(x.shape[2:], kernel, stride, padding, strict=True)
    counts = [_count(n, k, s, p, ceil_mode) for n, k, s, p in sizes]
    ends = [(c - 1) * s + k for c, s, k in zip(counts, stride, kernel, strict=True)]
    after = [max(end - n - p, 0) for end, n, p in zip(ends, x.shape[2:], padding, strict=True)]
    widths = list(zip(padding, after, strict=True))
    y = ops.pad(x, [(0, 0), (0, 0), *widths], value) if any(map(any, widths)) else x
    return y, (counts[0], counts[1])


@aten("max_pool2d.default")
def max_pool2d(
    x: Tensor,
    kernel_size: Ints,
    stride: Ints = (),
    padding: Ints = (0,),
    dilation: Ints = (1,),
    ceil_mode: bool = False,
) -> Tensor:
    steps = pair(stride or kernel_size)
    return ops.max_pool2d(x, pair(kernel_size), steps, pair(padding), ceil_mode, pair(dilation))


@aten("max_pool1d.default")
def max_pool1d(
    x: Tensor,
    kernel_size: Ints,
    stride: Ints = (),
    padding: Ints = (0,),
    dilation: Ints = (1,),
    ceil_mode: bool = False,
) -> Tensor:
    geometry = row(kernel_size, 1), row(stride or kernel_size, 1), row(padding, 0), row(dilation, 1)
    return without_rows(max_pool2d(as_rows(x), *geometry, ceil_mode))


@aten("avg_pool2d.default")
def average_pool2d(
    x: Tensor,
    kernel_size: Ints,
    stride: Ints = (),
    padding: Ints = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    kernel, steps, edge = pair(kernel_size), pair(stride or kernel_size), pair(padding)
    if not ceil_mode and divisor_override is None:
        return ops.average_pool2d(x, kernel, steps, edge, count_include_pad)
    around, counts = _padded(x, kernel, steps, edge, ceil_mode, 0.0)
    whole = ops.average_pool2d(around, kernel, steps)[:, :, : counts[0], : counts[1]]
    if divisor_override is not None:
        return whole * (kernel[0] * kernel[1] / divisor_override)
    counted = [
        _counted(x.shape[2 + axis], kernel[axis], steps[axis], edge[axis], counts[axis], count_include_pad)
        for axis in (0, 1)
    ]
    return whole * constant((kernel[0] * kernel[1] / np.outer(*counted)).astype(x.dtype))


def _counted(size: int, kernel: int, stride: int, padding: int, count: int, with_padding: bool) -> Array:
    """How many elements of each window count: those in the image, or in the image with the padding asked for."""
    starts = np.arange(count) * stride - padding
    low, high = (-padding, size + padding) if with_padding else (0, size)
    return np.minimum(starts + kernel, high) - np.maximum(starts, low)


@aten("avg_pool1d.default")
def average_pool1d(
    x: Tensor,
    kernel_size: Ints,
    stride: Ints = (),
    padding: Ints = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    geometry = row(kernel_size, 1), row(stride or kernel_size, 1), row(padding, 0)
    return without_rows(average_pool2d(as_rows(x), *geometry, ceil_mode, count_include_pad))


@aten("avg_pool3d.default")
def average_pool3d(x: Tensor, kernel_size: Ints, stride: Ints = (), *rest: Any) -> Tensor:
    """Along the first of three axes alone, as local response normalization needs it."""
    alone = list(kernel_size[1:]) == [1, 1] and list(stride or kernel_size)[1:] == [1, 1] and not rest
    require(alone, "average pooling over three axes")
    planes = ops.reshape(x, (*x.shape[:3], x.shape[3] * x.shape[4]))
    y = ops.average_pool2d(planes, (kernel_size[0], 1), ((stride or kernel_size)[0], 1))
    return ops.reshape(y, (*y.shape[:3], *x.shape[3:]))


@aten("adaptive_avg_pool2d.default")
def adaptive_average_pool2d(x: Tensor, output_size: Ints) -> Tensor:
    return ops.adaptive_average_pool2d(x, pair(output_size))


@aten("adaptive_avg_pool1d.default")
def adaptive_average_pool1d(x: Tensor, output_size: Ints) -> Tensor:
    return without_rows(ops.adaptive_average_pool2d(as_rows(x), row(output_size, 1)))


@aten("adaptive_max_pool2d.default")
def adaptive_max_pool2d(x: Tensor, output_size: Ints) -> tuple[Any, ...]:
    """(y, ...)"""
    return ops.adaptive_max_pool2d(x, pair(output_size)), None


@aten("adaptive_max_pool1d.default")
def adaptive_max_pool1d(x: Tensor, output_size: Ints) -> tuple[Any, ...]:
    """(y, ...)"""
    return without_rows(ops.adaptive_max_pool2d(as_rows(x), row(output_size, 1))), None
