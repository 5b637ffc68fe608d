"""What pixels mean: any depth, color space and transparency becomes 8 bits on white; and which way up a picture is."""

from __future__ import annotations

import contextlib
import struct
import zlib
from typing import Any

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.sample import Array

DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    EOFError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What Pillow raises on damaged files: it names no errors of its own, and lets through those of what it is made of."""

ORIENTATION, BITS, SAMPLE_FORMAT = 0x0112, 258, 339  # tags of EXIF and TIFF
SHORT = 3  # the type of a tag of two bytes
STRIP_PIXELS = 2**20  # converted at once, so that what is computed on the way stays small
PNG_START = b"\x89PNG\r\n\x1a\n"


def orientation(image: Any) -> Any:
    """How to turn or mirror a decoded picture so that it is upright (an `Image.Transpose`), None for not at all.

    The other metadata is left alone; an orientation that cannot be read or makes no sense says nothing.
    """
    from PIL import Image

    turns = Image.Transpose
    ways = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_270,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_90,
    }
    stated = _stated(image.info.get("exif") or b"")
    if stated is None:
        try:
            stated = image.getexif().get(ORIENTATION)  # which looks at other places too
        except DECODER_ERRORS:
            return None
    return ways.get(stated) if isinstance(stated, int) else None


def _stated(exif: bytes) -> int | None:
    """The orientation in the first directory of EXIF, whatever else is in there; None where there is none."""
    raw = exif.removeprefix(b"Exif\0\0")
    order = ">" if raw.startswith(b"MM") else "<"
    with contextlib.suppress(struct.error):
        (start,) = struct.unpack_from(f"{order}I", raw, 4)
        (count,) = struct.unpack_from(f"{order}H", raw, start)
        for entry in range(count):
            tag, kind, values, value = struct.unpack_from(f"{order}HHIH", raw, start + 2 + 12 * entry)
            if (tag, kind, values) == (ORIENTATION, SHORT, 1):
                return value
    return None


def eight_bit(image: Any, raw: bytes) -> Any:
    """A decoded picture with 8 bits a channel and without transparency, which is laid on white; `raw` is its file.

    Gray values of 16 bits are divided by 257, of fewer (a TIFF of 12) by what makes their largest 255. Those of 32 bits
    and floats have no range of their own: the largest decides whether it is 0 to 1 (floats), to 255, to 65535 or (whole
    numbers) to 2^32 - 1. Negative values, NaN and larger ones are an error.
    """
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        if image.mode == "I" and _tag(image, SAMPLE_FORMAT, 1) == 1:
            values = values.view(np.uint32)  # as which it was written
        top = _largest_possible(image, values)
        gray = np.empty(values.shape, np.uint8)
        step = max(1, STRIP_PIXELS // max(1, values.shape[1]))
        for start in range(0, len(values), step):
            strip = values[start : start + step]
            gray[start : start + step] = np.rint(strip * (255 / top))
            if "transparency" in image.info:
                gray[start : start + step][strip == image.info["transparency"]] = 255
        return Image.fromarray(gray)
    if image.mode in ("LAB", "HSV", "YCbCr", "CMYK"):
        return image.convert("RGB")
    if image.has_transparency_data:
        return _on_white(image, _key(image, raw))
    return image


def _largest_possible(image: Any, values: Array) -> float:
    """The value of white. Raises `DataError` for values that are no brightness."""
    bits = _tag(image, BITS, 16)
    if image.mode.startswith("I;16"):
        return 2.0 ** min(bits, 16) - 1
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if not (low >= 0 and high < np.inf):
        raise DataError("has values that are negative or no numbers; bring them to 0..255 first")
    if image.mode == "I" and image.format != "TIFF":
        return 65535.0
    tops = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0, 2.0**32 - 1)
    for top in tops:
        if high <= top:
            return top
    raise DataError(f"has values up to {high:g}; bring them to 0..1, 0..255 or 0..65535 first")


def _tag(image: Any, tag: int, usual: int) -> int:
    """The first number of a TIFF's tag, `usual` for other pictures and where it says nothing."""
    stated = getattr(image, "tag_v2", {}).get(tag)
    first = stated[0] if isinstance(stated, tuple) and stated else stated
    return first if isinstance(first, int) and first > 0 else usual


def _key(image: Any, raw: bytes) -> Any:
    """The color that a PNG says is transparent, in the 8 bits that its pixels have when decoded; None for what has none.

    Of 16-bit colors Pillow gives the upper bytes, and of gray with 2 or 4 bits multiples of 85 or 17.
    """
    key = image.info.get("transparency")
    if image.mode not in ("L", "RGB") or not raw.startswith(PNG_START):
        return None
    depth = raw[24]
    if isinstance(key, tuple):
        return tuple(value >> 8 for value in key) if depth == 16 else key
    return key * {2: 85, 4: 17}.get(depth, 1) if isinstance(key, int) else None


def _on_white(image: Any, key: Any) -> Any:
    """A picture with transparency as RGB, strip by strip; `key` is a color that counts as transparent."""
    from PIL import Image

    if key is not None:
        image.info["transparency"] = key
    whole = Image.new("RGB", image.size)
    step = max(1, STRIP_PIXELS // max(1, image.width))
    for top in range(0, image.height, step):
        strip = image.crop((0, top, image.width, min(top + step, image.height)))
        colored = strip.convert("RGBA")
        white = Image.new("RGBA", colored.size, "white")
        whole.paste(Image.alpha_composite(white, colored).convert("RGB"), (0, top))
    return whole
