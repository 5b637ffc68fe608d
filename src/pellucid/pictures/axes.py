"""Axes: where a number stands in a drawing, and which round numbers are written beside it."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.pictures.lettering import MARGIN, cut, text, width_of

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
    whole: bool = False
    """Whether what it is of are whole numbers: then its ticks are too."""

    @classmethod
    def over(cls, values: Sequence[float], log: bool, start: float, end: float, share: bool = False) -> Axis:
        """An axis that holds `values` (NaN aside); shares do not go above 1 where none does."""
        finite = [v for v in values if math.isfinite(v)]
        whole = bool(finite) and all(v.is_integer() for v in map(float, finite))
        low, high = (min(finite), max(finite)) if finite else (1.0, 10.0) if log else (0.0, 1.0)
        if log:
            if high / low < 1.0001:
                low, high = max(low / 2, sys.float_info.min), min(high * 2, sys.float_info.max)
            return cls(low, high, True, start, end, whole)
        if high - low <= max(1e-12 * max(abs(low), abs(high)), _TINY):
            half = 0.75 if whole and abs(low) < 1e6 else max(abs(low), abs(high)) / 2
            half = half if half > _TINY else 0.5
            low, high = low - half, high + half
        room = 0.03 * high - 0.03 * low
        wide = (low if low == 0 else low - room, min(high + room, 1.0) if share and high <= 1 else high + room)
        low, high = (min(max(v, -sys.float_info.max), sys.float_info.max) for v in wide)
        return cls(low, high, False, start, end, whole)

    def at(self, value: float) -> float:
        """The pixel of a number."""
        low, high, place = self.low, self.high, value
        if self.log:
            low, high, place = math.log(low), math.log(high), math.log(place)
        elif not (math.isfinite(high - low) and math.isfinite(place - low)):
            low, high, place = low / 4, high / 4, place / 4
        share = (place - low) / (high - low) if high != low else 0.5
        return self.start + min(max(share, -_FAR), _FAR) * (self.end - self.start)


@dataclass(frozen=True)
class Frame:
    """Two axes around a drawing, which has the pixels `left` to `right` and `top` to `bottom`."""

    across: Axis
    upward: Axis
    left: float
    right: float
    top: float
    bottom: float

    @property
    def low_end(self) -> float:
        """Where the words below it end."""
        return self.bottom + 42

    def drawn(self, x_label: str, y_label: str, percent: bool = False) -> str:
        """The axes with their numbers and names; what they hold goes over it."""
        parts: list[str] = []
        for value, words in ticks_of(self.upward, 5, percent):
            y = self.upward.at(value)
            line = f'<path d="M{self.left:.1f},{y:.1f}H{self.right:.1f}" stroke="currentColor" stroke-opacity=".15"/>'
            parts += [line, text(self.left - 6, y + 4, words, "end")]
        parts.append(
            f'<path d="M{self.left:.1f},{self.bottom:.1f}H{self.right:.1f}" stroke="currentColor" stroke-opacity=".5"/>'
        )
        parts += [
            f'<path d="M{self.across.at(value):.1f},{self.bottom:.1f}v4" stroke="currentColor" stroke-opacity=".5"/>'
            + text(self.across.at(value), self.bottom + 17, words, "middle")
            for value, words in self.apart()
        ]
        return "".join([*parts, self.named(x_label, y_label)])

    def named(self, x_label: str, y_label: str) -> str:
        """The names of the axes below and beside the frame."""
        middle, center = (self.top + self.bottom) / 2, (self.left + self.right) / 2
        below = text(center, self.bottom + 35, cut(x_label, self.right - MARGIN), "middle")
        beside = text(16, middle, cut(y_label, self.bottom - self.top + 40), "middle")
        return f'{below}<g transform="rotate(-90 16 {middle:.1f})">{beside}</g>'

    def apart(self) -> list[tuple[float, str]]:
        """As many ticks of the lower axis as stand apart."""
        for count in range(8, 0, -1):
            ticks = ticks_of(self.across, count)
            spans = [(self.across.at(v) - width_of(w) / 2, self.across.at(v) + width_of(w) / 2) for v, w in ticks]
            if all(a[1] + 8 <= b[0] for a, b in itertools.pairwise(spans)):
                return ticks
        return ticks_of(self.across, 1)[:1]


def ticks_of(axis: Axis, count: int, percent: bool = False) -> list[tuple[float, str]]:
    """About `count` round numbers within the axis, with their texts."""
    values = _powers(axis, count) if axis.log else []
    if len(values) < 2:
        values = _round_numbers(axis.low, axis.high, count, axis.whole and not percent)
        values = [v for v in values if v > 0] if axis.log else values
    step = abs(values[1] - values[0]) if len(values) > 1 else 1.0
    if percent:
        digits = max(0, -math.floor(math.log10(step) + 2 + 1e-9))
        return [(v, f"{v:.{digits}%}" if digits < 9 and abs(v) < 1e6 else f"{v:z.3g}") for v in values]
    return [(v, f"{v:g}" if axis.log else _short(v, step)) for v in values]


def _round_numbers(low: float, high: float, count: int, whole: bool = False) -> list[float]:
    rough = high / count - low / count
    if not rough > 0:
        return [low]
    rough = max(rough, 1.0) if whole else rough
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
