"""The scores that explanations are about: one output of a network before a final softmax, for any number of pictures.

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
from pellucid.errors import GraphError, ShapeError, suggest
from pellucid.executors import Program
from pellucid.graph import Graph, Tensor, input
from pellucid.inference.fed import Fed, Given, feed
from pellucid.inference.ready import Once, Ready, ReadyGraph
from pellucid.inference.target import (
    ScoreError,
    Target,
    TargetLike,
    default_output,
    find_target,
    no_output,
)
from pellucid.interop.errors import OnnxError
from pellucid.nn import Module
from pellucid.nn.axes import CHANNELS, UNKNOWN, Axes
from pellucid.nn.card import card_of
from pellucid.nn.interface import main_input
from pellucid.nn.score_kind import kind_of_scores
from pellucid.op import Array, Shape
from pellucid.ops.shape import reshape
from pellucid.progress import tell
from pellucid.walks import replaced

T = TypeVar("T")

BATCH = 16
"""Pictures that are computed at once, where their activations fit into `MEMORY`."""
MEMORY = 1 << 30
"""Bytes that all nodes of a graph may take together for more than one picture to be computed at once."""


@dataclass(frozen=True)
class ScoreGraph:
    """A network's graph in inference for a batch of pictures, as far as one of its outputs goes.

    `image` (N, ...) and `weights` are its inputs, `score` the scores of classes (N, K), or whatever the output is: the
    network's output, or what a final softmax (log-softmax, sigmoid) is given, named by `final`, else "". Gradients are
    those of the scores' sum weighted by `weights`, of their shape: ones there ask for one class, a place or a region.
    """

    image: Tensor
    weights: Tensor
    score: Tensor
    final: str
    graph: Graph
    output: Tensor
    name: str
    facts: Once = field(default_factory=Once, repr=False, compare=False)

    def once(self, key: Hashable, find: Callable[[ScoreGraph], T]) -> T:
        """What `find` says of this graph, found out when first asked for under `key`."""
        return self.facts.get(key, lambda: find(self))

    @property
    def axes(self) -> Axes:
        """What the axes of its values are."""
        return self.once("axes", lambda graph: Axes(graph.graph))

    @property
    def channels(self) -> int | None:
        """The axis of a picture, without the batch's, that counts its channels; None for one that has none, as (L,)."""
        letters = self.axes[self.image][1:]
        if CHANNELS in letters and len(letters) > 1:
            return letters.index(CHANNELS)
        return None if len(letters) < 2 or UNKNOWN not in letters else 0

    def gradients(self, nodes: Sequence[Tensor]) -> list[Tensor]:
        """The gradient of the weighted scores with regard to each of `nodes`."""
        return gradients(self.score, nodes, self.weights)


Build = Callable[[ScoreGraph], Sequence[Tensor]]
"""From a graph to the outputs of a program, whose inputs are the graph's `image` and, where gradients are, `weights`."""


