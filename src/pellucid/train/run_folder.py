"""The folder of a run while a process trains in it: how it is begun, and how its files are kept whole on a disk that fills up."""

from __future__ import annotations

import contextlib
import errno
import tomllib
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from pellucid.errors import WriteError
from pellucid.files import leftovers, read_limited, write_atomically
from pellucid.train.checkpoint import Checkpoint, find, previous, step_of, to_bytes
from pellucid.train.claim import LOCK, claimed, holder, taken_by
from pellucid.train.config import TrainError

CONFIG, SPLIT, METRICS, LAYERS = "config.toml", "data.json", "metrics.csv", "layers.csv"
TEST, VALIDATION, REPORT = "test.json", "validation.json", "report.html"
GRAPH, REMARKS = "graph.onnx", "remarks.json"
RESULTS = (TEST, VALIDATION, REPORT, REMARKS)
"""What a run writes once it has ended, of its best epoch."""
LAST, BEST = "last.safetensors", "best.safetensors"
RUNS = Path("runs")
"""Where runs are that are given no folder."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


def noted_settings(file: Path) -> dict[str, Any]:
    """What a run's config.toml says, as plain data. Raises `OSError` and `ValueError` where it cannot be read."""
    return tomllib.loads(read_limited(file, 2**20).decode())


class RunFolder:
    """The files of the run in `path`. A run that is killed at any moment can be resumed once it has a config.toml."""

    names: ClassVar[tuple[str, ...]] = (
        CONFIG,
        SPLIT,
        METRICS,
        LAYERS,
        TEST,
        VALIDATION,
        REPORT,
        GRAPH,
        REMARKS,
        LAST,
        BEST,
    )

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def write(self, name: str, data: bytes) -> None:
        """Put a file there, whole or not at all.

        On a full disk checkpoints that have a newer one give way. Raises `WriteError`.
        """
        path = self.path / name
        old, gone = self._dispensable(), list[str]()
        while True:
            try:
                write_atomically(path, data)
                break
            except WriteError as error:
                cause = error.__cause__
                way = next(old, None) if isinstance(cause, OSError) and cause.errno in _FULL else None
                if way is None:
                    raise
                way.unlink()
                gone.append(way.name)
        if gone:
            warnings.warn(f"{self.path}: no space is left; {' and '.join(gone)} gave way to {name}", stacklevel=2)

    def _dispensable(self) -> Iterator[Path]:
        """Checkpoints of earlier versions that a run can go without, as the one after them is there and whole."""
        for name in (BEST, LAST):
            newer = self.path / name
            if previous(newer).exists() and step_of(newer) is not None:
                yield previous(newer)

    def put(self, name: str, text: str) -> None:
        """A file with this text, or none where it is empty."""
        if text:
            self.write(name, text.encode())
        else:
            (self.path / name).unlink(missing_ok=True)

    def save(self, name: str, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, `LAST` or `BEST`; the one before goes once the new one is safe on the disk."""
        self.write(name, to_bytes(checkpoint))
        previous(self.path / name).unlink(missing_ok=True)

    def _half_written(self) -> list[Path]:
        whole = [path for name in self.names for path in (self.path / name, previous(self.path / name))]
        return [part for path in whole for part in leftovers(path)]

    def clear(self) -> None:
        """Remove what processes left half written that were killed."""
        for part in self._half_written():
            part.unlink(missing_ok=True)

    def require_new(self) -> None:
        """Raise `TrainError` if there is something in it beside what a run leaves that was killed before it had begun.

        Nothing in the folder is changed by looking.
        """
        try:
            found = {p.name for p in self.path.iterdir()}
        except FileNotFoundError:
            return
        except NotADirectoryError as error:
            raise TrainError(f"{self.path}: is a file; a run needs a folder") from error
        except OSError as error:
            raise WriteError(f"{self.path}: cannot be looked into ({error.strerror}); choose another folder") from error
        found -= {LOCK, *(part.name for part in self._half_written())}
        if found and not self.is_unbegun(found):
            if who := holder(self.path):
                raise TrainError(taken_by(self.path, who))
            raise TrainError(f"{self.path}: exists and is not empty; resume it, or choose another folder")

    def is_unbegun(self, found: set[str]) -> bool:
        """Whether the files `found` in it are those of a run that was killed before it had learned anything, and before its config.toml."""
        return found <= {LAST, SPLIT, GRAPH, REMARKS} and step_of(self.path / LAST) == 0


@contextmanager
def taken(folder: RunFolder, resume: bool, made: Sequence[Path] = ()) -> Generator[None]:
    """Meanwhile the folder is this process's own, new unless `resume`. Folders `made` for it, the innermost first, go if they stay empty."""
    try:
        with claimed(folder.path):
            if not resume:
                folder.require_new()
            folder.clear()
            yield
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


@contextmanager
def begun(out: Path | None, name: str, resume: bool, runs: Path = RUNS) -> Generator[RunFolder]:
    """The folder to train in, which is this process's own meanwhile: `out`, else `name` below `runs`, numbered if that is taken.

    One that was made for it and stays empty is removed again.
    """
    if resume:
        if out is None:
            raise TrainError("to resume a run, give `out`: its folder")
        find(out, "last")
        if not out.is_dir():
            raise TrainError(f"{out}: a run is resumed in its folder, which this is not")
        made: list[Path] = []
    else:
        if out is not None:
            RunFolder(out).require_new()  # before the lock is made: a folder that is taken stays as it is
        out, made = made_folder(out, name, runs)
    folder = RunFolder(out)
    with taken(folder, resume, made):
        yield folder


def made_folder(out: Path | None, name: str, runs: Path = RUNS) -> tuple[Path, list[Path]]:
    """A folder that exists now, and what was made for it, the innermost first."""
    for number in count(1):
        path = out or runs / (name if number == 1 else f"{name}-{number}")
        missing = [p for p in (path, *path.parents) if not p.exists()]
        try:
            path.mkdir(parents=True, exist_ok=out is not None)
        except FileExistsError as error:
            if out is not None:  # it came just now
                raise TrainError(f"{path}: is a file; a run needs a folder") from error
        except OSError as error:
            raise WriteError(f"{path}: cannot be made ({error.strerror}); choose another folder") from error
        else:
            return path, missing
    raise AssertionError
