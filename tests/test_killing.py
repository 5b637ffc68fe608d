"""A short share of what `tests/killing.py` does at every operation on a run's files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_runs_ended_at_some_operations_come_back_as_they_were() -> None:
    command = [sys.executable, str(Path(__file__).with_name("killing.py")), "--kills", "8", "--seed", "20261128"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 runs were ended at" in done.stdout
