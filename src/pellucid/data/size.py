"""How large a picture is: one number for a square, or rows and columns, written HEIGHTxWIDTH."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pellucid.data.errors import DataError

Size = int | tuple[int, int]
"""The side of a square, or rows and columns."""


def sides(size: Size | None) -> tuple[int, int] | None:
    """Rows and columns; None where no size is said. Raises `DataError` for what is no size."""
    if size is None or size == 0:
        return None
    given = (size, size) if isinstance(size, int) else tuple(size)
    if len(given) != 2 or not all(type(side) is int and side > 0 for side in given):
        raise DataError(f"image_size must be at least 1, got {size!r}; it is one number, or rows and columns")
    return given


def parse_size(text: str) -> Size:
    """`"480x640"` -> `(480, 640)`, rows first; `"480"` -> `480`; `""` -> 0. Raises `DataError` for anything else."""
    if not text:
        return 0
    found = re.fullmatch(r"\s*(\d{1,6})\s*(?:[x,]\s*(\d{1,6})\s*)?", text.lower().replace("×", "x"))
    if found is None or 0 in (numbers := [int(n) for n in found.groups() if n]):
        raise DataError(f"a size is HEIGHTxWIDTH, such as 480x640, or the side of a square, got {text!r:.40}")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def written(size: tuple[int, int]) -> str:
    """`480x640`"""
    return "x".join(map(str, size))


def as_options(size: Size | None) -> dict[str, Any]:
    """A size as options of a data set keep it: one number, or a list where rows and columns differ."""
    found = sides(size)
    if found is None or found[0] == found[1]:
        return {"image_size": None if found is None else found[0]}
    return {"image_size": None, "size": [*found]}


def of_options(options: Mapping[str, Any], otherwise: Size) -> Size:
    """What `as_options` has kept, or another size where nothing is kept."""
    if "size" in options:
        rows, columns = options["size"]
        return rows, columns
    return options.get("image_size", otherwise) or 0
