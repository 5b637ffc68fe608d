"""Checkpoints: safetensors files with weights, optimiser state and position, replaced atomically, the last one kept."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError
from pellucid.files import write_atomically
from pellucid.op import Array

FORMAT = 1


class CheckpointError(PellucidError, ValueError):
    """A checkpoint cannot be read, written or used with this network."""


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


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: arrays by name, and everything else as plain data."""

    weights: dict[str, Array]
    state: dict[str, Array]
    network: dict[str, Any]
    classes: tuple[str, ...]
    preprocessing: dict[str, Any]
    config: dict[str, Any]
    position: Position


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint: to a temporary file, flushed to disk, then renamed; `x.safetensors` becomes `x.previous.safetensors`."""
    from safetensors.numpy import save as to_bytes

    meta = {
        "format": FORMAT,
        "network": checkpoint.network,
        "classes": list(checkpoint.classes),
        "preprocessing": checkpoint.preprocessing,
        "config": checkpoint.config,
        "position": vars(checkpoint.position),
    }
    data = to_bytes({**checkpoint.weights, **checkpoint.state}, {"pellucid": json.dumps(meta)})
    if path.exists():
        write_atomically(path, data, keep=previous(path))
    else:
        write_atomically(path, data)


def previous(path: Path) -> Path:
    """Where the checkpoint before the last one is kept."""
    return path.with_suffix(f".previous{path.suffix}")


def find(path: Path | str, which: str = "best") -> Path:
    """The checkpoint meant by a run's folder (its best one, or `which="last"`), or by the path of a checkpoint."""
    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"{path}: there is no such run; `pellucid train` makes one")
    file = path if path.is_file() else path / f"{which}.safetensors"
    last = file.with_name("last.safetensors")
    return last if not file.exists() and which == "best" and last.exists() else file  # stopped in the first epoch


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


def _read(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint")
    try:
        with safe_open(path, framework="np") as file:
            meta = json.loads((file.metadata() or {}).get("pellucid", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a readable checkpoint ({error})") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of this version of Pellucid (format {FORMAT})")
    try:
        return Checkpoint(
            {n: t for n, t in tensors.items() if not n.startswith("optimizer/")},
            {n: t for n, t in tensors.items() if n.startswith("optimizer/")},
            meta["network"],
            tuple(meta["classes"]),
            meta["preprocessing"],
            meta["config"],
            Position(**meta["position"]),
        )
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: its description is incomplete ({error})") from error
