"""A process that trains, as the server has it: started, spoken to, and what it said last."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pellucid.plain import PlainError, parse_json, to_json


class Process:
    """One process; `told` is called, in a thread of its own, for everything that it says, at last with {"is": "gone"}."""

    def __init__(self, order: Mapping[str, Any], folder: Path, told: Callable[[dict[str, Any]], None]) -> None:
        self._early = tempfile.TemporaryFile()  # noqa: SIM115, what it writes before it has a folder of its own
        self._child = subprocess.Popen(
            [sys.executable, "-m", "pellucid.lab.runs.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._early,
            cwd=folder,
            text=True,
            start_new_session=True,  # a Ctrl-C of the terminal is the server's, which stops it in order
        )
        self._told, self._speaking = told, threading.Lock()
        self.say(order)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def say(self, what: Mapping[str, Any]) -> None:
        """Tell it something; one that is gone hears nothing."""
        assert self._child.stdin is not None
        with self._speaking:
            if not self._child.stdin.closed:
                with contextlib.suppress(BrokenPipeError):
                    print(to_json(what), file=self._child.stdin, flush=True)

    def wait(self, seconds: float) -> bool:
        """Whether all that it had to say was heard within so many seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _early_words(self) -> list[str]:
        self._early.seek(0)
        return self._early.read(2**16).decode(errors="replace").splitlines()[-20:]

    def _follow(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            try:
                said = parse_json(line)
            except PlainError:
                continue
            if isinstance(said, dict):
                self._told(said)
        code = self._child.wait()
        with self._speaking:
            for pipe in (self._child.stdin, self._child.stdout):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close() if pipe else None
        self._told({"is": "gone", "code": code, "words": self._early_words()})
        self._early.close()
