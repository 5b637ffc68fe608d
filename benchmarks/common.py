"""What the benchmarks share: sides that take turns, ratios to the best peer, the machine in one line."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

OURS = "Pellucid"


def interleaved(sides: dict[str, Callable[[], object]], repeats: int, block: int = 1) -> dict[str, float]:
    """Median seconds of each side, the sides taking turns `repeats` times.

    A turn is one call that does not count (it wakes the side's threads and puts the other side's to sleep) when
    `block` is more than 1, then `block` calls that do.
    """
    for run in sides.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, run in sides.items():
            if block > 1:
                run()
            for _ in range(block):
                start = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def compare(what: str, sides: dict[str, Callable[[], object]], repeats: int, block: int, wanted: float) -> float:
    """Time the sides, print a row of a table, and give the ratio of the best peer's time to ours."""
    seconds = interleaved(sides, repeats, block)
    peers = {name: value for name, value in seconds.items() if name != OURS}
    best = min(peers, key=lambda name: peers[name])
    ratio = peers[best] / seconds[OURS]
    others = ", ".join(f"{name} {value * 1000:.2f}" for name, value in peers.items())
    print(
        f"{what:<36} {seconds[OURS] * 1000:9.2f} ms   {others} ms   {best} / ours = {ratio:.2f} (wanted {wanted})",
        flush=True,
    )
    return ratio


def machine() -> str:
    """The machine in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {sum(line.startswith('processor') for line in lines)} cores, Python {platform.python_version()}"
