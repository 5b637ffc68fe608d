"""Random changes of pictures that keep the label: what is drawn for each picture, and a whole batch changed at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from pellucid.data.colors import recolored, wiped
from pellucid.data.errors import DataError
from pellucid.data.sample import Array
from pellucid.given import settle

POINTS_AT_ONCE = 2**15  # so that what is computed on the way stays in the processor's cache
_MOVES, _WINDOW, _COLORS, _BOX = slice(0, 5), slice(5, 9), slice(9, 13), slice(13, 17)
"""Where the parts of a change stand in its row; one of 5 columns has the first alone."""
_WHOLE, _AS_IS = np.array([1, 1, 0, 0], np.float32), np.array([1, 1, 1, 0], np.float32)
"""The window that shows the picture as it is, and the colors."""
_ERASED_AREA, _ERASED_RATIO = (0.02, 0.33), (0.3, 3.3)
"""Share of the picture and rows over columns of a box that is wiped out (Zhong et al. 2020, as in torchvision)."""


@dataclass(frozen=True)
class Augmentation:
    """Random changes that keep the label.

    flip: mirror half of the pictures.
    shift, rotation: move by up to so many pixels, turn by up to so many degrees.
    zoom: make larger or smaller by up to this share.
    crop_scale, crop_ratio: show a window of this share of the picture's area, as large as the picture; columns over rows
    of the window in pixels (random resized crop). One that does not fit is cut to the picture's sides.
    brightness, contrast, saturation: multiply by a factor in [1 - this, 1 + this].
    hue: turn colors by up to this share of the color wheel.
    erasing: how likely a box of the picture is wiped out.
    """

    flip: bool = False
    shift: int = 0
    rotation: float = 0.0
    zoom: float = 0.0
    crop_scale: tuple[float, float] = (1.0, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    erasing: float = 0.0

    def __post_init__(self) -> None:
        settle(self, DataError, "augmentation: ")
        if not 0 <= self.shift <= 10_000 or not 0 <= self.rotation <= 180:
            raise DataError(
                f"augmentation: shift must lie in [0, 10000] and rotation in [0, 180], got {self.shift} and {self.rotation}"
            )
        for name, high in (("brightness", 1), ("contrast", 1), ("saturation", 1), ("hue", 0.5), ("erasing", 1)):
            if not 0 <= getattr(self, name) <= high:
                raise DataError(f"augmentation: {name} must lie in [0, {high}], got {getattr(self, name)}")
        if not 0 <= self.zoom < 1:
            raise DataError(f"augmentation: zoom must lie in [0, 1), got {self.zoom}")
        for name, high in (("crop_scale", 1.0), ("crop_ratio", 100.0)):
            given: Any = getattr(self, name)
            low, top = given if isinstance(given, tuple | list) and len(cast(Any, given)) == 2 else (0, 0)
            if not 0.01 <= low <= top <= high:
                raise DataError(
                    f"augmentation: {name} must be two numbers in [0.01, {high:g}], the smaller first, got {given}"
                )

    @property
    def active(self) -> bool:
        return self.moves or self.recolors or self.erasing > 0

    @property
    def moves(self) -> bool:
        """Whether pixels change their places."""
        return self.flip or self.shift > 0 or self.rotation > 0 or self._scales

    @property
    def recolors(self) -> bool:
        """Whether pixels change their values."""
        return max(self.brightness, self.contrast, self.saturation, self.hue) > 0

    @property
    def _scales(self) -> bool:
        return self.zoom > 0 or self.crop_scale != (1.0, 1.0)

    def draw(self, count: int, random: np.random.Generator, size: tuple[int, int] = (1, 1)) -> Array:
        """Changes of `count` pictures of `size` (H, W), float32 (count, 5 or 17).

        Side (1 or, mirrored, -1), rows, columns, cosine, sine. Where more is asked for also rows and columns of the window as
        shares of the picture's, and how far its middle is from the picture's; brightness, contrast, saturation, hue; the
        box that is wiped out: first row and column, number of rows and columns.
        """
        mirrored, down, across, turn = random.random((count, 4)).T
        angle = np.deg2rad((2 * turn - 1) * self.rotation)
        changes = np.zeros((count, 17), np.float32)
        changes[:, 0] = np.where(self.flip & (mirrored < 0.5), -1, 1)
        changes[:, 1] = np.floor(down * (2 * self.shift + 1)) - self.shift
        changes[:, 2] = np.floor(across * (2 * self.shift + 1)) - self.shift
        changes[:, 3], changes[:, 4] = np.cos(angle), np.sin(angle)
        if not (self._scales or self.recolors or self.erasing):
            return changes[:, _MOVES]
        changes[:, _WINDOW] = self._windows(random.random((count, 5)), size)
        changes[:, _COLORS] = self._colors(random.random((count, 4)))
        changes[:, _BOX] = self._boxes(random.random((count, 5)), size)
        return changes

    def _windows(self, draws: Array, size: tuple[int, int]) -> Array:
        area, ratio, top, left, zoom = draws.T
        rows, columns = _sides(area, ratio, self.crop_scale, self.crop_ratio, size)
        if self.crop_scale == (1.0, 1.0):
            rows, columns = np.ones_like(rows), np.ones_like(columns)
        larger = 1 + (2 * zoom - 1) * self.zoom
        middle = (top - 0.5) * (1 - rows) * size[0], (left - 0.5) * (1 - columns) * size[1]
        return np.stack([rows / larger, columns / larger, *middle], 1)

    def _colors(self, draws: Array) -> Array:
        spread = np.array([self.brightness, self.contrast, self.saturation, self.hue])
        return (2 * draws - 1) * spread + np.array([1, 1, 1, 0])

    def _boxes(self, draws: Array, size: tuple[int, int]) -> Array:
        likely, area, ratio, top, left = draws.T
        share = _sides(area, ratio, _ERASED_AREA, _ERASED_RATIO, size)
        rows, columns = (np.maximum(1, np.rint(s * side)) for s, side in zip(share, size, strict=True))
        box = np.stack(
            [np.floor(top * (size[0] - rows + 1)), np.floor(left * (size[1] - columns + 1)), rows, columns], 1
        )
        return box * (likely < self.erasing)[:, None]


def _sides(
    area: Array, ratio: Array, areas: tuple[float, float], ratios: tuple[float, float], size: tuple[int, int]
) -> tuple[Array, Array]:
    """Rows and columns of windows as shares of a picture's, of draws in [0, 1): the area evenly, the ratio's logarithm too."""
    found = areas[0] + area * (areas[1] - areas[0])
    wide = np.exp(math.log(ratios[0]) + ratio * math.log(ratios[1] / ratios[0])) * (size[0] / size[1])
    return np.minimum(np.sqrt(found / wide), 1), np.minimum(np.sqrt(found * wide), 1)


def augment(images: Array, changes: Array, fill: Array | None = None) -> Array:
    """`images` (N, C, H, W), each changed by its row of `changes` (N, 5 or 17), see `Augmentation.draw`.

    A pixel of a changed picture is looked up at the point it came from, between four pixels where pictures are turned or
    scaled. What comes in from outside repeats the edge. Colors are those of bytes; boxes are filled with `fill` (C,), 0 if none.
    """
    whole = changes.shape[1] > 5
    window = changes[:, _WINDOW] if whole else np.broadcast_to(_WHOLE, (len(changes), 4))
    between = bool(changes[:, 4].any() or (window != _WHOLE).any())
    changed = np.empty_like(images)
    height, width = images.shape[2:]
    step = max(1, POINTS_AT_ONCE // (height * width))
    for start in range(0, len(images), step):
        some = slice(start, start + step)
        rows, columns = _origins(changes[some, _MOVES], window[some], height, width)
        changed[some] = _bilinear(images[some], rows, columns) if between else _nearest(images[some], rows, columns)
        if whole and (changes[:, _COLORS] != _AS_IS).any():
            changed[some] = recolored(changed[some], *changes[some, _COLORS].T)
    if whole and changes[:, _BOX].any():
        nothing = np.zeros(images.shape[1], images.dtype)
        changed = wiped(changed, changes[:, _BOX], nothing if fill is None else fill)
    return changed


def _origins(moves: Array, window: Array, height: int, width: int) -> tuple[Array, Array]:
    """Row and column, float32 (N, H, W), from which each pixel of the changed pictures comes."""
    side, down, across, cosine, sine = moves.T[:, :, None]
    tall, wide, lower, righter = window.T[:, :, None]
    middle, center = np.float32((height - 1) / 2), np.float32((width - 1) / 2)
    y = (np.clip(np.arange(height, dtype=np.float32) + down, 0, height - 1) - middle) * tall + lower
    x = (np.clip(np.arange(width, dtype=np.float32) + across, 0, width - 1) - center) * wide + righter
    rows = (cosine * y + middle)[:, :, None] - (sine * x)[:, None, :]
    columns = (side * sine * y + center)[:, :, None] + (side * cosine * x)[:, None, :]
    return np.clip(rows, 0, height - 1, out=rows), np.clip(columns, 0, width - 1, out=columns)


def _nearest(images: Array, rows: Array, columns: Array) -> Array:
    """`images` uint8 (N, C, H, W) at whole `rows` and `columns` (N, H, W)."""
    count, channels, height, width = images.shape
    planes = np.arange(count * channels).reshape(count, channels, 1, 1) * (height * width)
    return images.ravel().take(planes + _positions(rows, columns, width)[:, None])


def _bilinear(images: Array, rows: Array, columns: Array) -> Array:
    """`images` uint8 (N, C, H, W) between the four pixels around `rows` and `columns` (N, H, W)."""
    count, channels, height, width = images.shape
    area = height * width
    top, left = np.floor(rows), np.floor(columns)
    down, across = rows - top, columns - left
    corner = np.arange(count)[:, None, None] * (channels * area) + _positions(top, left, width)
    # a neighbor past the last row or column has weight 0, so it may be any pixel; the very last ones need some after them
    pixels = np.append(images, np.zeros(width + 1, images.dtype)).astype(np.float32)

    def between_columns(offset: int) -> Array:
        one, other = pixels[offset:].take(corner), pixels[offset + 1 :].take(corner)
        other -= one
        other *= across
        other += one
        return other

    result, whole = np.empty_like(images), images.dtype.kind in "iu"
    for channel in range(channels):
        upper, lower = between_columns(channel * area), between_columns(channel * area + width)
        lower -= upper
        lower *= down
        lower += upper
        result[:, channel] = np.rint(lower, out=lower) if whole else lower
    return result


def _positions(rows: Array, columns: Array, width: int) -> Array:
    """Positions in a plane of pixels, int32, of whole `rows` and `columns`."""
    return rows.astype(np.int32) * np.int32(width) + columns.astype(np.int32)