class Scores:
    """The scores that one output of `net` gives in inference, computed by `executor`; `net` itself is left as it is.

    `output` is the output's name (`default_output` unless given); gradients are with regard to the input `of` of an `example`
    for a network with several, see `aimed`. Making one is cheap: graphs and programs are kept with
    the network, and made again when a layer or a setting of it has changed. Values of parameters are always the current ones.
    """

    def __init__(
        self, net: Module, executor: str = "auto", output: str = "", example: Fed | None = None, of: str = ""
    ) -> None:
        self.net = net
        self.executor = executor
        self.output = output
        self._classes = card_of(net).classes
        self._ready = Ready(net, executor)
        self._example = example
        self._of = of

    @classmethod
    def aimed(
        cls, what: str, net: Module, given: Given, asked: TargetLike, executor: str, of: str = ""
    ) -> tuple[Scores, Array, Target]:
        """The scores of the output that `asked` means, what is `given` for the input `of` (1, ...), and the place in the output.

        Gradients are those with regard to that input, which is the picture unless named; others stay as they are given.
        """
        fed = feed(Ready(net, executor), given, what)
        names = {**{name: name for name in fed.arrays}, **{own: node.name for own, node in fed.inputs.items()}}
        if of and of not in names:
            raise ScoreError(f"{what}: no input is called {of!r}{suggest(of, names)}; inputs: {', '.join(names)}")
        name = names[of] if of else fed.main.name
        image = fed.arrays[name]
        if image.dtype.kind != "f":
            raise ScoreError(
                f"{what}: the input {name!r} is of {image.dtype}, of which there are no gradients; name another one"
            )
        image = image if image.shape[:1] == (1,) else image[None]
        scores = cls(net, executor, asked.output if isinstance(asked, Target) else "", fed, name)
        target = scores.target(image.shape, asked, lambda output: cls(net, executor, output, fed, name).ordered(image))
        return cls(net, executor, target.output, fed, name), image, target

    def target(self, shape: Shape, asked: TargetLike, values: Callable[[str], Array] | None = None) -> Target:
        """What is asked for in full, see `find_target`; `shape` is that of the pictures."""
        return find_target(self._graph(shape).outputs, asked, self._classes, values, shape[0])

    def graph(self, shape: Shape) -> ScoreGraph:
        """The graph for pictures of `shape` (N, C, H, W)."""
        return self._scored(self._graph(shape))

    def _graph(self, shape: Shape) -> ReadyGraph:
        if self._example is None:
            return self._ready.graph(shape)
        given = self._example.arrays
        shapes = {n: (shape[0], *a.shape[1:]) if a.shape[:1] == (1,) else a.shape for n, a in given.items()}
        return self._ready.graph(shapes, {n: str(a.dtype) for n, a in given.items()})

    def _scored(self, ready: ReadyGraph) -> ScoreGraph:
        key = "scores", self.output, self._of, () if self.output else self._classes
        return ready.once(key, lambda _: self._score_graph(ready))

    def program(self, shape: Shape, key: Hashable, build: Build) -> Program:
        """The program that computes what `build` makes of the graph; `key` tells what that is, None where it makes no node."""
        ready = self._graph(shape)
        return self._program(ready, self._scored(ready), key, build)

    def _program(self, ready: ReadyGraph, graph: ScoreGraph, key: Hashable, build: Build) -> Program:
        if key is None:
            return ready.program(self._ready.setting, build(graph))
        return ready.program_of(self._ready.setting, (graph.score, key), lambda: build(graph))

    def compute(self, images: Array, weights: Array | None, key: Hashable, build: Build) -> tuple[Array, ...]:
        """What the program of `build` gives for `images` and the scores' `weights`, if it asks for them."""
        return self._computing(images.shape, key, build)(images, weights)

    def _computing(
        self, shape: Shape, key: Hashable, build: Build
    ) -> Callable[[Array, Array | None], tuple[Array, ...]]:
        """`compute` for images of one shape, whose program is looked up once."""
        ready = self._graph(shape)
        graph = self._scored(ready)
        program = self._program(ready, graph, key, build)
        inputs = program.graph.inputs
        given = {} if self._example is None else self._example.arrays
        others = {i: np.broadcast_to(given[i.name], i.shape) for i in inputs if i not in {graph.image, graph.weights}}

        def compute(images: Array, weights: Array | None) -> tuple[Array, ...]:
            fed = {graph.image: images.astype(graph.image.dtype, copy=False), graph.weights: weights, **others}
            return program({i: fed[i] for i in inputs})

        return compute

    def scores(self, images: Array) -> Array:
        """Scores of any number of pictures, (N, K) where they are those of classes."""
        (scores,) = self._whole(images, ((part,) for part in self.score_batches(images, len(images))))
        return scores

    def ordered(self, image: Array) -> Array:
        """Scores of a picture (1, ...), in whose order its outputs are; those of a map after its final softmax."""
        graph = self.graph(image.shape)
        if graph.score.ndim == 2 or "softmax" not in graph.final:
            return self.scores(image)
        return next(self.output_batches(image, 1))

    def output_batches(self, images: Iterable[Array], count: int) -> Iterator[Array]:
        """What the output itself gives for `count` pictures, after a final softmax or sigmoid, batch by batch."""
        return (values for (values,) in self.batches(images, count, None, "output", lambda graph: [graph.output]))

    def score_batches(self, images: Iterable[Array], count: int) -> Iterator[Array]:
        """Scores of `count` pictures (C, H, W), batch by batch."""
        parts = self.batches(images, count, None, None, lambda graph: [graph.score])
        return (scores for (scores,) in parts)

    def gradients(self, images: Array, target: TargetLike, layer: str = "") -> tuple[Array, Array]:
        """Scores, and the gradient of the one that is asked for with regard to the pictures or to a layer's output."""
        scores, slopes = self._whole(images, self.gradient_batches(images, len(images), target, layer))
        return scores, slopes

    def _whole(self, images: Array, batches: Iterable[tuple[Array, ...]]) -> list[Array]:
        """The batches of each value as one; of values that have no batch axis one for each picture."""
        parts = list(zip(*batches, strict=True))
        if len(parts[0]) == 1:
            return [one for (one,) in parts]
        own = self.graph((1, *images.shape[1:])).score.shape[:1] == (1,)
        return [np.concatenate(part) if own or number else np.stack(part) for number, part in enumerate(parts)]

    def gradient_batches(
        self,
        images: Iterable[Array],
        count: int,
        target: TargetLike,
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
        target: TargetLike,
        key: Hashable,
        build: Build,
    ) -> Iterator[tuple[Array, ...]]:
        """`compute` for `count` pictures (C, H, W), batch by batch; of `target` the weights are one, None asks for no weights.

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
            parts = compute(filled, weights)
            yield parts if len(batch) == size else tuple(part[: len(batch)] for part in parts)
            done += len(batch)
            if count > size:
                tell(done, count)

    def weights(self, shape: Shape, target: TargetLike) -> Array:
        """What to feed as `weights` to ask for `target` in every picture."""
        found = self.target(shape, target)
        graph = self.graph(shape)
        if found.output != graph.name:
            raise ScoreError(
                f"these are the scores of the output {graph.name!r}; for {found} make Scores(net, output={found.output!r})"
            )
        return found.upstream(graph.weights)

    def _batch_size(self, count: int, image: Shape) -> int:
        single = self.graph((1, *image))
        needs = sum(n.nbytes for n in single.graph.nodes if n.inputs)
        limit = max(1, min(BATCH, MEMORY // max(1, needs)))
        size = math.ceil(count / math.ceil(count / limit))
        return size if single.score.shape[:1] == (1,) and self._takes((size, *image), single.score.shape[1:]) else 1

    def _takes(self, images: Shape, scores: Shape) -> bool:
        """Whether the network takes so many pictures and gives scores for each; files may be made for one alone."""
        try:
            return self.graph(images).score.shape == (images[0], *scores)
        except (GraphError, ShapeError, OnnxError):
            return False

    def _score_graph(self, ready: ReadyGraph) -> ScoreGraph:
        name = self.output or default_output(ready.outputs, self._classes)
        if name not in ready.outputs:
            raise no_output(name, ready.outputs)
        inputs = ready.graph.inputs
        image = main_input([i for i in inputs if i.name == self._of] or inputs)
        output = ready.outputs[name]
        if (
            self._example is not None
            and image.shape[:1] != (1,)
            and self._example.arrays[image.name].shape == image.shape
        ):
            whole = input((1, *image.shape), image.dtype, image.name)  # an input that has no batch axis gets one
            (output,) = replaced([output], {image: reshape(whole, image.shape)})
            image = whole
        score, final = before_softmax(output)
        made = Graph([score])
        if image not in set(made.inputs):
            raise ScoreError(f"the output {name!r} does not depend on the input {image.name!r}")
        return ScoreGraph(image, input(score.shape, score.dtype, "weights"), score, final, made, output, name)


def before_softmax(output: Tensor) -> tuple[Tensor, str]:
    """What a final softmax, log-softmax or sigmoid is given, and which of them it is; `output` itself and "" without one.

    A softmax's gradient tells how the class gains on the others and vanishes where the network is sure; the score before
    it is what explanations are defined for (Simonyan et al. 2014, section 3).
    """
    kind = kind_of_scores(output)
    return kind.scores, kind.final


def one_image(what: str, image: npt.ArrayLike) -> Array:
    """A float picture (C, H, W), or a batch of one, as the network takes it, as (1, C, H, W)."""
    picture = np.asarray(image)
    picture = picture[None] if picture.ndim == 3 else picture
    if picture.ndim != 4 or len(picture) != 1 or picture.dtype.kind != "f":
        raise ScoreError(f"{what}: wants one picture, float (C, H, W), got {picture.dtype} {np.shape(image)}")
    return picture
