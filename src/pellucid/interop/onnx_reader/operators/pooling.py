"""Pooling over one, two or three axes, made of pooling over two; and unpooling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from pellucid import ops
from pellucid.budget import take
from pellucid.graph import Tensor, apply, constant
from pellucid.interop.onnx_reader.geometry import WindowAxis, axes_of, padded, per_axis, positions
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.interop.roots import root
from pellucid.op import Array
from pellucid.ops.indexing import GatherGradient
from pellucid.ops.window import Pair

Pool = Callable[[Tensor, Pair, Pair, Pair, Pair], Tensor]
"""Of x, by kernel, stride, padding and dilation."""


@operator("MaxPool")
def max_pool(call: Call, x: Tensor) -> tuple[Tensor, ...]:
    """The largest element of each window, and if asked for its place"""
    axes = axes_of(call, x.shape[2:], call["kernel_shape"])
    if not x.dtype.startswith("float"):
        largest, *place = max_pool(call, ops.cast(x, "float32"))
        return ops.cast(largest, x.dtype), *place
    if call.has_output(1):
        return _with_places(call, x, axes)
    if len(axes) == 2 and all(_even(a) for a in axes):
        a, b = axes
        kernel, stride, padding = (a.kernel, b.kernel), (a.stride, b.stride), (a.before, b.before)
        return (ops.max_pool2d(x, kernel, stride, padding, bool(call["ceil_mode"]), (a.dilation, b.dilation)),)
    return (_pooled(x, axes, _largest, -math.inf),)


def _largest(x: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Tensor:
    return ops.max_pool2d(x, kernel, stride, padding, False, dilation)


def _even(axis: WindowAxis) -> bool:
    """Whether the ops over two axes can do the padding of an axis."""
    return axis.before == axis.after and 2 * axis.before <= axis.kernel


def _sums(x: Tensor, axes: Sequence[WindowAxis]) -> Tensor:
    """The sum over each window of the padded x, one axis after the other."""
    for number, axis in enumerate(axes, 2):
        before = (slice(None),) * number
        total = x[(*before, axis.offset(0))]
        for u in range(1, axis.kernel):
            total = total + x[(*before, axis.offset(u))]
        x = total
    return x


def _pooled(x: Tensor, axes: Sequence[WindowAxis], pool: Pool, outside: float) -> Tensor:
    """`pool` over windows: over the last two axes, then over what is left."""
    if len(axes) == 1:
        row = WindowAxis(1, 1, 1, 1, 0, 0, 1)
        wide = _pooled(ops.reshape(x, (*x.shape[:2], 1, x.shape[2])), [row, *axes], pool, outside)
        return ops.reshape(wide, (*wide.shape[:2], wide.shape[3]))
    if len(axes) == 2:
        a, b = axes
        padding = (a.before, b.before)
        if not all(_even(v) and not v.missing for v in axes):
            x, padding = padded(x, axes, outside), (0, 0)
        return pool(x, (a.kernel, b.kernel), (a.stride, b.stride), padding, (a.dilation, b.dilation))
    n, c, depth, *size = x.shape
    flat = _pooled(ops.reshape(x, (n, c * depth, *size)), axes[1:], pool, outside)
    column = WindowAxis(math.prod(flat.shape[2:]), 1, 1, 1, 0, 0, math.prod(flat.shape[2:]))
    y = _pooled(ops.reshape(flat, (n, c, depth, column.size)), [axes[0], column], pool, outside)
    return ops.reshape(y, (n, c, y.shape[2], *flat.shape[2:]))


def _with_places(call: Call, x: Tensor, axes: Sequence[WindowAxis]) -> tuple[Tensor, Tensor]:
    """The largest element of each window and its position in the flattened x, the first of equals."""
    order = "F" if call["storage_order"] else "C"
    sizes = x.shape[2:]
    take(passing=16 * math.prod(x.shape[:2]))
    planes = np.arange(math.prod(x.shape[:2])).reshape(*x.shape[:2], *(1,) * len(sizes)) * math.prod(sizes)
    best: Tensor | None = None
    place = constant(0)
    for at, seen in positions(padded(x, axes, -math.inf), axes):

        def where(at: tuple[int, ...] = at) -> Array:
            rows = (np.arange(a.count) * a.stride + u * a.dilation - a.before for a, u in zip(axes, at, strict=True))
            grid = np.meshgrid(*(np.clip(r, 0, n - 1) for r, n in zip(rows, sizes, strict=True)), indexing="ij")
            return planes + np.ravel_multi_index(grid, sizes, order=order)

        here = call.make(seen.shape, where)
        if best is None:
            best, place = seen, here
        else:
            better = seen > best
            best, place = ops.where(better, seen, best), ops.where(better, here, place)
    assert best is not None
    return best, place


@operator("AveragePool")
def average_pool(call: Call, x: Tensor) -> Tensor:
    """The mean of each window"""
    axes = axes_of(call, x.shape[2:], call["kernel_shape"])
    included = bool(call["count_include_pad"])
    padding = any(a.before or a.after for a in axes)
    if len(axes) == 2 and all(_even(a) and a.dilation == 1 and not a.missing for a in axes):
        a, b = axes
        kernel, stride, around = (a.kernel, b.kernel), (a.stride, b.stride), (a.before, b.before)
        return ops.average_pool2d(x, kernel, stride, around, included or not padding)
    mean = _mean(x, axes)
    for number, axis in enumerate(axes, 2):  # the number of elements in a window is a product over the axes
        low, high = (-axis.before, axis.size + axis.after) if included else (0, axis.size)
        counts = axis.inside(low, high)
        if np.any(counts != axis.kernel):
            shape = [axis.count if a == number else 1 for a in range(x.ndim)]
            mean = mean * constant((axis.kernel / counts).astype(x.dtype).reshape(shape))
    return mean


def _mean(x: Tensor, axes: Sequence[WindowAxis]) -> Tensor:
    """The sum of each window of the zero-padded x, divided by the kernel's size."""
    if any(a.dilation > 1 for a in axes):
        return _sums(padded(x, axes), axes) * (1 / math.prod(a.kernel for a in axes))
    return _pooled(padded(x, axes), [_inner(a) for a in axes], _average, 0.0)


