"""Class activation maps: the channels of a late layer, weighted by what the score's gradient says of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import numpy as np

from pellucid.explain.attribution.method import Asked, Found, as_it_is, method
from pellucid.explain.attribution.reached import reached
from pellucid.graph import Tensor
from pellucid.inference.layers import named_node
from pellucid.inference.scores import ScoreGraph
from pellucid.inference.target import ScoreError, Target
from pellucid.op import Array, Shape
from pellucid.ops.convolution import Conv2d, ConvTranspose2d
from pellucid.ops.indexing import Pad, Slice
from pellucid.ops.linear import Matmul
from pellucid.ops.pooling import AveragePool2d, MaxPool2d
from pellucid.ops.shape import Concat, Reshape, Transpose
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
        return gradients.mean(_places(gradients))

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
        below = 2 * squares + gradients * squares * values.sum(_places(values), keepdims=True)
        shares = np.divide(squares, below, out=np.zeros_like(squares), where=below != 0)
        return (shares * np.maximum(gradients, 0)).sum(_places(values))

    return _cam(asked, layer, upsample, weigh)


def _places(values: Array) -> tuple[int, ...]:
    """The axes of values (K, h, w) behind the channels'."""
    return tuple(range(1, values.ndim))


def _cam(asked: Asked, layer: str | None, upsample: bool, weigh: Callable[[Array, Array], Array]) -> Found:
    """The map of the layer's values (K, h, w) weighted by `weigh(values, gradients)` (K,)."""
    graph = asked.scores.graph(asked.image.shape)

    def choose(graph: ScoreGraph) -> tuple[Tensor, str]:
        return choose_layer(graph, asked.target) if layer is None else find_layer(graph, layer)

    node, why = graph.once(("layer", layer, asked.target), choose)
    name = graph.graph.names[node]

    def build(graph: ScoreGraph) -> list[Tensor]:
        inner = graph.graph[name]
        return [graph.score, inner, *graph.gradients([inner])]

    scores, *inner = asked.compute(("cam", name), build)
    values, gradients = (np.moveaxis(value[0], graph.axes.channel_axis(node) - 1, 0) for value in inner)
    found = np.maximum(np.tensordot(weigh(values, gradients), values, 1), 0)
    own, wanted = (_letters(graph, value) for value in (node, graph.image))
    if sorted(own) == sorted(wanted) and len({*own}) == len(own):  # rows and columns, in the picture's order
        found = found.transpose([own.index(letter) for letter in wanted])
    return Found(asked.value(scores), _stretched(found, asked.places) if upsample else found, name, why)


def _letters(graph: ScoreGraph, value: Tensor) -> str:
    """What the axes of the places of a value are."""
    letters = graph.axes[value]
    gone = graph.channels if value is graph.image else graph.axes.channel_axis(value) - 1
    return "".join(letter for axis, letter in enumerate(letters[1:]) if axis != gone)


def choose_layer(graph: ScoreGraph, target: Target | None = None) -> tuple[Tensor, str]:
    """The layer that a class activation map is read off unless one is named, and why.

    It is the last one with places that all of the score goes through, before pooling: the later a layer, the more its
    channels mean, and pooling only loses places (Selvaraju et al. 2017, section 3). Only what `target` depends on counts.
    Where the scores are a map themselves it is one before the last convolution that makes them: of the map each place is a
    score of its own, and its channel would be its explanation (Vinogradova et al. 2020, Towards Interpretable Semantic
    Segmentation, reads the layers before as well).
    """
    counting: Collection[Tensor] = graph.graph.nodes if target is None else reached(graph, target)
    ordered = [n for n in graph.graph.nodes if n in set(counting)]
    if target is not None and (made := _making_places(graph, target)):
        ordered = ordered[: max(k for k, n in enumerate(ordered) if n in made)]
    every = _with_places(graph, ordered)
    maps = _maps(every)
    candidates = {n: size for n, size in every.items() if n in maps} or every
    passed = [n for n in _cuts(graph, counting) if n in candidates]
    while passed and isinstance(passed[-1].op, MaxPool2d | AveragePool2d | Pad | Reshape):
        passed.pop()
    if not candidates:
        raise ScoreError("a class activation map needs a layer whose output (N, C, H, W) has more than one place")
    node = (passed or list(candidates))[-1]
    past = "that all of the score goes through" if passed else "though the score goes past it too"
    return node, f"chosen as the last one with places ({candidates[node]}) {past}"


