"""One network asked in many ways: what is compiled for it is shared, kept within a limit of bytes, and goes with it."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.executors import available_executors
from pellucid.inference import ready, store
from pellucid.inference.prediction import Predictor, softmax
from pellucid.inference.ready import Ready
from pellucid.inference.target import ScoreError
from pellucid.nn.interface import InputSpec

EXECUTORS = [name for name, reason in available_executors().items() if not reason]
PICTURES = np.random.default_rng(0).standard_normal((4, 1, 8, 8)).astype(np.float32)


def made(seed: int = 0, final: bool = False) -> nn.Module:
    net = nn.Sequential(
        conv1=nn.Conv2d(1, 4, 3, padding=1),
        norm1=nn.BatchNorm2d(4),
        relu1=nn.ReLU(),
        flatten=nn.Flatten(),
        fc=nn.Linear(256, 10),
        **({"softmax": nn.Softmax(1)} if final else {}),
    )
    net.initialize(seed)
    return net


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every program that is compiled for a network in inference, in order."""
    programs: list[Any] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        programs.append(pl.compile(*arguments, **options))
        return programs[-1]

    monkeypatch.setattr(ready, "compile", counted)
    return programs


@pytest.fixture
def limited() -> Iterator[None]:
    before = pl.inference.limit()
    yield
    pl.inference.limit(before)


def test_predicting_twice_compiles_once(compiled: list[Any]) -> None:
    net = made()
    first = pl.predict(net, PICTURES)
    np.testing.assert_array_equal(pl.predict(net, PICTURES), first)
    assert len(compiled) == 1


@pytest.mark.parametrize("executor", EXECUTORS)
def test_probabilities_are_those_of_programs_made_for_them(executor: str) -> None:
    """Bit by bit those of a program of the network and one of the softmax, each compiled for the call."""
    net = made()
    x = pl.input(PICTURES.shape, name="x")
    with nn.inference_mode():
        (logits,) = pl.compile([net(x)], executor=executor)({x: PICTURES})
    for scores in (logits, np.array([[0, np.inf, 1], [-np.inf, 2, 3], [np.nan, 0, 0], [1e30, -1e30, 0]], np.float32)):
        wide = pl.input(scores.shape, "float64", "wide")
        (expected,) = pl.compile([pl.softmax(wide, 1)])({wide: scores.astype(np.float64)})
        np.testing.assert_array_equal(softmax(scores), expected)
    np.testing.assert_array_equal(pl.predict(net, PICTURES, executor=executor), softmax(logits))


def test_questions_share_what_they_can(compiled: list[Any]) -> None:
    net, one = made(), PICTURES[:1]
    data = pl.data.ArrayDataset(np.zeros((1, 1, 8, 8), np.uint8), [0], list("0123456789"), "one")
    pl.predict(net, one)
    pl.evaluate(net, data, None)
    pl.attribute(net, one[0], method="saliency")  # its own program is that of the gradient
    assert len(compiled) == 2
    pl.trace(net, one[0])["conv1"].value  # noqa: B018
    assert len(compiled) == 3
    pl.explain.receptive_field(net, one[0], "conv1")
    pl.trace(net, one[0], 3).gradients  # noqa: B018
    assert len(compiled) == 5
    pl.predict(net, one)
    pl.attribute(net, one[0], 3, method="saliency")
    pl.explain.receptive_field(net, one[0], "conv1")
    pl.trace(net, one[0], 5).gradients  # noqa: B018
    assert len(compiled) == 5
    graph = Ready(net).graph(one.shape).graph
    assert pl.explain.Scores(net).graph(one.shape).score is graph.outputs[0]
    assert {i for p in compiled for i in p.graph.inputs if i.name == "image"} == {graph.image}


def test_a_final_softmax_is_part_of_the_output_alone(compiled: list[Any]) -> None:
    net, plain = made(final=True), made()
    pl.predict(net, PICTURES[:1])
    np.testing.assert_array_equal(
        pl.explain.Scores(net).scores(PICTURES[:1]), pl.explain.Scores(plain).scores(PICTURES[:1])
    )
    assert len(compiled) == 3


