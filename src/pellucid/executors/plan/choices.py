"""Which values of a program lie in memory, and which chains compute again where they need them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pellucid.executors.plan.chains import COSTLY, is_arithmetic, is_number
from pellucid.graph import Graph, Parameter, Tensor
from pellucid.op import Shape
from pellucid.ops.reduction import Max, Sum
from pellucid.walks import depending

_MOST_OPS, _MOST_LEAVES = 24, 4
"""Operations of a chain, and values it reads, beyond which a value is stored on the way."""
Readers = Mapping[Tensor, Sequence[Tensor]]


def updates_in_place(
    graph: Graph,
    readers: Readers,
    outputs: Sequence[Tensor],
    updates: Mapping[Parameter, Tensor],
    demoted: Collection[Parameter],
) -> dict[Tensor, Parameter]:
    """Update values that chains write straight into their parameter, by value."""
    chosen: dict[Tensor, Parameter] = {}
    for parameter, value in updates.items():
        if parameter in demoted or value in chosen or not is_arithmetic(value) or is_number(value):
            continue
        if not any(value is o for o in outputs):
            chosen[value] = parameter
    for node in depending(graph.nodes, chosen):  # what is computed from an update's value must be part of updates alone
        if not is_arithmetic(node) or any(node is o for o in outputs):
            return {v: p for v, p in chosen.items() if all(r is v for r in readers[v])}
    return chosen


def kept_values(graph: Graph, readers: Readers, updates: Mapping[Parameter, Tensor]) -> set[Tensor]:
    """Arithmetic nodes whose value is stored: others read them, or computing them again would cost more."""
    kept = {v for v in updates.values() if is_arithmetic(v) and not is_number(v)}
    leaves: dict[Tensor, frozenset[Tensor]] = {}
    work: dict[Tensor, int] = {}
    for node in graph.nodes:
        if not is_arithmetic(node):
            continue
        for user in readers[node]:
            computes = is_arithmetic(user) or isinstance(user.op, Sum | Max)
            if user is node or not computes or _loops(user) != node.shape:
                kept.add(node)
        whole = frozenset[Tensor]()
        ops = 1
        for value in node.inputs:
            if is_arithmetic(value) and value not in kept:
                whole |= leaves[value]
                ops += work[value]
            elif value.shape == node.shape and not is_number(value):
                whole |= {value}
        several = len(set(readers[node])) > 1
        if len(whole) > _MOST_LEAVES or ops > _MOST_OPS or (several and _costly(node, kept)):
            kept.add(node)
        leaves[node], work[node] = whole, ops
    return kept


def _costly(node: Tensor, kept: set[Tensor]) -> bool:
    if node.op.kind in COSTLY:
        return True
    return any(is_arithmetic(i) and i not in kept and _costly(i, kept) for i in node.inputs)


def _loops(node: Tensor) -> Shape:
    return node.inputs[0].shape if isinstance(node.op, Sum | Max) else node.shape
