"""All methods on one picture: their maps side by side, and how they do by the measures of faithfulness."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pellucid.data.image import ImageInput
from pellucid.explain.attribution.faithfulness import BASELINES, SHARE, Faithfulness, baseline_heats, faithfulness
from pellucid.explain.attribution.method import METHODS, Attribution, attribute, places_of
from pellucid.explain.attribution.sanity import randomization_check
from pellucid.flags import flag
from pellucid.inference.fed import Given
from pellucid.inference.scores import Scores
from pellucid.inference.target import ScoreError, Target, TargetLike
from pellucid.nn import Module
from pellucid.nn.card import carded
from pellucid.nn.required import require_net
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, Grid, Overlay, Page, Picture, Series, Tile, Tiles
from pellucid.progress import long, progress

_CURVES = 4
"""Methods whose curves are drawn."""
_MEASURED = {
    "insertion": "Insertion: the strongest pixels come in first (higher is better)",
    "deletion": "Deletion: the strongest pixels are taken away first (lower is better)",
}
"""What each measure's chart is called."""
SMALL = 480
"""Pixels of the longer side of a photo that many maps are drawn on."""


@dataclass(frozen=True)
class Compared(Answer):
    """One row: a method's map with what was measured of it; a baseline has no map, and what is not measured is None."""

    name: str
    attribution: Attribution | None
    faithfulness: Faithfulness | None = None
    randomized: float | None = None
    """Rank correlation with the map of the same network with random weights: near 0 is good."""
    seconds: float = 0.0

    @property
    def gain(self) -> float:
        """Insertion less deletion, by which methods are ranked."""
        return 0.0 if self.faithfulness is None else self.faithfulness.insertion_area - self.faithfulness.deletion_area

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        attribution = None if self.attribution is None else self.attribution.to_dict()
        measured = None if self.faithfulness is None else self.faithfulness.to_dict()
        return {
            "name": self.name, "attribution": attribution, "faithfulness": measured, "randomized": self.randomized,
            "seconds": self.seconds,
        }  # fmt: skip

    def __str__(self) -> str:
        return f"{self.name}, {self.seconds:.2f} s" if self.faithfulness is None else str(self.faithfulness)

    def picture(self) -> Page:
        """The map, and the curves of what was measured of it."""
        drawn = [answer.picture() for answer in (self.attribution, self.faithfulness) if answer is not None]
        return Page(self.name, tuple(drawn))

    def cells(self) -> list[str]:
        """The row as text."""
        if self.faithfulness is None:
            return [self.name, f"{self.seconds:.2f}"]
        gap = self.faithfulness.completeness_gap
        areas = (self.faithfulness.insertion_area, self.faithfulness.deletion_area, self.gain)
        randomized = "" if self.randomized is None else f"{self.randomized:+z.2f}"
        seconds = "" if self.attribution is None else f"{self.seconds:.2f}"
        return [
            self.name,
            *(f"{area:.3f}" for area in areas),
            "" if gap is None else f"{gap:.1%}",
            randomized,
            seconds,
        ]


