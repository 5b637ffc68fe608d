"""Training of a detector in a folder, which has everything needed to go on after a stop, and what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.data import DataError
from pellucid.data.listing import some
from pellucid.detect.backbones import beginning, settled
from pellucid.detect.config import FITTED, DetectionConfig
from pellucid.detect.detections import Detections
from pellucid.detect.detector import Detector
from pellucid.detect.dpm.training import DPMTraining
from pellucid.detect.errors import DetectorError
from pellucid.detect.evaluation import DetectionEvaluation, evaluate
from pellucid.detect.fast_rcnn.training import FastRCNNTraining
from pellucid.detect.faster_rcnn.training import FasterRCNNTraining
from pellucid.detect.files import read_file, save_detector, write
from pellucid.detect.finding import find_all, overlay
from pellucid.detect.looking import GivenPicture
from pellucid.detect.pictures_with_boxes import BoxData, PicturesWithBoxes, require_pictures
from pellucid.detect.rcnn.training import RCNNStarTraining, RCNNTraining
from pellucid.detect.reading import load
from pellucid.detect.recognizing import DETECTOR
from pellucid.detect.run_folder import (
    EVALUATION,
    LEARNED,
    TRAINING,
    DetectionFolder,
    columns,
    require_config,
    require_data,
    seen_again,
    table,
    told_of,
)
from pellucid.detect.segdeepm.training import SegDeepMTraining
from pellucid.detect.segdpm.training import SegDPMTraining
from pellucid.detect.training import Training
from pellucid.errors import NonFiniteError, unknown
from pellucid.files import write_atomically
from pellucid.flags import flag
from pellucid.pictures import Answer, Chart, Grid, Overlay, Page, Series
from pellucid.plain import to_json
from pellucid.progress import long, progress
from pellucid.text import amount
from pellucid.train.run_folder import CONFIG, METRICS, REPORT, RUNS, made_folder, taken
from pellucid.train.stepper import DivergedError
from pellucid.train.stopping import stop_signals


@dataclass(frozen=True)
class System:
    """How a system is trained, and the settings that it has of its own unless they are given."""

    training: Callable[[PicturesWithBoxes, DetectionConfig], Training]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    looks: bool = True
    """Whether a network looks at pictures, or at regions or segments of them."""


STRONGER: Mapping[str, Any] = {
    "backbone": "efficientnet-lite2",
    "proposals": 500,
    "fine_tune": 400,
    "fine_tune_begin": FITTED,
    "learning_rate": 0.01,
}
"""Settings of systems whose stronger network is fine-tuned."""
SYSTEMS: Mapping[str, System] = {
    "fast-rcnn": System(FastRCNNTraining),
    "faster-rcnn": System(FasterRCNNTraining, {"proposals": 300}),
    "rcnn": System(RCNNTraining, {"crop_size": 128, "proposals": 500, "schedule": "step"}),
    "rcnn-star": System(RCNNStarTraining, STRONGER),
    "segdeepm": System(SegDeepMTraining, {**STRONGER, "rounds": 2}),
    "dpm": System(DPMTraining, looks=False),
    "segdpm": System(SegDPMTraining, {"crop_size": 128}),
}
"""Systems that are trained, by name."""
OF_SOME: Mapping[str, tuple[str, ...]] = {
    "rounds": ("fast-rcnn", "rcnn", "rcnn-star", "segdeepm"),
    "context_rescoring": ("dpm",),
}
"""The systems that alone have a setting which others could be taken to have too."""
FIRST = "fast-rcnn"
"""The system that is trained unless one is named."""
EVERY = 200
"""Steps after which what has been learned is kept."""
DRAWN = 6
"""Pictures of a report."""


@dataclass(frozen=True)
class DetectionRun(Answer):
    """A detector that was trained in `folder`: `metrics` has a row for each round; `evaluation` is on the part held out, if there was one."""

    folder: Path
    detector: Detector
    config: DetectionConfig
    metrics: tuple[dict[str, float], ...]
    status: str
    evaluation: DetectionEvaluation | None = None
    shown: tuple[Overlay, ...] = ()
    """Pictures with what it finds on them."""
    unit: str = "epoch"
    """What a round is called: an epoch, or a stage."""
    notes: tuple[str, ...] = ()
    """What of the data was left out or changed."""

    def detect(self, image: GivenPicture, threshold: float | None = None) -> Detections:
        """Objects on a picture, as `Detector.detect` takes it, the surest first."""
        return self.detector.detect(image, threshold)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "run": str(self.folder),
            "system": self.detector.system,
            "status": self.status,
            "classes": list(self.detector.classes),
            "config": self.config.to_dict(),
            "epochs": list(self.metrics),
            "evaluation": None if self.evaluation is None else self.evaluation.to_dict(),
        }

    def __str__(self) -> str:
        return "\n".join([*self._said(), *([] if self.evaluation is None else [str(self.evaluation)])])

    def _said(self) -> list[str]:
        """What it is, and what is to be said of how it began."""
        head = f"{self.folder}: {self.detector.system}, {self.status}, {amount(len(self.metrics), self.unit)}"
        return [head, *filter(None, [beginning(self.config)]), *self.notes]

    def picture(self) -> Page:
        """Its losses, how it does, and boxes over pictures."""
        names = [name for name in columns(self.metrics) if name.startswith("loss_")]
        series = tuple(
            Series(
                name.replace("_", " "),
                [row[self.unit] for row in self.metrics if name in row],
                [row[name] for row in self.metrics if name in row],
                "line",
            )
            for name in names
        )
        whole = bool(names) and all(name in row for row in self.metrics for name in names)
        curves = (*((Chart("Losses", self.unit, "loss", series),) if series else ()), *(() if whole else self._table()))
        measured = () if self.evaluation is None else (self.evaluation.picture(),)
        return Page(str(self.folder), (*self._said(), *curves, *measured, *self.shown))

    def _table(self) -> tuple[Grid, ...]:
        """What its rounds tell, for a training some of whose rounds have no losses."""
        if not self.metrics:
            return ()
        names = columns(self.metrics)
        rows = [[f"{row[name]:.4g}" if name in row else "" for name in names] for row in self.metrics]
        return (Grid([name.replace("_", " ") for name in names], rows, "r" * len(names), title=f"Its {self.unit}s"),)


@long
def train(
    data: str | Path | BoxData | PicturesWithBoxes,
    *,
    system: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    validation: PicturesWithBoxes | None = None,
    on_bad_box: str = "error",
    **settings: Any,
) -> DetectionRun:
    """Train a detector on pictures with boxes and give the run: its folder, the detector, and how it does.

    `system` is one of `SYSTEMS`, fast-rcnn unless given. `data` is what `pl.detect.load` gives or reads; of its parts `train` (or
    `trainval`, else all pictures) is learned from, and `validation` (else the part val or test, after trainval test alone) measured
    on; the evaluation notes how many of these were learned from. Settings are those of `DetectionConfig`. The folder `out` (default:
    runs/<data>-<system>) gets config.toml, metrics.csv, the detector and report.html; with `resume` training goes on from where it
    was kept last, with the run's own system and settings, to the very same result. Raises `DetectorError`, `DataError`.
    """
    resume = flag("train", "resume", resume, DetectorError)
    if system is not None and system not in SYSTEMS:
        raise unknown("system of detection", system, SYSTEMS)
    learned, measured, notes = _parts(data, validation, on_bad_box)
    place = Path(out) if out is not None else RUNS / f"{name_of(data)}-{system or FIRST}"
    folder, made = DetectionFolder(place), list[Path]()
    if resume:
        system, config = going_on(place, system, settings)
        require_config(place, config)
        require_data(place, learned)
    else:
        system = system or FIRST
        config = config_of(system, settings)
        config = settled(config) if SYSTEMS[system].looks else config
        folder.require_new()
        _, made = made_folder(place, "")
    with taken(folder, resume, made):
        trainer = _Trainer(place, SYSTEMS[system].training(learned, config), system, notes)
        if resume:
            trainer.go_on()
        return trainer.run(measured)


def name_of(data: str | Path | BoxData | PicturesWithBoxes) -> str:
    """What data is called in the names of folders."""
    if isinstance(data, str | Path):
        return Path(data).stem
    return Path((data.whole if isinstance(data, BoxData) else data).name).stem


def has(system: str, setting: str) -> bool:
    """Whether a system has a setting of `OF_SOME`; every other one may be given to any."""
    return setting not in OF_SOME or system in OF_SOME[setting]


def config_of(system: str, settings: Mapping[str, Any]) -> DetectionConfig:
    """What a system is trained by: its own settings unless given. Raises `DetectorError`, also for one that the system does not have."""
    config, usual = DetectionConfig.of({**SYSTEMS[system].settings, **settings}), DetectionConfig()
    for name, systems in OF_SOME.items():
        if not has(system, name) and getattr(config, name) != getattr(usual, name):
            raise DetectorError(f"{system}: has no setting {name}, which is of {', '.join(systems)}; leave it out")
    return config


def going_on(folder: Path, system: str | None, settings: Mapping[str, Any]) -> tuple[str, DetectionConfig]:
    """The system and settings of a run that was stopped. Raises `DetectorError` where others are asked for."""
    if not (folder / TRAINING).is_file():
        raise DetectorError(f"{folder}: has no {TRAINING} to go on from; start without resume")
    told = read_file(folder / TRAINING)[1]
    there = str(told["system"])
    if there not in SYSTEMS:
        raise unknown("system of detection", there, SYSTEMS)
    if system not in (None, there):
        raise DetectorError(f"{folder}: is a run of {there}, which goes on as it began; leave the system out")
    kept = DetectionConfig.of(told["config"])
    require_settings(folder, there, kept, settings)
    return there, kept


def require_settings(folder: Path, system: str, kept: DetectionConfig, settings: Mapping[str, Any]) -> None:
    """Raise `DetectorError` where a run with the settings `kept` is asked for others."""
    idle = {name: getattr(kept, name) for name in OF_SOME if not has(system, name)}
    if (
        settings
        and DetectionConfig.of({"weights": kept.weights, **SYSTEMS[system].settings, **idle, **settings}) != kept
    ):
        raise DetectorError(f"{folder}: a run goes on with its own settings; leave {', '.join(settings)} out")


def _parts(
    data: str | Path | BoxData | PicturesWithBoxes, validation: PicturesWithBoxes | None, on_bad_box: str
) -> tuple[PicturesWithBoxes, PicturesWithBoxes | None, tuple[str, ...]]:
    """The pictures that are learned from, those that are measured on, and what is to be said of them."""
    notes: tuple[str, ...] = ()
    if isinstance(data, str | Path):
        data = load(data, on_bad_box)
    if isinstance(data, BoxData):
        notes = data.notes
        name = next((name for name in ("train", "trainval") if name in data.parts), "")
        free = {"train": ("val", "test"), "trainval": ("test",), "": ()}[name]  # val is of trainval
        validation = validation or next((data.parts[one] for one in free if one in data.parts), None)
        data = data.parts[name] if name else data.whole
    for one in (data, *(() if validation is None else (validation,))):
        require_pictures(one)
    if not sum(data.counts().values()):
        raise DataError(f"{data.name}: has no object to learn from")
    if validation is not None and validation.classes != data.classes:
        raise DataError(
            f"{validation.name}: has the classes {', '.join(validation.classes)}, not {', '.join(data.classes)}"
        )
    for one in (data, validation):
        if one is not None and (gone := [name for name in one.names if name in one.missing]):
            raise DataError(
                f"{one.name}: {some(gone, 'pictures are not there')}; put them back, or take their boxes out"
            )
    return data, validation, notes


class _Trainer:
    """Steps of a training, kept in a folder."""

    def __init__(self, folder: Path, training: Training, system: str, notes: tuple[str, ...] = ()) -> None:
        self.folder, self.training, self.system, self.notes = folder, training, system, notes
        self.data = told_of(training.pictures)
        self.epoch, self.within, self.rows = 0, 0, list[dict[str, float]]()
        self.sums, self.seconds = dict[str, float](), 0.0

    def go_on(self) -> None:
        """Take up what was kept."""
        arrays, told = read_file(self.folder / TRAINING)
        self.training.take(arrays)
        self.epoch, self.within, self.rows = told["epoch"], told["within"], told["rows"]
        self.sums, self.seconds = dict[str, float](told["sums"]), float(told.get("seconds", 0.0))

    def keep(self) -> None:
        """What was learned and the place in one file."""
        place = {"epoch": self.epoch, "within": self.within, "rows": self.rows}
        place |= {"sums": self.sums, "seconds": self.seconds}  # of the round that it stands in
        told = {"system": self.system, "config": self.training.config.to_dict(), "data": self.data, **place}
        write(self.folder / TRAINING, self.training.arrays(), told)

    def run(self, measured: PicturesWithBoxes | None) -> DetectionRun:
        """To the end, or until somebody stops it."""
        config, status = self.training.config, "finished"
        if not (self.folder / TRAINING).is_file():
            self.keep()  # first: a run that is killed before it is a new one, and one that is killed later goes on
        self._put(CONFIG, "".join(f"{name} = {to_json(value)}\n" for name, value in config.to_dict().items()))
        pictures = self.training.pictures
        learned = {
            "data": pictures.name,
            "pictures": pictures.names,
            "objects": self.data["objects"],
            "notes": self.notes,
        }
        self._put(LEARNED, to_json(learned))
        with stop_signals() as stopped:
            while self.epoch < len(self.training.lengths):
                if not self._round(stopped):
                    status = "interrupted"
                    break
        detector = self.training.detector()
        if self.training.ready:
            save_detector(detector, self.folder / DETECTOR)
        if status == "interrupted":
            return self._made(detector, status, None, ())
        evaluation, shown = None, ()
        if measured is not None:
            found = find_all(detector, measured)
            notes = (*detector.notes, *seen_again(pictures.names, measured))
            evaluation = evaluate(found, measured, notes=notes)
            shown = tuple(_shown(detector, measured, k, found[k]) for k in range(min(DRAWN, len(measured))))
        run = self._made(detector, status, evaluation, shown)
        if evaluation is not None:
            self._put(EVALUATION, evaluation.to_json(1))
        self._put(REPORT, run.picture().html())
        return run

    def _made(
        self, detector: Detector, status: str, evaluation: DetectionEvaluation | None, shown: tuple[Overlay, ...]
    ) -> DetectionRun:
        config, rows = self.training.config, tuple(self.rows)
        return DetectionRun(
            self.folder, detector, config, rows, status, evaluation, shown, self.training.unit, self.notes
        )

    def _round(self, stopped: Callable[[], bool]) -> bool:
        """One round from where it stands; False where it was stopped."""
        began, lengths = time.perf_counter() - self.seconds, self.training.lengths
        before, count = sum(lengths[: self.epoch]), 0
        with progress(self.training.title(self.epoch)) as told:
            for place, seen in enumerate(self.training.steps(self.epoch)):
                count = place + 1
                if place < self.within:
                    continue
                number = before + place
                self._step(seen, number)
                self.within = count
                self.seconds = time.perf_counter() - began
                told(number + 1, sum(lengths))
                if stopped():
                    self.keep()
                    return False
                if number % EVERY == EVERY - 1:
                    self.keep()
        means = {name: value / max(1, count) for name, value in self.sums.items()}
        self.rows.append({self.training.unit: self.epoch + 1, **means, "seconds": time.perf_counter() - began})
        self.epoch, self.within, self.sums, self.seconds = self.epoch + 1, 0, {}, 0.0
        self.keep()
        self._put(METRICS, table(self.rows))
        return True

    def _step(self, seen: Any, number: int) -> None:
        try:
            measured = self.training.step(seen, self.epoch, number)
        except NonFiniteError as error:
            raise DivergedError(
                f"training diverged in {self.training.unit} {self.epoch + 1}: {error}; try a lower learning rate"
            ) from error
        for name, value in measured.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def _put(self, name: str, text: str) -> None:
        write_atomically(self.folder / name, text.encode())


def _shown(detector: Detector, pictures: PicturesWithBoxes, number: int, found: Detections) -> Overlay:
    threshold = detector.required(None)
    least = [detector.least(label, threshold) for label in found.labels.tolist()]
    sure = found.scores >= least
    kept = Detections(found.boxes[sure], found.labels[sure], found.scores[sure])
    return overlay(pictures.names[number], pictures.read(number), kept, detector.classes, detector.scale)
