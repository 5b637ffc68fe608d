"""Proposals of many pictures, kept between runs by what the picture holds."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pellucid.detect.config import GRID, SELECTIVE_SEARCH
from pellucid.detect.keeping import kept
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.proposals.grid import grid
from pellucid.detect.proposals.selective_search import LONGEST, selective_search
from pellucid.executors import default_threads
from pellucid.plain import Array
from pellucid.progress import progress

MOST = 10_000
"""Boxes that are kept of a picture."""
VERSION = 1
"""Of the search: another one finds other boxes."""


def proposals_for(
    image: Array, most: int, seed: int = 0, longest: int = LONGEST, search: str = SELECTIVE_SEARCH
) -> Array:
    """The first `most` boxes of selective search on a picture uint8 (3, H, W), kept from when it was searched before; or an even `GRID`."""
    if search == GRID:
        return grid(image.shape[1], image.shape[2], most)
    size = "" if longest == LONGEST else f" {longest}"
    found = kept(
        "proposals",
        (f"{VERSION} {seed} {image.shape}{size}".encode(), image.tobytes()),
        lambda boxes: boxes.ndim == 2 and boxes.shape[1] == 4 and boxes.dtype == np.float32,
        lambda: selective_search(image, MOST, seed, longest).boxes.astype(np.float32),
    )
    return found[:most].astype(np.float64)


@dataclass(frozen=True)
class Search:
    """What gives the first `most` proposals of a picture, as `proposals_for` does."""

    most: int
    longest: int = LONGEST
    search: str = SELECTIVE_SEARCH

    def __call__(self, image: Array) -> Array:
        """Boxes (R, 4) on a picture uint8 (3, H, W)."""
        return proposals_for(image, self.most, longest=self.longest, search=self.search)

    def beyond(self, image: Array) -> tuple[int, Array]:
        """The boxes that it finds behind these, none for a `GRID`, and the number of the first."""
        most = self.most if self.search == GRID else MOST
        return self.most, proposals_for(image, most, longest=self.longest, search=self.search)[self.most :]


def proposals_of(
    pictures: PicturesWithBoxes, most: int, seed: int = 0, longest: int = LONGEST, search: str = SELECTIVE_SEARCH
) -> Sequence[Array]:
    """Proposals on each of many pictures, several at a time."""
    with progress("proposals") as tell, ThreadPoolExecutor(default_threads()) as pool:
        found: list[Array] = []
        for boxes in pool.map(
            lambda k: proposals_for(pictures.read(k), most, seed, longest, search), range(len(pictures))
        ):
            found.append(boxes)
            tell(len(found), len(pictures))
    return found
