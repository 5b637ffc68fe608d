"""A run's folder belongs to one process at a time, by a lock that ends when its process does, however it ends."""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pellucid import locks
from pellucid.errors import WriteError
from pellucid.train.config import TrainError

LOCK = ".lock"


@contextmanager
def claimed(folder: Path) -> Generator[None]:
    """Nobody else trains in `folder` meanwhile. Raises `TrainError` naming the process that does, `WriteError` where nothing can be written."""
    lock = locks.held(folder / LOCK, f"process {os.getpid()} on {socket.gethostname()}")
    try:
        locked = lock.__enter__()
    except locks.HeldError as error:
        raise TrainError(taken_by(folder, error.who)) from error
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written in ({error.strerror}); choose another folder") from error
    try:
        if not locked:
            warnings.warn(f"{folder}: cannot be locked; let no other process train in it", stacklevel=4)
        yield
    finally:
        lock.__exit__(None, None, None)


def holder(folder: Path) -> str:
    """Who trains in `folder`, in words; "" where nobody does. Nothing is changed by asking."""
    return locks.holder(folder / LOCK)


def taken_by(folder: Path, who: str) -> str:
    """That `who` trains in `folder`, and what to do."""
    return f"{folder}: {who} is training in it; wait until it ends, or choose another folder"
