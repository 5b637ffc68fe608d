"""A comparison at work: runs trained or gone on with, and each detector measured on the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.detect.backbones import beginning
from pellucid.detect.comparison.entries import Entry, learned_of
from pellucid.detect.comparison.found import FoundOnPicture, find_timed
from pellucid.detect.comparison.table import ComparedSystem
from pellucid.detect.config import DetectionConfig
from pellucid.detect.errors import DetectorError
from pellucid.detect.evaluation import evaluate
from pellucid.detect.finding import numbered_as
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.run import TRAINING, going_on, has, require_settings, train
from pellucid.detect.run_folder import kept_config, other_data, seen_again
from pellucid.errors import PellucidError
from pellucid.progress import Cancelled
from pellucid.train.run_folder import REPORT
from pellucid.train.stopping import require_whole

Settings = Mapping[str, Any]


@dataclass
class Work:
    """A comparison at work: `pictures` to measure on, those to learn from, the `folder` of all that is kept, and who was left out."""

    pictures: PicturesWithBoxes
    learned: PicturesWithBoxes | None
    folder: Path
    settings: Settings
    left_out: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    notes: list[str] = field(default_factory=list[str])

    def of_run(self, system: str, name: str, more: Settings, may_train: bool) -> Entry | None:
        """A system's run in the folder, trained or gone on with where it may be; None where it is left out."""
        run = self.folder / name
        settings = {**settings_for(system, self.settings), **more}
        begun, is_whole = (run / TRAINING).is_file(), (run / REPORT).is_file()
        if begun:
            going_on(run, system, settings)  # refuses other settings
        elif (kept := kept_config(run)) is not None:
            require_settings(run, system, kept, settings)
        self._require_data(run, begun)
        if not is_whole and not may_train:
            self.left_out.append((name, f"it is not trained yet ({run})"))
            return None
        if not is_whole:
            if self.learned is None:
                raise DetectorError(f"{self.pictures.name}: has no part to learn from; name a run of {name}")
            try:
                require_whole(train(self.learned, system=system, out=run, resume=begun, **settings))
            except Cancelled:
                raise
            except PellucidError as error:
                self.left_out.append((name, str(error)))
                return None
        return Entry.of(run, name)

    def _require_data(self, run: Path, begun: bool) -> None:
        """Raise `DetectorError` where a run, whole or stopped, learned from other pictures or objects than these."""
        if self.learned is None:
            return
        learned = learned_of(run)
        if learned is not None and learned.pictures != self.learned.names:
            raise DetectorError(f"{run}: learned from other pictures than these; name another folder to keep runs in")
        if begun and (words := other_data(run, self.learned)):
            raise DetectorError(
                f"{run}: learned from other objects than these: {words}; name another folder to keep runs in"
            )

    def measured(self, entry: Entry, name: str, setting: Measuring, without: str = "") -> ComparedSystem | None:
        """How an entry does; None where it is left out."""
        detector = entry.detector
        shared = [one for one in self.pictures.classes if one in detector.classes]
        if not shared:
            known, there = ", ".join(detector.classes), ", ".join(self.pictures.classes)
            self.left_out.append((name, f"knows {known}, none of {there}"))
            return None
        if len(shared) < len(self.pictures.classes):
            self.notes.append(
                f"{name} knows {len(shared)} of the {len(self.pictures.classes)} classes; its mean is over these."
            )
        self.notes.extend(seen_again(entry.learned.pictures if entry.learned else (), self.pictures, name))
        said = [f"{name}: {note}." for note in detector.notes]
        config = getattr(detector, "config", None)
        if isinstance(config, DetectionConfig) and (begun := beginning(config)):
            said.append(f"{name}: {begun}.")
        self.notes.extend(note for note in said if note not in self.notes)
        found = find_timed(detector, self.pictures, self.folder / "detections", name)
        there = [numbered_as(self.pictures.classes, one.detections, detector.classes) for one in found]
        evaluation = evaluate(
            there, self.pictures, setting.metric, setting.overlap, part=setting.part, seed=setting.seed, draws=setting.draws,
            classes=shared,
        )  # fmt: skip
        return ComparedSystem(name, entry, evaluation, _median(found), without)


@dataclass(frozen=True)
class Measuring:
    """By what is measured."""

    part: str
    metric: str
    overlap: float
    draws: int
    seed: int


def settings_for(system: str, settings: Settings) -> dict[str, Any]:
    """Of settings those of a system: its own ("rcnn.proposals") before those of all that it has."""
    own = {name.removeprefix(f"{system}."): value for name, value in settings.items() if name.startswith(f"{system}.")}
    return {**{name: value for name, value in settings.items() if "." not in name and has(system, name)}, **own}


def _median(found: Sequence[FoundOnPicture]) -> float:
    return float(np.median([one.seconds for one in found])) if found else float("nan")
