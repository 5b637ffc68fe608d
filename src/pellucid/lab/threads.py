"""What takes a while is worked on in threads, so that others are answered meanwhile; the end of the server waits for none of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from anyio import CancelScope, CapacityLimiter, to_thread

from pellucid.lab.wire import Problem
from pellucid.progress import followed

P = ParamSpec("P")
R = TypeVar("R")


class Threads:
    """The threads of a server; `most` is how many questions are worked on at the same time, others wait for their turn."""

    def __init__(self, most: int) -> None:
        self._turns = CapacityLimiter(most)
        self._lock = threading.Lock()
        self._waiting: dict[CancelScope, asyncio.AbstractEventLoop] = {}
        self._ended = False

    async def asked(self, work: Callable[P, R], *arguments: P.args, **more: P.kwargs) -> R:
        """What `work` gives, when it is its turn. Raises `Problem` where the server ends before."""
        return await self._run(work, arguments, more, self._turns)

    async def run(self, work: Callable[P, R], *arguments: P.args, **more: P.kwargs) -> R:
        """The same at once, of what waits more than it computes."""
        return await self._run(work, arguments, more)

    def end(self) -> None:
        """Whoever waits is told that the server ends; work ends at its next step, and is not waited for."""
        with self._lock:
            self._ended = True
            for scope, loop in self._waiting.items():
                if not loop.is_closed():
                    loop.call_soon_threadsafe(scope.cancel)

    async def _run(self, work: Callable[..., R], arguments: Any, more: Any, turns: CapacityLimiter | None = None) -> R:
        def quietly() -> R:
            with followed(cancelled=lambda: self._ended):
                return work(*arguments, **more)

        with CancelScope() as scope:
            with self._lock:
                if self._ended:
                    scope.cancel()
                self._waiting[scope] = asyncio.get_running_loop()
            try:
                return await to_thread.run_sync(quietly, limiter=turns, abandon_on_cancel=True)
            finally:
                with self._lock:
                    del self._waiting[scope]
        raise Problem(503, "The lab is ending", "it does not wait for what is still worked on", remedy="Start it again")
