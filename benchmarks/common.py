"""What the benchmarks share: interleaved medians, and a LeNet-size training step."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import pellucid as pl
from pellucid import nn
from pellucid.executors import Program

BATCH = 64


def interleaved(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each side, the sides taking turns after one warm-up each."""
    for run in sides.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def lenet() -> nn.Module:
    """Two 5x5 convolutions of 32 and 64 maps on 28x28, then two linear layers."""
    return nn.Sequential(
        conv1=nn.Conv2d(1, 32, 5, padding=2), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(32, 64, 5, padding=2), relu2=nn.ReLU(), pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(), fc1=nn.Linear(64 * 49, 128), relu3=nn.ReLU(), fc2=nn.Linear(128, 10),
    )  # fmt: skip


def training_step(executor: str) -> tuple[Program, dict[str, np.ndarray]]:
    """A whole training step (SGD with momentum) of `lenet` on 64 pictures, and what to feed it."""
    net = lenet()
    images, labels = pl.input((BATCH, 1, 28, 28), name="images"), pl.input((BATCH,), "int64", "labels")
    loss = pl.cross_entropy(net(images), labels)
    updates = {}
    for parameter, slope in zip(net.parameters(), pl.gradients(loss, net.parameters()), strict=True):
        velocity = pl.Parameter.of(np.zeros(parameter.shape, np.float32), trainable=False)
        updates[parameter], updates[velocity] = pl.sgd(parameter, slope, velocity, 0.01, momentum=0.9)
    random = np.random.default_rng(0)
    feeds = {
        "images": random.standard_normal((BATCH, 1, 28, 28), np.float32),
        "labels": random.integers(0, 10, BATCH),
    }
    return pl.compile([loss], updates=updates, executor=executor), feeds


def machine() -> str:
    """The machine in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {sum(line.startswith('processor') for line in lines)} cores, Python {platform.python_version()}"
