"""Loads the compiled module, and has OpenMP's waiting threads sleep after microseconds rather than milliseconds.

On a busy machine a waiting thread that spins takes the processor from whoever it waits for.
GNU OpenMP reads its settings when it is loaded, so they are set around that moment, unless the user has set their own.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

_SPINS = ("GOMP_SPINCOUNT", "10000")


@contextmanager
def _short_spins() -> Generator[None]:
    name, count = _SPINS
    if name in os.environ or "OMP_WAIT_POLICY" in os.environ:
        yield
        return
    os.environ[name] = count
    try:
        yield
    finally:
        del os.environ[name]


with _short_spins():
    from pellucid.executors import _native

__all__ = ["_native"]
