"""Pictures as networks take them, made into pictures for people."""

from __future__ import annotations

import numpy as np

from pellucid.data import Preprocessing
from pellucid.op import Array


def as_pixels(values: Array, preprocessing: Preprocessing | None = None) -> tuple[Array, str]:
    """A network's input (C, H, W) as uint8 with 1 or 3 channels, and how it was scaled, in words.

    Without `preprocessing` black is the smallest value and white the largest. What has another number of channels is
    shown by their mean.
    """
    if preprocessing is not None:
        return preprocessing.denormalize(values), "as the picture whose input it is"
    shown = values if len(values) in (1, 3) else values.mean(0, keepdims=True)
    low, high = float(shown.min()), float(shown.max())
    share = (shown - low) / (high - low) if high > low else np.full(shown.shape, 0.5)
    return np.round(255 * share).astype(np.uint8), f"from {low:.4g} (black) to {high:.4g} (white)"
