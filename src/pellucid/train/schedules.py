"""Learning-rate schedules: pure functions from progress in [0, 1), or the epochs so far, to a factor of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pellucid.errors import unknown


def _constant(progress: float) -> float:
    return 1.0


def _cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))


def _linear(progress: float) -> float:
    return 1 - progress


def _step(progress: float) -> float:
    return 0.1 ** int(progress * 3)


def _exponential(progress: float) -> float:
    return 0.01**progress


def _one_cycle(progress: float) -> float:
    if progress < 0.3:
        return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * progress / 0.3))
    return 0.5 * (1 + math.cos(math.pi * (progress - 0.3) / 0.7))


PLATEAU = "plateau"
_BETTER = 1e-4
"""A loss is lower that is by this share of the lowest so far."""

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "exponential": _exponential,
    "linear": _linear,
    "one-cycle": _one_cycle,
    PLATEAU: _constant,
    "step": _step,
}


def factor(schedule: str, step: int, total_steps: int, warmup: int = 0) -> float:
    """What to multiply the learning rate with at `step` (from 0) of `total_steps`.

    Over the first `warmup` steps it grows evenly to 1, and the schedule goes over those that are left.
    """
    if schedule not in SCHEDULES:
        raise unknown("schedule", schedule, SCHEDULES)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return SCHEDULES[schedule](min((step - warmup) / max(total_steps - warmup, 1), 1.0))


def plateau_factor(losses: Sequence[float], patience: int, factor: float) -> float:
    """What the schedule `plateau` multiplies the learning rate with after epochs of these validation losses.

    After every `patience` epochs in a row without a lower one it is multiplied by `factor`.
    """
    lowest, since, found = math.inf, 0, 1.0
    for loss in losses:
        since += 1
        if loss < lowest * (1 - _BETTER):
            lowest, since = loss, 0
        elif since == patience:
            since, found = 0, found * factor
    return found
