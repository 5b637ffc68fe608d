"""How well numbers are predicted: errors of each target in its own units, and where they are largest."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from pellucid.data import Numbered, Quantity
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, Grid, Page, Picture, Series, Tile, Tiles
from pellucid.pictures.tiles import drawable
from pellucid.text import amount
from pellucid.train.task import Added, Parts

MOST_POINTS, MOST_WRONG, MOST_DRAWN, BINS = 2000, 24, 8, 30


@dataclass(frozen=True)
class TargetErrors:
    """The errors of one target, in its own unit but for `r2`: the share of its variance that is explained (1: all of it).

    `r2` is NaN where the truth does not vary, and each number is where a prediction is no number.
    """

    quantity: Quantity
    r2: float
    mean_absolute_error: float
    root_mean_squared_error: float

    @classmethod
    def of(cls, quantity: Quantity, truth: Array, predicted: Array) -> TargetErrors:
        """Of numbers (N,) and what they are taken for."""
        errors = predicted - truth
        squares, varies = float(np.square(errors).sum()), float(np.square(truth - truth.mean()).sum())
        r2 = 1 - squares / varies if varies > 0 else math.nan
        return cls(quantity, r2, float(np.abs(errors).mean()), math.sqrt(squares / len(truth)))


@dataclass(frozen=True)
class RegressionEvaluation(Answer):
    """How a network that predicts numbers does on a data set: `truth` and `predicted`, float64 (N, M), of M targets."""

    loss: float
    """What training makes small, in spreads of the targets."""
    quantities: tuple[Quantity, ...]
    truth: Array
    predicted: Array
    part: str = ""
    """Which part of the data was measured: "test", "validation", "train" or "all"; "" where that is not known."""
    names: tuple[str, ...] = ()
    """What each example is called; empty where they have no names."""
    added: Added = field(default_factory=Added)
    """The loss that training made small, where `loss` is another, and the run's metrics."""

    @property
    def count(self) -> int:
        """Number of examples."""
        return len(self.truth)

    @property
    def not_numbers(self) -> int:
        """Number of examples for which the network makes something that is no number."""
        return int((~np.isfinite(self.predicted)).any(1).sum())

    @cached_property
    def targets(self) -> tuple[TargetErrors, ...]:
        """The errors of each target."""
        columns = zip(self.quantities, self.truth.T, self.predicted.T, strict=True)
        return tuple(TargetErrors.of(*column) for column in columns)

    @property
    def r2(self) -> float:
        """The mean of the targets' R2."""
        return float(np.mean([target.r2 for target in self.targets]))

    @property
    def mean_absolute_error(self) -> float:
        """The mean of the targets' mean absolute errors."""
        return float(np.mean([target.mean_absolute_error for target in self.targets]))

    def measures(self) -> dict[str, float]:
        """The measures beside the loss, by name."""
        return {"r2": self.r2, "mean_absolute_error": self.mean_absolute_error}

    @cached_property
    def most_wrong(self) -> tuple[int, ...]:
        """The examples with the largest errors, the worst first: of each the largest of its errors in spreads of the truth."""
        spread = self.truth.std(0)
        worst = np.abs((self.predicted - self.truth) / np.where(spread > 0, spread, 1.0)).max(1)
        order = np.argsort(-np.where(np.isfinite(worst), worst, np.inf), kind="stable")
        return tuple(int(k) for k in order[:MOST_WRONG])

    @property
    def warning(self) -> str:
        """A word about predictions that are not numbers, where there are any."""
        if not self.not_numbers:
            return ""
        return (
            f"The predictions of {self.not_numbers} of {amount(self.count, 'example')} are not numbers (NaN), so no error is known. "
            "Look for NaN or infinities in the network's weights"
        )

    @property
    def metrics(self) -> dict[str, float]:
        """The run's metrics, by name."""
        return dict(self.added.metrics)

    def headline(self) -> str:
        """The result in one line."""
        errors = [f"{target.quantity.name} off by {_number(target)} on average" for target in self.targets[:3]]
        return f"R2 {self.r2:z.4f}, {', '.join(errors)}, on {amount(self.count, 'example')}"

    def words(self) -> str:
        """The result, and on what."""
        kind = {"train": "training ", "validation": "validation ", "test": "test "}.get(self.part, "")
        return f"R2 {self.r2:z.4f} on {amount(self.count, kind + 'example')}, {amount(len(self.targets), 'target')}{self.added.words()}"

    def target_grid(self) -> Grid:
        """The errors of each target as a table."""
        rows = [
            [
                t.quantity.name,
                "—" if math.isnan(t.r2) else f"{t.r2:z.4f}",
                f"{t.mean_absolute_error:z.4g}",
                f"{t.root_mean_squared_error:z.4g}",
                t.quantity.unit,
            ]
            for t in self.targets
        ]
        return Grid(["target", "R2", "mean absolute error", "root mean squared error", "unit"], rows, "lrrrl")

    def __str__(self) -> str:
        warning = f"{self.warning}\n\n" if self.warning else ""
        return f"{self.words()}\n\n{warning}{self.target_grid()}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "part": self.part,
            "count": self.count,
            "not_numbers": self.not_numbers,
            "loss": self.loss,
            "r2": self.r2,
            "mean_absolute_error": self.mean_absolute_error,
            "targets": [
                {
                    "name": t.quantity.name,
                    "unit": t.quantity.unit,
                    "r2": t.r2,
                    "mean_absolute_error": t.mean_absolute_error,
                    "root_mean_squared_error": t.root_mean_squared_error,
                }
                for t in self.targets
            ],
            "most_wrong": [
                {
                    "index": k,
                    **({"name": self.names[k]} if self.names else {}),
                    "truth": self.truth[k].tolist(),
                    "predicted": self.predicted[k].tolist(),
                }
                for k in self.most_wrong
            ],
            **self.added.to_dict(),
        }

    def picture(self) -> Page:
        """What is predicted against the truth, and how the errors are spread, of up to eight targets."""
        charts = [chart for number in range(min(len(self.targets), MOST_DRAWN)) for chart in self.charts(number)]
        return Page("Predicted numbers", (self.target_grid(), *charts))

    def charts(self, number: int) -> tuple[Chart, Chart]:
        """Of one target: predicted against true, on the dashed line where they are the same; and a histogram of the errors."""
        quantity, truth, predicted = self.quantities[number], self.truth[:, number], self.predicted[:, number]
        shown = np.unique(np.linspace(0, len(truth) - 1, min(len(truth), MOST_POINTS)).astype(int))
        ends = float(truth.min()), float(truth.max())
        note = (
            f"{len(shown)} of {amount(len(truth), 'example')}"
            if len(shown) < len(truth)
            else amount(len(truth), "example")
        )
        points = Series("predicted", truth[shown].tolist(), predicted[shown].tolist(), "points")
        scatter = Chart(
            f"Predicted {quantity.name}",
            f"true {quantity}",
            f"predicted {quantity}",
            (points, Series("as it is", ends, ends, "dashed")),
            note,
        )
        return scatter, _histogram(quantity, predicted - truth)

    def parts(self, dataset: Numbered) -> Parts:
        """What a page shows of it, with inputs of `dataset`, which it was measured on."""
        drawn = range(min(len(self.targets), MOST_DRAWN))
        return (
            *([f"{self.warning}."] if self.warning else []),
            Page("Every target", (self.target_grid(),)),
            Page("Predicted and true", tuple(chart for number in drawn for chart in self.charts(number))),
            Page("Largest errors", (self._worst(dataset), *self._named())),
        )

    def _worst(self, dataset: Numbered) -> Picture:
        captions = {k: self._captions(k) for k in self.most_wrong}
        images = {k: drawable(dataset.image(k)) for k in self.most_wrong}
        tiles = tuple(Tile(image, "\n".join(captions[k])) for k, image in images.items() if image is not None)
        if len(tiles) == len(images):
            return Tiles("The largest errors", tiles, 5, "What each is taken for, and what it is.")
        return Grid(
            ["example", "predicted and true"], [[str(k), "; ".join(lines)] for k, lines in captions.items()], "rl"
        )

    def _named(self) -> Parts:
        """The largest errors by name, as commands take it."""
        rows = [[self.names[k], "; ".join(self._captions(k))] for k in self.most_wrong if self.names]
        return (Grid(["picture", "predicted and true"], rows, "ll"),) if rows else ()

    def _captions(self, example: int) -> list[str]:
        return [self._caption(example, number) for number in range(min(len(self.targets), 3))]

    def _caption(self, example: int, number: int) -> str:
        quantity = self.quantities[number]
        predicted, truth = self.predicted[example, number], self.truth[example, number]
        return f"{quantity.name} {quantity.words(predicted)}, is {quantity.words(truth)}"


def _histogram(quantity: Quantity, errors: Array) -> Chart:
    finite = errors[np.isfinite(errors)]
    counts, edges = np.histogram(finite, BINS) if finite.size else (np.zeros(1, int), np.array([0.0, 1.0]))
    middles = (edges[:-1] + edges[1:]) / 2
    note = (
        f"mean {np.mean(finite):z.4g}, deviation {np.std(finite):z.4g}" if finite.size else "no prediction is a number"
    )
    return Chart(
        f"Errors of {quantity.name}",
        f"predicted - true {quantity}",
        "examples",
        (Series("", middles.tolist(), counts.tolist(), "bars"),),
        note,
    )


def _number(target: TargetErrors) -> str:
    return target.quantity.words(target.mean_absolute_error)
