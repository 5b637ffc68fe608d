"""Proposals that were found on a picture: boxes, and the regions that they are around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pellucid.detect.boxes import one_of, told
from pellucid.detect.proposals.merging import Measures, Tree
from pellucid.pictures import Answer, Box, Overlay, Page, Tile, Tiles
from pellucid.plain import Array
from pellucid.text import amount

SHOWN = 10
"""Proposals that are drawn and said."""
LEVELS = (300, 100, 30, 10)
"""How many regions are left in the drawings of a tree."""


class MergeWay(NamedTuple):
    """One way of merging: the colors, the scale of the segmentation, and what counts as alike."""

    colors: str
    scale: int
    measures: Measures

    def said(self) -> str:
        """The way in words."""
        alike = " + ".join(name for name, counts in self.measures._asdict().items() if counts)
        return f"{self.colors}, scale {self.scale}, {alike}"


@dataclass(frozen=True)
class Hierarchy:
    """A segmentation `labels` int32 (h, w) of the searched picture, and the tree of its merges."""

    way: MergeWay
    labels: Array
    tree: Tree

    def regions(self, count: int) -> Array:
        """Labels (h, w) when `count` regions are left, or as many as there are: each the number of its region in the tree."""
        names = np.arange(self.tree.count + len(self.tree.merges))
        for k in range(len(self.tree.merges) - max(0, count - 1), 0, -1):
            names[self.tree.merges[k - 1]] = names[self.tree.count + k - 1]
        return names[self.labels]


@dataclass(frozen=True)
class Proposals(Answer):
    """Boxes float64 (N, 4) on the picture `image` uint8 (3, H, W), the likeliest first, and where each is from.

    `sources` int64 (N, 2): the hierarchy and the region in it.
    """

    image: Array
    boxes: Array
    sources: Array
    hierarchies: tuple[Hierarchy, ...]
    seed: int = 0

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.image.shape[1], self.image.shape[2]

    def mask(self, number: int) -> Array:
        """Which pixels of the picture the region of a proposal has: bool (H, W). Raises `BoxError` for one that there is not."""
        number = one_of("proposals", number, len(self))
        which, region = self.sources[number].tolist()
        hierarchy = self.hierarchies[which]
        inside = np.isin(hierarchy.labels, hierarchy.tree.leaves(region))
        rows, columns = (np.arange(n) * m // n for n, m in zip(self.size, inside.shape, strict=True))
        return inside[rows][:, columns]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "height": self.size[0],
            "width": self.size[1],
            "seed": self.seed,
            "boxes": self.boxes.tolist(),
            "sources": [{"hierarchy": which, "region": region} for which, region in self.sources.tolist()],
            "hierarchies": [
                {
                    "colors": h.way.colors,
                    "scale": h.way.scale,
                    "alike": [name for name, counts in h.way.measures._asdict().items() if counts],
                    "regions": h.tree.count,
                    "merges": [
                        {"of": pair, "likeness": likeness}
                        for pair, likeness in zip(h.tree.merges.tolist(), h.tree.likenesses.tolist(), strict=True)
                    ],
                }
                for h in self.hierarchies
            ],
        }

    def __str__(self) -> str:
        head = f"{amount(len(self), 'proposal')} on a picture of {self.size[1]} x {self.size[0]} pixels, the first:"
        return "\n".join(
            [head, *(f"  {k}  {told(self.boxes[k])}  {self._said(k)}" for k in range(min(SHOWN, len(self))))]
        )

    def _said(self, number: int) -> str:
        which, region = self.sources[number].tolist()
        hierarchy = self.hierarchies[which]
        share = hierarchy.tree.sizes[region] / hierarchy.labels.size
        return f"{hierarchy.way.said()}: {share:.1%} of the picture"

    def picture(self) -> Page:
        """The first proposals over the picture, and how regions were merged."""
        frames = [
            Box((int(y1), int(y2) + 1), (int(x1), int(x2) + 1), str(k))
            for k, (x1, y1, x2, y2) in enumerate(self.boxes[:SHOWN].tolist())
        ]
        words = f"The first {len(frames)} of {amount(len(self), 'proposal')}."
        trees = [self._drawn(h) for h in self.hierarchies]
        return Page(
            "Proposals", (Overlay("Where an object may be", self.image, boxes=tuple(frames), note=words), *trees)
        )

    def _drawn(self, hierarchy: Hierarchy) -> Tiles:
        """The picture in the mean colors of the regions that are left."""
        rows, columns = (np.arange(m) * n // m for n, m in zip(self.size, hierarchy.labels.shape, strict=True))
        small = self.image[:, rows][:, :, columns].reshape(3, -1)
        tiles: list[Tile] = []
        for count in [n for n in LEVELS if n <= hierarchy.tree.count] or [hierarchy.tree.count]:
            labels = hierarchy.regions(count).reshape(-1)
            sizes = np.maximum(np.bincount(labels), 1)
            means = np.stack([np.bincount(labels, plane) / sizes for plane in small])
            image = np.round(means[:, labels]).astype(np.uint8).reshape(3, *hierarchy.labels.shape)
            tiles.append(Tile(image, amount(count, "region")))
        return Tiles(f"Regions merged: {hierarchy.way.said()}", tuple(tiles), columns=4)
