"""Which layers of two networks belong together: by name, then by order; and what differs between the two of a pair."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.graph import Graph, Tensor
from pellucid.nn.summary import kind_of, nodes_by_layer
from pellucid.op import Shape


@dataclass(frozen=True, eq=False)
class GraphLayer:
    """A layer in a graph: its output, and the nodes that make it."""

    name: str
    kind: str
    output: Tensor
    nodes: tuple[Tensor, ...]

    @property
    def work(self) -> tuple[str, ...]:
        """The kinds of ops that it is made of."""
        return tuple(node.op.kind for node in self.nodes)


@dataclass(frozen=True)
class LayerChange:
    """A layer that one network has and the other has not (its name there is ""), or that differs: `what` says in what."""

    a: str
    b: str
    what: str


Pair = tuple[GraphLayer | None, GraphLayer | None]


def layers(graph: Graph, kinds: Mapping[str, str]) -> list[GraphLayer]:
    """The layers of a graph in order of computation; `kinds` has those that a summary has rows for."""
    return [
        GraphLayer(graph.names[output], kind_of(output, kinds), output, tuple(nodes))
        for output, nodes in nodes_by_layer(graph, kinds).items()
    ]


def align(a: Sequence[GraphLayer], b: Sequence[GraphLayer]) -> list[Pair]:
    """Every layer of both, with its partner or None.

    Layers of one name belong together where they stand in the same order in both. What lies between two such pairs is
    matched in its order, layers of the same work before others.
    """
    names = difflib.SequenceMatcher(None, [x.name for x in a], [x.name for x in b], autojunk=False)
    pairs: list[Pair] = []
    done_a = done_b = 0
    for block in names.get_matching_blocks():
        pairs += _in_order(a[done_a : block.a], b[done_b : block.b])
        done_a, done_b = block.a + block.size, block.b + block.size
        pairs += zip(a[block.a : done_a], b[block.b : done_b], strict=True)
    return pairs


def _in_order(a: Sequence[GraphLayer], b: Sequence[GraphLayer]) -> list[Pair]:
    pairs: list[Pair] = []
    same = difflib.SequenceMatcher(None, [x.work for x in a], [x.work for x in b], autojunk=False)
    for tag, start_a, stop_a, start_b, stop_b in same.get_opcodes():
        left, right = a[start_a:stop_a], b[start_b:stop_b]
        if tag == "equal":
            pairs += zip(left, right, strict=True)
        else:
            pairs += [(layer, None) for layer in left] + [(None, layer) for layer in right]
    return pairs


def changes(pairs: Sequence[Pair]) -> tuple[LayerChange, ...]:
    """What differs between the layers of two networks, pair by pair; names alone are no difference."""
    found: list[LayerChange] = []
    for a, b in pairs:
        if a is None or b is None:
            own = a or b
            assert own is not None
            where = "only in the first" if b is None else "only in the second"
            found.append(LayerChange(a.name if a else "", b.name if b else "", f"{where}: {_described(own)}"))
        elif what := _difference(a, b):
            found.append(LayerChange(a.name, b.name, what))
    return tuple(found)


def _described(layer: GraphLayer) -> str:
    return f"{layer.kind} to {_size(layer.output.shape)}"


def _difference(a: GraphLayer, b: GraphLayer) -> str:
    if a.work != b.work:
        same_size = a.output.shape == b.output.shape
        return f"{a.kind}, {b.kind}" if same_size else f"{_described(a)}; {_described(b)}"
    parts: list[str] = []
    for mine, theirs in zip(a.nodes, b.nodes, strict=True):
        if mine.op != theirs.op:
            parts += _settings(mine, theirs)
    if a.output.shape != b.output.shape:
        parts.append(f"output {_size(a.output.shape)}, {_size(b.output.shape)}")
    return "; ".join(dict.fromkeys(parts))


def _settings(a: Tensor, b: Tensor) -> list[str]:
    """The attributes in which two ops of one kind differ; those that only repeat a shape are left to the shapes."""
    theirs: dict[str, Any] = b.op.attributes
    differing = {n: (v, theirs[n]) for n, v in a.op.attributes.items() if v != theirs[n]}
    if any(isinstance(v, bytes) for pair in differing.values() for v in pair):
        return [f"{a.op.kind}: another fixed value"]
    shaped = {a.shape, b.shape, *(i.shape for x in (a, b) for i in x.inputs)}
    return [
        f"{a.op.kind}: {name} {mine}, {other}"
        for name, (mine, other) in differing.items()
        if not (mine in shaped and other in shaped)
    ]


def _size(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a number"
