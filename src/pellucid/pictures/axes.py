"""Axes: where a number stands in a drawing, and which round numbers are written beside it."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_TINY, _FAR = 1e-290, 1e4
"""What is no wider than the one is drawn as one number; what lies so many axes away is drawn no further."""


@dataclass(frozen=True)
class Axis:
    """Numbers `low` to `high` on pixels `start` to `end`, evenly or by their logarithm."""

    low: float
    high: float
    log: bool
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], log: bool, start: float, end: float, share: bool = False) -> Axis:
        """An axis that holds `values` (NaN aside); shares do not go above 1 where none does."""
        finite = [v for v in values if math.isfinite(v)]
        low, high = (min(finite), max(finite)) if finite else (1.0, 10.0) if log else (0.0, 1.0)
        if log:
            if high / low < 1.0001:
                low, high = max(low / 2, sys.float_info.min), min(high * 2, sys.float_info.max)
            return cls(low, high, True, start, end)
        if high - low <= max(1e-12 * max(abs(low), abs(high)), _TINY):
            half = max(abs(low), abs(high)) / 2
            half = half if half > _TINY else 0.5
            low, high = low - half, high + half
        room = 0.03 * high - 0.03 * low
        wide = (low if low == 0 else low - room, min(high + room, 1.0) if share and high <= 1 else high + room)
        low, high = (min(max(v, -sys.float_info.max), sys.float_info.max) for v in wide)
        return cls(low, high, False, start, end)

    def at(self, value: float) -> float:
        """The pixel of a number."""
        low, high, place = self.low, self.high, value
        if self.log:
            low, high, place = math.log(low), math.log(high), math.log(place)
        elif not (math.isfinite(high - low) and math.isfinite(place - low)):
            low, high, place = low / 4, high / 4, place / 4
        share = (place - low) / (high - low) if high != low else 0.5
        return self.start + min(max(share, -_FAR), _FAR) * (self.end - self.start)


def ticks_of(axis: Axis, count: int, percent: bool = False) -> list[tuple[float, str]]:
    """About `count` round numbers within the axis, with their texts."""
    values = _powers(axis, count) if axis.log else []
    if len(values) < 2:
        values = _round_numbers(axis.low, axis.high, count)
        values = [v for v in values if v > 0] if axis.log else values
    step = abs(values[1] - values[0]) if len(values) > 1 else 1.0
    if percent:
        digits = max(0, -math.floor(math.log10(step) + 2 + 1e-9))
        return [(v, f"{v:.{digits}%}" if digits < 9 and abs(v) < 1e6 else f"{v:z.3g}") for v in values]
    return [(v, f"{v:g}" if axis.log else _short(v, step)) for v in values]


def _round_numbers(low: float, high: float, count: int) -> list[float]:
    rough = high / count - low / count
    if not rough > 0:
        return [low]
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next((unit * k for k in (1, 2, 5) if unit * k >= rough), unit * 10)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _powers(axis: Axis, count: int) -> list[float]:
    first = math.ceil(math.log10(axis.low) - 1e-9)
    last = math.floor(math.log10(axis.high) + 1e-9)
    step = max(1, -(-(last - first + 1) // (count + 1)))
    return [10.0**k for k in range(first, last + 1, step)]


def _short(value: float, step: float) -> str:
    if value and (abs(value) >= 1e6 or step < 1e-4):
        return f"{value:z.3g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{digits}f}" if value else "0"
