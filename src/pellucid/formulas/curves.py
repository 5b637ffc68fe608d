"""A function of one number looked at: its values, its derivative, and the places where that jumps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.autodiff import gradients
from pellucid.executors import run
from pellucid.graph import Tensor, input
from pellucid.op import Array
from pellucid.real_numbers import is_real

MOST_POINTS = 5001
"""Places at which a function is looked at, at most."""
_BESIDE, _JUMP = 1e-9, 1e-6


@dataclass(frozen=True)
class Kink:
    """A corner at `x`, where the value is `y`: the slope is `left` before it and `right` after it.

    There is no derivative at a corner; `derivative` is the number that the engine takes there, as its op states it.
    """

    x: float
    y: float
    left: float
    right: float
    derivative: float

    def __str__(self) -> str:
        return f"corner at {self.x:z.4g}: slope {self.left:z.4g} before, {self.right:z.4g} after, {self.derivative:z.4g} is taken there"


def is_drawable(low: float, high: float, points: int) -> bool:
    """Whether there are so many places from `low` to a larger `high`, a finite way apart."""
    whole = isinstance(points, int | np.integer)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not (whole and is_real(low) and is_real(high)):
        return False
    return low < high and math.isfinite(high - low) and 1 < points <= MOST_POINTS


def values_and_slopes(function: Callable[[Tensor], Tensor], places: Array) -> tuple[Array, Array]:
    """Value and derivative of an elementwise function at every place, in float64."""
    x = input(places.shape, "float64", "x")
    y = function(x)
    value, slope = run([y, *gradients(y, [x])], {x: places})
    return value, slope


def kinks_of(
    function: Callable[[Tensor], Tensor], places: Sequence[float], tied: Callable[[Tensor], Tensor] | None = None
) -> tuple[Kink, ...]:
    """Those of the places at which the derivative jumps.

    `tied` is the function moved so that its corner is at 0, where a place in decimals is not exactly that of the corner.
    """
    at = np.array(sorted(places), np.float64) + 0.0
    if not at.size:
        return ()
    beside = _BESIDE * np.maximum(1.0, np.abs(at))
    values, slopes = values_and_slopes(function, np.concatenate([at - beside, at, at + beside]))
    left, here, right = slopes.reshape(3, -1)
    if tied is not None:
        here = np.full_like(here, values_and_slopes(tied, np.zeros(1))[1][0])
    jumps = np.abs(right - left) > _JUMP * np.maximum(1.0, np.abs(left))
    found = zip(at[jumps], values.reshape(3, -1)[1][jumps], left[jumps], right[jumps], here[jumps], strict=True)
    return tuple(Kink(*(float(number) for number in row)) for row in found)


def kinks_told(kinks: Sequence[Kink]) -> list[dict[str, Any]]:
    """As plain data."""
    return [vars(kink) for kink in kinks]
