"""Random changes of pictures that keep the label: what is drawn for each picture, and a whole batch changed at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.sample import Array

POINTS_AT_ONCE = 2**15  # so that what is computed on the way stays in the processor's cache


@dataclass(frozen=True)
class Augmentation:
    """Random changes that keep the label: mirror image, shift by up to `shift` pixels, turn by up to `rotation` degrees."""

    flip: bool = False
    shift: int = 0
    rotation: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.shift <= 10_000 or not 0 <= self.rotation <= 180:
            raise DataError(
                f"augmentation: shift must lie in [0, 10000] and rotation in [0, 180], got {self.shift} and {self.rotation}"
            )

    @property
    def active(self) -> bool:
        return self.flip or self.shift > 0 or self.rotation > 0

    def draw(self, count: int, random: np.random.Generator) -> Array:
        """Changes of `count` pictures, float32 (count, 5): side (1 or, mirrored, -1), rows, columns, cosine, sine."""
        mirrored, down, across, turn = random.random((count, 4)).T
        angle = np.deg2rad((2 * turn - 1) * self.rotation)
        changes = np.empty((count, 5), np.float32)
        changes[:, 0] = np.where(self.flip & (mirrored < 0.5), -1, 1)
        changes[:, 1] = np.floor(down * (2 * self.shift + 1)) - self.shift
        changes[:, 2] = np.floor(across * (2 * self.shift + 1)) - self.shift
        changes[:, 3], changes[:, 4] = np.cos(angle), np.sin(angle)
        return changes


def augment(images: Array, changes: Array) -> Array:
    """`images` uint8 (N, C, H, W), each changed by its row of `changes` (N, 5): mirrored, turned, shifted.

    A pixel of a changed picture is looked up at the point it came from, between four pixels where pictures are turned.
    What comes in from outside repeats the edge.
    """
    changed, turned = np.empty_like(images), bool(changes[:, 4].any())
    height, width = images.shape[2:]
    step = max(1, POINTS_AT_ONCE // (height * width))
    for start in range(0, len(images), step):
        some = slice(start, start + step)
        rows, columns = _origins(changes[some], height, width)
        changed[some] = _bilinear(images[some], rows, columns) if turned else _nearest(images[some], rows, columns)
    return changed


def _origins(changes: Array, height: int, width: int) -> tuple[Array, Array]:
    """Row and column, float32 (N, H, W), from which each pixel of the changed pictures comes."""
    side, down, across, cosine, sine = changes.T[:, :, None]
    middle, center = np.float32((height - 1) / 2), np.float32((width - 1) / 2)
    y = np.clip(np.arange(height, dtype=np.float32) + down, 0, height - 1) - middle
    x = np.clip(np.arange(width, dtype=np.float32) + across, 0, width - 1) - center
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
    pixels = np.append(images, np.zeros(width + 1, np.uint8)).astype(np.float32)

    def between_columns(offset: int) -> Array:
        one, other = pixels[offset:].take(corner), pixels[offset + 1 :].take(corner)
        other -= one
        other *= across
        other += one
        return other

    result = np.empty_like(images)
    for channel in range(channels):
        upper, lower = between_columns(channel * area), between_columns(channel * area + width)
        lower -= upper
        lower *= down
        lower += upper
        result[:, channel] = np.rint(lower, out=lower)
    return result


def _positions(rows: Array, columns: Array, width: int) -> Array:
    """Positions in a plane of pixels, int32, of whole `rows` and `columns`."""
    return rows.astype(np.int32) * np.int32(width) + columns.astype(np.int32)
