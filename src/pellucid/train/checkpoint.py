"""Checkpoints: safetensors files with weights, optimizer state and position, replaced atomically, the last one kept."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from pellucid.data import DataError, Preparation, preparation_of
from pellucid.errors import PellucidError, WeightsError
from pellucid.graph import Parameter
from pellucid.interop.safetensors_file import safe_arrays, safe_header
from pellucid.nn import Card, ModuleError
from pellucid.op import Array
from pellucid.plain import PlainError, parse_json, read, to_json
from pellucid.train.callbacks import EpochReport
from pellucid.train.classification import Classification
from pellucid.train.config import TrainConfig, TrainError
from pellucid.train.task import Task
from pellucid.train.tasks import TASKS
from pellucid.train.tasks import described as task_in_words

FORMAT = 1
VALIDATION = "validation_"
STATE = "optimizer/"
"""How the names of the arrays of an optimizer's state start."""


class CheckpointError(PellucidError, ValueError):
    """A checkpoint cannot be read, written or used with this network."""


@dataclass(frozen=True)
class _Row:
    """What the curves keep of an epoch, whatever the task measures; `step` is the one after its last."""

    epoch: int
    epochs: int
    loss: float
    validation_loss: float
    learning_rate: float
    seconds: float
    best: bool
    step: int = 0


@dataclass
class Position:
    """Where training stands: `batch` batches of epoch `epoch` (from 0) are done, `step` in all."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    counts: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the task has counted in this epoch."""
    seen: int = 0
    best: float = math.nan
    """The value of the best epoch; until there is one what the task calls worst."""
    since_best: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    other_data: int = 0
    """How many of the first epochs were measured on other data than what the run goes on with."""
    seconds: float = 0.0
    """How long the steps of this epoch have taken."""

    def __post_init__(self) -> None:
        for name in ("epoch", "batch", "step", "seen", "since_best", "other_data", "seconds"):
            if not getattr(self, name) >= 0:
                raise CheckpointError(f"{name} must not be negative, got {getattr(self, name)}")
        if (self.seen > 0) != (self.batch > 0) or self.since_best > self.epoch:
            raise CheckpointError(
                f"{self.seen} pictures in {self.batch} batches, no better epoch for {self.since_best} of {self.epoch}: "
                "these cannot be"
            )
        if self.other_data > self.epoch:
            raise CheckpointError(f"other_data must be at most its {self.epoch} epochs, got {self.other_data}")
        if len(self.rows) != self.epoch:
            raise CheckpointError(f"{self.epoch} epochs must have as many rows, got {len(self.rows)}")
        self.rows = [_row(row, f"rows[{number}]") for number, row in enumerate(self.rows)]

    def add(self, loss: float, counts: Mapping[str, float], size: int) -> None:
        """Count a step on so many examples."""
        self.step += 1
        self.batch += 1
        self.loss_sum += loss * size
        self.counts = {name: self.counts.get(name, 0) + count for name, count in counts.items()}
        self.seen += size

    def begin_epoch(self, number: int) -> None:
        """Go to the start of epoch `number`."""
        self.epoch, self.batch, self.loss_sum, self.seen, self.seconds = number, 0, 0.0, 0, 0.0
        self.counts = dict.fromkeys(self.counts, 0)

    def restart_epoch(self, batches: int) -> None:
        """Go back to the start of the epoch, of so many batches."""
        self.step = self.epoch * batches
        self.begin_epoch(self.epoch)

    def change_data(self, worst: float) -> None:
        """From here on other pictures are measured: no epoch so far is better than one to come; `worst` is what a task calls so."""
        self.best, self.since_best, self.other_data = worst, 0, self.epoch

    @property
    def comparable(self) -> list[dict[str, Any]]:
        """The rows of the epochs that were measured on the data of now."""
        return self.rows[self.other_data :]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a file, in which the counts stand beside the other numbers; what is 0 but in some runs where it is not."""
        plain: dict[str, Any] = {}
        for each in fields(self):
            if each.name in ("other_data", "seconds") and not getattr(self, each.name):
                continue
            plain |= self.counts if each.name == "counts" else {each.name: getattr(self, each.name)}
        return plain

    @staticmethod
    def nested(plain: Any) -> Any:
        """What `to_dict` gave, as `read` takes it."""
        if not isinstance(plain, dict):
            return plain
        own = {each.name for each in fields(Position)} - {"counts"}
        entries = cast(dict[str, Any], plain)
        counts = {name: value for name, value in entries.items() if name not in own}
        return {**{name: value for name, value in entries.items() if name in own}, "counts": counts}

    def is_end(self, config: TrainConfig) -> bool:
        """Whether a run with these settings takes no further step from here."""
        return self.epoch >= config.epochs or 0 < config.patience <= self.since_best

    def require(self, task: Task, metrics: str = "") -> None:
        """Raise `CheckpointError` or `TrainError` for counts and rows that a run for `task` with `metrics` cannot have."""
        task.require_counts(self.counts, self.seen, self.batch)
        wanted = [measure.name for measure in task.measures]
        names = [name.strip() for name in metrics.split(",") if name.strip()]
        for number, row in enumerate(self.rows):
            if measured(row) != wanted:
                raise CheckpointError(f"rows[{number}] has the measures {measured(row)}, expected {wanted}")
            if added(row) != names:
                raise CheckpointError(f"rows[{number}] has the metrics {added(row)}, expected {names}")

    def require_possible(self, epochs: int, batches: int) -> None:
        """Raise `CheckpointError` where a run of so many epochs of so many batches is never there."""
        if self.epoch > epochs or self.batch >= batches or self.step != self.epoch * batches + self.batch:
            raise CheckpointError(
                f"it stands at epoch {self.epoch}, batch {self.batch}, step {self.step}; a run of {epochs} epochs of {batches} "
                "batches is never there"
            )


def _row(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """An epoch's numbers, in the order in which metrics.csv has them, typed."""
    own = {each.name for each in fields(_Row)}
    fixed = asdict(read(_Row, {name: value for name, value in row.items() if name in own}, where))
    other = {name: read(float, value, f"{where}.{name}") for name, value in row.items() if name not in own}
    names = [name for name in other if not name.startswith(VALIDATION)]
    metrics = {name: other[VALIDATION + name] for name in added(row)}
    if sorted(other) != sorted([*names, *(VALIDATION + name for name in (*names, *metrics))]):
        raise CheckpointError(f"{where}: measures of training and validation must be the same, got {', '.join(other)}")
    measures = {name: other[name] for name in names}
    report = EpochReport(
        fixed["epoch"] - 1,
        fixed["epochs"],
        fixed["loss"],
        measures,
        fixed["validation_loss"],
        {name: other[VALIDATION + name] for name in names},
        fixed["learning_rate"],
        fixed["seconds"],
        fixed["best"],
        metrics,
    )
    return report.noted(fixed["step"])


