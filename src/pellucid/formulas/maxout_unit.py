"""A maxout unit: the largest of some linear pieces, and where each of them wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.autodiff import gradients
from pellucid.executors import run
from pellucid.formulas.curves import Kink, kinks_told
from pellucid.formulas.half_planes import SLIVER, Polygon, corners, cut
from pellucid.formulas.neuron_plane import SIDE, NeuronError, checked_plane, numbers
from pellucid.graph import Tensor, input
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, HeatMap, Series

__all__ = ["MaxoutUnit", "maxout_unit"]

MOST_PIECES, PLACES = 12, 161


@dataclass(frozen=True)
class MaxoutUnit(Answer):
    """The largest of `pieces`, each w x + b (w, b) or w0 x0 + w1 x1 + b (w0, w1, b), over the interval or plane `box`.

    At `at` the pieces are `sums`, the largest of them, `value`, is that of the `winners`, and `gradient` is the value's with
    regard to the input: the weights of the winner (of several that are equal, their mean). `regions` is for each piece where
    it wins: an interval, or a polygon; None or () for one that never does. Of one input `x`, `y` is the unit's curve and
    `kinks` are its corners; of two, `values` (rows over x1, columns over x0) are over the plane and `below` is where it is
    not above 0.
    """

    pieces: tuple[tuple[float, ...], ...]
    box: tuple[tuple[float, float], ...]
    at: tuple[float, ...]
    sums: tuple[float, ...]
    value: float
    winners: tuple[int, ...]
    gradient: tuple[float, ...]
    regions: tuple[Any, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    kinks: tuple[Kink, ...]
    below: Polygon
    values: Array

    @property
    def inputs(self) -> int:
        """How many inputs it has, 1 or 2."""
        return len(self.box)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `shades` are the values as whole numbers from 0 (`low`) to 254 (`high`).

        Of one input `lines` are the pieces over the whole interval, `tops` where they win: two points (x, y) each.
        """
        told = {name: value for name, value in vars(self).items() if name != "values"}
        low, high = (float(self.values.min()), float(self.values.max())) if self.values.size else (0.0, 0.0)
        shades = np.round((self.values - low) / (high - low or 1.0) * 254).astype(int)
        lines = {"lines": self._between(self.box * len(self.pieces)), "tops": self._between(self.regions)}
        return {**told, **lines, "kinks": kinks_told(self.kinks), "shades": shades.tolist(), "low": low, "high": high}

    def _between(self, intervals: Sequence[Any]) -> list[list[tuple[float, float]]]:
        """Of one input each piece at the ends of an interval; none of an empty one, nor of two inputs."""
        if self.inputs == 2:
            return []
        ends = zip(self.pieces, intervals, strict=True)
        return [[(x, w * x + b) for x in interval] if interval else [] for (w, b), interval in ends]

    def formula(self, number: int) -> str:
        """A piece as a formula."""
        *weights, bias = self.pieces[number]
        names = ("x",) if self.inputs == 1 else ("x0", "x1")
        return " + ".join([*(f"{w:z.4g} {name}" for w, name in zip(weights, names, strict=True)), f"{bias:z.4g}"])

    def __str__(self) -> str:
        place = ", ".join(f"{value:z.4g}" for value in self.at)
        lines = [f"the largest of {len(self.pieces)} pieces at {place}: {self.value:z.6g}"]
        for number, (value, region) in enumerate(zip(self.sums, self.regions, strict=True)):
            where = "wins nowhere here"
            if region:
                where = (
                    f"wins from {region[0]:z.4g} to {region[1]:z.4g}"
                    if self.inputs == 1
                    else f"wins on a region of {len(region)} corners"
                )
            mark = "  <- the largest" if number in self.winners else ""
            lines.append(f"piece {number}: {self.formula(number)} = {value:z.6g}; {where}{mark}")
        told = ", ".join(f"{slope:z.6g}" for slope in self.gradient)
        return "\n".join([*lines, f"gradient to the input: {told}", *map(str, self.kinks)])

    def picture(self) -> Chart | HeatMap:
        """Of one input the pieces and the largest of them, of two the plane with the regions."""
        if self.inputs == 1:
            x = np.array(self.x)
            pieces = [
                Series(f"piece {k}", self.x, (w * x + b).tolist(), "dashed") for k, (w, b) in enumerate(self.pieces)
            ]
            return Chart("A maxout unit", "x", "", (Series("the largest", self.x, self.y), *pieces))
        around = {f"piece {k} wins": (*region, region[0]) for k, region in enumerate(self.regions) if region}
        paths = [Series(name, [x for x, _ in ring], [y for _, y in ring]) for name, ring in around.items()]
        x, y = (np.linspace(low, high, SIDE).tolist() for low, high in self.box)
        signed = bool(self.values.min() < 0)
        return HeatMap("A maxout unit", "x0", "x1", self.values, x, y, signed=signed, paths=tuple(paths))


