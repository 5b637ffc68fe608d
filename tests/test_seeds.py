"""Seeds: every whole number that a run can keep is one, wherever a seed is taken; anything else is one clear error."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import pellucid as pl
from pellucid import nn
from pellucid.cli import app
from pellucid.data import ArrayDataset, Loader, Splits, digits
from pellucid.errors import PellucidError
from pellucid.explain import Ascent, compare, embed, maximize
from pellucid.explain.networks.landscape import filter_normalized
from pellucid.nn import training_step
from pellucid.ops import uniform
from pellucid.train import TrainConfig

LARGEST = 2**63 - 1


def pictures() -> ArrayDataset:
    return ArrayDataset(np.arange(16 * 16, dtype=np.uint8).reshape(16, 1, 4, 4), [0, 1] * 8, ["a", "b"])


def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))


def drop(seed: Any) -> None:
    with training_step(seed):
        network().train()(pl.input((2, 1, 4, 4)))


TAKEN: dict[str, Callable[[Any], Any]] = {
    "initialize": lambda seed: network().initialize(seed),
    "training step": drop,
    "uniform": lambda seed: pl.run([uniform((2,), pl.constant(np.array(3)), seed, 0)]),
    "settings": lambda seed: TrainConfig(seed=seed),
    "loader": lambda seed: Loader(pictures(), 2, None, True, seed).order(0),
    "split": digits,
    "directions": lambda seed: filter_normalized(network().parameters(), seed),
    "embedding": lambda seed: embed(network(), pictures(), "1", "tsne", seed=seed),
    "synthesis": lambda seed: maximize(network(), "1", 3, (1, 4, 4), ascent=Ascent(steps=2), seed=seed),
    "comparison": lambda seed: compare(network(), network(), shape=(1, 4, 4), seed=seed),
}


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64, 10**30, 1.5, "7", None, True])
@pytest.mark.parametrize("place", TAKEN)
def test_what_is_no_seed_is_refused(place: str, seed: Any) -> None:
    with pytest.raises(PellucidError, match=r"seed must be .* got"):
        TAKEN[place](seed)


@pytest.mark.parametrize("place", TAKEN)
def test_the_largest_seed_is_one(place: str) -> None:
    largest = 2**32 - 1 if place == "embedding" else LARGEST  # t-SNE's
    for seed in (0, largest, np.int64(3)):
        TAKEN[place](seed)


COMMANDS = [
    "train --data digits --model mlp --out run",
    "approximate x^2 --method train",
    "compare mlp mlp",
]


@pytest.mark.parametrize("seed", [-1, 2**64])
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_say_so_too(command: str, seed: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*command.split(), "--seed", str(seed)])
    assert isinstance(result.exception, PellucidError), result.output
    assert "seed must be" in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_a_run_with_the_largest_seed_is_read_back(tmp_path: Any) -> None:
    parts = Splits(pictures(), pictures(), pictures())
    settings = {"epochs": 1, "batch_size": 8, "report": False, "seed": LARGEST}
    run = pl.fit(network(), parts, out=tmp_path / "run", **settings)
    assert run.config.seed == LARGEST
    assert tomllib.loads((tmp_path / "run" / "config.toml").read_text(encoding="utf-8"))["seed"] == LARGEST


def test_machines_of_detectors_take_every_seed() -> None:
    from pellucid.detect.dpm.context import ContextMachine
    from pellucid.detect.rcnn.classifiers import separating

    numbers = np.random.default_rng(0)
    seen, right = numbers.random((30, 7)), numbers.random(30) < 0.4
    for seed in (2**32, LARGEST):
        assert np.isfinite(separating(seen, right, seed)[0]).all()
        assert np.isfinite(ContextMachine.taught(seen, right, seed).scores(seen)).all()
