"""A task of one's own: the trainer knows nothing of its targets, and does all that it does for tasks that it has."""

from __future__ import annotations

import csv
import json
import signal
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.data import Splits, Standardization
from pellucid.train import CheckpointError, EpochReport, Measure, Task, TrainConfig, TrainError, fit, load_run
from pellucid.train.checkpoint import load
from test_fine_tuning import few
from test_metadata import description, with_description
from test_train import _Stop, same, small

SETTINGS: dict[str, Any] = {"epochs": 3, "batch_size": 20, "learning_rate": 0.05, "seed": 7}


class Points:
    """Points (x, y) in the plane, and on which side of a circle each of them is: numbers, no labels."""

    def __init__(self, count: int, seed: int, name: str) -> None:
        self.places = np.random.default_rng(seed).uniform(-3, 5, (count, 2))
        self.inside = (np.hypot(*(self.places - 1).T) < 2.5).astype(np.float32)[:, None]
        self.name, self.shape, self.skipped = name, (2,), ()

    def __len__(self) -> int:
        return len(self.places)

    def images(self, indices: np.ndarray) -> np.ndarray:
        return self.places[indices]


@dataclass(frozen=True)
class Judged:
    """How many points are on the side that they are taken to be on."""

    loss: float
    right: int
    count: int
    part: str

    def measures(self) -> dict[str, float]:
        return {"share": self.right / self.count}

    def headline(self) -> str:
        return f"{self.right} of {self.count} points are on their side"

    words = headline

    def to_dict(self) -> dict[str, Any]:
        return {"right": self.right}

    def parts(self, dataset: Points) -> tuple[str, ...]:
        return (f"The first point is {dataset.places[0]}.",)


@dataclass(frozen=True)
class Sides(Task):
    """One score for each point: inside where it is positive."""

    name: ClassVar[str] = "sides"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("share", "share", ".1%"),)
    counted: ClassVar[tuple[str, ...]] = ("right",)
    circles: int = 1
    weights: dict[str, float] = field(default_factory=lambda: {"inside": 1.0})

    def targets(self, dataset: Points) -> np.ndarray:
        return dataset.inside

    def target_input(self, count: int) -> pl.Tensor:
        return pl.input((count, 1), "float32", "inside")

    def require_output(self, output: tuple[int, ...], example: tuple[int, ...]) -> None:
        if output != (1, 1):
            raise TrainError(f"one score is wanted for a point {example}, got {output[1:]}")

    def loss(self, output: pl.Tensor, targets: pl.Tensor) -> pl.Tensor:
        return pl.ops.binary_cross_entropy_with_logits(output, targets)

    def counts(self, output: pl.Tensor, targets: pl.Tensor) -> dict[str, pl.Tensor]:
        return {"right": pl.sum(pl.ops.cast(pl.ops.equal(pl.ops.cast(output > 0, "float32"), targets), "int64"))}

    def averages(self, counts: Mapping[str, float], seen: int) -> dict[str, float]:
        return {"share": counts["right"] / seen}

    def evaluate(self, outputs: np.ndarray, dataset: Points, part: str = "") -> Judged:
        losses = np.logaddexp(0, outputs) - dataset.inside * outputs
        right = int(((outputs > 0) == dataset.inside).sum())
        return Judged(float(losses.mean()), right, len(dataset), part)

    def describe(self, dataset: Points) -> str:
        return "sides"

    def fits(self, dataset: object) -> bool:
        return isinstance(dataset, Points)


@pytest.fixture(scope="module")
def points() -> Splits:
    parts: list[Any] = [Points(n, k, name) for k, (n, name) in enumerate([(110, "train"), (40, "val"), (40, "test")])]
    return Splits(*parts, "points")


def build() -> nn.Module:
    return nn.Sequential(fc1=nn.Linear(2, 16), relu=nn.ReLU(), fc2=nn.Linear(16, 1))