@dataclass(frozen=True)
class Comparison(Answer):
    """Methods of attribution for class `target`, or another `place`, the most faithful first.

    `left_out` says which fit this network not, and why.
    """

    target: int | None
    label: str
    rows: tuple[Compared, ...]
    left_out: dict[str, str]
    place: Target = field(default_factory=Target)

    def on(self, image: ImageInput) -> Comparison:
        """The same, to be drawn on the picture file that was read as `image`, as it is."""
        photo = image.original().within(SMALL) if image.original else None
        rows = (
            r
            if r.attribution is None
            else replace(r, attribution=replace(r.attribution, pixels=image.pixels, photo=photo))
            for r in self.rows
        )
        return replace(self, rows=tuple(rows))

    def with_pixels(self, pixels: Array | None) -> Comparison:
        """The same, drawn over the picture as it was before preprocessing, uint8 (C, H, W)."""
        rows = (
            r if r.attribution is None else replace(r, attribution=replace(r.attribution, pixels=pixels))
            for r in self.rows
        )
        return replace(self, rows=tuple(rows))

    def table(self) -> Grid:
        """One line for each method."""
        titles = ["method", "insertion", "deletion", "difference", "gap", "randomized", "seconds"]
        if not any(row.faithfulness for row in self.rows):
            titles = ["method", "seconds"]
        return Grid(titles, [row.cells() for row in self.rows], "l" + "r" * (len(titles) - 1))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        rows = [row.to_dict() for row in self.rows]
        return {
            "target": self.target, "class": self.label, "place": str(self.place), "methods": rows, "left_out": self.left_out,
        }  # fmt: skip

    def __str__(self) -> str:
        missing = [f"{name}: {reason}" for name, reason in self.left_out.items()]
        told = [part for line in missing for part in textwrap.wrap(line, 80, subsequent_indent="  ")]
        return "\n".join([self._title(), str(self.table()), *told])

    def picture(self) -> Page:
        """The table, the curves of the best and of the baselines, every map, and what was chosen for it."""
        parts: list[Picture | str] = [self.table()]
        measured = [row.faithfulness for row in self.rows if row.faithfulness is not None]
        shown = [m for n, m in enumerate(measured) if n < _CURVES or m.name in BASELINES]
        for kind in ("insertion", "deletion") if measured else ():
            curves = tuple(Series(m.name, m.shares.tolist(), getattr(m, kind).tolist()) for m in shown)
            note = (
                f"The best {_CURVES} methods, and the maps that know nothing of the network; Petsiuk et al. 2018, RISE"
            )
            parts.append(Chart(_MEASURED[kind], SHARE, measured[0].measures, curves, note))
        parts += [f"{name} is left out: {reason}" for name, reason in self.left_out.items()]
        maps = [row.attribution for row in self.rows if row.attribution is not None]
        drawn = [m.picture() for m in maps]
        tiles = [
            Tile(np.moveaxis(p.pixels(), -1, 0), m.method)
            for m, p in zip(maps, drawn, strict=True)
            if isinstance(p, Overlay)
        ]
        if tiles:
            told = (
                "Where a map has signs, red speaks for it, blue against it, and what is as it was does neither; else places count "
                "the more the lighter they are. Each map has a scale of its own."
            )
            plain = next(p.image for p in drawn if isinstance(p, Overlay))
            parts.append(Tiles("What each method points at", (Tile(plain, "the picture"), *tiles), 3, told))
        parts += [picture for picture in drawn if not isinstance(picture, Overlay)]
        parts.append(Grid(("method", "layer and note", "paper"), [(m.method, m.told, m.paper) for m in maps], "lll"))
        return Page(self._title(), tuple(parts))

    def _title(self) -> str:
        return f"attribution of {self.label or self.place.words}"


@carded
@long
def compare_methods(
    net: Module,
    image: Given,
    target: TargetLike = None,
    *,
    methods: Sequence[str] = (),
    measure: bool = True,
    of: str = "",
    executor: str = "auto",
    seed: int = 0,
) -> Comparison:
    """The maps of `methods` (all unless given) with their insertion and deletion areas, ranked by the difference.

    With `measure` also two maps that know nothing of the network are ranked, noise and nearness to the center: a method
    that does not beat them tells nothing here. Methods that do not fit the network are left out, with the reason.
    """
    measure = flag("compare_methods", "measure", measure, ScoreError)
    require_net(net)
    rows: list[Compared] = []
    left_out: dict[str, str] = {}
    wanted = methods or tuple(METHODS)
    shared: dict[str, Any] = {"of": of, "executor": executor, "seed": seed}
    scores, picture, place = Scores.aimed("comparison", net, image, target, executor, of)
    with progress("comparing methods") as tell:
        for number, method in enumerate(wanted):
            started = time.perf_counter()
            try:
                found = attribute(net, image, place, method=method, **shared)
                seconds = time.perf_counter() - started
                rows.append(Compared(method, found, seconds=seconds))
                if measure:
                    check = randomization_check(net, image, place, method=method, stages=1, **shared)
                    measured = faithfulness(net, image, found, **shared)
                    rows[-1] = Compared(method, found, measured, check.correlations[-1], seconds)
            except ScoreError as error:
                left_out[method] = str(error)
            tell(number + 1, len(wanted))
        if not rows:
            raise ScoreError(f"no method fits this network: {'; '.join(left_out.values())}")
        if measure:
            heats = baseline_heats(places_of(picture[0], scores.graph(picture.shape).channels), seed)
            rows += [Compared(n, None, faithfulness(net, image, h, place, name=n, **shared)) for n, h in heats.items()]
            rows.sort(key=lambda row: -row.gain)
    return Comparison(place.class_number, place.label, tuple(rows), left_out, place)
