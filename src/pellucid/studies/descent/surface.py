"""A function of two variables as a map: its values on a grid, lines of equal height, and what it does at one place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pellucid.errors import PellucidError
from pellucid.executors import compile
from pellucid.op import Array
from pellucid.pictures import Answer, HeatMap, Series
from pellucid.studies.descent.contours import Line, contour
from pellucid.studies.descent.presets import PRESETS, Box, Preset
from pellucid.studies.descent.tape import curvature_of, slopes_of, variables

SIDE, LEVELS = 61, 12
"""Points along each side of a map, and how many lines of equal height it has."""
FLOOR = 1e-3
"""Colors are logarithms of the height above the lowest point, in shares of the whole, down to this one."""
FLAT = 0.05
"""A slope that no hollow holds is a plateau where over the whole map it makes less than this share of the difference in height."""
NEAR = 0.01
"""A place counts as the minimum, saddle or maximum that Newton's step leads to where that is within this share of the map."""


class DescentError(PellucidError, ValueError):
    """A surface or a race is asked for with a formula, a place or a setting that makes no sense."""


@dataclass(frozen=True)
class Place:
    """What a function does at one place: `value`, `gradient`, the `curvature` along its two main directions, and its `kind`.

    The kind is minimum, maximum or saddle where Newton's step leads no further than 1 % of the map, else plateau or slope.
    On a plateau it does not bend upwards in every direction, and going on with the slope over the whole map makes less than
    5 % of the difference between highest and lowest.
    """

    x: float
    y: float
    value: float
    gradient: tuple[float, float]
    curvature: tuple[float, float]
    kind: str

    @property
    def slope(self) -> float:
        """How long the gradient is."""
        return math.hypot(*self.gradient)


@dataclass(frozen=True)
class Surface(Answer):
    """A function over a box: `values` (rows over `y`, columns over `x`), and `levels`, each a height and its lines.

    `lowest` is the lowest point of the grid, `minima` are the lowest places that are known, `at` is the place looked at.
    """

    name: str
    formula: str
    box: Box
    x: tuple[float, ...]
    y: tuple[float, ...]
    values: Array
    levels: tuple[tuple[float, list[Line]], ...]
    lowest: tuple[float, float, float]
    minima: tuple[tuple[float, float], ...]
    at: Place
    says: str = ""

    @property
    def title(self) -> str:
        """Its name, if any, and its formula."""
        return f"{self.name}: {self.formula}" if self.name != self.formula else self.formula

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest finite value of the grid."""
        return _ends(self.values)

    @property
    def shares(self) -> Array:
        """Of every point log10 of its height above the lowest, as a share of the whole, -3 to 0."""
        low, high = self.ends
        finite = np.where(np.isfinite(self.values), self.values, np.nan)
        return np.log10(FLOOR + (finite - low) / (high - low or 1.0) * (1 - FLOOR))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `shades` are whole numbers from 0 (lowest) to 254 (highest), 255 where there is no number."""
        span = -math.log10(FLOOR)
        shades = np.nan_to_num(np.round((self.shares / span + 1) * 254), nan=255)
        return {
            **vars(self),
            "values": self.values.tolist(),
            "levels": [{"value": value, "lines": lines} for value, lines in self.levels],
            "at": vars(self.at),
            "shades": shades.astype(int).tolist(),
        }

    def __str__(self) -> str:
        (left, right), (bottom, top) = self.box
        low, high = self.ends
        x, y, value = self.lowest
        at = self.at
        return "\n".join(
            [
                self.title,
                *([self.says] if self.says else []),
                f"x from {left:z.4g} to {right:z.4g}, y from {bottom:z.4g} to {top:z.4g}: values from {low:z.4g} to {high:z.4g}",
                f"lowest point of the map {x:z.4g}, {y:z.4g}: {value:z.6g}",
                *[f"lowest place known {a:z.6g}, {b:z.6g}" for a, b in self.minima],
                f"at {at.x:z.4g}, {at.y:z.4g}: value {at.value:z.6g}, gradient {at.gradient[0]:z.6g}, {at.gradient[1]:z.6g}, "
                f"curvature {at.curvature[0]:z.4g} and {at.curvature[1]:z.4g}: {at.kind}",
            ]
        )

    def picture(self) -> HeatMap:
        """The map with the place looked at."""
        here = Series("at", [self.at.x], [self.at.y], "points")
        return self.map((here,), self.name)

    def map(self, paths: tuple[Series, ...], title: str) -> HeatMap:
        """The map with paths over it."""
        low, high = self.ends
        note = f"colors: log10 of the height above the lowest, in shares of the whole, which is {low:.4g} to {high:.4g}"
        return HeatMap(title, "x", "y", self.shares, self.x, self.y, note, paths=paths)


