"""Stopping a run from outside: Ctrl-C, SIGTERM and whoever follows it let the step end and the checkpoint be written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

from pellucid.progress import Cancelled, cancelled

_STOPPED: ContextVar[Callable[[], bool]] = ContextVar("stopped", default=cancelled)


def asked_to_stop() -> bool:
    """Whether the run at hand is to stop: what an observer that waits looks at."""
    return _STOPPED.get()()


class Stoppable(Protocol):
    """A run of any kind: its folder, and whether it is "interrupted"."""

    @property
    def folder(self) -> Path: ...

    @property
    def status(self) -> str: ...


def require_whole(run: Stoppable) -> None:
    """End the work that an interrupted run is part of: raises `Cancelled`, and `KeyboardInterrupt` where a signal came."""
    if run.status == "interrupted":
        raise Cancelled(f"{run.folder}: stopped, as was asked") if cancelled() else KeyboardInterrupt


@contextmanager
def stop_signals() -> Generator[Callable[[], bool]]:
    """Gives a function that says whether SIGINT or SIGTERM came, whose second one ends the process as usual, or `cancelled`.

    What came before, within another such `with`, counts too.
    """
    came, before = threading.Event(), _STOPPED.get()

    def stopped() -> bool:
        return came.is_set() or before()

    token = _STOPPED.set(stopped)
    try:
        with _noting(came):
            yield stopped
    finally:
        _STOPPED.reset(token)


@contextmanager
def _noting(came: threading.Event) -> Generator[None]:
    """Signals set `came`, where this is the thread that gets them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: object) -> None:
        came.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
