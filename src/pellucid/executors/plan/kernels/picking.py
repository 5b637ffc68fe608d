"""Elements at given places, regions of interest, ranks, and boxes that do not overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pellucid.executors.compiled import _native
from pellucid.executors.plan.buffers import NOWHERE, PLAIN, view_of
from pellucid.executors.plan.builder import Builder
from pellucid.executors.plan.kernels.family import Family
from pellucid.executors.plan.steps import Step
from pellucid.graph import Tensor
from pellucid.ops.indexing import Gather, GatherGradient
from pellucid.ops.ranking import TopKIndices
from pellucid.ops.region import RoiAlign, RoiAlignGradient, RoiMaxPlaces
from pellucid.ops.sampling import Blend, Likeness, Spread
from pellucid.ops.selection import NonMaxSuppression

_KIND = _native.Picking
_PLACED = {Blend: _KIND.blend, Spread: _KIND.spread, Likeness: _KIND.likeness}
_REGIONS = {RoiAlign: _KIND.region_average, RoiAlignGradient: _KIND.region_spread}


def _placed(to: Builder, node: Tensor, op: Blend | Spread | Likeness) -> bool:
    images = node if isinstance(op, Spread) else node.inputs[0]
    places = node.inputs[2]
    count = math.prod(places.shape[1:-1])
    sizes = [*images.shape[:2], math.prod(images.shape[2:]), count, places.shape[-1]]
    return _add(to, node, _PLACED[type(op)], sizes)


def _regions(to: Builder, node: Tensor, op: RoiAlign | RoiAlignGradient) -> bool:
    images = node.inputs[0] if isinstance(op, RoiAlign) else node
    bins = op.bins
    sizes = [node.inputs[1].shape[0], *images.shape, *bins.size, bins.samples, int(bins.aligned)]
    return _add(to, node, _REGIONS[type(op)], sizes, [bins.scale])


def _winners(to: Builder, node: Tensor, op: RoiMaxPlaces) -> bool:
    return _add(to, node, _KIND.region_winners, [node.shape[0], *node.inputs[0].shape, *op.size], [op.scale])


def _taken(to: Builder, node: Tensor, op: Gather) -> bool:
    x, places = node.inputs
    sizes = [math.prod(x.shape[: op.axis]), x.shape[op.axis], math.prod(x.shape[op.axis + 1 :]), places.size]
    return _add(to, node, _KIND.taken, sizes)


def _given(to: Builder, node: Tensor, op: GatherGradient) -> bool:
    picks = node.inputs[1].size
    sizes = [math.prod(node.shape[: op.axis]), op.size, math.prod(node.shape[op.axis + 1 :]), picks]
    return _add(to, node, _KIND.given, sizes)


def _ranks(to: Builder, node: Tensor, op: TopKIndices) -> bool:
    shape, axis = node.inputs[0].shape, op.axis
    sizes = [math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]), op.count, int(op.largest)]
    return _add(to, node, _KIND.ranks, sizes)


def _suppression(to: Builder, node: Tensor, op: NonMaxSuppression) -> bool:
    pictures, classes, boxes = node.inputs[1].shape
    sizes = [pictures, boxes, classes, min(op.most, boxes), int(op.center), int(op.least is not None)]
    return _add(to, node, _KIND.suppression, sizes, [op.overlap, op.least or 0.0])


def _add(to: Builder, node: Tensor, kind: _native.Picking, sizes: Sequence[int], numbers: Sequence[float] = ()) -> bool:
    """A step on operands as they are written; False where one is neither float32 nor places in int64, and for nothing."""
    if (
        any(t.dtype not in ("float32", "int64") for t in node.inputs)
        or node.inputs[0].dtype != "float32"
        or not all(t.size for t in (node, *node.inputs))
    ):
        return False
    views = [to.whole(i, PLAIN) for i in node.inputs]
    result, name = to.buffer(node, PLAIN, node.dtype), to.names[node]
    reads = [v.buffer for v in views]
    if node.op.requires():

        def require(context: Any) -> None:
            node.op.require(node, name, *(context.array(v) for v in views))

        to.add(Step(name, f"look at {node.op.kind}", reads, [], run=require, constant=node in to.fixed))

    def add(program: _native.Program) -> None:
        a, b, c = (*(v.place for v in views), *(NOWHERE,) * (3 - len(views)))
        program.add_picking(name, kind, sizes, numbers, a, b, c, view_of(result).place)

    to.add(Step(name, node.op.kind, reads, [result], node.op.cost(node).flops, add=add, constant=node in to.fixed))
    to.made(node, result)
    return True


LOWERINGS: Family = {
    Blend: _placed,
    Spread: _placed,
    Likeness: _placed,
    RoiAlign: _regions,
    RoiAlignGradient: _regions,
    RoiMaxPlaces: _winners,
    Gather: _taken,
    GatherGradient: _given,
    TopKIndices: _ranks,
    NonMaxSuppression: _suppression,
}
