"""Operators that move, repeat, cut or join elements, and those that make constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.graph import Tensor, constant
from pellucid.interop.torch_module.aten.layers import pair
from pellucid.interop.torch_module.aten.registry import OPERATORS, alike, aten, require
from pellucid.ops.ranges import from_front

Ints = Sequence[int]
OPERATORS["getitem"] = lambda values, index: values[index]


@aten("sym_size.int")
def size(x: Tensor, dim: int) -> int:
    return x.shape[dim]


def _at(x: Tensor, dim: int, key: Any) -> Tensor:
    return x[(*(slice(None),) * (dim % x.ndim), key)]


@aten("view.default", "_unsafe_view.default")
def reshape(x: Tensor, size: Ints) -> Tensor:
    return ops.reshape(x, size)


@aten("permute.default")
def permute(x: Tensor, dims: Ints) -> Tensor:
    return ops.transpose(x, dims)


@aten("transpose.int")
def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    order = list(range(x.ndim))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return ops.transpose(x, order)


@aten("t.default")
def turn(x: Tensor) -> Tensor:
    return ops.transpose(x)


@aten("squeeze.default", "squeeze.dim", "squeeze.dims")
def squeeze(x: Tensor, dim: int | Ints | None = None) -> Tensor:
    dims = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    gone = {d % x.ndim for d in dims}
    return ops.reshape(x, [n for axis, n in enumerate(x.shape) if axis not in gone or n != 1])


@aten("unsqueeze.default")
def unsqueeze(x: Tensor, dim: int) -> Tensor:
    at = dim % (x.ndim + 1)
    return ops.reshape(x, (*x.shape[:at], 1, *x.shape[at:]))


@aten("expand.default")
def expand(x: Tensor, size: Ints, implicit: bool = False) -> Tensor:
    own = (*(1,) * (len(size) - x.ndim), *x.shape)
    return ops.broadcast_to(x, [n if s == -1 else s for n, s in zip(own, size, strict=True)])


@aten("repeat.default")
def repeat(x: Tensor, repeats: Ints) -> Tensor:
    own = (*(1,) * (len(repeats) - x.ndim), *x.shape)
    split = [part for n in own for part in (1, n)]
    wide = [part for times, n in zip(repeats, own, strict=True) for part in (times, n)]
    tiled = ops.broadcast_to(ops.reshape(x, split), wide)
    return ops.reshape(tiled, [times * n for times, n in zip(repeats, own, strict=True)])


@aten("slice.Tensor")
def cut(x: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    if start in (None, 0) and (end is None or end >= x.shape[dim]) and step == 1:
        return x
    return _at(x, dim, slice(start, end, step))


@aten("select.int")
def select(x: Tensor, dim: int, index: int) -> Tensor:
    return _at(x, dim, index)


@aten("split.Tensor")
def split(x: Tensor, split_size: int, dim: int = 0) -> list[Tensor]:
    return [_at(x, dim, slice(start, start + split_size)) for start in range(0, x.shape[dim], split_size)]


@aten("split_with_sizes.default")
def split_by_sizes(x: Tensor, split_sizes: Ints, dim: int = 0) -> list[Tensor]:
    ends = np.cumsum(split_sizes).tolist()
    return [_at(x, dim, slice(end - n, end)) for end, n in zip(ends, split_sizes, strict=True)]


@aten("unbind.int")
def unbind(x: Tensor, dim: int = 0) -> list[Tensor]:
    return [_at(x, dim, index) for index in range(x.shape[dim])]


@aten("cat.default")
def join(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    return ops.concat(alike(*tensors), dim)


@aten("stack.default")
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    return ops.concat([unsqueeze(x, dim % (x.ndim + 1)) for x in alike(*tensors)], dim % (tensors[0].ndim + 1))


@aten("flip.default")
def flip(x: Tensor, dims: Ints) -> Tensor:
    return ops.flip(x, dims)


@aten("roll.default")
def roll(x: Tensor, shifts: Ints, dims: Ints = ()) -> Tensor:
    require(bool(dims), "rolling over all axes")
    for shift, dim in zip(shifts, dims, strict=True):
        at = -shift % max(x.shape[dim], 1)
        if at:
            x = ops.concat([_at(x, dim, slice(at, None)), _at(x, dim, slice(0, at))], dim)
    return x


@aten("index_select.default")
def index_select(x: Tensor, dim: int, index: Tensor) -> Tensor:
    return ops.gather(x, index, dim)


@aten("index.Tensor")
def index(x: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    given = [(axis, i) for axis, i in enumerate(indices) if i is not None]
    require(len(given) == 1 and given[0][1].dtype == "int64", "indexing with several tensors or with a mask")
    axis, places = given[0]
    return ops.gather(x, from_front(places, x.shape[axis]), axis)


@aten("pixel_shuffle.default")
def pixel_shuffle(x: Tensor, factor: int) -> Tensor:
    n, c, h, w = x.shape
    parts = ops.reshape(x, (n, c // factor**2, factor, factor, h, w))
    return ops.reshape(ops.transpose(parts, (0, 1, 4, 2, 5, 3)), (n, c // factor**2, h * factor, w * factor))


@aten("pixel_unshuffle.default")
def pixel_unshuffle(x: Tensor, factor: int) -> Tensor:
    n, c, h, w = x.shape
    parts = ops.reshape(x, (n, c, h // factor, factor, w // factor, factor))
    return ops.reshape(ops.transpose(parts, (0, 1, 3, 5, 2, 4)), (n, c * factor**2, h // factor, w // factor))


@aten("channel_shuffle.default")
def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    n, c, *rest = x.shape
    parts = ops.reshape(x, (n, groups, c // groups, math.prod(rest)))
    return ops.reshape(ops.transpose(parts, (0, 2, 1, 3)), x.shape)


@aten("im2col.default")
def unfold(x: Tensor, kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints) -> Tensor:
    return ops.unfold(x, pair(kernel_size), pair(stride), pair(padding), pair(dilation))


@aten("col2im.default")
def fold(x: Tensor, output_size: Ints, kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints) -> Tensor:
    return ops.fold(x, pair(output_size), pair(kernel_size), pair(stride), pair(padding), pair(dilation))


@aten("unfold.default")
def windows(x: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows along an axis, whose elements are a new last axis"""
    at = dimension % x.ndim
    count = (x.shape[at] - size) // step + 1
    places = np.arange(count)[:, None] * step + np.arange(size)
    parts = ops.reshape(
        ops.gather(x, constant(places.reshape(-1)), at), (*x.shape[:at], count, size, *x.shape[at + 1 :])
    )
    return ops.transpose(parts, [*(a for a in range(x.ndim + 1) if a != at + 1), at + 1])


