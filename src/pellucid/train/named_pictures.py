"""A run's own pictures by name: `test[3]` of the part that it was measured on, `cat/3.jpg` of the folder that it learned from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.data import DataError, load, load_numbers
from pellucid.data.sample import name_of

if TYPE_CHECKING:
    from pellucid.train.run import Run

_OWN = re.compile(r"(train|validation|test)\[(\d{1,9})\]")


def picture_of_run(run: Run, name: str) -> str:
    """The name by which everybody finds a picture that is called `name` in a run, as it was split; others stay as they are."""
    if os.path.lexists(name):
        return name
    record = run.data
    placed = {} if record is None else record.placed()
    own = _OWN.fullmatch(name)
    if own is None and name not in placed:
        return name
    source = run.config.data if record is None else record.found_from(run.folder)
    if own is None:
        return str(_folder_of(source) / name)
    part, number = own[1], int(own[2])
    if not source:
        raise DataError(f"{name}: the run {run.folder} learned from data in memory, whose pictures it does not keep")
    if record is not None and part not in record.parts and part == "test":
        part = record.test
    names = [str(_folder_of(source) / file) for file, (place, _, _) in placed.items() if place == part]
    if not names:
        dataset = getattr((load if run.classes else load_numbers)(source, record=record), part)
        names = [name_of(dataset, index) for index in range(len(dataset))]
    if number >= len(names):
        raise DataError(f"{name}: the run {run.folder} has {part} pictures 0 to {len(names) - 1}")
    return names[number]


def _folder_of(source: str) -> Path:
    """Where the files of a data set lie that is called so: the folder or archive itself, or that of a table."""
    path = Path(source)
    return path.parent if path.suffix.lower() == ".csv" else path