def maxout_unit(
    pieces: Sequence[Sequence[float]] = ((-0.5, 0.0), (1.0, 0.0)),
    at: Sequence[float] | None = None,
    box: Sequence[Sequence[float]] | None = None,
) -> MaxoutUnit:
    """The largest of linear pieces (Goodfellow et al. 2013): each (w, b) for one input, or (w0, w1, b) for two.

    `at` is the place looked at, 0 unless given; `box` ((from, to),) or ((from, to), (from, to)) what is shown, -4 to 4
    unless given. Raises `NeuronError`.
    """
    if (
        not 1 <= len(pieces) <= MOST_PIECES
        or len({len(piece) for piece in pieces}) != 1
        or len(pieces[0]) not in (2, 3)
    ):
        raise NeuronError(
            f"pieces: wants 1 to {MOST_PIECES} of them, each w, b (one input) or each w0, w1, b (two), got {[list(p) for p in pieces]}"
        )
    made = tuple(tuple(numbers("a piece", piece, len(piece))) for piece in pieces)
    count = len(made[0]) - 1
    place = tuple(numbers("at", at if at is not None else [0.0] * count, count))
    return _of_one(made, place, box) if count == 1 else _of_two(made, place, box)


Pieces = tuple[tuple[float, ...], ...]


def _computed(pieces: Pieces, places: Array) -> tuple[Array, Array, Array]:
    """At places (N, inputs) the pieces (N, K), the largest (N,), and its gradient to the input (N, inputs)."""
    x = input(places.shape, "float64", "x")
    table = np.array(pieces)
    sums: Tensor = x @ table[:, :-1].T + table[:, -1]
    value = ops.maxout(sums, len(pieces))
    found = run([sums, value, *gradients(value, [x])], {x: places})
    return found[0], found[1].reshape(-1), found[2]


def _of_one(pieces: Pieces, place: tuple[float, ...], box: Any) -> MaxoutUnit:
    rows = [[-4.0, 4.0]] if box is None else [numbers("box", side, 2) for side in box]
    if len(rows) != 1 or not rows[0][0] < rows[0][1]:
        raise NeuronError(f"box: of one input it is one interval from a number to a larger one, got {rows}")
    low, high = rows[0]
    regions = tuple(_interval(pieces, number, low, high) for number in range(len(pieces)))
    ends = sorted({end for region in regions if region for end in region} - {low, high})
    shown = np.linspace(low, high, PLACES)
    beside = 1e-9 * (high - low)
    corner = np.array(ends)
    places = np.concatenate([np.array(place), shown, corner - beside, corner, corner + beside])[:, None]
    sums, values, slopes = _computed(pieces, places)
    left, _, right = slopes[1 + PLACES :, 0].reshape(3, -1)
    heights = values[1 + PLACES + len(ends) : 1 + PLACES + 2 * len(ends)]
    kinks = tuple(
        Kink(float(x), float(y), float(before), float(after), _tied(before, after))
        for x, y, before, after in zip(corner, heights, left, right, strict=True)
        if before != after
    )
    return MaxoutUnit(
        pieces, ((low, high),), place, tuple(sums[0].tolist()), float(values[0]), _winners(sums[0]),
        tuple(slopes[0].tolist()), regions, tuple(shown.tolist()), tuple(values[1 : 1 + PLACES].tolist()), kinks, (), np.zeros((0, 0)),
    )  # fmt: skip


def _tied(before: float, after: float) -> float:
    """The gradient where two pieces of these slopes are equal: at 0, where they are to the last digit."""
    return float(_computed(((before, 0.0), (after, 0.0)), np.zeros((1, 1)))[2][0, 0])


def _interval(pieces: Pieces, number: int, low: float, high: float) -> tuple[float, float] | None:
    """Where a piece is at least as large as every other, or None where that is no more than a point."""
    (w, b), width = pieces[number], high - low
    for v, c in pieces:
        if w == v:
            if b < c:
                return None
            continue
        crossing = (c - b) / (w - v) + 0.0
        low, high = (max(low, crossing), high) if w > v else (low, min(high, crossing))
    return (low, high) if high - low > SLIVER * width else None


def _of_two(pieces: Pieces, place: tuple[float, ...], box: Any) -> MaxoutUnit:
    shown = checked_plane(((-4.0, 4.0), (-4.0, 4.0)) if box is None else box)
    x, y = (np.linspace(low, high, SIDE) for low, high in shown)
    across, up = np.meshgrid(x, y)
    places = np.concatenate([[place], np.stack([across.ravel(), up.ravel()], 1)])
    sums, values, slopes = _computed(pieces, places)
    regions: list[Polygon] = []
    for piece in pieces:
        region = corners(shown)
        for other in pieces:
            if other != piece and region:
                region = cut(region, [p - q for p, q in zip(piece, other, strict=True)])
        regions.append(region)
    below = corners(shown)
    for piece in pieces:
        below = cut(below, [-number for number in piece]) if below else ()
    return MaxoutUnit(
        pieces, shown, place, tuple(sums[0].tolist()), float(values[0]), _winners(sums[0]), tuple(slopes[0].tolist()),
        tuple(regions), (), (), (), below, values[1:].reshape(SIDE, SIDE),
    )  # fmt: skip


def _winners(sums: Array) -> tuple[int, ...]:
    return tuple(np.flatnonzero(sums == sums.max()).tolist())
