"""The layers of a network as its graph knows them: found by name, number of unit, or place in the network."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pellucid import ops
from pellucid.errors import PellucidError, UnknownNameError, listed, suggest
from pellucid.graph import Graph, Input, Tensor
from pellucid.nn.axes import Axes
from pellucid.nn.interface import main_input
from pellucid.ops.activation import Relu, Sigmoid, Softplus, Tanh
from pellucid.ops.comparison import Clip
from pellucid.ops.convolution import Conv2d, ConvTranspose2d
from pellucid.ops.linear import Matmul
from pellucid.recognition import find_composites


class LayerError(PellucidError, ValueError):
    """A layer or one of its units is not there, or is not of the kind that is asked about."""


class UnknownLayerError(LayerError, UnknownNameError):
    """No layer is called so; the message suggests the nearest."""


def outputs_of_layers(graph: Graph) -> dict[str, Tensor]:
    """The inputs and every layer's output by name, in order of computation; what lies inside of a layer is left out."""
    names = set(graph.names.values())
    return {name: node for node, name in graph.names.items() if _is_layer(node, name, names)}


def layer_of(name: str, names: Collection[str]) -> str:
    """The layer on the way to whose output the node called `name` lies, or the name itself."""
    cuts = (i for i, c in enumerate(name) if c == "/")
    return next((name[:i] for i in cuts if name[:i] in names), name)


def named_node(graph: Graph, name: str, ends: Mapping[str, Tensor] | None = None) -> Tensor:
    """The node that is called `name` wherever something is asked of a network: a layer, a node inside of one, an input or output
    by the network's own name (`ends`), or the last layer of a part of the network, `layer1` for `layer1.0.conv2`.

    Raises `UnknownLayerError`, which names the ten layers whose names are nearest.
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UnknownLayerError(f"a layer is named by a text, got {name!r:.60}")
    if (node := graph.find(name)) is not None:
        return node
    outputs = dict(zip(graph.output_names, graph.outputs, strict=True))
    if (end := {**outputs, **(ends or {})}.get(name)) is not None:
        return end
    layers = outputs_of_layers(graph)
    inside = [node for layer, node in layers.items() if layer.startswith((f"{name}.", f"{name}/"))]
    if inside:
        return inside[-1]
    made = [layer for layer, output in layers.items() if output.inputs]
    raise UnknownLayerError(f"no layer is called {name!r}{suggest(name, made)}; {listed(name, made)}")


def find_layer(graph: Graph, name: str) -> Tensor:
    """The output of the layer called `name`, as `named_node` finds it, with a row for each picture."""
    node = named_node(graph, name)
    if not (node.inputs and node.dtype.startswith("float")):
        what = "an input or a parameter" if not node.inputs else f"made of {node.dtype}"
        raise LayerError(f"{name}: is no layer's output but {what}")
    images = main_input(graph.inputs).shape[:1]
    if node.shape[:1] != images:
        raise LayerError(
            f"{name}: its output {node.shape} has no row for each of {', '.join(map(str, images))} pictures"
        )
    return node


def find_unit(graph: Graph, layer: str, unit: int) -> Tensor:
    """The output of a layer that has a unit of this number: a channel, or an output of a dense layer."""
    node = find_layer(graph, layer)
    if node.ndim < 2:
        raise LayerError(f"{layer}: has no units; its output is {node.shape}")
    units = node.shape[Axes(graph).channel_axis(node)]
    if not 0 <= unit < units:
        raise LayerError(f"{layer}: has units 0 to {units - 1}, there is no unit {unit}")
    return node


def units_first(node: Tensor, axis: int) -> Tensor:
    """A layer's output as (N, K, ...), whose units lie along `axis`."""
    others = [k for k in range(1, node.ndim) if k != axis]
    return node if axis == 1 else ops.transpose(node, (0, axis, *others))


def per_unit(node: Tensor, axis: int = 1) -> Tensor:
    """A layer's output, whose units lie along `axis`, as (N, K, positions)."""
    first = units_first(node, axis)
    return ops.reshape(first, (*first.shape[:2], -1))


def activation_functions(graph: Graph) -> dict[Tensor, tuple[str, Tensor]]:
    """Every activation function of a network: from its output to its name and what it is applied to."""
    matches = find_composites(graph.outputs, lambda match: match.name in COMPOSED)
    found = {node: (match.name, match.tensors["x"]) for node, match in matches.items()}
    inside = {node for match in matches.values() for node in match.inside}
    for node in graph.nodes:
        if isinstance(node.op, Relu | Sigmoid | Tanh | Softplus | Clip) and node not in inside:
            found[node] = (_function_name(node), node.inputs[0])
    return {node: found[node] for node in graph.nodes if node in found}


COMPOSED = ("elu", "gelu", "hard_swish", "leaky_relu", "mish", "prelu", "selu", "silu")
"""Activation functions that are made of several ops."""


def layer_before_head(graph: Graph) -> str:
    """The name of what the classifier's last layer with weights is applied to."""
    seeing: set[Tensor] = set()
    found: Tensor | None = None
    for node in graph.nodes:
        seen = [i for i in node.inputs if i in seeing]
        if isinstance(node.op, Input) or seen:
            seeing.add(node)
        if isinstance(node.op, Conv2d | ConvTranspose2d | Matmul) and len(seen) == 1:
            weights = next(i for i in node.inputs if i not in seeing)
            found = seen[0] if Graph([weights]).parameters else found
    if found is not None and isinstance(found.op, Input):
        raise LayerError(
            f"the last layer with weights is applied to {graph.names[found]!r} itself, so that there is none before it; name a layer"
        )
    if found is not None:
        return graph.names[found]
    raise LayerError(f"{graph!r}: has no layer with weights, and so none before it; name a layer")


def _is_layer(node: Tensor, name: str, names: Collection[str]) -> bool:
    """Whether it is a layer's output or an input, rather than a value on the way to one."""
    if not node.dtype.startswith("float"):
        return False
    if isinstance(node.op, Input):
        return True
    return bool(node.inputs) and (node.is_named or layer_of(name, names) == name)


def _function_name(node: Tensor) -> str:
    op = node.op
    return f"clip({op.low:g}, {op.high:g})" if isinstance(op, Clip) else op.kind
