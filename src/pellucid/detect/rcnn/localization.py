"""Iterative localization: regions are scored and moved, and those moved are cut out, scored and moved again."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from pellucid.detect.detector import MOST, Scored
from pellucid.plain import Array


class ScoresRegions(Protocol):
    """What scores regions (R, 4) of a picture uint8 (3, H, W), whichever they are, and says where each class moves them."""

    def scored_at(self, image: Array, regions: Array) -> Scored:
        """Scores and moved boxes of the regions."""
        ...


def localized(detector: ScoresRegions, image: Array, regions: Array, rounds: int = 2, keep: int = MOST) -> Scored:
    """What a detector thinks of regions (R, 4), after `rounds` of scoring and moving.

    After each round but the last the `keep` surest boxes of a class, where it moved them and before any suppression, are the regions of
    the next, for that class alone: of all others their score is minus infinity. (Zhu et al. 2015, section 3.3)
    """
    scored = detector.scored_at(image, regions)
    for _ in range(1, rounds):
        scored = _again(detector, image, scored, keep)
    return scored


def _again(detector: ScoresRegions, image: Array, scored: Scored, keep: int) -> Scored:
    """The next round."""
    surest = np.argsort(-scored.scores, 0, kind="stable")[:keep]
    labels = np.broadcast_to(np.arange(scored.scores.shape[1]), surest.shape)
    there = scored.scores[surest, labels] > -np.inf
    rows, labels = surest[there], labels[there]
    moved, places = np.unique(scored.boxes[rows, labels], axis=0, return_inverse=True)
    places = places.reshape(-1)
    again = detector.scored_at(image, moved)
    scores = np.full((len(rows), again.scores.shape[1]), -np.inf)
    scores[np.arange(len(rows)), labels] = again.scores[places, labels]
    return Scored(moved[places], scores, again.boxes[places], scored.proposals[rows])
