"""Rows of numbers that are no pictures, made ready for a network: every feature by its mean and spread."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.image import Preprocessing
from pellucid.data.sample import Array, Inputs
from pellucid.given import settle
from pellucid.plain import PlainError, read

AT_ONCE = 2**20  # numbers


@dataclass(frozen=True)
class Standardization:
    """(x - mean) / std of each feature (F,), or of each channel (C, ...), for rows of `shape`."""

    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        settle(self, DataError, "standardization: ")
        if not self.shape or min(self.shape) < 1 or math.prod(self.shape) >= 2**40:
            raise DataError(f"standardization: rows must have sizes of 1 or more, got {self.shape}")
        if not len(self.mean) == len(self.std) == self.shape[0]:
            raise DataError(
                f"standardization: {self.shape[0]} features want as many means and stds, got {len(self.mean)} and {len(self.std)}"
            )
        if not all(math.isfinite(m) and math.isfinite(s) and s > 0 for m, s in zip(self.mean, self.std, strict=True)):
            raise DataError(
                f"standardization: mean must be finite and std a positive number, got {self.mean} and {self.std}"
            )

    @classmethod
    def of(cls, dataset: Inputs) -> Standardization:
        """By mean and spread of a data set; a feature that is always the same is left as large as it is."""
        shape, count = tuple(dataset.shape), len(dataset)
        step = max(1, AT_ONCE // max(1, math.prod(shape)))
        parts = [np.arange(start, min(start + step, count)) for start in range(0, count, step)]
        others = tuple(range(2, len(shape) + 1))

        def total(lifted: Array | float, power: int) -> Array:
            """The sum over all rows of the mean of (x - lifted)**power of each feature."""
            values = (((dataset.images(p) - lifted) ** power).mean(others, dtype=np.float64).sum(0) for p in parts)
            return sum(values, np.zeros(shape[0]))

        with np.errstate(over="ignore", invalid="ignore"):
            mean = total(0.0, 1) / count
            std = np.sqrt(total(mean.reshape(-1, *(1,) * len(others)), 2) / count)
        std[std <= 1e-12 * np.abs(mean)] = 1.0
        if not np.isfinite([mean, std]).all():
            raise DataError(f"{dataset.name}: holds numbers that are not finite; leave out the rows that have them")
        std[std == 0] = 1.0
        return cls(shape, tuple(mean.tolist()), tuple(std.tolist()))

    def normalize(self, images: Array) -> Array:
        """Rows (..., *shape) as a network's input, float32."""
        mean, std = self._lifted
        return ((images - mean) / std).astype(np.float32)

    def denormalize(self, values: Array) -> Array:
        """The inverse of `normalize`, float64."""
        mean, std = self._lifted
        return values * std + mean

    @property
    def _lifted(self) -> tuple[Array, Array]:
        sizes = (-1, *(1,) * (len(self.shape) - 1))
        return np.array(self.mean).reshape(sizes), np.array(self.std).reshape(sizes)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


Preparation = Preprocessing | Standardization
"""How an example becomes a network's input: a picture, or a row of numbers."""


def preparation_of(plain: dict[str, Any]) -> Preparation:
    """The one whose `to_dict` gave this; raises `DataError` for what is none."""
    if "image_size" in plain or "shape" not in plain:
        return Preprocessing.from_dict(plain)
    try:
        return read(Standardization, plain, "preprocessing")
    except PlainError as error:
        raise DataError(str(error)) from error
