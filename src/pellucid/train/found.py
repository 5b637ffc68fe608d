"""What a run has found before its first step: pictures per class and part, network, settings; and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.screen import one_line
from pellucid.text import amount, text_table

if TYPE_CHECKING:
    from pellucid.train.setup import Setup

MOST_CLASSES = 12
"""Classes that have a line each; of more the rest is one line."""


def found(setup: Setup) -> str:
    """What there is to train, and on what, in a few lines."""
    data, config, net = setup.data, setup.config, setup.net
    parts = data.parts()
    shape = "x".join(map(str, data.shape[1:])) + {1: ", gray", 3: ", color"}.get(
        data.shape[0], f", {data.shape[0]} channels"
    )
    what = f"pictures of {shape}" if len(data.shape) == 3 else f"examples of {'x'.join(map(str, data.shape))} numbers"
    trained, every = (sum(p.size for p in some) for some in (setup.tuning.parameters, net.parameters()))
    name = (net.card.config or {}).get("model", type(net).__name__)
    steps = len(setup.loader)
    lines = [
        f"data      {one_line(data.source or data.train.name)}: {sum(map(len, parts.values())):,} {what}, {setup.task.describe(data.train)}",
        "",
        _counts(parts),
        "",
        f"network   {one_line(str(name))}: {every:,} parameters"
        + ("" if trained == every else f", {trained:,} of them trained"),
        f"training  {amount(config.epochs, 'epoch')} of {amount(steps, 'step')} of up to {amount(setup.loader.batch_size, 'example')}, "
        f"{config.optimizer} at {config.learning_rate:g}, schedule {config.schedule}, on {config.executor}",
    ]
    if setup.position.step:
        lines.append(f"          goes on after epoch {setup.position.epoch} of {config.epochs}")
    return "\n".join(lines)


def _counts(parts: dict[str, Any]) -> str:
    """How many examples each part has, class by class."""
    rows: list[list[str]] = []
    first = next(iter(parts.values()))
    if all(hasattr(part, "labels") for part in parts.values()):
        counts = np.array([np.bincount(part.labels, minlength=len(first.classes)) for part in parts.values()])
        listed = len(first.classes) if len(first.classes) <= MOST_CLASSES else MOST_CLASSES - 1
        rows = [_row(one_line(name), counts[:, k]) for k, name in enumerate(first.classes[:listed])]
        if rest := len(first.classes) - listed:
            rows.append(_row(f"{rest} more", counts[:, listed:].sum(1)))
    rows.append(_row("in all", [len(part) for part in parts.values()]))
    return text_table(["", *parts], rows, "l" + "r" * len(parts))


def _row(name: str, counts: Iterable[int]) -> list[str]:
    return [name, *(f"{int(count):,}" for count in counts)]


class Pace:
    """How long training takes, as its steps and evaluations so far say; the first step, which compiles, is not counted."""

    def __init__(self) -> None:
        self._since: tuple[float, int] | None = None
        self.measured = 0.0
        """Seconds that the steps took which the pace is known from."""
        self.left = 0.0
        """Seconds that the rest will take; 0 while that is not known."""

    def note(self, done: int, total: int) -> None:
        """`done` steps of `total` are done now."""
        now = time.monotonic()
        if self._since is None:
            self._since = now, done
            return
        start, first = self._since
        self.measured = now - start
        self.left = self.measured / (done - first) * (total - done) if done > first else 0.0


def duration(seconds: float) -> str:
    """`75` -> `1 min 15 s`, as far as an estimate is worth."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"
