"""Pictures that are named by where they lie, read as a network takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pellucid.data import DataError, Measured, Preprocessing, numbers_to_measure, to_measure


def pictures_at(
    place: str | Path, preparation: Any, classes: Sequence[str], numbers: bool = False, on_bad_image: str = "error"
) -> Measured:
    """Those in a folder, archive or table, for a network that tells `classes` apart or predicts `numbers`."""
    if not isinstance(preparation, Preprocessing):
        raise DataError(f"{place}: the network is not known to take pictures; give it a data set of arrays")
    channels, size = preparation.channels, preparation.image_size
    if numbers:
        return numbers_to_measure(place, size, channels, on_bad_image)
    return to_measure(place, size, channels, on_bad_image, classes=classes)
