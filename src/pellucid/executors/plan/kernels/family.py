"""What a family of kernels gives: for each op the function that adds its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.executors.plan.builder import Builder
from pellucid.graph import Tensor
from pellucid.op import Op

Lowering = Callable[[Builder, Tensor, Any], bool]
"""Given the builder, the node and its op (of a fused node that of its core): whether the steps were added."""
Family = dict[type[Op], Lowering]


def of_floats(lowering: Lowering) -> Lowering:
    """The lowering where all that a node reads and is are float32, and nothing is empty."""

    def lower(to: Builder, node: Tensor, op: Op) -> bool:
        able = all(t.dtype == "float32" and t.size for t in (node, *node.inputs))
        return able and lowering(to, node, op)

    return lower
