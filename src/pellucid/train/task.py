"""What a network is trained for: a task says what its targets are, what is lost, what is measured, and what is better."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol, Self, cast

import numpy as np

from pellucid.graph import Tensor
from pellucid.op import Array
from pellucid.pictures import Picture
from pellucid.plain import read
from pellucid.train.config import TrainError

Parts = tuple[Picture | str, ...]
"""What stands on a page."""


@dataclass(frozen=True)
class Measure:
    """A number beside the loss that says how well a network does: a column of metrics.csv, and how it reads."""

    name: str
    title: str
    form: str = ".4g"
    """How it is written (a format of Python's), per cent where that ends in it."""

    def words(self, value: float) -> str:
        """The number with its name."""
        return f"{self.title} {value:{self.form}}"


@dataclass(frozen=True)
class Added:
    """What an evaluation has beside its task's measures: the loss that training made small where it is another, and metrics."""

    loss: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])

    def words(self) -> str:
        """The numbers with their names, each after a comma; "" where there are none."""
        loss = "" if self.loss is None else f", trained loss {self.loss:z.4f}"
        return loss + "".join(f", {name} {value:z.4g}" for name, value in self.metrics.items())

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; nothing where there is nothing."""
        loss = {} if self.loss is None else {"trained_loss": self.loss}
        return {**loss, **({"metrics": dict(self.metrics)} if self.metrics else {})}


class TaskEvaluation(Protocol):
    """How a network does on a data set; `part` says which part of the data that was."""

    @property
    def part(self) -> str: ...

    @property
    def loss(self) -> float: ...

    def measures(self) -> dict[str, float]:
        """The values of the task's measures."""
        ...

    def headline(self) -> str:
        """The result in one line."""
        ...

    def words(self) -> str:
        """The result in a sentence of the report."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        ...

    def parts(self, dataset: Any) -> Parts:
        """What there is to show of it on a page, beside `dataset`, which it was measured on."""
        ...


class Objective(Protocol):
    """What a step learns and counts: the part of a `Task` that its graph is made of."""

    def target_input(self, count: int) -> Tensor: ...

    def scores(self, output: Tensor) -> Tensor: ...

    def loss(self, output: Tensor, targets: Tensor) -> Tensor: ...

    def plain_loss(self, output: Tensor, targets: Tensor) -> Tensor | None: ...

    def weight(self, targets: Array) -> float: ...

    def counts(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]: ...


class Task(ABC):
    """A frozen dataclass of plain data, kept in checkpoints, that derives from this: all that the trainer knows of its targets.

    A step's graph gets the network's output and an input of targets. Epochs are told apart by the validation's
    `best_by`, its loss or one of its `measures`.
    """

    name: ClassVar[str]
    measures: ClassVar[tuple[Measure, ...]] = ()
    counted: ClassVar[tuple[str, ...]] = ()
    loss_label: ClassVar[str] = "loss"
    best_by: ClassVar[str] = "loss"
    best_in_words: ClassVar[str] = "validation loss"
    greater_is_better: ClassVar[bool] = False
    worst: ClassVar[float] = math.inf
    """What every epoch is better than."""
    classes: tuple[str, ...] = ()
    """The classes, where what is told apart is classes."""

    @abstractmethod
    def targets(self, dataset: Any) -> Array:
        """What is to be learned, (N, ...): a row for each example of a data set."""

    @abstractmethod
    def target_input(self, count: int) -> Tensor:
        """The input of a step's graph that the targets of `count` examples are fed to."""

    @abstractmethod
    def require_output(self, output: tuple[int, ...], example: tuple[int, ...]) -> None:
        """Raise `TrainError` where a network makes `output` (1, ...) of one `example` and the targets want something else."""

    def of_output(self, output: Tensor) -> Task:
        """The task of a network whose output in inference this is; it may say what the output's values are."""
        return self

    def scores(self, output: Tensor) -> Tensor:
        """What of the network's output is learned and measured: what the other methods are given as output."""
        return output

    @abstractmethod
    def loss(self, output: Tensor, targets: Tensor) -> Tensor:
        """What training makes small: a mean over the batch."""

    def plain_loss(self, output: Tensor, targets: Tensor) -> Tensor | None:
        """The loss as `evaluate` measures it, of a batch, where `loss` is another; None where it is the same."""
        return None

    def weight(self, targets: Array) -> float:
        """What `loss` of a batch counts as beside those of other batches: how many examples it is the mean over."""
        return float(len(targets))

    def counts(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """What is added up over the examples of an epoch, a scalar for each name in `counted`, for `averages`."""
        return {}

    def averages(self, counts: Mapping[str, float], seen: int) -> dict[str, float]:
        """The values of the measures in training, of counts over `seen` examples."""
        return {}

    def require_counts(self, counts: Mapping[str, Any], seen: int, batches: int) -> None:
        """Raise `TrainError` for counts that `seen` examples in so many batches cannot have; they come from a file."""
        if set(counts) != set(self.counted) or not all(_is_amount(count) for count in counts.values()):
            raise TrainError(f"{self.name} counts {self.counted}, each 0 or more, got {dict(counts)}")

    @abstractmethod
    def evaluate(self, outputs: Array, dataset: Any, part: str = "") -> TaskEvaluation:
        """How a network does that makes `outputs` (N, ...) of the examples of a data set."""

    def answers(self, outputs: Array) -> Array:
        """What the network's outputs (N, ...) say, for people."""
        return outputs

    def guesses(self, answer: Array, top: int) -> list[dict[str, Any]]:
        """One of the `answers` as plain data; of many alternatives the `top` likeliest."""
        return [{"value": value} for value in np.ravel(answer).tolist()]

    @abstractmethod
    def describe(self, dataset: Any) -> str:
        """The targets of a data set in words: `10 classes`."""

    @abstractmethod
    def fits(self, dataset: Any) -> bool:
        """Whether a data set has the targets that the task knows."""

    def require_targets(self, dataset: Any) -> None:  # noqa: B027 a task may take any
        """Raise `DataError` or `TrainError` for targets of a data set that cannot be learned."""

    def remarks(self, data: Any) -> list[str]:
        """What there is to say of the parts of data (`pl.data.Parts`) before it is trained on, each a sentence."""
        return []

    def verdict(self, evaluation: TaskEvaluation) -> str:
        """That a network does no better than one that has learned nothing, in words; "" where it does."""
        return ""

    def caption(self, dataset: Any, index: int) -> str:
        """The target of one example in words."""
        return ""

    def require_fitting(self, source: str, shape: tuple[int, ...], dataset: Any) -> None:
        """Raise `TrainError` for data that a network, called `source` and used to examples of `shape`, does not know."""
        if not self.fits(dataset) or tuple(dataset.shape) != shape:
            raise TrainError(
                f"{source}: was trained for {self.name} on examples {shape}; the data {dataset.name} has "
                f"{self.describe(dataset)} and examples {tuple(dataset.shape)}"
            )

    def going_on(self, earlier: Task) -> Task | None:
        """The task of a run that starts from the weights of an `earlier` one's; None where its head cannot be kept."""
        return self if earlier == self else None

    def better(self, value: float, than: float) -> bool:
        """Whether an epoch of this value is better."""
        return value > than if self.greater_is_better else value < than

    def value_of(self, evaluation: TaskEvaluation) -> float:
        """By what epochs are told apart."""
        return evaluation.loss if self.best_by == "loss" else evaluation.measures()[self.best_by]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return {"name": self.name, **asdict(cast(Any, self))}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; raises `PlainError`."""
        return read(cls, {name: value for name, value in plain.items() if name != "name"}, "task")


def _is_amount(count: Any) -> bool:
    return type(count) in (int, float) and 0 <= count < math.inf
