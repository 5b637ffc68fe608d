"""Pictures of a batch mixed with others of it, and their targets likewise: mixup and cutmix."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.sample import Array
from pellucid.given import settle

UNITS = 2**24
"""Shares are whole numbers of so many parts, so that they stand beside class numbers, and are exact in float32."""


@dataclass(frozen=True)
class Mix:
    """What each example of a batch is mixed with: the position of the `others` in the batch, int64 (N,), and the share
    that is `kept` of its own, int64 (N,) in `UNITS`. Where a box of the other one is shown `boxes`, int64 (N, 4), has its
    first row and column, number of rows and columns, else zeros.
    """

    others: Array
    kept: Array
    boxes: Array

    def pasted(self, images: Array) -> Array:
        """`images` (N, C, H, W) with the boxes of the others in them; any other examples as they are."""
        if not self.boxes.any():
            return images
        changed = images.copy()
        for image, other, (top, left, rows, columns) in zip(changed, self.others, self.boxes, strict=True):
            box = np.s_[:, top : top + rows, left : left + columns]
            image[box] = images[other][box]
        return changed

    def blended(self, examples: Array) -> Array:
        """`examples` float32 (N, ...), those without a box as weighted means with the others."""
        kept = np.where(self.boxes.any(1), UNITS, self.kept)
        return examples if (kept == UNITS).all() else self._mean(examples, kept)

    def targets(self, targets: Array) -> Array:
        """Targets (N, ...) of the mixed examples: of numbers the weighted means; of classes int64 (N, 3), the own one, the
        other one and the share of the own.
        """
        if targets.dtype.kind == "f":
            return self._mean(targets, self.kept)
        return np.stack([targets, targets[self.others], self.kept], 1)

    def _mean(self, values: Array, kept: Array) -> Array:
        share = (kept / UNITS).astype(values.dtype).reshape(-1, *(1,) * (values.ndim - 1))
        return values * share + values[self.others] * (1 - share)


@dataclass(frozen=True)
class Mixing:
    """Mixed batches: `mixup` (Zhang et al. 2018) and `cutmix` (Yun et al. 2019) are the alpha of the share's distribution
    Beta(alpha, alpha), 0 for none. With both, one of them is drawn each time.

    Of a batch each `part` of so many examples is mixed by itself, with a share of its own; 0 mixes it whole.
    """

    mixup: float = 0.0
    cutmix: float = 0.0
    part: int = 0

    def __post_init__(self) -> None:
        settle(self, DataError)
        for name in ("mixup", "cutmix"):
            alpha = getattr(self, name)
            if not (math.isfinite(alpha) and alpha >= 0):
                raise DataError(f"{name} must be a number of at least 0, the alpha of Beta(alpha, alpha), got {alpha}")

    @property
    def active(self) -> bool:
        return self.mixup > 0 or self.cutmix > 0

    def require_mixable(self, name: str, shape: tuple[int, ...], targets: Array) -> None:
        """Raise `DataError` where examples of this shape, or their targets (N, ...), cannot be mixed."""
        if self.cutmix and len(shape) != 3:
            raise DataError(f"cutmix is for pictures (C, H, W), the examples of {name} are {shape}; leave it out")
        if self.active and targets.dtype.kind != "f" and targets.ndim != 1:
            raise DataError(
                f"mixup and cutmix mix classes (N,) or floats, the targets of {name} are {targets.dtype} {targets.shape}"
            )

    def draw(self, count: int, random: np.random.Generator, shape: tuple[int, ...]) -> Mix:
        """How a batch of `count` examples of `shape` is mixed; one alone stays as it is."""
        others, kept = np.arange(count), np.full(count, UNITS)
        boxes = np.zeros((count, 4), np.int64)
        size = self.part or count
        for start in range(0, count, size):
            some = slice(start, min(start + size, count))
            if some.stop - start > 1:
                kept[some], boxes[some] = self._share(random, shape)
                others[some] = start + random.permutation(some.stop - start)
        return Mix(others, kept, boxes)

    def _share(self, random: np.random.Generator, shape: tuple[int, ...]) -> tuple[int, tuple[int, int, int, int]]:
        """The share that is kept in `UNITS`, and the box."""
        cuts = self.cutmix > 0 and (not self.mixup or random.random() < 0.5)
        alpha = self.cutmix if cuts else self.mixup
        share = float(random.beta(alpha, alpha))
        if not cuts:
            return round(share * UNITS), (0, 0, 0, 0)
        top, bottom = _side(math.sqrt(1 - share), shape[-2], random)
        left, right = _side(math.sqrt(1 - share), shape[-1], random)
        rows, columns = bottom - top, right - left
        whole = shape[-2] * shape[-1]
        # what of the box lies outside of the picture is not shown, and not counted
        return round((1 - rows * columns / whole) * UNITS), (top, left, rows, columns)


def _side(share: float, length: int, random: np.random.Generator) -> tuple[int, int]:
    """From where to where a box goes along a side: this share of its `length`, around a middle drawn evenly."""
    cut, middle = int(length * share), int(random.integers(length))
    return max(middle - cut // 2, 0), min(middle + cut // 2, length)
