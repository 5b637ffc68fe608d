"""How a run is steered from outside: lines of JSON say pause, resume, step, stop and pace; the run waits where it is told to."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import IO

from pellucid.plain import PlainError, parse_json

DOINGS = ("pause", "resume", "step", "stop", "pace")
LOOK = 0.1
"""Seconds after which one who waits looks whether a signal came."""


class Control:
    """What was said last; `wait` is called before every step, in the thread that trains."""

    def __init__(self, paused: bool = False, pace: float = 0.0) -> None:
        self._changed = threading.Condition()
        self._paused, self._pace, self._steps, self._stages, self._stopping = paused, pace, 0, False, False
        self._next = 0.0

    def listen(self, lines: IO[str]) -> None:
        """Heed lines until they end, in a thread of its own; their end means that whoever steers is gone: stop."""

        def heed() -> None:
            for line in lines:
                try:
                    said = parse_json(line)
                except PlainError:
                    continue
                if isinstance(said, dict):
                    self.do(str(said.get("do")), said)
            self.do("stop", {})

        threading.Thread(target=heed, daemon=True).start()

    def do(self, what: str, said: dict[str, object]) -> None:
        """Heed one of DOINGS."""
        with self._changed:
            if what == "pause":
                self._paused, self._steps = True, 0
            elif what == "resume":
                self._paused, self._steps = False, 0
            elif what == "step":
                self._paused = True
                self._steps += 1
                self._stages = bool(said.get("stages"))
            elif what == "pace" and isinstance(pace := said.get("pace"), int | float):
                self._pace = float(pace)
            elif what == "stop" and not self._stopping:
                self._stopping = True
                os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C: the step ends, the checkpoint is written
            self._changed.notify_all()

    @property
    def paused(self) -> bool:
        """Whether the next step has to wait."""
        with self._changed:
            return self._paused and not self._steps

    def wait(self, stopped: Callable[[], bool], waiting: Callable[[], None]) -> bool:
        """Return when the next step may be done, or `stopped()`; calls `waiting` first if it has to wait.

        Gives whether the step's stages are wanted.
        """
        told = False
        while not stopped():
            if self.paused and not told:  # also where it is told to while it waits for its pace
                waiting()
                told = True
            with self._changed:
                if not self._held():
                    break
                self._changed.wait(self._patience())
        with self._changed:
            self._next = time.monotonic() + (1 / self._pace if self._pace and not self._steps else 0.0)
            self._steps = max(0, self._steps - 1)
            stages, self._stages = self._stages, False
            return stages

    def _held(self) -> bool:
        return not self._steps and (self._paused or (self._pace > 0 and time.monotonic() < self._next))

    def _patience(self) -> float:
        left = LOOK if self._paused else self._next - time.monotonic()
        return max(0.001, min(LOOK, left))
