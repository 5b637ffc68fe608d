"""The last resort: an op's reference kernel, between steps in C++, on the very memory."""

from __future__ import annotations

from typing import Any

from pellucid.executors.plan.buffers import PLAIN, view_of
from pellucid.executors.plan.builder import Builder
from pellucid.executors.plan.steps import Step
from pellucid.graph import Tensor
from pellucid.walks import evaluate


def fall_back(to: Builder, node: Tensor) -> None:
    """Run the op's reference kernel, on plain arrays."""
    views = [to.whole(i, PLAIN) for i in node.inputs]
    result, name, op = to.buffer(node, dtype=node.dtype), to.names[node], node.op

    def run(context: Any) -> None:
        context.array(view_of(result))[...] = evaluate(node, [context.array(v) for v in views], name)

    to.fallbacks.add(type(op).__name__)
    reads, flops = [v.buffer for v in views], op.cost(node).flops
    to.add(Step(name, f"reference {op.kind}", reads, [result], flops, run=run, constant=node in to.fixed))
    to.made(node, result)
