"""Primitives that are sums of simpler things, written out, so that the other passes see what they share."""

from __future__ import annotations

from pellucid.executors.passes.rewrite import Outputs, rewrite
from pellucid.graph import Tensor, root_scope
from pellucid.ops.reduction import Variance, mean


def decompose(outputs: Outputs) -> Outputs:
    """Variances become means of squares: their mean is then the one that is computed anyway."""

    def rule(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor | None:
        if not isinstance(node.op, Variance):
            return None
        with root_scope():
            (x,) = inputs
            centred = x - mean(x, node.op.axes, keepdims=True)
            return mean(centred * centred, node.op.axes, node.op.keepdims).named(node.name)

    return rewrite(outputs, rule)
