"""Metrics by name: of class probabilities (N, K) and true classes (N,), or of numbers (N, M) and true ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import numpy as np

from pellucid.op import Array
from pellucid.train.classification import Classification
from pellucid.train.task import Task

Metric = Callable[[Array, Array], float]
_TOP = re.compile("top([1-9][0-9]{0,4})")


def _top(k: int, probabilities: Array, labels: Array) -> float:
    """The share of examples whose class is among the `k` likeliest."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    answered = np.isfinite(probabilities).all(1)
    return float(np.mean((best == labels[:, None]).any(1) & answered))


def _taken_for(probabilities: Array) -> Array:
    """The likeliest classes (N,); -1 where the probabilities are not numbers."""
    return np.where(np.isfinite(probabilities).all(1), probabilities.argmax(1), -1)


def _f1(probabilities: Array, labels: Array) -> float:
    """The mean of the F1 of each class that there is, or that something is taken for."""
    taken = _taken_for(probabilities)
    found = [k for k in range(probabilities.shape[1]) if (labels == k).any() or (taken == k).any()]
    return float(
        np.mean([2 * np.sum((taken == k) & (labels == k)) / (np.sum(taken == k) + np.sum(labels == k)) for k in found])
    )


def _balanced(probabilities: Array, labels: Array) -> float:
    """The mean of the recall of each class that there is."""
    taken = _taken_for(probabilities)
    return float(np.mean([np.mean(taken[labels == k] == k) for k in np.unique(labels)]))


def _mae(outputs: Array, targets: Array) -> float:
    return float(np.abs(outputs - targets).mean())


def _rmse(outputs: Array, targets: Array) -> float:
    return float(np.sqrt(np.square(outputs - targets).mean()))


_OF_CLASSES: dict[str, Metric] = {"f1": _f1, "balanced-accuracy": _balanced}
_OF_NUMBERS: dict[str, Metric] = {"mae": _mae, "rmse": _rmse}


def known_metrics(task: Task) -> list[str]:
    """The names that `find_metric` knows for a task; of the likeliest classes any number."""
    return ["top5", *_OF_CLASSES] if isinstance(task, Classification) else list(_OF_NUMBERS)


def find_metric(task: Task, name: str) -> Metric | None:
    """The metric called so, if there is one for the task."""
    if not isinstance(task, Classification):
        return _OF_NUMBERS.get(name)
    top = _TOP.fullmatch(name)
    return partial(_top, int(top[1])) if top else _OF_CLASSES.get(name)
