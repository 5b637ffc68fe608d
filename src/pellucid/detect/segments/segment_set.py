"""Segments of a picture: which pixels may be one object, and how much each looks like an object of each class."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pellucid.detect.boxes import one_of, told
from pellucid.pictures import Answer, Overlay, Page, Tile, Tiles
from pellucid.plain import Array
from pellucid.text import amount

SHOWN = 24
"""Segments that are drawn."""
DIM = 0.25
"""How bright the rest of the picture is where a segment is drawn."""


@dataclass(frozen=True)
class SegmentSet(Answer):
    """Segments of the picture `image` uint8 (3, H, W) that a `source` found, the plainest first.

    `masks` bool (N, h, w) lie on the picture as it was searched, whose longer side has 500 pixels at most; `least` is how many of
    these a segment has at least. `potentials` float64 (N, K), -1 to 1, say of each how much it looks like each of `classes`;
    they have no columns where nobody said.
    """

    image: Array
    masks: Array
    source: str
    least: int
    seed: int = 0
    potentials: Array = field(default_factory=lambda: np.zeros((0, 0)))
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.potentials.size:
            object.__setattr__(self, "potentials", np.zeros((len(self.masks), len(self.classes))))

    def __len__(self) -> int:
        return len(self.masks)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.image.shape[1], self.image.shape[2]

    @property
    def boxes(self) -> Array:
        """The box around each segment on the picture, float64 (N, 4)."""
        return off_masks(tight_boxes(self.masks), self.size, self.masks.shape[1:])

    def mask(self, number: int) -> Array:
        """Which pixels of the picture a segment has: bool (H, W). Raises `BoxError` for one that there is not."""
        number = one_of("segments", number, len(self))
        rows, columns = (np.arange(n) * m // n for n, m in zip(self.size, self.masks.shape[1:], strict=True))
        return self.masks[number][rows][:, columns]

    def chosen(self, numbers: list[int]) -> SegmentSet:
        """Some of them, in a given order."""
        return replace(self, masks=self.masks[numbers], potentials=self.potentials[numbers])

    def with_potentials(self, potentials: Array, classes: tuple[str, ...]) -> SegmentSet:
        """The same with what somebody says of them, (N, K)."""
        return replace(self, potentials=potentials, classes=classes)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; boxes are around the segments, areas their shares of the picture."""
        shares = self.masks.mean((1, 2)) if len(self) else np.zeros(0)
        return {
            "height": self.size[0],
            "width": self.size[1],
            "source": self.source,
            "least_pixels": self.least,
            "searched": list(self.masks.shape[1:]),
            "seed": self.seed,
            "segments": [
                {"box": box, "share": share, **({"potentials": said} if self.classes else {})}
                for box, share, said in zip(
                    self.boxes.tolist(),
                    shares.tolist(),
                    self.potentials.tolist() if self.classes else [[]] * len(self),
                    strict=True,
                )
            ],
            **({"classes": list(self.classes)} if self.classes else {}),
        }

    def __str__(self) -> str:
        height, width = self.masks.shape[1:]
        head = (
            f"{amount(len(self), 'segment')} of {self.source} on a picture of {self.size[1]} x {self.size[0]} pixels "
            f"(searched at {width} x {height}, {self.least:,} of these pixels at least)"
        )
        return "\n".join([head, *(f"  {k}  {self.said(k)}" for k in range(min(10, len(self))))])

    def said(self, number: int) -> str:
        """A segment in words."""
        share = f"{self.masks[number].mean():.1%} of the picture"
        if not self.classes:
            return f"{told(self.boxes[number])}  {share}"
        best = int(self.potentials[number].argmax())
        return f"{told(self.boxes[number])}  {share}, {self.classes[best]} by a potential of {self.potentials[number, best]:.2f}"

    def lit(self, number: int) -> Array:
        """The picture as it was searched with all but a segment darkened, uint8 (3, h, w)."""
        rows, columns = (np.arange(m) * n // m for n, m in zip(self.size, self.masks.shape[1:], strict=True))
        seen = self.image[:, rows][:, :, columns]
        return np.where(self.masks[number], seen, seen * DIM).astype(np.uint8)

    def picture(self) -> Page:
        """The first segments, each alone, and by how many each pixel is covered."""
        tiles = tuple(Tile(self.lit(k), f"{k}: {self.masks[k].mean():.1%}") for k in range(min(SHOWN, len(self))))
        words = str(self).splitlines()[0]
        if not tiles:
            return Page("Segments", (Overlay("No segment was found", self.image), words))
        covered = Overlay(
            "How many segments cover each pixel", self.image, self.masks.sum(0).astype(np.float64), quantity="segments"
        )
        return Page("Segments", (Tiles(f"The first {len(tiles)}", tiles, columns=6, note=words), covered))


def tight_boxes(masks: Array) -> Array:
    """The smallest box around each of masks (N, h, w), float64 (N, 4); an empty mask has a box without extent."""
    height, width = masks.shape[1:]
    rows, columns = (masks.max(axis) for axis in (2, 1))
    low = np.stack([columns.argmax(1), rows.argmax(1)], 1)
    high = np.stack([width - 1 - columns[:, ::-1].argmax(1), height - 1 - rows[:, ::-1].argmax(1)], 1)
    found = np.concatenate([low, high], 1).astype(np.float64)
    found[~rows.any(1)] = (0.0, 0.0, -1.0, -1.0)
    return found


def onto_masks(boxes: Array, size: tuple[int, ...], to: tuple[int, ...]) -> Array:
    """Boxes (N, 4) of a picture of `size` (rows, columns) as they lie on masks of the size `to`."""
    across, down = to[1] / size[1], to[0] / size[0]
    scale = np.array([across, down, across, down])
    ends = np.array([0.0, 0.0, 1.0, 1.0])  # the last row and column lie inside a box
    return (boxes + ends) * scale - ends


def off_masks(boxes: Array, size: tuple[int, ...], of: tuple[int, ...]) -> Array:
    """Boxes on masks of the size `of` as they lie on a picture of `size`: the inverse of `onto_masks`."""
    return onto_masks(boxes, of, size)
