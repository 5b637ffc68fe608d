"""One network and many threads: who asks it gets the answer that it would get alone, and training is not disturbed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.data import Splits
from pellucid.executors import available_executors, explain_plan

EXECUTORS = [name for name, reason in available_executors().items() if not reason]


def made(seed: int = 0) -> nn.Module:
    net = nn.Sequential(
        conv1=nn.Conv2d(1, 4, 3, padding=1),
        norm1=nn.BatchNorm2d(4),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        drop=nn.Dropout(0.25),
        flatten=nn.Flatten(),
        fc=nn.Linear(64, 10),
    )
    net.initialize(seed)
    return net


def together(*tasks: Callable[[], Any]) -> list[Any]:
    """What the tasks give, each in a thread of its own, all started at one moment."""
    start = threading.Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> Any:
        start.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [future.result() for future in [pool.submit(run, task) for task in tasks]]


def test_eight_threads_ask_one_network() -> None:
    picture = np.random.default_rng(0).standard_normal((1, 8, 8)).astype(np.float32)
    questions: list[Callable[[nn.Module], Any]] = [
        lambda net: pl.predict(net, picture[None]),
        lambda net: pl.run([_inference(net)], {"x": picture[None]})[0],
        lambda net: pl.trace(net, picture)["conv1"].value,
        lambda net: pl.attribute(net, picture, 3, method="saliency").heat,
        lambda net: pl.attribute(net, picture, 3, method="grad-cam").heat,
        lambda net: np.array([row.flops for row in net.summary((1, 8, 8)).rows]),
        lambda net: pl.explain.randomization_check(net, picture, 3, method="saliency", stages=2).correlations,
        lambda net: len(_training_graph(net)),
    ]
    for seed in range(3):
        expected = [question(made(seed)) for question in questions]
        net = made(seed)
        before = net.state_dict()
        for _ in range(2):
            answers = together(*(partial(question, net) for question in questions))
            for answer, right in zip(answers, expected, strict=True):
                np.testing.assert_array_equal(answer, right)
        assert all(part.training for _, part in net.named_modules())
        assert all((net.state_dict()[name] == value).all() for name, value in before.items())


def _inference(net: nn.Module) -> pl.Tensor:
    with nn.inference_mode():
        return net(pl.input((1, 1, 8, 8), name="x"))


def _training_graph(net: nn.Module) -> pl.Graph:
    with nn.training_mode(), nn.training_step():
        return pl.Graph([net(pl.input((4, 1, 8, 8), name="x"))])


def test_a_network_that_is_asked_while_it_trains_learns_the_same(tmp_path: Path) -> None:
    data = pl.load("digits")
    small = Splits(
        *(pl.data.Subset(part, np.arange(60), part.name) for part in (data.train, data.validation, data.test))
    )
    pictures = np.random.default_rng(0).standard_normal((5, 1, 8, 8)).astype(np.float32)

    def weights(name: str, asked: int) -> dict[str, Any]:
        net, done = made(), threading.Event()

        def train() -> None:
            try:
                pl.fit(net, small, epochs=2, batch_size=25, out=tmp_path / name, report=False)
            finally:
                done.set()

        def ask() -> None:
            while not done.is_set():
                assert np.isfinite(pl.predict(net, pictures)).all()

        together(train, *[ask] * asked)
        return net.state_dict()

    alone = weights("alone", 0)
    for number in range(4):
        for name, value in weights(f"asked-{number}", 2).items():
            np.testing.assert_array_equal(value, alone[name], err_msg=name)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_calls_with_updates_follow_one_another(executor: str) -> None:
    """Every call counts, and none sees what another one has done by half."""
    a = pl.Parameter((300, 7), nn.initializers.zeros(), name="a", trainable=False)
    b = pl.Parameter((5,), nn.initializers.zeros(), name="b", trainable=False)
    count = pl.compile([a[0, 0], b[0]], updates={a: a + 1.0, b: b + 1.0}, executor=executor)
    other = pl.compile([b[0], a[0, 0]], updates={b: b + 1.0, a: a + 1.0}, executor=executor)
    look = pl.compile([pl.max(a), -pl.max(-a), pl.max(b), -pl.max(-b)], executor=executor)
    calls, seen = 100, set[tuple[float, ...]]()

    def counting(program: Any) -> list[tuple[float, ...]]:
        return [tuple(sorted(map(float, program()))) for _ in range(calls)]

    def looking() -> None:
        for _ in range(calls):
            seen.add(tuple(map(float, look())))

    counted = together(*[partial(counting, program) for program in (count, count, other, other)], looking, looking)
    assert sorted(row for rows in counted[:4] for row in rows) == [(float(n), float(n)) for n in range(4 * calls)]
    assert all(len(set(values)) == 1 for values in seen)
    assert (a.value == 4 * calls).all()
    assert (b.value == 4 * calls).all()


def test_a_first_value_is_made_once() -> None:
    calls: list[int] = []

    def slow(shape: tuple[int, ...], generator: np.random.Generator) -> Any:
        calls.append(1)
        return generator.standard_normal(shape)

    parameter = pl.Parameter((50, 50), slow)
    arrays = together(*[parameter.storage] * 8)
    assert len(calls) == 1
    assert all(array is arrays[0] for array in arrays)


def test_who_waits_and_is_interrupted_holds_nothing() -> None:
    from pellucid.changes import Access, Held

    access = Access()

    def interrupted() -> None:
        raise KeyboardInterrupt

    held = Held([access.enter, interrupted], [access.leave, lambda: None])
    with pytest.raises(KeyboardInterrupt), held:
        pass
    with Held([access.close], [access.open]):  # nobody reads: it does not wait
        pass
    with Held([access.enter], [access.leave]):
        pass


def test_timing_a_training_step_leaves_the_weights() -> None:
    net = made()
    before = net.state_dict()
    optimizer = pl.train.optimizers.Optimizer("sgd")
    step = pl.train.step.training_graph(net, (4, 1, 8, 8), optimizer, optimizer.state(net.parameters()))
    feeds = {
        i: np.zeros(i.shape, i.dtype) if i.shape else np.asarray(1, i.dtype)
        for i in pl.Graph([*step.outputs, *step.updates.values()]).inputs
    }
    versions = [p.version for p in net.named_parameters().values()]
    explain_plan(step.outputs, step.updates, feeds)
    assert [p.version for p in net.named_parameters().values()] == versions
    assert all((net.state_dict()[name] == value).all() for name, value in before.items())
