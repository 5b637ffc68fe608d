"""The task of predicting numbers: errors in units of each target's spread, and measures in its own units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from pellucid import ops
from pellucid.data import DataError, Numbered, Quantity
from pellucid.data.sample import name_of
from pellucid.errors import unknown
from pellucid.graph import Tensor, input
from pellucid.op import Array
from pellucid.train.config import LOSSES, TrainError
from pellucid.train.regression_evaluation import RegressionEvaluation
from pellucid.train.task import Measure, Task, TaskEvaluation

_ERRORS: dict[str, Callable[[Array], Array]] = {
    "squared": np.square,
    "absolute": np.abs,
    "huber": lambda e: np.where(np.abs(e) <= 1, 0.5 * e * e, np.abs(e) - 0.5),
}
"""Each loss as a function of errors; `ops` has the same for graphs."""


@dataclass(frozen=True)
class Regression(Task):
    """A number for each of the `quantities`: the network makes (target - mean) / spread.

    `mean` and `spread` are those of the training part, so that a network learns targets of any size alike; answers and
    measures are in the targets' own units. `error` is what is small on average: the squared error, the absolute one, or
    Huber's, which is squared up to one spread and grows evenly from there, so that few wrong targets have little say.
    """

    name: ClassVar[str] = "regression"
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("r2", "R2", "7.4f"),
        Measure("mean_absolute_error", "mean absolute error", ".4g"),
    )
    counted: ClassVar[tuple[str, ...]] = ("squares", "distance")
    loss_label: ClassVar[str] = "mean error, in spreads of the targets"
    best_in_words: ClassVar[str] = "validation error"

    quantities: tuple[Quantity, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    error: str = field(default="squared")

    def __post_init__(self) -> None:
        if self.error not in LOSSES:
            raise unknown("loss", self.error, LOSSES)
        if not self.quantities or not len(self.quantities) == len(self.mean) == len(self.spread):
            raise TrainError(
                f"{len(self.quantities)} targets want as many means and spreads, got {len(self.mean)} and {len(self.spread)}"
            )
        if not np.isfinite([self.mean, self.spread]).all() or min(self.spread) <= 0:
            raise TrainError(f"mean must be finite and spread a positive number, got {self.mean} and {self.spread}")

    @classmethod
    def of(cls, train: Numbered, error: str = "squared") -> Regression:
        """Predicting the targets of `train`, the training part."""
        with np.errstate(over="ignore", invalid="ignore"):
            mean, spread = train.targets.mean(0), train.targets.std(0)
        for quantity, middle, wide in zip(train.quantities, mean, spread, strict=True):
            if not np.isfinite([middle, wide]).all():
                raise TrainError(f"{train.name}: {quantity} has numbers too large to be averaged; give it another unit")
            if wide <= 1e-12 * abs(middle):
                raise TrainError(
                    f"{train.name}: {quantity} is {middle:g} in every training example; there is nothing to learn"
                )
        return cls(train.quantities, tuple(mean.tolist()), tuple(spread.tolist()), error)

    def targets(self, dataset: Numbered) -> Array:
        return ((dataset.targets - np.array(self.mean)) / np.array(self.spread)).astype(np.float32)

    def target_input(self, count: int) -> Tensor:
        return input((count, len(self.quantities)), name="targets")

    def require_output(self, output: tuple[int, ...], example: tuple[int, ...]) -> None:
        if output != (1, len(self.quantities)):
            raise TrainError(
                f"the network makes {output[1:]} numbers for inputs {example}, the data has {len(self.quantities)} targets"
            )

    def loss(self, output: Tensor, targets: Tensor) -> Tensor:
        made = {"squared": ops.squared_error, "absolute": ops.absolute_error, "huber": ops.huber}
        return made[self.error](output, targets)

    def counts(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        errors = output - targets
        units = np.array(self.spread, np.float32)
        return {
            "squares": ops.sum(ops.mean(errors * errors, 1)),
            "distance": ops.sum(ops.mean(ops.absolute(errors) * units, 1)),
        }

    def averages(self, counts: Mapping[str, float], seen: int) -> dict[str, float]:
        return {"r2": 1 - counts["squares"] / seen, "mean_absolute_error": counts["distance"] / seen}

    def evaluate(self, outputs: Array, dataset: Numbered, part: str = "") -> RegressionEvaluation:
        errors = outputs - (dataset.targets - np.array(self.mean)) / np.array(self.spread)
        loss = float(np.mean(_ERRORS[self.error](errors)))
        names = tuple(name_of(dataset, index) for index in range(len(dataset)))
        return RegressionEvaluation(loss, self.quantities, dataset.targets, self.answers(outputs), part, names)

    def answers(self, outputs: Array) -> Array:
        """The numbers in their own units, float64 (N, M)."""
        return outputs.astype(np.float64) * np.array(self.spread) + np.array(self.mean)

    def guesses(self, answer: Array, top: int) -> list[dict[str, Any]]:
        return [
            {"target": quantity.name, "value": float(value), "unit": quantity.unit}
            for quantity, value in zip(self.quantities, answer, strict=True)
        ]

    def describe(self, dataset: Any) -> str:
        if not hasattr(dataset, "quantities"):
            return "no numbers to predict"
        return f"the targets {', '.join(map(str, dataset.quantities))}"

    def fits(self, dataset: Any) -> bool:
        return getattr(dataset, "quantities", None) == self.quantities

    def require_targets(self, dataset: Numbered) -> None:
        if dataset.targets.shape != (len(dataset), len(self.quantities)) or not np.isfinite(dataset.targets).all():
            raise DataError(
                f"{dataset.name}: {len(dataset)} examples want as many rows of {self.describe(dataset)}, finite"
            )

    def verdict(self, evaluation: TaskEvaluation) -> str:
        if not isinstance(evaluation, RegressionEvaluation) or evaluation.r2 > 0:
            return ""
        return f"nothing useful was learned: R2 of {evaluation.r2:.4g} is no better than always saying the mean, which has 0"

    def caption(self, dataset: Numbered, index: int) -> str:
        values = zip(self.quantities, dataset.targets[index], strict=True)
        return ", ".join(f"{quantity.name} {quantity.words(value)}" for quantity, value in values)

    def going_on(self, earlier: Task) -> Task | None:
        """The head is kept where it makes the same numbers: the same targets, with the same mean and spread."""
        same = isinstance(earlier, Regression) and (earlier.quantities, earlier.mean, earlier.spread) == (
            self.quantities,
            self.mean,
            self.spread,
        )
        return self if same else None
