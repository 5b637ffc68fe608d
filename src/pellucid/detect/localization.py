"""Iterative localization: regions are scored and moved, and those moved are scored and moved again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Protocol

import numpy as np

from pellucid.detect.config import DetectionConfig
from pellucid.detect.detector import MOST, Detector, Scored
from pellucid.detect.proposals.kept import Search
from pellucid.plain import Array

Propose = Callable[[Array], Array]
"""What gives regions (R, 4) of a picture uint8 (3, H, W)."""


class ScoresRegions(Protocol):
    """What scores regions (R, 4) of a picture uint8 (3, H, W), whichever they are, and says where each class moves them."""

    def scored_at(self, image: Array, regions: Array) -> Scored:
        """Scores and moved boxes of the regions."""
        ...


class RegionDetector(Detector):
    """Scores regions that something proposes, and moves them, in as many rounds as its settings say."""

    repeats: ClassVar[bool] = True
    """Whether it scores regions again where it moved them, as its setting `rounds` says."""
    taken_on: ClassVar[int] = MOST
    """How many boxes of a class on a picture a round takes on from the one before, the surest."""
    config: DetectionConfig
    propose: Propose

    @abstractmethod
    def scored_at(self, image: Array, regions: Array) -> Scored:
        """Scores of regions (R, 4) of your own, and where each class moves them."""

    def scored(self, image: Array, threshold: float | None = None) -> Scored:
        """Scores of the classes for each proposal, or for where the round before moved it, and where each class moves its box."""
        return localized(self, image, self.propose(image), self.config.rounds, self.taken_on)

    def considered(self, image: Array, threshold: float | None, label: int, box: Array) -> Scored:
        """What `scored` gives, and behind it the regions of earlier rounds that a class did not take on."""
        rounds = [*every_round(self, image, self.propose(image), self.config.rounds, self.taken_on)]
        return with_left(rounds, label, self.taken_on)

    def why_left(self, label: int, threshold: float | None, round_: int) -> str:
        """Why a region was not taken on."""
        others = f"in round {round_} of {self.config.rounds} {self.taken_on} others of its class were surer"
        return f"{others}, which alone were scored again where they were moved"

    def beyond(self, image: Array) -> tuple[int, Array]:
        """What its search finds behind the proposals that are looked at."""
        return self.propose.beyond(image) if isinstance(self.propose, Search) else super().beyond(image)


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