@aten("diagonal.default")
def diagonal(x: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two axes as a new last one"""
    first, second = dim1 % x.ndim, dim2 % x.ndim
    kept = [a for a in range(x.ndim) if a not in (first, second)]
    rows, columns = x.shape[first], x.shape[second]
    row = np.arange(max(0, -offset), max(0, min(rows, columns - offset)), dtype=np.int64)
    flat = ops.reshape(ops.transpose(x, [*kept, first, second]), (*(x.shape[a] for a in kept), rows * columns))
    return ops.gather(flat, constant(row * columns + row + offset), len(kept))


def pad_constant(x: Tensor, pad: Ints, value: float = 0.0) -> Tensor:
    widths = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    inner = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(widths, x.shape, strict=True))
    around = [(max(a, 0), max(b, 0)) for a, b in widths]
    if any(part != slice(0, n) for part, n in zip(inner, x.shape, strict=True)):
        x = x[inner]
    return ops.pad(x, around, value) if any(map(any, around)) else x


_PLACES: dict[str, Callable[[Any, int], Any]] = {
    "reflect": lambda at, n: (n - 1) - abs((n - 1) - abs(at)),
    "replicate": lambda at, n: np.clip(at, 0, n - 1),
    "circular": lambda at, n: at % n,
}


@aten("pad.default")
def pad(x: Tensor, pad: Ints, mode: str = "constant", value: float | None = None) -> Tensor:
    if mode == "constant":
        return pad_constant(x, pad, value or 0.0)
    for number, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        axis = x.ndim - 1 - number
        if before or after:
            places = _PLACES[mode](np.arange(-before, x.shape[axis] + after), x.shape[axis])
            x = ops.gather(x, constant(places.astype(np.int64)), axis)
    return x


@aten("full.default")
def full(size: Ints, value: Any, dtype: str | None = None, **_: Any) -> Tensor:
    kind = dtype or ("bool" if isinstance(value, bool) else "int64" if isinstance(value, int) else "float32")
    return constant(np.full(tuple(size), value, kind))


@aten("zeros.default")
def zeros(size: Ints, dtype: str | None = None, **_: Any) -> Tensor:
    return full(size, 0, dtype or "float32")


@aten("ones.default")
def ones(size: Ints, dtype: str | None = None, **_: Any) -> Tensor:
    return full(size, 1, dtype or "float32")


@aten("full_like.default")
def full_like(x: Tensor, value: Any, dtype: str | None = None, **_: Any) -> Tensor:
    return full(x.shape, value, dtype or x.dtype)


@aten("zeros_like.default", "empty_like.default")
def zeros_like(x: Tensor, dtype: str | None = None, **_: Any) -> Tensor:
    return full_like(x, 0, dtype)


@aten("ones_like.default")
def ones_like(x: Tensor, dtype: str | None = None, **_: Any) -> Tensor:
    return full_like(x, 1, dtype)


@aten("new_zeros.default", "new_empty.default")
def new_zeros(x: Tensor, size: Ints, dtype: str | None = None, **_: Any) -> Tensor:
    return full(size, 0, dtype or x.dtype)


@aten("new_ones.default")
def new_ones(x: Tensor, size: Ints, dtype: str | None = None, **_: Any) -> Tensor:
    return full(size, 1, dtype or x.dtype)


@aten("new_full.default")
def new_full(x: Tensor, size: Ints, value: Any, dtype: str | None = None, **_: Any) -> Tensor:
    return full(size, value, dtype or x.dtype)


@aten("scalar_tensor.default")
def scalar(value: Any, dtype: str | None = None, **_: Any) -> Tensor:
    return full((), value, dtype or "float32")


@aten("arange.default", "arange.start", "arange.start_step")
def arange(*bounds: Any, dtype: str | None = None, **_: Any) -> Tensor:
    whole = all(isinstance(b, int) for b in bounds)
    return constant(np.arange(*bounds).astype(dtype or ("int64" if whole else "float32")))


@aten("select_scatter.default")
def write_one(x: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """x with `src` at one place of an axis"""
    at = index % x.shape[dim]
    return write_slice(x, unsqueeze(src, dim % x.ndim), dim, at, at + 1)


@aten("slice_scatter.default")
def write_slice(
    x: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """x with `src` in a slice of an axis"""
    require(step == 1, "writing into every n-th element")
    first, last, _ = slice(start, end).indices(x.shape[dim])
    parts = [_at(x, dim, slice(0, first)), src, _at(x, dim, slice(last, None))]
    return ops.concat([part for part in parts if part.size], dim) if any(p.size for p in parts) else x


@aten("copy.default")
def copy(x: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """`src` in the shape and type of x"""
    return ops.broadcast_to(ops.cast(src, x.dtype), x.shape)


@aten("fill.Scalar")
def fill(x: Tensor, value: Any) -> Tensor:
    return full_like(x, value)


aten("fill.Tensor")(copy)
