"""Why a box of segDeepM is here and of its class: what the region, what is around it, and the chosen segment add to its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.detect.asked import (
    AskedBox,
    Dropped,
    Fallen,
    ScoreTerm,
    adding,
    drawn_box,
    dropped_lines,
    fallen_lines,
    fallen_pictures,
    part_of,
    suppressed_pictures,
    table_of,
    terms_of,
)
from pellucid.detect.boxes import told
from pellucid.detect.proposals.origin import ProposalOrigin, proposed_by
from pellucid.detect.rcnn.explaining import Look, look_at
from pellucid.detect.segdeepm.detector import SegDeepMDetector
from pellucid.detect.segdeepm.seen import Seen
from pellucid.detect.segments.deepm_features import CELLS, WEIGHT, names_of
from pellucid.detect.segments.segment_set import SegmentSet
from pellucid.pictures import Answer, Grid, Overlay, Page, Tile, Tiles
from pellucid.plain import Array
from pellucid.text import amount, text_table

NONE = "no segment"


@dataclass(frozen=True)
class Candidate:
    """A segment that counts, by its `number`, or none (`number` None): the class that it is for, whether the box's class may `choose` it, and
    the `score` that the box would have by it."""

    number: int | None
    owner: str
    choose: bool
    score: float

    @property
    def name(self) -> str:
        """Which it is, in words."""
        return NONE if self.number is None else f"segment {self.number}"

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"candidate": self.name, "for": self.owner, "may_be_chosen": self.choose, "score": self.score}


@dataclass(frozen=True)
class Sum:
    """What a part of the score is made of: its largest terms, and all others together."""

    terms: tuple[ScoreTerm, ...]
    others: float = 0.0

    @property
    def total(self) -> float:
        """All of it."""
        return sum(term.product for term in self.terms) + self.others

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"sum": self.total, "terms": [t.plain() for t in self.terms], "others": self.others}


@dataclass(frozen=True)
class SegmentExplanation(Answer):
    """A box that segDeepM found on `image`, uint8 (3, H, W), and where its numbers come from.

    `region` is what it was made of, moved by `offsets`: the `proposal`, or where the round before moved that. `appearance`, `context`,
    `segment` and `bias` add up to the `score`, the margin of its class among `margins` (K,). `segments` are those of the picture that
    count, of `source`; `chosen` is the number of the candidate by which the score is largest among those that the class may choose.
    `seen` and `around` are what the network saw of the region and of what is around it, and what each pixel of that adds.
    """

    name: str
    image: Array
    classes: tuple[str, ...]
    number: int | None
    label: int
    score: float
    box: Array
    region: Array
    proposal: Array
    offsets: Array
    margins: Array
    appearance: Sum
    context: Sum
    segment: Sum
    bias: float
    segments: SegmentSet
    candidates: tuple[Candidate, ...]
    chosen: int
    seen: Look
    around: Look
    dropped: tuple[Dropped, ...]
    origin: ProposalOrigin | None = None
    looks_around: str = ""
    """Which network looked at what is around the region, in words."""
    fallen: Fallen | None = None
    """Why it is not among the boxes found, where that was asked."""

    @property
    def source(self) -> str:
        """What found the segments."""
        return self.segments.source

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "picture": self.name,
            "number": self.number,
            "class": self.classes[self.label],
            "score": self.score,
            "box": self.box.tolist(),
            "region": self.region.tolist(),
            "proposal": self.proposal.tolist(),
            "offsets": self.offsets.tolist(),
            "margins": dict(zip(self.classes, self.margins.tolist(), strict=True)),
            "appearance": self.appearance.plain(),
            "context": self.context.plain(),
            "context_network": self.looks_around,
            "segment": self.segment.plain(),
            "bias": self.bias,
            "segments": self.segments.to_dict(),
            "candidates": [c.plain() for c in self.candidates],
            "chosen": self.chosen,
            "dropped": [d.plain() for d in self.dropped],
            "origin": None if self.origin is None else self.origin.plain(),
            **({} if self.fallen is None else {"fallen": self.fallen.plain()}),
        }

    def __str__(self) -> str:
        order = np.argsort(-self.margins, kind="stable")[:5].tolist()
        return "\n".join(
            [
                f"{self.name}: {self.classes[self.label]} {self.score:+.2f}, {told(self.box)}",
                *fallen_lines(self.fallen),
                f"why here: of the proposal {told(self.proposal)}{self._way()}, moved by "
                f"{', '.join(f'{v:.3g}' for v in self.offsets)} (center by width and height, logarithms of both)",
                "why this class: " + ", ".join(f"{self.classes[k]} {self.margins[k]:+.2f}" for k in order),
                text_table(["part", "adds"], self._parts(), "lr"),
                self._around_words(),
                f"of {amount(len(self.segments), 'segment')} of {self.source} that count, "
                f"{self.candidates[self.chosen].name} was chosen; by each the box would have",
                text_table(["candidate", "for", "score", ""], self._choices(), "llrl"),
                *dropped_lines(self.dropped, self.fallen, "+.2f", "that overlap it by more than 0.3"),
            ]
        )

    def _way(self) -> str:
        """Where the proposal was moved to before the region was scored, if it was."""
        return "" if np.array_equal(self.region, self.proposal) else f", moved to {told(self.region)} and scored there"

    def _around_words(self) -> str:
        return f"what is around it is looked at by {self.looks_around}"

    def _sums(self) -> dict[str, float]:
        return {
            "the region itself": self.appearance.total,
            "what is around it": self.context.total,
            self.candidates[self.chosen].name: self.segment.total,
            "bias": self.bias,
            "together": self.score,
        }

    def _parts(self) -> list[list[str]]:
        return [[name, f"{value:+.4g}"] for name, value in self._sums().items()]

    def _choices(self) -> list[list[str]]:
        words = {True: "may be chosen", False: "not for this class"}
        rows = [[c.name, c.owner, f"{c.score:+.4g}", words[c.choose]] for c in self.candidates]
        rows[self.chosen][3] = "chosen"
        return rows

    def picture(self) -> Page:
        """The box, what the network saw, the segments, the cells of the chosen one, all terms, and what was dropped."""
        kind = self.classes[self.label]
        own = drawn_box(self.box, f"{kind} {self.score:+.2f}", 1.0, self.score)
        moved = Overlay(
            "The box, and the proposal that it was made of",
            self.image,
            boxes=(own, drawn_box(self.proposal, "proposal", 0.4)),
        )
        full = [[None, value] for value in self._sums().values()]
        return Page(
            str(self).splitlines()[0],
            (
                *fallen_pictures(self.fallen, self.image, self.box, self.score),
                moved,
                *(() if self.origin is None else (self.origin.picture(),)),
                Grid(["part", "adds"], self._parts(), "lr", title=f"What the score of {kind} is made of", values=full),
                self._around_words(),
                *self._segments(),
                *_seen("The proposal", self.seen, self.image),
                *_seen("What is around it", self.around, self.image),
                *self._terms(),
                *suppressed_pictures(self.image, own, self.dropped, self.fallen, "+.2f"),
            ),
        )

    def _segments(self) -> tuple[Tiles | Grid | Overlay, ...]:
        """The segments that count, what each would make of the score, and what each cell of the chosen one adds."""
        choices = Grid(
            ["candidate", "for", "score", ""],
            self._choices(),
            "llrl",
            title=f"Segments of {self.source}, and the score by each",
            values=[[None, None, c.score, None] for c in self.candidates],
        )
        tiles = tuple(
            Tile(self.segments.lit(c.number), f"{c.name}: {c.owner} {self.segments.potentials[c.number].max():.2f}")
            for c in self.candidates
            if c.number is not None
        )
        drawn = (Tiles("The segments that count, and their potentials", tiles, columns=3),) if tiles else ()
        rows, columns = part_of(self.region, self.image.shape)
        adds = np.array([term.product for term in self.segment.terms])
        cells = CELLS * CELLS
        grids = tuple(
            Overlay(
                title,
                self.image,
                adds[first : first + cells].reshape(CELLS, CELLS),
                signed=True,
                rows=rows,
                columns=columns,
                note="3 x 3 cells of the proposal",
            )
            for title, first in (
                ("What the segment in each cell adds", 0),
                ("What else is in each cell adds", cells + 1),
            )
        )
        return (*drawn, choices, *grids)

    def _terms(self) -> tuple[Grid, ...]:
        """All terms, part by part."""
        titles = {"The region itself": self.appearance, "What is around it": self.context}
        names = ["unit", "value", "weight", "product"]
        sums = tuple(table_of(title, part.terms, part.others, 0.0, part.total) for title, part in titles.items())
        rows = [[t.name, f"{t.value:.4g}", f"{t.weight:.4g}", f"{t.product:.4g}"] for t in self.segment.terms]
        return (
            *sums,
            Grid(
                names,
                rows,
                "lrrr",
                title=f"What the chosen candidate says, times {WEIGHT:g}: {self.candidates[self.chosen].name}",
            ),
        )


def _seen(what: str, look: Look, image: Array) -> tuple[Overlay, Overlay]:
    """What the network saw, and what each pixel of it adds, there and on the picture."""
    within = adding(f"{what} as the network saw it", look.crop, look.crop_pixels)
    return within, adding("What each of these pixels adds, on the picture", image, look.pixels)


def explain(detector: SegDeepMDetector, asked: AskedBox) -> SegmentExplanation:
    """Where the numbers of a box come from."""
    image, label, latent = asked.image, asked.label, detector.latent
    there = detector.seen(image, asked.region[None])
    half = (latent.weights.shape[1] - latent.said) // 2
    own, around, of_segment = np.split(latent.weights[label], [half, 2 * half])
    scales = latent.scales.tolist()
    looks = [
        look_at(network, image, asked.region, weights * scale)
        for network, weights, scale in zip((detector.backbone, detector.around), (own, around), scales, strict=True)
    ]
    appearance, context = (
        Sum(*terms_of(look.vector * scale, weights))
        for look, weights, scale in zip(looks, (own, around), scales, strict=True)
    )
    margins, which = latent.scores(latent.together(looks[0].vector[None], looks[1].vector[None]), there)
    chosen, bias = int(which[0, label]), float(latent.biases[label])
    named = zip(names_of(detector.classes), there.features[0, chosen].tolist(), of_segment.tolist(), strict=True)
    without = appearance.total + context.total + bias
    return SegmentExplanation(
        asked.name, image, detector.classes, asked.number, label, asked.score, asked.box, asked.region, asked.proposal,
        detector.offsets(looks[0].maps[None])[0, label], margins[0], appearance, context,
        Sum(tuple(ScoreTerm(*one) for one in named)), bias, there.segments,
        _candidates(there, label, detector.classes, without + there.features[0] @ of_segment), chosen, looks[0], looks[1],
        asked.dropped, proposed_by(detector.propose, image, asked.proposal), detector.who_looks_around,
        asked.fallen,
    )  # fmt: skip


def _candidates(there: Seen, label: int, classes: tuple[str, ...], scores: Array) -> tuple[Candidate, ...]:
    """What may be chosen, with the score by each, (S + 1,)."""
    owners = [classes[k] for k in there.owners.tolist()]
    return tuple(
        Candidate(number if owner else None, owner, bool(may), score)
        for number, (owner, may, score) in enumerate(
            zip([*owners, ""], there.allowed[:, label].tolist(), scores.tolist(), strict=True)
        )
    )
