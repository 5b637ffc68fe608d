"""Which nodes of a graph make up each layer, and which parameters are a layer's own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pellucid.graph import Graph, Parameter, Tensor
from pellucid.walks import depending


def nodes_by_layer(graph: Graph, kinds: Collection[str]) -> dict[Tensor, list[Tensor]]:
    """Every layer's output with the nodes that make it, in order of computation.

    A layer that is called twice comes twice. What is computed between layers, a residual sum, comes by itself; what sees
    nothing of the image, as a weight that is transposed, does not come. A layer of which only another output is used than
    the one that has its name, as the last state of an LSTM, comes with the last of its outputs that is.
    """
    seeing = depending(graph.nodes, graph.inputs)
    owner: dict[Tensor, Tensor] = {}
    roots: dict[str, Tensor] = {}

    def inside(outputs: Iterable[Tensor], layer: str) -> list[Tensor]:
        found: dict[Tensor, None] = {}
        stack = [n for n in outputs if n not in owner]
        while stack:
            inner = stack.pop()
            if inner in found:
                continue
            found[inner] = None
            below = (i for i in inner.inputs if i.name.startswith(f"{layer}/") and not (i.is_named and i.name in kinds))
            stack += [i for i in below if i in seeing and i not in owner]
        return list(found)

    for node in graph.nodes:
        if node.is_named and node.name in kinds and node in seeing and node.inputs:
            owner.update(dict.fromkeys(inside([node], node.name), node))
            roots[node.name] = node
    others: dict[str, list[Tensor]] = {}
    for node in graph.nodes:
        if node.call is not None and node in seeing and node not in owner and (layer := layer_of(node, kinds)) in kinds:
            others.setdefault(layer, []).append(node)
    for layer, outputs in others.items():
        owner.update(dict.fromkeys(inside(outputs, layer), roots.get(layer, outputs[-1])))
    made: dict[Tensor, list[Tensor]] = {}
    for node in graph.nodes:
        if node.inputs and node in seeing:
            made.setdefault(owner.get(node, node), []).append(node)
    return {node: made[node] for node in graph.nodes if node in made}


def layer_of(node: Tensor, kinds: Collection[str]) -> str:
    """The name of the layer that a node is an output of, of those in `kinds`; else its own."""
    name = node.name
    while node.call is not None and name and name not in kinds:
        name = name.rpartition("/")[0]
    return name or node.name


def kind_of(node: Tensor, kinds: Mapping[str, str]) -> str:
    """The kind of the layer whose output a node is, of those that have rows; else that of its op."""
    known = node.is_named or node.call is not None
    return kinds.get(layer_of(node, kinds), node.op.kind) if known else node.op.kind


def parameters_of(node: Tensor, layer: str, seeing: Collection[Tensor]) -> list[Parameter]:
    """Parameters that go into `node` through nodes of its own layer, or through some that see nothing of the image."""
    found: dict[Tensor, None] = {}
    stack = list(node.inputs)
    while stack:
        value = stack.pop()
        if value in found:
            continue
        found[value] = None
        if value.name.startswith(f"{layer}/") or value not in seeing:
            stack.extend(value.inputs)
    return [value for value in found if isinstance(value, Parameter)]
