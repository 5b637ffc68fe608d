"""What the training room may begin with: data that is named, as it is before anything is learned of it, and a network for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.errors import PellucidError
from pellucid.lab.answers import MOST_TEXT, Query, problem_of
from pellucid.lab.holdings import Library
from pellucid.lab.maps import bytes_of
from pellucid.lab.wire import once, whole

EXAMPLES, MOST_SIDE = 24, 1024
"""Pictures that are shown, and the longest side that pictures are given."""
TAKES = ("data", "network", "image_size")
USUAL = "lenet"


def look(library: Library, query: Query) -> dict[str, Any]:
    """Data for training, and a network for it: its shape and classes, how much there is of it, some pictures, layers and parameters.

    Raises `Problem`.
    """
    from pellucid.data import load
    from pellucid.nn.described import design

    given = once(query, TAKES, MOST_TEXT)
    side = whole("image_size", given.get("image_size", "") or "0", MOST_SIDE)
    source = library.data_named(given.get("data") or "digits")
    try:
        splits = load(source, image_size=side or None)
        shape = tuple(splits.shape)
        chosen = min(EXAMPLES, len(splits.train))
        pictures = splits.train.images(np.arange(chosen)) if len(shape) == 3 else None
        if pictures is not None and shape[0] != 3:
            pictures = pictures.mean(1)  # three channels are colors
        return {
            "data": given.get("data") or "digits",
            "shape": list(shape),
            "classes": list(splits.classes),
            "parts": {name: {"count": len(part)} for name, part in splits.parts().items()},
            "examples": None
            if pictures is None
            else {**bytes_of(pictures, (0.0, 255.0)), "targets": splits.train.labels[:chosen].tolist()},
            "network": design(given.get("network") or USUAL, shape, len(splits.classes)).to_dict(),
            "notes": list(splits.notes),
        }
    except PellucidError as error:
        raise problem_of(error) from error
