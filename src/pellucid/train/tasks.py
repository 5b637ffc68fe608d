"""The tasks that there are, by name; and the one that data, or a checkpoint, means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pellucid.data import NumberSplits, Parts, Splits
from pellucid.errors import unknown
from pellucid.train.balance import class_weights
from pellucid.train.classification import Classification
from pellucid.train.config import LOSSES, TrainConfig, TrainError
from pellucid.train.regression import Regression
from pellucid.train.task import Task

TASKS: dict[str, type[Task]] = {task.name: task for task in (Classification, Regression)}


def task_for(data: Parts, config: TrainConfig, asked: Task | str | None = None) -> Task:
    """The task that is `asked` for, else what there is to learn of the data: classes or numbers."""
    if isinstance(asked, Task):
        return asked
    if isinstance(data, Splits):
        weights = class_weights(config.class_weights, data.classes, data.train.labels)
        found: Task = Classification(data.classes, config.label_smoothing, class_weights=weights)
    elif isinstance(data, NumberSplits):
        found = Regression.of(data.train, config.loss if config.loss in LOSSES else LOSSES[0])
    else:
        raise TrainError(f"what is to be learned of a {type(data).__name__} is not known; say it with task=")
    asked = asked or (config.task if config.task != Classification.name else None)
    if asked is not None and asked not in TASKS:
        raise unknown("task", asked, TASKS)
    if asked not in (None, found.name):
        raise TrainError(f"the task {asked} was asked for, and the data {data.source} is for {found.name}")
    return found


def described(plain: Mapping[str, Any] | None, classes: tuple[str, ...], config: TrainConfig) -> dict[str, Any]:
    """A task as plain data, of what a checkpoint says; where it says nothing classes are told apart."""
    return Classification(classes, config.label_smoothing).to_dict() if plain is None else dict(plain)
