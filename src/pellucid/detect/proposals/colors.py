"""Pictures in other spaces of color, each channel from 0 to 255."""

from __future__ import annotations

import numpy as np

from pellucid.plain import Array

_TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_WHITE = np.array([0.950456, 1.0, 1.088754])


def hsv(image: Array) -> Array:
    """Hue, saturation and value of a picture in RGB, (3, H, W): float32."""
    red, green, blue = image.astype(np.float32) / 255.0
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    spread = high - low
    safe = np.where(spread > 0, spread, 1.0)
    sector = np.where(
        high == red,
        (green - blue) / safe % 6.0,
        np.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = np.where(spread > 0, sector / 6.0, 0.0)
    return (np.stack([hue, spread / np.where(high > 0, high, 1.0), high]) * 255.0).astype(np.float32)


def lab(image: Array) -> Array:
    """CIE's lightness and two opponents of a picture in sRGB, (3, H, W), moved into 0 to 255: float32."""
    rgb = image.astype(np.float64) / 255.0
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = np.einsum("ij,jhw->ihw", _TO_XYZ, linear) / _WHITE[:, None, None]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16.0 / 116.0)
    return np.stack([(116.0 * y - 16.0) * 2.55, 500.0 * (x - y) + 128.0, 200.0 * (y - z) + 128.0]).astype(np.float32)


SPACES = {"hsv": hsv, "lab": lab}
