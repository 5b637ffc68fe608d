"""A run's folder belongs to one process at a time, by a lock that ends when its process does, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pellucid.errors import WriteError
from pellucid.train.config import TrainError

if sys.platform != "win32":
    import fcntl

LOCK = ".lock"
_HELD_BY_ANOTHER = (errno.EWOULDBLOCK, errno.EACCES)
_HELD: set[int] = set()
"""Descriptors of the locks that this process holds."""


@contextmanager
def claimed(folder: Path) -> Generator[None]:
    """Nobody else trains in `folder` meanwhile. Raises `TrainError` naming the process that does, `WriteError` where nothing can be written."""
    if sys.platform == "win32":  # it has no such locks
        yield
        return
    path = folder / LOCK
    descriptor = _locked(path)
    try:
        yield
    finally:
        if descriptor in _HELD:  # a fork of the process has none
            with contextlib.suppress(OSError):
                path.unlink()
            _HELD.remove(descriptor)
            os.close(descriptor)


def holder(folder: Path) -> str:
    """Who trains in `folder`, in words; "" where nobody does. Nothing is changed by asking."""
    if sys.platform == "win32":
        return ""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return _written_in(descriptor) if error.errno in _HELD_BY_ANOTHER else ""
    else:
        return ""
    finally:
        os.close(descriptor)


def taken_by(folder: Path, who: str) -> str:
    """That `who` trains in `folder`, and what to do."""
    return f"{folder}: {who} is training in it; wait until it ends, or choose another folder"


def _written_in(descriptor: int) -> str:
    return os.read(descriptor, 400).decode(errors="replace").strip() or "another process"


def _locked(path: Path) -> int:
    """A descriptor of the lock at `path`, which this process holds now."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise WriteError(
                f"{path.parent}: cannot be written in ({error.strerror}); choose another folder"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD_BY_ANOTHER:
                who = _written_in(descriptor)
                os.close(descriptor)
                raise TrainError(taken_by(path.parent, who)) from error
            warnings.warn(
                f"{path.parent}: cannot be locked ({error.strerror}); let no other process train in it", stacklevel=4
            )
        if _is_at(descriptor, path):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            _HELD.add(descriptor)
            return descriptor
        os.close(descriptor)  # who held it has ended meanwhile, and taken the file along


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _let_go() -> None:
    """In a fork: the lock is its parent's, and must end with that one."""
    for descriptor in _HELD:
        os.close(descriptor)
    _HELD.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
