"""What one process at a time may have: a lock on a file, in which its holder says who it is; it ends when its process does."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pellucid.errors import PellucidError

if sys.platform != "win32":
    import fcntl

_HELD_BY_ANOTHER = (errno.EWOULDBLOCK, errno.EACCES)
_MOST_WORDS = 1000
_HELD: set[int] = set()
"""Descriptors of the locks that this process holds."""


class HeldError(PellucidError, OSError):
    """A lock is held by another process; `who` is what that one says of itself."""

    def __init__(self, who: str) -> None:
        super().__init__(f"held by {who}")
        self.who = who


@contextmanager
def held(path: Path, words: str, mode: int = 0o644) -> Generator[bool]:
    """Nobody else has the lock at `path` meanwhile; `words` say who has it. Raises `HeldError`, and `OSError` where it cannot be made.

    False where the file system has no locks: then others may have it too.
    """
    if sys.platform == "win32":  # it has no such locks
        yield False
        return
    descriptor, locked = _locked(path, words, mode)
    try:
        yield locked
    finally:
        if descriptor in _HELD:  # a fork of the process has none
            with contextlib.suppress(OSError):
                path.unlink()
            _HELD.remove(descriptor)
            os.close(descriptor)


def holder(path: Path) -> str:
    """Who has the lock at `path`, in its own words; "" where nobody has. Nothing is changed by asking."""
    if sys.platform == "win32":
        return ""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
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


def _written_in(descriptor: int) -> str:
    return os.read(descriptor, _MOST_WORDS).decode(errors="replace").strip() or "another process"


def _locked(path: Path, words: str, mode: int) -> tuple[int, bool]:
    """A descriptor of the lock at `path`, and whether it is this process's own now."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        locked = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD_BY_ANOTHER:
                who = _written_in(descriptor)
                os.close(descriptor)
                raise HeldError(who) from error
            locked = False
        if _is_at(descriptor, path):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{words}\n".encode()[:_MOST_WORDS])
            _HELD.add(descriptor)
            return descriptor, locked
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
