"""Training of a detector in a folder, which has everything needed to go on after a stop, and what comes of it."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data import DataError
from pellucid.detect.config import DetectionConfig, DetectorError
from pellucid.detect.detections import Detections
from pellucid.detect.detector import SHOWN, Detector
from pellucid.detect.evaluation import DetectionEvaluation, evaluate
from pellucid.detect.fast_rcnn.training import FastRCNNTraining
from pellucid.detect.files import DETECTOR, read_file, save_detector, write
from pellucid.detect.finding import find_all, overlay
from pellucid.detect.pictures_with_boxes import BoxData, PicturesWithBoxes
from pellucid.detect.reading import load
from pellucid.errors import NonFiniteError, unknown
from pellucid.files import write_atomically
from pellucid.pictures import Answer, Chart, Overlay, Page, Series
from pellucid.plain import Array, to_json
from pellucid.progress import long, progress
from pellucid.text import amount
from pellucid.train.claim import claimed
from pellucid.train.run_folder import CONFIG, METRICS, REPORT, RunFolder
from pellucid.train.stepper import DivergedError
from pellucid.train.stopping import stop_signals

TRAINING = "training.safetensors"
"""Weights, the optimizer's state and where training stands."""
EVALUATION = "evaluation.json"
SYSTEMS: Mapping[str, Callable[[PicturesWithBoxes, DetectionConfig], FastRCNNTraining]] = {
    "fast-rcnn": FastRCNNTraining
}
"""Systems that are trained, by name."""
EVERY = 200
"""Steps after which what has been learned is kept."""
DRAWN = 6
"""Pictures of a report."""


@dataclass(frozen=True)
class DetectionRun(Answer):
    """A detector that was trained in `folder`: `metrics` has a row for each epoch; `evaluation` is on the part held out, if there was one."""

    folder: Path
    detector: Detector
    config: DetectionConfig
    metrics: tuple[dict[str, float], ...]
    status: str
    evaluation: DetectionEvaluation | None = None
    shown: tuple[Overlay, ...] = ()
    """Pictures with what it finds on them."""

    def detect(self, image: Array, threshold: float = 0.5) -> Detections:
        """Objects on a picture uint8 (3, H, W), the surest first."""
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
        head = f"{self.folder}: {self.detector.system}, {self.status}, {amount(len(self.metrics), 'epoch')}"
        return head if self.evaluation is None else f"{head}\n{self.evaluation}"

    def picture(self) -> Page:
        """Its losses, how it does, and boxes over pictures."""
        steps = [row["epoch"] for row in self.metrics]
        series = tuple(
            Series(name.replace("_", " "), steps, [row[name] for row in self.metrics], "line")
            for name in FastRCNNTraining.columns
        )
        curves = (Chart("Losses", "epoch", "loss", series),) if self.metrics else ()
        measured = () if self.evaluation is None else (self.evaluation.picture(),)
        return Page(str(self.folder), (str(self).splitlines()[0], *curves, *measured, *self.shown))


@long
def train(
    data: str | Path | BoxData | PicturesWithBoxes,
    *,
    system: str = "fast-rcnn",
    out: str | Path | None = None,
    resume: bool = False,
    validation: PicturesWithBoxes | None = None,
    on_bad_box: str = "error",
    **settings: Any,
) -> DetectionRun:
    """Train a detector on pictures with boxes and give the run: its folder, the detector, and how it does.

    `data` is what `pl.detect.load` gives or reads; of its parts `train` (or `trainval`, else all pictures) is learned from, and
    `validation` (else the part val or test) measured on. Settings are those of `DetectionConfig`. The folder `out` (default:
    runs/<data>-<system>) gets config.toml, metrics.csv, the detector and report.html; with `resume` training goes on from
    where it was kept last, with the run's own settings, to the very same result. Raises `DetectorError`, `DataError`.
    """
    if system not in SYSTEMS:
        raise unknown("system of detection", system, SYSTEMS)
    learned, measured = _parts(data, validation, on_bad_box)
    folder = Path(out) if out is not None else Path("runs") / f"{Path(learned.name).stem}-{system}"
    config = DetectionConfig.of(settings)
    if resume:
        if not (folder / TRAINING).is_file():
            raise DetectorError(f"{folder}: has no {TRAINING} to go on from; start without resume")
        kept = DetectionConfig.of(read_file(folder / TRAINING)[1]["config"])
        if settings and config != kept:
            raise DetectorError(f"{folder}: a run goes on with its own settings; leave {', '.join(settings)} out")
        config = kept
    else:
        RunFolder(folder).require_new()
        folder.mkdir(parents=True, exist_ok=True)
    with claimed(folder):
        trainer = _Trainer(folder, SYSTEMS[system](learned, config), system)
        if resume:
            trainer.go_on()
        return trainer.run(measured)


