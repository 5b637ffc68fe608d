"""Selective search: boxes that may hold an object of any kind, from regions merged in several ways."""

from __future__ import annotations

import numpy as np

from pellucid.detect.boxes import BoxError, clipped, sizes
from pellucid.detect.looking import GivenPicture, picture_of
from pellucid.detect.proposals.colors import SPACES
from pellucid.detect.proposals.found import Hierarchy, MergeWay, Proposals
from pellucid.detect.proposals.merging import Measures, merge, regions_of, slopes_of
from pellucid.detect.proposals.segmentation import blurred, edges_of, segment
from pellucid.plain import Array
from pellucid.seeds import random_numbers
from pellucid.whole_numbers import whole

LONGEST, LEAST = 500, 64
"""Pixels of the longer side of the picture that is searched unless said, and at least; a larger one is made smaller first."""
MOST_PIXELS = 2**23
"""Of a picture as it is searched: what takes about a gigabyte of memory."""
SMALLEST = 20
"""Pixels of a box on the picture that is searched; what is narrower or lower is no proposal."""
SCALES = (50, 100)
"""Of the segmentations: the larger, the larger their parts; and what a part has at least."""
ALIKE = (Measures(), Measures(color=False))


def selective_search(image: GivenPicture, most: int = 2000, seed: int = 0, longest: int = LONGEST) -> Proposals:
    """Proposals on a picture, uint8 (3, H, W) in RGB, or its file: at most `most`, always the same for one seed.

    A picture whose longer side has more than `longest` pixels is searched smaller: what is then below 20 pixels is not found.

    Two spaces of color, two scales and two ways of being alike make 8 trees ("fast" of Uijlings et al., Selective search for
    object recognition, 2013, section 4); a region's rank in its tree times a random number orders them (section 3.3).
    Raises `BoxError`.
    """
    image = picture_of(image, "selective search", BoxError)
    most = whole("selective search", "most", most, raises=BoxError)
    longest = whole("selective search", "longest", longest, raises=BoxError)
    if most < 1:
        raise BoxError(f"selective search: at most how many proposals must be 1 or more, got {most}")
    if longest < LEAST:
        raise BoxError(f"selective search: the longer side must have {LEAST} pixels or more, got {longest}")
    searched = small(image, longest)
    if searched[0].size > MOST_PIXELS:
        size = f"{searched.shape[2]} x {searched.shape[1]}"
        raise BoxError(
            f"selective search: would search {size} pixels, at most {MOST_PIXELS:,}; choose a smaller search size"
        )
    hierarchies = tuple(_hierarchies(searched))
    numbers = random_numbers(seed)
    boxes, sources, ranks = [], [], []
    for which, hierarchy in enumerate(hierarchies):
        every = len(hierarchy.tree.boxes)
        boxes.append(hierarchy.tree.boxes)
        sources.append(np.stack([np.full(every, which), np.arange(every)], 1))
        ranks.append(np.arange(every, 0, -1) * numbers.random(every))
    order = np.argsort(np.concatenate(ranks), kind="stable")
    found, origin = np.concatenate(boxes)[order], np.concatenate(sources)[order]
    large = (sizes(found) >= min(SMALLEST, *searched.shape[1:])).all(1)
    found, origin = found[large], origin[large]
    _, firsts = np.unique(found, axis=0, return_index=True)
    kept = np.sort(firsts)[:most]
    size = (image.shape[1], image.shape[2])
    return Proposals(image, _enlarged(found[kept], searched.shape[1:], size), origin[kept], hierarchies, seed)


def small(image: Array, longest: int = LONGEST) -> Array:
    """The picture that is searched, uint8 (3, h, w): one with sides up to `longest` as it is."""
    from PIL import Image

    height, width = image.shape[1:]
    shrink = longest / max(height, width)
    if shrink >= 1:
        return image
    to = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = Image.fromarray(image.transpose(1, 2, 0)).resize(to, Image.Resampling.BILINEAR)
    return np.asarray(small).transpose(2, 0, 1)


def _enlarged(boxes: Array, size: tuple[int, ...], to: tuple[int, int]) -> Array:
    """Boxes on the searched picture as they lie on the picture as it came: whole pixels."""
    down, across = to[0] / size[0], to[1] / size[1]
    edges = np.array([across, down, across, down])
    low, high = boxes[:, :2] * edges[:2], (boxes[:, 2:] + 1.0) * edges[2:] - 1.0
    return clipped(np.round(np.concatenate([low, high], 1)), to[1], to[0])


def _hierarchies(image: Array) -> list[Hierarchy]:
    found: list[Hierarchy] = []
    size = (image.shape[1], image.shape[2])
    for name, convert in SPACES.items():
        colored = np.clip(convert(image), 0.0, 255.0)
        edges, slopes = edges_of(blurred(colored)), slopes_of(colored)
        for scale in SCALES:
            labels = segment(edges, size, scale, scale)
            regions = regions_of(colored, labels, slopes, (edges.ones, edges.others))
            found += [Hierarchy(MergeWay(name, scale, one), labels, merge(regions, one)) for one in ALIKE]
    return found
