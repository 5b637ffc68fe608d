"""All runs below a folder, side by side: how they ended, how good they are, what they took, and which settings differ."""

from __future__ import annotations

import contextlib
import os
import tomllib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.data.listing import is_hidden, shown
from pellucid.errors import listed as names_listed
from pellucid.errors import unknown
from pellucid.files import read_limited
from pellucid.pictures import Answer, Chart, Grid, Page, Series
from pellucid.plain import PlainError, parse_json, to_json
from pellucid.text import amount, human_bytes, text_table
from pellucid.train.checkpoint import VALIDATION, CheckpointError, find, load
from pellucid.train.claim import holder
from pellucid.train.config import TrainError
from pellucid.train.run_folder import BEST, CONFIG, LAST, TEST
from pellucid.train.run_folder import VALIDATION as VALIDATION_RESULT
from pellucid.train.tasks import TASKS

STATES = ("finished", "training", "unfinished", "broken")
MOST_DRAWN = 10
"""Runs whose curves are drawn over each other."""
SORTED_BY: dict[str, Callable[[Any], Any]] = {
    "name": lambda run: run.name,
    "score": lambda run: -_or_least(run.score),
    "loss": lambda run: -_or_least(None if run.loss is None else -run.loss),
    "time": lambda run: run.seconds,
    "size": lambda run: -run.size,
    "epochs": lambda run: -run.epochs,
    "state": lambda run: run.state,
    "date": lambda run: -run.changed,
}
"""What the list can be sorted by, and how: the best, fastest, largest, longest, or newest first."""


@dataclass(frozen=True)
class RunSummary:
    """One run: `state` is one of `STATES`, of a broken one `reason` says why.

    `score` is what its task calls good, such as the accuracy, of the best epoch on the pictures for validation; `tested` the
    same of the test pictures where there are some; `loss` the validation loss of that epoch; `seconds` of all epochs, `size` in
    bytes of its folder, `changed` in seconds since 1970.
    """

    name: str
    folder: str
    state: str
    reason: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    measure: str = ""
    score: float | None = None
    tested: float | None = None
    loss: float | None = None
    epochs: int = 0
    seconds: float = 0.0
    size: int = 0
    changed: float = 0.0
    rows: tuple[dict[str, Any], ...] = ()

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "rows"}
        return {**plain, "settings": dict(self.settings), "history": list(self.rows)}


@dataclass(frozen=True)
class RunList(Answer):
    """Runs below `folder`, in the order that was asked for."""

    folder: str
    runs: tuple[RunSummary, ...]
    note: str = ""
    """Why there is none, where none has a setting that was asked for."""

    @property
    def differing(self) -> dict[str, tuple[Any, ...]]:
        """The settings that are not the same in all runs that have any: for each run its own, None where it has none."""
        have = [run for run in self.runs if run.settings]
        names = dict.fromkeys(name for run in have for name in run.settings)
        values = {name: tuple(run.settings.get(name) for run in self.runs) for name in names}
        return {n: v for n, v in values.items() if len({repr(run.settings.get(n)) for run in have}) > 1}

    def to_dict(self) -> dict[str, Any]:
        differing = {name: list(values) for name, values in self.differing.items()}
        return {"folder": self.folder, "runs": [run.plain() for run in self.runs], "differing": differing}

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        rows = [
            [
                run.name,
                run.state,
                run.measure,
                *("" if value is None else f"{value:.4f}" for value in (run.score, run.tested, run.loss)),
                str(run.epochs),
                f"{run.seconds:.1f} s",
                human_bytes(run.size),
            ]
            for run in self.runs
        ]
        return ["run", "state", "measure", "validation", "test", "loss", "epochs", "time", "size"], rows

    def _settings(self) -> tuple[list[str], list[list[str]]]:
        names = self.differing
        rows = [
            [run.name, *("" if v[k] is None else str(v[k]) for v in names.values())] for k, run in enumerate(self.runs)
        ]
        return ["run", *names], rows

    def __str__(self) -> str:
        words = [text_table(*self._cells(), "lllrrrrrr")]
        words += [f"{run.name}: {run.reason}" for run in self.runs if run.reason]
        words += [self.note] * bool(self.note)
        if self.differing and len(self.runs) <= MOST_DRAWN:
            titles, rows = self._settings()
            columns = [[title, *(row[k] for row in rows)] for k, title in enumerate(titles)]
            words += ["", "settings that differ", text_table(columns[0], columns[1:], "l" * len(columns[0]))]
        return "\n".join(words)

    def picture(self) -> Page:
        """The table, the settings that differ, and the curves of the first runs over each other."""
        parts: list[Any] = [f"{amount(len(self.runs), 'run')} below {self.folder}.", Grid(*self._cells(), "lllrrrrrr")]
        parts += [f"{run.name}: {run.reason}" for run in self.runs if run.reason]
        parts += [self.note] * bool(self.note)
        if self.differing:
            titles, rows = self._settings()
            parts.append(Grid(titles, rows, "l" * len(titles), title="Settings that differ"))
        return Page(f"Runs in {self.folder}", (*parts, *self.charts()))

    def charts(self) -> tuple[Chart, ...]:
        """Validation loss and measures by epoch, a line for each of the first runs."""
        drawn = [run for run in self.runs if run.rows][:MOST_DRAWN]
        columns = dict.fromkeys(name for run in drawn for name in run.rows[0] if name.startswith(VALIDATION))

        def chart(column: str) -> Chart:
            having = [run for run in drawn if column in run.rows[0]]
            lines = [Series(run.name, [r["epoch"] for r in run.rows], [r[column] for r in run.rows]) for run in having]
            title = column.replace("_", " ")
            percent = column.endswith("accuracy")
            return Chart(title.capitalize(), "epoch", title, tuple(lines), percent=percent)

        return tuple(map(chart, columns))


