"""Losses looked at: value and derivative over the error of a number, or over the margin of a class, corners and all."""

from __future__ import annotations

import math
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

__all__ = ["LossComparison", "LossCurve", "LossFunctionError", "compare_losses", "loss_curve", "loss_names"]

ERROR, MARGIN = "error", "margin"
OVER = {
    ERROR: "error d: what is said minus what is right",
    MARGIN: "margin m: how far the right one of two classes is ahead",
}
"""What losses are looked at over, and what that is."""


class LossFunctionError(PellucidError, ValueError):
    """A loss is asked for with a setting or over an interval that makes no sense."""


@dataclass(frozen=True)
class _Range:
    """A setting's usual value, and the values it may have: from `low` to `high`, without the ends that are `open`."""

    usual: float
    low: float = -math.inf
    high: float = math.inf
    open: str = ""

    def __contains__(self, value: float) -> bool:
        if not is_real(value):
            return False
        above = value > self.low if "low" in self.open else value >= self.low
        below = value < self.high if "high" in self.open else value <= self.high
        return math.isfinite(value) and above and below

    def __str__(self) -> str:
        left, right = "(" if "low" in self.open else "[", ")" if "high" in self.open else "]"
        if math.isinf(self.low) and math.isinf(self.high):
            return "a finite number"
        if math.isinf(self.high):
            return f"a finite number {'above' if 'low' in self.open else 'from'} {self.low:g}"
        return f"a number in {left}{self.low:g}, {self.high:g}{right}"


@dataclass(frozen=True)
class _Loss:
    """A loss as a function of one number, element by element."""

    call: Callable[..., Tensor]
    over: str
    formula: str
    settings: Mapping[str, _Range]
    paper: str = ""
    corners: Callable[[Mapping[str, float]], Sequence[float]] = lambda settings: ()

    def with_settings(self, settings: Mapping[str, float]) -> Callable[[Tensor], Tensor]:
        return lambda x: self.call(x, **settings)