SETTINGS: dict[str, Callable[[nn.Module], Any]] = {
    "executor": lambda net: pl.predict(net, PICTURES, executor="reference"),
    "shape": lambda net: pl.predict(net, PICTURES[:2]),
    "batch size": lambda net: pl.predict(net, PICTURES, batch_size=3),
    "threads": lambda net: Predictor(net, threads=1).logits(PICTURES),
    "another network": lambda net: pl.predict(made(), PICTURES),
    "a copy": lambda net: pl.predict(copy.deepcopy(net), PICTURES),
}


@pytest.mark.parametrize("what", SETTINGS)
def test_what_is_another_program(what: str, compiled: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_THREADS", "2")
    net = made()
    pl.predict(net, PICTURES)
    SETTINGS[what](net)
    assert len(compiled) >= 2


def test_the_number_of_threads_is_looked_up_each_time(compiled: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    net = made()
    for number in ("1", "2", "1"):
        monkeypatch.setenv("PELLUCID_THREADS", number)
        pl.predict(net, PICTURES)
    assert len(compiled) == 2


def test_weights_are_the_current_ones(compiled: list[Any]) -> None:
    net = made()
    pl.predict(net, PICTURES)
    other = made(1)
    net.load_state_dict(other.state_dict())
    np.testing.assert_array_equal(pl.predict(net, PICTURES), pl.predict(other, PICTURES))
    assert len(compiled) == 2


class Counting(nn.Module):
    """A network whose attributes change whenever it is called, which does not change what it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 3)
        self.calls = 0
        self.last: pl.Tensor | None = None
        self.factor = 1.0

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        self.calls += 1
        self.last = pl.reshape(x, (x.shape[0], 64))
        return self.fc(self.last) * self.factor


def test_a_network_that_computes_the_same_is_not_compiled_again(compiled: list[Any]) -> None:
    net = Counting()
    net.initialize(0)
    first = pl.predict(net, PICTURES)
    pl.predict(net, PICTURES[:2])
    for _ in range(3):
        np.testing.assert_array_equal(pl.predict(net, PICTURES), first)
    assert len(compiled) == 2
    net.factor = 2.0
    assert np.abs(pl.predict(net, PICTURES) - first).max() > 1e-3
    net.factor = 1.0
    np.testing.assert_array_equal(pl.predict(net, PICTURES), first)
    assert len(compiled) == 4


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_least_recently_used_goes_first(executor: str, compiled: list[Any], limited: None) -> None:
    gc.collect()
    nets = [made(seed) for seed in range(3)]

    def ask(number: int) -> int:
        before = len(compiled)
        pl.predict(nets[number], PICTURES, executor=executor)
        return len(compiled) - before

    pl.inference.limit(0)
    assert [ask(0), ask(0), ask(1), ask(0)] == [1, 0, 1, 1]  # one program alone is always kept
    one = pl.inference.kept_bytes()
    assert one > 0
    assert pl.inference.limit(2 * one + one // 2) == 2 * one + one // 2
    assert [ask(1), ask(0), ask(2), ask(0), ask(2), ask(1), ask(2)] == [1, 0, 1, 0, 0, 1, 0]
    assert pl.inference.kept_bytes() == 2 * one
    assert pl.inference.limit(one) == one  # makes room at once
    assert pl.inference.kept_bytes() == one
    with pytest.raises(pl.PellucidError, match="limit: wants a number of bytes"):
        pl.inference.limit(-1)


@pytest.mark.skipif("native" not in EXECUTORS, reason="needs the native executor")
def test_a_native_program_counts_its_memory(limited: None) -> None:
    pl.inference.limit(0)
    net = made()
    pl.predict(net, PICTURES, executor="native")
    program = Ready(net, "native").graph(PICTURES.shape)
    (held,) = [place.program for place in program._programs.places.values()]  # pyright: ignore[reportPrivateUsage]
    arena: int = held.plan.arena_bytes  # type: ignore[union-attr]
    assert arena <= store.held_bytes(held) < arena + 200_000
    wide = Ready(net, "native").graph((400, 1, 8, 8))
    big = wide.program(Ready(net, "native").setting, wide.graph.outputs)
    assert store.held_bytes(big) > 400 * 4 * 64 * 4  # the maps of 400 pictures


def test_two_threads_that_ask_for_one_program_compile_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    programs: list[Any] = []
    slow = threading.Event()

    def compile(*arguments: Any, **options: Any) -> Any:
        slow.wait(0.2)
        programs.append(pl.compile(*arguments, **options))
        return programs[-1]

    monkeypatch.setattr(ready, "compile", compile)
    net = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(64, 3))  # that nobody has named yet
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: pl.predict(net, PICTURES), range(8)))
    assert len(programs) == 1
    assert all((answer == answers[0]).all() for answer in answers)


def test_who_fails_to_compile_leaves_the_place_free(monkeypatch: pytest.MonkeyPatch) -> None:
    net = made()

    def fails(*arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ready, "compile", fails)
        with pytest.raises(KeyboardInterrupt):
            pl.predict(net, PICTURES)
    assert pl.predict(net, PICTURES).shape == (4, 10)


def test_a_network_that_is_gone_frees_its_programs(compiled: list[Any]) -> None:
    net = made()
    gc.collect()
    before = pl.inference.kept_bytes()
    pl.predict(net, PICTURES)
    pl.attribute(net, PICTURES[0])
    pl.trace(net, PICTURES[0]).gradients  # noqa: B018
    assert pl.inference.kept_bytes() > before
    gone = [weakref.ref(net), *map(weakref.ref, compiled)]
    compiled.clear()
    del net
    gc.collect()
    assert [one() for one in gone] == [None] * len(gone)
    assert pl.inference.kept_bytes() == before


class Two(nn.Module):
    """A network with two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: pl.Tensor, y: pl.Tensor) -> pl.Tensor:  # type: ignore[override]
        return self.fc(x + y)


def test_a_network_with_several_inputs(compiled: list[Any]) -> None:
    net = Two()
    net.initialize(0)
    asked = Ready(net)
    for _ in range(2):
        graph = asked.graph({"x": (5, 3), "y": (5, 3)})
        program = graph.program(asked.setting, graph.graph.outputs)
    values = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(np.float32)
    expected = values.sum(0) @ net.fc.weight.value.T + net.fc.bias.value
    np.testing.assert_allclose(program({"x": values[0], "y": values[1]})[0], expected, rtol=1e-5)
    assert len(compiled) == 1


class WithMap(nn.Module):
    """A classifier that gives the map that it looked at too."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x: pl.Tensor) -> tuple[pl.Tensor, pl.Tensor]:
        return pl.relu(x), self.linear(pl.mean(x, (2, 3)))


def test_predict_takes_the_scores_of_several_outputs() -> None:
    net = WithMap().eval()
    net.initialize(0)
    images = np.random.default_rng(0).standard_normal((5, 3, 2, 2)).astype(np.float32)
    _, scores = net(pl.input((5, 3, 2, 2), name="x"))
    expected = pl.run([pl.softmax(scores, 1)], {"x": images})[0]
    for batch_size in (2, 64):
        np.testing.assert_allclose(pl.predict(net, images, batch_size), expected, rtol=1e-5)


class Whole(nn.Module):
    """Scores of whole numbers."""

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return pl.mean(pl.cast(x, "float32"), (2, 3))

    def input_specs(self) -> tuple[InputSpec, ...]:
        return (InputSpec("x", (1, 3, 2, 2), "int64"),)


def test_predict_takes_no_number_that_is_too_large() -> None:
    net = pl.nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8, width=4)
    with pytest.raises(ScoreError, match=r"float32, which 1e\+300 does not fit into; scale the images"):
        pl.predict(net, np.full((1, 1, 8, 8), 1e300))


def test_predict_cuts_no_fractions_off() -> None:
    values = np.arange(12.0).reshape(1, 3, 2, 2)
    np.testing.assert_array_equal(pl.predict(Whole(), values), pl.predict(Whole(), values.astype(np.int64)))
    for wrong in (values + 0.5, values + np.nan):
        with pytest.raises(ScoreError, match="the network takes int64, got float64 with values that are none"):
            pl.predict(Whole(), wrong)
