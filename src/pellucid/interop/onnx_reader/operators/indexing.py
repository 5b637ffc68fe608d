"""Picking elements by position, and putting them there."""

from __future__ import annotations

import math

import numpy as np

from pellucid import ops
from pellucid.graph import Constant, Tensor, apply, constant
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.ops.indexing import GatherGradient
from pellucid.ops.ranges import from_front
from pellucid.ops.scattering import COMBINATIONS, scatter


@operator("Gather")
def gather(call: Call, x: Tensor, places: Tensor) -> Tensor:
    """Slices of x along an axis"""
    axis = call.from_front(call["axis"], x.ndim)
    if isinstance(places.op, Constant) and places.size == 1:
        at = int(places.op.value.reshape(()))
        if not -x.shape[axis] <= at < x.shape[axis]:
            raise call.error(f"index {at} lies outside of axis {axis} with {x.shape[axis]} elements")
        at %= x.shape[axis]
        picked = x[(*[slice(None)] * axis, slice(at, at + 1))]
        return ops.reshape(picked, (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))
    return ops.gather(x, from_front(places, x.shape[axis]), axis)


def _flat_places(call: Call, x: Tensor, places: Tensor) -> Tensor:
    """Positions along an axis as positions in the flattened x."""
    axis = call.from_front(call["axis"], x.ndim)
    if places.ndim != x.ndim:
        raise call.error(f"positions {places.shape} must have as many axes as {x.shape}")
    strides = [math.prod(x.shape[a + 1 :]) for a in range(x.ndim)]
    flat = from_front(places, x.shape[axis]) * strides[axis]
    for a, size in enumerate(places.shape):
        if a != axis:
            flat = flat + _counted(call, size, a, x.ndim, strides[a])
    return flat


def _counted(call: Call, size: int, axis: int, ndim: int, stride: int) -> Tensor:
    """0, stride, 2 * stride, ... along an axis of `ndim`."""
    return call.make((size,), lambda: np.arange(size).reshape([size if a == axis else 1 for a in range(ndim)]) * stride)


@operator("GatherElements")
def gather_elements(call: Call, x: Tensor, places: Tensor) -> Tensor:
    """y[i, j] = x[places[i, j], j] along an axis"""
    axis = call.from_front(call["axis"], x.ndim)
    return ops.take_along(x, from_front(places, x.shape[axis]), axis)


@operator("GatherND")
def gather_nd(call: Call, x: Tensor, places: Tensor) -> Tensor:
    """Slices of x, each named by a row of positions along its first axes (after the batch axes)"""
    flat, depth, inner = _rows(call, x, places, call["batch_dims"] or 0)
    lead = math.prod(x.shape[:depth])
    y = ops.gather(ops.reshape(x, (lead, math.prod(inner))), flat)
    return ops.reshape(y, (*places.shape[:-1], *inner))


def _rows(call: Call, x: Tensor, places: Tensor, batch: int) -> tuple[Tensor, int, tuple[int, ...]]:
    """Rows of positions as positions along x's flattened first axes; how many those are; the shape of what is named."""
    depth = batch + places.shape[-1]
    if not 0 < depth <= x.ndim or x.shape[:batch] != places.shape[:batch]:
        raise call.error(f"positions {places.shape} do not fit {x.shape} with {batch} batch axes")
    strides = [math.prod(x.shape[a + 1 : depth]) for a in range(depth)]
    flat = constant(0)
    for a, size in enumerate(places.shape[:batch]):
        flat = flat + _counted(call, size, a, places.ndim - 1, strides[a])
    for number, axis in enumerate(range(batch, depth)):
        column = constant(places.op.value[..., number]) if isinstance(places.op, Constant) else places[..., number]
        flat = flat + from_front(column, x.shape[axis]) * strides[axis]
    return flat, depth, x.shape[depth:]


