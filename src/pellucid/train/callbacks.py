"""Observers of training: they are told of every step and epoch, and change nothing; who does not return holds it up."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pellucid.op import Array
from pellucid.progress import follow, shown, spoken, start_bar
from pellucid.screen import one_line
from pellucid.train.config import TrainError
from pellucid.train.found import Pace, duration
from pellucid.train.task import Measure

if TYPE_CHECKING:
    from pellucid.data import Batch
    from pellucid.train.setup import Setup

TENSORBOARD = "tensorboard"
ESTIMATE_AFTER = 3.0
"""Seconds of steps after which it is said how long the rest will take."""
WORTH_TELLING = 5.0
"""Seconds to go that are worth a word."""


@dataclass(frozen=True)
class StepReport:
    """One training step: the loss of its batch before the update, and the norm of the gradient.

    `layers` has, at the steps that are watched, the norms of each trained parameter's gradient, update and weight, and
    the ratio of the last two.
    """

    epoch: int
    batch: int
    num_batches: int
    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    layers: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    gradient_norms: Array | None = field(default=None, compare=False)
    """The norm of each trained parameter's gradient at every step, float32 (P,)."""


@dataclass(frozen=True)
class EpochReport:
    """One epoch: training numbers are running means over its steps, validation ones are of its end.

    The task's measures, `measures` of training and `validation_measures`, are attributes too: `report.accuracy` and
    `report.validation_accuracy`.
    """

    epoch: int
    epochs: int
    loss: float
    measures: Mapping[str, float]
    validation_loss: float
    validation_measures: Mapping[str, float]
    learning_rate: float
    seconds: float
    best: bool
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    """What the run measures on the validation part beside the task's measures; the last attributes: `report.validation_f1`."""

    def __getattr__(self, name: str) -> float:
        row = self.row() if "best" in vars(self) else {}  # not while a copy is being made
        if name not in row:
            raise AttributeError(f"a report of an epoch has no {name!r}; it has: {', '.join(row)}")
        return row[name]

    def row(self) -> dict[str, Any]:
        """The epoch as a row of metrics.csv, where epochs are counted from 1."""
        return {
            "epoch": self.epoch + 1,
            "epochs": self.epochs,
            "loss": self.loss,
            **self.measures,
            "validation_loss": self.validation_loss,
            **{f"validation_{name}": value for name, value in self.validation_measures.items()},
            "learning_rate": self.learning_rate,
            "seconds": self.seconds,
            "best": self.best,
            **{f"validation_{name}": value for name, value in self.metrics.items()},
        }

    def noted(self, step: int) -> dict[str, Any]:
        """The row as a run keeps it, with the step after the epoch's last."""
        added = [f"validation_{name}" for name in self.metrics]
        row = self.row()
        own = {name: value for name, value in row.items() if name not in added}
        return {**own, "step": step, **{name: row[name] for name in added}}


class Callback:
    """Base of observers; override what you want to hear of."""

    def on_setup(self, setup: Setup) -> None:
        """When everything is there to train with, before anything else is told."""

    def on_start(self, first_epoch: int, epochs: int) -> None:
        """Before the first step; `first_epoch` counts from 0."""

    def on_batch(self, batch: Batch, rate: float, step: int) -> None:
        """Before every step, number `step` (from 0): what it will be made on, and its learning rate."""

    def on_step(self, report: StepReport) -> None:
        """After every step."""

    def on_epoch(self, report: EpochReport) -> None:
        """After every epoch, checkpoints written."""

    def on_end(self) -> None:
        """When training ends, however it ends."""


def called(callbacks: Any) -> tuple[Callback, ...]:
    """What is given as callbacks, None for none. Raises `TrainError` for what is none."""
    if callbacks is None:
        return ()
    if not isinstance(callbacks, Sequence):
        raise TrainError(f"callbacks: must be a list of them, got {type(callbacks).__name__}")
    given = tuple(cast(Sequence[Any], callbacks))
    for one in given:
        if not isinstance(one, Callback):
            shown = f"the class {one.__name__}, not one made of it" if isinstance(one, type) else type(one).__name__
            raise TrainError(f"callbacks: each must be a pl.train.Callback, got {shown}")
    return given