def _of_error(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss of a number over its error: what is right is 0."""
    return lambda x, **settings: loss(x, np.zeros(x.shape), reduction="none", **settings)


def _of_scores(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss of scores of two classes, of which the second is right and is x ahead."""

    def over(x: Tensor, **settings: float) -> Tensor:
        column = ops.reshape(x, (x.size, 1))
        scores = ops.concat([column * 0.0, column], 1)
        return loss(scores, constant(np.ones(x.size, np.int64)), reduction="none", **settings)

    return over


def _of_logit(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss of one score x, which a sigmoid makes the probability of "yes", where that is right."""
    return lambda x, target=1.0, **settings: loss(x, np.full(x.shape, target), reduction="none", **settings)


def _kl_divergence(x: Tensor, target: float) -> Tensor:
    column = ops.reshape(x, (x.size, 1))
    logs = ops.log_softmax(ops.concat([column * 0.0, column], 1), 1)
    return ops.kl_divergence(logs, np.tile([1 - target, target], (x.size, 1)), reduction="none")


_SHARE = _Range(1.0, 0.0, 1.0)
_LOSSES: dict[str, _Loss] = {
    "squared_error": _Loss(_of_error(ops.squared_error), ERROR, "d^2", {}),
    "absolute_error": _Loss(_of_error(ops.absolute_error), ERROR, "|d|", {}, corners=lambda settings: (0.0,)),
    "huber": _Loss(
        _of_error(ops.huber),
        ERROR,
        "d^2/2 where |d| < delta, else delta (|d| - delta/2)",
        {"delta": _Range(1.0, 0.0, open="low")},
        "Huber 1964",
    ),
    "smooth_l1": _Loss(
        _of_error(ops.smooth_l1),
        ERROR,
        "d^2/(2 beta) where |d| < beta, else |d| - beta/2",
        {"beta": _Range(1.0, 0.0, open="low")},
        "Girshick 2015",
    ),
    "cross_entropy": _Loss(
        _of_scores(ops.cross_entropy),
        MARGIN,
        "-(1 - s/2) log p - s/2 log(1 - p), p = sigmoid(m), s = label_smoothing",
        {"label_smoothing": _Range(0.0, 0.0, 1.0, open="high")},
    ),
    "hinge": _Loss(
        _of_scores(ops.hinge),
        MARGIN,
        "max(0, margin - m)",
        {"margin": _Range(1.0)},
        "Weston and Watkins 1999",
        lambda settings: (settings["margin"],),
    ),
    "binary_cross_entropy": _Loss(
        _of_logit(ops.binary_cross_entropy_with_logits),
        MARGIN,
        "-t log p - (1 - t) log(1 - p), p = sigmoid(m), t = target",
        {"target": _SHARE},
    ),
    "focal": _Loss(
        _of_logit(ops.focal),
        MARGIN,
        "-alpha (1 - p)^gamma log p, p = sigmoid(m)",
        {"alpha": _Range(0.25, 0.0, 1.0), "gamma": _Range(2.0, 0.0)},
        "Lin et al. 2017",
    ),
    "kl_divergence": _Loss(
        _kl_divergence,
        MARGIN,
        "t log(t/p) + (1 - t) log((1 - t)/(1 - p)), p = sigmoid(m), t = target",
        {"target": _SHARE},
    ),
}


@dataclass(frozen=True)
class LossCurve(Answer):
    """One loss: `y` and `derivative` at the places `x`, computed by the engine in float64.

    `over` says what x is, an error or a margin. `steepest` is the derivative's largest size in the interval, `lowest` the
    place of `x` where the loss is smallest, and `kinks` are the corners between its ends.
    """

    name: str
    over: str
    formula: str
    paper: str
    settings: dict[str, float]
    x: tuple[float, ...]
    y: tuple[float, ...]
    derivative: tuple[float, ...]
    steepest: float
    lowest: float
    kinks: tuple[Kink, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        told = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}
        return {**told, "kinks": kinks_told(self.kinks)}

    def __str__(self) -> str:
        chosen = "".join(f", {name} = {value:g}" for name, value in self.settings.items())
        source = f" ({self.paper})" if self.paper else ""
        places = np.linspace(0, len(self.x) - 1, min(9, len(self.x))).round().astype(int)
        rows = [[f"{self.x[i]:z.4g}", f"{self.y[i]:z.6g}", f"{self.derivative[i]:z.6g}"] for i in places]
        return "\n".join(
            [
                f"{self.name}: {self.formula}{chosen}{source}",
                f"over the {OVER[self.over]}",
                str(Grid((self.over, "loss", "derivative"), rows, "rrr")),
                f"steepest here {self.steepest:z.4g}, lowest at {self.lowest:z.4g}",
                *map(str, self.kinks),
            ]
        )

    def picture(self) -> Chart:
        """The loss and its derivative."""
        series = (Series(self.name, self.x, self.y), Series("derivative", self.x, self.derivative, "dashed"))
        corners = [k.x for k in self.kinks], [k.derivative for k in self.kinks]
        taken = (Series("taken at a corner", *corners, "points"),) if self.kinks else ()
        note = "; ".join([self.formula, *map(str, self.kinks)])
        return Chart(f"{self.name} and its derivative", self.over, "", (*series, *taken), note)


@dataclass(frozen=True)
class LossComparison(Answer):
    """Several losses over the same interval."""

    curves: tuple[LossCurve, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {curve.name: curve.to_dict() for curve in self.curves}

    def table(self) -> Grid:
        """One row for each loss: what it is over, how steep it gets, its corners, its formula."""
        rows = [
            [c.name, c.over, f"{c.steepest:z.4g}", " ".join(f"{k.x:z.4g}" for k in c.kinks), shortened(c.formula, 31)]
            for c in self.curves
        ]
        return Grid(("loss", "over", "steepest", "corners", "formula"), rows, "llrll")

    def charts(self) -> list[Chart]:
        """The losses and their derivatives, of what is over the error and of what is over the margin."""
        made: list[Chart] = []
        for over in OVER:
            some = [c for c in self.curves if c.over == over]
            if some:
                made.append(Chart(f"Losses over the {over}", over, "", tuple(Series(c.name, c.x, c.y) for c in some)))
                slopes = tuple(Series(c.name, c.x, c.derivative) for c in some)
                made.append(Chart(f"Their derivatives over the {over}", over, "", slopes))
        return made

    def picture(self) -> Page:
        """The losses, their derivatives, and the table."""
        return Page("Losses", (*self.charts(), self.table(), "; ".join(OVER.values())))

    def __str__(self) -> str:
        return str(self.table())


def loss_curve(name: str, low: float = -4.0, high: float = 4.0, points: int = 161, **settings: float) -> LossCurve:
    """A loss and its derivative at `points` places from `low` to `high`.

    Losses of numbers are looked at over the error, losses of classes over the margin: the score of the right one of two
    classes less that of the other. Settings are those of the loss: `delta` of huber, `beta` of smooth_l1,
    `label_smoothing` of cross_entropy, `margin` of hinge, `target` of binary_cross_entropy and kl_divergence (the share that
    "right" has), `alpha` and `gamma` of focal. Raises `LossFunctionError`.
    """
    return _curve(name, low, high, points, settings)


def _curve(name: str, low: float, high: float, points: int, settings: Mapping[str, float]) -> LossCurve:
    key = name.replace("-", "_").lower()
    if key not in _LOSSES:
        raise unknown("loss", name, _LOSSES)
    loss = _LOSSES[key]
    for setting, value in settings.items():
        if setting not in loss.settings:
            known = ", ".join(loss.settings) or "none"
            raise LossFunctionError(
                f"{key} has no setting {setting!r}{suggest(setting, loss.settings)}; it has {known}"
            )
        if value not in loss.settings[setting]:
            raise LossFunctionError(f"{key}: {setting} wants {loss.settings[setting]}, got {value!r:.60}")
    if not is_drawable(low, high, points):
        raise LossFunctionError(
            f"{key}: wants 2 to {MOST_POINTS} points from low to a larger high, a finite way apart, got {points} from {low} to {high}"
        )
    chosen = {name: one.usual for name, one in loss.settings.items()} | dict(settings)
    call, shown = loss.with_settings(chosen), np.linspace(low, high, points)
    y, derivative = values_and_slopes(call, shown)
    return LossCurve(
        key, loss.over, loss.formula, loss.paper, chosen,
        tuple(shown.tolist()), tuple(y.tolist()), tuple(derivative.tolist()),
        float(np.abs(derivative).max()), float(shown[y.argmin()]),
        kinks_of(call, [place for place in loss.corners(chosen) if low <= place <= high]),
    )  # fmt: skip


def compare_losses(
    names: Sequence[str] = (),
    low: float = -4.0,
    high: float = 4.0,
    points: int = 161,
    settings: Mapping[str, Mapping[str, float]] | None = None,
) -> LossComparison:
    """Losses side by side; all that are known unless some are named.

    `settings` are those of each by its name, {"huber": {"delta": 2}}; the usual ones unless given.
    """
    own = settings or {}
    return LossComparison(tuple(_curve(n, low, high, points, own.get(n, {})) for n in names or _LOSSES))


def loss_names() -> list[str]:
    """Every loss by name, those of numbers first."""
    return list(_LOSSES)