def measured(row: Mapping[str, Any]) -> list[str]:
    """The names of the task's measures in a row."""
    return [name for name in _validated(row) if name in row]


def added(row: Mapping[str, Any]) -> list[str]:
    """The names of the run's metrics in a row, which training has none of."""
    return [name for name in _validated(row) if name not in row]


def _validated(row: Mapping[str, Any]) -> list[str]:
    return [name.removeprefix(VALIDATION) for name in row if name.startswith(VALIDATION) and name != "validation_loss"]


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: arrays by name, and everything else as plain data."""

    weights: dict[str, Array]
    state: dict[str, Array]
    card: Card
    """The network's classes and preprocessing, and the configuration that it is made again from."""
    task: dict[str, Any]
    """What was trained for, see `Task.to_dict`."""
    config: TrainConfig
    position: Position
    data: str = ""
    """The digest of the data that was trained on; "" where that is not known."""
    computed_by: str = ""
    """Who computed the last steps, see `executors.computed_by`; empty in files of before."""

    @property
    def network(self) -> dict[str, Any]:
        """The arguments from which the network is made again, with the name of its `model`."""
        return dict(self.card.config or {})

    @property
    def preprocessing(self) -> Preparation:
        """How examples become the network's input."""
        assert self.card.preprocessing is not None
        return self.card.preprocessing

    def task_of(self, own: Task | None = None) -> Task:
        """The task that was trained for, of which a kind that is not Pellucid's own must be given; raises `CheckpointError`."""
        name: str = self.task["name"]
        kind = TASKS.get(name) or (type(own) if own is not None and own.name == name else None)
        if kind is None:
            raise CheckpointError(f"its task is {name!r}, one of your own; give it with task=...")
        try:
            task = kind.from_dict(self.task)
            self.position.require(task, self.config.metrics)
        except (PlainError, TrainError) as error:
            raise CheckpointError(f"its task makes no sense ({error})") from error
        return task

    def require_state(self, path: Path, parameters: Mapping[str, Parameter]) -> None:
        """Raise `CheckpointError` unless there is an array for each of an optimizer's parameters, and no other."""
        wrong = [f"{n} is missing" for n in parameters if n not in self.state]
        wrong += [f"{n} is not the optimizer's" for n in self.state if n not in parameters]
        for name in parameters.keys() & self.state.keys():
            found, wanted = self.state[name], parameters[name]
            if (found.shape, str(found.dtype)) != (wanted.shape, wanted.dtype):
                wrong.append(f"{name} is {found.dtype} {found.shape}, expected {wanted.dtype} {wanted.shape}")
        if wrong:
            raise CheckpointError(f"{path}: the state of its optimizer does not fit: {'; '.join(wrong)}")


