"""What does not fit into memory is named, with the bytes that it takes, before the work where that can be known."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator

from pellucid.errors import OutOfMemoryError
from pellucid.text import human_bytes


def machine_memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def free_memory() -> int:
    """Bytes of memory that programs can still have, as the system tells; half of the machine's where it does not."""
    try:
        with open("/proc/meminfo") as file:
            told = dict(line.split(":", 1) for line in file)
        return int(told["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return machine_memory() // 2


def lack(what: str, needed: int) -> str:
    """How much memory `what` takes, and why that is too much."""
    have = machine_memory()
    limit = f"the machine has {human_bytes(have)}" if needed > have else "that much is not free"
    return f"{what} takes {human_bytes(needed)} of memory, and {limit}"


@contextlib.contextmanager
def fitting(what: str, needed: int, remedy: str) -> Generator[None]:
    """Make inside what takes `needed` bytes; raises `OutOfMemoryError`, at once where the machine has less."""
    if needed > machine_memory():
        raise OutOfMemoryError(f"{lack(what, needed)}; {remedy}")
    try:
        yield
    except OutOfMemoryError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError(f"{lack(what, needed)}; {remedy}") from error
