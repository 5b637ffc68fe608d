"""Learning-rate schedules: pure functions from progress in [0, 1) to a factor of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable

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


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "exponential": _exponential,
    "linear": _linear,
    "one-cycle": _one_cycle,
    "step": _step,
}


def factor(schedule: str, step: int, total_steps: int) -> float:
    """What to multiply the learning rate with at `step` (from 0) of `total_steps`."""
    if schedule not in SCHEDULES:
        raise unknown("schedule", schedule, SCHEDULES)
    return SCHEDULES[schedule](min(step / max(total_steps, 1), 1.0))
