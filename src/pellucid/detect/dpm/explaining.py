"""Why a model of parts found a box: what the root and each part say, where parts went and at what price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.detect.asked import (
    AskedBox,
    Dropped,
    Fallen,
    drawn_box,
    dropped_lines,
    fallen_lines,
    fallen_pictures,
    suppressed_pictures,
)
from pellucid.detect.boxes import told
from pellucid.detect.dpm.context import ContextSaid
from pellucid.detect.dpm.detector import DPMDetector
from pellucid.detect.dpm.glyphs import SIDE, glyphs
from pellucid.detect.dpm.model import REACH, PlacedPart
from pellucid.detect.dpm.nearby import windows_at
from pellucid.detect.dpm.pyramid import Level
from pellucid.detect.dpm.said import SegmentSaid
from pellucid.detect.dpm.scanning import Placed, bounded_transform, padded
from pellucid.pictures import Answer, Box, Grid, Maps, Overlay, Page, Tile, Tiles
from pellucid.plain import Array
from pellucid.text import text_table

HEAD = ("filter", "says", "cost", "bias", "adds", "moved")
SAID = ("segment", "value", "weight", "product")
MOST_DRAWN = 20
"""Boxes that were suppressed, as drawn."""


@dataclass(frozen=True)
class FilterTerm:
    """What the root (the first) or a part adds to the score: `response` (weights times cells) less `cost`, plus `bias`.

    It went to `box` on the picture, `moved` (dx, dy) of its own cells to the right and down from its place. `weights` and `cells`
    (rows, columns, 32); `around` (9, 9) is what it would say less the cost, moved by -4 to 4 cells down and to the right, -inf outside.
    `says` float32 (rows, columns): its response everywhere on its level of the pyramid, with the model's padding around; `best` the
    same of the best within reach of each place, less what going there costs.
    """

    name: str
    response: float
    cost: float
    bias: float
    moved: tuple[int, int]
    box: Array
    weights: Array
    cells: Array
    around: Array
    says: Array
    best: Array

    @property
    def total(self) -> float:
        """All of it."""
        return self.response - self.cost + self.bias


@dataclass(frozen=True)
class PartsExplanation(Answer):
    """A box that a model of parts found on `image`, uint8 (3, H, W), and where its numbers come from.

    `terms` of the filters, and what a `segment` adds (segDPM), add up to `score`. They are those of `component` (from 1), on the `level`
    of the pyramid, where a cell of the root is `pixels` of the picture wide; `window` is the root's, of which, and of the parts', the
    predictor made `box`. `scores` float64 (rows, columns): of this component at all places of the level, -inf where a part would lie
    outside. `cells` float32 (rows, columns, 32) are those of the root's level, without the ones at its edges, and `places` int64
    (1 + P, 2) row and column of each filter among the cells of its own level.
    """

    name: str
    image: Array
    classes: tuple[str, ...]
    number: int | None
    label: int
    score: float
    box: Array
    window: Array
    component: int
    components: int
    level: int
    pixels: float
    terms: tuple[FilterTerm, ...]
    scores: Array
    cells: Array
    places: Array
    dropped: tuple[Dropped, ...]
    segment: SegmentSaid | None = None
    """What a segment adds to the terms (segDPM)."""
    context: ContextSaid | None = None
    """By what the sum of all terms became `score`, where boxes are scored anew by context."""
    fallen: Fallen | None = None
    """Why it is not among the boxes found, where that was asked."""

    @property
    def of_filters(self) -> float:
        """What filters give the window."""
        return sum(t.total for t in self.terms)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "picture": self.name,
            "number": self.number,
            "class": self.classes[self.label],
            "score": self.score,
            "box": self.box.tolist(),
            "window": self.window.tolist(),
            "component": self.component,
            "level": self.level,
            "pixels": self.pixels,
            "terms": [
                {"filter": t.name, "response": t.response, "cost": t.cost, "bias": t.bias, "moved": list(t.moved), "box": t.box.tolist()}
                for t in self.terms
            ],
            "dropped": [d.plain() for d in self.dropped],
            **({} if self.segment is None else {"segment": self.segment.plain()}),
            **({} if self.context is None else {"context": self.context.plain()}),
            **({} if self.fallen is None else {"fallen": self.fallen.plain()}),
        }  # fmt: skip

    def rows(self) -> list[list[str]]:
        """Filters as rows of a table."""
        found = [
            [t.name, f"{t.response:.4f}", f"{t.cost:.4f}", f"{t.bias:.4f}", f"{t.total:.4f}", f"{t.moved[0]:+d}, {t.moved[1]:+d}"]
            for t in self.terms
        ]  # fmt: skip
        found[0][-1] = ""
        return [*found, ["together", "", "", "", f"{self.of_filters:.4f}", ""]]

    def _full(self) -> list[list[float | None]]:
        """The numbers that the rows round."""
        sums = [None, None, None, None, self.of_filters, None]
        return [*([None, t.response, t.cost, t.bias, t.total, None] for t in self.terms), sums]

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.name}: {self.classes[self.label]} {self.score:+.3f}, {told(self.box)}",
                *fallen_lines(self.fallen),
                f"why here: component {self.component} of {self.components} at level {self.level} of the pyramid, "
                f"cells of {self.pixels:.3g} pixels; the root's window is {told(self.window)}",
                text_table([*HEAD], self.rows(), "lrrrrr"),
                *self._beside(),
                *dropped_lines(self.dropped, self.fallen, "+.3f", "that it covers by more than a half"),
            ]
        )

    def picture(self) -> Page:
        """Root and parts over the picture, the terms, filters and their cells, where parts might have gone, scores, and what was dropped."""
        kind = self.classes[self.label]
        root, parts = self.terms[0], self.terms[1:]
        found = Overlay(
            "The box, the root's window, and the parts",
            self.image,
            boxes=(
                drawn_box(self.box, f"{kind} {self.score:+.2f}", 1.0, self.score),
                drawn_box(root.box, "root", 0.5),
                *(drawn_box(t.box, t.name.removeprefix("part "), 0.5) for t in parts),
            ),
        )
        alone = self.segment is None and self.context is None
        what = f"What the score of {kind} is made of" if alone else "What the filters give the window"
        table = Grid([*HEAD], self.rows(), "lrrrrr", title=what, values=self._full())
        whole = Tiles(
            "The root: its filter, and the cells that it lies on",
            (Tile(glyphs(root.weights), f"filter, {root.response:.2f}"), Tile(glyphs(root.cells), "cells")),
            columns=2,
            note="lines along edges, the stronger the lighter; of the filter what speaks for the class",
        )
        anew = [] if self.context is None else [self.context.words(self.score)]
        pages: list[Any] = [found, table, *self._segment(), *anew, self._level(), whole]
        if parts:
            tiles = [
                tile
                for t in parts
                for tile in (Tile(glyphs(t.weights), f"{t.name}, {t.response:.2f}"), Tile(glyphs(t.cells), "cells"))
            ]
            pages.append(Tiles("The parts: their filters, and the cells that they lie on", tuple(tiles), columns=8))
            around = np.stack([np.where(np.isfinite(t.around), t.around, np.nan) for t in parts])
            pages.append(
                Maps(
                    "What each part would say near its place, less what going there costs",
                    around,
                    captions=tuple(f"{k}: {t.moved[0]:+d}, {t.moved[1]:+d}" for k, t in enumerate(parts, 1)),
                    note=f"the place is in the middle, {REACH} cells to each side; how far each part moved",
                )
            )
        pages.append(self._everywhere("What each filter says everywhere on its level", [t.says for t in self.terms]))
        if parts:
            pages.append(
                self._everywhere(
                    "The same where parts may move: of each place the best within reach, less what going there costs",
                    [t.best for t in self.terms],
                )
            )
        scores = np.where(np.isfinite(self.scores), self.scores, np.nan)
        pages.append(Maps(f"Scores of component {self.component} everywhere on level {self.level}", scores))
        own = drawn_box(self.box, f"{kind} {self.score:+.2f}", 1.0, self.score)
        pages += suppressed_pictures(self.image, own, self.dropped, self.fallen, "+.2f", MOST_DRAWN)
        fallen = fallen_pictures(self.fallen, self.image, self.box, self.score)
        return Page(str(self).splitlines()[0], (*fallen, *pages))

    def _level(self) -> Overlay:
        """The level of the pyramid as the root's filter sees it, with where it lies."""
        side = max(4, SIDE // 2)
        drawn = glyphs(self.cells, side)
        (top, left), (rows, columns) = self.places[0] - 1, self.terms[0].weights.shape[:2]
        ends = [
            (min(max(0, low) * side, most - 1), min(max(1, low + size) * side, most))
            for low, size, most in zip((top, left), (rows, columns), drawn.shape[1:], strict=True)
        ]
        box = Box((int(ends[0][0]), int(ends[0][1])), (int(ends[1][0]), int(ends[1][1])), "root", 1.0)
        note = f"a cell is {self.pixels:.3g} pixels of the picture wide; lines along edges, the stronger the lighter"
        return Overlay(f"Level {self.level} of the pyramid as cells", drawn, boxes=(box,), note=note)

    def _everywhere(self, title: str, maps: Sequence[Array]) -> Maps:
        """Maps of all filters, the root's drawn twice as large where there are parts; the smaller ones are filled up."""
        if len(maps) > 1:
            maps = [maps[0].repeat(2, 0).repeat(2, 1), *maps[1:]]
        rows, columns = (max(one.shape[axis] for one in maps) for axis in (0, 1))
        values = np.full((len(maps), rows, columns), np.nan)
        for number, one in enumerate(maps):
            values[number, : one.shape[0], : one.shape[1]] = np.where(np.isfinite(one), one, np.nan)
        note = "a place of the root is drawn as large as two by two of the parts', whose level has twice the resolution"
        note = note if len(maps) > 1 else ""
        return Maps(title, values, scale="each", columns=3, captions=tuple(t.name for t in self.terms), note=note)

    def _beside(self) -> list[str]:
        """What a segment adds, and what context makes of it, in words."""
        segment = [] if self.segment is None else [self.segment.words, text_table([*SAID], self.segment.rows(), "lrrr")]
        return [*segment, *([] if self.context is None else [self.context.words(self.score)])]

    def _segment(self) -> list[Any]:
        """The segment over the picture, and its terms."""
        if self.segment is None:
            return []
        table = Grid([*SAID], self.segment.rows(), "lrrr", title="What the segment adds")
        mask = np.zeros(self.image.shape[1:]) if self.segment.mask is None else self.segment.mask.astype(np.float64)
        drawn = Overlay(
            "The segment", self.image, mask, boxes=(drawn_box(self.window, "root", 0.5),), note=self.segment.words
        )
        return [drawn, table]


def explain(detector: DPMDetector, asked: AskedBox) -> PartsExplanation:
    """Where the numbers of a box come from."""
    scanner, model = detector.scanners[asked.label], detector.models[asked.label]
    levels = detector.levels(asked.image)[model.cell, model.interval]
    before, context = detector.before(asked.image, asked.label, asked.row, asked.score)
    windows = windows_at(scanner, levels, asked.region)
    row = int(np.abs(windows.scores + detector.added(asked.image, asked.label, windows) - before).argmin())
    number, which = int(windows.levels[row]), int(windows.components[row])
    placed, scores = next(each for each in scanner.scored(levels, number) if each[0].number == which)
    component = model.components[which]
    roots = scanner.laid(scanner.roots, [c.root for c in model.components], levels[number])
    terms = tuple(
        _term(placed, roots[which], f, part, windows.places[row, f], windows.places[row, 0], windows.boxes[row, f])
        for f, part in enumerate(component.filters)
    )
    return PartsExplanation(
        asked.name, asked.image, detector.classes, asked.number, asked.label, asked.score, asked.box, asked.region,
        which + 1, len(model.components), number, placed.level.pixels, terms, scores, placed.level.cells,
        windows.places[row, : len(terms)], asked.dropped, detector.said(asked.image, asked.label, asked.region, which),
        context, asked.fallen,
    )  # fmt: skip


def _term(
    placed: Placed, root_says: Array, f: int, part: PlacedPart, place: Array, root: Array, box: Array
) -> FilterTerm:
    """What a filter adds where it went."""
    level = placed.finer if f and placed.finer is not None else placed.level
    cells = _under(level, part, place)
    response = float((cells.astype(np.float64) * part.filter).sum())
    bias = part.added(level.octave)
    if not f:
        return FilterTerm(
            "root", response, 0.0, bias, (0, 0), box, part.filter, cells, np.zeros((1, 1)), root_says, root_says
        )
    home = 2 * root + part.anchor[::-1]
    dy, dx = (home - place).tolist()
    costs = part.costs()
    said = placed.responses[f - 1]
    around = np.full(costs.shape, -np.inf)
    for i, j in np.ndindex(costs.shape):
        y, x = home + placed.model.padding + [REACH - i, REACH - j]
        if 0 <= y < said.shape[0] and 0 <= x < said.shape[1]:
            around[i, j] = said[y, x] - costs[i, j]
    cost = float(costs[dy + REACH, dx + REACH])
    prices = np.zeros(4) if part.deformation is None else part.deformation
    best = bounded_transform(said[None], prices[None])[0]
    return FilterTerm(
        f"part {f}", response, cost, bias, (-dx, -dy), box, part.filter, cells, around[::-1, ::-1], said, best
    )


def _under(level: Level, part: PlacedPart, place: Array) -> Array:
    """The cells that a filter lies on, those outside of the picture too."""
    rows, columns = part.size
    low = int(max(0, -place.min())) + max(part.size) + 1
    around = padded(level.cells, low, low)
    y, x = (place + low - 1).tolist()
    return around[y : y + rows, x : x + columns]
