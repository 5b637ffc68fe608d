"""Asking a trained network: probabilities for pictures, and how well it does on a data set."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.data import DataError, Dataset, Labelled, Loader, Preprocessing
from pellucid.errors import ShapeError
from pellucid.executors import Program, compile
from pellucid.graph import Tensor, input
from pellucid.nn import Module
from pellucid.op import Array


class Predictor:
    """A network in inference, compiled once per batch size. Reads the network's current weights."""

    def __init__(self, net: Module, executor: str = "auto", precision: str = "float32", threads: int = 0) -> None:
        self.net = net
        self.setting: dict[str, Any] = {"executor": executor, "precision": precision, "threads": threads}
        self._programs: dict[tuple[int, ...], Program] = {}

    def logits(self, images: Array) -> Array:
        """Scores (N, K) for normalised images (N, C, H, W)."""
        if images.shape not in self._programs:
            was_training = self.net.training
            self.net.eval()
            self._programs[images.shape] = compile([self.output(images.shape)], **self.setting)
            self.net.train(was_training)
        program = self._programs[images.shape]
        return program({program.graph.inputs[0]: images.astype(np.float32, copy=False)})[0]

    def output(self, shape: tuple[int, ...]) -> Tensor:
        """The graph of scores for an input of `shape`."""
        if len(shape) != 4:
            raise ShapeError(f"predict: wants images of shape (N, C, H, W), got {shape}")
        return self.net(input(shape, name="images"))


def softmax(logits: Array) -> Array:
    """Probabilities (N, K) of scores (N, K), in float64."""
    x = input(logits.shape, "float64", "logits")
    return compile([ops.softmax(x, 1)])({"logits": logits.astype(np.float64)})[0]


def predict(net: Module, images: Array, batch_size: int = 64, executor: str = "auto") -> Array:
    """Class probabilities (N, K) for normalised images (N, C, H, W), float64."""
    images = np.asarray(images)
    if len(images) == 0:
        raise ShapeError("predict: there is no image to predict")
    predictor = Predictor(net, executor)
    parts = [predictor.logits(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
    return softmax(np.concatenate(parts))


def require_fitting(source: str, classes: tuple[str, ...], shape: tuple[int, int, int], dataset: Dataset) -> None:
    """Raise `DataError` for data whose classes or image shape (C, H, W) are not those that the network `source` knows."""
    if dataset.classes != classes:
        raise DataError(
            f"{source}: knows the classes {_some(classes)}, the data {dataset.name} has {_some(dataset.classes)}"
        )
    if dataset.shape != shape:
        raise DataError(f"{source}: wants images {shape}, the data {dataset.name} has {dataset.shape}")


def _some(names: tuple[str, ...], count: int = 8) -> str:
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")


@dataclass(frozen=True)
class Evaluation:
    """How a network does on a data set. `confusion[i, j]` counts pictures of class i taken for class j."""

    accuracy: float
    loss: float
    confusion: Array
    classes: tuple[str, ...]
    most_wrong: tuple[dict[str, Any], ...]
    """Misclassified pictures, the surest mistakes first: index, label, prediction, probability."""

    @property
    def count(self) -> int:
        """Number of pictures."""
        return int(self.confusion.sum())

    def per_class(self) -> list[dict[str, Any]]:
        """Precision, recall and number of pictures of each class."""
        found = np.diag(self.confusion)
        predicted, actual = self.confusion.sum(0), self.confusion.sum(1)
        return [
            {
                "class": name,
                "precision": float(found[i] / predicted[i]) if predicted[i] else None,
                "recall": float(found[i] / actual[i]) if actual[i] else None,
                "count": int(actual[i]),
            }
            for i, name in enumerate(self.classes)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "count": self.count,
            "accuracy": self.accuracy,
            "loss": self.loss,
            "classes": self.per_class(),
            "confusion": self.confusion.tolist(),
            "most_wrong": list(self.most_wrong),
        }


def evaluate(
    net: Module,
    dataset: Labelled,
    preprocessing: Preprocessing | None,
    batch_size: int = 64,
    executor: str = "auto",
    predictor: Predictor | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Accuracy, mean cross-entropy, confusion matrix and the surest mistakes of `net` on `dataset`.

    Without `preprocessing` the data set's values are taken as they are.
    `tell(done, total)` is called after every batch.
    """
    predictor = predictor or Predictor(net, executor)
    logits: list[Array] = []
    labels: list[Array] = []
    done = 0
    with closing(Loader(dataset, batch_size, preprocessing).epoch(0)) as batches:
        for batch in batches:
            logits.append(predictor.logits(batch.images))
            labels.append(batch.labels)
            done += len(batch.labels)
            if tell is not None:
                tell(done, len(dataset))
    probabilities, truth = softmax(np.concatenate(logits)), np.concatenate(labels)
    taken_for = probabilities.argmax(1)
    num_classes = probabilities.shape[1]
    confusion = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(confusion, (truth, taken_for), 1)
    right = probabilities[np.arange(len(truth)), truth]
    sure = probabilities.max(1)
    wrong = np.flatnonzero(taken_for != truth)
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:24]
    return Evaluation(
        float(np.mean(taken_for == truth)),
        float(np.mean(-np.log(np.maximum(right, np.finfo(np.float64).tiny)))),
        confusion,
        dataset.classes,
        tuple(
            {
                "index": int(i),
                "label": dataset.classes[truth[i]],
                "prediction": dataset.classes[taken_for[i]],
                "probability": float(sure[i]),
            }
            for i in wrong
        ),
    )
