"""Graphs inside of nodes: their arrays become those of the file. `If`: a known branch takes its node's place, others are a choice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pellucid import ops
from pellucid.graph import Constant, Input, Parameter, Tensor, topological
from pellucid.interop.errors import NotConstantError, OnnxError, how_to_fix
from pellucid.interop.onnx_reader.model import Body, Model, Node
from pellucid.interop.onnx_reader.ragged import Lengths
from pellucid.interop.onnx_reader.sequences import Held, Items, described
from pellucid.scopes import collect_updates, latest, qualified, record_update, scope

BRANCHES = ("then_branch", "else_branch")
LOOPS = ("Loop", "Scan", "SequenceMap")


def is_branching(node: Node) -> bool:
    """Whether a node is ONNX's `If`, with both branches."""
    whole = all(isinstance(node.attributes.get(branch), Body) for branch in BRANCHES)
    return (node.kind, node.domain) == ("If", "") and whole


def is_loop(node: Node) -> bool:
    """Whether a node runs a graph inside of it several times."""
    return node.kind in LOOPS and not node.domain and isinstance(node.attributes.get("body"), Body)


def lift_arrays(model: Model) -> Model:
    """The model with the arrays of inner graphs among its own, so that they are parameters like others.

    What a loop's body states as a `Constant` is stated by the model.
    """
    body = model.body
    arrays, elements = dict(body.arrays), dict(model.elements)
    taken = {*arrays, *body.own}
    stated: list[Node] = []

    def lifted(node: Node) -> Node:
        kinds = BRANCHES if is_branching(node) else ("body",) if is_loop(node) else ()
        inner = {name: graph(node, node.attributes[name]) for name in kinds}
        return dataclasses.replace(node, attributes={**node.attributes, **inner})

    def graph(node: Node, inner: Body) -> Body:
        names = {name: _new_name(name, node, taken) for name in inner.arrays}
        for name, typed in inner.arrays.items():
            arrays[names[name]], elements[names[name]] = typed, typed.element
        nodes: list[Node] = []
        for own in inner.nodes:
            if is_branching(node) or (own.kind, own.domain) != ("Constant", ""):
                nodes.append(own)
                continue
            names[own.outputs[0]] = _new_name(own.outputs[0], node, taken)
            stated.append(dataclasses.replace(_renamed(own, names), name=names[own.outputs[0]]))
        inner = _renamed_body(dataclasses.replace(inner, arrays={}, nodes=tuple(nodes)), names)
        return dataclasses.replace(inner, nodes=tuple(map(lifted, inner.nodes)))

    nodes = tuple(map(lifted, body.nodes))
    body = dataclasses.replace(body, nodes=(*stated, *nodes), arrays=arrays)
    return dataclasses.replace(model, body=body, elements=elements)


def in_place(node: Node, holds: bool, taken: set[str]) -> list[Node]:
    """The nodes of the branch that is taken instead of their `If`, under names that are not `taken`."""
    body: Body = node.attributes[BRANCHES[not holds]]
    made = [name for inner in body.nodes for name in inner.outputs if name]
    names = {name: _new_name(name, node, taken) for name in made}
    found = [_renamed(inner, names) for inner in body.nodes]
    found = [dataclasses.replace(inner, name=_new_name(inner.name, node, taken)) for inner in found]
    for value, name in zip(body.outputs, node.outputs, strict=False):
        if name:
            given = (names.get(value.name, value.name),)
            found.append(Node("Identity", "", node.opset, f"{node.name}/{name}", given, (name,), {}))
    return found


def _new_name(name: str, node: Node, taken: set[str]) -> str:
    """`name`, or what is not taken of that kind; it is taken then."""
    new, count = name, 0
    while new in taken:
        new, count = f"{node.name}/{name}{f'_{count}' if count else ''}", count + 1
    taken.add(new)
    return new


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    """The node with other names of values, inside of it too."""
    inputs, outputs = (tuple(names.get(name, name) for name in part) for part in (node.inputs, node.outputs))
    attributes = {k: _renamed_body(v, names) if isinstance(v, Body) else v for k, v in node.attributes.items()}
    return dataclasses.replace(node, inputs=inputs, outputs=outputs, attributes=attributes)


