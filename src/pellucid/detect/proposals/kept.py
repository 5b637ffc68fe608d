"""Proposals of many pictures, kept between runs by what the picture holds."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.proposals.selective_search import selective_search
from pellucid.executors import default_threads
from pellucid.files import write_atomically
from pellucid.plain import Array
from pellucid.progress import progress

VERSION = 1
"""Of the search: another one finds other boxes."""


def folder() -> Path:
    """Where proposals are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pellucid" / "proposals"


def proposals_for(image: Array, most: int, seed: int = 0) -> Array:
    """The first `most` boxes of selective search on a picture uint8 (3, H, W), kept from when it was searched before."""
    name = hashlib.sha256(f"{VERSION} {seed} {image.shape}".encode() + image.tobytes()).hexdigest()
    path = folder() / f"{name}.npy"
    found = _read(path)
    if found is None:
        found = selective_search(image, 10_000, seed).boxes.astype(np.float32)
        buffer = io.BytesIO()
        np.save(buffer, found, allow_pickle=False)
        write_atomically(path, buffer.getvalue(), folders=True)
    return found[:most].astype(np.float64)


def _read(path: Path) -> Array | None:
    """What is kept there; a file that is damaged is searched anew."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.ndim == 2 and found.shape[1] == 4 and found.dtype == np.float32 else None


def proposals_of(pictures: PicturesWithBoxes, most: int, seed: int = 0) -> Sequence[Array]:
    """Proposals on each of many pictures, several at a time."""
    with progress("proposals") as tell, ThreadPoolExecutor(default_threads()) as pool:
        found: list[Array] = []
        for boxes in pool.map(lambda k: proposals_for(pictures.read(k), most, seed), range(len(pictures))):
            found.append(boxes)
            tell(len(found), len(pictures))
    return found
