"""A picture as small even parts that are neighbors: what segments are put together of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.detect.proposals.colors import lab
from pellucid.detect.proposals.segmentation import blurred, edges_of, segment
from pellucid.plain import Array

SCALE, SMALLEST = 30, 50
"""Of the segmentation: the larger, the larger its parts; and the pixels that a part has at least."""


@dataclass(frozen=True)
class SuperPixels:
    """P parts `labels` int32 (h, w), their `areas` in pixels (P,) and mean `colors` (P, 3) in Lab.

    E pairs of neighbors `pairs` int64 (E, 2): how many pairs of pixels meet there, `lengths` (E,), and what these hold together by, `ties` (E,),
    each 1 where the color does not change and the less the more it does.
    """

    labels: Array
    areas: Array
    colors: Array
    pairs: Array
    lengths: Array
    ties: Array

    def __len__(self) -> int:
        return len(self.areas)


def parts_of(image: Array) -> SuperPixels:
    """The parts of a picture uint8 (3, h, w)."""
    smooth = blurred(np.clip(lab(image), 0.0, 255.0))
    size = (image.shape[1], image.shape[2])
    labels = segment(edges_of(smooth), size, SCALE, SMALLEST)
    count = int(labels.max()) + 1
    areas = np.bincount(labels.reshape(-1), minlength=count).astype(np.float64)
    colors = np.stack([np.bincount(labels.reshape(-1), plane.reshape(-1), count) / areas for plane in smooth], 1)
    ones, others, steps = _meeting(labels, smooth)
    typical = float(steps @ steps) / max(1, len(steps))
    hold = np.exp(-(steps**2) / (2 * typical)) if typical > 0 else np.ones(len(steps))
    apart = ones != others
    low, high = np.minimum(ones, others)[apart].astype(np.int64), np.maximum(ones, others)[apart]
    codes, which = np.unique(low * count + high, return_inverse=True)
    pairs = np.stack([codes // count, codes % count], 1)
    lengths = np.bincount(which, minlength=len(codes)).astype(np.float64)
    return SuperPixels(labels, areas, colors, pairs, lengths, np.bincount(which, hold[apart], len(codes)))


def _meeting(labels: Array, image: Array) -> tuple[Array, Array, Array]:
    """Of each pixel and the next in its row and in its column both parts, and how far apart their colors are."""
    across = np.sqrt(((image[:, :, 1:] - image[:, :, :-1]) ** 2).sum(0, dtype=np.float64))
    down = np.sqrt(((image[:, 1:] - image[:, :-1]) ** 2).sum(0, dtype=np.float64))
    ones = np.concatenate([labels[:, :-1].reshape(-1), labels[:-1].reshape(-1)])
    others = np.concatenate([labels[:, 1:].reshape(-1), labels[1:].reshape(-1)])
    return ones, others, np.concatenate([across.reshape(-1), down.reshape(-1)])


def distinct(members: Array, areas: Array, least: int, alike: float, most: int) -> list[int]:
    """Which of segments (N, P), of parts with `areas`, have `least` pixels and are no copies of one before: their intersection over
    union with each that stays is below `alike`. At most `most`, in their order."""
    given = members.astype(np.float32) * np.sqrt(areas).astype(np.float32)
    sizes = members @ areas
    stays: list[int] = []
    for number in np.flatnonzero(sizes >= least).tolist():
        if len(stays) == most:
            break
        shared = given[stays] @ given[number]
        if not len(stays) or (shared < alike * (sizes[stays] + sizes[number] - shared)).all():
            stays.append(number)
    return stays
