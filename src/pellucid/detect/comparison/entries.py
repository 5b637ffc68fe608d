"""What is to be compared: runs, models and systems, opened, and how each came to be."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.detect.config import DetectionConfig
from pellucid.detect.detector import Detector
from pellucid.detect.errors import DetectorError
from pellucid.detect.files import load_detector
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.recognizing import has_models
from pellucid.detect.run import LEARNED, DetectionRun
from pellucid.text import amount
from pellucid.train.run_folder import METRICS


@dataclass(frozen=True)
class Learned:
    """What a run learned from: the name of the data, its `pictures` by name, and how many `objects` they have."""

    data: str
    pictures: tuple[str, ...]
    objects: int

    @classmethod
    def of(cls, pictures: PicturesWithBoxes) -> Learned:
        """That of pictures."""
        return cls(pictures.name, pictures.names, sum(map(len, pictures.objects)))


@dataclass(frozen=True)
class Entry:
    """A `detector` of the comparison, where it is from, and how it came to be, as far as its run says: `learned` from and in how many
    `training_seconds`."""

    detector: Detector
    source: str = ""
    name: str = ""
    learned: Learned | None = None
    training_seconds: float | None = None
    by_its_authors: bool = False

    @classmethod
    def of(cls, source: str | Path | Detector | DetectionRun, name: str = "") -> Entry:
        """A run, a detector, its file, or models of parts. Raises `DetectorError`."""
        if isinstance(source, Detector):
            return cls(source, name=name)
        if isinstance(source, DetectionRun):
            source = source.folder
        path = Path(source)
        folder = path if path.is_dir() else path.parent
        detector = load_detector(path)
        if has_models(path):
            return cls(detector, str(path), name, by_its_authors=True)
        return cls(detector, str(path), name, learned_of(folder), training_seconds_of(folder))

    @property
    def called(self) -> str:
        """Its name: its system unless given."""
        return self.name or self.detector.system + (" (authors')" if self.by_its_authors else "")

    @property
    def backbone(self) -> str:
        """The network that it looks at pictures with; "" where there is none."""
        settings = self.detector.settings()
        return str(settings["config"]["backbone"]) if {"preprocessing", "config"} <= settings.keys() else ""

    @property
    def segments(self) -> str:
        """What finds the segments that it looks at; "" where it sees none."""
        config = getattr(self.detector, "config", None)
        if not hasattr(self.detector, "segments") or not isinstance(config, DetectionConfig):
            return ""
        return config.segment_source

    @property
    def words(self) -> str:
        """How it was trained, and what it uses."""
        if self.by_its_authors:
            how = "models that their authors trained, on PASCAL VOC's own training pictures"
        elif self.learned is None:
            how = "trained elsewhere; what it learned from is not known"
        else:
            count, objects = len(self.learned.pictures), self.learned.objects
            how = f"trained on {amount(count, 'picture')} of {self.learned.data} with {amount(objects, 'object')}"
        parts = {"backbone": self.backbone, "segments": self.segments}
        notes: tuple[str, ...] = getattr(self.detector, "notes", ())
        return "; ".join([", ".join([how, *(f"{what} {name}" for what, name in parts.items() if name)]), *notes])


def learned_of(folder: Path) -> Learned | None:
    """What the run in a folder learned from; None where it does not say. Raises `DetectorError` for a damaged file."""
    file = folder / LEARNED
    if not file.is_file():
        return None
    try:
        told: dict[str, Any] = json.loads(file.read_text())
        return Learned(str(told["data"]), tuple(map(str, told["pictures"])), int(told["objects"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DetectorError(f"{file}: does not say what the run learned from ({error})") from error


def training_seconds_of(folder: Path) -> float | None:
    """How long the run in a folder trained, as its metrics say; None where there are none. Raises `DetectorError` for a damaged file."""
    file = folder / METRICS
    if not file.is_file():
        return None
    try:
        return sum(float(row["seconds"]) for row in csv.DictReader(file.read_text().splitlines()))
    except (ValueError, KeyError, TypeError) as error:
        raise DetectorError(f"{file}: has no column of seconds ({error})") from error
