"""How a program is to be computed: by which executor, in which precision, on how many threads and on which device."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import unknown
from pellucid.executors.contract import ExecutorError
from pellucid.whole_numbers import whole

EXECUTORS = ("native", "reference", "torch")
CHOICES = ("auto", *EXECUTORS)
"""What an `executor` may be: one by name, or the fastest that is here."""
PRECISIONS = ("float32", "bfloat16")
"""What a `precision` may be: the element type that is computed in."""
MOST_THREADS = 1024
"""More do not help, each takes memory of its own, and the system starts so many only."""
_QUOTAS = (
    ("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu.max"),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)
"""Files with the microseconds of processors that a container may use, and of the time in which it may: of cgroups 2, and 1."""
_DEVICES = ("cpu", "cuda", "cuda:N", "mps")


@dataclass(frozen=True)
class Setting:
    """How to compute. `precision` is that of images and weights in products, 0 threads are as many as there are.

    `device` is "cpu", "mps", or "cuda" with or without a number ("cuda:1").
    """

    executor: str = "auto"
    precision: str = "float32"
    threads: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.executor not in CHOICES:
            raise unknown("executor", self.executor, CHOICES)
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        object.__setattr__(self, "threads", whole("program", "threads", self.threads, raises=ExecutorError))
        if not 0 <= self.threads <= MOST_THREADS:
            raise ExecutorError(
                f"threads must lie in 0 to {MOST_THREADS} (each takes memory of its own), got {self.threads}"
            )
        if not re.fullmatch(r"cpu|mps|cuda(:[0-9]{1,3})?", str(self.device)):
            raise unknown("device", str(self.device), _DEVICES)


def default_threads() -> int:
    """Threads a program uses unless told otherwise: PELLUCID_THREADS, or the processors this process may use and has paid for."""
    wanted = os.environ.get("PELLUCID_THREADS", "")
    if wanted and not (wanted.isdecimal() and len(wanted) < 5 and 0 < int(wanted) <= MOST_THREADS):
        raise ExecutorError(
            f"PELLUCID_THREADS must be a whole number from 1 to {MOST_THREADS} (each thread takes memory of its own), "
            f"got {wanted!r}"
        )
    if wanted:
        return int(wanted)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, _quota(), MOST_THREADS)


def _quota() -> int:
    """Processors that the quota of this process's container pays for, on Linux; without one as many as there may be."""
    for quota_file, period_file in _QUOTAS:
        try:
            words = [
                *Path(quota_file).read_text(encoding="ascii").split(),
                *Path(period_file).read_text(encoding="ascii").split(),
            ]
            quota, period = int(words[0]), int(words[-1])
        except (OSError, ValueError, IndexError):  # there is no such file, or no limit: "max"
            continue
        if quota > 0 and period > 0:
            return -(-quota // period)
    return MOST_THREADS
