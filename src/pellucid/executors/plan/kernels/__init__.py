"""Lowering of what is no elementwise arithmetic: a table from ops to functions, one file for each family of kernels."""

from __future__ import annotations

from pellucid.executors.passes.fuse import Fused
from pellucid.executors.plan.builder import Builder
from pellucid.executors.plan.kernels import assembly, convolution, picking, pooling, product, reduction, views
from pellucid.executors.plan.kernels.family import Family
from pellucid.executors.plan.kernels.reference import fall_back
from pellucid.graph import Tensor

FAMILIES = (convolution, product, pooling, picking, reduction, assembly, views)
LOWERINGS: Family = {op: lowering for family in FAMILIES for op, lowering in family.LOWERINGS.items()}
"""What adds the steps of an op. It says False where its kernels do not take the node, which then runs its reference."""


def lower(to: Builder, node: Tensor) -> None:
    """Add the steps that compute `node`."""
    op = node.op.framed if isinstance(node.op, Fused) else node.op
    lowering = LOWERINGS.get(type(op))
    if lowering is None or not lowering(to, node, op):
        fall_back(to, node)
