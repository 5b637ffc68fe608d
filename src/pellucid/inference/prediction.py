"""A network in inference: scores for batches of pictures, probabilities of scores, and the loss of probabilities."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.errors import ShapeError
from pellucid.executors import Program, compile
from pellucid.graph import Graph, Tensor, input
from pellucid.nn import Module
from pellucid.op import Array
from pellucid.scopes import inference_mode


class Predictor:
    """A network in inference, compiled once per batch size. Reads the network's current weights."""

    def __init__(self, net: Module, executor: str = "auto", precision: str = "float32", threads: int = 0) -> None:
        self.net = net
        self.setting: dict[str, Any] = {"executor": executor, "precision": precision, "threads": threads}
        self._programs: dict[tuple[int, ...], Program] = {}
        self._lock = threading.Lock()

    def logits(self, images: Array) -> Array:
        """Scores (N, K) for normalised images (N, C, H, W)."""
        with self._lock:
            if images.shape not in self._programs:
                with inference_mode():
                    self._programs[images.shape] = compile([self.output(images.shape)], **self.setting)
            program = self._programs[images.shape]
        return program({self.fed(program.graph): images.astype(np.float32, copy=False)})[0]

    def output(self, shape: tuple[int, ...]) -> Tensor:
        """The graph of scores for an input of `shape`."""
        if len(shape) != 4:
            raise ShapeError(f"predict: wants images of shape (N, C, H, W), got {shape}")
        return self.net(input(shape, name="images"))

    def fed(self, graph: Graph) -> Tensor:
        """The input of the `graph` of scores that images are fed to."""
        return graph.picture


def softmax(logits: Array) -> Array:
    """Probabilities (N, K) of scores (N, K), in float64."""
    x = input(logits.shape, "float64", "logits")
    return compile([ops.softmax(x, 1)])({"logits": logits.astype(np.float64)})[0]


def mean_cross_entropy(probabilities: Array, labels: Array) -> float:
    """Mean of -log of the true class's probability, for (N, K) and labels (N,); a probability of 0 counts as 2e-308."""
    right = probabilities[np.arange(len(labels)), labels]
    return float(np.mean(-np.log(np.maximum(right, np.finfo(np.float64).tiny))))
