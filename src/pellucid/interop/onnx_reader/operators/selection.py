"""Choosing elements by their values: the largest, those that are not zero, boxes that do not overlap, different ones."""

from __future__ import annotations

import numpy as np

from pellucid import ops
from pellucid.graph import Tensor, apply, constant
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.interop.onnx_reader.ragged import Ragged
from pellucid.ops.indexing import GatherGradient
from pellucid.ops.selection import NonZero, Unique, select_boxes, selected


@operator("TopK", settings=(1,))
def top_k(call: Call, x: Tensor, k: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k largest or smallest elements along an axis, and where they stand"""
    count = call["k"] if k is None else int(call.values("k", k).reshape(()))
    return ops.top_k(x, count, call.from_front(call["axis"], x.ndim), call["largest"] in (None, 1))


@operator("NonMaxSuppression", settings=(2, 3, 4))
def suppress(
    call: Call,
    boxes: Tensor,
    scores: Tensor,
    most: Tensor | None = None,
    overlap: Tensor | None = None,
    least: Tensor | None = None,
) -> Ragged:
    """Rows (picture, class, box) of the boxes that remain"""
    numbers = [None if t is None else float(call.values("a limit", t).reshape(())) for t in (most, overlap, least)]
    kept = max(0, min(int(numbers[0] or 0), scores.shape[-1] if scores.ndim else 0))
    return Ragged(
        *_first(0, *select_boxes(boxes, scores, kept, numbers[1] or 0.0, numbers[2], bool(call["center_point_box"])))
    )


def _first(axis: int, rows: Tensor, count: Tensor) -> tuple[Tensor, int, Tensor]:
    return rows, axis, count


@operator("NonZero")
def nonzero(call: Call, x: Tensor) -> Ragged:
    """Where x is not 0, one row for each axis"""
    return Ragged(*_first(1, *selected(apply(NonZero(), x), 1)))


@operator("Compress")
def compress(call: Call, x: Tensor, condition: Tensor) -> Ragged:
    """The elements, or slices along an axis, for which the condition holds"""
    if condition.ndim != 1:
        raise call.error(f"its condition must have one axis, got {condition.shape}")
    axis = call["axis"]
    x, along = (ops.reshape(x, (x.size,)), 0) if axis is None else (x, call.from_front(axis, x.ndim))
    condition = condition[: x.shape[along]]
    places, count = selected(apply(NonZero(), condition), 1)
    return Ragged(ops.gather(x, places[0], along), along, count)


@operator("Unique")
def unique(call: Call, x: Tensor) -> list[Tensor | Ragged]:
    """The different elements, or slices along an axis; where each first stands, which of them each is, how often"""
    axis = None if call["axis"] is None else call.from_front(call["axis"], x.ndim)
    ordered = bool(call["sorted"])
    first = apply(Unique(axis, ordered, False), x)
    which = apply(Unique(axis, ordered, True), x)
    count = ops.sum(ops.cast(ops.greater_equal(first, 0), "int64"))
    first = ops.maximum(first, 0)
    values = ops.gather(ops.reshape(x, (x.size,)) if axis is None else x, first, axis or 0)
    times = apply(GatherGradient(0, first.size), ops.broadcast_to(constant(np.ones((), np.int64)), which.shape), which)
    return [Ragged(values, axis or 0, count), Ragged(first, 0, count), which, Ragged(times, 0, count)]
