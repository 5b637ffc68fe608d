"""The observer of a run that is steered: waits before steps, notes every step, takes snapshots, and says what happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.data import Batch
from pellucid.lab.runs.control import Control
from pellucid.lab.runs.snapshot import Camera
from pellucid.lab.runs.stages import SlowMotion
from pellucid.lab.runs.trail import Trail
from pellucid.op import Array
from pellucid.train import Callback
from pellucid.train.callbacks import EpochReport, StepReport
from pellucid.train.setup import Setup
from pellucid.train.stopping import asked_to_stop

GAP = 0.05
"""Seconds between two words about steps, at least."""
SHARE = 0.25
"""Of the time that training takes for snapshots, at most."""

Tell = Callable[[dict[str, Any]], None]


class Observer(Callback):
    """Of one run; `tell` passes on what happens."""

    def __init__(self, control: Control, trail: Trail, tell: Tell) -> None:
        self._control, self._trail, self._tell = control, trail, tell
        self._rows: list[tuple[float, float, float]] = []
        self._report: StepReport | None = None
        self._before: list[Array] | None = None
        self._told = self._taken = self._cost = 0.0
        self._done = self._pictured = -1
        self._resting = False
        self.norms: Array | None = None
        """Of the gradients of the last step that was finite."""

    def on_setup(self, setup: Setup) -> None:
        self.setup = setup
        self._camera, self._slow = Camera(setup), SlowMotion(setup)
        self._done = setup.position.step
        self._trail.cut(self._done)
        batches, epochs = len(setup.loader), setup.config.epochs
        plan = {"steps": epochs * batches, "batches": batches, "epochs": epochs}
        self._trail.put("plan", plan)
        self._tell({"is": "set up", "step": self._done, **plan, "rows": setup.position.rows})

    def on_start(self, first_epoch: int, epochs: int) -> None:
        self._picture()
        self._tell({"is": "state", "state": "running"})

    def on_batch(self, batch: Batch, rate: float, step: int) -> None:
        slow = self._control.wait(asked_to_stop, self._rest)
        if slow:
            self._trail.put("stages", self._slow.stages(batch, rate, step))
            self._tell({"is": "stages", "step": step})
        if self._resting and not self._control.paused:
            self._tell({"is": "state", "state": "running"})
        self._resting = False
        if asked_to_stop():
            self._picture()
        wanted = self._control.paused or self._due
        self._before = [p.value.copy() for p in self.setup.tuning.parameters] if wanted else None

    @property
    def _due(self) -> bool:
        """Whether snapshots have taken little enough of the time for another."""
        return time.monotonic() - self._taken > self._cost / SHARE

    def _rest(self) -> None:
        self._resting = True
        self._flush()
        self._picture()
        self._tell({"is": "state", "state": "paused"})

    def on_step(self, report: StepReport) -> None:
        self._report, self._done = report, report.step + 1
        norms = report.gradient_norms
        if norms is not None and np.isfinite(norms).all():
            self.norms = norms
        self._rows.append((report.loss, report.gradient_norm, report.learning_rate))
        if self._before is not None:
            self._picture()
        if time.monotonic() - self._told > GAP:
            self._flush()

    def on_epoch(self, report: EpochReport) -> None:
        self._flush()
        if self._due or report.epoch + 1 == report.epochs or self.setup.config.patience:
            self._picture()
        self._tell({"is": "epoch", "row": self.setup.position.rows[-1]})

    def on_end(self) -> None:
        self._flush()

    def largest_gradient(self) -> dict[str, Any] | None:
        """The parameter whose gradient was the largest in the last step that was finite."""
        if self.norms is None:
            return None
        k = int(self.norms.argmax())
        return {"name": self.setup.tuning.parameters[k].name, "norm": float(self.norms[k])}

    def _flush(self) -> None:
        report = self._report
        if not self._rows or report is None:
            return
        self._trail.noted.note(self._rows)
        self._rows.clear()
        self._told = time.monotonic()
        self._tell({
            "is": "step", "step": self._done, "epoch": report.epoch, "batch": report.batch + 1, "loss": report.loss,
            "gradient_norm": report.gradient_norm, "learning_rate": report.learning_rate, "at": time.time(),
        })  # fmt: skip

    def _picture(self) -> None:
        """A snapshot of how things stand, unless there is one."""
        before, self._before = self._before, None
        if self._pictured == self._done:
            return
        started = time.monotonic()
        self._trail.keep(self._done, self._camera.taken(self._done, self._report, before))
        self._pictured = self._done
        self._taken = time.monotonic()
        self._cost = self._taken - started
        self._tell({"is": "snapshot", "snapshots": self._trail.snapshots()})
