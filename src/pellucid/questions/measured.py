"""Which pictures a question is asked about: a run's own, split as they were when it learned from them, or those of `--data`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.text import amount

if TYPE_CHECKING:
    from pellucid.data import Dataset, Measured, SplitRecord, Splits
    from pellucid.opening import Opened


def say(notes: Iterable[str]) -> None:
    """What there is to know about data, on stderr."""
    for note in notes:
        print(f"pellucid: {note}", file=sys.stderr)


def measured(subject: Opened, data: str, numbers: bool = False, others: bool = False) -> Measured:
    """The pictures to measure a network on: a run's own test part, or what `to_measure` gives of `data`.

    Those of a network that predicts numbers only where the command can do with `numbers`; pictures of classes that the
    network does not know only where it can do with `others`. Data of a run that was moved is the run's own.
    """
    from pellucid.data import Measured, numbers_to_measure, to_measure

    if not numbers:
        _require_classes(subject)
    record = subject.run.data if subject.run is not None else None
    if not data or (record is not None and data == record.source and not record.placed()) or _was_moved(subject, data):
        splits = _own(subject, data)
        if splits.test_part != "test":
            say(["the data has no test pictures: these are those for validation, which also chose the best epoch"])
        return Measured(splits.test, splits.test_part)
    if _predicts_numbers(subject):
        found = numbers_to_measure(data, **_reading(subject))
    else:
        found = to_measure(data, **_reading(subject), classes=() if others else subject.classes)
    say([*found.notes, *(f"skipped {line}" for line in found.dataset.skipped), *_learned_from(record, found.dataset)])
    return found


def images_for(subject: Opened, data: str) -> Dataset:
    """Test pictures of the network's size; their classes may be others than its own."""
    found = measured(subject, data, others=True).dataset
    _require_shape(subject, found)
    return found


def _require_shape(subject: Opened, found: Dataset) -> None:
    from pellucid.opening import OpeningError

    if tuple(found.shape) != subject.shape:
        raise OpeningError(f"{subject.source}: wants images {subject.shape}, the data {found.name} has {found.shape}")


def parts_of(subject: Opened, data: str) -> Splits:
    """All parts of the pictures called `data`, of the network's size; of a run's own, as they were split, unless named."""
    from pellucid.data import load

    _require_classes(subject)
    record = subject.run.data if subject.run is not None else None
    if not data or (record is not None and record.is_of(Path(data))):
        return _own(subject, data)
    splits = load(data, **_reading(subject))
    _require_shape(subject, splits.train)
    say([*splits.notes, *(f"skipped {line}" for line in splits.train.skipped)])
    return splits


def _predicts_numbers(subject: Opened) -> bool:
    return subject.task is not None and not subject.classes


def _require_classes(subject: Opened) -> None:
    from pellucid.opening import OpeningError

    if subject.task is not None and _predicts_numbers(subject):
        raise OpeningError(
            f"{subject.source}: was trained for {subject.task.name}; this command is for networks that tell classes apart"
        )


def _was_moved(subject: Opened, data: str) -> bool:
    """Whether `data` is what the run learned from, which is no longer where it was then."""
    from pellucid.data import DataError

    run = subject.run
    if run is None or run.data is None or not run.data.is_of(Path(data)):
        return False
    try:
        run.data.found_from(run.folder)
    except DataError:
        say([f"{data}: is the data that the run was trained with, and is taken in the parts that it was split in then"])
        return True
    return False


def _own(subject: Opened, data: str = "") -> Any:
    """The data that a run was trained with, split as it was then; it is at `data`, where that is named."""
    from pellucid.data import load, load_numbers
    from pellucid.opening import OpeningError
    from pellucid.train.arrays import NAME

    run = subject.run
    record = None if run is None else run.data
    source = data or ("" if run is None else record.found_from(run.folder) if record is not None else run.config.data)
    if not source:
        raise OpeningError(f"{subject.source}: has no test pictures of its own; name some with --data")
    if source == NAME and not Path(source).exists():
        raise OpeningError(
            f"{subject.source}: learned from arrays, which no file holds: name data with --data, or in Python "
            f"pl.load_run({subject.source!r}).evaluate(inputs, targets)"
        )
    if record is None:
        say(
            [
                f"{subject.source}: does not say how its data was split; it is split anew by seed 0, "
                "so that pictures it has learned from may be among these"
            ]
        )
    read = load_numbers if _predicts_numbers(subject) else load
    if record is not None and subject.on_bad_image:
        record = replace(record, options={**record.options, "on_bad_image": subject.on_bad_image})
    splits = read(source, **_reading(subject), record=record)
    say(splits.notes)
    return splits


def _reading(subject: Opened) -> dict[str, Any]:
    """How `subject` reads pictures."""
    if subject.standardization is not None:
        return {}
    if not subject.takes_pictures:
        subject.require_preprocessing()  # which says so
    channels, rows, columns = subject.shape
    record = None if subject.run is None else subject.run.data
    told = "error" if record is None else record.options.get("on_bad_image", "error")
    return {
        "image_size": rows if rows == columns else (rows, columns),
        "channels": channels,
        "on_bad_image": subject.on_bad_image or told,
    }


def _learned_from(record: SplitRecord | None, dataset: Dataset) -> list[str]:
    """A word about pictures of `dataset` that are among those that a run has learned from."""
    from pellucid.data import PartRecord

    learned = {checksum for part, _, checksum in record.placed().values() if part == "train"} if record else set[str]()
    files = PartRecord.of(dataset).files or {}
    count = sum(checksum in learned for inside in files.values() for checksum in inside.values())
    are = "is" if count == 1 else "are"
    return (
        [f"{count} of these {amount(len(dataset), 'picture')} {are} among those that the run has learned from"]
        if count
        else []
    )
