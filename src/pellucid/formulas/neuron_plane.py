"""A neuron of two inputs over the plane of these: its sum term by term, its value, and the line on which the sum is 0."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.autodiff import gradients
from pellucid.errors import PellucidError
from pellucid.executors import run
from pellucid.formulas.activation_functions import function_called
from pellucid.formulas.half_planes import Box, Point, Polygon, corners, cut, segment
from pellucid.graph import input
from pellucid.op import Array
from pellucid.pictures import Answer, HeatMap, Series
from pellucid.real_numbers import is_real
from pellucid.shown import missed

__all__ = ["NeuronError", "PlanePoint", "TwoInputNeuron", "two_input_neuron"]

SIDE = 41
"""Points along each side of the plane."""
MOST_POINTS = 200
LIMIT = 1e6
"""How far from 0 weights and places may be."""


class NeuronError(PellucidError, ValueError):
    """A neuron, a maxout unit or a place is asked about with numbers that make no sense."""


@dataclass(frozen=True)
class PlanePoint:
    """An example: a place with its class `label`, the neuron's `sum` and `value` there, and whether the sign of the sum is right."""

    x0: float
    x1: float
    label: int
    sum: float
    value: float
    right: bool


@dataclass(frozen=True)
class TwoInputNeuron(Answer):
    """y = f(w0 x0 + w1 x1 + b) at the place `at`: `products` w0 x0 and w1 x1, their `sum` with the bias, `value` and `slope` f'.

    `gradient` is that of the value with regard to w0, w1, b, x0 and x1. The sum is 0 on `line` (its part on the plane
    `box`, None where there is none), above 0 on the polygon `positive`, below on `negative`. `values` (rows over x1,
    columns over x0) are the neuron's over the plane. `points` are examples; a sum above 0 says class 1.
    """

    weights: tuple[float, float]
    bias: float
    activation: str
    settings: dict[str, float]
    at: tuple[float, float]
    products: tuple[float, float]
    sum: float
    value: float
    slope: float
    gradient: dict[str, float]
    box: Box
    line: tuple[Point, Point] | None
    positive: Polygon
    negative: Polygon
    points: tuple[PlanePoint, ...]
    values: Array

    @property
    def right(self) -> int:
        """How many points are on the side of their class."""
        return sum(point.right for point in self.points)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `shades` are the values as whole numbers from 0 (`low`) to 254 (`high`); `missed` as `pellucid.shown` says."""
        low, high = float(self.values.min()), float(self.values.max())
        shades = np.round((self.values - low) / (high - low or 1.0) * 254).astype(int)
        told = {name: value for name, value in vars(self).items() if name != "values"}
        points = [vars(point) for point in self.points]
        off = missed([*self.products, self.bias], self.sum)
        return {
            **told,
            "points": points,
            "right": self.right,
            "shades": shades.tolist(),
            "low": low,
            "high": high,
            "missed": off,
        }

    def __str__(self) -> str:
        (w0, w1), (x0, x1) = self.weights, self.at
        chosen = "".join(f", {name} = {value:g}" for name, value in self.settings.items())
        lines = [
            f"sum = {w0:z.6g} x {x0:z.6g} + {w1:z.6g} x {x1:z.6g} + {self.bias:z.6g} = "
            f"{self.products[0]:z.6g} + {self.products[1]:z.6g} + {self.bias:z.6g} = {self.sum:z.6g}",
            f"{self.activation}(sum) = {self.value:z.6g}, slope {self.slope:z.6g}{chosen}",
            "gradient of the value: " + ", ".join(f"{name} {value:z.6g}" for name, value in self.gradient.items()),
            self._line_told(),
        ]
        if self.points:
            lines.append(f"{self.right} of {len(self.points)} points are on the side of their class")
        return "\n".join(lines)

    def _line_told(self) -> str:
        (w0, w1), length = self.weights, math.hypot(*self.weights)
        if not length:
            return "both weights are 0: the sum is the bias everywhere, and there is no line"
        where = "" if self.line else ", which is off the plane shown"
        return f"the sum is 0 on the line {w0:z.4g} x0 + {w1:z.4g} x1 + {self.bias:z.4g} = 0{where}; from it to the place {self.sum / length:z.4g}"

    def picture(self) -> HeatMap:
        """The value over the plane, with the line, the place and the points."""
        paths: list[Series] = []
        if self.line is not None:
            paths.append(Series("sum = 0", [x for x, _ in self.line], [y for _, y in self.line]))
        for label in (0, 1):
            some = [point for point in self.points if point.label == label]
            if some:
                paths.append(Series(f"class {label}", [p.x0 for p in some], [p.x1 for p in some], "points"))
        paths.append(Series("the place asked about", [self.at[0]], [self.at[1]], "points"))
        x, y = (np.linspace(low, high, SIDE) for low, high in self.box)
        title = f"{self.activation} of the sum"
        return HeatMap(
            title,
            "x0",
            "x1",
            self.values,
            x.tolist(),
            y.tolist(),
            signed=bool(self.values.min() < 0),
            paths=tuple(paths),
        )


def two_input_neuron(
    weights: Sequence[float] = (2.0, -3.0),
    bias: float = -3.0,
    at: Sequence[float] = (-1.0, -2.0),
    activation: str = "sigmoid",
    points: Sequence[Sequence[float]] = (),
    box: Sequence[Sequence[float]] = ((-4.0, 4.0), (-4.0, 4.0)),
    **settings: float,
) -> TwoInputNeuron:
    """A neuron of two inputs: y = f(w0 x0 + w1 x1 + b) at the place `at`, and over the plane `box`.

    `activation` is one of `activation_names()`, with its `settings`. `points` are examples (x0, x1, class), the class 0 or
    1. Raises `NeuronError`, and `ActivationFunctionError` for settings.
    """
    (w0, w1), (x0, x1) = numbers("weights", weights, 2), numbers("at", at, 2)
    (b,), shown = numbers("bias", [bias], 1), checked_plane(box)
    rows = _examples(points)
    key, function, chosen = function_called(activation, settings)
    x, y = (np.linspace(low, high, SIDE) for low, high in shown)
    across, up = np.meshgrid(x, y)
    places = np.concatenate([[[x0, x1]], rows[:, :2], np.stack([across.ravel(), up.ravel()], 1)])
    count = len(places)
    inputs = {name: input((count,), "float64", name) for name in ("w0", "w1", "b", "x0", "x1")}
    products = inputs["w0"] * inputs["x0"], inputs["w1"] * inputs["x1"]
    total = products[0] + products[1] + inputs["b"]
    value = function.with_settings(chosen)(total)
    slopes = gradients(value, [total, *inputs.values()])
    arrays = [np.full(count, w0), np.full(count, w1), np.full(count, b), places[:, 0], places[:, 1]]
    found = run([*products, total, value, *slopes], dict(zip(inputs.values(), arrays, strict=True)))
    first, second, sums, values, slope, *gradient = found
    examples = tuple(
        PlanePoint(float(px), float(py), int(label), float(s), float(v), bool((s > 0) == (label == 1)))
        for (px, py, label), s, v in zip(rows, sums[1:], values[1:], strict=False)
    )
    line = (w0, w1, b)
    return TwoInputNeuron(
        (w0, w1), b, key, chosen, (x0, x1), (float(first[0]), float(second[0])), float(sums[0]), float(values[0]),
        float(slope[0]), {name: float(g[0]) for name, g in zip(inputs, gradient, strict=True)}, shown,
        segment(shown, line), cut(corners(shown), line) if (w0, w1) != (0, 0) or b > 0 else (),
        cut(corners(shown), (-w0, -w1, -b)) if (w0, w1) != (0, 0) or b < 0 else (),
        examples, values[1 + len(rows) :].reshape(SIDE, SIDE),
    )  # fmt: skip


def numbers(name: str, given: Sequence[float], count: int) -> list[float]:
    """So many finite numbers, none of them huge."""
    listed = list(given) if isinstance(given, Iterable) else [given]  # pyright: ignore[reportUnnecessaryIsInstance]
    found = [float(value) if is_real(value) else value for value in listed]
    if len(found) != count or not all(is_real(value) and abs(value) <= LIMIT for value in found):
        raise NeuronError(f"{name}: wants {count} finite numbers within a million of 0, got {found!r:.200}")
    return found


def checked_plane(box: Sequence[Sequence[float]]) -> Box:
    """The part of the plane that is shown."""
    if len(box) != 2:
        raise NeuronError(f"box: wants x0 from, to and x1 from, to, got {list(box)}")
    (left, right), (bottom, top) = (numbers("box", side, 2) for side in box)
    if not (left < right and bottom < top):
        raise NeuronError(f"box: an interval goes from a number to a larger one, got {[list(side) for side in box]}")
    return (left, right), (bottom, top)


def _examples(points: Sequence[Sequence[float]]) -> Array:
    """Points as rows x0, x1, class."""
    if len(points) > MOST_POINTS:
        raise NeuronError(f"points: at most {MOST_POINTS} are taken, got {len(points)}")
    rows = np.array([numbers("a point", point, 3) for point in points], np.float64).reshape(-1, 3)
    if not np.isin(rows[:, 2], (0, 1)).all():
        raise NeuronError("points: a point is x0, x1 and its class, which is 0 or 1")
    return rows
