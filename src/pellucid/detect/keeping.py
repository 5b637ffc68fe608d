"""Arrays that took long to compute, kept between runs by what they were computed of."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from pellucid.files import write_atomically
from pellucid.plain import Array


def folder(kind: str) -> Path:
    """Where arrays of a kind are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pellucid" / kind


def kept(kind: str, of: Iterable[bytes], fits: Callable[[Array], bool], make: Callable[[], Array]) -> Array:
    """The array that was made of the bytes `of` before, or what `make` gives, which is kept. One that does not fit is made anew."""
    digest = hashlib.sha256()
    for part in of:
        digest.update(len(part).to_bytes(8, "little") + part)
    path = folder(kind) / f"{digest.hexdigest()}.npy"
    found = _read(path)
    if found is None or not fits(found):
        found = make()
        buffer = io.BytesIO()
        np.save(buffer, found, allow_pickle=False)
        write_atomically(path, buffer.getvalue(), folders=True)
    return found


def _read(path: Path) -> Array | None:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
