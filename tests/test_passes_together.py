"""All passes in their order, each of them switched off, and what is recorded of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import UnknownNameError
from pellucid.executors import compile
from pellucid.executors.contract import Signature
from pellucid.executors.passes import PASSES, SWITCHES, Pass, run_passes
from pellucid.executors.passes.trace import trace_passes
from pellucid.executors.setting import Setting
from pellucid.graph import Parameter, Tensor
from test_passes import image, weight

pytest.importorskip("pellucid.executors._native", reason="the native executor is not built here")

from pellucid.executors.native import NativeProgram


@pytest.mark.parametrize("seed", range(25))
def test_values_stay_the_same_through_all_passes(seed: int) -> None:
    """Loss and gradients of random networks, after every pass in turn."""
    network = pytest.importorskip("test_random_networks").network
    loss, parameters, feeds = network(seed, "float32", (3, 16, 20, 32), ("relu", "relu", "sigmoid", "gelu"))
    outputs = (loss, *pl.gradients(loss, parameters))
    expected = compile(outputs, executor="reference")(feeds)
    for name, step in PASSES.items():
        before, outputs = outputs, step(outputs)
        assert [(o.shape, o.dtype) for o in outputs] == [(o.shape, o.dtype) for o in before]
        for mine, value in zip(compile(outputs, executor="reference")(feeds), expected, strict=True):
            scale = max(1.0, float(np.abs(value).max()))
            np.testing.assert_allclose(mine, value, rtol=0, atol=3e-4 * scale, err_msg=f"after {name}")


def step(dtype: str) -> tuple[list[Tensor], dict[Parameter, Tensor], list[Parameter], dict[Tensor, np.ndarray]]:
    """A training step that gives every pass something to do: outputs, updates, parameters, feeds."""
    random = np.random.default_rng(0)
    x, labels = pl.input((4, 3, 8, 8), dtype, "x"), pl.input((4,), "int64", "labels")
    made: list[Parameter] = []

    def parameter(*shape: int) -> Parameter:
        value = random.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))
        made.append(Parameter.of(value.astype(np.float32).astype(dtype), f"w{len(made)}"))
        return made[-1]

    frozen = pl.conv2d(x, parameter(6, 3, 3, 3), padding=1)
    scale, shift = parameter(1, 6, 1, 1), parameter(1, 6, 1, 1)
    num_frozen = len(made)
    y = pl.max_pool2d(pl.relu(frozen * scale + shift), 2)
    y = pl.conv2d(y, parameter(16, 6, 3, 3), padding=1)
    y, _, _ = pl.batch_norm_training(y, parameter(16), parameter(16))
    y = pl.relu(y)
    y = pl.relu(y + pl.conv2d(y, parameter(16, 16, 3, 3), parameter(16), padding=1))
    y = pl.max_pool2d(pl.relu(pl.conv2d(y, parameter(16, 16, 3, 3), parameter(16), padding=1)), 2)
    logits = pl.linear(pl.flatten(y), parameter(5, 64), parameter(5))
    loss = pl.cross_entropy(logits, labels)
    correct = pl.sum(pl.cast(pl.equal(pl.argmax(logits, 1), labels), "int64"))
    trained = made[num_frozen:]
    updates: dict[Parameter, Tensor] = {}
    for p, slope in zip(trained, pl.gradients(loss, trained), strict=True):
        velocity = Parameter.of(np.zeros(p.shape, dtype), f"v/{p.name}", trainable=False)
        updates[p], updates[velocity] = pl.sgd(p, slope, velocity, 0.1, momentum=0.9)
        made.append(velocity)
    feeds = {x: random.standard_normal(x.shape).astype(np.float32).astype(dtype), labels: np.array([0, 1, 4, 2])}
    return [loss, correct], updates, made, feeds


def test_the_training_step_gives_every_pass_something_to_do() -> None:
    outputs, updates, _, _ = step("float32")
    idle = [r.name for r in trace_passes((*outputs, *updates.values()), list(updates)) if not (r.changes or r.gone)]
    assert idle == []


@pytest.mark.parametrize(
    "without", [(), *((name,) for name in SWITCHES), SWITCHES], ids=lambda names: "+".join(names)[:20] or "none"
)
def test_every_pass_can_be_switched_off(without: tuple[str, ...]) -> None:
    found: list[list[np.ndarray]] = []
    for dtype in ("float32", "float64"):
        outputs, updates, parameters, feeds = step(dtype)
        if dtype == "float32":
            program: Any = NativeProgram(Signature(outputs, (), updates, False), without=without)
        else:
            program = compile(outputs, updates=updates, executor="reference")
        values = [value for _ in range(2) for value in program(feeds)]
        found.append([*values, *(p.value for p in parameters)])
    for mine, exact in zip(*found, strict=True):
        np.testing.assert_allclose(mine, exact, rtol=0, atol=2e-4 * max(1.0, float(np.abs(exact).max())))


def test_an_unknown_pass() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'fuse'"):
        run_passes((image(2),), without=["fues"])


def test_a_record_says_what_a_pass_did() -> None:
    x = image(2, 4, 5, 5)
    y = pl.relu(pl.conv2d(x, weight(16, 4, 3, 3), weight(16, name="bias"))).named("activation")
    (record,) = [r for r in trace_passes((y,)) if r.name == "fuse"]
    (made,) = [c for c in record.changes if c.kind == "conv2d+bias+relu"]
    assert (made.name, made.shape, made.moved) == ("activation", (2, 16, 3, 3), False)
    assert set(made.instead_of) == {"activation", "add", "conv2d"}
    assert record.gone == {"conv2d": "conv2d", "add": "add", "activation": "relu"}
    assert record.num_before - len(record.gone) + sum(not c.moved for c in record.changes) == len(record.graph)
    assert "1 conv2d+bias+relu: activation" in record.summary()
    assert str(record).endswith(str(record.graph))


@pytest.mark.parametrize(
    ("only", "setting", "changes", "runs"),
    [
        (set(), Setting("torch"), False, True),
        ({"native"}, Setting("native"), False, True),
        ({"native"}, Setting("torch", device="cuda"), False, False),
        ({"bfloat16"}, Setting("native", "bfloat16"), True, True),
        ({"bfloat16"}, Setting("native"), True, False),
        ({"training"}, Setting("native"), True, True),
        ({"training"}, Setting("native"), False, False),
        ({"native", "inference"}, Setting("native"), False, True),
        ({"native", "inference"}, Setting("native"), True, False),
    ],
)
def test_a_pass_runs_for_the_programs_that_it_is_for(
    only: set[str], setting: Setting, changes: bool, runs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = image(2), image(3)
    monkeypatch.setitem(PASSES, "simplify", Pass(lambda outputs: (y,), frozenset(only)))
    changing = [weight(3)] if changes else []
    assert run_passes((x,), changing, setting=setting) == ((y,) if runs else (x,))
    assert ("simplify" in [r.name for r in trace_passes((x,), changing, setting=setting)]) is runs


def test_a_pass_is_for_programs_that_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown trait of a program 'trainng' .*did you mean 'training'"):
        Pass(PASSES["simplify"].function, frozenset({"trainng"}))