@dataclass(frozen=True)
class _Description:
    """The part of a checkpoint that is no arrays, as its file holds it."""

    format: int
    network: dict[str, Any]
    classes: tuple[str, ...]
    preprocessing: dict[str, Any]
    config: TrainConfig
    position: Position
    data: str = ""
    computed_by: str = ""
    task: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.network.get("model"), str):
            raise CheckpointError("network.model must be the name of a network")
        if self.task is not None and not isinstance(self.task.get("name"), str):
            raise CheckpointError("task.name must be the name of a task")


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as the bytes of a safetensors file."""
    from safetensors.numpy import save

    task = checkpoint.task
    described: dict[str, Any] = {
        "format": FORMAT,
        "network": checkpoint.network,
        "classes": task.get("classes", ()),
        "preprocessing": checkpoint.preprocessing.to_dict(),
        "config": checkpoint.config.to_dict(),
        "position": checkpoint.position.to_dict(),
        "data": checkpoint.data,
        "computed_by": checkpoint.computed_by,
    }
    if (
        task["name"] != Classification.name or task.get("independent") or task.get("class_weights")
    ):  # else its classes and settings stand above
        described["task"] = task
    return save({**checkpoint.weights, **checkpoint.state}, {"pellucid": to_json(described)})


def step_of(path: Path) -> int | None:
    """The step that the checkpoint at `path` is of; None where there is none, or it is damaged."""
    try:
        return _read(path, arrays=False).position.step
    except CheckpointError:
        return None


def previous(path: Path) -> Path:
    """Where the checkpoint before the last one is kept."""
    return path.with_suffix(f".previous{path.suffix}")


def find(path: Path | str, which: str = "best") -> Path:
    """The checkpoint meant by a run's folder (its best one, or `which="last"`), or by the path of a checkpoint."""
    path = Path(path)
    if not stands(path):
        raise CheckpointError(f"{path}: there is no such run; `pellucid train` makes one")
    file = path / f"{which}.safetensors" if path.is_dir() else path
    last = file.with_name("last.safetensors")
    return file if stands(file) or not stands(last) else last  # stopped in the first epoch


def stands(path: Path) -> bool:
    """Whether there is a checkpoint at `path`, or the one before it, which is opened in its place."""
    return path.exists() or previous(path).exists()


def load(path: Path, arrays: bool = True) -> Checkpoint:
    """Read a checkpoint, or all but its `arrays`; where it is missing or damaged the previous one, with a warning."""
    try:
        return _read(path, arrays)
    except CheckpointError as error:
        if not previous(path).exists():
            raise
        checkpoint = _read(previous(path), arrays)
        warnings.warn(f"{error}; using {previous(path).name} instead", stacklevel=2)
        return checkpoint


def _read(path: Path, arrays: bool = True) -> Checkpoint:
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint")
    try:
        header = safe_header(path)
        meta = parse_json(header.metadata.get("pellucid", "null"))
    except (WeightsError, PlainError) as error:
        raise CheckpointError(f"{path}: not a readable checkpoint ({error})") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of this version of Pellucid (format {FORMAT})")
    try:
        described = read(_Description, {**meta, "position": Position.nested(meta.get("position"))})
        task = task_in_words(described.task, described.classes, described.config)
        card = Card(task.get("classes", ()), preparation_of(described.preprocessing), described.network)
    except (PlainError, DataError, ModuleError) as error:
        raise CheckpointError(f"{path}: its description makes no sense ({error}); the file is damaged") from error
    try:
        tensors = {name: array for name, (array, _) in safe_arrays(path, header).items()} if arrays else {}
    except WeightsError as error:
        raise CheckpointError(f"{path}: {error}") from error
    state = {n: t for n, t in tensors.items() if n.startswith(STATE)}
    weights = {n: t for n, t in tensors.items() if n not in state}
    checkpoint = Checkpoint(
        weights,
        state,
        card,
        task,
        described.config,
        described.position,
        described.data,
        described.computed_by,
    )
    if task["name"] in TASKS:
        try:
            checkpoint.task_of()
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}; the file is damaged") from error
    return checkpoint
