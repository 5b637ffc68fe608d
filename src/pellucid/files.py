"""Writing files whole or not at all, and reading them once their size is known."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import stat
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from pellucid.errors import WriteError
from pellucid.text import human_bytes

_LONGEST = 200
"""Bytes of a file's name that the name of its temporary file repeats."""


@contextlib.contextmanager
def limited(path: Path, limit: int) -> Generator[tuple[BinaryIO, int]]:
    """A plain file of at most `limit` bytes and how many it has; raises `OSError`, before anything is read, for others."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe is not waited for
    with open(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        if status.st_size > limit:
            raise OSError(errno.EFBIG, f"it has {human_bytes(status.st_size)}, at most {human_bytes(limit)} are read")
        yield file, status.st_size


def read_limited(path: Path, limit: int) -> bytes:
    """What is in a plain file of at most `limit` bytes; raises as `limited` does."""
    with limited(path, limit) as (file, _):
        return file.read(limit)


def reason_of(error: Exception) -> str:
    """Why a file cannot be read or written, in the system's words."""
    return getattr(error, "strerror", None) or str(error)


def told(error: OSError) -> str:
    """An error of the system in words: what it is about, and why."""
    names = " and ".join(
        os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)
    )
    return f"{names}: {reason_of(error)}" if names else reason_of(error)


def write_atomically(path: Path, data: bytes, folders: bool = False) -> None:
    """Put `data` at `path`, whole or not at all; with `folders` those that it is to lie in are made. Raises `WriteError`.

    A link is followed and stays a link; a file that is there keeps its permissions, a new one has what the umask leaves;
    what is no file (a terminal, a pipe) is written into.
    """
    try:
        target = _target(path)
        if folders and not target.parent.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
        old = _status(target)
        if old is not None and not stat.S_ISREG(old.st_mode):
            with target.open("wb") as file:
                file.write(data)
        elif old is not None and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "it is protected against writing")
        else:
            _replace(target, data, old)
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise WriteError(f"{path}: cannot be written ({reason_of(error)}); what was there before is kept") from error


def _target(path: Path) -> Path:
    """The file that links lead to."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, "its links lead in a circle")
    return target


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _replace(path: Path, data: bytes, old: os.stat_result | None) -> None:
    with _part(path) as part:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with open(descriptor, "wb") as file:
            if old is not None:
                with contextlib.suppress(PermissionError):  # another's file: it becomes the writer's
                    os.fchown(descriptor, old.st_uid, old.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(part, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def leftovers(path: Path) -> list[Path]:
    """What processes that were killed left of files which were to become `path`."""
    start = glob.escape(os.fsdecode(os.fsencode(path.name)[:_LONGEST]))
    return list(path.parent.glob(f".{start}.{'[0-9a-f]' * 16}.part"))


@contextlib.contextmanager
def _part(path: Path) -> Generator[Path]:
    """A name beside `path` that nobody can guess; afterwards no file has it, whatever happened."""
    part = path.with_name(f".{os.fsdecode(os.fsencode(path.name)[:_LONGEST])}.{secrets.token_hex(8)}.part")
    try:
        yield part
    finally:
        with contextlib.suppress(OSError):  # on a disk that cannot be written to even a file that is not there
            part.unlink()