def _parts(
    data: str | Path | BoxData | PicturesWithBoxes, validation: PicturesWithBoxes | None, on_bad_box: str
) -> tuple[PicturesWithBoxes, PicturesWithBoxes | None]:
    """The pictures that are learned from, and those that are measured on."""
    if isinstance(data, str | Path):
        data = load(data, on_bad_box)
    if isinstance(data, BoxData):
        names = [name for name in ("train", "trainval") if name in data.parts]
        held_out = next((data.parts[name] for name in ("val", "test") if name in data.parts), None)
        if names == ["trainval"] and "test" not in data.parts:
            held_out = None
        learned = data.parts[names[0]] if names else data.whole
        validation = validation or (held_out if names else None)
        data = learned
    if not sum(data.counts().values()):
        raise DataError(f"{data.name}: has no object to learn from")
    if validation is not None and validation.classes != data.classes:
        raise DataError(
            f"{validation.name}: has the classes {', '.join(validation.classes)}, not {', '.join(data.classes)}"
        )
    return data, validation


class _Trainer:
    """Steps of a training, kept in a folder."""

    def __init__(self, folder: Path, training: FastRCNNTraining, system: str) -> None:
        self.folder, self.training, self.system = folder, training, system
        self.epoch, self.within, self.rows = 0, 0, list[dict[str, float]]()
        self.sums = np.zeros(len(training.columns))

    def go_on(self) -> None:
        """Take up what was kept."""
        arrays, told = read_file(self.folder / TRAINING)
        names = {p.name: p for p in self.training.state()}
        self.training.net.load_state_dict({n: a for n, a in arrays.items() if n not in names})
        for name, parameter in names.items():
            parameter.value = arrays[name]
        self.epoch, self.within, self.rows = told["epoch"], told["within"], told["rows"]
        self.sums = np.array(told["sums"])

    def keep(self) -> None:
        """Weights, state and place in one file."""
        arrays = {**self.training.net.state_dict(), **{p.name: p.value for p in self.training.state()}}
        place = {"epoch": self.epoch, "within": self.within, "rows": self.rows, "sums": self.sums.tolist()}
        write(
            self.folder / TRAINING, arrays, {"system": self.system, "config": self.training.config.to_dict(), **place}
        )

    def run(self, measured: PicturesWithBoxes | None) -> DetectionRun:
        """To the end, or until somebody stops it."""
        config, status = self.training.config, "finished"
        self._put(CONFIG, "".join(f"{name} = {to_json(value)}\n" for name, value in config.to_dict().items()))
        if not (self.folder / TRAINING).is_file():
            self.keep()
        with stop_signals() as stopped, progress("training") as told:
            while self.epoch < config.epochs:
                if not self._epoch(stopped, told):
                    status = "interrupted"
                    break
        detector = self.training.detector()
        save_detector(detector, self.folder / DETECTOR)
        if status == "interrupted":
            return self._made(detector, status, None, ())
        evaluation, shown = None, ()
        if measured is not None:
            found = find_all(detector, measured)
            evaluation = evaluate(found, measured)
            shown = tuple(_shown(detector, measured, k, found[k]) for k in range(min(DRAWN, len(measured))))
        run = self._made(detector, status, evaluation, shown)
        if evaluation is not None:
            self._put(EVALUATION, evaluation.to_json(1))
        self._put(REPORT, run.picture().html())
        return run

    def _made(
        self, detector: Detector, status: str, evaluation: DetectionEvaluation | None, shown: tuple[Overlay, ...]
    ) -> DetectionRun:
        return DetectionRun(self.folder, detector, self.training.config, tuple(self.rows), status, evaluation, shown)

    def _epoch(self, stopped: Callable[[], bool], told: Callable[[int, int], None]) -> bool:
        """One epoch from where it stands; False where it was stopped."""
        began, steps, config = time.perf_counter(), self.training.steps, self.training.config
        count = 0
        for place, seen in enumerate(self.training.epoch(self.epoch)):
            count = place + 1
            if place < self.within:
                continue
            number = self.epoch * steps + place
            try:
                losses = self.training.step(seen, self.epoch, number)
            except NonFiniteError as error:
                raise DivergedError(
                    f"training diverged in epoch {self.epoch + 1}: {error}; try a lower learning rate"
                ) from error
            self.sums += [losses.classes, losses.boxes]
            self.within = count
            told(number + 1, steps * config.epochs)
            if stopped():
                self.keep()
                return False
            if number % EVERY == EVERY - 1:
                self.keep()
        means = dict(zip(self.training.columns, (self.sums / max(1, count)).tolist(), strict=True))
        self.rows.append({"epoch": self.epoch + 1, **means, "seconds": time.perf_counter() - began})
        self.epoch, self.within, self.sums = self.epoch + 1, 0, np.zeros(len(self.training.columns))
        self.keep()
        self._put(METRICS, _table(self.rows))
        return True

    def _put(self, name: str, text: str) -> None:
        write_atomically(self.folder / name, text.encode())


def _table(rows: list[dict[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _shown(detector: Detector, pictures: PicturesWithBoxes, number: int, found: Detections) -> Overlay:
    sure = found.scores >= SHOWN
    kept = Detections(found.boxes[sure], found.labels[sure], found.scores[sure])
    return overlay(pictures.names[number], pictures.read(number), kept, detector.classes)
