"""Random numbers of layers in training: a function of (seed, layer, call, step), so that a step can be done again."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple

from pellucid.graph import Tensor, input
from pellucid.nn.errors import ModuleError
from pellucid.seeds import require_seed


@dataclass
class _Step:
    """The input `step` and the seed of the random numbers of a training step, and how often each number was drawn for."""

    step: Tensor
    seed: int
    drawn: Counter[int] = field(default_factory=Counter[int])


_STEP: ContextVar[_Step | None] = ContextVar("step", default=None)
_STREAMS = 2**32
"""Random numbers of the calls of one layer are told apart by multiples of this."""


@contextlib.contextmanager
def training_step(seed: int = 0) -> Generator[Tensor]:
    """Networks called inside draw their random numbers (dropout) from (seed, layer, call, step).

    Gives the `step` input, an int64 scalar that must be fed with the number of the training step.
    """
    step = input((), "int64", "step")
    token = _STEP.set(_Step(step, require_seed(seed)))
    try:
        yield step
    finally:
        _STEP.reset(token)


class DrawKey(NamedTuple):
    """What random numbers of a layer are a function of: the input `step`, a seed, and a stream for each of its calls."""

    step: Tensor
    seed: int
    stream: int


def draw_key(layer: str, number: int) -> DrawKey:
    """The key of numbers that are drawn nowhere else in the `training_step` around; `number` is the layer's place.

    A `ModuleError` that names the layer where there is no `training_step`.
    """
    step = _STEP.get()
    if step is None:
        raise ModuleError(
            f"{layer}: in training mode call the network inside `with nn.training_step():`, or net.eval() first"
        )
    call = step.drawn[number]
    step.drawn[number] += 1
    return DrawKey(step.step, step.seed, number + call * _STREAMS)
