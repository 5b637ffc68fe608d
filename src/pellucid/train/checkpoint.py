"""Checkpoints: safetensors files with weights, optimiser state and position, replaced atomically, the last one kept."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pellucid.data import Preprocessing
from pellucid.errors import PellucidError, WeightsError
from pellucid.graph import Parameter
from pellucid.interop.safetensors_file import safe_arrays, safe_header
from pellucid.op import Array
from pellucid.plain import PlainError, parse_json, read, to_json
from pellucid.train.callbacks import EpochReport
from pellucid.train.config import TrainConfig

FORMAT = 1
STATE = "optimizer/"
"""How the names of the arrays of an optimizer's state start."""


class CheckpointError(PellucidError, ValueError):
    """A checkpoint cannot be read, written or used with this network."""


@dataclass(frozen=True)
class _Row(EpochReport):
    """What the curves keep of an epoch, which counts from 1 here; `step` is the one after its last."""

    step: int = 0


@dataclass
class Position:
    """Where training stands: `batch` batches of epoch `epoch` (from 0) are done, `step` in all."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    best: float = -1.0
    since_best: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def __post_init__(self) -> None:
        for name in ("epoch", "batch", "step", "correct", "seen", "since_best"):
            if getattr(self, name) < 0:
                raise CheckpointError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.correct > self.seen or (self.seen > 0) != (self.batch > 0) or self.since_best > self.epoch:
            raise CheckpointError(
                f"{self.correct} of {self.seen} pictures in {self.batch} batches, no better epoch for {self.since_best} "
                f"of {self.epoch}: these cannot be"
            )
        if len(self.rows) != self.epoch:
            raise CheckpointError(f"{self.epoch} epochs must have as many rows, got {len(self.rows)}")
        self.rows = [asdict(read(_Row, row, f"rows[{number}]")) for number, row in enumerate(self.rows)]

    def restart_epoch(self, batches: int) -> None:
        """Go back to the start of the epoch, of so many batches."""
        self.step, self.batch, self.loss_sum, self.correct, self.seen = self.epoch * batches, 0, 0.0, 0, 0

    def require_possible(self, epochs: int, batches: int) -> None:
        """Raise `CheckpointError` where a run of so many epochs of so many batches is never there."""
        if self.epoch > epochs or self.batch >= batches or self.step != self.epoch * batches + self.batch:
            raise CheckpointError(
                f"it stands at epoch {self.epoch}, batch {self.batch}, step {self.step}; a run of {epochs} epochs of {batches} "
                "batches is never there"
            )


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: arrays by name, and everything else as plain data."""

    weights: dict[str, Array]
    state: dict[str, Array]
    network: dict[str, Any]
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    config: TrainConfig
    position: Position
    data: str = ""
    """The digest of the data that was trained on; "" where that is not known."""
    computed_by: str = ""
    """Who computed the last steps, see `executors.computed_by`; empty in files of before."""

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
    preprocessing: Preprocessing
    config: TrainConfig
    position: Position
    data: str = ""
    computed_by: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.network.get("model"), str):
            raise CheckpointError("network.model must be the name of a network")


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as the bytes of a safetensors file."""
    from safetensors.numpy import save

    described = _Description(
        FORMAT,
        checkpoint.network,
        checkpoint.classes,
        checkpoint.preprocessing,
        checkpoint.config,
        checkpoint.position,
        checkpoint.data,
        checkpoint.computed_by,
    )
    return save({**checkpoint.weights, **checkpoint.state}, {"pellucid": to_json(asdict(described))})


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


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; where it is missing or damaged the previous one, with a warning that says so."""
    try:
        return _read(path)
    except CheckpointError as error:
        if not previous(path).exists():
            raise
        checkpoint = _read(previous(path))
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
        described = read(_Description, meta)
    except PlainError as error:
        raise CheckpointError(f"{path}: its description makes no sense ({error}); the file is damaged") from error
    try:
        tensors = {name: array for name, (array, _) in safe_arrays(path, header).items()} if arrays else {}
    except WeightsError as error:
        raise CheckpointError(f"{path}: {error}") from error
    state = {n: t for n, t in tensors.items() if n.startswith(STATE)}
    weights = {n: t for n, t in tensors.items() if n not in state}
    known = {f.name: getattr(described, f.name) for f in fields(described) if f.name != "format"}
    return Checkpoint(weights, state, **known)