def _average(x: Tensor, kernel: Pair, stride: Pair, padding: Pair, _: Pair) -> Tensor:
    return ops.average_pool2d(x, kernel, stride, padding)


def _inner(axis: WindowAxis) -> WindowAxis:
    """The same windows over the padded axis."""
    return WindowAxis(
        axis.size + axis.before + axis.after + axis.missing, axis.kernel, axis.stride, 1, 0, 0, axis.count
    )


@operator("LpPool")
def lp_pool(call: Call, x: Tensor) -> Tensor:
    """(sum of |x|^p)^(1/p) over each window"""
    axes = axes_of(call, x.shape[2:], call["kernel_shape"])
    p = float(call["p"])
    total = _mean(_to_power(x, p), axes) * float(math.prod(a.kernel for a in axes))
    return root(total, p)


def _to_power(x: Tensor, p: float) -> Tensor:
    return x * x if p == 2 else ops.power(ops.absolute(x), p)


@operator("GlobalAveragePool")
def global_average_pool(call: Call, x: Tensor) -> Tensor:
    """The mean of each channel"""
    return ops.global_average_pool2d(x) if x.ndim == 4 else ops.mean(x, range(2, x.ndim), keepdims=True)


@operator("GlobalMaxPool")
def global_max_pool(call: Call, x: Tensor) -> Tensor:
    """The largest element of each channel"""
    return ops.global_max_pool2d(x) if x.ndim == 4 else ops.max(x, range(2, x.ndim), keepdims=True)


@operator("GlobalLpPool")
def global_lp_pool(call: Call, x: Tensor) -> Tensor:
    """(sum of |x|^p)^(1/p) over each channel"""
    p = float(call["p"])
    return root(ops.sum(_to_power(x, p), range(2, x.ndim), keepdims=True), p)


@operator("MaxUnpool", settings=(2,))
def max_unpool(call: Call, x: Tensor, places: Tensor, output_shape: Tensor | None = None) -> Tensor:
    """Zeros, with the elements of x where max pooling found them"""
    count = x.ndim - 2
    strides, pads = per_axis(call, "strides", count, 1), list(call["pads"] or [0] * (2 * count))
    kernel = call["kernel_shape"]
    shape = list(x.shape[:2])
    for i in range(count):
        shape.append((x.shape[2 + i] - 1) * strides[i] + kernel[i] - pads[i] - pads[count + i])
    plain = tuple(shape)
    wanted = plain if output_shape is None else tuple(call.integers("output_shape", output_shape))
    if wanted != plain:  # the places count positions of the size that pooling saw
        places = constant(_moved(call.values("indices", places), plain, wanted))
    size = math.prod(wanted)
    where = ops.reshape(places, (places.size,))
    scatter = GatherGradient(0, size)
    total = apply(scatter, ops.reshape(x, (x.size,)), where)
    times = apply(scatter, call.make((x.size,), lambda: np.ones(x.size, x.dtype)), where)
    return ops.reshape(total / ops.maximum(times, 1.0), wanted)  # overlapping windows name an element more than once


def _moved(places: Array, before: tuple[int, ...], after: tuple[int, ...]) -> Array:
    """Positions in an array of one shape as positions in an array of another."""
    return np.asarray(np.ravel_multi_index(np.unravel_index(places, before), after))