def runs(
    *folders: str | Path, by: str = "name", where: Mapping[str, Any] | None = None, states: Iterable[str] = ()
) -> RunList:
    """All runs in and below `folders` (default `runs`), sorted by one of `SORTED_BY`.

    `where` keeps those whose settings have these values, also as they are written: `pl.runs("runs", where={"model": "lenet",
    "flip": "false", "learning_rate": "2e-3"})`; `states` those in one of `STATES`. What cannot be read is there as broken, with the reason.
    """
    if by not in SORTED_BY:
        raise unknown("order", by, SORTED_BY)
    states = tuple(states)
    for state in states:
        if state not in STATES:
            raise unknown("state", state, STATES)
    given = [Path(folder) for folder in folders or ("runs",)]
    for folder in given:
        if not folder.is_dir():
            raise TrainError(f"{shown(str(folder))}: there is no such folder; `pellucid train` puts runs into runs/")
    found = dict.fromkeys(path for folder in given for path in _run_folders(folder))
    note = ""
    root = given[0] if len(given) == 1 and given[0] not in found else None
    listed = [summary_of(path, str(path.relative_to(root)) if root else str(path)) for path in found]
    for name, wanted in (where or {}).items():
        if all(name not in run.settings for run in listed):
            raise unknown("setting", name, {name for run in listed for name in run.settings})
        having = [run for run in listed if name in run.settings]
        listed = [run for run in having if _is(run.settings[name], wanted)]
        if having and not listed:
            known = sorted({_written(run.settings[name]) for run in having})
            note = f"no run has {name}={_written(wanted)}; {names_listed(_written(wanted), known)}"
    kept = [run for run in listed if not states or run.state in states]
    ordered = sorted(kept, key=lambda run: (SORTED_BY[by](run), run.name))
    return RunList(", ".join(shown(str(folder)) for folder in given), tuple(ordered), note)


def _is(value: Any, wanted: Any) -> bool:
    """Whether a setting has the value that is wanted, as it is or as TOML, Python or a person writes it."""
    given = [wanted]
    if isinstance(wanted, str | Path):
        wanted = str(wanted)
        if wanted in (str(value), _written(value)):
            return True
        with contextlib.suppress(tomllib.TOMLDecodeError):
            given += [found for name, found in tomllib.loads(f"value = {wanted}").items() if name == "value"]
        with contextlib.suppress(ValueError):
            given.append(float(wanted))
    return any(
        isinstance(value, bool) == isinstance(one, bool) and value == (tuple(one) if isinstance(one, list) else one)
        for one in given
    )


def _written(value: Any) -> str:
    """A setting as config.toml and the command line write it; text as it is."""
    plain = value is None or isinstance(value, bool | int | float | list | tuple | dict)
    return to_json(value) if plain else str(value)


def _run_folders(root: Path) -> list[Path]:
    """Folders that have a file of a run in them."""
    found: list[Path] = []
    for place, inside, files in os.walk(root):
        inside[:] = sorted(name for name in inside if not is_hidden(name))
        if {CONFIG, LAST, BEST} & set(files):
            found.append(Path(place))
    return found


def summary_of(folder: Path, name: str) -> RunSummary:
    """One run, called `name`; what cannot be read makes it a broken one."""
    files = [path.stat() for path in folder.iterdir() if path.is_file()]
    common: dict[str, Any] = {
        "name": shown(name),
        "folder": shown(str(folder)),
        "size": sum(file.st_size for file in files),
        "changed": max((file.st_mtime for file in files), default=0.0),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the checkpoint before is used
            checkpoint = load(find(folder, "last"), arrays=False)
    except CheckpointError as error:
        busy = holder(folder)
        return RunSummary(state="training" if busy else "broken", reason="" if busy else str(error), **common)
    rows = tuple(checkpoint.position.rows)
    best = next((row for row in reversed(checkpoint.position.comparable) if row["best"]), None)
    task = TASKS.get(checkpoint.task["name"])
    measure = task.measures[0].name if task is not None and task.measures else ""
    at_end = checkpoint.position.is_end(checkpoint.config)  # else results are those of a run of fewer epochs
    result = _result(folder / TEST) if at_end else None
    ended = result is not None or (at_end and _result(folder / VALIDATION_RESULT) is not None)
    return RunSummary(
        state="training" if holder(folder) else "finished" if ended else "unfinished",
        settings={**checkpoint.config.to_dict(), "model": checkpoint.config.model or checkpoint.network["model"]},
        measure=measure,
        score=None if best is None else best.get(VALIDATION + measure),
        tested=None if result is None else result.get(measure),
        loss=None if best is None else best["validation_loss"],
        epochs=len(rows),
        seconds=sum(row["seconds"] for row in rows),
        rows=rows,
        **common,
    )


def _result(file: Path) -> dict[str, Any] | None:
    """What a file of results says; None where there is none, or it is damaged."""
    try:
        found = parse_json(read_limited(file, 2**28))
    except (OSError, PlainError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _or_least(value: float | None) -> float:
    return float("-inf") if value is None or value != value else value