def surface(formula: str, box: Sequence[Sequence[float]] | None = None, at: Sequence[float] | None = None) -> Surface:
    """A function of x and y as a map: a formula, or one of `PRESETS` by name.

    `box` is ((x from, to), (y from, to)), `at` the place that is looked at, the start of a race unless given. Raises
    `DescentError` for places that make no sense, and `ExpressionError` for formulas.
    """
    preset = preset_of(formula)
    shown = checked_box(box, preset)
    place = checked_place(at, preset.start_in(shown))
    x, y, values, levels = _mapped(preset.formula, shown)
    row, column = np.unravel_index(np.where(np.isfinite(values), values, np.inf).argmin(), values.shape)
    lowest = (x[int(column)], y[int(row)], float(values[row, column]))
    minima = tuple(m for m in preset.minima if all(low <= v <= high for v, (low, high) in zip(m, shown, strict=True)))
    return Surface(
        formula,
        preset.formula,
        shown,
        x,
        y,
        values,
        levels,
        lowest,
        minima,
        look(preset.formula, place, shown),
        preset.says,
    )


def preset_of(formula: str) -> Preset:
    """The function called so, or the formula over a map of the usual size."""
    usual = ((-3.0, 3.0), (-3.0, 3.0))
    return PRESETS[formula] if formula in PRESETS else Preset(formula, usual, (-2.0, 2.0), "")


def checked_box(box: Sequence[Sequence[float]] | None, preset: Preset) -> Box:
    """The box that was asked for, or the function's own."""
    if box is None:
        return preset.box
    rows = np.asarray(box, np.float64)
    good = rows.shape == (2, 2) and bool(np.isfinite(rows).all()) and bool((np.abs(rows) <= 1e6).all())
    if not good or (rows[:, 0] >= rows[:, 1]).any():
        raise DescentError(
            f"box: wants x from a number to a larger one and y likewise, within a million of 0, got {rows.tolist()}"
        )
    (left, right), (bottom, top) = rows.tolist()
    return (left, right), (bottom, top)


def checked_place(at: Sequence[float] | None, usual: tuple[float, float]) -> tuple[float, float]:
    """The place that was asked for, or the usual one."""
    if at is None:
        return usual
    numbers = [float(value) for value in at]
    if len(numbers) != 2 or not all(math.isfinite(value) and abs(value) <= 1e6 for value in numbers):
        raise DescentError(f"a place is two finite numbers, x and y, within a million of 0, got {numbers}")
    return numbers[0], numbers[1]


def look(formula: str, place: tuple[float, float], box: Box) -> Place:
    """What the function does at a place of the map."""
    at = [np.array(value) for value in place]
    with np.errstate(all="ignore"):
        value, by_x, by_y = (float(number) for number in slopes_of(formula)(at))
        xx, xy, yy = (float(number) for number in curvature_of(formula)(at))
    gradient, bends = np.array([by_x, by_y]), np.array([[xx, xy], [xy, yy]])
    finite = bool(np.isfinite(bends).all() and np.isfinite(gradient).all())
    low, high = (float(number) for number in np.linalg.eigvalsh(bends)) if finite else (math.nan, math.nan)
    kind = _kind(formula, box, gradient, bends, (low, high)) if finite else "no number"
    return Place(place[0], place[1], value, (by_x, by_y), (low, high), kind)


def _kind(formula: str, box: Box, gradient: Array, bends: Array, curvature: tuple[float, float]) -> str:
    widths = np.array([high - low for low, high in box])
    largest = max(map(abs, curvature))
    if min(map(abs, curvature)) > 1e-9 * largest and (np.abs(np.linalg.solve(bends, gradient)) <= NEAR * widths).all():
        return "minimum" if curvature[0] > 0 else "maximum" if curvature[1] < 0 else "saddle"
    low, high = _ends(_mapped(formula, box)[2])
    if curvature[0] > 1e-9 * largest:
        return "slope"
    return "plateau" if float(np.abs(gradient) @ widths) <= FLAT * (high - low) else "slope"


def _ends(values: Array) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return float(finite.min()), float(finite.max())


@lru_cache(maxsize=16)
def _mapped(
    formula: str, box: Box
) -> tuple[tuple[float, ...], tuple[float, ...], Array, tuple[tuple[float, list[Line]], ...]]:
    """The axes, the values over them, and the lines of equal height."""
    x, y = (np.linspace(low, high, SIDE) for low, high in box)
    output, both = variables(formula, (SIDE, SIDE))
    across, up = np.meshgrid(x, y)
    feeds = dict(zip(both, (across, up), strict=True))
    program = compile([output], executor="reference")
    with np.errstate(all="ignore"):
        (values,) = program(feeds)
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise DescentError(f"{formula}: is no finite number anywhere on the map; choose another box")
    shares = (np.arange(1, LEVELS + 1) / (LEVELS + 1)) ** 1.5
    heights = sorted({float(f"{height:.2g}") for height in np.quantile(finite, shares)})
    levels = tuple((height, contour(values, x.tolist(), y.tolist(), height)) for height in heights)
    values.setflags(write=False)
    return tuple(x.tolist()), tuple(y.tolist()), values, tuple((h, lines) for h, lines in levels if lines)
