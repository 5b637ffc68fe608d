"""Sums and maxima: roots of chains that go over what is reduced."""

from __future__ import annotations

from pellucid.executors.plan.buffers import view_of
from pellucid.executors.plan.builder import Builder
from pellucid.executors.plan.kernels.family import Family
from pellucid.executors.plan.steps import Root
from pellucid.graph import Tensor
from pellucid.ops.reduction import Max, Sum


def _sum(to: Builder, node: Tensor, op: Sum) -> bool:
    return node.dtype in ("float32", "int64") and _reduce(to, node, op, "sum")


def _max(to: Builder, node: Tensor, op: Max) -> bool:
    return node.dtype == "float32" and _reduce(to, node, op, "max")


def _reduce(to: Builder, node: Tensor, op: Sum | Max, write: str) -> bool:
    (source,) = node.inputs
    out = view_of(to.buffer(node))
    kept = tuple(1 if a in op.axes else n for a, n in enumerate(source.shape))
    to.add_root(Root(node, source, write, out.of(out.array.reshape(kept))), source.shape)
    to.values[node] = out
    return True


LOWERINGS: Family = {Sum: _sum, Max: _max}
