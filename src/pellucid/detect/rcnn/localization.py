"""Iterative localization: regions are scored and moved, and those moved are cut out, scored and moved again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    *_, last = every_round(detector, image, regions, rounds, keep)
    return last


def every_round(
    detector: ScoresRegions, image: Array, regions: Array, rounds: int = 2, keep: int = MOST
) -> Iterator[Scored]:
    """What a detector thinks in each round, the last as `localized` gives it."""
    scored = detector.scored_at(image, regions)
    yield scored
    for _ in range(1, rounds):
        scored = _again(detector, image, scored, keep)
        yield scored


def with_left(rounds: Sequence[Scored], label: int, keep: int = MOST) -> Scored:
    """The last of rounds, and behind it those regions of earlier ones that a class did not take on, as others were surer."""
    whole = rounds[-1]
    for number, scored in enumerate(rounds[:-1], 1):
        rows = np.argsort(-scored.scores[:, label], kind="stable")[keep:]
        whole = whole.joined(scored.of_class(label, rows[scored.scores[rows, label] > -np.inf], number))
    return whole


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
