"""The tasks that there are, by name; and the one that data, or a checkpoint, means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pellucid.data import Splits
from pellucid.train.classification import Classification
from pellucid.train.config import TrainConfig
from pellucid.train.task import Task

TASKS: dict[str, type[Task]] = {task.name: task for task in (Classification,)}


def task_for(data: Splits, config: TrainConfig) -> Task:
    """What there is to learn of the data."""
    return Classification(data.classes, config.label_smoothing)


def described(plain: Mapping[str, Any] | None, classes: tuple[str, ...], config: TrainConfig) -> dict[str, Any]:
    """A task as plain data, of what a checkpoint says; where it says nothing classes are told apart."""
    return Classification(classes, config.label_smoothing).to_dict() if plain is None else dict(plain)
