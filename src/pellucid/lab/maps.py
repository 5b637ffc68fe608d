"""What a layer gives as maps (K, H, W), whatever its axes are, and where in the layer a cell of a map is."""

from __future__ import annotations

import base64
import math
from functools import cached_property
from typing import Any

import numpy as np

from pellucid.explain import Activation, LayerError
from pellucid.explain.trace.drawn_values import as_maps
from pellucid.explain.trace.expansion import has_batch, without_batch
from pellucid.graph import Tensor
from pellucid.nn.axes import Axes
from pellucid.op import Array
from pellucid.pictures.colors import STEPS, limits

ALL = slice(None)
MISSING = 255
"""The byte of what is no number."""


class LayerMaps:
    """The values of a layer, or its gradient, as `maps`: of a dense layer a map of one cell for each unit, of a sequence one map."""

    def __init__(self, layer: Activation, gradient: bool = False) -> None:
        self.layer, self.gradient = layer, gradient
        values = layer.channels_first(layer.gradient if gradient else layer.value)
        shape = values.shape
        if not values.size:
            raise LayerError(f"{layer.name}: its output {shape} has no values to look at")
        self.shape = shape
        self.maps = as_maps(values)

    @property
    def count(self) -> int:
        """How many maps there are."""
        return len(self.maps)

    @property
    def size(self) -> list[int]:
        """Rows and columns of each."""
        return list(self.maps.shape[1:])

    @cached_property
    def signed(self) -> bool:
        """Whether some are below zero, or may be."""
        return self.gradient or bool((self.maps < 0).any())

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Where the scale of all maps ends; about zero where some are below."""
        return self.ends_of(self.maps)

    def ends_of(self, values: Array) -> tuple[float, float]:
        """The same of some of them."""
        return limits(values, self.signed)

    def strongest(self) -> Array:
        """The numbers of the maps, the largest by absolute value first."""
        return np.argsort(-np.abs(self.maps.reshape(self.count, -1)).max(1), kind="stable")

    def sampled(self, side: int, numbers: Array | slice = ALL) -> Array:
        """Maps, all unless numbered, with at most `side` rows and columns, the others left out; whole for 0."""
        rows, columns = (_some(length, side) for length in self.size)
        return self.maps[numbers][:, rows][:, :, columns]

    def number(self, number: int) -> int:
        """The number of a map; raises `LayerError` where there is none of it."""
        if not 0 <= number < self.count:
            raise LayerError(f"{self.layer.name}: has maps 0 to {self.count - 1}, there is no map {number}")
        return number

    def place(self, number: int, cell: tuple[int, int]) -> tuple[int, ...]:
        """The index in the layer's own order of a cell of a map; raises `LayerError` where there is none."""
        rows, columns = self.size
        if not (0 <= cell[0] < rows and 0 <= cell[1] < columns):
            raise LayerError(
                f"{self.layer.name}: its maps have {rows} rows and {columns} columns, there is no cell {cell}"
            )
        flat = np.ravel_multi_index((number, *cell), self.maps.shape)
        place = [int(k) for k in np.unravel_index(flat, self.shape)] if self.shape else []
        if axis := self._axis:
            place.insert(axis, place.pop(0))
        return tuple(place)

    def cell_of(self, place: tuple[int, ...]) -> tuple[int, tuple[int, int]]:
        """The map and the cell where an index of the layer's own is."""
        axis = self._axis
        first = (place[axis], *place[:axis], *place[axis + 1 :]) if axis else place
        flat = np.ravel_multi_index(first, self.shape) if self.shape else 0
        number, row, column = (int(k) for k in np.unravel_index(flat, self.maps.shape))
        return number, (row, column)

    @property
    def _axis(self) -> int:
        """Which of the layer's axes counts the maps, where they are not the first."""
        node = self.layer.node
        return self.layer.trace.prepared.axes.channel_axis(node) - 1 if len(self.shape) == 3 and has_batch(node) else 0


def size_of(node: Tensor, axes: Axes) -> tuple[int, int, int]:
    """How many maps a layer's output is, and the rows and columns of each: those of its `LayerMaps`, without its values."""
    count, *rest = without_batch(node, node.shape) or (1,)
    if len(rest) == 1:
        return 1, count, rest[0]
    if len(rest) == 2 and has_batch(node):
        shape = [count, *rest]
        count = shape.pop(axes.channel_axis(node) - 1)
        rest = shape
    return count, rest[0] if rest else 1, math.prod(rest[1:])


def _some(length: int, side: int) -> Array:
    if not side or length <= side:
        return np.arange(length)
    return np.linspace(0, length - 1, side).round().astype(int)


def bytes_of(values: Array, ends: tuple[float, float]) -> dict[str, Any]:
    """Values between two ends as bytes, the last axis running fastest, with the shape (in base64); what is not finite is missing."""
    low, high = ends
    numbers = np.asarray(values, np.float64)
    finite = np.isfinite(numbers)
    known = np.clip(np.where(finite, numbers, low), low, high)
    share = (known - low) / (high - low) if high > low else np.full(numbers.shape, 0.5 * (low < 0))
    steps = np.where(finite, np.round(share * STEPS), MISSING).astype(np.uint8)
    return {"shape": list(values.shape), "low": low, "high": high, "bytes": base64.b64encode(steps.tobytes()).decode()}
