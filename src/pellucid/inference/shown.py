"""Pictures as networks take them, made into pictures for people."""

from __future__ import annotations

import numpy as np

from pellucid.data import Preprocessing
from pellucid.op import Array
from pellucid.pictures.colors import limits


def as_pixels(values: Array, preprocessing: Preprocessing | None = None) -> tuple[Array, str]:
    """A network's input (C, H, W) as uint8 of the same shape, and how it was scaled, in words.

    Without `preprocessing` black is the smallest value and white the largest that is finite; NaN is the gray between.
    """
    if preprocessing is not None:
        return preprocessing.denormalize(values), "as the picture whose input it is"
    low, high = limits(values)
    share = (np.clip(values, low, high) - low) / (high - low) if high > low else np.full(values.shape, 0.5)
    share = np.nan_to_num(share, nan=0.5)
    return np.round(255 * share).astype(np.uint8), f"from {low:z.4g} (black) to {high:z.4g} (white)"


def as_ground(values: Array) -> Array:
    """A network's input as a picture to draw on, uint8 with 1 or 3 channels: the mean of other numbers of channels.

    Of what is no picture (C, H, W) the last two axes are rows and columns: a signal (C, L) has a row for each channel.
    """
    placed = values if values.ndim == 3 else values.reshape(-1, *(1, 1, *values.shape)[-2:])
    pixels, _ = as_pixels(placed.astype(np.float64))
    return pixels if len(pixels) in (1, 3) else np.round(pixels.mean(0, keepdims=True)).astype(np.uint8)
