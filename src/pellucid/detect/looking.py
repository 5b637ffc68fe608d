"""The picture that is looked at: numbers, a file, or the name of a picture that is at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pellucid.data import read_image
from pellucid.data.listing import is_there
from pellucid.errors import PellucidError
from pellucid.plain import Array

GivenPicture: TypeAlias = Array | str | Path
"""A picture uint8 (3, H, W) in RGB, or where to read it."""


def picture_of(image: GivenPicture, who: str, wrong: type[PellucidError]) -> Array:
    """A picture uint8 (3, H, W) in RGB, read where it is a file or a name as sample:china, for `who` looks at it.

    Raises `wrong` for what is no picture, `DataError` for what cannot be read as one.
    """
    if isinstance(image, str | Path):
        return read_image(image)
    given: Any = image  # whatever a caller has
    is_bytes = isinstance(given, np.ndarray) and given.dtype == np.uint8 and given.ndim == 3 and given.size > 0
    if is_bytes and given.shape[0] == 3:
        return given
    got = f"{given.dtype} {given.shape}" if isinstance(given, np.ndarray) else f"a {type(given).__name__}"
    turned = is_bytes and given.shape[2] == 3
    remedy = "; image.transpose(2, 0, 1) makes it so" if turned else ""
    raise wrong(f"{who}: wants a picture uint8 (3, H, W) in RGB, or the file of one, got {got}{remedy}")


def name_of(image: GivenPicture) -> str:
    """What a picture is called: a file by its name without the folder, one at hand by its own."""
    if isinstance(image, str | Path):
        return Path(image).name if is_there(image) else str(image)
    return "picture"
