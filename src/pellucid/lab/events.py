"""Streams of what happens (server-sent events): a stream is told that something changed, and sends how things stand then.

Nothing is queued: who reads slowly gets the newest, and a count of what it missed. Streams end when the server does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from typing import Any, Protocol

from starlette.responses import StreamingResponse

from pellucid.plain import to_json

GAP = 0.1
"""Seconds between two looks of a stream, at least."""
BEAT = 15.0
"""Seconds after which a word is sent though nothing happened, so that it is noticed who is gone."""


class Hub:
    """Counts changes of things by name, and wakes the streams that watch them; whoever changes something may be in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watching: dict[int, tuple[frozenset[str], asyncio.AbstractEventLoop, asyncio.Event]] = {}
        self._number = 0
        self.closed = False

    def __len__(self) -> int:
        return len(self._watching)

    def changed(self, name: str) -> None:
        """Wake those who watch what is called so."""
        self._wake(lambda names: name in names)

    def close(self) -> None:
        """End all streams."""
        self.closed = True
        self._wake(lambda names: True)

    def _wake(self, wanted: Callable[[frozenset[str]], bool]) -> None:
        with self._lock:
            waking = [(loop, event) for names, loop, event in self._watching.values() if wanted(names)]
            for loop, event in waking:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(event.set)

    @contextlib.contextmanager
    def watch(self, names: Iterable[str]) -> Generator[asyncio.Event]:
        """An event that is set whenever one of the things changed."""
        event = asyncio.Event()
        with self._lock:
            self._number += 1
            number = self._number
            self._watching[number] = frozenset(names), asyncio.get_running_loop(), event
        try:
            yield event
        finally:
            with self._lock:
                del self._watching[number]


class Followed(Protocol):
    """One thing that a stream follows."""

    name: str
    """As the hub calls it."""
    kind: str
    """What its events are called."""

    def look(self) -> dict[str, Any] | None:
        """How it stands, if it changed since the last look."""
        ...

    def place(self) -> str:
        """Where the last look was, as the stream's id says it; "" for nowhere."""
        ...


def stream(hub: Hub, followed: Sequence[Followed]) -> StreamingResponse:
    """What happens to all these, from now on."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(hub, followed), media_type="text/event-stream", headers=headers)


async def _events(hub: Hub, followed: Sequence[Followed]) -> AsyncGenerator[str]:
    with hub.watch(one.name for one in followed) as event:
        event.set()
        while not hub.closed:
            try:
                await asyncio.wait_for(event.wait(), BEAT)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            event.clear()
            for one in followed:
                if (told := await asyncio.to_thread(one.look)) is not None:
                    place = " ".join(filter(None, (each.place() for each in followed)))
                    yield _frame(one.kind, told, place)
            await asyncio.sleep(GAP)
        yield _frame("end", {})


def _frame(kind: str, told: dict[str, Any], place: str = "") -> str:
    return f"event: {kind}\n" + (f"id: {place}\n" if place else "") + f"data: {to_json(told)}\n\n"


def places(text: str) -> dict[str, int]:
    """Where the looks of a stream were that ended, by name, as its id says: `digits-lenet:120 other:30`."""
    found: dict[str, int] = {}
    for word in text[:4000].split():
        name, _, step = word.rpartition(":")
        if step.isdecimal() and len(step) < 16:
            found[name] = int(step)
    return found
