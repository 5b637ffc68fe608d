"""What three ways to connect make of a picture that moves: only shared weights move along with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import nn, ops
from pellucid.errors import PellucidError
from pellucid.executors import run
from pellucid.graph import Tensor, input
from pellucid.op import Array
from pellucid.pictures import Answer, Grid, Maps, Page
from pellucid.seeds import random_numbers
from pellucid.studies.shifts import shifted

MOST_SIDE = 48
"""Rows and columns of the picture: a fully connected layer has a weight for each pair of pixels."""
POOL = 2


class MovingError(PellucidError, ValueError):
    """A picture, a kernel or a shift that cannot be tested."""


@dataclass(frozen=True)
class Moved:
    """One layer: what it makes of the picture (OH, OW) and of the shifted picture, and how far these are from one another.

    `off` is the distance of the second from the first moved by the same shift, where both see the picture: 0 says that the
    layer moves along. `change` is their distance in place, `pooled` that of their max pooling; all relative, Euclidean norms.
    """

    name: str
    before: Array
    after: Array
    off: float
    change: float
    pooled: float


@dataclass(frozen=True)
class ShiftTest(Answer):
    """A picture (H, W), the same shifted by `shift` (down, right) pixels, and what three layers with weights drawn by `seed` make of both."""

    image: Array
    moved: Array
    shift: tuple[int, int]
    kernel: int
    seed: int
    layers: tuple[Moved, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        layers = {
            one.name: {
                "before": one.before.tolist(),
                "after": one.after.tolist(),
                "off": one.off,
                "change": one.change,
                "pooled": one.pooled,
            }
            for one in self.layers
        }
        return {
            "image": self.image.tolist(),
            "moved": self.moved.tolist(),
            "shift": list(self.shift),
            "kernel": self.kernel,
            "seed": self.seed,
            "layers": layers,
        }

    def grid(self) -> Grid:
        """How far each layer's outputs are apart."""
        rows = [[one.name, *(f"{value:.1%}" for value in (one.off, one.change, one.pooled))] for one in self.layers]
        titles = ["layer", "off, moved along", "changed in place", "after max pooling"]
        return Grid(titles, rows, "lrrr", title=self.words)

    @property
    def words(self) -> str:
        """What was done."""
        down, right = self.shift
        return f"A picture of {'x'.join(map(str, self.image.shape))}, shifted by {down} down and {right} right"

    def picture(self) -> Page:
        """The table, the pictures, and the layers' outputs."""
        pictures = Maps(
            "The picture, and shifted", np.stack([self.image, self.moved]), captions=("picture", "shifted"), columns=2
        )
        outputs = [
            Maps(
                one.name,
                np.stack([one.before, one.after]),
                captions=("of the picture", "of the shifted one"),
                columns=2,
            )
            for one in self.layers
        ]
        return Page(self.words, (self.grid(), pictures, *outputs))

    def __str__(self) -> str:
        return f"{self.words}\n\n{self.grid()}"


def shift_test(image: Array, shift: tuple[int, int] = (0, 1), kernel: int = 3, seed: int = 0) -> ShiftTest:
    """Shift a gray picture (H, W), 0 to 255, by whole pixels (down, right), and compare what three layers make of both.

    Each makes one map of (H - kernel + 1) x (W - kernel + 1) cells: a fully connected layer, one with a kernel of its own at
    every place, and a convolution. Weights are drawn from `seed`, as for a network that has not learned yet, such that their
    squares add up to 1 at each cell. What comes in at the picture's edge repeats it. Raises `MovingError`.
    """
    pixels = np.asarray(image)
    if pixels.ndim != 2 or min(pixels.shape, default=0) < 2 or max(pixels.shape) > MOST_SIDE:
        raise MovingError(
            f"image: rows and columns of pixels, 2 to {MOST_SIDE} of each, got an array of {pixels.shape}"
        )
    rows, columns = pixels.shape
    if not 1 <= kernel <= min(rows, columns) - 1:
        raise MovingError(f"kernel: from 1 to {min(rows, columns) - 1} for a picture of {rows}x{columns}, got {kernel}")
    cells = rows - kernel + 1, columns - kernel + 1
    if abs(shift[0]) >= cells[0] or abs(shift[1]) >= cells[1]:
        raise MovingError(f"shift: less than {cells[0]} down and {cells[1]} right, got {shift[0]} and {shift[1]}")
    before = np.clip(pixels, 0, 255).astype(np.uint8)
    after = shifted(before[None, None], *shift)[0, 0]
    layers = _layers(before.shape, cells, kernel, seed)
    found = tuple(_moved(name, net, before, after, shift, cells) for name, net in layers.items())
    return ShiftTest(before.astype(np.float64), after.astype(np.float64), shift, kernel, seed, found)


def _layers(shape: tuple[int, ...], cells: tuple[int, int], kernel: int, seed: int) -> dict[str, nn.Module]:
    rows, columns = shape
    places = cells[0] * cells[1]
    drawn = random_numbers(seed)

    def weights(*size: int, axis: int) -> Array:
        raw = drawn.standard_normal(size)
        return raw / np.linalg.norm(raw, axis=axis, keepdims=True)

    full = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(rows * columns, places, bias=False, dtype="float64"))
    local = nn.LocallyConnected2d(1, 1, (rows, columns), kernel, bias=False, dtype="float64")
    shared = nn.Conv2d(1, 1, kernel, bias=False, dtype="float64")
    full.load_state_dict({"fc.weight": weights(places, rows * columns, axis=1)})
    local.load_state_dict({"weight": weights(places, kernel * kernel, 1, axis=1)})
    shared.load_state_dict({"weight": weights(1, kernel * kernel, axis=1).reshape(1, 1, kernel, kernel)})
    return {"fully connected": full, "locally connected": local, "convolution": shared}


def _moved(
    name: str, net: nn.Module, before: Array, after: Array, shift: tuple[int, int], cells: tuple[int, int]
) -> Moved:
    x = input((2, 1, *before.shape), "float64", "x")
    maps: Tensor = ops.reshape(net(x), (2, 1, *cells))
    pools = [maps, ops.max_pool2d(maps, POOL)] if min(cells) >= POOL else [maps, maps]
    outputs, pooled = run(pools, {"x": np.stack([before, after])[:, None].astype(np.float64)})
    first, second = outputs[:, 0]
    down, right = shift
    here = second[_part(down, cells[0]), _part(right, cells[1])]
    there = first[_part(-down, cells[0]), _part(-right, cells[1])]
    return Moved(name, first, second, _distance(here, there), _distance(second, first), _distance(*pooled[::-1, 0]))


def _part(step: int, count: int) -> slice:
    """What of `count` cells is still there after a step."""
    return slice(max(0, step), count + min(0, step))


def _distance(one: Array, other: Array) -> float:
    size = float(np.linalg.norm(other))
    return float(np.linalg.norm(one - other)) / size if size else float(np.any(one != other))
