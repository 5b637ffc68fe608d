"""The table of a comparison: systems beside each other, how surely one is better than another, and the lecture's figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pellucid.detect.comparison.entries import Entry
from pellucid.detect.evaluation import ClassPrecision, DetectionEvaluation
from pellucid.detect.history import ABOUT, SYSTEMS, DetectionSystem
from pellucid.pictures import Answer, Chart, Grid, Page, Series
from pellucid.text import WIDEST, amount, wrapped

NOT_COMPARABLE = (
    "The lecture's figures are of PASCAL VOC 2010's test pictures, whose labels are not public: nobody can measure them again without the "
    "organizers' server. The numbers here are of other pictures, and of systems that learned from others: they are not "
    "comparable with the lecture's; only their order among themselves can be."
)
INTERVALS = (
    "An interval is where a number lies in 95 of 100 draws of as many pictures from these, with putting back (bootstrap). A difference is taken "
    "within each draw, so that what makes the pictures of a draw hard counts on both sides; one is shown where its interval leaves out 0."
)
SECONDS = (
    "Seconds are the median over the pictures, without what proposals and segments take, on this machine. Training is all its sessions, without what "
    "was kept from earlier ones: proposals, segments and descriptions of regions that others computed are read, which makes it shorter."
)
WIDE = 120
"""Columns of text that a table takes at most: of eight systems a class stays on the line of its numbers."""


@dataclass(frozen=True)
class ComparedSystem:
    """A system of the table: `name`, `entry` (where it is from, how it was trained), how it does, and its median `seconds` on a picture."""

    name: str
    entry: Entry
    evaluation: DetectionEvaluation
    seconds: float
    without: str = ""
    """The part that was left out of it, where it is one of an ablation."""
    says: str = ""
    """What is other than in the system of the comparison, where it is one of an ablation."""

    @property
    def system(self) -> str:
        """Its system."""
        return self.entry.detector.system

    @property
    def lecture(self) -> DetectionSystem | None:
        """The lecture's row of its system, where it has one."""
        return next((one for one in SYSTEMS if one.system == self.system), None)

    @property
    def by_class(self) -> dict[str, ClassPrecision]:
        """How it does on each class that it knows."""
        return {one.name: one for one in self.evaluation.classes}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        entry, lecture = self.entry, self.lecture
        return {
            "name": self.name,
            "system": self.system,
            "source": entry.source,
            "mean_average_precision": self.evaluation.mean,
            "interval": list(self.evaluation.interval),
            "average_precision": {name: one.average_precision for name, one in self.by_class.items()},
            "mistakes": self.mistakes,
            "seconds": self.seconds,
            "training_seconds": entry.training_seconds,
            "trained": entry.words,
            "by_its_authors": entry.by_its_authors,
            "learned": None
            if entry.learned is None
            else {
                "data": entry.learned.data,
                "pictures": len(entry.learned.pictures),
                "objects": entry.learned.objects,
            },
            "backbone": entry.backbone or None,
            "segments": entry.segments or None,
            "lecture": None if lecture is None else lecture.precision,
            **({"without": self.without} if self.without else {}),
            **({"differs": self.says} if self.says else {}),
        }

    @property
    def how(self) -> str:
        """How it was trained, and what is other than in the system of the comparison."""
        return "; ".join(filter(None, [self.says, self.entry.words]))

    @property
    def mistakes(self) -> dict[str, int]:
        """Its surest mistakes by kind, over all classes."""
        found: dict[str, int] = {}
        for one in self.evaluation.classes:
            for kind, count in one.kinds.items():
                found[kind] = found.get(kind, 0) + count
        return found


