"""Regions of a picture merged pair by pair, the most alike first: a tree whose every node may be an object."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pellucid.detect.proposals.compiled import compiled
from pellucid.plain import Array

COLORS, TEXTURES, DIRECTIONS = 25, 10, 8
"""Bins of a channel's histogram of colors, and of its slopes in each of so many directions."""
STEEPEST = 64.0
"""The slope at which the last bin of textures begins, of a channel from 0 to 255."""
ONE = 2**32
"""Likenesses are whole numbers of so many parts, so that the order of a sum never decides."""


class Measures(NamedTuple):
    """What counts for how alike two regions are, each 0 to 1."""

    color: bool = True
    texture: bool = True
    size: bool = True
    fill: bool = True


@dataclass(frozen=True)
class Regions:
    """`count` regions and what is merged of them, region by region: `histograms` float64 (2 count - 1, D), of which `colors`
    numbers are of color; `sizes` in pixels; `boxes` int64 x1, y1, x2, y2. `pairs` int32 (P, 2) are neighbors."""

    count: int
    pixels: int
    colors: int
    histograms: Array
    sizes: Array
    boxes: Array
    pairs: Array


@dataclass(frozen=True)
class Tree:
    """Merge k makes region count + k of two others, `merges` int32 (M, 2); how alike they were, float64 (M,); boxes of all."""

    count: int
    merges: Array
    likenesses: Array
    boxes: Array
    sizes: Array

    def leaves(self, region: int) -> list[int]:
        """The regions of the beginning that a region is made of."""
        waiting, found = [region], list[int]()
        while waiting:
            one = waiting.pop()
            if one < self.count:
                found.append(one)
            else:
                waiting += self.merges[one - self.count].tolist()
        return sorted(found)


