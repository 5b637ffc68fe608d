"""Where a proposal comes from: the region that it is around, the two that were merged to it, and what it was merged into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.detect.config import SELECTIVE_SEARCH
from pellucid.detect.proposals.found import Proposals
from pellucid.detect.proposals.kept import MOST, Search
from pellucid.detect.proposals.selective_search import LONGEST, selective_search
from pellucid.pictures import Tile, Tiles
from pellucid.plain import Array

DIM = 0.25
"""What is left of the picture around a region, in a drawing."""


@dataclass(frozen=True)
class Region:
    """A region of a tree: its number there, its share of the picture, and its pixels, bool (H, W)."""

    number: int
    share: float
    mask: Array


@dataclass(frozen=True)
class ProposalOrigin:
    """Proposal `number` of a picture uint8 (3, H, W), in the tree `way`: its `region`, the two of `parts` that were merged to it with a
    `likeness`, none of a region of the beginning, and what it was merged `into`, None of the last."""

    image: Array
    number: int
    way: str
    measures: int
    region: Region
    parts: tuple[Region, ...]
    likeness: float | None
    into: Region | None

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "number": self.number,
            "way": self.way,
            "region": self.region.number,
            "share": self.region.share,
            "parts": [{"region": one.number, "share": one.share} for one in self.parts],
            "likeness": self.likeness,
            "into": None if self.into is None else {"region": self.into.number, "share": self.into.share},
        }

    @property
    def words(self) -> str:
        """It in a line."""
        made = (
            "an even part of the beginning"
            if self.likeness is None
            else f"merged of two, alike by {self.likeness:.2f} of {self.measures}"
        )
        return f"proposal {self.number} is around {self.region.share:.1%} of the picture, {made} ({self.way})"

    def picture(self) -> Tiles:
        """The region, what it was made of, and what became of it."""
        tiles = [self._tile(self.region, "the region"), *(self._tile(one, "made of") for one in self.parts)]
        if self.into is not None:
            tiles.append(self._tile(self.into, "merged into"))
        return Tiles("Where the proposal comes from: the merges around it", tuple(tiles), columns=4, note=self.words)

    def _tile(self, region: Region, what: str) -> Tile:
        dimmed = np.round(self.image * DIM + 255 * (1 - DIM)).astype(np.uint8)
        return Tile(np.where(region.mask, self.image, dimmed), f"{what}\n{region.share:.1%}")


def origin_of(found: Proposals, number: int) -> ProposalOrigin:
    """Where proposal `number` comes from."""
    which, region = found.sources[number].tolist()
    hierarchy = found.hierarchies[which]
    tree = hierarchy.tree
    rows, columns = (np.arange(n) * m // n for n, m in zip(found.size, hierarchy.labels.shape, strict=True))

    def told(one: int) -> Region:
        mask = np.isin(hierarchy.labels, tree.leaves(one))[rows][:, columns]
        return Region(one, float(tree.sizes[one] / hierarchy.labels.size), mask)

    is_merged = region >= tree.count
    parts = tree.merges[region - tree.count].tolist() if is_merged else []
    likeness = float(tree.likenesses[region - tree.count]) if is_merged else None
    later = np.flatnonzero((tree.merges == region).any(1))
    into = told(tree.count + int(later[0])) if len(later) else None
    measures = sum(hierarchy.way.measures)
    return ProposalOrigin(
        found.image, number, hierarchy.way.said(), measures, told(region), tuple(map(told, parts)), likeness, into
    )


def proposed_by(propose: Callable[[Array], Array], image: Array, box: Array) -> ProposalOrigin | None:
    """Where a box comes from that a detector's `propose` gives of a picture; None where that is no selective search."""
    if not isinstance(propose, Search) or propose.search != SELECTIVE_SEARCH:
        return None
    return searched(image, box, propose.longest)


def searched(image: Array, box: Array, longest: int = LONGEST) -> ProposalOrigin | None:
    """Where a box comes from that selective search proposes on a picture of `longest` pixels; None where it is none of its."""
    found = selective_search(image, MOST, longest=longest)
    same = np.flatnonzero((found.boxes == box).all(1))
    return origin_of(found, int(same[0])) if len(same) else None
