"""Class activation maps: the channels of a late layer, weighted by what the score's gradient says of each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pellucid.explain.attribution.method import Asked, Found, as_it_is, method
from pellucid.graph import Tensor
from pellucid.inference.scores import ScoreGraph
from pellucid.inference.target import ScoreError
from pellucid.op import Array
from pellucid.ops.indexing import Pad
from pellucid.ops.pooling import AveragePool2d, MaxPool2d
from pellucid.ops.shape import Reshape
from pellucid.walks import depending


@method(
    "Selvaraju et al. 2017, Grad-CAM: Visual Explanations from Deep Networks, section 3", name="grad-cam", heat=as_it_is
)
def grad_cam(asked: Asked, *, layer: str | None = None, upsample: bool = True) -> Found:
    """The layer's channels, each weighted by the mean of the score's gradient over it; what is above zero.

    `layer` is the name of a node with places, or of a part of the network whose last one counts; chosen unless given.
    With `upsample=False` the map has the layer's size, not the picture's.
    """

    def weigh(values: Array, gradients: Array) -> Array:
        return gradients.mean((1, 2))

    return _cam(asked, layer, upsample, weigh)


@method(
    "Chattopadhay et al. 2018, Grad-CAM++: Improved Visual Explanations, section 3.2", name="grad-cam++", heat=as_it_is
)
def grad_cam_plus_plus(asked: Asked, *, layer: str | None = None, upsample: bool = True) -> Found:
    """Grad-CAM whose weights count each place's positive gradient, so that several objects of a class are found.

    Options are those of Grad-CAM. The places' weights are g^2 / (2 g^2 + g^3 sum A), equation 19.
    """

    def weigh(values: Array, gradients: Array) -> Array:
        squares = gradients**2
        below = 2 * squares + gradients * squares * values.sum((1, 2), keepdims=True)
        shares = np.divide(squares, below, out=np.zeros_like(squares), where=below != 0)
        return (shares * np.maximum(gradients, 0)).sum((1, 2))

    return _cam(asked, layer, upsample, weigh)


def _cam(asked: Asked, layer: str | None, upsample: bool, weigh: Callable[[Array, Array], Array]) -> Found:
    """The map of the layer's values (K, h, w) weighted by `weigh(values, gradients)` (K,)."""
    graph = asked.scores.graph(asked.image.shape)
    chosen = choose_layer if layer is None else lambda graph: find_layer(graph, layer)
    node, why = graph.once(("layer", layer), chosen)
    name = graph.graph.names[node]

    def build(graph: ScoreGraph) -> list[Tensor]:
        inner = graph.graph[name]
        return [graph.score, inner, *graph.gradients([inner])]

    weights = asked.scores.weights(asked.image.shape, asked.target)
    scores, values, gradients = asked.scores.compute(asked.image, weights, ("cam", name), build)
    found = np.maximum(np.tensordot(weigh(values[0], gradients[0]), values[0], 1), 0)
    if upsample:
        found = _stretched(found, asked.image.shape[2:])
    return Found(float(scores[0, asked.target]), found, name, why)


def choose_layer(graph: ScoreGraph) -> tuple[Tensor, str]:
    """The layer that a class activation map is read off unless one is named, and why.

    It is the last one with places that all of the score goes through, before pooling: the later a layer, the more its
    channels mean, and pooling only loses places (Selvaraju et al. 2017, section 3).
    """
    candidates = _with_places(graph)
    passed = [n for n in _cuts(graph) if n in candidates]
    while passed and isinstance(passed[-1].op, MaxPool2d | AveragePool2d | Pad | Reshape):
        passed.pop()
    if not candidates:
        raise ScoreError("a class activation map needs a layer whose output (N, C, H, W) has more than one place")
    node = (passed or list(candidates))[-1]
    past = "that all of the score goes through" if passed else "though the score goes past it too"
    return node, f"chosen as the last one with places ({candidates[node]}) {past}"


def find_layer(graph: ScoreGraph, name: str) -> tuple[Tensor, str]:
    """The node called `name`, or the last one with places below a part of that name."""
    names = graph.graph.names
    candidates = _with_places(graph)
    below = [n for n in candidates if names[n].startswith((f"{name}.", f"{name}/"))]
    node = below[-1] if below and name not in names.values() else graph.graph[name]
    if node not in candidates:
        raise ScoreError(f"layer {name!r}: gives {node.shape}, a class activation map needs (N, C, H, W) with places")
    return node, f"as asked, {candidates[node]}"


def _with_places(graph: ScoreGraph) -> dict[Tensor, str]:
    """The nodes that are made of the picture and have several places, in their order, with their sizes as text."""
    made = depending(graph.graph.nodes, [graph.image]) - {graph.image}
    spatial = (n for n in graph.graph.nodes if n in made and n.ndim == 4 and n.shape[2] * n.shape[3] > 1)
    return {n: "x".join(map(str, n.shape[1:])) for n in spatial if n.dtype.startswith("float")}


def _cuts(graph: ScoreGraph) -> list[Tensor]:
    """The nodes that every way from the picture to the score goes through, in their order."""
    behind = depending(graph.graph.nodes, [graph.image])
    order = [n for n in graph.graph.nodes if n in behind]
    position = {n: i for i, n in enumerate(order)}
    last_read = {i: position[n] for n in order for i in n.inputs if i in behind}
    cuts: list[Tensor] = []
    reach = 0
    for i, node in enumerate(order):
        if reach <= i:
            cuts.append(node)
        reach = max(reach, last_read.get(node, i))
    return cuts


def _stretched(values: Array, size: tuple[int, ...]) -> Array:
    """A map (h, w) enlarged to `size`, bilinearly."""
    from PIL import Image

    image = Image.fromarray(np.asarray(values, np.float32)).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=values.dtype)
