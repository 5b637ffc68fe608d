"""Comparing detectors: those that are given, and those that are trained because they are missing, on the same pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pellucid.detect.comparison.ablation import SYSTEM as ABLATED
from pellucid.detect.comparison.ablation import ablation, variants
from pellucid.detect.comparison.differing import differences_of
from pellucid.detect.comparison.entries import Entry
from pellucid.detect.comparison.table import DetectionComparison
from pellucid.detect.comparison.working import Measuring, Settings, Work, settings_for
from pellucid.detect.detector import Detector
from pellucid.detect.errors import DetectorError
from pellucid.detect.evaluation import RESAMPLED, require_measure
from pellucid.detect.history import SYSTEMS as LECTURE
from pellucid.detect.pictures_with_boxes import BoxData, PicturesWithBoxes, joined
from pellucid.detect.reading import load
from pellucid.detect.run import OF_SOME, SYSTEMS, DetectionRun, config_of, name_of
from pellucid.errors import unknown
from pellucid.flags import flag
from pellucid.progress import long
from pellucid.train.run_folder import RUNS

Data = str | Path | BoxData | PicturesWithBoxes


@long
def compare(
    detectors: Sequence[str | Path | Detector | DetectionRun] = (),
    *,
    data: Data,
    systems: Sequence[str] = (),
    train_missing: bool = False,
    more: Sequence[Data] = (),
    ablate: Sequence[str] = (),
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
    it was. Of `ablate`, parts of R-CNN (proposals, crop, fine-tuning, box-regression), each is left out once.
    Intervals come of so many `draws` of the pictures by `seed`. Raises `DetectorError`, `DataError`.
    """
    train_missing = flag("compare", "train_missing", train_missing, DetectorError)
    name, pictures, learned, notes = _parts(data, more, part, on_bad_box)
    where = Path(folder) if folder is not None else RUNS / f"{name_of(data)}-compare"
    if where.exists() and not where.is_dir():
        raise DetectorError(f"{where}: is a file; a comparison needs a folder")
    work = Work(pictures, learned, where, settings or {}, notes=notes)
    setting = Measuring(name, metric, overlap, draws, seed)
    given, wanted = _asked(detectors, systems, train_missing)
    require_measure(metric, overlap, draws)
    _require_sense(work.settings, [*wanted, *([ABLATED] if ablate else [])])
    if settings and not wanted and not ablate:
        raise DetectorError(
            f"settings ({', '.join(settings)}) are of systems that are trained here, and none is; leave them out"
        )
    variants(work, ablate)  # raises before hours are spent
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
    ablations, ablated = ablation(work, ablate, setting, train_missing)
    return DetectionComparison(
        name_of(data), name, len(pictures), pictures.classes, metric, overlap, draws, seed, compared,
        differences_of(compared, setting, len(pictures)), ablations, ablated, tuple(dict.fromkeys(work.left_out)),
        tuple(dict.fromkeys(work.notes)), pictures.counts(),
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


def _require_sense(settings: Settings, wanted: Sequence[str]) -> None:
    """Raise `DetectorError` for settings that make no sense, before hours are spent."""
    for name in settings:
        system, dot, _ = name.partition(".")
        if dot and system not in SYSTEMS:
            raise unknown("system of detection", system, SYSTEMS)
    for system in wanted:
        config_of(system, settings_for(system, settings))
    for name, systems in OF_SOME.items():
        if name in settings and wanted and not {*wanted} & {*systems}:
            raise DetectorError(f"{name}: is a setting of {', '.join(systems)}, and none is trained here; leave it out")


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
