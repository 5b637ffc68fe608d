"""Random changes of a picture's colors, and boxes of it that are wiped out: what they do to a batch."""

from __future__ import annotations

import numpy as np

from pellucid.data.sample import Array

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""How bright the eye takes red, green and blue to be (ITU-R BT.601)."""
_TOP = 255.0


def recolored(images: Array, brightness: Array, contrast: Array, saturation: Array, hue: Array) -> Array:
    """`images` uint8 (N, C, H, W), changed by factors (N,) and by turns of the color wheel `hue` (N,), in this order.

    Brightness multiplies; contrast and saturation go from the mean gray of the picture, or the gray of each pixel, to the
    pixel and on. After each, values beyond 0 and 255 are cut off. Gray pictures have no saturation and no hue.
    """
    values = images.astype(np.float32)
    values *= _lifted(brightness)
    np.clip(values, 0, _TOP, out=values)
    if (contrast != 1).any():
        middle = _gray(values).mean((1, 2, 3), keepdims=True)
        values = np.clip(middle + (values - middle) * _lifted(contrast), 0, _TOP)
    if images.shape[1] == 3:
        if (saturation != 1).any():
            gray = _gray(values)
            values = np.clip(gray + (values - gray) * _lifted(saturation), 0, _TOP)
        if hue.any():
            values = _turned(values, hue)
    return np.rint(values, out=values).astype(np.uint8)


def wiped(images: Array, boxes: Array, fill: Array) -> Array:
    """`images` (N, C, H, W) with `fill` (C,) inside of `boxes` (N, 4): first row and column, number of rows and columns."""
    changed = images.copy()
    for image, (top, left, rows, columns) in zip(changed, boxes.astype(int), strict=True):
        image[:, top : top + rows, left : left + columns] = fill[:, None, None]
    return changed


def _gray(values: Array) -> Array:
    """(N, 1, H, W) of (N, C, H, W)."""
    if values.shape[1] != 3:
        return values.mean(1, keepdims=True)
    return np.einsum("nchw,c->nhw", values, _LUMA)[:, None]


def _turned(values: Array, hue: Array) -> Array:
    """Colors (N, 3, H, W) with their hue turned by `hue` (N,) of a full turn (Smith 1978)."""
    red, green, blue = values[:, 0], values[:, 1], values[:, 2]
    high, low = values.max(1), values.min(1)
    chroma = high - low
    width = np.where(chroma > 0, chroma, 1)
    place = np.where(
        high == red,
        (green - blue) / width,
        np.where(high == green, 2 + (blue - red) / width, 4 + (red - green) / width),
    )
    place = place + 6 * hue[:, None, None].astype(np.float32)
    turned = np.empty_like(values)
    for channel, start in enumerate((5, 3, 1)):
        k = (place + start) % 6
        turned[:, channel] = high - chroma * np.clip(np.minimum(k, 4 - k), 0, 1)
    return turned


def _lifted(factors: Array) -> Array:
    return factors.astype(np.float32)[:, None, None, None]
