"""Rebuilding a graph node by node: what every pass is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pellucid.graph import Constant, Input, Parameter, Tensor, topological

Outputs = tuple[Tensor, ...]
Rule = Callable[[Tensor, tuple[Tensor, ...]], Tensor | None]
"""Given a node and its rewritten inputs: what stands in its place, or None to keep the node."""


def rewrite(outputs: Sequence[Tensor], rule: Rule) -> Outputs:
    """The graph of `outputs` with `rule` applied to every node, inputs first."""
    new: dict[Tensor, Tensor] = {}
    for node in topological(outputs):
        inputs = tuple(new[i] for i in node.inputs)
        other = rule(node, inputs)
        new[node] = rebuilt(node, inputs) if other is None else other
    return tuple(new[o] for o in outputs)


def rebuilt(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    """`node` on other inputs, or itself if they are the same."""
    if all(a is b for a, b in zip(node.inputs, inputs, strict=True)):
        return node
    return Tensor(node.op, inputs, node.shape, node.dtype, node.name)


def users(outputs: Sequence[Tensor]) -> dict[Tensor, list[Tensor]]:
    """For every node the nodes that read it, once per reading; an output counts as read by itself."""
    found: dict[Tensor, list[Tensor]] = {}
    for node in topological(outputs):
        found.setdefault(node, [])
        for value in node.inputs:
            found[value].append(node)
    for output in outputs:
        found[output].append(output)
    return found


def constant_nodes(outputs: Sequence[Tensor], changing: Sequence[Parameter]) -> set[Tensor]:
    """Nodes that no input and none of the parameters in `changing` has a part in."""
    found: set[Tensor] = set()
    for node in topological(outputs):
        if isinstance(node, Parameter):
            fixed = not any(node is p for p in changing)
        elif isinstance(node.op, Constant):
            fixed = True
        else:
            fixed = not isinstance(node.op, Input) and all(i in found for i in node.inputs)
        if fixed:
            found.add(node)
    return found