class Progress(Callback):
    """A progress bar on a terminal's stderr; elsewhere one line per epoch, with the task's `measures`.

    Before the first step it says what there is to train, `found`. The bar is of the whole run, and how long its rest will
    take is measured. And a word to whoever follows, at every step.
    """

    def __init__(self, measures: Sequence[Measure] = (), found: str = "") -> None:
        self._measures, self._found = measures, found
        self._bar: Any = None
        self._task: Any = None
        self._epochs, self._shown, self._estimated = 0, False, False
        self._pace, self._steps = Pace(), (0, 0)

    def on_start(self, first_epoch: int, epochs: int) -> None:
        self._epochs, self._shown = epochs, shown()
        if self._shown and self._found and first_epoch < epochs:
            print(self._found, file=sys.stderr, flush=True)
        if self._shown and sys.stderr.isatty():
            self._bar, self._task = start_bar("training")

    def on_step(self, report: StepReport) -> None:
        done, total = report.step + 1, self._epochs * report.num_batches
        follow("training", done, total)
        self._steps = done, total
        self._pace.note(done, total)
        if self._bar is not None:
            text = f"epoch {report.epoch + 1}/{self._epochs}  loss {report.loss:z.4f}"
            self._bar.update(self._task, description=text, total=total, completed=done)
        elif self._shown and not self._estimated and self._pace.measured >= ESTIMATE_AFTER:
            self._estimated = True
            if self._pace.left >= WORTH_TELLING:
                print(f"about {duration(self._pace.left)} to go", file=sys.stderr, flush=True)

    def _left(self) -> str:
        """How long the rest will take, where that is known and worth a word."""
        known = self._pace.measured >= ESTIMATE_AFTER and self._pace.left >= WORTH_TELLING
        return f"  about {duration(self._pace.left)} to go" if known else ""

    def on_epoch(self, report: EpochReport) -> None:
        self._pace.note(*self._steps)
        line = "  ".join(
            [
                f"epoch {report.epoch + 1:>3}/{report.epochs}  loss {report.loss:z.4f}",
                *(measure.words(report.measures[measure.name]) for measure in self._measures),
                f"validation loss {report.validation_loss:z.4f}",
                *(measure.words(report.validation_measures[measure.name]) for measure in self._measures),
                *(f"{name} {value:.4g}" for name, value in report.metrics.items()),
                f"{report.seconds:.1f} s",
                *(["best"] if report.best else []),
            ]
        )
        if self._bar is not None:
            self._bar.console.print(line, highlight=False)
        elif self._shown:
            print(line + self._left(), file=spoken(), flush=True)

    def on_end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class TensorBoard(Callback):
    """Event files for TensorBoard in the run's folder (extra `pellucid[tensorboard]`).

    Those of a run that is resumed are written anew: `rows` of its epochs, and what its watched steps did to the layers.
    """

    def __init__(
        self,
        folder: Path,
        rows: Iterable[Mapping[str, Any]] = (),
        layers: Iterable[tuple[int, Mapping[str, Mapping[str, float]]]] = (),
    ) -> None:
        try:
            from tensorboard.summary import Writer
        except ImportError as error:
            raise TrainError("TensorBoard events need the extra: pip install 'pellucid[tensorboard]'") from error
        old = list((folder / TENSORBOARD).glob("events.out.tfevents.*"))
        self._writer = Writer(str(folder / TENSORBOARD))
        for step, norms in layers:
            self._add_layers(step, norms)
        for row in rows:
            self._add_epoch(row["epoch"], row)
        self._writer.flush()
        for file in old:
            file.unlink()

    def on_step(self, report: StepReport) -> None:
        self._add_layers(report.step, report.layers)

    def on_epoch(self, report: EpochReport) -> None:
        self._add_epoch(report.epoch + 1, report.row())
        self._writer.flush()

    def on_end(self) -> None:
        self._writer.close()

    def _add_layers(self, step: int, layers: Mapping[str, Mapping[str, float]]) -> None:
        for name, norms in layers.items():
            for what, value in norms.items():
                self._writer.add_scalar(f"{what}/{one_line(name)}", value, step)

    def _add_epoch(self, number: int, row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            if isinstance(value, float):
                self._writer.add_scalar(name, value, number)


def metrics_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The text of metrics.csv, one row per epoch; "" before the first has ended."""
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
