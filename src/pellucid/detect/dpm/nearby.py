"""Windows by where they are rather than by what they score: those of one box, and those near a box, however little filters give them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pellucid.detect.boxes import clipped, overlaps
from pellucid.detect.dpm.model import Component
from pellucid.detect.dpm.pyramid import Level
from pellucid.detect.dpm.scanning import Scanner, Windows
from pellucid.detect.fate import NEAR
from pellucid.plain import Array

NEAREST = 64
"""Windows near a box that are scored whatever filters say: those that overlap it most."""


def windows_at(scanner: Scanner, levels: Mapping[int, Level], box: Array) -> Windows:
    """Windows whose root is `box` (4,), one of each component and level that has one there."""
    found: list[Windows] = []
    for number, level in levels.items():
        fits = {
            which
            for which, component in enumerate(scanner.model.components)
            if _at(_places(box, level), component, level) == box.tolist()
        }
        for placed, scores in scanner.scored(levels, number) if fits else ():
            row, column = (_places(box, level) + scanner.model.padding).tolist()
            if placed.number in fits and 0 <= row < scores.shape[0] and 0 <= column < scores.shape[1]:
                reach = np.zeros(scores.shape, bool)
                reach[row, column] = True
                found.append(placed.windows(scores, reach))
    return scanner.together(found)


def windows_near(scanner: Scanner, levels: Mapping[int, Level], box: Array, size: tuple[int, ...]) -> Windows:
    """The windows that overlap `box` (4,) most, and of those that do by `NEAR` or more the surest of each component and level, on a picture of
    `size` (rows, columns)."""
    shares = {
        (number, which): _shares(scanner, component, level, box, size)
        for number, level in levels.items()
        for which, component in enumerate(scanner.model.components)
    }
    every = np.concatenate([np.zeros(0), *(each.ravel() for each in shares.values())])
    least = np.sort(every)[-min(NEAREST, len(every))] if len(every) else 0.0
    found: list[Windows] = []
    for number in levels:
        if not any(of == number and len(each) and each.max() >= min(least, NEAR) for (of, _), each in shares.items()):
            continue
        for placed, scores in scanner.scored(levels, number):
            share, there = shares[number, placed.number], np.isfinite(scores)
            reach = there & (share >= least)
            near = np.where(there & (share >= NEAR), scores, -np.inf)
            if np.isfinite(near).any():
                reach.flat[near.argmax()] = True
            if reach.any():
                found.append(placed.windows(scores, reach))
    return scanner.together(found)


def _places(box: Array, level: Level) -> Array:
    """Row and column of the cell that a box begins at."""
    return np.round(box[1::-1] / level.pixels).astype(np.int64)


def _at(places: Array, component: Component, level: Level) -> list[float]:
    """The box of a root at a place."""
    low = places * level.pixels
    return [*low[::-1].tolist(), *(low + np.array(component.window) * level.pixels - 1)[::-1].tolist()]


def _shares(scanner: Scanner, component: Component, level: Level, box: Array, size: tuple[int, ...]) -> Array:
    """What the root's window, as far as it lies on the picture, shares with a box at every place of a level, as `Scanner.scored` has them."""
    pad, sides = scanner.model.padding, component.root.size
    counts = [max(0, grid + 2 * p - side + 1) for grid, p, side in zip(level.grid, pad, sides, strict=True)]
    rows, columns = np.mgrid[: counts[0], : counts[1]].reshape(2, -1)
    low = (np.stack([columns, rows], 1) - pad[::-1]) * level.pixels
    boxes = np.concatenate([low, low + np.array(component.window[::-1]) * level.pixels - 1], 1)
    cut = clipped(boxes, size[1], size[0])
    there = (cut[:, 2:] >= cut[:, :2]).all(1, keepdims=True)
    return overlaps(np.where(there, cut, boxes), box[None])[:, 0].reshape(counts)
