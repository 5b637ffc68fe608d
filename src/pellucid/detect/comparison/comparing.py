"""Comparing detectors: those that are given, and those that are trained because they are missing, on the same pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.detect.comparison.entries import Entry, learned_of
from pellucid.detect.comparison.found import FoundOnPicture, find_timed
from pellucid.detect.comparison.table import ComparedSystem, DetectionComparison, Difference
from pellucid.detect.config import DetectionConfig, DetectorError
from pellucid.detect.detections import Detections
from pellucid.detect.detector import Detector
from pellucid.detect.evaluation import RESAMPLED, evaluate, require_measure
from pellucid.detect.history import SYSTEMS as LECTURE
from pellucid.detect.pictures_with_boxes import BoxData, PicturesWithBoxes, joined
from pellucid.detect.reading import load
from pellucid.detect.resampling import draws_of, interval_of, over_classes, precisions
from pellucid.detect.run import SYSTEMS, TRAINING, DetectionRun, going_on, name_of, train
from pellucid.errors import PellucidError, unknown
from pellucid.plain import Array
from pellucid.progress import Cancelled, long
from pellucid.train.run_folder import REPORT
from pellucid.train.stopping import require_whole

Data = str | Path | BoxData | PicturesWithBoxes
Settings = Mapping[str, Any]


@dataclass
class _Work:
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
        learned = learned_of(run)
        if learned is not None and self.learned is not None and learned.pictures != self.learned.names:
            raise DetectorError(f"{run}: learned from other pictures than these; name another folder to keep runs in")
        return Entry.of(run, name)

    def measured(self, entry: Entry, name: str, setting: _Setting, without: str = "") -> ComparedSystem | None:
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
        if seen := entry.seen(self.pictures):
            self.notes.append(
                f"{name} learned from {seen} of these very pictures: its numbers say less than they seem to."
            )
        found = find_timed(detector, self.pictures, self.folder / "detections", name)
        there = [_of_classes(one.detections, detector.classes, shared) for one in found]
        evaluation = evaluate(
            there, self.pictures.of_classes(shared), setting.metric, setting.overlap, part=setting.part, seed=setting.seed,
            draws=setting.draws,
        )  # fmt: skip
        return ComparedSystem(name, entry, evaluation, _median(found), without)


@dataclass(frozen=True)
class _Setting:
    """By what is measured."""

    part: str
    metric: str
    overlap: float
    draws: int
    seed: int


@long
def compare(
    detectors: Sequence[str | Path | Detector | DetectionRun] = (),
    *,
    data: Data,
    systems: Sequence[str] = (),
    train_missing: bool = False,
    more: Sequence[Data] = (),
    settings: Settings | None = None,
    folder: str | Path | None = None,
    part: str = "",
    metric: str = "voc2007",
    overlap: float = 0.5,
    draws: int = RESAMPLED,
    seed: int = 0,
    on_bad_box: str = "error",
) -> DetectionComparison:
    """Measure detectors on the same pictures of `data`: runs, detectors, models of parts; and `systems` by name, all where nothing is named.

    Systems that are not among `detectors` are runs of `folder` (default: runs/DATA-compare): with `train_missing` those that
    are not there, or were stopped, are trained on the part train and on what there is `more`, by `settings`, whose names may begin with a
    system's ("rcnn.proposals"). What each detector finds is kept in the folder too, so that a comparison that was stopped goes on where
    it was. Intervals come of so many `draws` of the pictures by `seed`. Raises `DetectorError`, `DataError`.
    """
    name, pictures, learned, notes = _parts(data, more, part, on_bad_box)
    where = Path(folder) if folder is not None else Path("runs") / f"{name_of(data)}-compare"
    work = _Work(pictures, learned, where, settings or {}, notes=notes)
    setting = _Setting(name, metric, overlap, draws, seed)
    given, wanted = _asked(detectors, systems, train_missing)
    require_measure(metric, overlap)
    if draws < 1:
        raise DetectorError(f"draws must be 1 or more, got {draws}")
    _require_sense(work.settings, wanted)
    entries = [Entry.of(one) for one in given]
    there = {entry.detector.system for entry in entries if not entry.by_its_authors}
    made = [work.of_run(one, one, {}, train_missing) for one in wanted if one not in there]
    ordered = _ordered([*entries, *(entry for entry in made if entry is not None)])
    measured = [work.measured(entry, called, setting) for entry, called in zip(ordered, _names(ordered), strict=True)]
    compared = tuple(one for one in measured if one is not None)
    if not compared:
        why = "; ".join(f"{one}: {words}" for one, words in work.left_out)
        raise DetectorError(
            f"{pictures.name}: there is no detector to compare ({why}); name runs, or train what is missing"
        )
    return DetectionComparison(
        name_of(data), name, len(pictures), pictures.classes, metric, overlap, draws, seed, compared,
        _differences(compared, setting, len(pictures)), (), (), tuple(work.left_out), tuple(work.notes),
    )  # fmt: skip


def _parts(
    data: Data, more: Sequence[Data], part: str, on_bad_box: str
) -> tuple[str, PicturesWithBoxes, PicturesWithBoxes | None, list[str]]:
    """The part that is measured on, its pictures, those that are learned from, and what is to be known of them."""
    notes = list[str]()

    def opened(one: Data) -> BoxData | PicturesWithBoxes:
        found = load(one, on_bad_box) if isinstance(one, str | Path) else one
        notes.extend(found.notes if isinstance(found, BoxData) else ())
        return found

    source, others = opened(data), [opened(one) for one in more]
    parts = [one.parts.get("train", one.whole) if isinstance(one, BoxData) else one for one in others]
    if isinstance(source, PicturesWithBoxes):
        return part or "all", source, joined(parts, source.classes) if parts else None, notes
    name, pictures = source.part(part)
    names = ("train", "trainval") if name == "test" else ("train",)  # what is measured on is not learned from
    own = next((source.parts[one] for one in names if one in source.parts and one != name), None)
    learned = [own, *parts] if own is not None else parts
    return name, pictures, joined(learned, source.classes) if learned else None, notes


def _asked(
    detectors: Sequence[str | Path | Detector | DetectionRun], systems: Sequence[str], train_missing: bool
) -> tuple[list[str | Path | Detector | DetectionRun], list[str]]:
    """Detectors, and systems by name: those that are named, or all."""
    named = [one for one in detectors if isinstance(one, str) and one in SYSTEMS and not Path(one).exists()]
    given = [one for one in detectors if not (isinstance(one, str) and one in named)]
    for one in systems:
        if one not in SYSTEMS:
            raise unknown("system of detection", one, SYSTEMS)
    wanted = list(dict.fromkeys([*named, *systems]))
    return given, wanted or (list(SYSTEMS) if train_missing or not given else [])


def settings_for(system: str, settings: Settings) -> dict[str, Any]:
    """Of settings those of a system: its own ("rcnn.proposals") before those of all."""
    own = {name.removeprefix(f"{system}."): value for name, value in settings.items() if name.startswith(f"{system}.")}
    return {**{name: value for name, value in settings.items() if "." not in name}, **own}


def _require_sense(settings: Settings, wanted: Iterable[str]) -> None:
    """Raise `DetectorError` for settings that make no sense, before hours are spent."""
    for name in settings:
        system, dot, _ = name.partition(".")
        if dot and system not in SYSTEMS:
            raise unknown("system of detection", system, SYSTEMS)
    for system in wanted:
        DetectionConfig.of({**SYSTEMS[system].settings, **settings_for(system, settings)})


def _ordered(entries: Sequence[Entry]) -> list[Entry]:
    """In the order of the lecture, others behind."""
    order = [one.system for one in LECTURE]
    return sorted(entries, key=lambda e: order.index(e.detector.system) if e.detector.system in order else len(order))


def _names(entries: Sequence[Entry]) -> list[str]:
    """A name for each: its system, and where there are several of it, what tells them apart."""
    systems = [entry.called for entry in entries]
    found: list[str] = []
    for entry, system in zip(entries, systems, strict=True):
        name = f"{system} {Path(entry.source).name}".strip() if systems.count(system) > 1 else system
        found.append(name if name not in found else f"{name} ({1 + sum(one.startswith(name) for one in found)})")
    return found


def _of_classes(found: Detections, classes: Sequence[str], shared: Sequence[str]) -> Detections:
    """Those of shared classes, numbered as these are."""
    numbers = np.array([shared.index(name) if name in shared else -1 for name in classes], np.int64)
    labels = numbers[found.labels]
    own = labels >= 0
    return Detections(found.boxes[own], labels[own], found.scores[own])


def _median(found: Sequence[FoundOnPicture]) -> float:
    return float(np.median([one.seconds for one in found])) if found else float("nan")


Samples = Mapping[str, Array]
"""The precision of each class in each draw, by name."""


def _samples(one: ComparedSystem, draws: Array, metric: str) -> Samples:
    return {of.name: precisions(of.matches, draws, metric) for of in one.evaluation.classes}


def _differences(compared: Sequence[ComparedSystem], setting: _Setting, pictures: int) -> tuple[Difference, ...]:
    """Of each pair of systems, the later one over the earlier one."""
    draws = draws_of(pictures, setting.draws, setting.seed)
    sampled = [(one, _samples(one, draws, setting.metric)) for one in compared]
    found = (_difference(*later, *earlier) for earlier, later in combinations(sampled, 2))
    return tuple(one for one in found if one is not None)


def _difference(one: ComparedSystem, mine: Samples, other: ComparedSystem, theirs: Samples) -> Difference | None:
    """By how much one is better than another, over the classes that both know; None where there are none."""
    averages = [{c.name: c.average_precision for c in each.evaluation.classes} for each in (one, other)]
    shared = [name for name in mine if name in theirs]
    told = [[value for name in shared if (value := by[name]) is not None] for by in averages]
    if not told[0]:
        return None
    count = len(mine[shared[0]])
    means = [over_classes([by[name] for name in shared], count) for by in (mine, theirs)]
    difference = float(np.mean(told[0]) - np.mean(told[1]))
    return Difference(one.name, other.name, difference, interval_of(means[0] - means[1]), len(told[0]))
