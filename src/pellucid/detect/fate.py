"""What becomes of the boxes that a detector makes: which are kept, and by which step each other one was dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.detect.boxes import clipped, overlaps, told
from pellucid.detect.detector import MOST, Choice, Detector, Scored
from pellucid.detect.suppression import BEYOND, KEPT, shared_with
from pellucid.plain import Array
from pellucid.text import apart

STAYED, SUPPRESSED, ONE_TOO_MANY = "kept", "suppressed", "beyond the limit"
BELOW, OUTSIDE, LEFT, NEVER = "below the threshold", "outside the picture", "left out", "never proposed"
NEAR = 0.5
"""The intersection over union from which on a proposal, or a box, counts as near to one that is asked for."""


@dataclass(frozen=True)
class SiftedBox:
    """A box that had the threshold's score, made of the region `row`: what became of it (`step`), and the box that suppressed it, if one did, by
    its place in the `choice` of its class, and how much of both (or of this one) they share."""

    choice: Choice
    place: int
    step: str
    by: int | None = None
    overlap: float | None = None

    @property
    def score(self) -> float:
        """How sure the detector is of it."""
        return float(self.choice.scores[self.place])

    @property
    def box(self) -> Array:
        """Where it is, (4,)."""
        return self.choice.boxes[self.place]

    @property
    def row(self) -> int:
        """The region that it was made of."""
        return int(self.choice.rows[self.place])


@dataclass(frozen=True)
class Sifted:
    """Boxes of all classes, the surest first: those `kept` and those `dropped`."""

    kept: tuple[SiftedBox, ...]
    dropped: tuple[SiftedBox, ...]

    @classmethod
    def of(cls, detector: Detector, choices: Sequence[Choice]) -> Sifted:
        """What became of the boxes of each class."""
        every = sorted((one for choice in choices for one in _sifted(detector, choice)), key=lambda one: -one.score)
        kept = tuple(one for one in every if one.step == STAYED)
        return cls(kept, tuple(one for one in every if one.step != STAYED))

    def number(self, label: int, place: int) -> int | None:
        """The number, among those kept, of a box by its place in the choice of its class; None where it is none of them."""
        found = (k for k, one in enumerate(self.kept) if one.place == place and one.choice.label == label)
        return next(found, None)

    def of_row(self, label: int, row: int) -> tuple[int, SiftedBox] | None:
        """The box that a class made of a region, with its number among those kept or dropped; None where there is none."""
        for group in (self.kept, self.dropped):
            for number, one in enumerate(group):
                if one.row == row and one.choice.label == label:
                    return number, one
        return None

    def plain(self, classes: Sequence[str]) -> list[dict[str, Any]]:
        """Those dropped as plain data for JSON."""
        numbers = {(one.choice.label, one.place): k for k, one in enumerate(self.kept)}
        return [
            {
                "class": classes[one.choice.label],
                "score": one.score,
                "box": one.box.tolist(),
                "step": one.step,
                "by": None if one.by is None else numbers.get((one.choice.label, one.by)),
                "overlap": one.overlap,
            }
            for one in self.dropped
        ]


def _sifted(detector: Detector, choice: Choice) -> Iterator[SiftedBox]:
    shared = np.zeros(len(choice.by))
    for rival in set(choice.by[choice.by >= 0].tolist()):
        gone = np.flatnonzero(choice.by == rival)
        shared[gone] = shared_with(choice.boxes[rival], choice.boxes[gone], detector.of_the_other)
    for place, (by, overlap) in enumerate(zip(choice.by.tolist(), shared.tolist(), strict=True)):
        if by in (KEPT, BEYOND):
            yield SiftedBox(choice, place, STAYED if by == KEPT else ONE_TOO_MANY)
        else:
            yield SiftedBox(choice, place, SUPPRESSED, by, overlap)


@dataclass(frozen=True)
class Rival:
    """The box that suppressed another: its score, what they share, and its `number` among those kept, None where it was dropped itself."""

    box: Array
    score: float
    overlap: float
    number: int | None

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"box": self.box.tolist(), "score": self.score, "overlap": self.overlap, "number": self.number}


@dataclass(frozen=True)
class Fate:
    """What became of a box: the `step` that dropped it, in `words` why, its `number` among those kept or dropped, and the `threshold` of its
    class; `by` is what suppressed it, if that is how it went."""

    step: str
    words: str
    threshold: float
    number: int | None = None
    by: Rival | None = None

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        by = None if self.by is None else self.by.plain()
        return {"step": self.step, "words": self.words, "threshold": self.threshold, "number": self.number, "by": by}


def fate_of(detector: Detector, scored: Scored, sifted: Sifted, label: int, row: int, threshold: float | None) -> Fate:
    """What became of the box that a class makes of a region, by the steps of the detector in their order."""
    score, least, tell = float(scored.scores[row, label]), detector.least(label, threshold), detector.scale.told
    if round_ := int(scored.left[row]):
        return Fate(LEFT, f"left out: {detector.why_left(label, threshold, round_)}", least)
    box = scored.boxes[row, label]
    if (box[2:] < box[:2]).any():
        return Fate(OUTSIDE, "outside: nothing is left of it once it is cut at the picture's edges", least)
    if score < least:
        return Fate(BELOW, f"its score, {tell(score, least)}, is below the threshold, {tell(least, score)}", least)
    there = sifted.of_row(label, row)
    assert there is not None  # a row that has the threshold's score is in its class's choice
    number, one = there
    if one.step == STAYED:
        return Fate(STAYED, f"it was kept: box {number} of those found", least, number)
    if one.by is None or one.overlap is None:
        words = f"one too many: {MOST} boxes of its class that nothing suppressed are surer, and no more are kept"
        return Fate(ONE_TOO_MANY, words, least, number)
    rival = Rival(one.choice.boxes[one.by], float(one.choice.scores[one.by]), one.overlap, sifted.number(label, one.by))
    which = "a box that was one too many itself" if rival.number is None else f"box {rival.number}"
    shares = f"which {'covers' if detector.of_the_other else 'overlaps'}"
    much = apart(rival.overlap, detector.overlap, 2)
    how = f"{shares} {much} of it" if detector.of_the_other else f"{shares} it by {much}"
    words = (
        f"suppressed by {which}, {told(rival.box)}, {how}, more than {detector.overlap:g}; "
        f"that has {tell(rival.score, score)}, it has {tell(score, rival.score)}"
    )
    return Fate(SUPPRESSED, words, least, number, rival)


@dataclass(frozen=True)
class Nearest:
    """How a box was found that was asked for by its place, `asked` (4,): its `overlap` with that, and the `proposal` of all that overlaps
    it most, by `proposed`. The `surest` box of the class near to it, its score and what became of it, where one is near."""

    asked: Array
    overlap: float
    proposal: Array
    proposed: float
    surest: Array | None = None
    score: float = 0.0
    fate: Fate | None = None
    beyond: tuple[int, float] | None = None
    """Which proposal behind those that are looked at is nearer than all of these, and its overlap, if one is."""

    @property
    def never(self) -> bool:
        """Whether nothing that the detector looks at, and no box that it makes, is near."""
        return max(self.proposed, self.overlap) < NEAR

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        one = (
            None
            if self.fate is None or self.surest is None
            else {"box": self.surest.tolist(), "score": self.score, **self.fate.plain()}
        )
        return {
            "box": self.asked.tolist(),
            "overlap": self.overlap,
            "proposal": self.proposal.tolist(),
            "proposal_overlap": self.proposed,
            "proposed": not self.never,
            "surest_near": one,
            "beyond": None if self.beyond is None else {"proposal": self.beyond[0], "overlap": self.beyond[1]},
        }

    def lines(self, fate: Fate, tell: Callable[[float], str]) -> list[str]:
        """In words, with what became of the nearest box; `tell` puts a score into words."""
        looked = f"of what is looked at {told(self.proposal)} overlaps that most, by {apart(self.proposed, NEAR, 2)}"
        nearest = f"this is the nearest box of the class, they overlap by {apart(self.overlap, NEAR, 2)}"
        if self.never:
            lines = [
                f"{NEVER}: nothing near {told(self.asked)} is looked at; {looked}",
                f"{nearest}; of it: {fate.words}",
            ]
        else:
            lines = [fate.words, f"asked for {told(self.asked)}: {nearest}", looked]
        if self.beyond is not None:
            number, overlap = self.beyond
            lines.append(
                f"proposal {number} overlaps that by {overlap:.2f}, but only those before it are looked at: ask for more proposals"
            )
        if self.fate is not None and self.surest is not None:
            lines.append(
                f"the surest box of the class that overlaps that by {NEAR:g} or more, {told(self.surest)}, has {tell(self.score)}: "
                f"{self.fate.words}"
            )
        return lines


def nearest(scored: Scored, label: int, at: Array, size: tuple[int, ...]) -> tuple[int, Nearest, int | None]:
    """The region that a class's box nearest to `at` (4,) is made of, on a picture of `size` (H, W); how near that is; and the region of the
    surest box that is near, None where there is none. The class must have looked at a region."""
    rows = np.flatnonzero(scored.scores[:, label] > -np.inf)
    scores, boxes = scored.scores[rows, label], scored.boxes[rows, label]
    of_boxes, of_regions = _shared(boxes, at), _shared(_on_picture(scored.regions[rows], size), at)
    proposals = _on_picture(scored.proposals[rows], size)
    of_proposals = _shared(proposals, at)
    shared = of_boxes if of_boxes.any() else of_regions
    closest = np.lexsort((-scores, -shared))[0]
    if not shared[closest]:
        centers = (scored.regions[rows, :2] + scored.regions[rows, 2:]) / 2
        closest = ((centers - (at[:2] + at[2:]) / 2) ** 2).sum(1).argmin()
    best = int(of_proposals.argmax())
    near = np.flatnonzero(of_boxes >= NEAR)
    surest = int(rows[near[scores[near].argmax()]]) if len(near) else None
    found = Nearest(at, float(of_boxes[closest]), proposals[best], float(of_proposals[best]))
    return int(rows[closest]), found, surest


def nearer(near: Nearest, first: int, others: Array) -> Nearest:
    """The same, with which of other proposals, counted from `first` on, is nearer to what was asked for than all that were looked at."""
    shared = _shared(others, near.asked)
    if not len(shared) or shared.max() <= near.proposed:
        return near
    return replace(near, beyond=(first + int(shared.argmax()), float(shared.max())))


def _shared(boxes: Array, at: Array) -> Array:
    """Intersection over union with a box, 0 for boxes without extent."""
    found, there = np.zeros(len(boxes)), (boxes[:, 2:] >= boxes[:, :2]).all(1)
    found[there] = overlaps(boxes[there], at[None])[:, 0]
    return found


def _on_picture(boxes: Array, size: tuple[int, ...]) -> Array:
    """What of boxes lies on the picture; those outside of it as they are."""
    cut = clipped(boxes, size[1], size[0])
    return np.where((cut[:, 2:] < cut[:, :2]).any(1, keepdims=True), boxes, cut)
