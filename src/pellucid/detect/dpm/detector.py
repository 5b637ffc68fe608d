"""Deformable part models ready to be asked: one model for each class, one pyramid for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from pellucid.detect.boxes import clipped
from pellucid.detect.detector import MARGIN, Detector, Scored
from pellucid.detect.dpm.boxes_of_filters import moved
from pellucid.detect.dpm.context import ContextSaid
from pellucid.detect.dpm.keeping import arrays_of, told_of
from pellucid.detect.dpm.model import PartsModel
from pellucid.detect.dpm.nearby import windows_near
from pellucid.detect.dpm.pyramid import Level, pyramid
from pellucid.detect.dpm.said import SegmentSaid
from pellucid.detect.dpm.scanning import Adds, Scanner, Windows
from pellucid.detect.errors import DetectorError
from pellucid.executors import default_threads
from pellucid.plain import Array

MEASURED = -1.1
"""The score from which on windows count when models are measured, or a model's own threshold where that is lower."""


class Counting(float):
    """A threshold by which models are measured: with it each counts from its own score on, not from this one, the lowest."""


class DPMDetector(Detector):
    """Models of parts, one for each class. Scores are margins of support vector machines: 0 parts objects from the rest."""

    system = "dpm"
    scale, overlap, of_the_other = MARGIN, 0.5, True

    def __init__(self, models: Sequence[PartsModel]) -> None:
        if not models:
            raise DetectorError("dpm: wants one model at least, got none")
        self.models = tuple(models)
        self.classes = tuple(model.name for model in models)
        for name in self.classes:
            if self.classes.count(name) > 1:
                raise DetectorError(
                    f"dpm: there are {self.classes.count(name)} models of {name!r}; wants one of a class"
                )
        self.scanners = [Scanner(model) for model in models]

    def required(self, threshold: float | None) -> float | None:
        """None is each model's own."""
        return None if threshold is None else super().required(threshold)

    def least(self, label: int, threshold: float | None) -> float:
        """A model's own threshold unless another is given; where models are measured that or `MEASURED`, the lower, as with the authors."""
        own = self.models[label].threshold
        if threshold is None:
            return own
        return min(MEASURED, own) if isinstance(threshold, Counting) else threshold

    def floor(self, label: int, threshold: float | None) -> float:
        """What filters, with what `adds` says, have to give a window at least for it to be looked at."""
        return self.least(label, threshold)

    def adds(self, image: Array, label: int) -> Adds | None:
        """What counts beside filters before windows are chosen, everywhere on a picture: nothing."""
        return None

    def added(self, image: Array, label: int, windows: Windows) -> Array:
        """What is added to each window's score beside what filters say: nothing."""
        return np.zeros(len(windows))

    def reached(self, label: int, threshold: float | None, filters: Array, whole: Array) -> Array:
        """Which windows are looked at, by what `filters` (N,) give them and what they have as a `whole`, bool (N,)."""
        return filters >= self.floor(label, threshold)

    def skipped(self, label: int, threshold: float | None, filters: Array, whole: Array) -> Array:
        """Which have the threshold's score as a whole and are not looked at."""
        return ~self.reached(label, threshold, filters, whole) & (whole >= self.least(label, threshold))

    def said(self, image: Array, label: int, box: Array, component: int = 0) -> SegmentSaid | None:
        """What it is that is added to the window `box` of a component, if anything."""
        return None

    def before(self, image: Array, label: int, row: int, score: float) -> tuple[float, ContextSaid | None]:
        """What filters, and a segment, gave the window `row`, and by what it was scored anew, if it was."""
        return score, None

    @property
    def counted(self) -> float:
        """The score from which on a box counts when it is measured: of each class its own, of which this is the lowest."""
        return Counting(min(MEASURED, *(model.threshold for model in self.models)))

    def levels(self, image: Array) -> dict[tuple[int, int], dict[int, Level]]:
        """A picture's levels for each size of cells and each number of levels in an octave that models have."""
        return {key: pyramid(image, *key) for key in sorted({(m.cell, m.interval) for m in self.models})}

    def windows(self, image: Array, threshold: float | None = None) -> list[Windows]:
        """For each class windows with a score of `threshold` or more, anywhere on a picture or over its edge."""
        levels, adds = self.levels(image), [self.adds(image, label) for label in range(len(self.models))]

        def on(job: tuple[int, int]) -> list[Windows]:
            label, number = job
            model = self.models[label]
            own = levels[model.cell, model.interval]
            return self.scanners[label].on(own, number, self.floor(label, threshold), adds[label])

        from threadpoolctl import threadpool_limits

        jobs = [(label, number) for label, m in enumerate(self.models) for number in levels[m.cell, m.interval]]
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(default_threads()) as threads:  # levels side by side
            found = list(zip(jobs, threads.map(on, jobs), strict=True))
        return [
            scanner.together([one for (of, _), made in found if of == label for one in made])
            for label, scanner in enumerate(self.scanners)
        ]

    def scored(self, image: Array, threshold: float | None = None) -> Scored:
        """Windows of all classes and where their boxes are: a row has a score of its own class alone, -inf of the others."""
        found = self.windows(image, threshold)
        count, start = sum(map(len, found)), 0
        scores = np.full((count, len(found)), -np.inf)
        boxes = np.zeros((count, len(found), 4))
        for label, windows in enumerate(found):
            rows = slice(start, start + len(windows))
            boxes[rows, label] = self.predicted(label, windows, image.shape[1:])
            seen = (boxes[rows, label, 2:] >= boxes[rows, label, :2]).all(1)
            scores[rows, label] = np.where(seen, windows.scores + self.added(image, label, windows), -np.inf)
            start += len(windows)
        regions = np.concatenate([windows.boxes[:, 0] for windows in found])
        return Scored(regions, scores, boxes)

    def considered(self, image: Array, threshold: float | None, label: int, box: Array) -> Scored:
        """What `scored` gives, and behind it windows of a class near a box (4,) that lie outside the picture or have too little of filters."""
        model, scanner = self.models[label], self.scanners[label]
        windows = windows_near(scanner, pyramid(image, model.cell, model.interval), box, image.shape[1:])
        boxes = self.predicted(label, windows, image.shape[1:])
        whole = windows.scores + self.added(image, label, windows)
        reached = self.reached(label, threshold, windows.scores, whole)
        new = (boxes[:, 2:] < boxes[:, :2]).any(1) | ~reached
        windows, boxes, whole = windows.chosen(new), boxes[new], whole[new]
        scores = np.full((len(windows), len(self.classes)), -np.inf)
        scores[:, label] = whole
        left = self.skipped(label, threshold, windows.scores, whole).astype(np.int64)
        everywhere = np.repeat(boxes[:, None], len(self.classes), 1)
        return self.scored(image, threshold).joined(Scored(windows.boxes[:, 0], scores, everywhere, None, left))

    def why_left(self, label: int, threshold: float | None, round_: int) -> str:
        """Why a window was not looked at."""
        least = f"{self.floor(label, threshold):+.2f}"
        return f"its filters give it less than {least}, and only of windows with more is it asked what else there is to say"

    def predicted(self, label: int, windows: Windows, size: tuple[int, ...]) -> Array:
        """Where the objects of windows are: made of where all filters are, within the picture; one outside has x2 < x1 or y2 < y1."""
        height, width = size
        boxes = clipped(windows.boxes[:, 0], width, height)
        for number, component in enumerate(self.models[label].components):
            own = np.flatnonzero((windows.components == number) & (boxes[:, 2:] >= boxes[:, :2]).all(1))
            if component.predictor is None or not len(own):
                continue
            filters = windows.boxes[own, : len(component.filters)]
            boxes[own] = clipped(moved(boxes[own], filters, component.predictor), width, height)
        return boxes

    def arrays(self) -> dict[str, Array]:
        """Weights of the models."""
        return arrays_of(self.models)

    def settings(self) -> dict[str, Any]:
        """Classes, and what else models are made of."""
        return {"classes": list(self.classes), "models": told_of(self.models)}

    @classmethod
    def made_of(cls, arrays: dict[str, Array], settings: dict[str, Any]) -> DPMDetector:
        """The inverse of `arrays` and `settings`. Raises `DetectorError` where they do not fit."""
        from pellucid.detect.dpm.rescoring import detector_of

        return detector_of(arrays, settings)
