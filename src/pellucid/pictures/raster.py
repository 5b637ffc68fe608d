"""Drawings as pixels: PNG files, and PDF files for print, by resvg, with letters that come along."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pellucid.pictures.picture import PictureError, size_of, svg_file

USUAL = 1280
"""Pixels that a .png file is wide unless asked."""
PRINT = 300 / 96
"""Pixels of a .pdf file for each unit of a drawing, of which an inch has 96."""
MOST_PIXELS = 2**26
_POINTS, _LONGEST = 72 / 96, 14_400.0
"""Points of a unit, and of the longest side of a page that readers of PDF show."""
_FONTS = Path(__file__).parent / "fonts"
_ASCII = frozenset(map(chr, (9, 10, *range(32, 127))))


def png_file(drawing: str, width: int = 0) -> bytes:
    """A drawing as PNG, `width` pixels wide, on white."""
    return _rendered(drawing, (width or USUAL) / size_of(drawing)[0])


def pdf_file(drawings: Sequence[str], width: int = 0) -> bytes:
    """Drawings as PDF, one on each page, `width` 96ths of an inch wide, with 300 pixels an inch where that is not too much."""
    from PIL import Image

    sheets: list[tuple[float, float, Any]] = []
    for drawing in drawings:
        across, down = size_of(drawing)
        zoom = width / across if width else 1.0
        zoom = min(zoom, _LONGEST / _POINTS / max(across, down))
        fine = min(zoom * PRINT, (MOST_PIXELS / (across * down)) ** 0.5)
        with Image.open(io.BytesIO(_rendered(drawing, fine))) as image:
            sheets.append((across * zoom * _POINTS, down * zoom * _POINTS, image.convert("RGB")))
    return _pdf(sheets)


def _rendered(drawing: str, zoom: float) -> bytes:
    """A drawing as PNG, `zoom` pixels for each unit."""
    try:
        import resvg_py
    except ImportError as error:
        raise PictureError(".png and .pdf files are drawn by resvg: pip install 'pellucid[pictures]'") from error
    across, down = size_of(drawing)
    wide, high = max(1, round(across * zoom)), max(1, round(down * zoom))
    if wide * high > MOST_PIXELS:
        raise PictureError(
            f"{wide:,} x {high:,} pixels are more than {MOST_PIXELS:,}: choose a smaller width, or save it as .svg, .html or .pdf"
        )
    try:
        return resvg_py.svg_to_bytes(
            svg_string=svg_file(drawing).decode(),
            width=wide,
            height=high,
            skip_system_fonts=_letters() >= set(drawing),
            font_files=[str(path) for path in sorted(_FONTS.glob("*.ttf"))],
            font_family="DejaVu Sans",
            sans_serif_family="DejaVu Sans",
        )
    except ValueError as error:
        raise PictureError(f"the drawing cannot be made into pixels ({error})") from error


@cache
def _letters() -> frozenset[str]:
    """What the fonts that come along can write; for other letters those of the machine are looked through."""
    ranges = (_FONTS / "letters.txt").read_text(encoding="ascii").split()
    ends = [[int(end, 16) for end in part.split("-")] for part in ranges]
    return _ASCII | {chr(code) for low, high in ends for code in range(low, high + 1)}


def _pdf(sheets: Sequence[tuple[float, float, Any]]) -> bytes:
    """Pages of one image each (ISO 32000-1, sections 7.5 and 8.9.5)."""
    objects: list[bytes] = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    pages: list[str] = []
    for wide, high, image in sheets:
        number = len(objects) + 1
        pages.append(f"{number} 0 R")
        size = f"{wide:.2f} {high:.2f}"
        draws = f"q {wide:.2f} 0 0 {high:.2f} 0 0 cm /Drawing Do Q".encode()
        pixels = zlib.compress(image.tobytes())
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size}] /Contents {number + 1} 0 R "
            f"/Resources << /XObject << /Drawing {number + 2} 0 R >> >> >>".encode(),
            _stream("", draws),
            _stream(
                f"/Type /XObject /Subtype /Image /Width {image.width} /Height {image.height} "
                "/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /FlateDecode ",
                pixels,
            ),
        ]
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(pages)}] /Count {len(pages)} >>".encode()
    file, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), list[int]()
    for number, content in enumerate(objects, 1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    file += b"".join(b"%010d 00000 n \n" % place for place in places)
    file += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(file)


def _stream(entries: str, data: bytes) -> bytes:
    return b"<< %s/Length %d >>\nstream\n%s\nendstream" % (entries.encode(), len(data), data)
