"""What a trace costs: beside a plain forward and backward pass, for one number explained, and in memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

import pellucid as pl
from common import interleaved
from pellucid.nn import Module

NETS = ("vgg16", "resnet18", "efficientnet_lite0")
PLACES = {
    "a convolution": ("features.10", (100, 20, 30)),
    "a pooling": ("features.16", (100, 10, 12)),
    "the first linear layer": ("classifier.0", (1000,)),
}
"""Layers of VGG-16 and an element of each: sums of 1,153 terms, 1 term and 25,089 terms."""
PICTURE = np.random.default_rng(0).standard_normal((3, 224, 224)).astype(np.float32)
PEAK = """
import resource
from tracing_speed import traced
traced("vgg16")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def traced(name: str) -> pl.explain.Trace:
    """The trace of a new network on the picture, with all gradients."""
    net = pl.models.build(name)
    net.initialize(0)
    return with_gradients(net)


def with_gradients(net: Module) -> pl.explain.Trace:
    """A trace whose gradients are computed."""
    trace = pl.trace(net, PICTURE, 3)
    assert trace.gradients.known
    return trace


def plain(net: Module, of_parameters: bool) -> Callable[[], object]:
    """The score and its gradients with regard to all parameters, or to the picture, compiled as a whole."""
    x = pl.input((1, *PICTURE.shape))
    y = net.eval()(x)
    one = np.eye(1, y.shape[1], 3, dtype=np.float32)
    wanted = net.parameters() if of_parameters else [x]
    program = pl.compile([y, *pl.gradients(y, wanted, pl.constant(one))], [x])
    return lambda: program({x: PICTURE[None]})


def cost(name: str) -> None:
    """A row: both passes of a trace, and of the plain programs, taking turns; and the first trace, which compiles."""
    net = pl.models.build(name)
    net.initialize(0)
    plain_sides = {"parameters": plain(net, True), "picture": plain(net, False)}
    plain_sides["parameters"]()  # draws the weights
    start = time.perf_counter()
    with_gradients(net)
    first = time.perf_counter() - start
    seconds = interleaved({"trace": lambda: with_gradients(net), **plain_sides}, 5, 4)
    ratios = {side: seconds["trace"] / seconds[side] for side in plain_sides}
    print(
        f"{name:<20} trace {seconds['trace'] * 1000:7.1f} ms (the first {first * 1000:.0f}); forward and backward to the parameters "
        f"{seconds['parameters'] * 1000:7.1f}, to the picture {seconds['picture'] * 1000:7.1f} ms; "
        f"trace / plain = {ratios['parameters']:.2f} (wanted 1.3), {ratios['picture']:.2f}",
        flush=True,
    )


def questions() -> None:
    """A row for each question: milliseconds of the first answer, and of the next one about the element beside it."""
    trace = traced("vgg16")
    for what, (layer, place) in PLACES.items():
        activation = trace[layer]
        beside = (*place[:-1], place[-1] + 1)
        for question, ask in (("value", activation.__getitem__), ("gradient", activation.why_gradient)):
            times: list[float] = []
            for at in (place, beside):
                start = time.perf_counter()
                answer = ask(at)
                times.append(1000 * (time.perf_counter() - start))
            terms = f"{len(answer.terms):,} terms"
            print(
                f"{question + ' of ' + what:<36} {terms:>13} {times[0]:8.1f} ms, then {times[1]:8.1f} ms (wanted 50)",
                flush=True,
            )


def memory() -> None:
    """A row: the most memory that a process holds that makes VGG-16, traces a picture and computes all gradients."""
    folder = __file__.rpartition("/")[0]
    done = subprocess.run([sys.executable, "-c", PEAK], cwd=folder, check=True, capture_output=True, text=True)
    print(f"vgg16 traced with gradients, weights and all: {int(done.stdout) / 1024:,.0f} MiB at most (wanted 1,500)")


def main() -> None:
    """Print all rows; memory first, as a process counts that of the one that started it."""
    memory()
    for name in NETS:
        cost(name)
    questions()


if __name__ == "__main__":
    main()
