"""The class scores that explanations are about: before a final softmax, for any number of pictures, with gradients.

Graphs and programs are kept with the network (`ready`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pellucid.autodiff import gradients
from pellucid.errors import suggest
from pellucid.executors import Program
from pellucid.graph import Graph, Tensor, input
from pellucid.inference.ready import Once, Ready, ReadyGraph
from pellucid.inference.target import ScoreError
from pellucid.nn import Module
from pellucid.op import Array, Shape
from pellucid.ops.activation import Sigmoid
from pellucid.progress import tell
from pellucid.recognition import PATTERNS

T = TypeVar("T")

BATCH = 16
"""Pictures that are computed at once, where their activations fit into `MEMORY`."""
MEMORY = 1 << 30
"""Bytes that all nodes of a graph may take together for more than one picture to be computed at once."""


@dataclass(frozen=True)
class ScoreGraph:
    """A network's graph in inference for a batch of pictures.

    `image` (N, C, H, W) and `weights` (N, K) are its inputs, `score` (N, K) the classes' scores: the network's output, or
    what a final softmax (log-softmax, sigmoid) is given, named by `final`, else "". Gradients are those of the scores'
    sum weighted by `weights`: a one there asks for one class.
    """

    image: Tensor
    weights: Tensor
    score: Tensor
    final: str
    graph: Graph
    facts: Once = field(default_factory=Once, repr=False, compare=False)

    def once(self, key: Hashable, find: Callable[[ScoreGraph], T]) -> T:
        """What `find` says of this graph, found out when first asked for under `key`."""
        return self.facts.get(key, lambda: find(self))

    def gradients(self, nodes: Sequence[Tensor]) -> list[Tensor]:
        """The gradient of the weighted scores with regard to each of `nodes`."""
        return gradients(self.score, nodes, self.weights)


Build = Callable[[ScoreGraph], Sequence[Tensor]]
"""From a graph to the outputs of a program, whose inputs are the graph's `image` and, where gradients are, `weights`."""


