"""Values put together of parts: an empty buffer, then each part copied to its place."""

from __future__ import annotations

import numpy as np

from pellucid.executors.plan.buffers import BLOCK, BLOCKED, PLAIN, View, view_of
from pellucid.executors.plan.builder import Builder
from pellucid.executors.plan.kernels.family import Family
from pellucid.executors.plan.steps import Root
from pellucid.graph import Constant, Tensor
from pellucid.ops.indexing import Pad, SliceGradient
from pellucid.ops.shape import Concat


def _concat(to: Builder, node: Tensor, op: Concat) -> bool:
    if any(t.dtype != "float32" for t in (node, *node.inputs)):
        return False
    views = [to.values.get(i) for i in node.inputs]
    join_blocks = op.axis == 1 and all(v is not None and v.blocked for v in views)
    whole = view_of(to.buffer(node, BLOCKED if join_blocks else PLAIN))
    start = 0
    for part in node.inputs:
        size = part.shape[op.axis] // (BLOCK if join_blocks else 1)
        _put(to, node, part, whole, (*(slice(None),) * op.axis, slice(start, start + size)))
        start += size
    to.values[node] = whole
    return True


def _pad(to: Builder, node: Tensor, op: Pad) -> bool:
    inside = tuple(slice(a, a + n) for a, n in zip(op.before, node.inputs[0].shape, strict=True))
    return _framed(to, node, inside, op.value)


def _slice_gradient(to: Builder, node: Tensor, op: SliceGradient) -> bool:
    return _framed(to, node, tuple(map(slice, op.starts, op.stops, op.steps)), 0.0)


def _framed(to: Builder, node: Tensor, inside: tuple[slice, ...], value: float) -> bool:
    """The operand at `inside`, one number everywhere else."""
    if node.dtype != "float32":
        return False
    whole = view_of(to.buffer(node))
    fill = Tensor(Constant(np.float32(value).tobytes(), "float32", ()), (), (), "float32", "fill")
    to.add_root(Root(fill, fill, "store", whole), node.shape, join=False, constant=node in to.fixed)
    _put(to, node, node.inputs[0], whole, inside)
    to.values[node] = whole
    return True


def _put(to: Builder, node: Tensor, part: Tensor, whole: View, at: tuple[slice, ...]) -> None:
    place = whole.of(whole.array[at])
    to.copy(part, to.values.get(part), place, join=False, constant=node in to.fixed)


LOWERINGS: Family = {Concat: _concat, Pad: _pad, SliceGradient: _slice_gradient}