@dataclass(frozen=True)
class Difference:
    """By how much `better` has a higher mean than `than`, over the `classes` that both know, and the interval of that."""

    better: str
    than: str
    difference: float
    interval: tuple[float, float]
    classes: int

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves out 0."""
        low, high = self.interval
        return low > 0 or high < 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "better": self.better,
            "than": self.than,
            "difference": self.difference,
            "interval": list(self.interval),
            "classes": self.classes,
            "shown": self.is_shown,
        }

    @property
    def words(self) -> str:
        """What it says."""
        if not self.is_shown:
            return "these pictures cannot tell"
        return "shown" if self.interval[0] > 0 else "the other way"

    def row(self) -> list[str]:
        """It as a row of a table."""
        return [f"{self.better} over {self.than}", points(self.difference), _between(self.interval, points), self.words]


@dataclass(frozen=True)
class DetectionComparison(Answer):
    """Systems measured on the same `pictures` of a `part` of `data`, in the lecture's order; `left_out` says which were not, and why.

    `ablations` are systems without one of their parts, `ablated` how much each part is worth.
    """

    data: str
    part: str
    pictures: int
    classes: tuple[str, ...]
    metric: str
    overlap: float
    draws: int
    seed: int
    systems: tuple[ComparedSystem, ...]
    differences: tuple[Difference, ...]
    ablations: tuple[ComparedSystem, ...] = ()
    ablated: tuple[Difference, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    objects: Mapping[str, int] = field(default_factory=dict[str, int])
    """Objects of each class that are to be found, whether a system knows it or not."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "data": self.data,
            "part": self.part,
            "pictures": self.pictures,
            "classes": list(self.classes),
            "metric": self.metric,
            "overlap": self.overlap,
            "draws": self.draws,
            "seed": self.seed,
            "systems": [one.to_dict() for one in self.systems],
            "differences": [one.to_dict() for one in self.differences],
            "ablations": [one.to_dict() for one in self.ablations],
            "ablated": [one.to_dict() for one in self.ablated],
            "lecture": [{"name": s.name, "date": s.date, "precision": s.precision} for s in SYSTEMS],
            "about": [ABOUT, NOT_COMPARABLE, INTERVALS, SECONDS],
            "left_out": [{"system": name, "why": why} for name, why in self.left_out],
            "notes": list(self.notes),
        }

    @property
    def words(self) -> str:
        """What was measured, in a line."""
        return (
            f"{amount(len(self.systems), 'system')} on {amount(self.pictures, 'picture')} of {self.data} ({self.part}), "
            f"{self.metric} at overlap {self.overlap:g}, intervals of {amount(self.draws, 'draw')}"
        )

    def table(self) -> Grid:
        """The systems, a row for each, beside the lecture's figures; those of the lecture that were not measured have theirs alone."""
        rows = [_row(one) for one in self.systems]
        there = {one.system for one in self.systems}
        rows += [[f"({s.name})", "", "", "", "", f"{s.precision:.1f}"] for s in SYSTEMS if s.system not in there]
        return Grid(["system", "mAP", "95 of 100", "s a picture", "training", "lecture's"], rows, "lrrrrr")

    def by_class(self) -> Grid:
        """Average precision of each class, the best on a colored ground."""
        rows: list[list[str]] = []
        shades: list[list[float]] = []
        for name in self.classes:
            each = [one.by_class.get(name) for one in self.systems]
            found = [None if one is None else one.average_precision for one in each]
            best = max((value for value in found if value is not None), default=math.nan)
            rows.append(
                [name, str(self.objects.get(name, 0)), *("" if value is None else percent(value) for value in found)]
            )
            shades.append([0.0, 0.0, *(0.3 if value == best and best > 0 else 0.0 for value in found)])
        rows.append(["mean", "", *(percent(one.evaluation.mean) for one in self.systems)])
        shades.append([0.0] * len(rows[-1]))
        titles = ["class", "objects", *(one.name for one in self.systems)]
        return Grid(titles, rows, "l" + "r" * (len(titles) - 1), shades, "Average precision of each class")

    def how(self) -> Grid:
        """How each was trained."""
        rows = [[one.name, one.how, one.entry.source] for one in self._all()]
        return Grid(["system", "how it was trained", "from"], rows, "lll", title="Where they are from")

    def _all(self) -> list[ComparedSystem]:
        """The systems, and those of the ablation that are none of them."""
        there = {one.entry.source for one in self.systems}
        return [*self.systems, *(one for one in self.ablations if one.entry.source not in there)]

    def ordered(self) -> Grid:
        """How much better one is than another."""
        return _differences(self.differences, "How surely one is better than another")

    def _mistakes(self) -> Grid:
        kinds = list(dict.fromkeys(kind for one in self.systems for kind in one.mistakes))
        rows = [[one.name, *(str(one.mistakes.get(kind, 0)) for kind in kinds)] for one in self.systems]
        title = "Mistakes among as many of the surest boxes as there are objects"
        return Grid(["system", *kinds], rows, "l" + "r" * len(kinds), title=title)

    def _of_parts(self) -> tuple[Grid, ...]:
        """Systems without one of their parts, and what each part is worth."""
        if not self.ablations:
            return ()
        titles = ["system", "without", "mAP", "95 of 100", "s a picture", "training"]
        rows = [[one.system, one.without or "-", *_row(one)[1:5]] for one in self.ablations]
        return (
            Grid(titles, rows, "llrrrr", title="Each part on and off"),
            _differences(self.ablated, "What a part is worth"),
        )

    def _remarks(self) -> list[str]:
        return [*self.notes, *(f"Left out: {name}: {why}" for name, why in self.left_out)]

    def __str__(self) -> str:
        grids = [self.table(), self.by_class(), *([self.ordered()] if self.differences else []), *self._of_parts()]
        how = [f"{one.name}: {one.how}" for one in self._all()]
        named = [f"{grid.title}:\n{grid.text(WIDE)}" if grid.title else str(grid) for grid in grids]
        said = ["\n".join([*how, *self._remarks()]), NOT_COMPARABLE, INTERVALS, SECONDS]
        return "\n\n".join([self.words, *named, *(wrapped(text, WIDEST) for text in said)])

    def chart(self) -> Chart:
        """Measured and told numbers side by side, with the intervals of those that were measured."""
        at = [float(k) for k in range(1, 1 + len(self.systems))]
        means = [one.evaluation.mean for one in self.systems]
        ends = [(*one.evaluation.interval, math.nan) for one in self.systems]
        told = [
            (k, one.lecture.precision / 100) for k, one in zip(at, self.systems, strict=True) if one.lecture is not None
        ]
        series = (
            Series("measured here", at, means, "bars"),
            Series("95 of 100 draws", [k for k in at for _ in range(3)], [v for three in ends for v in three], "line"),
            Series("the lecture's, on other pictures", [k for k, _ in told], [v for _, v in told], "points"),
        )
        note = ", ".join(f"{k:g} {one.name}" for k, one in zip(at, self.systems, strict=True))
        return Chart("Mean average precision", "system", "mAP", series, note, percent=True)

    def picture(self) -> Page:
        """Chart and tables, with the words that belong to them."""
        ordered = (self.ordered(), INTERVALS) if self.differences else (INTERVALS,)
        parts = (
            f"{self.words}.", NOT_COMPARABLE, self.chart(), self.table(), SECONDS, *self._remarks(), *ordered, self.by_class(),
            self._mistakes(), *self._of_parts(), self.how(),
        )  # fmt: skip
        return Page("Systems that find objects, on the same pictures", parts)


def _row(one: ComparedSystem) -> list[str]:
    taken = one.entry.training_seconds
    return [
        one.name,
        percent(one.evaluation.mean),
        _between(one.evaluation.interval, percent),
        f"{one.seconds:.3g}",
        "-" if taken is None else lasting(taken),
        "-" if one.lecture is None else f"{one.lecture.precision:.1f}",
    ]


def _differences(differences: Sequence[Difference], title: str) -> Grid:
    return Grid(["difference", "mAP", "95 of 100", ""], [one.row() for one in differences], "lrrl", title=title)


def _between(interval: tuple[float, float], said: Any) -> str:
    low, high = interval
    return f"{said(low)} to {said(high)}"


def percent(share: float) -> str:
    """`0.3344` -> `33.4`; a number that is none as `-`."""
    return f"{100 * share:.1f}" if math.isfinite(share) else "-"


def points(share: float) -> str:
    """`0.0344` -> `+3.4`"""
    return f"{100 * share:+.1f}" if math.isfinite(share) else "-"


def lasting(seconds: float) -> str:
    """`42` -> `42 s`, `4200` -> `1 h 10 min`."""
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
