"""The function to approximate: its box, its values on grids of points, and what is known of its slopes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.executors import run
from pellucid.formulas.expression import FUNCTIONS, Expression, expression
from pellucid.op import Array
from pellucid.studies.approximation.errors import ApproximationError
from pellucid.studies.approximation.intervals import Interval, enclose

VARIABLES = ("x", "y")
SAFETY = 1.2
"""By how much a Lipschitz constant taken from a grid is enlarged, where it is only for orientation."""
MOST_DRAWN = 1000
"""Numbers that a drawn function goes through."""
NARROW = 1e-9
"""The share of a cell to which the place of a jump is halved."""
FEWEST, LOOKED_BACK = 3, 11
"""Of these halvings so many are needed to tell a slope from a jump, and over so many, counting both ends, the difference is compared."""
FARTHEST = 1e300
CELLS = 512, 64
"""Pieces of each axis over which a formula's steepest slope is bounded, in one and in two dimensions."""


@dataclass(frozen=True)
class TargetFunction:
    """A continuous function of one or two variables on a box.

    `formula` is None for a Python function; `drawn` are the values (K,) that a drawn one goes through, at evenly spaced places.
    """

    name: str
    box: tuple[tuple[float, float], ...]
    function: Callable[..., Any]
    formula: Expression | None
    given_lipschitz: float | None
    drawn: Array | None = None

    @property
    def dimension(self) -> int:
        """Number of variables."""
        return len(self.box)

    def __call__(self, points: Array) -> Array:
        """The values (N,), float64, at points (N, dimension)."""
        try:
            with np.errstate(all="ignore"):
                raw = np.broadcast_to(np.asarray(self.function(*points.T)), len(points))
            values = raw.astype(np.float64, casting="same_kind")
        except (TypeError, ValueError) as error:
            raise ApproximationError(
                f"{self.name}: must take {self.dimension} NumPy array(s) and give real numbers, one for each element ({error})"
            ) from error
        if not np.isfinite(values).all():
            bad = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ApproximationError(
                f"{self.name}: is {values[bad]:g} at {place(points[bad])}; choose a domain on which it is finite"
            )
        return values

    def axes(self, cells: int) -> list[Array]:
        """The knots of a grid with so many equal cells along each axis."""
        return [np.linspace(low, high, cells + 1) for low, high in self.box]

    def cell_slopes(self, axes: Sequence[Array]) -> tuple[Interval, ...] | None:
        """Bounds of the slope in each variable over every cell of a grid, proven from the formula or the drawing; None without."""
        if self.drawn is not None:
            return (self._drawn_slopes(self.drawn, axes[0]),)
        if self.formula is None:
            return None
        edges = np.meshgrid(*(a[:-1] for a in axes), indexing="ij"), np.meshgrid(*(a[1:] for a in axes), indexing="ij")
        boxes = [(low, high) for low, high in zip(*edges, strict=True)]
        used = [k for k in range(self.dimension) if VARIABLES[k] in self.formula.inputs]
        variables = [self.formula.inputs[VARIABLES[k]] for k in used]
        found = enclose(self.formula.output, variables, [boxes[k] for k in used] or boxes[:1]) if used else None
        zeros = np.zeros_like(boxes[0][0])
        slopes = dict(zip(used, found.derivatives, strict=True)) if found is not None else {}
        return tuple(slopes.get(k, (zeros, zeros)) for k in range(self.dimension))

    def _drawn_slopes(self, values: Array, axis: Array) -> Interval:
        """The least and the largest slope of the lines that a cell has a part of."""
        (low, high), count = self.box[0], len(values) - 1
        slopes = np.diff(values) / ((high - low) / count)
        ends = (axis - low) / (high - low) * count
        first = np.clip(np.floor(ends[:-1] + 1e-9), 0, count - 1).astype(int)
        last = np.clip(np.ceil(ends[1:] - 1e-9) - 1, first, count - 1).astype(int)
        parts = [slopes[a : b + 1] for a, b in zip(first.tolist(), last.tolist(), strict=True)]
        return np.array([part.min() for part in parts]), np.array([part.max() for part in parts])

    def cell_lipschitz(self, axes: Sequence[Array]) -> Array | None:
        """A Lipschitz constant on every cell of a grid, given or proven from the formula; None where none is known."""
        if self.given_lipschitz is not None:
            return np.full([len(a) - 1 for a in axes], self.given_lipschitz)
        slopes = self.cell_slopes(axes)
        if slopes is None:
            return None
        steepest = np.sqrt(sum(np.maximum(np.abs(low), np.abs(high)) ** 2 for low, high in slopes))
        return steepest if np.isfinite(steepest).all() else None

    def lipschitz(self) -> float | None:
        """A Lipschitz constant on the whole box (Euclidean distance), given or proven; None where none is known."""
        known = self.cell_lipschitz(self.axes(CELLS[self.dimension - 1]))
        return None if known is None else float(known.max())

    def interpolation_errors(self, axes: Sequence[Array]) -> Array | None:
        """Bounds, for every cell, of the error of linear interpolation between the corners of its simplices.

        Interpolation is exact up to sum_v weight_v (slope_v - c) (v - p), c any slope. With slopes in [c - r, c + r] that
        is at most the sum of r h / 2 over the axes; with a Lipschitz constant L and c = 0, L |h| / 2.
        """
        widths = [a[1] - a[0] for a in axes]
        shape = [len(a) - 1 for a in axes]
        bounds: list[Array] = []
        if self.given_lipschitz is not None:
            bounds.append(np.full(shape, self.given_lipschitz * math.hypot(*widths) / 2))
        if (slopes := self.cell_slopes(axes)) is not None:
            bounds.append(
                sum(((high - low) / 4 * h for (low, high), h in zip(slopes, widths, strict=True)), np.zeros(shape))
            )
        if not bounds:
            return None
        best = np.min(bounds, axis=0)
        return best if np.isfinite(best).all() else None

    def why_unproven(self) -> str:
        """Why there is no bound."""
        if self.formula is not None:
            return "the formula's slope is not bounded on the domain"
        axes = self.axes((4000, 128)[self.dimension - 1])
        values = self(mesh(axes)).reshape([len(a) for a in axes])
        steepest = max(float(np.abs(np.diff(values, axis=k)).max() / (a[1] - a[0])) for k, a in enumerate(axes))
        return (
            "nothing is known of a Python function between the points where it was computed; give "
            f"lipschitz= (the steepest slope seen is {steepest:z.4g}, {SAFETY} times that {SAFETY * steepest:z.4g})"
        )

    def require_continuous(self, tolerance: float) -> None:
        """Raise `ApproximationError` where a jump above `tolerance` is found, looking closer at the steepest places."""
        axes = self.axes((4096, 112)[self.dimension - 1])
        points = mesh(axes).reshape(*(len(a) for a in axes), self.dimension)
        values = self(points.reshape(-1, self.dimension)).reshape(points.shape[:-1])
        for axis in range(self.dimension):
            jumps = np.abs(np.diff(values, axis=axis))
            for at in np.argsort(jumps, axis=None)[::-1][:8]:
                start = np.unravel_index(at, jumps.shape)
                stop = tuple(i + (k == axis) for k, i in enumerate(start))
                jump, where = self._jump(points[start], points[stop])
                if jump > tolerance:
                    raise ApproximationError(
                        f"{self.name}: jumps by {jump:z.4g} near {place(where)}; the theorem is about continuous functions, "
                        f"and no continuous one comes closer than {jump / 2:z.4g}"
                    )

    def _jump(self, start: Array, stop: Array) -> tuple[float, Array]:
        """What is left of a difference when its place is halved down to rounding; 0 where it shrinks with its place, as a slope's does."""
        ends = np.stack([start, stop])
        low, high = self(ends)
        apart = [abs(float(high - low))]
        narrow = max(8 * float(np.spacing(np.abs(ends).max())), NARROW * float(np.abs(ends[1] - ends[0]).max()))
        while np.abs(ends[1] - ends[0]).max() > narrow:
            middle = ends.mean(0)
            low, mid, high = self(np.stack([ends[0], middle, ends[1]]))
            first = abs(mid - low) >= abs(high - mid)
            ends, (low, high) = (ends[0], middle) if first else (middle, ends[1]), (low, mid) if first else (mid, high)
            ends = np.stack(ends)
            apart.append(abs(float(high - low)))
        rounding = 8 * float(np.spacing(max(abs(low), abs(high))))
        shrinks = len(apart) <= FEWEST or apart[-1] < apart[-min(len(apart), LOOKED_BACK)] / 2
        return 0.0 if shrinks or apart[-1] <= rounding else apart[-1], ends.mean(0)


