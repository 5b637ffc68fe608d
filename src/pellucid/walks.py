"""Ways through a graph: who reads what, what depends on what, a graph rebuilt node by node, evaluated, and checked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import is_

import numpy as np

from pellucid.errors import GraphError
from pellucid.op import Array
from pellucid.parameter import Parameter
from pellucid.tensor import Constant, Input, Tensor, topological

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
    return node if all(map(is_, node.inputs, inputs)) else node.made_of(node.op, inputs)


def replaced(outputs: Sequence[Tensor], given: Mapping[Tensor, Tensor]) -> list[Tensor]:
    """The same outputs, computed from other nodes where `given` has some."""
    new: dict[Tensor, Tensor] = dict(given)
    for node in topological(outputs, given):
        new[node] = rebuilt(node, tuple(new[i] for i in node.inputs))
    return [new[o] for o in outputs]


def depending(nodes: Iterable[Tensor], on: Iterable[Tensor]) -> set[Tensor]:
    """Those of `nodes`, in topological order, that one of `on` has a part in, and `on` itself."""
    found = set(on)
    for node in nodes:
        if any(i in found for i in node.inputs):
            found.add(node)
    return found


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


def bottlenecks(outputs: Sequence[Tensor], images: Tensor) -> list[Tensor]:
    """Values that everything after them, up to `outputs`, needs `images` only through, in order."""
    to_come = {value: len(readers) for value, readers in users(outputs).items()}
    nodes = topological(outputs)
    made = depending(nodes, [images])
    needed, found = {images}, list[Tensor]()
    for node in nodes:
        for value in node.inputs:
            to_come[value] -= 1
            if not to_come[value]:
                needed.discard(value)
        if node in made and node is not images:
            needed.add(node)
            if needed == {node}:
                found.append(node)
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


def finished(nodes: Sequence[Tensor], kept: Collection[Tensor]) -> list[list[Tensor]]:
    """For each of `nodes`, in order of computation, the values that none after it reads, but for those in `kept`."""
    last_reader = {value: position for position, node in enumerate(nodes) for value in node.inputs}
    found: list[list[Tensor]] = [[] for _ in nodes]
    for value, position in last_reader.items():
        if value not in kept:
            found[position].append(value)
    return found


def evaluate(node: Tensor, arrays: Sequence[Array], name: str = "") -> Array:
    """The value of a node of its inputs' values, by the op's reference; errors call it by `name`, else by its own."""
    node.op.require(node, name or node.name, *arrays)
    with np.errstate(all="ignore"):  # NaN and infinity are values here; who guards against them looks for them
        return np.asarray(node.op.reference(*arrays)).astype(node.dtype, copy=False)


def check(outputs: Sequence[Tensor], given: Iterable[Tensor] = ()) -> None:
    """Raise `GraphError` for a node whose shape or element type is not what its op makes of its inputs.

    Nodes in `given` are right already, and so is what they are made of.
    """
    for node in topological(outputs, given):
        if not node.inputs and not isinstance(node.op, Constant):
            continue
        right = node.op.shape(*node.inputs), node.op.dtype(*node.inputs)
        if (node.shape, node.dtype) != right:
            raise GraphError(
                f"{node.name}: says {node.dtype}{node.shape}, but {node.op.kind} makes {right[1]}{right[0]} of its inputs"
            )
