"""How far long work is: a bar on a terminal after a second, one line elsewhere, or whoever follows it, who may also stop it.

Long functions take no parameter for this: they work within `with progress("reading"):` and `tell` it how far they are.
"""

from __future__ import annotations

import functools
import sys
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TextIO, TypeVar

from pellucid.errors import PellucidError
from pellucid.screen import Screen, one_line

PATIENCE = 1.0
"""Seconds before anything is shown."""

P = ParamSpec("P")
R = TypeVar("R")
Tell = Callable[[int, int], None]


class Cancelled(PellucidError):
    """Long work was stopped by whoever follows it."""


@dataclass(frozen=True)
class _Following:
    """Who looks on: the terminal, where `shown`; a function of title, done and total; one that says when to stop."""

    shown: bool = True
    told: Callable[[str, int, int], None] | None = None
    cancelled: Callable[[], bool] | None = None


_TERMINAL = _Following()
_FOLLOWING: ContextVar[_Following] = ContextVar("following", default=_TERMINAL)
_WORK: ContextVar[tuple[Tell, ...]] = ContextVar("work", default=())
"""Where work at hand tells how far it is; work within other work is the last."""


@contextmanager
def quiet() -> Generator[None]:
    """Long functions called within show nothing: `with pl.quiet(): pl.fit(net, data)`."""
    with _set(replace(_FOLLOWING.get(), shown=False)):
        yield


@contextmanager
def followed(
    told: Callable[[str, int, int], None] | None = None, *, cancelled: Callable[[], bool] | None = None
) -> Generator[None]:
    """Long functions called within call `told(title, done, total)` instead of drawing a bar, and stop once `cancelled()`.

    What is stopped raises `Cancelled` at its next step, within the thread that it works in; training leaves a checkpoint
    as after Ctrl-C. `with pl.followed(print): pl.attribute(net, picture, method="occlusion")`
    """
    with _set(_Following(False, told, cancelled)):
        yield


@contextmanager
def _set(following: _Following) -> Generator[None]:
    token = _FOLLOWING.set(following)
    try:
        yield
    finally:
        _FOLLOWING.reset(token)


def shown() -> bool:
    """Whether work that starts now is shown: nobody said otherwise, and it is not part of other work."""
    return _FOLLOWING.get().shown and not _WORK.get()


def cancelled() -> bool:
    """Whether whoever follows has asked to stop."""
    asked = _FOLLOWING.get().cancelled
    return asked is not None and asked()


def follow(title: str, done: int, total: int) -> None:
    """Say to whoever follows that `done` of `total` parts are done, of work that is part of no other."""
    if not _WORK.get():
        _say(title, done, total)


def _say(title: str, done: int, total: int) -> None:
    told = _FOLLOWING.get().told
    if told is not None:
        told(title, done, total)


def tell(done: int, total: int) -> None:
    """Say that `done` of `total` parts of the work at hand, if any, are done. Raises `Cancelled` where it is to stop."""
    work = _WORK.get()
    if work:
        work[-1](done, total)


@contextmanager
def progress(title: str, alone: bool = False) -> Generator[Tell]:
    """Work that may take long: within, `tell(done, total)`, or the `tell` that it gives, says how far it is.

    Work that is part of other work shows nothing of its own. With `alone` only the `tell` that it gives counts: what is
    called within has parts of its own, which are none of this.
    """
    bar = _Bar(title) if shown() else None

    def told(done: int, total: int) -> None:
        _stop(done, total)
        if bar is not None:
            bar.tell(done, total)
        elif outermost:
            _say(title, done, total)

    def within(done: int, total: int) -> None:
        (_stop if alone else told)(done, total)

    outermost = not _WORK.get()
    _WORK.set((*_WORK.get(), within))
    try:
        yield told
    finally:  # work of a generator may end in another context than it began in, so no token is kept
        _WORK.set(tuple(work for work in _WORK.get() if work is not within))
        if bar is not None:
            bar.stop()


def spoken() -> TextIO:
    """Where lines about work at hand are printed: stderr; in a notebook, which shows that as an error, stdout."""
    return sys.stdout if type(sys.stderr).__module__.startswith("ipykernel") else sys.stderr


def _stop(done: int, total: int) -> None:
    if cancelled():
        raise Cancelled(f"stopped, as was asked, when {done} of {total} were done")


class _Bar:
    """A bar that appears after a second, or a line where there is no terminal."""

    def __init__(self, title: str) -> None:
        self.title, self.started, self.bar, self.told = title, time.monotonic(), None, False
        self.task: Any = None

    def tell(self, done: int, total: int) -> None:
        if time.monotonic() - self.started < PATIENCE:
            return
        if sys.stderr.isatty():
            if self.bar is None:
                self.bar, self.task = start_bar(self.title)
            self.bar.update(self.task, total=total, completed=done)
        elif not self.told:
            print(f"{self.title}: {done} of {total} done", file=spoken(), flush=True)
            self.told = True

    def stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()


def start_bar(title: str) -> tuple[Any, Any]:
    """A running Rich progress bar on stderr that vanishes when stopped, and its task."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    terminal = sys.stderr.terminal if isinstance(sys.stderr, Screen) else sys.stderr
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(file=terminal), transient=True)
    task = bar.add_task(one_line(title), total=None)
    bar.start()
    return bar, task


def long(function: Callable[P, R]) -> Callable[P, R]:
    """A function that may take long. What it took before `quiet` and `followed`, `progress` and `tell`, is heeded still."""

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        given: dict[str, Any] = {name: kwargs.pop(name) for name in ("progress", "tell") if name in kwargs}
        if not given:
            return function(*args, **kwargs)
        name = function.__qualname__
        warnings.warn(
            f"{name}: {' and '.join(given)} is no longer taken; use `with pl.quiet():` or `with pl.followed(...):`",
            DeprecationWarning,
            stacklevel=2,
        )
        told = given.get("tell")
        if told is not None:
            with followed(lambda title, done, total: told(done, total)):
                return function(*args, **kwargs)
        if given.get("progress"):
            return function(*args, **kwargs)
        with quiet():
            return function(*args, **kwargs)

    _LONG.add(called)
    return called


def is_long(function: Callable[..., Any]) -> bool:
    """Whether a function may take long, also one that is wrapped in another."""
    inside: Any = function
    while inside is not None and inside not in _LONG:
        inside = getattr(inside, "__wrapped__", None)
    return inside is not None


_LONG: set[Callable[..., Any]] = set()