def test_a_task_of_ones_own(points: Splits, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {**SETTINGS, "epochs": 12}
    net, seen = build(), []

    class Note(pl.train.Callback):
        def on_epoch(self, report: EpochReport) -> None:
            seen.append((report.share, report.validation_share))

    run = fit(net, points, task=Sides(), out=tmp_path / "run", callbacks=[Note()], **settings)
    assert isinstance(run.preprocessing, Standardization)
    assert (run.test.part, run.test.count) == ("test", 40)
    assert run.test.right > 32
    assert json.loads((run.folder / "test.json").read_text()) == {"right": run.test.right}
    rows = list(csv.DictReader((run.folder / "metrics.csv").read_text().splitlines()))
    assert list(rows[0]) == [
        "epoch", "epochs", "loss", "share", "validation_loss", "validation_share", "learning_rate", "seconds", "best", "step"
    ]  # fmt: skip
    assert seen == [(float(row["share"]), float(row["validation_share"])) for row in rows]
    losses = [float(row["validation_loss"]) for row in rows]
    assert [row["best"] == "True" for row in rows] == [loss == min(losses[: k + 1]) for k, loss in enumerate(losses)]
    assert f"validation loss {losses[0]:.4f}  share {seen[0][1]:.1%}" in capsys.readouterr().err
    page = (run.folder / "report.html").read_text()
    assert "points are on their side" in page
    assert "by validation loss" in page
    assert "share" in str(pl.train.load_history(run.folder))
    assert [chart.title for chart in run.history.charts()[:2]] == ["Loss", "Share"]
    with pytest.raises(CheckpointError, match="its task is 'sides', one of your own; give it with task="):
        load_run(run.folder, net=build())
    loaded = load_run(run.folder, net=build(), task=Sides())
    assert loaded.evaluate(points.test).right == run.test.right
    with pytest.raises(TrainError, match=r"was trained for sides on examples \(2,\)"):
        loaded.evaluate(few(50, 20).test)


class Other(Sides):
    name: ClassVar[str] = "other"


class Misnamed(Sides):
    measures: ClassVar[tuple[Measure, ...]] = (Measure("validation_share", "share", ".1%"),)


def test_measures_that_are_called_like_a_runs_columns(points: Splits, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"the task sides calls a measure 'validation_share'.*another name"):
        fit(build(), points, out=tmp_path / "run", task=Misnamed(), **SETTINGS)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("freeze", ["", "fc1"])
def test_a_task_of_ones_own_is_resumed_bit_for_bit(points: Splits, tmp_path: Path, freeze: str) -> None:
    """Also where what frozen layers make of the points is computed once."""
    settings = {**SETTINGS, "freeze": freeze, "task": Sides()}
    fit(build(), points, out=tmp_path / "whole", **settings)
    cut = fit(build(), points, out=tmp_path / "cut", callbacks=[_Stop(8, signal.SIGINT)], **settings)
    assert cut.status == "interrupted"
    with pytest.raises(CheckpointError, match="its task is 'sides', not 'other'"):
        fit(build(), points, out=tmp_path / "cut", resume=True, **{**settings, "task": Other()})
    assert fit(build(), points, out=tmp_path / "cut", resume=True, **settings).status == "finished"
    same(tmp_path / "whole", tmp_path / "cut")
    assert load(tmp_path / "cut" / "last.safetensors").task == {
        "name": "sides",
        "circles": 1,
        "weights": {"inside": 1.0},
    }
    again = load_run(tmp_path / "cut", net=build(), task=Sides(circles=3))
    assert again.task == Sides(), "a run's own settings of its task are those that count"


def test_what_else_a_run_does_it_does_for_any_task(points: Splits, tmp_path: Path) -> None:
    stopped = fit(
        build(),
        points,
        task=Sides(),
        out=tmp_path / "run",
        patience=1,
        **{**SETTINGS, "epochs": 30, "learning_rate": 1e-12},
    )
    assert (stopped.status, len(stopped.metrics)) == ("stopped early", 2)
    found = pl.find_learning_rate(build(), points, task=Sides(), batch_size=20, steps=30)
    assert found.losses[0] > found.losses.min()
    with pytest.raises(TrainError, match=r"one score is wanted for a point \(2,\), got \(10,\)"):
        fit(nn.Sequential(fc=nn.Linear(2, 10)), points, task=Sides(), out=tmp_path / "wide", **SETTINGS)
    with pytest.raises(TrainError, match="augmentation is for pictures"):
        fit(build(), points, task=Sides(), out=tmp_path / "turned", rotation=5.0, **SETTINGS)


@pytest.mark.parametrize(
    ("way", "value", "words"),
    [
        (("task", "name"), "other", "its task is 'other', one of your own"),
        (("task", "name"), 3, r"task\.name must be the name of a task"),
        (("task", "circles"), "one", r"task\.circles: must be a whole number, got 'one'"),
        (("task", "color"), 1, r"task\.color: is not known"),
        (("position", "right"), -1, "sides counts .* each 0 or more, got"),
        (("position", "wrong"), 1, "sides counts .*got"),
        (("position", "rows", 0, "share"), "x", r"rows\[0\]\.share: must be a number"),
        (("position", "rows", 0, "validation_other"), 0.5, r"rows\[0\] has the metrics \['other'\], expected \[\]"),
        (("preprocessing", "std"), [0.0, 1.0], "std a positive number"),
        (("preprocessing", "shape"), [3], "3 features want as many means"),
    ],
)
def test_a_description_that_is_damaged_is_said(
    points: Splits, tmp_path: Path, way: tuple[Any, ...], value: Any, words: str
) -> None:
    run = fit(build(), points, task=Sides(), out=tmp_path / "run", report=False, **{**SETTINGS, "epochs": 1})
    file = run.folder / "best.safetensors"
    whole = json.loads(description(file))
    holder = whole
    for step in way[:-1]:
        holder = holder[step]
    holder[way[-1]] = value
    file.write_bytes(with_description(file, json.dumps(whole)))
    with pytest.raises(CheckpointError, match=words):
        load_run(run.folder, net=build(), task=Sides())


def test_runs_that_tell_classes_apart_are_written_as_ever(tmp_path: Path) -> None:
    """So that a run of an earlier version is gone on with, and gives the same bytes."""
    run = fit(small(), few(96, 40), out=tmp_path / "run", report=False, epochs=1, batch_size=32)
    described = json.loads(description(run.folder / "last.safetensors"))
    assert list(described) == [
        "format",
        "network",
        "classes",
        "preprocessing",
        "config",
        "position",
        "data",
        "computed_by",
    ]
    position = ["epoch", "batch", "step", "loss_sum", "correct", "seen", "best", "since_best", "rows"]
    assert list(described["position"]) == position
    assert list(described["position"]["rows"][0]) == [
        "epoch", "epochs", "loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate", "seconds", "best", "step"
    ]  # fmt: skip
    assert type(described["position"]["correct"]) is int
    config = tomllib.loads((run.folder / "config.toml").read_text())
    assert TrainConfig.from_dict(config) == run.config
    assert list(config) == list(described["config"])
    assert not {"task", "loss"} & set(config)
