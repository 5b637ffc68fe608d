"""Long work says how far it is to the terminal, to nobody, or to whoever follows it and may stop it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import pellucid as pl
from pellucid import progress
from pellucid.opening import open_model

PICTURE = np.random.default_rng(0).random((1, 8, 8), np.float32)
GRAY = pl.data.Preprocessing(mean=(0.5,), std=(0.5,), image_size=(8, 8), channels=1)


@pytest.fixture(scope="module")
def net() -> pl.nn.Module:
    net = pl.models.build("lenet", in_channels=1, num_classes=10, image_size=8)
    net.initialize(0)
    net.card = pl.nn.Card(preprocessing=GRAY)
    return net


@pytest.fixture(scope="module")
def digits() -> pl.data.Splits:
    return pl.load("digits")


def few(data: pl.data.Splits) -> pl.data.Dataset:
    return pl.data.Subset(data.test, np.arange(40), "few")


WORK: dict[str, Callable[[pl.nn.Module, pl.data.Splits], Any]] = {
    "occlusion": lambda net, data: pl.attribute(net, PICTURE, 1, method="occlusion"),
    "smoothgrad": lambda net, data: pl.attribute(net, PICTURE, 1, method="smoothgrad"),
    "comparison": lambda net, data: pl.explain.compare_methods(net, PICTURE, 1, methods=["saliency", "occlusion"]),
    "randomization": lambda net, data: pl.explain.randomization_check(net, PICTURE, 1, method="saliency"),
    "faithfulness": lambda net, data: pl.explain.faithfulness(net, PICTURE, np.ones((8, 8)), 1),
    "units": lambda net, data: pl.unit_statistics(net, few(data)),
    "exciting": lambda net, data: pl.most_exciting(net, few(data), "conv1", 0),
    "embedding": lambda net, data: pl.embed(net, few(data)),
    "maximize": lambda net, data: pl.maximize(net, "conv2", 0, (1, 8, 8)),
    "walk back": lambda net, data: pl.walk_back(pl.trace(net, PICTURE, 1), 2),
    "shifts": lambda net, data: pl.shift_robustness(net, few(data), GRAY, (0, 1)),
    "rates": lambda net, data: pl.find_learning_rate(net, data, batch_size=20, steps=20),
    "plane": lambda net, data: pl.decision_plane("circles", "Linear 2", 3),
    "landscape": lambda net, data: pl.loss_landscape(net, few(data), GRAY, size=5),
    "evaluation": lambda net, data: pl.evaluate(net, few(data), GRAY, batch_size=8),
    "layers": lambda net, data: pl.time_layers(net, (1, 8, 8), executor="reference"),
}


@pytest.mark.parametrize("name", WORK)
def test_followers_are_told_and_can_stop(
    name: str, net: pl.nn.Module, digits: pl.data.Splits, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[str, int, int]] = []
    with pl.followed(lambda *how: told.append(how)):
        WORK[name](net, digits)
    assert told
    assert len({title for title, _, _ in told}) == 1
    dones = [done for _, done, _ in told]
    assert dones == sorted(dones)
    assert told[-1][1] == told[-1][2] > 0
    with pl.followed(cancelled=lambda: True), pytest.raises(pl.Cancelled, match="stopped, as was asked"):
        WORK[name](net, digits)
    assert capfd.readouterr().err == ""
    WORK[name](net, digits)  # nothing of the one that was stopped is left


def test_quiet_work_shows_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with progress.progress("reading") as tell:
        tell(1, 3)
        with progress.progress("inside") as inner:
            inner(1, 5)
            progress.tell(2, 5)
    assert capsys.readouterr().err == "reading: 1 of 3 done\n"
    with pl.quiet(), progress.progress("reading") as tell:
        tell(1, 3)
    assert capsys.readouterr().err == ""


def test_a_generator_that_is_left_open_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)

    def reading() -> Any:
        with progress.progress("reading") as tell:
            for done in range(3):
                tell(done, 3)
                yield done

    left = reading()
    next(left)
    left.close()
    assert progress.shown()
    with progress.progress("more") as tell:
        tell(1, 2)
    assert capsys.readouterr().err.splitlines() == ["reading: 0 of 3 done", "more: 1 of 2 done"]


def test_training_is_followed_and_stops_with_a_checkpoint(
    tmp_path: Path, digits: pl.data.Splits, capfd: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 400, "report": False, "seed": 3}

    def network() -> pl.nn.Module:
        return pl.models.build("lenet", in_channels=1, num_classes=10, image_size=8)

    told: list[tuple[str, int, int]] = []
    with pl.followed(lambda *how: told.append(how)):
        whole = pl.fit(network(), digits, out=tmp_path / "whole", **settings)
    steps = [how for how in told if how[0] == "training"]
    assert [done for _, done, _ in steps] == list(range(1, len(steps) + 1))
    assert steps[-1][2] == len(steps)
    seen: list[int] = []
    with pl.followed(lambda title, done, total: seen.append(done), cancelled=lambda: len(seen) >= 2):
        stopped = pl.fit(network(), digits, out=tmp_path / "stopped", **settings)
    assert (stopped.status, seen) == ("interrupted", [1, 2])
    with pl.quiet():
        pl.fit(network(), digits, out=tmp_path / "stopped", resume=True, **settings)
    assert capfd.readouterr().err == ""
    assert whole.status == "finished"
    weights = [load_file(tmp_path / run / "last.safetensors") for run in ("stopped", "whole")]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[1])


def test_what_took_progress_before_still_takes_it(net: pl.nn.Module, capfd: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[int, int]] = []
    with pytest.warns(DeprecationWarning, match=r"attribute: progress is no longer taken; use `with pl.quiet"):
        old = pl.attribute(net, PICTURE, 1, method="saliency", progress=False)  # type: ignore[call-arg]
    assert np.array_equal(old.map, pl.attribute(net, PICTURE, 1, method="saliency").map)
    with pytest.warns(DeprecationWarning, match="tell"):
        pl.walk_back(pl.trace(net, PICTURE, 1), 1, tell=lambda *how: told.append(how))  # type: ignore[call-arg]
    assert told
    with warnings.catch_warnings(), pytest.raises(TypeError, match="progres"):
        warnings.simplefilter("error")
        pl.unit_statistics(net, None, progres=True)  # type: ignore[call-arg,arg-type]


def test_nobody_hands_progress_along() -> None:
    modules = (pl.explain, pl.studies, pl.train, pl.data)
    functions = {f"{m.__name__}.{n}": getattr(m, n) for m in modules for n in m.__all__}
    functions["opening.Opened.evaluate"] = type(open_model("lenet")).evaluate
    for name, function in functions.items():
        if inspect.isroutine(function):
            assert not {"progress", "tell"} & set(inspect.signature(function).parameters), name
