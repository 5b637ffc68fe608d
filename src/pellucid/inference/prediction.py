"""What a network makes of batches of inputs in inference: its scores, their probabilities, and the loss of these."""

from __future__ import annotations

import numpy as np

from pellucid import ops
from pellucid.errors import GraphError
from pellucid.graph import Tensor, input
from pellucid.inference.ready import Ready, ReadyGraph
from pellucid.inference.values import Values
from pellucid.nn import Module
from pellucid.op import Array, Shape


class Predictor:
    """A network in inference, asked for its output: one program for each batch size, which explanations share.

    Values of parameters are the current ones; layers and settings are those of when the predictor was made.
    """

    def __init__(self, net: Module, executor: str = "auto", precision: str = "float32", threads: int = 0) -> None:
        self.ready = Ready(net, executor, precision, threads)

    def logits(self, images: Array) -> Array:
        """The output, scores (N, K) of a classifier, for normalized images (N, C, H, W), or whatever the network takes."""
        graph = self.graph(images.shape)
        program = graph.program(self.ready.setting, [graph.output])
        if not program.graph.inputs:
            raise GraphError(f"predict: {graph.graph!r} depends on no picture")
        (fed,) = program.graph.inputs
        return program({fed: images.astype(fed.dtype, copy=False)})[0]

    def probabilities(self, images: Array, batch_size: int) -> Array:
        """Probabilities (N, K), float64, of any number of images, so many at once."""
        parts = [self.logits(images[i : i + batch_size]) for i in range(0, max(1, len(images)), batch_size)]
        return softmax(np.concatenate(parts))

    def output(self, shape: Shape) -> Tensor:
        """The node of the output for an input of `shape`, with the batch axis."""
        return self.graph(shape).output

    def graph(self, shape: Shape) -> ReadyGraph:
        """The graph for an input of `shape`, with the batch axis."""
        return self.ready.graph(shape)


def softmax(logits: Array) -> Array:
    """Probabilities (N, K) of scores (N, K), in float64."""
    x = input(logits.shape, "float64", "logits")
    return Values({x: logits.astype(np.float64)}).of(ops.softmax(x, 1))


def mean_cross_entropy(probabilities: Array, labels: Array) -> float:
    """Mean of -log of the true class's probability, for (N, K) and labels (N,); a probability of 0 counts as 2e-308."""
    right = probabilities[np.arange(len(labels)), labels]
    return float(np.mean(-np.log(np.maximum(right, np.finfo(np.float64).tiny))))
