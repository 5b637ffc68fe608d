"""What there is to say of a run that its numbers do not: each a sentence on the screen, in the run's JSON and in its report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pellucid import models
from pellucid.text import amount
from pellucid.train.task import TaskEvaluation

if TYPE_CHECKING:
    from pellucid.train.checkpoint import Position
    from pellucid.train.setup import Setup

RATES_APART = 20
"""A learning rate so many times the optimizer's usual one, or that part of it, is named where nothing was learned."""


def before_training(setup: Setup) -> list[str]:
    """Of the data, and of weights that there would be."""
    return [*setup.task.remarks(setup.data), *_weights_at_hand(setup)]


def after_training(setup: Setup, evaluation: TaskEvaluation, position: Position) -> list[str]:
    """Of the result, and of how the run came to its epochs."""
    return [
        *_went_on(position.rows, setup.config.schedule),
        *_other_data(position.other_data),
        *_chance(setup, evaluation),
    ]


def _weights_at_hand(setup: Setup) -> list[str]:
    name, config = (setup.net.card.config or {}).get("model", ""), setup.config
    if config.pretrained or config.start_from or not name:
        return []
    try:
        source = models.published(name)
        source.path()
    except models.PublishedError:
        return []
    if setup.data.shape[:1] != (source.preprocessing.channels,):
        return []
    option = f"--model {name.replace('_', '-')} --pretrained"
    return [
        f"the network {name} starts from random weights though weights published for it are installed: {option} starts from these "
        f"(in Python pl.models.build({name!r}, pretrained=True, ...))"
    ]


def _went_on(rows: Iterable[Mapping[str, Any]], schedule: str) -> list[str]:
    return [
        f"the run was one of {amount(one['epochs'], 'epoch')} and went on to {other['epochs']}: from epoch {other['epoch']} on its "
        f"learning rate follows the {schedule} schedule of {amount(other['epochs'], 'epoch')}"
        for one, other in pairwise(rows)
        if one["epochs"] != other["epochs"]
    ]


def _other_data(epochs: int) -> list[str]:
    if not epochs:
        return []
    which = "epoch 1 was" if epochs == 1 else f"epochs 1 to {epochs} were"
    return [f"{which} measured on other data, before it changed; the best epoch is one of those after that"]


def _chance(setup: Setup, evaluation: TaskEvaluation) -> list[str]:
    verdict = setup.task.verdict(evaluation)
    if not verdict:
        return []
    config = setup.config
    rate, usual = config.learning_rate, config.make_optimizer().default_learning_rate
    if not usual / RATES_APART < rate < usual * RATES_APART:
        way = f"the learning rate {rate:g} is far from {usual:g}, which is usual for {config.optimizer}: leave --lr out"
    else:
        way = "more epochs, other pictures or another learning rate may help (`pellucid find-rate` looks for one)"
    return [f"{verdict}; {way}"]
