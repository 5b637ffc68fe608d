"""How the values of parameters are shared: changes are counted, and what some calls read one call at a time changes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

_lock = threading.Lock()
_count = 0
_NUMBERS = itertools.count()


def note_change() -> None:
    """Say that the value of a parameter was made or changed."""
    global _count
    with _lock:
        _count += 1


def parameter_changes() -> int:
    """Grows with every change of any parameter, so that who has seen the number need not look again."""
    return _count


class Access:
    """The right to read some parameters, or to change them.

    Any number of calls read at a time. A call that changes has its `turn` for as long as it computes, and only while it
    sets the new values waits until nobody reads and keeps others from it.
    """

    def __init__(self) -> None:
        self.number = next(_NUMBERS)
        self.turn = threading.Lock()
        self._gate = threading.Condition(threading.Lock())
        self._readers: list[None] = []
        self._closed = False

    def enter(self) -> None:
        """Begin to read."""
        self._readers.append(None)  # before looking, as `close` looks after closing: one of the two sees the other
        if self._closed:
            with self._gate:
                self._readers.pop()
                self._gate.notify_all()
                self._gate.wait_for(lambda: not self._closed)
                self._readers.append(None)

    def leave(self) -> None:
        """Have read."""
        self._readers.pop()
        if self._closed:
            with self._gate:
                self._gate.notify_all()

    def close(self) -> None:
        """Wait until nobody reads, and keep others from it; only for who has the turn."""
        free = False
        with self._gate:
            self._closed = True
            try:
                free = self._gate.wait_for(lambda: not self._readers)
            finally:
                if not free:  # interrupted
                    self._open()

    def open(self) -> None:
        """Let others read again."""
        with self._gate:
            self._open()

    def _open(self) -> None:
        self._closed = False
        self._gate.notify_all()


class Held:
    """Several rights taken together, in their order, as a context: all of them or, if that is interrupted, none."""

    def __init__(self, take: Sequence[Callable[[], object]], give: Sequence[Callable[[], object]]) -> None:
        self._take, self._give = tuple(take), tuple(give)

    def __enter__(self) -> None:
        taken = 0
        try:
            for take in self._take:
                take()
                taken += 1
        finally:
            if taken < len(self._take):
                self._give_back(taken)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back(len(self._give))

    def _give_back(self, count: int) -> None:
        for give in reversed(self._give[:count]):
            give()