def _renamed_body(body: Body, names: Mapping[str, str]) -> Body:
    names = {old: new for old, new in names.items() if old not in body.own}
    nodes = tuple(_renamed(node, names) for node in body.nodes)
    outputs = tuple(dataclasses.replace(value, name=names.get(value.name, value.name)) for value in body.outputs)
    return dataclasses.replace(body, nodes=nodes, outputs=outputs)


def choose(
    node: Node,
    condition: Tensor,
    values: Mapping[str, Held],
    run: Callable[[str, dict[str, Held]], Sequence[Held]],
    lengths: Lengths,
) -> list[Tensor]:
    """The outputs of both branches, of which the condition picks those of one when the network runs.

    `run(branch, seen)` computes a branch that sees these values instead of those around it. No gradient, finite or not,
    leaves a branch that is not taken.
    """
    sources = tuple(n.name for n in topological([condition]) if isinstance(n.op, Input))
    if condition.size != 1 or condition.dtype != "bool":
        raise OnnxError(f"{node}: its condition must be one truth value, it is {condition.dtype} {condition.shape}")
    with scope(node.name):
        holds = ops.reshape(condition, ())
        fails = ops.equal(holds, False)
    made: list[Sequence[Held]] = []
    updates: list[Mapping[Parameter, Tensor]] = []
    for branch, taken in zip(BRANCHES, (holds, fails), strict=True):
        body: Body = node.attributes[branch]
        with scope(node.name):
            seen = Entrance(taken, lengths).seen(body, values)
        try:
            with collect_updates() as own, lengths.inside(taken):
                made.append(run(branch, seen))
        except OnnxError as error:
            raise _undecided(node, sources, f"{branch} cannot be computed here: {error}") from error
        updates.append(own)
    outputs: list[Tensor] = []
    for name, a, b in zip(node.outputs, *made, strict=False):
        alike = isinstance(a, Tensor) and isinstance(b, Tensor)
        if alike and (joined := lengths.chosen(holds, a, b)) is not None:
            outputs.append(joined)
            continue
        if not alike or (a.shape, a.dtype) != (b.shape, b.dtype):
            raise _undecided(node, sources, f"its branches give {name!r} as {described(a)} and as {described(b)}")
        outputs.append(a if a is b else ops.where(holds, a, b).named(qualified(node.name)))
    for own, is_then in zip(updates, (True, False), strict=True):
        for parameter, value in own.items():
            kept = latest(parameter)
            record_update(parameter, ops.where(holds, *((value, kept) if is_then else (kept, value))))
    return outputs


@dataclass(frozen=True)
class Entrance:
    """The way into a graph that is run where `taken` holds: no gradient, finite or not, leaves it elsewhere."""

    taken: Tensor
    lengths: Lengths

    def seen(self, body: Body, values: Mapping[str, Held]) -> dict[str, Held]:
        """What the graph sees instead of the values around it, by name."""
        around = {name: values.get(name) for name in body.reads()}
        return {name: new for name, held in around.items() if (new := self.passing(held)) is not held}

    def passing(self, held: Held) -> Held:
        """A value that the graph sees."""
        if isinstance(held, Items):
            new = tuple(map(self._tensor, held.tensors))
            return held if all(a is b for a, b in zip(new, held.tensors, strict=True)) else Items(new)
        return held if held is None else self._tensor(held)

    def entering(self, held: Held, start: Held) -> Held:
        """A value that changes from trip to trip; whole numbers, which may be positions, are those of the first where none is."""
        if not isinstance(held, Tensor) or not isinstance(start, Tensor) or held.dtype.startswith("float"):
            return self.passing(held)
        if held is start or isinstance(held.op, Constant) or (held.shape, held.dtype) != (start.shape, start.dtype):
            return held
        return self.lengths.like(held, ops.where(self.taken, held, start))

    def _tensor(self, value: Tensor) -> Tensor:
        if not value.dtype.startswith("float") or isinstance(value, Parameter) or isinstance(value.op, Constant):
            return value
        return self.lengths.like(value, ops.where(self.taken, value, ops.stop_gradient(value)))


def _undecided(node: Node, sources: tuple[str, ...], why: str) -> NotConstantError:
    names = ", ".join(sources) or "weights"
    return NotConstantError(
        f"{node}: which branch is taken depends on {names}, and it cannot be left open, since {why}{how_to_fix(sources)}",
        sources,
    )
