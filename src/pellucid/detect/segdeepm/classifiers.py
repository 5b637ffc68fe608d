"""Linear classifiers that choose a segment for each region: the one by which the class's score is largest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.detect.rcnn.classifiers import EASY, Mine, separating
from pellucid.detect.segdeepm.seen import OWNED, Seen
from pellucid.detect.segments.deepm_features import GRID
from pellucid.plain import Array


@dataclass
class LatentMachines:
    """Classifiers of K classes: `weights` float64 (K, D + F) of a region's D numbers (of it and of what is around it, each times its
    of `scales`, (2,)) and of the F that a segment says; `biases` (K,). Untaught ones say -1, background, always."""

    weights: Array
    biases: Array
    scales: Array

    @classmethod
    def untaught(cls, classes: int, numbers: int) -> LatentMachines:
        """Those that nothing has been learned of."""
        return cls(np.zeros((classes, numbers + GRID + classes)), np.full(classes, -1.0), np.ones(2))

    @property
    def said(self) -> int:
        """How many numbers a segment says of a region."""
        return GRID + len(self.biases)

    def together(self, vectors: Array, around: Array) -> Array:
        """What the network says of regions and of what is around them, scaled: float64 (R, D)."""
        scales = self.scales.tolist()
        return np.concatenate([v.astype(np.float64) * s for v, s in zip((vectors, around), scales, strict=True)], 1)

    def scores(self, regions: Array, seen: Seen) -> tuple[Array, Array]:
        """Scores of regions (R, D) for each class, float64 (R, K), and the segment that each is largest by, int64 (R, K)."""
        by = self.by_segment(seen)
        of_regions = regions @ self.weights[:, : -self.said].T + self.biases
        return of_regions + by.max(1), by.argmax(1)

    def by_segment(self, seen: Seen) -> Array:
        """What each segment adds to each class's score of each region, float64 (R, S + 1, K): minus infinity where it is not the class's."""
        return np.where(seen.allowed, seen.features @ self.weights[:, -self.said :].T, -np.inf)

    def example(self, label: int, regions: Array, seen: Seen, rows: Array) -> Array:
        """Some regions as a class learns from them: their D numbers and what each of `OWNED` candidates says, float16 (N, D + OWNED F)."""
        each = seen.features[rows][:, seen.candidates(label)].reshape(len(rows), OWNED * self.said)
        return np.concatenate([regions[rows], each], 1).astype(np.float16)

    def chosen(self, label: int, examples: Array) -> Array:
        """Which candidate each example's score is largest by, (N,)."""
        return (self._candidates(examples) @ self.weights[label, -self.said :]).argmax(1)

    def nearest(self, examples: Array) -> Array:
        """Which candidate's box overlaps each example's region most, (N,)."""
        return self._candidates(examples)[:, :, GRID - 1].argmax(1)

    def with_chosen(self, examples: Array, chosen: Array) -> Array:
        """Examples with what the chosen candidate says alone: float64 (N, D + F)."""
        own = self._candidates(examples)[np.arange(len(examples)), chosen]
        return np.concatenate([examples[:, : -OWNED * self.said].astype(np.float64), own], 1)

    def fit(self, label: int, mine: Mine, positives: Array, seed: int) -> None:
        """Learn a class anew, objects with the candidates `positives` (P,), background with those by which its score is largest so far, and
        forget what is easy."""
        choose = self.chosen if mine.fitted else lambda _, examples: self.nearest(examples)
        wrong = self.with_chosen(mine.negatives, choose(label, mine.negatives))
        examples = np.concatenate([self.with_chosen(mine.positives, positives), wrong])
        wanted = np.arange(len(examples)) < len(mine.positives)
        self.weights[label], self.biases[label] = separating(examples, wanted, seed)
        mine.fitted, mine.added = True, 0
        again = self.with_chosen(mine.negatives, self.chosen(label, mine.negatives))
        mine.forget(again @ self.weights[label] + self.biases[label] < EASY)

    def _candidates(self, examples: Array) -> Array:
        """What the candidates of examples say, float64 (N, OWNED, F)."""
        return examples[:, -OWNED * self.said :].astype(np.float64).reshape(len(examples), OWNED, self.said)