def make_target(
    f: Callable[..., Any] | str | Sequence[float], domain: Sequence[Any], lipschitz: float | None
) -> TargetFunction:
    """The function with its domain, checked."""
    box = _box(domain)
    if lipschitz is not None and not (math.isfinite(lipschitz) and lipschitz >= 0):
        raise ApproximationError(f"lipschitz: must be a number that is not negative, got {lipschitz}")
    if (values := _drawn(f)) is not None:
        return _drawn_target(values, box, lipschitz)
    if not isinstance(f, str):
        if not callable(f):
            raise ApproximationError(
                f"f: must be a Python function or a formula's text, or numbers to go through, got {type(f).__name__}"
            )
        return TargetFunction(getattr(f, "__name__", type(f).__name__), box, f, None, lipschitz)
    names = set(re.findall(r"[A-Za-z_]\w*", f)) - set(FUNCTIONS)
    if len(box) == 1 and "y" in names:
        raise ApproximationError(f"{f}: is a function of x and y; its domain has two intervals, ((-1, 1), (-1, 1))")
    used = {name: 0.0 for name in VARIABLES[: len(box)] if name in names}

    def function(*arrays: Array) -> Array:
        given = {name: a for name, a in zip(VARIABLES, arrays, strict=False) if name in used}
        parsed = expression(f, **given)
        return run([parsed.output], parsed.feeds)[0]

    return TargetFunction(f, box, function, expression(f, **used), lipschitz)