def regions_of(image: Array, labels: Array, slopes: Array, pairs: tuple[Array, Array]) -> Regions:
    """What regions `labels` (H, W) of a picture (C, H, W), 0 to 255, look like; `slopes` as `slopes_of` gives them."""
    count, pixels = int(labels.max()) + 1, labels.size
    sizes = np.bincount(labels.reshape(-1), minlength=count)
    colors = np.minimum(image * (COLORS / 256.0), COLORS - 1).astype(np.int64)
    steps = np.minimum(slopes * ((TEXTURES - 1) / STEEPEST), TEXTURES - 1).astype(np.int64)
    found = [_histograms(one, labels, count, bins) for one, bins in ((colors, COLORS), (steps, TEXTURES))]
    width = sum(one.shape[1] for one in found)
    histograms = np.zeros((2 * count - 1, width))
    histograms[:count] = np.concatenate([one / one.sum(1, keepdims=True) for one in found], 1)
    boxes = np.zeros((2 * count - 1, 4), np.int64)
    boxes[:count] = _boxes(labels, count)
    ones, others = labels.reshape(-1)[pairs[0]], labels.reshape(-1)[pairs[1]]
    low, high = np.minimum(ones, others).astype(np.int64), np.maximum(ones, others)
    codes = np.unique(low[low != high] * count + high[low != high])
    neighbors = np.stack([codes // count, codes % count], 1).astype(np.int32)
    every = np.zeros(2 * count - 1, np.int64)
    every[:count] = sizes
    return Regions(count, pixels, found[0].shape[1], histograms, every, boxes, neighbors)


def slopes_of(image: Array) -> Array:
    """How steeply each channel of (C, H, W) rises in each direction, 0 where it falls: float32 (C * directions, H, W)."""
    flat = image.astype(np.float32)
    across, down = (_slope(flat, axis) for axis in (2, 1))
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    rising = [np.float32(np.cos(a)) * across + np.float32(np.sin(a)) * down for a in angles]
    return np.maximum(np.concatenate(rising), 0.0)


def _slope(image: Array, axis: int) -> Array:
    """The derivative of a Gaussian of deviation 1 along one axis, its blur along the other."""
    from scipy.ndimage import gaussian_filter1d

    blurred = gaussian_filter1d(image, 1.0, 3 - axis, mode="nearest")
    return gaussian_filter1d(blurred, 1.0, axis, order=1, mode="nearest")


def _histograms(bins: Array, labels: Array, count: int, each: int) -> Array:
    """Of every region how many of its pixels lie in each bin of each plane: (count, planes * each)."""
    start = labels.reshape(-1).astype(np.int64) * each
    made = [np.bincount(start + plane.reshape(-1), minlength=count * each).reshape(count, each) for plane in bins]
    return np.concatenate(made, 1).astype(np.float64)


def _boxes(labels: Array, count: int) -> Array:
    from scipy.ndimage import find_objects

    slices = find_objects(labels + 1, count)
    return np.array([[c.start, r.start, c.stop - 1, r.stop - 1] for r, c in slices], np.int64)


def merge(regions: Regions, measures: Measures) -> Tree:
    """The tree of merges; of pairs equally alike that with the smaller numbers goes first. (Uijlings et al., 2013, section 3)"""
    native = compiled()
    if native is None:
        return merged(regions, measures)
    copies = [one.copy() for one in (regions.histograms, regions.sizes, regions.boxes)]
    merges, likenesses = np.zeros((regions.count - 1, 2), np.int32), np.zeros(regions.count - 1, np.int64)
    counts = (regions.count, regions.colors, regions.histograms.shape[1] - regions.colors, regions.pixels)
    addresses = (one.ctypes.data for one in copies)
    pairs = (len(regions.pairs), regions.pairs.ctypes.data)
    done = native.merge_regions(counts, *addresses, *pairs, measures, merges.ctypes.data, likenesses.ctypes.data)
    return _tree(regions, merges[:done], likenesses[:done], copies[2], copies[1])


def _tree(regions: Regions, merges: Array, likenesses: Array, boxes: Array, sizes: Array) -> Tree:
    every = regions.count + len(merges)
    return Tree(regions.count, merges, likenesses / ONE, boxes[:every], sizes[:every])


def merged(regions: Regions, measures: Measures) -> Tree:
    """What `merge` gives, in Python: the specification."""
    histograms, sizes, boxes = regions.histograms.copy(), regions.sizes.copy(), regions.boxes.copy()
    colors, pixels, count = regions.colors, float(regions.pixels), regions.count
    neighbors: dict[int, set[int]] = {k: set() for k in range(count)}
    queue: list[tuple[int, int, int]] = []

    def alike(a: int, b: int) -> int:
        shared = np.minimum(histograms[a], histograms[b])
        both = float(sizes[a] + sizes[b])
        box = _around(boxes[a], boxes[b])
        inside = float((box[2] - box[0] + 1) * (box[3] - box[1] + 1))
        parts = (shared[:colors].sum(), shared[colors:].sum(), 1.0 - both / pixels, 1.0 - (inside - both) / pixels)
        return round(sum(part for part, counts in zip(parts, measures, strict=True) if counts) * ONE)

    def meet(a: int, b: int) -> None:
        neighbors[a].add(b)
        neighbors[b].add(a)
        low, high = min(a, b), max(a, b)
        heapq.heappush(queue, (-alike(low, high), low, high))

    for a, b in regions.pairs.tolist():
        meet(a, b)
    merges: list[tuple[int, int]] = []
    likenesses: list[int] = []
    while queue:
        likeness, a, b = heapq.heappop(queue)
        if a not in neighbors or b not in neighbors:
            continue
        made = count + len(merges)
        histograms[made] = (sizes[a] * histograms[a] + sizes[b] * histograms[b]) / (sizes[a] + sizes[b])
        sizes[made], boxes[made] = sizes[a] + sizes[b], _around(boxes[a], boxes[b])
        around = (neighbors.pop(a) | neighbors.pop(b)) & neighbors.keys()
        neighbors[made] = set()
        for other in sorted(around):
            meet(made, other)
        merges.append((a, b))
        likenesses.append(-likeness)
    return _tree(regions, np.array(merges, np.int32).reshape(-1, 2), np.array(likenesses, np.int64), boxes, sizes)


def _around(one: Array, other: Array) -> Array:
    """The box around two boxes."""
    return np.concatenate([np.minimum(one[:2], other[:2]), np.maximum(one[2:], other[2:])])
