"""What is learned of a class: pairs of components that mirror one another and share one vector of weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pellucid.detect.dpm.histograms import FEATURES, MIRROR, OUTSIDE, mirrored
from pellucid.detect.dpm.model import Component, PartsModel, PlacedPart
from pellucid.detect.dpm.pyramid import Level
from pellucid.detect.dpm.scanning import Windows, padded
from pellucid.plain import Array

BIAS = 10.0
"""The feature that the bias is the weight of."""
OCTAVES = 3
"""Octaves of a pyramid that have a weight of their own; the third stands for all that are coarser, too."""
LEAST_PRICE = 0.001
"""What a step away from its place costs a part at least, times its square."""


@dataclass(frozen=True)
class MirroredPair:
    """A component and its mirror image: `root` float64 (rows, columns, 32), `parts` (P, side, side, 32) with `anchors` int64 (P, 2), x and
    y in their own cells, and `prices` (P, 4) of `PlacedPart.deformation`; `location` (3,) by octaves, and `bias`. `segment` (6,) are what a
    segment's numbers count, none where no segment is looked at."""

    root: Array
    parts: Array
    anchors: Array
    prices: Array
    location: Array
    bias: float
    segment: Array = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def of_root(cls, root: Array, bias: float) -> MirroredPair:
        """One without parts."""
        none = np.zeros((0, 0, 0, FEATURES))
        return cls(root, none, np.zeros((0, 2), np.int64), np.zeros((0, 4)), np.zeros(OCTAVES), bias)

    @property
    def vector(self) -> Array:
        """All weights: root, parts, prices, location, bias, segment."""
        return np.concatenate(
            [self.root.ravel(), self.parts.ravel(), self.prices.ravel(), self.location, [self.bias], self.segment]
        ).astype(np.float64)

    def with_vector(self, vector: Array) -> MirroredPair:
        """The same with other weights: the inverse of `vector`."""
        sizes = (self.root.size, self.parts.size, self.prices.size, OCTAVES, 1)
        root, parts, prices, location, bias, segment = np.split(vector, np.cumsum(sizes))
        return replace(
            self,
            root=root.reshape(self.root.shape),
            parts=parts.reshape(self.parts.shape),
            prices=prices.reshape(self.prices.shape),
            location=location,
            bias=float(bias[0]),
            segment=segment,
        )

    @property
    def penalties(self) -> Array:
        """By how much each weight's square counts: ten times for prices, not at all for the bias."""
        filters, prices = self.root.size + self.parts.size, self.prices.size
        return np.concatenate(
            [np.ones(filters), np.full(prices, 10.0), np.ones(OCTAVES), [0.0], np.ones(len(self.segment))]
        )

    @property
    def bounds(self) -> list[tuple[float | None, float | None]]:
        """What each weight is at least and at most: going away is never free."""
        free: list[tuple[float | None, float | None]] = [(None, None)]
        price: list[tuple[float | None, float | None]] = [(LEAST_PRICE, None), (None, None)] * 2
        rest = OCTAVES + 1 + len(self.segment)
        return free * (self.root.size + self.parts.size) + price * len(self.parts) + free * rest

    def anchors_of(self, flipped: bool) -> Array:
        """Places of the parts, int64 (P, 2), in the component itself or in its mirror image."""
        if not flipped or not len(self.parts):
            return self.anchors
        across = 2 * self.root.shape[1] - self.anchors[:, 0] - self.parts.shape[2]
        return np.stack([across, self.anchors[:, 1]], 1)

    def components(self) -> tuple[Component, Component]:
        """The two, ready to be laid over pictures."""
        return self._component(False), self._component(True)

    def _component(self, flipped: bool) -> Component:
        def turned(weights: Array) -> Array:
            return np.ascontiguousarray(mirrored(weights) if flipped else weights, np.float32)

        parts = tuple(
            PlacedPart(
                turned(weights), 0.0, np.zeros(OCTAVES), (int(x), int(y)), price * [1, -1 if flipped else 1, 1, 1]
            )
            for weights, (x, y), price in zip(self.parts, self.anchors_of(flipped), self.prices, strict=True)
        )
        root = PlacedPart(turned(self.root), BIAS * self.bias, self.location)
        return Component(root, parts, (self.root.shape[0], self.root.shape[1]))


def model_of(
    name: str, pairs: Sequence[MirroredPair], interval: int, threshold: float = 0.0, cell: int = 8
) -> PartsModel:
    """The pairs as a model: components 2k and 2k + 1 are pair k and its mirror image."""
    components = tuple(component for pair in pairs for component in pair.components())
    rows, columns = (max(c.root.size[axis] for c in components) for axis in (0, 1))
    return PartsModel(name, components, (rows, columns), threshold, cell, interval)


def described(
    pair: MirroredPair, flipped: bool, places: Array, level: Level, finer: Level | None, said: Array | None = None
) -> Array:
    """What windows of a component see, float32 (N, weights), so that their scores are these times `pair.vector`.

    `places` (N, 1 + P, 2) as in `Windows`; `said` (N, 6) is what a segment says of each, where segments are looked at. What the mirror image
    sees is turned back.
    """
    count, parts = len(places), len(pair.parts)
    seen = [patches(level, (pair.root.shape[0], pair.root.shape[1]), places[:, 0])]
    if parts and finer is not None:
        seen += [patches(finer, (pair.parts.shape[1], pair.parts.shape[2]), places[:, 1 + k]) for k in range(parts)]
    cells = [
        (one[:, :, ::-1][..., MIRROR] if flipped else one).reshape(count, math.prod(one.shape[1:])) for one in seen
    ]
    away = (2 * places[:, :1, ::-1] + pair.anchors_of(flipped) - places[:, 1 : 1 + parts, ::-1]).astype(np.float32)
    dx, dy = away[..., 0] * (-1 if flipped else 1), away[..., 1]
    prices = -np.stack([dx * dx, dx, dy * dy, dy], 2).reshape(count, 4 * parts)
    location = np.zeros((count, OCTAVES), np.float32)
    if parts:
        location[:, min(level.octave, OCTAVES - 1)] = 1
    of_segments = np.zeros((count, len(pair.segment))) if said is None else said
    return np.concatenate([*cells, prices, location, np.full((count, 1), BIAS), of_segments], 1).astype(np.float32)


def patches(level: Level, size: tuple[int, int], places: Array) -> Array:
    """The cells (N, rows, columns, 32) that a filter of a size lies on at each of `places` (N, 2), those outside of the picture too."""
    rows, columns = size
    reach = np.arange(rows)[None, :, None], np.arange(columns)[None, None]
    y, x = (places[:, axis, None, None] - 1 + reach[axis] for axis in (0, 1))
    down, across = level.cells.shape[:2]
    if not level.cells.size:
        found = np.zeros((len(places), rows, columns, FEATURES), np.float32)
        found[..., OUTSIDE] = 1
        return found
    around = padded(level.cells, 1, 1)
    return around[np.clip(y + 1, 0, down + 1), np.clip(x + 1, 0, across + 1)]


def by_component(windows: Windows) -> list[tuple[int, int, Array]]:
    """Windows that can be described together: component, level, and their rows."""
    pairs = sorted({*zip(windows.components.tolist(), windows.levels.tolist(), strict=True)})
    return [(c, n, np.flatnonzero((windows.components == c) & (windows.levels == n))) for c, n in pairs]