def _drawn(f: Any) -> list[float] | None:
    """The numbers of a drawn function; None for what is none: a formula has no comma outside of brackets."""
    if isinstance(f, str):
        try:
            return [float(part) for part in f.split(",")] if "," in f else None
        except ValueError:
            return None
    if not isinstance(f, Sequence | np.ndarray):
        return None
    try:
        return np.asarray(f, np.float64).reshape(-1).tolist()
    except (TypeError, ValueError):
        return None


def _drawn_target(values: list[float], box: tuple[tuple[float, float], ...], lipschitz: float | None) -> TargetFunction:
    if not 2 <= len(values) <= MOST_DRAWN or not all(map(math.isfinite, values)):
        raise ApproximationError(
            f"f: a drawn function goes through 2 to {MOST_DRAWN} finite numbers, got {len(values)}"
        )
    if len(box) != 1:
        raise ApproximationError("f: a drawn function has one variable; its domain is (a, b)")
    places, heights = np.linspace(*box[0], len(values)), np.array(values)

    def function(x: Array) -> Array:
        return np.interp(x, places, heights)

    return TargetFunction(f"a drawn function of {len(values)} values", box, function, None, lipschitz, heights)


def _box(domain: Sequence[Any]) -> tuple[tuple[float, float], ...]:
    try:
        rows = np.asarray(domain, np.float64)
    except (TypeError, ValueError):
        rows = np.zeros(0)
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.shape not in ((1, 2), (2, 2)):
        raise ApproximationError(f"domain: must be (a, b), or ((a, b), (c, d)) for two variables, got {domain!r}")
    pairs: list[Any] = rows.tolist()
    intervals = [(float(low), float(high)) for low, high in pairs]
    for low, high in intervals:
        if not -FARTHEST <= low < high <= FARTHEST:
            raise ApproximationError(
                f"domain: an interval goes from a number to a larger one, got ({low:g}, {high:g}); both within {FARTHEST:g} of 0"
            )
    return tuple(intervals)


def mesh(axes: Sequence[Array]) -> Array:
    """The points (N, dimension) of a grid, the last axis running fastest."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))


def place(point: Array) -> str:
    """A point in words: `x = 0.5, y = 1`."""
    return ", ".join(f"{name} = {value:z.6g}" for name, value in zip(VARIABLES, point, strict=False))
