"""Activation functions looked at: value and derivative over an interval, and where the derivative is lost."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.errors import PellucidError, suggest, unknown
from pellucid.formulas.curves import MOST_POINTS, Kink, is_drawable, kinks_of, kinks_told, values_and_slopes
from pellucid.graph import Tensor, constant
from pellucid.pictures import Answer, Chart, Grid, Page, Series
from pellucid.real_numbers import is_real
from pellucid.text import shortened

__all__ = [
    "ActivationComparison",
    "ActivationCurve",
    "ActivationFunctionError",
    "activation_curve",
    "activation_names",
    "compare_activations",
]

FLAT = 0.01
"""Where a derivative stays below this in size, a gradient that comes back loses more than 99 % of itself: saturation."""
_REACH, _STEP = 30.0, 0.01


class ActivationFunctionError(PellucidError, ValueError):
    """An activation function is asked for with a setting or over an interval that makes no sense."""


@dataclass(frozen=True)
class ActivationFunction:
    """An op with its usual settings, its formula, and who published it."""

    call: Callable[..., Tensor]
    settings: Mapping[str, float]
    formula: str
    paper: str = ""
    corners: Callable[[Mapping[str, float]], Sequence[float]] = lambda settings: ()
    """Places where its derivative may jump, by its settings."""
    tied: Mapping[str, float] | None = None
    """Settings with which its corner lies at 0, where others put it at a place that no decimal number is."""

    def with_settings(self, settings: Mapping[str, float]) -> Callable[[Tensor], Tensor]:
        """The function of a tensor alone."""
        return lambda x: self.call(x, **settings)


def _of(op: Callable[..., Tensor], *corners: float, **settings: float) -> ActivationFunction:
    """An op of one tensor; the first line of its docstring is `y = formula; more (paper)`."""
    line = (op.__doc__ or "").strip().splitlines()[0]
    paper = re.search(r" \(([A-Z][^()]* \d{4})\)$", line)
    formula = (line[: paper.start()] if paper else line).split(";")[0]
    return ActivationFunction(
        op, settings, formula.removeprefix("y = "), paper[1] if paper else "", lambda settings: corners
    )


def _prelu(x: Tensor, weight: float) -> Tensor:
    return ops.prelu(x, constant([weight], x.dtype))


def _maxout(x: Tensor, w0: float, b0: float, w1: float, b1: float) -> Tensor:
    pieces = [ops.reshape(x * w + b, (x.size, 1)) for w, b in ((w0, b0), (w1, b1))]
    return ops.reshape(ops.maxout(ops.concat(pieces, 1), 2), x.shape)


def _crossing(settings: Mapping[str, float]) -> Sequence[float]:
    """Where the two pieces of a maxout cross."""
    steeper = settings["w0"] - settings["w1"]
    return [(settings["b1"] - settings["b0"]) / steeper] if steeper else []


_FUNCTIONS: dict[str, ActivationFunction] = {
    "sigmoid": _of(ops.sigmoid),
    "tanh": _of(ops.tanh),
    "relu": _of(ops.relu, 0.0),
    "leaky_relu": _of(ops.leaky_relu, 0.0, slope=0.01),
    "maxout": ActivationFunction(
        _maxout,
        {"w0": -0.5, "b0": 0.0, "w1": 1.0, "b1": 0.0},
        "max(w0 x + b0, w1 x + b1)",
        "Goodfellow et al. 2013",
        _crossing,
        {"b0": 0.0, "b1": 0.0},
    ),
    "prelu": ActivationFunction(
        _prelu,
        {"weight": 0.25},
        "x where x > 0, else weight * x, with a learned weight",
        "He et al. 2015",
        lambda settings: (0.0,),
    ),
    "elu": _of(ops.elu, 0.0, alpha=1.0),
    "selu": _of(ops.selu, 0.0),
    "softplus": _of(ops.softplus),
    "gelu": _of(ops.gelu),
    "silu": _of(ops.silu),
    "hard_swish": _of(ops.hard_swish, -3.0, 3.0),
    "mish": _of(ops.mish),
}
_OTHER_NAMES = {"swish": "silu"}


@dataclass(frozen=True)
class ActivationCurve(Answer):
    """One activation function: `y` and `derivative` at the places `x`, computed by the engine in float64.

    `steepest` is the derivative's largest size anywhere. It is below `FLAT` at and below `flat_below`, and at and
    above `flat_above`, to 0.01; None where it is not. `kinks` are the corners between the ends of `x`.
    """

    name: str
    formula: str
    paper: str
    settings: dict[str, float]
    x: tuple[float, ...]
    y: tuple[float, ...]
    derivative: tuple[float, ...]
    steepest: float
    flat_below: float | None
    flat_above: float | None
    kinks: tuple[Kink, ...] = ()

    @property
    def saturation(self) -> str:
        """Where the derivative is as good as lost, in words."""
        parts: list[str] = []
        if self.flat_below is not None:
            parts.append(f"from {self.flat_below:z.2f} downwards")
        if self.flat_above is not None:
            parts.append(f"from {self.flat_above:z.2f} upwards")
        return f"saturated {' and '.join(parts)}" if parts else "nowhere saturated"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        told = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}
        return {**told, "kinks": kinks_told(self.kinks)}

    def __str__(self) -> str:
        chosen = "".join(f", {name} = {value:g}" for name, value in self.settings.items())
        places = np.linspace(0, len(self.x) - 1, 9).round().astype(int)
        rows = [[f"{self.x[i]:z.4g}", f"{self.y[i]:z.6g}", f"{self.derivative[i]:z.6g}"] for i in places]
        source = f" ({self.paper})" if self.paper else ""
        ends = [f"largest derivative {self.steepest:z.4g}", f"{self.saturation} (derivative below {FLAT})"]
        ends += map(str, self.kinks)
        return "\n".join(
            [
                f"{self.name}: {self.formula}{chosen}{source}",
                str(Grid(("x", "value", "derivative"), rows, "rrr")),
                *ends,
            ]
        )

    def picture(self) -> Chart:
        """The function and its derivative over x."""
        series = (Series(self.name, self.x, self.y), Series("derivative", self.x, self.derivative, "dashed"))
        note = f"{self.formula}; {self.saturation}: the derivative's size is below {FLAT} there"
        return Chart(f"{self.name} and its derivative", "x", "", series, "; ".join([note, *map(str, self.kinks)]))


@dataclass(frozen=True)
class ActivationComparison(Answer):
    """Several activation functions over the same interval."""

    curves: tuple[ActivationCurve, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {curve.name: curve.to_dict() for curve in self.curves}

    def table(self) -> Grid:
        """One row for each function: its largest derivative, where it saturates, its formula."""

        def place(value: float | None) -> str:
            return "" if value is None else f"{value:z.2f}"

        rows = [
            [c.name, f"{c.steepest:z.3f}", place(c.flat_below), place(c.flat_above), shortened(c.formula, 31)]
            for c in self.curves
        ]
        return Grid(("function", "steepest", "flat below", "flat above", "formula"), rows, "lrrrl")

    def functions(self) -> Chart:
        """Every function over x."""
        return Chart("Activation functions", "x", "", tuple(Series(c.name, c.x, c.y) for c in self.curves))

    def derivatives(self) -> Chart:
        """Every function's derivative over x."""
        series = tuple(Series(c.name, c.x, c.derivative) for c in self.curves)
        return Chart("Derivatives of activation functions", "x", "", series)

    def picture(self) -> Page:
        """The functions, their derivatives, and the table."""
        note = f"Flat: where the derivative stays below {FLAT} in size."
        return Page("Activation functions", (self.functions(), self.derivatives(), self.table(), note))

    def __str__(self) -> str:
        return str(self.table())