def _scattered(call: Call, x: Tensor, flat: Tensor, updates: Tensor) -> Tensor:
    """x (R, C) with rows `flat` set to, or combined with, updates (K, C)."""
    where = ops.reshape(flat, (flat.size,))
    kind = call["reduction"] or "none"
    if kind not in ("none", "add", *COMBINATIONS):
        raise call.error(f"reduction must be none, add, {', '.join(COMBINATIONS)}, got {kind!r}")
    if kind in COMBINATIONS:
        return scatter(x, where, updates, kind)
    total = apply(GatherGradient(0, x.shape[0]), updates, where)
    if kind == "add":
        return x + total
    dtype = updates.dtype if updates.dtype.startswith("float") else "int64"
    ones = call.make((flat.size, 1), lambda: np.ones((flat.size, 1), dtype))
    hits = apply(GatherGradient(0, x.shape[0]), ones, where)
    return ops.where(ops.greater(hits, 0), total, x)


@operator("ScatterElements", "Scatter")
def scatter_elements(call: Call, x: Tensor, places: Tensor, updates: Tensor) -> Tensor:
    """x with x[places[i, j], j] = updates[i, j] along an axis"""
    flat = _flat_places(call, x, places)
    y = _scattered(call, ops.reshape(x, (x.size, 1)), flat, ops.reshape(updates, (updates.size, 1)))
    return ops.reshape(y, x.shape)


@operator("ScatterND")
def scatter_nd(call: Call, x: Tensor, places: Tensor, updates: Tensor) -> Tensor:
    """x with the slices that rows of positions name set to updates"""
    flat, depth, inner = _rows(call, x, places, 0)
    width = math.prod(inner)
    rows = ops.reshape(x, (math.prod(x.shape[:depth]), width))
    return ops.reshape(_scattered(call, rows, flat, ops.reshape(updates, (flat.size, width))), x.shape)


@operator("OneHot", settings=(1,))
def one_hot(call: Call, places: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    """values[1] at each position along a new axis, else values[0]"""
    size = int(call.values("depth", depth).reshape(()))
    axis = call.from_front(call["axis"], places.ndim + 1)
    whole = ops.cast(places, "int64")
    shape = [1] * (places.ndim + 1)
    shape[axis] = size
    whole = ops.where(ops.less(whole, 0), whole + size, whole)
    where = ops.reshape(whole, (*places.shape[:axis], 1, *places.shape[axis:]))
    count = call.make((size,), lambda: np.arange(size).reshape(shape))
    return ops.where(ops.equal(where, count), values[1], values[0])


@operator("Trilu", settings=(1,))
def triangle(call: Call, x: Tensor, offset: Tensor | None = None) -> Tensor:
    """The upper or lower triangle of matrices, else 0"""
    k = 0 if offset is None else int(call.values("k", offset).reshape(()))
    rows, columns = x.shape[-2:]
    edge = k - 1 if call["upper"] else k
    kept = call.make((rows, columns), lambda: np.tri(rows, columns, edge, dtype=bool) ^ bool(call["upper"]))
    return ops.where(kept, x, constant(np.zeros((), x.dtype)))


@operator("ReverseSequence")
def reverse_sequence(call: Call, x: Tensor, lengths: Tensor) -> Tensor:
    """The first `lengths[n]` elements of each sequence of a batch the other way round, the others as they are"""
    batch, time = (call.from_front(call[name], x.ndim) for name in ("batch_axis", "time_axis"))
    if batch == time or lengths.shape != (x.shape[batch],):
        raise call.error(f"lengths {lengths.shape} do not fit axis {batch} of {x.shape}, with time along axis {time}")
    shape = [x.shape[a] if a in (batch, time) else 1 for a in range(x.ndim)]
    count = call.make(
        (shape[time],), lambda: np.arange(shape[time]).reshape([-1 if a == time else 1 for a in range(x.ndim)])
    )
    ends = ops.reshape(lengths, [n if a == batch else 1 for a, n in enumerate(shape)])
    places = ops.where(ops.less(count, ends), ends - 1 - count, count)
    return ops.take_along(x, ops.broadcast_to(places, x.shape), time)