def _making_places(graph: ScoreGraph, target: Target) -> set[Tensor]:
    """The convolutions of whose places each makes scores of its own, so that one element of `target` depends on a few."""
    one = Target(target.output, tuple(span if isinstance(span, int) else span[0] or 0 for span in target.place))
    elements = reached(graph, one)
    maps = _maps(graph.graph.nodes) | {graph.image}
    made = (n for n in elements if isinstance(n.op, Conv2d | ConvTranspose2d) and n.inputs[0] in maps)
    return {n for n in made if not elements[n].any((0, 1)).all()}


def find_layer(graph: ScoreGraph, name: str) -> tuple[Tensor, str]:
    """The node called `name`, or the last one with places below a part of that name."""
    names = graph.graph.names
    candidates = _with_places(graph, graph.graph.nodes)
    below = [n for n in candidates if names[n].startswith((f"{name}.", f"{name}/"))]
    node = below[-1] if below and name not in names.values() else named_node(graph.graph, name)
    if node not in candidates:
        raise ScoreError(f"layer {name!r}: gives {node.shape}, a class activation map needs (N, C, H, W) with places")
    return node, f"as asked, {candidates[node]}"


def _with_places(graph: ScoreGraph, nodes: Iterable[Tensor]) -> dict[Tensor, str]:
    """Those of `nodes` that are made of the picture and have several places, in their order, with their sizes as text."""
    made = depending(graph.graph.nodes, [graph.image]) - {graph.image}
    large = min(4, graph.image.ndim + (graph.channels is None))
    spatial = (
        n
        for n in nodes
        if n in made and n.ndim >= large > 2 and n.size > n.shape[0] * n.shape[graph.axes.channel_axis(n)]
    )
    return {n: "x".join(map(str, n.shape[1:])) for n in spatial if n.dtype.startswith("float")}


def _maps(nodes: Iterable[Tensor]) -> set[Tensor]:
    """Those of `nodes`, in topological order, that convolutions and pooling make, and what keeps their channels and places.

    Others may have as many axes and mean something else by them: the rows of an attention, the words of a sentence.
    """
    found: set[Tensor] = set()
    for node in nodes:
        op = node.op
        kept = [i for i in node.inputs if i in found]
        sizes = [n for n in node.shape if n > 1]
        same = (
            op.elementwise
            or isinstance(op, Concat | Slice | Pad)
            or any([n for n in i.shape if n > 1] == sizes for i in kept)
        )
        if isinstance(op, Conv2d | ConvTranspose2d | MaxPool2d | AveragePool2d) or (
            kept and same and not isinstance(op, Transpose | Matmul)
        ):
            found.add(node)
    return found


def _cuts(graph: ScoreGraph, counting: Collection[Tensor]) -> list[Tensor]:
    """The nodes that every way from the picture to the score goes through, in their order; only `counting` ones count."""
    behind = depending(graph.graph.nodes, [graph.image]) & set(counting)
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


def _stretched(values: Array, size: Shape) -> Array:
    """A map (h, w) enlarged to `size`, linearly; one that has other axes than these stays as it is."""
    if values.ndim > len(size):
        values = values.reshape([n for n in values.shape if n > 1])
    if values.ndim != len(size):
        return values
    if len(size) != 2:
        from scipy.ndimage import zoom

        factors = [n / own for n, own in zip(size, values.shape, strict=True)]
        return np.asarray(zoom(values, factors, order=1, mode="nearest", grid_mode=True), values.dtype)
    from PIL import Image

    image = Image.fromarray(np.asarray(values, np.float32)).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=values.dtype)
