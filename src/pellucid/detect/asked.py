"""Which box is asked about, and what explanations of all systems have in common: terms of a score, what was dropped, how boxes are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.detect.boxes import overlaps
from pellucid.detect.config import DetectorError
from pellucid.detect.detector import Detector
from pellucid.pictures import Box, Grid, Overlay
from pellucid.plain import Array
from pellucid.text import amount

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
    """A box that was suppressed: its score, and how much of both together the two share."""

    box: Array
    score: float
    overlap: float

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"box": self.box.tolist(), "score": self.score, "overlap": self.overlap}


@dataclass(frozen=True)
class AskedBox:
    """The box `number` of those found on a picture: its `label`, `score` and `box`, the `region` (the `row`th) that it was made of, the
    `proposal` that this was before it was moved, if it was, and the boxes that it suppressed."""

    name: str
    image: Array
    number: int
    label: int
    row: int
    score: float
    box: Array
    region: Array
    proposal: Array
    dropped: tuple[Dropped, ...]


def ask(detector: Detector, image: Array, number: int, threshold: float | None, name: str) -> AskedBox:
    """The box `number` of those that `detect` gives, the surest being 0. Raises `DetectorError` where there is none."""
    threshold = detector.required(threshold)
    scored = detector.scored(image, threshold)
    every = [
        (float(choice.scores[place]), choice, place)
        for choice in detector.chosen(scored, threshold)
        for place in np.flatnonzero(choice.stays).tolist()
    ]
    every.sort(key=lambda one: -one[0])
    if not 0 <= number < len(every):
        least = "its class's threshold" if threshold is None else f"{threshold:g}"
        surest = f"; the surest has {detector.scale.told(float(scored.scores.max()))}" if scored.scores.size else ""
        raise DetectorError(
            f"{name}: has {amount(len(every), 'box')} with a score of {least} or more, counted from 0; there is no box {number}{surest}"
        )
    score, choice, place = every[number]
    box, row = choice.boxes[place], int(choice.rows[place])
    gone = np.flatnonzero(choice.by == place)
    shared = overlaps(box[None], choice.boxes[gone])[0] if len(gone) else np.zeros(0)
    dropped = tuple(
        Dropped(choice.boxes[k], float(choice.scores[k]), float(o)) for k, o in zip(gone, shared.tolist(), strict=True)
    )
    region, proposal = scored.regions[row], scored.proposals[row]
    return AskedBox(name, image, number, choice.label, row, score, box, region, proposal, dropped)


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
    """Terms as a table."""
    return Grid(["unit", "value", "weight", "product"], rows_of(terms, others, bias, together), "lrrr", title=title)


def adding(title: str, image: Array, pixels: Array) -> Overlay:
    """What each pixel of a picture adds, over it."""
    return Overlay(title, image, pixels, signed=True, note="value times slope, summed over colors")


def drawn_box(box: Array, label: str, weight: float) -> Box:
    """A box over a picture, with words."""
    x1, y1, x2, y2 = box.tolist()
    return Box((int(y1), int(y2) + 1), (int(x1), int(x2) + 1), label, weight)


def part_of(box: Array, shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns of the picture that a box has, at least one of each."""
    x1, y1, x2, y2 = box.tolist()
    top, left = min(max(0, int(y1)), shape[1] - 1), min(max(0, int(x1)), shape[2] - 1)
    return (top, max(top + 1, min(shape[1], int(y2) + 1))), (left, max(left + 1, min(shape[2], int(x2) + 1)))
