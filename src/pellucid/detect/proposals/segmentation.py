"""A picture cut into even parts: neighboring pixels are joined where nothing but their own unevenness parts them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.detect.proposals.compiled import compiled
from pellucid.plain import Array

SMOOTHING = 0.8
"""Standard deviation in pixels of the blur before."""


STEPS = 128
"""Distances of colors are multiples of one of so many parts."""


@dataclass(frozen=True)
class Edges:
    """Pairs of neighboring pixels by number, int32 (E,), from the most alike to the least, and how far apart their colors are."""

    ones: Array
    others: Array
    weights: Array


def edges_of(image: Array) -> Edges:
    """Each pixel of `image` (C, H, W) with its neighbors, diagonal ones too; weights are Euclidean distances, float32."""
    height, width = image.shape[1:]
    numbers = np.arange(height * width, dtype=np.int32).reshape(height, width)
    every, ahead, back = slice(None), slice(1, None), slice(None, -1)
    pairs = (
        ((every, back), (every, ahead)),
        ((back, every), (ahead, every)),
        ((back, back), (ahead, ahead)),
        ((back, ahead), (ahead, back)),
    )
    ones = np.concatenate([numbers[a].reshape(-1) for a, _ in pairs])
    others = np.concatenate([numbers[b].reshape(-1) for _, b in pairs])
    flat = image.astype(np.float32)
    squares = np.concatenate([((flat[:, *a] - flat[:, *b]) ** 2).sum(0).reshape(-1) for a, b in pairs])
    steps = np.minimum(np.sqrt(squares) * STEPS, 65535.0).astype(np.uint16)  # 16 bits, which NumPy sorts by counting
    order = np.argsort(steps, kind="stable")
    return Edges(ones[order], others[order], steps[order] / np.float32(STEPS))


def blurred(image: Array, deviation: float = SMOOTHING) -> Array:
    """Each channel of (C, H, W) blurred by a Gaussian, float32."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image.astype(np.float32), (0.0, deviation, deviation), mode="nearest")


def segment(edges: Edges, size: tuple[int, int], scale: float, least: int) -> Array:
    """Labels int32 (H, W) of the parts, counted as their first pixels come; parts of fewer than `least` pixels are joined.

    A part allows its largest edge so far + scale / pixels: the larger the scale, the larger the parts. (Felzenszwalb and
    Huttenlocher, 2004, section 3)
    """
    native = compiled()
    if native is None:
        return joined(edges, size, scale, least)
    labels = np.empty(size, np.int32)
    ones, others, weights = edges.ones, edges.others, edges.weights
    addresses = (ones.ctypes.data, others.ctypes.data, weights.ctypes.data)
    native.join_pixels(labels.size, ones.size, *addresses, scale, least, labels.ctypes.data)
    return labels


def joined(edges: Edges, size: tuple[int, int], scale: float, least: int) -> Array:
    """What `segment` gives, in Python: the specification."""
    pixels = size[0] * size[1]
    parents, sizes = list(range(pixels)), [1] * pixels
    allowed = [np.float32(scale)] * pixels

    def find(one: int) -> int:
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        return one

    def join(a: int, b: int) -> int:
        a, b = (b, a) if sizes[a] < sizes[b] else (a, b)
        parents[b] = a
        sizes[a] += sizes[b]
        return a

    pairs = list(zip(edges.ones.tolist(), edges.others.tolist(), edges.weights, strict=True))
    for one, other, weight in pairs:
        a, b = find(one), find(other)
        if a != b and weight <= allowed[a] and weight <= allowed[b]:
            root = join(a, b)
            allowed[root] = weight + np.float32(scale) / np.float32(sizes[root])
    for one, other, _ in pairs:
        a, b = find(one), find(other)
        if a != b and min(sizes[a], sizes[b]) < least:
            join(a, b)
    _, firsts, labels = np.unique([find(k) for k in range(pixels)], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts)).astype(np.int32)[labels].reshape(size)
