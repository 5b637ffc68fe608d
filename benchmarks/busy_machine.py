"""A machine that is idle, and one that is busy with other processes: ours, ours on one thread, and with threads that sleep at once.

Each way is a process of its own; they take turns, while as many busy processes as said run beside all of them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

import pellucid as pl
from common import OURS
from pellucid.train.optimizers import Optimizer
from pellucid.train.step import training_graph

WAYS = {OURS: {}, "one thread": {"PELLUCID_THREADS": "1"}, "passive": {"OMP_WAIT_POLICY": "passive"}}
BUSY = (0, 1, 2)
ROUNDS, SECONDS = 5, 0.5
WANTED = 1.3
_BUSY = "while True: pass"


def _inference(name: str, *sizes: int) -> Callable[[], object]:
    net = pl.models.build(name).eval()
    net.initialize(0)
    shape = (*sizes, sizes[-1])
    x = pl.input(shape, name="images")
    program = pl.compile([net(x)])
    images = np.random.default_rng(0).standard_normal(shape, np.float32)
    return lambda: program({x: images})


def _training(name: str, *sizes: int) -> Callable[[], object]:
    net = pl.models.build(name)
    net.initialize(0)
    optimizer = Optimizer("sgd")
    step = training_graph(net, (*sizes, sizes[-1]), optimizer, optimizer.state(net.parameters()))
    inputs = pl.Graph([*step.outputs, *step.updates.values()]).inputs
    program = pl.compile(step.outputs, inputs, step.updates)
    feeds = {i: np.zeros(i.shape, i.dtype) if i.shape else np.asarray(1e-3, i.dtype) for i in inputs}
    return lambda: program(feeds)


WORKLOADS: dict[str, Callable[[], Callable[[], object]]] = {
    "lenet, 16 pictures": lambda: _inference("lenet", 16, 1, 28),
    "squeezenet1_1, 128x128": lambda: _inference("squeezenet1_1", 1, 3, 128),
    "lenet, step of 64": lambda: _training("lenet", 64, 1, 28),
}


def serve() -> None:
    """For each line read, run every workload for a while and print medians and means in seconds."""
    runs = [make() for make in WORKLOADS.values()]
    for _ in sys.stdin:
        print(*(value for run in runs for value in _timed(run)), flush=True)


def _timed(run: Callable[[], object]) -> tuple[float, float]:
    seconds: list[float] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), statistics.fmean(seconds)


def main() -> None:
    """Print for each load and workload the median and mean of each way, and ours over the best other."""
    pipe = subprocess.PIPE
    ways = {
        way: subprocess.Popen(
            [sys.executable, __file__, "serve"], env={**os.environ, **settings}, stdin=pipe, stdout=pipe, text=True
        )
        for way, settings in WAYS.items()
    }
    for way in ways.values():
        _ask(way)
    for busy in BUSY:
        others = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(busy)]
        try:
            rows: dict[str, list[list[float]]] = {way: [] for way in ways}
            for _ in range(ROUNDS):
                for name, way in ways.items():
                    rows[name].append(_ask(way))
        finally:
            for other in others:
                other.kill()
                other.wait()
        _print(
            busy,
            {name: [statistics.median(column) for column in zip(*seen, strict=True)] for name, seen in rows.items()},
        )
    for way in ways.values():
        way.communicate()


def _ask(way: subprocess.Popen[str]) -> list[float]:
    assert way.stdin is not None
    assert way.stdout is not None
    way.stdin.write("\n")
    way.stdin.flush()
    return [float(word) for word in way.stdout.readline().split()]


def _print(busy: int, found: dict[str, list[float]]) -> None:
    print(f"{busy} other processes busy; ms of a run, median (mean)")
    for number, what in enumerate(WORKLOADS):
        shown: list[str] = []
        for way, values in found.items():
            median, mean = values[2 * number : 2 * number + 2]
            shown.append(f"{way} {median * 1000:.3f} ({mean * 1000:.3f})")
        ratios = [
            found[OURS][at] / min(values[at] for way, values in found.items() if way != OURS)
            for at in (2 * number, 2 * number + 1)
        ]
        wanted = f"wanted {WANTED}"
        print(
            f"  {what:<24} {', '.join(shown)}; ours / best other = {ratios[0]:.2f} ({ratios[1]:.2f}; {wanted})",
            flush=True,
        )


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
