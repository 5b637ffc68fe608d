"""`If`: arrays of branches become those of the file, a branch that is known takes its node's place, others are a choice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from pellucid import ops
from pellucid.graph import Constant, Input, Parameter, Tensor, topological
from pellucid.interop.errors import NotConstantError, OnnxError, how_to_fix
from pellucid.interop.onnx_reader.model import Body, Model, Node
from pellucid.interop.onnx_reader.ragged import Lengths
from pellucid.scopes import collect_updates, latest, qualified, record_update, scope

BRANCHES = ("then_branch", "else_branch")


def is_branching(node: Node) -> bool:
    """Whether a node is ONNX's `If`, with both branches."""
    whole = all(isinstance(node.attributes.get(branch), Body) for branch in BRANCHES)
    return (node.kind, node.domain) == ("If", "") and whole


def lift_arrays(model: Model) -> Model:
    """The model with the arrays of its branches among its own, so that they are parameters like others."""
    body = model.body
    arrays, elements = dict(body.arrays), dict(model.elements)
    taken = {*arrays, *body.own}

    def lifted(node: Node) -> Node:
        if not is_branching(node):
            return node
        return dataclasses.replace(node, attributes={k: branch(node, node.attributes[k]) for k in BRANCHES})

    def branch(node: Node, inner: Body) -> Body:
        names = {name: _new_name(name, node, taken) for name in inner.arrays}
        for name, typed in inner.arrays.items():
            arrays[names[name]], elements[names[name]] = typed, typed.element
        inner = _renamed_body(dataclasses.replace(inner, arrays={}), names)
        return dataclasses.replace(inner, nodes=tuple(map(lifted, inner.nodes)))

    nodes = tuple(map(lifted, body.nodes))
    return dataclasses.replace(model, body=dataclasses.replace(body, nodes=nodes, arrays=arrays), elements=elements)


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
    values: Mapping[str, Tensor | None],
    run: Callable[[str, dict[str, Tensor]], Sequence[Tensor | None]],
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
    made: list[Sequence[Tensor | None]] = []
    updates: list[Mapping[Parameter, Tensor]] = []
    for branch, taken in zip(BRANCHES, (holds, fails), strict=True):
        body: Body = node.attributes[branch]
        around = {name: v for name in body.reads() if (v := values.get(name)) is not None and _varies(v)}
        with scope(node.name):
            seen = {n: lengths.like(v, ops.where(taken, v, ops.stop_gradient(v))) for n, v in around.items()}
        try:
            with collect_updates() as own:
                made.append(run(branch, seen))
        except OnnxError as error:
            raise _undecided(node, sources, f"{branch} cannot be computed here: {error}") from error
        updates.append(own)
    outputs: list[Tensor] = []
    for name, a, b in zip(node.outputs, *made, strict=False):
        if a is not None and b is not None and (joined := lengths.chosen(holds, a, b)) is not None:
            outputs.append(joined)
            continue
        if a is None or b is None or (a.shape, a.dtype) != (b.shape, b.dtype):
            first, second = ("nothing" if v is None else f"{v.dtype} {v.shape}" for v in (a, b))
            raise _undecided(node, sources, f"its branches give {name!r} as {first} and as {second}")
        outputs.append(a if a is b else ops.where(holds, a, b).named(qualified(node.name)))
    for own, is_then in zip(updates, (True, False), strict=True):
        for parameter, value in own.items():
            kept = latest(parameter)
            record_update(parameter, ops.where(holds, *((value, kept) if is_then else (kept, value))))
    return outputs


def _varies(value: Tensor) -> bool:
    return value.dtype.startswith("float") and not isinstance(value, Parameter) and not isinstance(value.op, Constant)


def _undecided(node: Node, sources: tuple[str, ...], why: str) -> NotConstantError:
    names = ", ".join(sources) or "weights"
    return NotConstantError(
        f"{node}: which branch is taken depends on {names}, and it cannot be left open, since {why}{how_to_fix(sources)}",
        sources,
    )
