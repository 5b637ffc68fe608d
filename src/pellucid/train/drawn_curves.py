"""`learning_curves`: how the loss of runs fell, step by step, and what was measured after each epoch, over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.data.listing import shown
from pellucid.pictures import Answer, Chart, Page, Series
from pellucid.text import amount, text_table
from pellucid.train.checkpoint import VALIDATION
from pellucid.train.config import TrainError
from pellucid.train.noted_steps import NotedSteps
from pellucid.train.run_list import MOST_DRAWN, summary_of

MOST_POINTS = 2000
"""Points of a curve."""


@dataclass(frozen=True)
class LearningCurve:
    """Of one run: `steps` has for some of its first `count` steps their numbers (loss, gradient norm, rate), `rows` its epochs."""

    run: str
    state: str
    count: int
    steps: Mapping[str, Sequence[float]]
    rows: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        steps = {name: list(values) for name, values in self.steps.items()}
        return {"run": self.run, "state": self.state, "count": self.count, "steps": steps, "epochs": list(self.rows)}

    def ends(self, column: str) -> tuple[list[float], list[float]]:
        """The steps at which epochs ended, and a column of theirs."""
        having = [row for row in self.rows if column in row]
        return [row.get("step", row["epoch"]) for row in having], [row[column] for row in having]


@dataclass(frozen=True)
class LearningCurves(Answer):
    """Of several runs, up to a step where one was named."""

    curves: tuple[LearningCurve, ...]
    until: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"until": self.until, "runs": [curve.to_dict() for curve in self.curves]}

    @property
    def measured(self) -> list[str]:
        """What is measured in training and on what is held out, beside the loss."""
        names = dict.fromkeys(name for curve in self.curves for row in curve.rows[:1] for name in row)
        return [name for name in names if VALIDATION + name in names and name != "loss"]

    def __str__(self) -> str:
        columns = ["loss", *(VALIDATION + name for name in ("loss", *self.measured))]
        rows = [
            [
                shown(curve.run),
                curve.state,
                f"{curve.count:,}",
                str(len(curve.rows)),
                *(f"{curve.rows[-1][c]:.4g}" if curve.rows and c in curve.rows[-1] else "" for c in columns),
            ]
            for curve in self.curves
        ]
        titles = ["run", "state", "steps noted", "epochs", *(column.replace("_", " ") for column in columns)]
        words = text_table(titles, rows, "ll" + "r" * (len(titles) - 2))
        return words if self.until is None else f"{words}\nup to step {self.until:,}"

    def charts(self) -> tuple[Chart, ...]:
        """The loss of every step and at the ends of epochs, each measure, the gradient's norm, over one another."""
        several = len(self.curves) > 1

        def named(curve: LearningCurve, what: str) -> str:
            return f"{curve.run}: {what}" if several else what

        def both(column: str, first: Sequence[Series] = ()) -> tuple[Series, ...]:
            lines = list(first)
            for curve in self.curves:
                if not first:
                    lines.append(Series(named(curve, "training"), *curve.ends(column)))
                lines.append(Series(named(curve, "held out"), *curve.ends(VALIDATION + column), "dashed"))
            return tuple(line for line in lines if line.x)

        def steps(column: str, what: str) -> list[Series]:
            own = [Series(named(c, what), c.steps["step"], c.steps[column]) for c in self.curves]
            return [line for line in own if line.x]

        note = "" if self.until is None else f"Up to step {self.until:,}."
        loss = Chart("Loss", "step", "loss", both("loss", steps("loss", "each step")), note)
        measures = [
            Chart(name.replace("_", " ").capitalize(), "step", name, both(name), note) for name in self.measured
        ]
        norm = Chart("Gradient norm", "step", "norm", tuple(steps("gradient_norm", "of all parameters")), note)
        rate = Chart("Learning rate", "step", "rate", tuple(steps("learning_rate", "rate")), note)
        return tuple(chart for chart in (loss, *measures, norm, rate) if chart.series)

    def picture(self) -> Page:
        """The charts on a page."""
        return Page("Learning curves", (str(self), *self.charts()))


def learning_curves(*runs: str | Path, points: int = 400, until: int | None = None) -> LearningCurves:
    """How `runs` learned, by their folders: at most `points` of each one's steps, evenly spread, up to the step `until`.

    Every step is known of runs that were begun in the lab, the epochs of any run. Raises `TrainError`.
    """
    if not 1 <= len(runs) <= MOST_DRAWN:
        raise TrainError(f"learning_curves: draws 1 to {amount(MOST_DRAWN, 'run')} over each other, got {len(runs)}")
    if not 1 <= points <= MOST_POINTS or (until is not None and until < 0):
        raise TrainError(f"learning_curves: 1 to {MOST_POINTS:,} points up to a step from 0, got {points} and {until}")
    return LearningCurves(tuple(_curve(Path(run), points, until) for run in runs), until)


def _curve(folder: Path, points: int, until: int | None) -> LearningCurve:
    if not folder.is_dir():
        raise TrainError(f"{shown(str(folder))}: is no folder of a run; `pellucid runs` lists those that there are")
    summary, noted = summary_of(folder, folder.name), NotedSteps(folder)
    if summary.reason:
        raise TrainError(f"{shown(str(folder))}: {summary.reason}")
    count = len(noted) if until is None else min(until, len(noted))
    steps = noted.points(0, count, points)
    rows = tuple(row for row in summary.rows if until is None or row.get("step", 0) <= until)
    return LearningCurve(folder.name, summary.state, count, steps, rows)
