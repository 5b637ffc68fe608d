"""Models of parts whose boxes are scored anew by what else is on the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.detect.detector import Scored
from pellucid.detect.dpm.context import (
    ContextMachine,
    ContextSaid,
    arrays_of,
    best_of,
    context_of,
    machines_of,
)
from pellucid.detect.dpm.detector import MEASURED, DPMDetector
from pellucid.detect.dpm.keeping import models_of
from pellucid.detect.dpm.model import PartsModel
from pellucid.detect.suppression import KEPT, suppress
from pellucid.plain import Array

LOWEST = -1e6
"""Below every margin."""


class RescoredDPMDetector(DPMDetector):
    """Models of parts and a machine of context for each class, whose margins are the scores: beyond 0 it says yes."""

    def __init__(self, models: Sequence[PartsModel], machines: Sequence[ContextMachine]) -> None:
        super().__init__(models)
        self.machines = tuple(machines)

    def required(self, threshold: float | None) -> float:
        """0 unless given."""
        return self.scale.required(threshold)

    def least(self, label: int, threshold: float | None) -> float:
        """The same for all classes."""
        return self.scale.required(threshold)

    def floor(self, label: int, threshold: float | None) -> float:
        """What counts when models are measured, whatever the margin that is asked for."""
        return min(MEASURED, self.models[label].threshold)

    @property
    def counted(self) -> float:
        """Every box counts when it is measured."""
        return LOWEST

    def scored(self, image: Array, threshold: float | None = None) -> Scored:
        """Margins by context of all windows; one that another suppresses by what filters say has less than that other."""
        plain = super().scored(image, threshold)
        rows = [np.flatnonzero(np.isfinite(plain.scores[:, label])) for label in range(len(self.classes))]
        best = best_of([plain.scores[own, label] for label, own in enumerate(rows)])
        scores = np.full(plain.scores.shape, -np.inf)
        for label, own in enumerate(rows):
            boxes, before = plain.boxes[own, label], plain.scores[own, label]
            now = self.machines[label].scores(context_of(boxes, before, best, image.shape[1:]))
            by = suppress(boxes, before, self.overlap, self.of_the_other)
            gone = by != KEPT
            now[gone] = np.minimum(now[gone], np.nextafter(now[by[gone]], -np.inf))
            scores[own, label] = now
        return Scored(plain.regions, scores, plain.boxes)

    def skipped(self, label: int, threshold: float | None, filters: Array, whole: Array) -> Array:
        """All that filters give too little: context is asked of what is looked at alone, whatever its margin would be."""
        return ~self.reached(label, threshold, filters, whole)

    def before(self, image: Array, label: int, row: int, score: float) -> tuple[float, ContextSaid | None]:
        """What filters give a window, and by what it was scored anew, if it was looked at at all."""
        plain = super().scored(image)
        if row >= len(plain.scores):
            return score, None
        best = best_of([each[np.isfinite(each)] for each in plain.scores.T])
        own = float(plain.scores[row, label])
        seen = context_of(plain.boxes[row, label][None], np.array([own]), best, image.shape[1:])
        return own, ContextSaid(own, seen[0], float(self.machines[label].scores(seen)[0]))

    def arrays(self) -> dict[str, Array]:
        """Weights of the models and the machines."""
        return {**super().arrays(), **arrays_of(self.machines)}


def detector_of(arrays: dict[str, Array], settings: dict[str, Any]) -> DPMDetector:
    """Models as a file keeps them, with context where it was learned. Raises `DetectorError`."""
    models = models_of(arrays, settings.get("models"))
    machines = machines_of(arrays, len(models))
    return RescoredDPMDetector(models, machines) if machines else DPMDetector(models)
