"""How a program is computed: what may be asked of the executors, and what each refuses by name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import PellucidError, UnknownNameError
from pellucid.executors import (
    MOST_THREADS,
    ExecutorError,
    Setting,
    available_executors,
    compile,
    default_threads,
    run,
    setting,
    torch_executor,
)
from pellucid.executors.choice import resolved
from pellucid.graph import Graph, Tensor

EXECUTORS = [name for name, reason in available_executors().items() if not reason]
needs_torch = pytest.mark.skipif("torch" not in EXECUTORS, reason="PyTorch is not installed")


def network(dtype: str = "float32") -> Tensor:
    x = pl.input((2, 3, 8, 8), dtype, "x")
    weight = pl.Parameter.of(np.linspace(-1, 1, 4 * 3 * 3 * 3).reshape(4, 3, 3, 3).astype(dtype), "w")
    return pl.max_pool2d(pl.relu(pl.conv2d(x, weight, padding=1)), 2)


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"executor": "natve"}, UnknownNameError, "unknown executor 'natve' (did you mean 'native'?)"),
        ({"precision": "float16"}, UnknownNameError, "unknown precision 'float16'"),
        ({"threads": -1}, ExecutorError, "threads must lie in 0 to 1024"),
        ({"threads": 1025}, ExecutorError, "threads must lie in 0 to 1024"),
        ({"device": "gpu"}, UnknownNameError, "unknown device 'gpu'"),
        ({"device": ""}, UnknownNameError, "there are: cpu, cuda, cuda:N, mps"),
        ({"device": "CPU"}, UnknownNameError, "unknown device 'CPU'"),
        ({"device": "cuda:"}, UnknownNameError, "unknown device 'cuda:'"),
        ({"device": "cuda:-1"}, UnknownNameError, "unknown device 'cuda:-1'"),
        ({"device": "cuda:1 "}, UnknownNameError, "unknown device 'cuda:1 '"),
        ({"device": "cpu:0"}, UnknownNameError, "unknown device 'cpu:0'"),
        ({"device": None}, UnknownNameError, "unknown device 'None'"),
        ({"executor": "reference", "device": "cuda"}, ExecutorError, "'reference' computes on 'cpu' alone"),
        ({"executor": "reference", "device": "mps"}, ExecutorError, "take executor='torch'"),
        ({"executor": "reference", "precision": "bfloat16"}, ExecutorError, "only the native executor computes in it"),
    ],
)
def test_what_cannot_be_is_refused(asked: dict[str, Any], error: type[PellucidError], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        compile([network()], **asked)


@pytest.mark.skipif("native" not in EXECUTORS, reason="the native executor is not built here")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_the_native_executor_computes_on_the_processor(device: str) -> None:
    with pytest.raises(ExecutorError, match=f"device '{device}': executor 'native' computes on 'cpu' alone"):
        compile([network()], executor="native", device=device)


@needs_torch
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:999", "mps"])
@pytest.mark.parametrize("executor", ["torch", "auto"])
def test_a_device_that_is_not_there(device: str, executor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_executor, "devices", lambda: ["cpu", "cuda:1"])
    with pytest.raises(ExecutorError, match=f"device '{device}' is not there for PyTorch; there are: cpu, cuda:1$"):
        compile([network()], executor=executor, device=device)


@needs_torch
def test_a_device_that_has_no_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_executor, "devices", lambda: ["cpu", "mps"])
    with pytest.raises(ExecutorError, match=r"^(x|w): is float64, which device 'mps' has not"):
        compile([network("float64")], device="mps")


@needs_torch
@pytest.mark.parametrize("device", torch_executor.devices() if "torch" in EXECUTORS else [])
def test_values_and_updates_on_every_device_there_is(device: str) -> None:
    y = network()
    (weight,) = Graph([y]).parameters
    loss = pl.sum(y * y)
    feeds = {"x": np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)}
    start = weight.value.copy()
    found = []
    for choice in ({"executor": "reference"}, {"executor": "torch", "device": device}):
        weight.value = start
        updates = {weight: weight - pl.gradients(loss, [weight])[0] * 0.01}
        found.append([compile([loss], updates=updates, **choice)(feeds)[0], weight.value.copy()])
    for mine, expected in zip(*found, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-4)


def test_auto_takes_what_can_compute() -> None:
    graph = Graph([network()])
    assert resolved(Setting(), graph).executor == ("native" if "native" in EXECUTORS else "reference")
    assert resolved(Setting(), Graph([network("float64")])).executor == "reference"
    assert resolved(Setting(executor="reference", threads=3), graph) == Setting("reference", threads=3)
    if "torch" in EXECUTORS:
        assert resolved(Setting(device="cuda"), graph) == Setting("torch", device="cuda")
        x = np.ones((2, 3, 8, 8), np.float32)
        np.testing.assert_array_equal(
            compile([network()], device="cpu", executor="torch")({"x": x})[0], run([network()], {"x": x}, "torch")[0]
        )


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, MOST_THREADS),
        ({"quota": "300000\n", "period": "100000\n"}, 3),
        ({"quota": "-1\n", "period": "100000\n"}, MOST_THREADS),
        ({"cpu.max": "", "quota": "what"}, MOST_THREADS),
        ({}, MOST_THREADS),
    ],
    ids=str,
)
def test_a_containers_quota_limits_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="ascii")
    places = (("cpu.max", "cpu.max"), ("quota", "period"))
    monkeypatch.setattr(setting, "_QUOTAS", tuple((str(tmp_path / a), str(tmp_path / b)) for a, b in places))
    monkeypatch.delenv("PELLUCID_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(5000)), raising=False)
    assert default_threads() == expected
    monkeypatch.setenv("PELLUCID_THREADS", "7")
    assert default_threads() == 7
