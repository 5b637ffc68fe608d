"""How a class begins: which objects go together, how large their roots are, which way each faces, and where parts are put."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid.detect.dpm.histograms import FEATURES, histograms, mirrored
from pellucid.detect.dpm.mixture import MirroredPair
from pellucid.plain import Array

SMALLEST, LARGEST = 3000.0, 5000.0
"""Pixels of a root's window, at least and at most."""
FEWEST = 10
"""Objects that a group has at least, where there are several groups."""
RESTARTS = 25
"""Times that objects are divided by the way that they face, from other beginnings."""
PART_RESTARTS = 10
PART_NORM, PART_PRICE = 0.1, (0.01, 0.0, 0.01, 0.0)
"""The norm of a part's filter, and its prices, before anything is learned of it."""


def groups_of(sizes: Array, most: int) -> list[Array]:
    """Objects by how tall they are for their width, in `most` groups of equal counts (fewer where there are few objects): rows of `sizes` (N, 2)."""
    order = np.argsort(sizes[:, 1] / sizes[:, 0], kind="stable")
    return [np.sort(each) for each in np.array_split(order, max(1, min(most, len(sizes) // FEWEST)))]


def root_size(sizes: Array, cell: int = 8) -> tuple[int, int]:
    """Rows and columns of the root of objects with `sizes` (N, 2), width and height.

    Its shape is the commonest, its area that of the object that 20 of 100 are smaller than, from 3000 to 5000 pixels; from none on where
    more than half of the objects are smaller than 3000.
    """
    ends = np.arange(-2.0, 2.02, 0.02)
    counts = np.histogram(np.log(sizes[:, 1] / sizes[:, 0]), np.append(ends, 2.02) - 0.01)[0]
    smooth = np.convolve(counts, np.exp(-(np.arange(-100, 101) ** 2) / 400.0), "same")
    aspect = float(np.exp(ends[smooth.argmax()]))
    areas = np.sort(sizes.prod(1))
    least = SMALLEST if np.median(areas) >= SMALLEST else 0.0
    area = float(np.clip(areas[int(0.2 * len(areas))], least, LARGEST))
    width = np.sqrt(area / aspect)
    return max(2, round(width * aspect / cell)), max(2, round(width / cell))


def warped(image: Array, box: Array, size: tuple[int, int], cell: int = 8) -> Array:
    """What a root of `size` sees of a box that is warped to its window, float32 (rows, columns, 32); beyond the picture its edge is repeated."""
    from PIL import Image

    rows, columns = size
    width, height = box[2] - box[0] + 1, box[3] - box[1] + 1
    around = np.array([width / columns, height / rows])  # a cell, which is left out again
    low, high = box[:2] - around, box[2:] + 1 + around
    free = int(np.ceil(max(0.0, *(-low), *(high - [image.shape[2], image.shape[1]]))))
    pixels = np.pad(image, ((0, 0), (free, free), (free, free)), "edge").transpose(1, 2, 0)
    part = tuple(np.concatenate([low, high]) + free)
    scaled = Image.fromarray(np.ascontiguousarray(pixels)).resize(
        ((columns + 2) * cell, (rows + 2) * cell), Image.Resampling.BILINEAR, part
    )
    return histograms(np.asarray(scaled, np.float64).transpose(2, 0, 1), cell)


def facing(cells: Array, random: np.random.Generator) -> Array:
    """Which of objects (N, rows, columns, 32) are to be turned so that all face one way, bool (N,): two means, mirror images of one another."""
    ways = np.stack([cells.reshape(len(cells), -1), np.stack([mirrored(c) for c in cells]).reshape(len(cells), -1)])
    best, least = np.zeros(len(cells), bool), np.inf
    for _ in range(RESTARTS):
        turned, apart = random.random(len(cells)) < 0.5, np.zeros((2, len(cells)))
        for _ in range(100):
            mean = ways[turned.astype(int), np.arange(len(cells))].mean(0)
            apart = ((ways - mean) ** 2).sum(2)
            before, turned = turned, apart[1] < apart[0]
            if (before == turned).all():
                break
        spread = float(np.minimum(*apart).sum())
        if spread < least - 1e-9:
            best, least = turned, spread
    return best


def with_parts(pair: MirroredPair, count: int, side: int, random: np.random.Generator) -> MirroredPair:
    """The pair with `count` parts of `side` cells, put where the root, drawn twice as large, says most.

    Those of a small root are smaller, and fewer where they cover all of it.
    """
    double = doubled(pair.root)
    side = min(side, min(double.shape[:2]) // 2 + 1)
    energy = (np.maximum(double, 0) ** 2).sum(2)
    places = placed(energy, count, side, random)
    cut = np.stack([double[y : y + side, x : x + side] for x, y in places.tolist()])
    norms = np.sqrt((cut**2).sum((1, 2, 3), keepdims=True))
    prices = np.tile(PART_PRICE, (len(places), 1))
    return MirroredPair(pair.root, PART_NORM * cut / np.maximum(norms, 1e-12), places, prices, pair.location, pair.bias)


def doubled(root: Array) -> Array:
    """A root at twice the resolution, (2 rows, 2 columns, 32), bicubic."""
    from PIL import Image

    rows, columns = root.shape[:2]
    channels = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(root[..., k], np.float32)).resize(
                (2 * columns, 2 * rows), Image.Resampling.BICUBIC
            )
        )
        for k in range(FEATURES)
    ]
    return np.stack(channels, 2).astype(np.float64)


def placed(energy: Array, count: int, side: int, random: np.random.Generator) -> Array:
    """Places int64 (count, 2), x and y, of squares that cover as much of `energy` as can be found: one after the other, then each anew.

    There are fewer of them where these cover all of it.
    """
    best = _one_by_one(energy, [], count, side)
    count = len(best)
    most = _covered(energy, best, side)
    for _ in range(PART_RESTARTS):
        gone = int(random.integers(count))
        places = [_anywhere(energy, side, random) if k == gone else p for k, p in enumerate(best)]
        for number in random.permutation(np.tile(np.arange(len(places)), 4)).tolist():
            others = [p for k, p in enumerate(places) if k != number]
            places = _one_by_one(energy, others, count, side)
        covered = _covered(energy, places, side)
        if covered > most * (1 + 1e-9):
            best, most = places, covered
    return np.array([[x, y] for y, x in best], np.int64)


def _anywhere(energy: Array, side: int, random: np.random.Generator) -> tuple[int, int]:
    return int(random.integers(energy.shape[0] - side + 1)), int(random.integers(energy.shape[1] - side + 1))


def _one_by_one(energy: Array, there: Sequence[tuple[int, int]], count: int, side: int) -> list[tuple[int, int]]:
    """Squares added to those that are there, each where most is not covered yet, until all is."""
    places, left = list(there), energy.copy()
    for y, x in places:
        left[y : y + side, x : x + side] = 0
    while len(places) < count:
        sums = np.lib.stride_tricks.sliding_window_view(left, (side, side)).sum((2, 3))
        if places and sums.max() <= 0:
            break
        y, x = divmod(int(sums.argmax()), sums.shape[1])
        places.append((y, x))
        left[y : y + side, x : x + side] = 0
    return places


def _covered(energy: Array, places: Sequence[tuple[int, int]], side: int) -> float:
    under = np.zeros(energy.shape, bool)
    for y, x in places:
        under[y : y + side, x : x + side] = True
    return float(energy[under].sum())
