"""Optimizers that walk down a function of two variables from one start, step by step, to wherever that leads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pellucid.errors import suggest, unknown
from pellucid.pictures import Answer, Chart, Grid, Page, Series
from pellucid.studies.descent.presets import Box
from pellucid.studies.descent.surface import (
    DescentError,
    Place,
    Surface,
    checked_box,
    checked_place,
    look,
    preset_of,
    surface,
)
from pellucid.studies.descent.tape import slopes_of, updates_of
from pellucid.train.optimizers import Optimizer, OptimizerError
from pellucid.train.optimizers import names as optimizer_names

__all__ = ["Descent", "Walk", "descend", "optimizer_names"]

FIRST = ("sgd", "momentum", "rmsprop", "adam")
"""Who races unless it is said."""
MOST_STEPS, MOST_WALKS, MOST_WORK = 1000, 12, 3_000_000
"""Of steps, of optimizers, and of numbers that are computed in a race."""
FAR = 10.0
"""A walk ends where it is more than so many maps away from the middle."""
STILL = 1e-3
"""A walk stands still from where on it stays within this share of the map of where it ends."""


@dataclass(frozen=True)
class Walk:
    """One optimizer's way: place, loss and slope (length of the gradient) before every step, and after the last.

    `state` is "diverged" where numbers stop being finite, where it gets ten maps away, or where it leaves the map for good
    and ends higher than it began, at step `since`; "off the map" where it leaves it for good and ends lower; "standing" where
    it does not move any more; else "moving". A walk that diverged far or to what is no number has no places after that.
    """

    name: str
    optimizer: str
    rate: float
    settings: dict[str, float]
    x: tuple[float, ...]
    y: tuple[float, ...]
    loss: tuple[float, ...]
    slope: tuple[float, ...]
    state: str
    since: int | None
    end: Place | None
    words: str

    @property
    def steps(self) -> int:
        """How many steps it took."""
        return len(self.x) - 1

    @property
    def label(self) -> str:
        """Its name and its step size."""
        return f"{self.name}, rate {self.rate:g}"

    def path(self) -> Series:
        """Its places that are numbers, as a line."""
        count = len(self.x) - (not (math.isfinite(self.x[-1]) and math.isfinite(self.y[-1])))
        return Series(self.label, self.x[:count], self.y[:count])


@dataclass(frozen=True)
class Descent(Answer):
    """Walks over one surface from one start."""

    surface: Surface
    start: tuple[float, float]
    steps: int
    walks: tuple[Walk, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.surface.name,
            "formula": self.surface.formula,
            "box": self.surface.box,
            "start": self.start,
            "steps": self.steps,
            "minima": self.surface.minima,
            "walks": [{**vars(w), "end": None if w.end is None else vars(w.end)} for w in self.walks],
        }

    def table(self) -> Grid:
        """One row for each walk: where it came to, and in which state."""
        rows = [
            [w.name, f"{w.rate:g}", f"{w.x[-1]:z.4g}, {w.y[-1]:z.4g}", f"{w.loss[-1]:z.4g}", w.words]
            for w in self.walks
        ]
        return Grid(("optimizer", "rate", "comes to", "loss", "how it goes"), rows, "lrrrl")

    def __str__(self) -> str:
        x, y = self.start
        return (
            f"{self.surface.name}: {self.surface.formula}\n{self.steps} steps from {x:z.4g}, {y:z.4g}\n{self.table()}"
        )

    def losses(self) -> Chart:
        """The loss at every step, logarithmic where all of it is above 0."""
        lines = tuple(Series(w.label, range(len(w.loss)), w.loss) for w in self.walks)
        low = min((v for line in lines for v in line.y if math.isfinite(v)), default=0.0)
        return Chart("The loss at every step", "step", "loss", lines, y_log=low > 0)

    def picture(self) -> Page:
        """The map with the ways, the loss at every step, and the table."""
        ways = self.surface.map(tuple(w.path() for w in self.walks), f"{self.surface.name}: the ways down")
        return Page("Descent", (ways, self.losses(), self.table()))


def descend(
    formula: str,
    start: Sequence[float] | None = None,
    optimizers: Sequence[str] = FIRST,
    steps: int = 60,
    box: Sequence[Sequence[float]] | None = None,
) -> Descent:
    """Optimizers walk down a function of x and y from one start: `pl.descend("x^2 + 25*y^2", (-4, 1.5), ["sgd,rate=0.03", "adam"])`.

    `formula` is a formula or one of `pellucid.studies.PRESETS` by name, with a map, a start and step sizes that suit it.
    Each of `optimizers` is a name of those that train networks, with settings after commas: rate (the step size),
    momentum, decay, beta1, beta2, epsilon, weight_decay, clip_norm, clip_value. They are run as in training, in float64.
    `box` is ((x from, to), (y from, to)). Raises `DescentError`, and `ExpressionError` for formulas.
    """
    preset = preset_of(formula)
    shown = checked_box(box, preset)
    place = checked_place(start, preset.start_in(shown))
    if not 1 <= steps <= MOST_STEPS or not 1 <= len(optimizers) <= MOST_WALKS:
        raise DescentError(
            f"wants 1 to {MOST_STEPS} steps of 1 to {MOST_WALKS} optimizers, got {steps} of {len(optimizers)}"
        )
    runners = [_runner(text, preset.rate) for text in optimizers]
    if (work := steps * len(runners) * slopes_of(preset.formula).size) > MOST_WORK:
        raise DescentError(f"the race takes {work:,} numbers, at most {MOST_WORK:,} are computed; take fewer steps")
    names = [optimizer.name for optimizer, _, _ in runners]
    walks: list[Walk] = []
    for number, (optimizer, rate, settings) in enumerate(runners):
        several = names.count(optimizer.name) > 1
        name = f"{optimizer.name} {names[: number + 1].count(optimizer.name)}" if several else optimizer.name
        found = _walked(preset.formula, optimizer, rate, place, steps, shown)
        walks.append(dataclasses.replace(found, name=name, settings=settings))
    return Descent(surface(formula, shown, place), place, steps, tuple(walks))


def _runner(text: str, usual: Any) -> tuple[Optimizer, float, dict[str, float]]:
    """An optimizer with its step size, and those of its settings that its step heeds."""
    name, *parts = (part.strip() for part in text.split(","))
    if name not in optimizer_names():
        raise unknown("optimizer", name, optimizer_names())
    known, given = Optimizer(name).own_settings, dict[str, float]()
    for part in parts:
        setting, equals, number = (piece.strip() for piece in part.partition("="))
        if setting != "rate" and setting not in known:
            told = f"{name} has no setting {setting!r}{suggest(setting, ['rate', *known])}; it has rate, {', '.join(known)}"
            raise DescentError(told)
        if setting in given:
            raise DescentError(f"{name}: {setting} is given twice, {given[setting]:g} and {number}; give it once")
        try:
            given[setting] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise DescentError(f"{name}: expected {setting}=number, got {part!r}")
    rate = given.pop("rate", usual(name))
    if not 0 < rate < math.inf:
        raise DescentError(f"{name}: rate, the step size, wants a finite number above 0, got {rate}")
    try:
        optimizer = Optimizer(name, **given)
    except OptimizerError as error:
        raise DescentError(f"{name}: {error}") from error
    return optimizer, rate, {setting: getattr(optimizer, setting) for setting in known}


@lru_cache(maxsize=256)
def _walked(formula: str, optimizer: Optimizer, rate: float, start: tuple[float, float], steps: int, box: Box) -> Walk:
    """One optimizer's way."""
    slopes, (update, kept) = slopes_of(formula), updates_of(optimizer)
    middles = np.array([(low + high) / 2 for low, high in box])
    reach = FAR * np.array([high - low for low, high in box])
    weights, state, pace = np.array(start), [np.zeros(2)] * kept, np.array(rate)
    places: list[tuple[float, float]] = []
    losses: list[float] = []
    lengths: list[float] = []
    lost = ""
    with np.errstate(all="ignore"):
        for step in range(steps + 1):
            loss, by_x, by_y = (float(value) for value in slopes([weights[0], weights[1]]))
            x, y = weights.tolist()
            places.append((x, y))
            losses.append(loss)
            lengths.append(math.hypot(by_x, by_y))
            if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(loss)):
                lost = "its numbers are not finite"
            elif (np.abs(weights - middles) > reach).any():
                lost = f"it is {FAR:g} maps away"
            if lost or step == steps:
                break
            weights, *state = update([weights, np.array([by_x, by_y]), pace, np.array(step + 1.0), *state])
    xs, ys = zip(*places, strict=True)
    where, since, words = _state(np.array(places), losses, lost, box)
    end = None if lost else look(formula, places[-1], box)
    if end is not None and where in ("standing", "moving"):
        on = "on" if end.kind in ("slope", "plateau") else "at"
        there = f"{on} a {end.kind}: slope {end.slope:.3g}"
        moving = f"still moving after {steps} steps, {there if end.kind == 'plateau' else f'slope {end.slope:.3g}'}"
        words = f"stands still since step {since}, {there}" if where == "standing" else moving
    return Walk("", optimizer.name, rate, {}, xs, ys, tuple(losses), tuple(lengths), where, since, end, words)


def _state(places: Any, losses: Sequence[float], lost: str, box: Box) -> tuple[str, int | None, str]:
    """Which state a walk comes to, since which step, and in words."""
    low, high = np.array(box).T
    last = len(places) - 1
    if lost:
        return "diverged", last, f"diverged at step {last}: {lost}"
    outside = ((places < low) | (places > high)).any(1)
    if outside[-1] and not outside.all():
        left = int(np.flatnonzero(~outside)[-1]) + 1
        if losses[-1] > losses[0]:
            return "diverged", left, f"diverged at step {left}: it left the map, and ends higher than it began"
        return "off the map", left, f"off the map since step {left}, loss {losses[-1]:.3g}"
    away = (np.abs(places - places[-1]) > STILL * (high - low)).any(1)
    still = int(np.flatnonzero(away)[-1]) + 1 if away.any() else 0
    if last - still >= max(5, last // 5):
        return "standing", still, ""
    return "moving", None, ""
