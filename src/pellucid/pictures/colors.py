"""Colors of numbers: a scale that rises from dark to light, one that parts negative from positive, and those of lines."""

from __future__ import annotations

import base64
import io
import math

import numpy as np

from pellucid.plain import Array

LINES = (
    "#2563eb",
    "#d97706",
    "#059669",
    "#dc2626",
    "#7c3aed",
    "#0891b2",
    "#be185d",
    "#65a30d",
    "#64748b",
    "#92400e",
    "#f472b6",
    "#eab308",
)
RISING = ((26, 12, 60), (59, 47, 130), (33, 113, 142), (53, 168, 115), (180, 210, 52), (253, 231, 76))
SIGNED = ((33, 84, 168), (146, 190, 226), (247, 247, 247), (238, 160, 125), (178, 30, 45))

STEPS = 254
"""Between the ends of a scale: with gray for NaN 256 colors, a neutral one in the middle."""


def color(values: Array, low: float, high: float, signed: bool = False) -> Array:
    """uint8 (..., 3) colors of `values` between `low` and `high`; what is beyond takes the end's, NaN gray."""
    anchors = np.array(SIGNED if signed else RISING, np.float64)
    numbers = np.asarray(values, np.float64)
    if not math.isfinite(high - low):  # both near the largest number that there is
        numbers, low, high = numbers / 4, low / 4, high / 4
    share = np.clip(numbers, low, high) - low  # NaN stays
    share = share / (high - low) if high > low else share
    place = np.round(np.clip(np.nan_to_num(share, nan=0.5), 0, 1) * STEPS) / STEPS * (len(anchors) - 1)
    below = np.minimum(place.astype(int), len(anchors) - 2)
    rest = (place - below)[..., None]
    mixed = anchors[below] * (1 - rest) + anchors[below + 1] * rest
    mixed[np.isnan(share)] = 128
    return np.round(mixed).astype(np.uint8)


def limits(values: Array, signed: bool = False) -> tuple[float, float]:
    """The smallest and the largest finite value; about zero where `signed`."""
    finite = np.asarray(values, np.float64)[np.isfinite(values)]
    if not finite.size:
        return 0.0, 0.0
    if signed:
        size = float(np.abs(finite).max())
        return -size, size
    return float(finite.min()), float(finite.max())


def png(pixels: Array) -> bytes:
    """uint8 (H, W) or (H, W, 3) as a PNG file: of up to 256 colors with a table of these, which takes a third of the room."""
    from PIL import Image

    pixels = np.ascontiguousarray(pixels)
    picture = Image.fromarray(pixels)
    if pixels.ndim == 3 and pixels.size:
        packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        found, places = np.unique(packed, return_inverse=True)
        if len(found) <= 256:
            picture = Image.fromarray(places.reshape(packed.shape).astype(np.uint8), "P")
            picture.putpalette((found[:, None] >> np.array([16, 8, 0], np.uint32) & 255).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def image_element(pixels: Array, x: float, y: float, width: float, height: float) -> str:
    """Pixels as part of an SVG drawing, each a sharp square."""
    data = base64.b64encode(png(pixels)).decode()
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<image {place} preserveAspectRatio="none" style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'


def as_rgb(image: Array) -> Array:
    """uint8 (C, H, W) with 1 or 3 channels as (H, W, 3)."""
    return np.repeat(image.transpose(1, 2, 0), 3 // image.shape[0], axis=2)
