"""Arrays that took long to compute, kept between runs by what they were computed of."""

from __future__ import annotations

import hashlib
import io
import os
import time
import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np

from pellucid.errors import WriteError
from pellucid.files import write_atomically
from pellucid.plain import Array

_APART: ContextVar[dict[str, float] | None] = ContextVar("apart", default=None)


@contextmanager
def apart() -> Generator[dict[str, float]]:
    """Gives the seconds that `kept` takes meanwhile by kind, whether it reads or makes: what a detector's own time is without."""
    found: dict[str, float] = {}
    token = _APART.set(found)
    try:
        yield found
    finally:
        _APART.reset(token)


@contextmanager
def _timed(kind: str) -> Generator[None]:
    """Add the seconds within to those of a kind; what is kept while something else is made counts as a part of that."""
    times = _APART.get()
    token, began = _APART.set(None), time.perf_counter()
    try:
        yield
    finally:
        _APART.reset(token)
        if times is not None:
            times[kind] = times.get(kind, 0.0) + time.perf_counter() - began


def folder(kind: str) -> Path:
    """Where arrays of a kind are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pellucid" / kind


def kept(kind: str, of: Iterable[bytes], fits: Callable[[Array], bool], make: Callable[[], Array]) -> Array:
    """The array that was made of the bytes `of` before, or what `make` gives, which is kept. One that does not fit is made anew."""
    with _timed(kind):
        digest = hashlib.sha256()
        for part in of:
            digest.update(len(part).to_bytes(8, "little") + part)
        path = folder(kind) / f"{digest.hexdigest()}.npy"
        found = _read(path)
        if found is None or not fits(found):
            found = make()
            buffer = io.BytesIO()
            np.save(buffer, found, allow_pickle=False)
            try:
                write_atomically(path, buffer.getvalue(), folders=True)
            except WriteError as error:  # what is found counts, not that it is kept
                warnings.warn(
                    f"{path.parent}: nothing can be kept there ({error.__cause__ or error}); it is computed again",
                    stacklevel=2,
                )
    return found


def _read(path: Path) -> Array | None:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
