"""What the segments of a picture add to the scores of a class's windows, everywhere: the best of them, or none, at each place."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pellucid.detect.dpm.scanning import Placed, Windows
from pellucid.detect.segdpm.seen import SegmentWeights, seen
from pellucid.detect.segments.segment_set import SegmentSet
from pellucid.plain import Array


@dataclass(frozen=True)
class Speaking:
    """The segments of a class, all of `found`, and what they count for it; `corner` (x, y) is where on their picture lies what is scanned."""

    found: SegmentSet
    counts: SegmentWeights
    label: int
    corner: Array = field(default_factory=lambda: np.zeros(2))
    _there: dict[tuple[int, int], Array] = field(default_factory=dict[tuple[int, int], Array])

    def __call__(self, placed: Placed, scores: Array) -> Array:
        """What the best segment adds at each place of a level, of which filters give the scores."""
        key = placed.level.number, placed.number // 2
        if key not in self._there:
            rows, columns = np.mgrid[: scores.shape[0], : scores.shape[1]].reshape(2, -1)
            low = (np.stack([columns, rows], 1) - placed.model.padding[::-1]) * placed.level.pixels
            extent = np.array(placed.component.window[::-1]) * placed.level.pixels - 1
            boxes = np.concatenate([low, low + extent], 1)
            self._there[key] = self._best(boxes, np.full(len(boxes), placed.number))[0].reshape(scores.shape)
        return self._there[key]

    def of(self, windows: Windows) -> tuple[Array, Array]:
        """What the best segment says of each window, (N, 6), and which it is, (N,), the last being none."""
        _, which, said = self._best(windows.boxes[:, 0], windows.components)
        return said[np.arange(len(said)), which], which

    def _best(self, boxes: Array, components: Array) -> tuple[Array, Array, Array]:
        corner = np.concatenate([self.corner, self.corner])
        said = seen(self.found, np.arange(len(self.found)), boxes + corner)
        return (*self.counts.best(self.label, said, components), said)
