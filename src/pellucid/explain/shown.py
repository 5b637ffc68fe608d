"""Pictures as networks take them, made into pictures for people."""

from __future__ import annotations

import numpy as np

from pellucid.op import Array


def as_pixels(image: Array) -> tuple[Array, str]:
    """A network's input (C, H, W) as uint8 with 1 or 3 channels, black being its smallest value, and that in words.

    What has another number of channels is shown by their mean.
    """
    values = image if len(image) in (1, 3) else image.mean(0, keepdims=True)
    low, high = float(values.min()), float(values.max())
    share = (values - low) / (high - low or 1.0)
    return np.round(255 * share).astype(np.uint8), f"from {low:.4g} (black) to {high:.4g} (white)"
