"""Traces of one network share what is compiled, and still show the network as it is now."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.explain import Trace
from pellucid.inference import ready


class Small(nn.Module):
    """A convolution, a norm, and a setting that is no parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(4 * 36, 3)
        self.factor = 1.0
        self.factors = {"more": [1.0]}

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.fc(self.flatten(self.bn(self.conv(x)) * (self.factor * self.factors["more"][0])))


PICTURES = np.random.default_rng(0).standard_normal((2, 1, 8, 8)).astype(np.float32)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every program that traces compile, in order."""
    programs: list[object] = []
    compile = ready.compile

    def counted(*arguments: object, **options: object) -> object:
        programs.append(compile(*arguments, **options))  # type: ignore[arg-type]
        return programs[-1]

    monkeypatch.setattr(ready, "compile", counted)
    return programs


def _numbers(trace: Trace) -> list[np.ndarray]:
    return [value for a in trace.values() for value in (a.value, a.gradient)]


def _weights(net: Small) -> None:
    net.fc.weight.value = net.fc.weight.value * 2


def _statistics(net: Small) -> None:
    net.bn.running_var.value = net.bn.running_var.value * 3


def _setting(net: Small) -> None:
    net.factor = 2.0


def _listed(net: Small) -> None:
    net.factors["more"][0] = 3.0


def _layer(net: Small) -> None:
    net.conv = nn.Conv2d(1, 4, 3)
    net.conv.initialize(7)


CHANGES: dict[str, tuple[Callable[[Small], object], bool]] = {
    "nothing": (lambda net: None, False),
    "weights": (_weights, False),
    "running statistics": (_statistics, False),
    "a setting": (_setting, True),
    "a layer": (_layer, True),
    "a setting in a list": (_listed, True),
    "training mode": (lambda net: net.train(), False),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_second_trace(what: str, compiled: list[object]) -> None:
    change, again = CHANGES[what]
    net, fresh = Small(), Small()
    for made in (net, fresh):
        made.initialize(1)
    _numbers(pl.trace(net, PICTURES[0], 1))
    assert len(compiled) == 2
    change(net)
    change(fresh)
    second = pl.trace(net, PICTURES[1], 2)
    numbers = _numbers(second)
    assert len(compiled) == (4 if again else 2)
    for mine, wanted in zip(numbers, _numbers(pl.trace(fresh, PICTURES[1], 2)), strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_an_older_trace_keeps_its_numbers() -> None:
    net = Small()
    net.initialize(1)
    first = pl.trace(net, PICTURES[0], 1)
    before = [n.copy() for n in _numbers(first)]
    _numbers(pl.trace(net, PICTURES[1], 2))
    for mine, wanted in zip(_numbers(first), before, strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_each_shape_and_executor_is_compiled_by_itself(compiled: list[object]) -> None:
    net = nn.Sequential(conv=nn.Conv2d(1, 4, 3), pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    for executor in ("auto", "reference", "auto", "reference"):
        assert pl.trace(net, PICTURES[0], executor=executor).executor == executor
    assert len(compiled) == 2
    assert pl.trace(net, PICTURES[0][:, :6])["conv"].shape == (4, 4, 6)
    assert len(compiled) == 3


def test_a_network_that_is_gone_leaves_nothing() -> None:
    net = Small()
    trace = pl.trace(net, PICTURES[0])
    kept = weakref.ref(trace.prepared)
    del net, trace
    gc.collect()
    assert kept() is None
