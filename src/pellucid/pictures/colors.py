"""Colors of numbers: a scale that rises from dark to light, one that parts negative from positive, and those of lines."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

import numpy as np

from pellucid.pictures.lettering import text, width_of
from pellucid.plain import Array

LINES = (
    "#2563eb",
    "#d97706",
    "#059669",
    "#dc2626",
    "#8b5cf6",
    "#0891b2",
    "#db2777",
    "#65a30d",
    "#64748b",
    "#b45309",
    "#f472b6",
    "#eab308",
)
RISING = ((26, 12, 60), (59, 47, 130), (33, 113, 142), (53, 168, 115), (180, 210, 52), (253, 231, 76))
SIGNED = ((33, 84, 168), (146, 190, 226), (247, 247, 247), (238, 160, 125), (178, 30, 45))

STEPS = 254
"""Between the ends of a scale: with gray for NaN 256 colors, a neutral one in the middle."""
PHOTO = 2**16
"""Pixels of a picture that is kept as PNG in a drawing."""


def color(values: Array, low: float, high: float, signed: bool = False) -> Array:
    """uint8 (..., 3) colors of `values` between `low` and `high`; what is beyond takes the end's, NaN gray (see `hatched`)."""
    anchors = np.array(SIGNED if signed else RISING, np.float64)
    numbers = np.asarray(values, np.float64)
    if not math.isfinite(high - low):  # both near the largest number that there is
        numbers, low, high = numbers / 4, low / 4, high / 4
    share = np.clip(numbers, low, high) - low  # NaN stays
    share = share / (high - low) if high > low else share + (0.5 if signed else 0.0)
    place = np.round(np.clip(np.nan_to_num(share, nan=0.5), 0, 1) * STEPS) / STEPS * (len(anchors) - 1)
    below = np.minimum(place.astype(int), len(anchors) - 2)
    rest = (place - below)[..., None]
    mixed = anchors[below] * (1 - rest) + anchors[below + 1] * rest
    mixed[np.isnan(share)] = 128
    return np.round(mixed).astype(np.uint8)


def limits(values: Array, signed: bool = False) -> tuple[float, float]:
    """The smallest and the largest finite value; about zero where `signed`."""
    with np.errstate(invalid="ignore"):
        ends = (float(values.min()), float(values.max())) if values.size else (math.nan, math.nan)
    if not all(map(math.isfinite, ends)):
        finite = np.asarray(values, np.float64)[np.isfinite(values)]
        ends = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return about_zero(ends) if signed else ends


def about_zero(ends: tuple[float, float]) -> tuple[float, float]:
    """The ends of a scale of signed numbers: as far below zero as above it, so that zero is white."""
    size = max(abs(end) for end in ends)
    return 0.0 - size, size


def png(pixels: Array) -> bytes:
    """uint8 (H, W) or (H, W, 3) as a PNG file: of up to 256 colors with a table of these, which takes a third of the room."""
    from PIL import Image

    pixels = np.ascontiguousarray(pixels)
    picture = Image.fromarray(pixels)
    if pixels.ndim == 3 and pixels.size:
        packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        some = packed.reshape(-1)[:: packed.size // 1024 + 1]  # a photograph shows that it has more colors at once
        if len(set(some.tolist())) <= 256 and len((table := np.unique(packed, return_inverse=True))[0]) <= 256:
            found, places = table
            picture = Image.fromarray(places.reshape(packed.shape).astype(np.uint8), "P")
            picture.putpalette((found[:, None] >> np.array([16, 8, 0], np.uint32) & 255).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _jpeg(pixels: Array) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def image_element(pixels: Array, x: float, y: float, width: float, height: float) -> str:
    """Pixels as part of an SVG drawing, each a sharp square; photographs of more than `PHOTO` pixels as JPEG, smooth."""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none"'
    if pixels.shape[0] * pixels.shape[1] > PHOTO:
        data = base64.b64encode(_jpeg(pixels)).decode()
        return f'<image {place} href="data:image/jpeg;base64,{data}"/>'
    data = base64.b64encode(png(pixels)).decode()
    return f'<image {place} style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'


_HATCH = (
    '<defs><pattern id="hatched" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="5" height="5" fill="#808080"/><rect width="2" height="5" fill="#fff"/></pattern></defs>'
)


def hatched(values: Array, x: float, y: float, width: float, height: float) -> str:
    """Stripes over the cells of `values` (H, W), drawn in that box, that are NaN or infinite; "" where all are finite."""
    absent = ~np.isfinite(values)
    if not absent.any():
        return ""
    high, wide = height / len(absent), width / absent.shape[1]
    edges = np.diff(np.pad(absent, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, stops = (
        np.argwhere(edges == 1).tolist(),
        np.argwhere(edges == -1).tolist(),
    )  # in the same order: runs of a row
    runs = [
        f"M{x + start * wide:.2f},{y + row * high:.2f}h{(stop - start) * wide:.2f}v{high:.2f}h{(start - stop) * wide:.2f}z"
        for (row, start), (_, stop) in zip(starts, stops, strict=True)
    ]
    return f'{_HATCH}<path d="{"".join(runs)}" fill="url(#hatched)"/>'


def scale_below(
    low: float,
    high: float,
    signed: bool,
    place: tuple[float, float, float],
    words: str = "",
    shown: Sequence[str] = (),
) -> tuple[str, float]:
    """A scale of colors from `place` (x, y, width) on, and the height that it takes.

    Below it stand its numbers (`shown` in their place, if given), and below these what they are numbers of.
    """
    x, y, width = place
    shares = np.linspace(0, 1, 64)
    level = not high > low
    numbers = [low] if level else [low, 0.0, high] if signed else [low, low / 2 + high / 2, high]
    ramp = shares * high + (1 - shares) * low
    drawn = [image_element(color(ramp[None], low, high, signed), x, y, width, 10)]
    shown = list(shown) or [f"{number:.3g}" if number else "0" for number in numbers]
    if sum(map(width_of, shown)) + 16 > width and len(shown) == 3:
        shown[1] = ""
    for share, number in zip((0.5,) if level else (0.0, 0.5, 1.0), shown, strict=True):
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        drawn.append(text(x + share * width, y + 23, number, anchor, "font-size:11px"))
    if words:
        drawn.append(text(x, y + 38, words, style="font-size:11px;opacity:.75"))
    return "".join(drawn), 44.0 if words else 28.0


def as_rgb(image: Array) -> Array:
    """uint8 (C, H, W) with 1 or 3 channels as (H, W, 3)."""
    return np.repeat(image.transpose(1, 2, 0), 3 // image.shape[0], axis=2)
