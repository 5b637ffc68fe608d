"""How a graph is shown: as a table of text, as a diagram, and by its first difference from another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.op import Op
from pellucid.parameter import Parameter
from pellucid.pictures.diagram import Diagram, DiagramBox
from pellucid.pictures.folding import folded
from pellucid.tensor import Input
from pellucid.text import amount, shortened, some_of, text_table

if TYPE_CHECKING:
    from pellucid.graph import Graph, Tensor


def table(graph: Graph) -> str:
    """One line per node: name, op with attributes, inputs, element type and shape."""
    rows: list[list[str]] = []
    for node in graph.nodes:
        inputs = some_of([graph.names[i] for i in node.inputs], 3)
        value = f"{node.dtype}{list(node.shape)}"
        rows.append([graph.names[node], shortened(operation(node.op), 44), inputs, value])
    return text_table(["name", "op", "inputs", "value"], rows, "llll")


def operation(op: Op) -> str:
    """The kind of op with its attributes."""
    shown: dict[str, Any] = {k: v for k, v in op.attributes.items() if not isinstance(v, bytes)}
    return op.kind + (f"({', '.join(f'{k}={v}' for k, v in shown.items())})" if shown else "")


def difference(graph: Graph, other: Graph) -> str:
    """The first difference between two graphs in the order of their nodes, or "" if there is none."""
    for a, b in zip(graph.nodes, other.nodes, strict=False):
        if found := _node_difference(graph, other, a, b):
            return found
    for longer, word in ((graph, "first"), (other, "second")):
        shorter = min(len(graph), len(other))
        if len(longer) > shorter:
            return f"only the {word} has {longer.names[longer.nodes[shorter]]!r}"
    mine, theirs = ([g.names[o] for o in g.outputs] for g in (graph, other))
    return "" if mine == theirs else f"outputs: {mine} and {theirs}"


def _node_difference(graph: Graph, other: Graph, a: Tensor, b: Tensor) -> str:
    name = graph.names[a]
    if name != other.names[b]:
        return f"{name!r} ({a.op.kind}) stands where the other has {other.names[b]!r} ({b.op.kind})"
    pairs: dict[str, tuple[Any, Any]] = {
        "kind of op": (a.op.kind, b.op.kind),
        "inputs": ([graph.names[i] for i in a.inputs], [other.names[i] for i in b.inputs]),
        "shape": (a.shape, b.shape),
        "element type": (a.dtype, b.dtype),
        "trainable": (getattr(a, "trainable", None), getattr(b, "trainable", None)),
    }
    for what, (mine, theirs) in pairs.items():
        if mine != theirs:
            return f"{name!r}: {what} is {mine}, of the other {theirs}"
    if a.op != b.op:
        attributes = [n for n, v in a.op.attributes.items() if v != b.op.attributes.get(n)]
        return f"{name!r}: {operation(a.op)} differs from {operation(b.op)} in {', '.join(attributes)}"
    values = [n.value.tobytes() for n in (a, b) if isinstance(n, Parameter)]
    return f"{name!r}: the parameter's values differ" if len(set(values)) > 1 else ""


def diagram(graph: Graph) -> Diagram:
    """The graph as boxes and edges from left to right; many nodes are folded by their names, `layer1.0.conv1` into `layer1`."""
    boxes = [DiagramBox(graph.names[node], _lines(graph, node), _kind(graph, node)) for node in graph.nodes]
    edges = [(graph.names[i], graph.names[node]) for node in graph.nodes for i in node.inputs]
    return folded(f"Graph of {amount(len(graph), 'node')}", boxes, edges)


def _lines(graph: Graph, node: Tensor) -> tuple[str, ...]:
    words = "parameter" if isinstance(node, Parameter) else node.op.kind
    return graph.names[node], words, f"{node.dtype}{list(node.shape)}"


def _kind(graph: Graph, node: Tensor) -> str:
    if any(node is output for output in graph.outputs):
        return "output"
    if isinstance(node, Parameter):
        return "parameter"
    return "operation" if node.inputs else "input" if isinstance(node.op, Input) else "constant"