class Scores:
    """The class scores of `net` in inference, computed by `executor`; `net` itself is left as it is.

    Making one is cheap: graphs and programs are kept with the network, and made again when a layer or a setting of it
    has changed. Values of parameters are always the current ones.
    """

    def __init__(self, net: Module, executor: str = "auto") -> None:
        self.net = net
        self.executor = executor
        self._ready = Ready(net, executor)

    def graph(self, shape: Shape) -> ScoreGraph:
        """The graph for pictures of `shape` (N, C, H, W)."""
        return self._ready.graph(shape).once("scores", _score_graph)

    def program(self, shape: Shape, key: Hashable, build: Build) -> Program:
        """The program that computes what `build` makes of the graph; `key` tells what that is, None where it makes no node."""
        ready = self._ready.graph(shape)
        return self._program(ready, ready.once("scores", _score_graph), key, build)

    def _program(self, ready: ReadyGraph, graph: ScoreGraph, key: Hashable, build: Build) -> Program:
        if key is None:
            return ready.program(self._ready.setting, build(graph))
        return ready.program_of(self._ready.setting, key, lambda: build(graph))

    def compute(self, images: Array, weights: Array | None, key: Hashable, build: Build) -> tuple[Array, ...]:
        """What the program of `build` gives for `images` and the classes' `weights` (N, K), if it asks for them."""
        return self._computing(images.shape, key, build)(images, weights)

    def _computing(
        self, shape: Shape, key: Hashable, build: Build
    ) -> Callable[[Array, Array | None], tuple[Array, ...]]:
        """`compute` for images of one shape, whose program is looked up once."""
        ready = self._ready.graph(shape)
        graph = ready.once("scores", _score_graph)
        program = self._program(ready, graph, key, build)
        inputs = program.graph.inputs

        def compute(images: Array, weights: Array | None) -> tuple[Array, ...]:
            fed = {graph.image: images.astype(graph.image.dtype, copy=False), graph.weights: weights}
            return program({i: fed[i] for i in inputs})

        return compute

    def scores(self, images: Array) -> Array:
        """Scores (N, K) of any number of pictures."""
        return np.concatenate(list(self.score_batches(images, len(images))))

    def score_batches(self, images: Iterable[Array], count: int) -> Iterator[Array]:
        """Scores of `count` pictures (C, H, W), batch by batch."""
        parts = self.batches(images, count, None, None, lambda graph: [graph.score])
        return (scores for (scores,) in parts)

    def gradients(self, images: Array, target: int, layer: str = "") -> tuple[Array, Array]:
        """Scores (N, K), and the gradient of class `target`'s with regard to the pictures or to a layer's output."""
        parts = zip(*self.gradient_batches(images, len(images), target, layer), strict=True)
        scores, slopes = (np.concatenate(part) for part in parts)
        return scores, slopes

    def gradient_batches(
        self,
        images: Iterable[Array],
        count: int,
        target: int,
        layer: str = "",
    ) -> Iterator[tuple[Array, ...]]:
        """Scores and gradients of `count` pictures (C, H, W), batch by batch."""

        def build(graph: ScoreGraph) -> list[Tensor]:
            return [graph.score, *graph.gradients([graph.graph[layer] if layer else graph.image])]

        return self.batches(images, count, target, ("gradients", layer), build)

    def batches(
        self,
        images: Iterable[Array],
        count: int,
        target: int | None,
        key: Hashable,
        build: Build,
    ) -> Iterator[tuple[Array, ...]]:
        """`compute` for `count` pictures (C, H, W), batch by batch; `target` is the class whose weight is one.

        Batches have one size, the last is filled up, so that one program computes all.
        """
        pictures = iter(images)
        done, size = 0, 0
        compute: Callable[[Array, Array | None], tuple[Array, ...]] | None = None
        weights: Array | None = None
        while done < count:
            batch = list(itertools.islice(pictures, size or 1))
            if not size:
                size = self._batch_size(count, batch[0].shape)
                batch += itertools.islice(pictures, size - 1)
            filled = np.stack(batch + [batch[-1]] * (size - len(batch)))
            if compute is None:
                compute = self._computing(filled.shape, key, build)
                weights = None if target is None else self.weights(filled.shape, target)
            yield tuple(part[: len(batch)] for part in compute(filled, weights))
            done += len(batch)
            if count > size:
                tell(done, count)

    def weights(self, shape: Shape, target: int) -> Array:
        """What to feed as `weights` to ask for class `target` of every picture."""
        place = self.graph(shape).weights
        weights = np.zeros(place.shape, place.dtype)
        weights[:, target] = 1
        return weights

    def _batch_size(self, count: int, image: Shape) -> int:
        needs = sum(n.nbytes for n in self.graph((1, *image)).graph.nodes if n.inputs)
        limit = max(1, min(BATCH, MEMORY // max(1, needs)))
        return math.ceil(count / math.ceil(count / limit))


def _score_graph(graph: Graph) -> ScoreGraph:
    output, *others = graph.outputs
    if others or output.ndim != 2:
        got = f"{1 + len(others)} outputs" if others else output.shape
        raise ScoreError(f"wants a network that gives scores (N, classes), this one gives {got}")
    score, final = before_softmax(output)
    return ScoreGraph(graph.image, input(score.shape, score.dtype, "weights"), score, final, Graph([score]))


def before_softmax(output: Tensor) -> tuple[Tensor, str]:
    """What a final softmax, log-softmax or sigmoid is given, and which of them it is; `output` itself and "" without one.

    A softmax's gradient tells how the class gains on the others and vanishes where the network is sure; the score before
    it is what explanations are defined for (Simonyan et al. 2014, section 3).
    """
    if isinstance(output.op, Sigmoid):
        return output.inputs[0], "sigmoid"
    for pattern in PATTERNS:
        if pattern.name in ("softmax", "log_softmax") and (match := pattern.find(output)) is not None:
            return match.tensors["x"], pattern.name.replace("_", "-")
    return output, ""


def one_image(what: str, image: npt.ArrayLike) -> Array:
    """A float picture (C, H, W), or a batch of one, as the network takes it, as (1, C, H, W)."""
    picture = np.asarray(image)
    picture = picture[None] if picture.ndim == 3 else picture
    if picture.ndim != 4 or len(picture) != 1 or picture.dtype.kind != "f":
        raise ScoreError(f"{what}: wants one picture, float (C, H, W), got {picture.dtype} {np.shape(image)}")
    return picture


def find_target(scores: Array, target: int | str | None, classes: Sequence[str]) -> int:
    """The number of the class `target`, a number or one of `classes`; that of the highest of `scores` (K,) unless given."""
    if target is None:
        if np.isnan(scores).any():
            raise ScoreError("the scores are not numbers (NaN), so that none is the highest; name a class to ask about")
        return int(np.argmax(scores))
    if isinstance(target, str):
        if target not in classes:
            raise ScoreError(f"no class is named {target!r}{suggest(target, classes)}")
        return list(classes).index(target)
    if not 0 <= target < len(scores):
        raise ScoreError(f"class {target} is not one of the {len(scores)}, 0 to {len(scores) - 1}")
    return target
