"""Progress on stderr for work that takes more than a second: a bar on a terminal, one line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from pellucid.screen import Screen, one_line

PATIENCE = 1.0
"""Seconds before anything is shown."""


@contextmanager
def progress(title: str, enabled: bool = True) -> Generator[Callable[[int, int], None]]:
    """Gives `tell(done, total)`: `with progress("reading") as tell: ...`."""
    started = time.monotonic()
    bar: Any = None
    task: Any = None
    told = False

    def tell(done: int, total: int) -> None:
        nonlocal bar, task, told
        if not enabled or time.monotonic() - started < PATIENCE:
            return
        if not sys.stderr.isatty():
            if not told:
                print(f"{title}: {done} of {total} done", file=sys.stderr, flush=True)
                told = True
            return
        if bar is None:
            bar, task = start_bar(title)
        bar.update(task, total=total, completed=done)

    try:
        yield tell
    finally:
        if bar is not None:
            bar.stop()


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
