"""Whether a network is as often right as it is sure: confidence against accuracy, bin by bin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.op import Array
from pellucid.pictures import Answer, Chart, Grid, Series
from pellucid.train.config import TrainError

BINS = 15


@dataclass(frozen=True)
class Calibration(Answer):
    """Pictures in bins of equal width by confidence, the probability of the class that they are taken for.

    Bin k of B holds confidences in (k/B, (k+1)/B] (Guo et al. 2017, section 2). Means of empty bins are NaN, and all
    measures are where there is no picture.
    """

    count: Array
    """Pictures in each bin, int64 (B,)."""
    confidence: Array
    """Mean confidence in each bin, float64 (B,)."""
    accuracy: Array
    """Share of pictures in each bin that are recognized, float64 (B,)."""
    brier: float
    """Mean over the pictures of the squared distance between probabilities and the true class's 1 (Brier 1950); 0 to 2."""

    @classmethod
    def of(cls, probabilities: Array, labels: Array, bins: int = BINS) -> Calibration:
        """From class probabilities (N, K), all numbers, and true classes (N,); N may be 0."""
        if not np.isfinite(probabilities).all():
            raise TrainError("calibration is of probabilities that are numbers; leave out the pictures that have none")
        sure, right = probabilities.max(1), probabilities.argmax(1) == labels
        place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], sure)
        count = np.bincount(place, minlength=bins)
        with np.errstate(invalid="ignore"):
            confidence = np.bincount(place, sure, bins) / count
            accuracy = np.bincount(place, right, bins) / count
        of_truth = probabilities[np.arange(len(labels)), labels]
        distance = np.square(probabilities).sum(1) - 2 * of_truth + 1
        return cls(count, confidence, accuracy, float(distance.mean()) if len(labels) else math.nan)

    @property
    def error(self) -> float:
        """Expected calibration error: mean over the pictures of their bin's |accuracy - confidence| (Guo et al. 2017, equation 3)."""
        gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float((self.count * gaps).sum() / self.count.sum()) if self.count.any() else math.nan

    @property
    def largest_error(self) -> float:
        """Maximum calibration error: the largest |accuracy - confidence| of a bin (Guo et al. 2017, equation 5)."""
        return float(np.nanmax(np.abs(self.accuracy - self.confidence))) if self.count.any() else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; means of empty bins are None, as are measures of no picture."""
        edges = np.linspace(0, 1, len(self.count) + 1)
        bins = [
            {
                "above": float(edges[k]),
                "up_to": float(edges[k + 1]),
                "count": int(self.count[k]),
                "confidence": float(self.confidence[k]) if self.count[k] else None,
                "accuracy": float(self.accuracy[k]) if self.count[k] else None,
            }
            for k in range(len(self.count))
        ]
        measures = {"error": self.error, "largest_error": self.largest_error, "brier": self.brier}
        return {**{name: value if self.count.any() else None for name, value in measures.items()}, "bins": bins}

    def grid(self) -> Grid:
        """The bins that hold pictures, as a table."""
        edges = np.linspace(0, 1, len(self.count) + 1)
        rows = [
            [
                f"{edges[k]:.1%} to {edges[k + 1]:.1%}",
                str(self.count[k]),
                f"{self.confidence[k]:.1%}",
                f"{self.accuracy[k]:.1%}",
            ]
            for k in np.flatnonzero(self.count)
        ]
        return Grid(["confidence", "pictures", "mean", "accuracy"], rows, "lrrr")

    def __str__(self) -> str:
        return f"{self.grid()}\n{self._words()}" if self.count.any() else self._words()

    def picture(self) -> Chart:
        """Accuracy by confidence; a network that is as often right as it is sure stands on the dashed line."""
        filled = self.count > 0
        middles = (np.arange(len(self.count)) + 0.5) / len(self.count)
        series = (
            Series("accuracy", middles[filled].tolist(), self.accuracy[filled].tolist(), "bars"),
            Series("as sure as right", (0.0, 1.0), (0.0, 1.0), "dashed"),
            Series("mean confidence", self.confidence[filled].tolist(), self.accuracy[filled].tolist(), "points"),
        )
        note = self._words()
        if filled.any():
            note += f"; bins hold {', '.join(map(str, self.count[filled]))} pictures"
        return Chart("Calibration", "confidence", "accuracy", series, note, percent=True)

    def _words(self) -> str:
        if not self.count.any():
            return "calibration is not known: there is no picture with probabilities"
        return f"expected calibration error {self.error:.2%}, largest {self.largest_error:.2%}, Brier score {self.brier:z.4f}"
