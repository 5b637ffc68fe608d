"""A run whose process lives: what it said last."""

from __future__ import annotations

import signal
import threading
from typing import Any

from pellucid.lab.runs.process import Process


class Living:
    """A run whose process this server started: what it said last."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.process: Process | None = None
        self.name = ""
        self.state = "starting"
        self.problem: dict[str, Any] | None = None
        self.numbers: dict[str, Any] = {"step": 0, "epoch": 0, "batch": 0, "at": None}
        self.plan: dict[str, Any] = {}
        self.rows: list[dict[str, Any]] = []
        self.stages: int | None = None
        self.pace = 0.0
        self.words: list[str] = []
        self.ready = self.gone = False

    @property
    def began(self) -> bool:
        """Whether it has a folder, or never will."""
        return bool(self.name) or self.gone

    def heed(self, said: dict[str, Any]) -> None:
        """Take in what the process says."""
        with self.changed:
            self._heed(said.pop("is", ""), said)
            self.changed.notify_all()

    def _heed(self, what: str, said: dict[str, Any]) -> None:
        if what == "begun":
            self.name = said["run"]
        elif what == "set up":
            self.rows = list(said.pop("rows"))
            self.numbers["step"] = said.pop("step")
            self.plan, self.ready = said, True
        elif what == "state":
            self.state = self.state if self.state == "stopping" else said["state"]
        elif what == "step":
            self.numbers = {**said, "epoch": said["epoch"] + 1}
        elif what == "epoch":
            self.rows.append(said["row"])
        elif what == "stages":
            self.stages = said["step"]
        elif what == "refused":
            self.state, self.problem = "failed", said
        elif what == "end":
            self.state, self.problem = said["state"], said.get("problem")
        elif what == "gone":
            self.gone, self.words = True, said["words"]
            if self.state in ("starting", "running", "paused", "stopping"):
                self.state = "killed"
                self.problem = {
                    "title": "The process ended without a word",
                    "detail": _ended(said["code"]),
                    "remedy": "Resume goes on from the last checkpoint",
                }


def _ended(code: int) -> str:
    if code >= 0:
        return f"it ended with {code}"

    return f"it was ended by {signal.Signals(-code).name}"