def activation_curve(
    name: str, low: float = -6.0, high: float = 6.0, points: int = 241, **settings: float
) -> ActivationCurve:
    """An activation function and its derivative at `points` places from `low` to `high`, and where it saturates.

    Settings are those of the function: `slope` of leaky_relu, `weight` of prelu, `alpha` of elu, and w0, b0, w1, b1 of a
    maxout of two pieces, each of one input. Raises `ActivationFunctionError` for others.
    """
    return _curve(name, low, high, points, settings)


def _curve(name: str, low: float, high: float, points: int, settings: Mapping[str, float]) -> ActivationCurve:
    key, function, chosen = function_called(name, settings)
    if not is_drawable(low, high, points):
        raise ActivationFunctionError(
            f"{key}: wants 2 to {MOST_POINTS} points from low to a larger high, a finite way apart, got {points} from {low} to {high}"
        )
    shown = np.linspace(low, high, points)
    call = function.with_settings(chosen)
    tied = None if function.tied is None else function.with_settings({**chosen, **function.tied})
    y, derivative = values_and_slopes(call, shown)
    wide = np.arange(-round(_REACH / _STEP), round(_REACH / _STEP) + 1) * _STEP
    slopes = np.abs(values_and_slopes(call, wide)[1])
    steep = np.flatnonzero(slopes >= FLAT)
    first, last = (int(steep[0]), int(steep[-1])) if steep.size else (len(wide) // 2 + 1, len(wide) // 2 - 1)
    return ActivationCurve(
        key,
        function.formula,
        function.paper,
        chosen,
        tuple(shown.tolist()),
        tuple(y.tolist()),
        tuple(derivative.tolist()),
        float(slopes.max()),
        round(float(wide[first - 1]), 2) + 0.0 if first > 0 else None,
        round(float(wide[last + 1]), 2) + 0.0 if last < len(wide) - 1 else None,
        kinks_of(call, [place for place in function.corners(chosen) if low <= place <= high], tied),
    )


def compare_activations(
    names: Sequence[str] = (),
    low: float = -6.0,
    high: float = 6.0,
    points: int = 241,
    settings: Mapping[str, Mapping[str, float]] | None = None,
) -> ActivationComparison:
    """Activation functions side by side; all that are known unless some are named.

    `settings` are those of each by its name, {"elu": {"alpha": 2}}; the usual ones unless given.
    """
    own = settings or {}
    return ActivationComparison(tuple(_curve(n, low, high, points, own.get(n, {})) for n in names or _FUNCTIONS))


def activation_names() -> list[str]:
    """Every activation function by name, from the oldest to the newest."""
    return list(_FUNCTIONS)


def function_called(name: str, settings: Mapping[str, float]) -> tuple[str, ActivationFunction, dict[str, float]]:
    """The activation function called so: its name, itself, and all its settings. Raises for what there is not."""
    key = name.replace("-", "_").lower()
    key = _OTHER_NAMES.get(key, key)
    if key not in _FUNCTIONS:
        raise unknown("activation function", name, _FUNCTIONS)
    function = _FUNCTIONS[key]
    for setting in settings:
        if setting not in function.settings:
            known = ", ".join(function.settings) or "none"
            raise ActivationFunctionError(
                f"{key} has no setting {setting!r}{suggest(setting, function.settings)}; it has {known}"
            )
    if not all(is_real(value) and math.isfinite(value) for value in settings.values()):
        given = ", ".join(f"{name}={value!r:.60}" for name, value in settings.items())
        raise ActivationFunctionError(f"{key}: wants finite settings, got {given}")
    return key, function, {**function.settings, **settings}
