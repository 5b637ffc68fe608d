"""Which box is asked about, and what explanations of all systems have in common: terms of a score, what was dropped, how boxes are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.detect.boxes import BoxError, as_boxes, told
from pellucid.detect.detector import Detector, Scale, Scored
from pellucid.detect.errors import DetectorError
from pellucid.detect.fate import NEVER, STAYED, Fate, Nearest, Sifted, fate_of, nearer, nearest
from pellucid.errors import suggest
from pellucid.pictures import Box, Grid, Overlay
from pellucid.plain import Array
from pellucid.text import amount
from pellucid.whole_numbers import whole

UNITS = 12
"""Terms that are told one by one; the others are summed up."""


@dataclass(frozen=True)
class ScoreTerm:
    """What a unit adds to the score: what it says times the weight that the class gives it."""

    name: str
    value: float
    weight: float

    @property
    def product(self) -> float:
        """Value times weight."""
        return self.value * self.weight

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"unit": self.name, "value": self.value, "weight": self.weight, "product": self.product}


@dataclass(frozen=True)
class Dropped:
    """A box that was suppressed: its score, how much of both together (for models of parts, of it alone) the two share, and its number
    among all that were dropped, if that is counted."""

    box: Array
    score: float
    overlap: float
    number: int | None = None

    @property
    def named(self) -> str:
        """It in words, by its number and its place."""
        return told(self.box) if self.number is None else f"dropped {self.number}: {told(self.box)}"

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        numbered = {} if self.number is None else {"number": self.number}
        return {"box": self.box.tolist(), "score": self.score, "overlap": self.overlap, **numbered}


@dataclass(frozen=True)
class Fallen:
    """Why a box that was asked for is not among those found: its `fate`, and how it was found, if by its place; scores are told as `scale` does."""

    fate: Fate
    scale: Scale
    nearest: Nearest | None = None

    @property
    def step(self) -> str:
        """The step that dropped it."""
        return NEVER if self.nearest is not None and self.nearest.never else self.fate.step

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        asked = {} if self.nearest is None else {"asked": self.nearest.plain()}
        return {**self.fate.plain(), "step": self.step, "box_step": self.fate.step, **asked}

    def lines(self) -> list[str]:
        """In words."""
        head = "why kept" if self.step == STAYED else "why dropped"
        words = [self.fate.words] if self.nearest is None else self.nearest.lines(self.fate, self.scale.told)
        return [f"{head}: {words[0]}", *words[1:]]

    def picture(self, image: Array, box: Array, score: float) -> Overlay:
        """The box, what suppressed it, and what was asked for, over the picture."""
        own = () if (box[2:] < box[:2]).any() else (drawn_box(box, f"this {self.scale.told(score)}", 0.7, score),)
        by, asked = self.fate.by, self.nearest
        rival = () if by is None else (drawn_box(by.box, f"kept {self.scale.told(by.score)}", 1.0, by.score),)
        wanted = () if asked is None else (drawn_box(asked.asked, "asked for", 0.4),)
        title = "Why this box was kept" if self.step == STAYED else f"Why this box was dropped: {self.step}"
        return Overlay(title, image, boxes=(*rival, *own, *wanted), note="; ".join(self.lines()))


@dataclass(frozen=True)
class AskedBox:
    """The box `number` of those found on a picture, or of those dropped (None where it has no number): its `label`, `score` and `box`, the
    `region` (the `row`th) that it was made of, the `proposal` that this was before it was moved, if it was, the boxes that it suppressed, and
    why it is not among those found, if that was asked."""

    name: str
    image: Array
    number: int | None
    label: int
    row: int
    score: float
    box: Array
    region: Array
    proposal: Array
    dropped: tuple[Dropped, ...]
    fallen: Fallen | None = None


def ask(
    detector: Detector,
    image: Array,
    number: int,
    threshold: float | None,
    name: str,
    dropped: int | None = None,
    at: Sequence[float] | Array | None = None,
    kind: str = "",
) -> AskedBox:
    """The box `number` of those that `detect` gives, the surest being 0; or that of those which it dropped; or the one of the class `kind` that
    is nearest to a place. Raises `DetectorError` where there is none."""
    threshold = detector.required(threshold)
    number = whole(name, "box", number, raises=DetectorError)
    dropped = None if dropped is None else whole(name, "dropped", dropped, raises=DetectorError)
    if (number != 0) + (dropped is not None) + (at is not None) > 1:
        raise DetectorError(
            "a box is asked for by its number, by its number among those dropped, or by its place: by one of these"
        )
    if at is not None:
        return _at(detector, image, threshold, name, at, kind)
    if kind:
        raise DetectorError(f"a class, {kind!r}, is asked for together with a place; which one?")
    scored = detector.scored(image, threshold)
    sifted = Sifted.of(detector, detector.chosen(scored, threshold))
    group, which = (sifted.kept, number) if dropped is None else (sifted.dropped, dropped)
    if not 0 <= which < len(group):
        least = "its class's threshold" if threshold is None else f"{threshold:g}"
        best = float(scored.scores.max(initial=-np.inf))
        surest = f"; the surest has {detector.scale.told(best, threshold)}" if best > -np.inf else ""
        what, counted = ("box", "") if dropped is None else ("dropped box", " that were dropped")
        raise DetectorError(
            f"{name}: has {amount(len(group), 'box')}{counted} with a score of {least} or more, counted from 0; there is no {what} {which}{surest}"
        )
    one = group[which]
    asked = _asked(detector, image, name, scored, sifted, one.choice.label, one.row, which)
    if dropped is None:
        return asked
    return replace(
        asked, fallen=Fallen(fate_of(detector, scored, sifted, asked.label, one.row, threshold), detector.scale)
    )


def _at(
    detector: Detector, image: Array, threshold: float | None, name: str, at: Sequence[float] | Array, kind: str
) -> AskedBox:
    """The box of a class that is nearest to a place, whatever became of it."""
    if kind not in detector.classes:
        known = ", ".join(detector.classes)
        wrong = (
            f"there is no class {kind!r}{suggest(kind, detector.classes)}"
            if kind
            else "a place is asked for with a class"
        )
        raise DetectorError(f"{wrong}; {detector.system} knows {known}")
    try:
        (box,) = as_boxes([[*at]], "the place of a box")
    except (BoxError, TypeError) as error:
        raise DetectorError(f"{error}; wants x1, y1, x2, y2") from error
    label = detector.classes.index(kind)
    scored = detector.considered(image, threshold, label, box)
    if not (scored.scores[:, label] > -np.inf).any():
        raise DetectorError(f"{name}: nothing is looked at on this picture, so that no {kind} could be found")
    sifted = Sifted.of(detector, detector.chosen(scored, threshold))
    row, near, surest = nearest(scored, label, box, image.shape[1:])

    def fate(of: int) -> Fate:
        return fate_of(detector, scored, sifted, label, of, threshold)

    if surest is not None and surest != row:
        there = scored.boxes[surest, label], float(scored.scores[surest, label]), fate(surest)
        near = replace(near, surest=there[0], score=there[1], fate=there[2])
    near = nearer(near, *detector.beyond(image))
    own = fate(row)
    asked = _asked(detector, image, name, scored, sifted, label, row, own.number)
    return replace(asked, fallen=Fallen(own, detector.scale, near))


def _asked(
    detector: Detector,
    image: Array,
    name: str,
    scored: Scored,
    sifted: Sifted,
    label: int,
    row: int,
    number: int | None,
) -> AskedBox:
    """The box that a class makes of a region, with the boxes that it suppressed."""
    there = sifted.of_row(label, row)
    place = None if there is None else there[1].place
    dropped = tuple(
        Dropped(one.box, one.score, one.overlap, k)
        for k, one in enumerate(sifted.dropped)
        if one.by is not None and one.by == place and one.choice.label == label and one.overlap is not None
    )
    score, box = float(scored.scores[row, label]), scored.boxes[row, label]
    return AskedBox(name, image, number, label, row, score, box, scored.regions[row], scored.proposals[row], dropped)


def terms_of(values: Array, weights: Array, what: str = "unit") -> tuple[tuple[ScoreTerm, ...], float]:
    """The largest terms of a sum of values times weights, and the sum of all others."""
    products = values * weights
    order = np.argsort(-np.abs(products), kind="stable")
    terms = tuple(ScoreTerm(f"{what} {k}", float(values[k]), float(weights[k])) for k in order[:UNITS].tolist())
    return terms, float(products[order[UNITS:]].sum())


def rows_of(terms: tuple[ScoreTerm, ...], others: float, bias: float, together: float) -> list[list[str]]:
    """Terms as rows of a table: unit, value, weight, product."""
    rows = [[t.name, f"{t.value:.4g}", f"{t.weight:.4g}", f"{t.product:.4g}"] for t in terms]
    sums = {"all others": others, "bias": bias, "together": together}
    return [*rows, *([name, "", "", f"{value:.4g}"] for name, value in sums.items())]


def table_of(title: str, terms: tuple[ScoreTerm, ...], others: float, bias: float, together: float) -> Grid:
    """Terms as a table, with every number in full."""
    sums = [[None, None, None, one] for one in (others, bias, together)]
    full = [*([None, t.value, t.weight, t.product] for t in terms), *sums]
    rows = rows_of(terms, others, bias, together)
    return Grid(["unit", "value", "weight", "product"], rows, "lrrr", title=title, values=full)


def adding(title: str, image: Array, pixels: Array) -> Overlay:
    """What each pixel of a picture adds, over it."""
    return Overlay(title, image, pixels, signed=True, note="value times slope, summed over colors")


def fallen_lines(fallen: Fallen | None) -> list[str]:
    """Why a box is not among those found, in words, where that was asked."""
    return [] if fallen is None else fallen.lines()


def fallen_pictures(fallen: Fallen | None, image: Array, box: Array, score: float) -> tuple[Overlay, ...]:
    """The same over the picture."""
    return () if fallen is None else (fallen.picture(image, box, score),)


def dropped_lines(dropped: Sequence[Dropped], fallen: Fallen | None, spell: str, which: str) -> list[str]:
    """What went in the place of a box that was kept, in words; `spell` is the format of scores."""
    if fallen is not None and fallen.fate.step != STAYED:
        return []
    return [
        f"in its place went {amount(len(dropped), 'box')} of its class {which}",
        *(f"  {one.named}  {one.score:{spell}}, overlap {one.overlap:.2f}" for one in dropped[:5]),
    ]


def suppressed_pictures(
    image: Array, own: Box, dropped: Sequence[Dropped], fallen: Fallen | None, spell: str, most: int | None = None
) -> tuple[Overlay, ...]:
    """The same over the picture, the first `most` of them; nothing of a box that was dropped itself."""
    if fallen is not None and fallen.fate.step != STAYED:
        return ()
    gone = tuple(drawn_box(one.box, f"{one.score:{spell}}", 0.3, one.score) for one in dropped[:most])
    surest = "" if most is None else ", the surest"
    return (Overlay(f"Suppressed by this box: {len(dropped)}{surest}", image, boxes=(*gone, own)),)


def drawn_box(box: Array, label: str, weight: float, value: float | None = None) -> Box:
    """A box over a picture, with words that may round a `value`; one without extent is a line, or a point."""
    x1, y1, x2, y2 = box.tolist()
    return Box((int(y1), int(max(y1, y2)) + 1), (int(x1), int(max(x1, x2)) + 1), label, weight, value)


def made_of(region: Array, proposal: Array) -> str:
    """What a box was made of, in words: a proposal, or a region that one was moved to before."""
    if np.array_equal(region, proposal):
        return f"proposal {told(region)}"
    return f"region {told(region)}, where the proposal {told(proposal)} was moved before"


def drawn_origin(region: Array, proposal: Array) -> tuple[Box, ...]:
    """The region that a box was made of, where one was moved to it, and the proposal, over a picture."""
    moved = () if np.array_equal(region, proposal) else (drawn_box(region, "", 0.6),)
    return (*moved, drawn_box(proposal, "proposal", 0.4))


def part_of(box: Array, shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns of the picture that a box has, at least one of each."""
    x1, y1, x2, y2 = box.tolist()
    top, left = min(max(0, int(y1)), shape[1] - 1), min(max(0, int(x1)), shape[2] - 1)
    return (top, max(top + 1, min(shape[1], int(y2) + 1))), (left, max(left + 1, min(shape[2], int(x2) + 1)))
