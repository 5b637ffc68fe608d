"""The folder of a detector's run: its files, whether it was begun, and the data that it goes on with."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np

from pellucid.detect.config import DetectionConfig
from pellucid.detect.errors import DetectorError
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.recognizing import DETECTOR, read_header
from pellucid.files import reason_of
from pellucid.plain import PlainError, read, to_json
from pellucid.train.run_folder import CONFIG, METRICS, REPORT, RunFolder, noted_settings

TRAINING = "training.safetensors"
"""Weights, the optimizer's state and where training stands."""
EVALUATION = "evaluation.json"
LEARNED = "data.json"
"""What it learned from: the name of the data, its pictures, and how many objects they have."""


class DetectionFolder(RunFolder):
    """The files of a detector's run."""

    names: ClassVar[tuple[str, ...]] = (TRAINING, DETECTOR, EVALUATION, LEARNED, CONFIG, METRICS, REPORT)

    def is_unbegun(self, found: set[str]) -> bool:
        """Whether these are the files of a run that had learned nothing when it was killed, or failed."""
        if not found <= {TRAINING, CONFIG, LEARNED} or TRAINING not in found:
            return False
        try:
            told = read_header(self.path / TRAINING)
        except DetectorError:
            return False
        return (told.get("epoch"), told.get("within")) == (0, 0)


def told_of(pictures: PicturesWithBoxes) -> dict[str, Any]:
    """What tells pictures to learn from: classes, how many there are, and a digest of their names, sizes and objects."""
    digest = hashlib.sha256(to_json([pictures.names, pictures.sizes]).encode())
    for one in pictures.objects:
        for array in (one.boxes, one.labels, one.difficult):
            digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    count = sum(map(len, pictures.objects))
    return {
        "classes": list(pictures.classes),
        "pictures": len(pictures),
        "objects": count,
        "sha256": digest.hexdigest(),
    }


def require_config(folder: Path, kept: DetectionConfig) -> None:
    """Raise `DetectorError` where the config.toml of a run was changed, which goes on with the settings that are `kept`."""
    file = folder / CONFIG
    if not file.exists():
        return
    try:
        noted = DetectionConfig.of(noted_settings(file))
    except (OSError, ValueError) as error:
        raise DetectorError(
            f"{file}: cannot be read ({reason_of(error)}); remove it, and it is written anew as the run has it"
        ) from error
    names = [each.name for each in fields(kept) if getattr(noted, each.name) != getattr(kept, each.name)]
    if names:
        differ = [f"{name} is {getattr(noted, name)!r}, was {getattr(kept, name)!r}" for name in names]
        raise DetectorError(
            f"{file}: was changed, and a run goes on with its own settings: {'; '.join(differ)}. "
            "Bring the file back as it was, or remove it: it is written anew"
        )


def kept_config(folder: Path) -> DetectionConfig | None:
    """The settings of the run in a folder; None where there is none. Raises `DetectorError` for a damaged file."""
    file = next((folder / name for name in (TRAINING, DETECTOR) if (folder / name).is_file()), None)
    if file is None:
        return None
    try:
        return DetectionConfig.of(read(dict[str, Any], read_header(file).get("config"), "config"))
    except PlainError as error:
        raise DetectorError(f"{file}: is damaged: {error}") from error


def seen_again(learned: Iterable[str], measured: PicturesWithBoxes, who: str = "it") -> list[str]:
    """A note that some of the pictures that are measured on were learned from, as far as their names say; none where none was."""
    count = len({*learned} & {*measured.names})
    return [f"{who} learned from {count} of these very pictures: its numbers say less than they seem to."] * bool(count)


def other_data(folder: Path, learned: PicturesWithBoxes) -> str:
    """In what way a run began with other pictures, objects or classes; "" where with these, or where it does not say.

    Raises `DetectorError` for a damaged file.
    """
    there, here = read_header(folder / TRAINING).get("data"), told_of(learned)
    if there in (None, here):  # None: of a run that did not keep it
        return ""
    if not isinstance(there, dict) or set(cast(dict[str, Any], there)) != set(here):
        raise DetectorError(f"{folder / TRAINING}: is damaged: it does not say what data it began with")
    there = cast(dict[str, Any], there)
    words = (
        f"{len(one['classes'])} classes ({', '.join(one['classes'])}), {one['pictures']} pictures, {one['objects']} objects"
        for one in (there, here)
    )
    alike = {**there, "sha256": ""} == {**here, "sha256": ""}
    return f"it began with {', not '.join(words)}{'; names, sizes or boxes differ' if alike else ''}"


def require_data(folder: Path, learned: PicturesWithBoxes) -> None:
    """Raise `DetectorError` where a run that is to go on began with other pictures, objects or classes."""
    if words := other_data(folder, learned):
        raise DetectorError(
            f"{folder}: goes on with the data that it began with, and these are others: {words}. "
            "Give it the data that it had, or train anew in another folder"
        )


def columns(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """What any of the rows has, in the order in which it came up, the seconds last."""
    names = {name: None for row in rows for name in row if name != "seconds"}
    return [*names, "seconds"]


def table(rows: list[dict[str, float]]) -> str:
    """The rows as metrics.csv has them."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
