"""HEIC and AVIF, as phones and browsers keep pictures: which of them a file is, and whether there is something to read it."""

from __future__ import annotations

import importlib.util
from functools import cache

from pellucid.data.errors import DataError

_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2"}
_AVIF = {b"avif", b"avis"}
_REMEDY = {
    "HEIC": "is a HEIC picture, which Pillow alone does not read: pip install 'pellucid[heic]'",
    "AVIF": "is an AVIF picture, which this Pillow does not read: pip install --upgrade pillow (11.3 or later)",
}


def container(raw: bytes) -> str:
    """`"HEIC"` or `"AVIF"` as the brands at the start of a file say, whatever its name; "" for other files."""
    if raw[4:8] != b"ftyp":
        return ""
    end = min(int.from_bytes(raw[:4], "big"), 256, len(raw))
    brands = {raw[8:12], *(raw[at : at + 4] for at in range(16, end - 3, 4))}
    return "AVIF" if brands & _AVIF else "HEIC" if brands & _HEIC else ""


def reader_of(raw: bytes) -> str:
    """Pillow's name for the format of a HEIC or AVIF file, "" for other files; raises `DataError` where nothing reads it."""
    found = container(raw)
    if not found:
        return ""
    if not _is_read(found):
        raise DataError(_REMEDY[found])
    return "HEIF" if found == "HEIC" else found


@cache
def _is_read(name: str) -> bool:
    """Whether pictures of this kind can be read; makes a plugin known to Pillow."""
    if name == "AVIF":
        return importlib.util.find_spec("PIL._avif") is not None
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True
