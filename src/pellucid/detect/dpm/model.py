"""A model of an object as a mixture of components: a filter for the whole, and parts with a place and a price for leaving it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.plain import Array

REACH = 4
"""Cells that a part goes from its place at most, in each direction."""


@dataclass(frozen=True)
class PlacedPart:
    """A filter float32 (rows, columns, 32), `bias`, and `location` (3,), what is added on levels of each octave.

    `anchor` (x, y) is its place in its object, in its own cells. Displaced by (dx, dy) cells, its place less where it went,
    it costs `deformation` . (dx^2, dx, dy^2, dy).
    """

    filter: Array
    bias: float
    location: Array
    anchor: tuple[int, int] = (0, 0)
    deformation: Array | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.filter.shape[0], self.filter.shape[1]

    def added(self, octave: int) -> float:
        """What is added to the score on a level of an octave; the third stands for all that are coarser, too."""
        return self.bias + float(self.location[min(octave, len(self.location) - 1)])

    def costs(self) -> Array:
        """What each displacement costs, (2 REACH + 1, 2 REACH + 1) by dy and dx, from -REACH on."""
        if self.deformation is None:
            return np.zeros((2 * REACH + 1, 2 * REACH + 1))
        away = np.arange(-REACH, REACH + 1)
        squared_x, x, squared_y, y = self.deformation.tolist()
        return (squared_y * away**2 + y * away)[:, None] + (squared_x * away**2 + x * away)[None]


@dataclass(frozen=True)
class Component:
    """One way in which an object looks: its `root`, and `parts` at twice the resolution.

    `window` is rows and columns of its box. `predictor` (4, 2F + 1), where there is one, makes the box of where the F filters
    are: rows x1, y1, x2, y2, each a share of the window's width or height.
    """

    root: PlacedPart
    parts: tuple[PlacedPart, ...]
    window: tuple[int, int]
    predictor: Array | None = None

    @property
    def filters(self) -> tuple[PlacedPart, ...]:
        """The root and the parts."""
        return self.root, *self.parts


@dataclass(frozen=True)
class PartsModel:
    """A class's `components`; `padding` (rows, columns) of cells around a picture, within which windows may lie.

    `threshold` is the score from which on its authors take a window for an object.
    """

    name: str
    components: tuple[Component, ...]
    padding: tuple[int, int]
    threshold: float
    cell: int = 8
    interval: int = 10
