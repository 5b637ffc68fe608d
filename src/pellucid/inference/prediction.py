"""What a network makes of batches of inputs in inference: its scores, their probabilities, and the loss of these."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pellucid import ops
from pellucid.errors import GraphError
from pellucid.graph import Tensor, input
from pellucid.inference.ready import Ready, ReadyGraph
from pellucid.inference.target import ScoreError, default_output
from pellucid.inference.values import Values
from pellucid.nn import Module
from pellucid.nn.score_kind import LOG_PROBABILITIES, LOGITS, UNKNOWN, ScoreKind, kind_of_scores
from pellucid.op import Array, Shape, as_dtype

Reading = Callable[[Tensor], Tensor]
"""What is taken of a network's output; the same function gives the same node each time that it is asked."""


class Predictor:
    """A network in inference, asked for its output: one program for each batch size, which explanations share.

    Values of parameters are the current ones; layers and settings are those of when the predictor was made.
    """

    def __init__(self, net: Module, executor: str = "auto", precision: str = "float32", threads: int = 0) -> None:
        self.ready = Ready(net, executor, precision, threads)

    def logits(self, images: Array, reading: Reading | None = None, output: Tensor | None = None) -> Array:
        """The output, scores (N, K) of a classifier, for normalized images (N, C, H, W), or whatever the network takes.

        With a `reading` what that takes of it; with an `output` of the graph for such images that one, of several.
        """
        graph = self.graph(images.shape)
        whole = graph.output if output is None else output
        if reading is not None:
            whole = graph.once(("reading", reading), lambda _: reading(graph.output))
        program = graph.program(self.ready.setting, [whole])
        if not program.graph.inputs:
            raise GraphError(f"predict: {graph.graph!r} depends on no picture")
        (fed,) = program.graph.inputs
        return program({fed: _as_taken(images, fed)})[0]

    def probabilities(self, images: Array, batch_size: int) -> Array:
        """Probabilities (N, K), float64, of any number of images, so many at once; a `ScoreError` where scores are none."""
        batches = [images[i : i + batch_size] for i in range(0, max(1, len(images)), batch_size)]
        parts = [self.logits(batch, output=self._scores(batch.shape)) for batch in batches]
        scores = self._scores(batches[0].shape)
        kind = self.graph(batches[0].shape).once(("kind of scores", scores), lambda _: kind_of_scores(scores))
        found = probabilities_of(np.concatenate(parts), kind)
        if found is None:
            raise ScoreError(f"predict: what the scores are is {kind}; Predictor.logits gives them as they are")
        return found

    def kind(self, shape: Shape) -> ScoreKind:
        """What the scores are, for an input of `shape`, with the batch axis."""
        graph = self.graph(shape)
        return graph.once("kind of scores", lambda _: kind_of_scores(graph.output))

    def _scores(self, shape: Shape) -> Tensor:
        """The output for an input of `shape`; of several that with the scores of classes, by their number or shape (N, K)."""
        graph = self.graph(shape)
        if len(graph.outputs) == 1:
            return graph.output
        name = default_output(graph.outputs, self.ready.net.card.classes)
        return graph.outputs[name]

    def output(self, shape: Shape) -> Tensor:
        """The node of the output for an input of `shape`, with the batch axis."""
        return self.graph(shape).output

    def graph(self, shape: Shape) -> ReadyGraph:
        """The graph for an input of `shape`, with the batch axis."""
        return self.ready.graph(shape)


def _as_taken(images: Array, fed: Tensor) -> Array:
    """Images in the type that an input takes; a `ScoreError` for fractions where it takes whole numbers or truth values."""
    taken, lost = as_dtype(images, fed.dtype)
    if not fed.dtype.startswith("float") and images.dtype.kind == "f" and not np.array_equal(taken, images):
        raise ScoreError(
            f"the network takes {fed.dtype}, got {images.dtype} with values that are none; round them first"
        )
    if lost is not None:
        raise ScoreError(f"the network takes {fed.dtype}, which {lost} does not fit into; scale the images")
    return taken


def probabilities_of(outputs: Array, kind: ScoreKind) -> Array | None:
    """The probabilities (N, K), float64, that outputs (N, K, ...) of this kind say; None where that is not known."""
    values = outputs.reshape(len(outputs), *kind.rows.shape[1:])
    if kind.name == UNKNOWN:
        return None
    if kind.name == LOGITS:
        return softmax(values)
    values = values.astype(np.float64)
    values = np.exp(values) if kind.name == LOG_PROBABILITIES else values
    return np.hstack([1 - values, values]) if values.shape[1] == 1 else values


def softmax(logits: Array) -> Array:
    """Probabilities (N, K) of scores (N, K), in float64."""
    x = input(logits.shape, "float64", "logits")
    return Values({x: logits.astype(np.float64)}).of(ops.softmax(x, 1))


def shares(scores: Array, independent: bool) -> Array:
    """Probabilities (N, K), float64, of class scores (N, K): softmax, or where classes are `independent` a sigmoid of each."""
    if not independent:
        return softmax(scores)
    x = input(scores.shape, "float64", "scores")
    return Values({x: scores.astype(np.float64)}).of(ops.sigmoid(x))


def require_scores_for(scores: Array, labels: Array) -> None:
    """Raise `ScoreError` for what are no scores (N, K) of the classes that labels (N,) number."""
    if scores.ndim != 2:
        raise ScoreError(
            f"wants a network that gives scores of classes (N, K), this one gives {('N', *scores.shape[1:])}".replace(
                "'", ""
            )
        )
    if labels.size and int(labels.max()) >= scores.shape[1]:
        raise ScoreError(
            f"the network gives scores of {scores.shape[1]} classes, the data has labels up to {labels.max()}"
        )


def mean_loss(scores: Array, labels: Array, independent: bool = False) -> float:
    """Mean cross-entropy of class scores (N, K) and labels (N,); where classes are `independent` the binary one's mean."""
    require_scores_for(scores, labels)
    if not independent:
        return mean_cross_entropy(softmax(scores), labels)
    truth = np.arange(scores.shape[1]) == labels[:, None]
    wide = scores.astype(np.float64)
    return float(np.mean(np.logaddexp(0.0, np.where(truth, -wide, wide))))


def mean_cross_entropy(probabilities: Array, labels: Array) -> float:
    """Mean of -log of the true class's probability, for (N, K) and labels (N,); a probability of 0 counts as 2e-308."""
    right = probabilities[np.arange(len(labels)), labels]
    return float(np.mean(-np.log(np.maximum(right, np.finfo(np.float64).tiny))))
