"""Runs side by side: their states, order, filters, settings that differ, curves; broken ones are there with the reason."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pellucid as pl
from pellucid.cli import app
from pellucid.train import TrainError, runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs, one of numbers, one that was stopped, and three that are broken."""
    folder = tmp_path_factory.mktemp("listing") / "runs"
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (24, 1, 8, 8), np.uint8)
    data = pl.data.ArrayDataset(images, np.arange(24) % 2, ("cat", "dog"))
    splits = pl.data.Splits(*(pl.data.Subset(data, np.arange(k, k + 8), "p") for k in (0, 8, 16)))

    def net(outputs: int = 2) -> pl.nn.Module:
        return pl.nn.Sequential(flatten=pl.nn.Flatten(), fc=pl.nn.Linear(64, outputs))

    with pl.quiet():
        pl.fit(net(), splits, epochs=2, batch_size=4, report=False, out=folder / "a")
        pl.fit(net(), splits, epochs=3, batch_size=8, learning_rate=1e-4, report=False, out=folder / "more" / "b")
        numbers = pl.data.numbers(images, random.random(24))
        pl.fit(net(1), numbers, epochs=1, batch_size=4, report=False, out=folder / "numbers")
    shutil.copytree(folder / "a", folder / "stopped")
    (folder / "stopped" / "test.json").unlink()
    shutil.copytree(folder / "a", folder / "damaged")
    (folder / "damaged" / "last.safetensors").write_bytes(b"none")
    (folder / "empty").mkdir()
    (folder / "empty" / "config.toml").write_text("")
    (folder / "no run").mkdir()
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "config.toml").write_text("")
    return folder


def test_every_run_is_listed_with_its_state(folder: Path) -> None:
    found = {run.name: run for run in runs(folder).runs}
    assert {name: run.state for name, run in found.items()} == {
        "a": "finished", "damaged": "broken", "empty": "broken", "more/b": "finished", "numbers": "finished", "stopped": "unfinished",
    }  # fmt: skip
    assert "not a readable checkpoint" in found["damaged"].reason
    assert "there is no such" in found["empty"].reason
    loaded = pl.load_run(folder / "a")
    assert (found["a"].epochs, found["a"].measure, found["numbers"].measure) == (2, "accuracy", "r2")
    best = next(row for row in reversed(loaded.metrics) if row["best"])
    assert (found["a"].score, found["a"].loss) == (best["validation_accuracy"], best["validation_loss"])
    assert found["a"].tested == json.loads((folder / "a" / "test.json").read_text())["accuracy"]
    assert found["a"].seconds == pytest.approx(sum(row["seconds"] for row in loaded.metrics))
    assert found["a"].size == sum(file.stat().st_size for file in (folder / "a").iterdir())


class _Stop(pl.train.Callback):
    """Ends a run in an epoch, as a signal does, or the machine."""

    def __init__(self, epoch: int, killed: bool) -> None:
        self.epoch, self.killed = epoch, killed

    def on_step(self, report: pl.train.StepReport) -> None:
        if report.epoch == self.epoch:
            if self.killed:
                raise SystemExit
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("epoch", [2, 4])
def test_a_run_that_goes_on_longer_is_unfinished_until_its_end(
    folder: Path, tmp_path: Path, killed: bool, epoch: int
) -> None:
    """Results of its former end are not set beside epochs that came later, also where they are still there."""
    results = ("test.json", "report.html")
    place, going_on = tmp_path / "a", {"resume": True, "epochs": 6, "out": tmp_path / "a"}
    shutil.copytree(folder / "a", place)
    (place / "report.html").write_text("of two epochs")
    old = (place / "test.json").read_bytes()
    random = np.random.default_rng(0)
    data = pl.data.ArrayDataset(random.integers(0, 256, (24, 1, 8, 8), np.uint8), np.arange(24) % 2, ("cat", "dog"))
    splits = pl.data.Splits(*(pl.data.Subset(data, np.arange(k, k + 8), "p") for k in (0, 8, 16)))
    net = pl.nn.Sequential(flatten=pl.nn.Flatten(), fc=pl.nn.Linear(64, 2))
    with pl.quiet(), contextlib.suppress(SystemExit):
        pl.fit(net, splits, callbacks=[_Stop(epoch, killed)], **going_on)
    assert not any((place / name).exists() for name in results)
    for _ in range(2):
        (found,) = runs(place, states=["unfinished"]).runs
        assert (found.epochs, found.tested) == (epoch, None)
        (place / "test.json").write_bytes(old)  # as runs of an earlier version have it
    with pl.quiet():
        run = pl.fit(net, splits, **going_on)
    (found,) = runs(place, states=["finished"]).runs
    assert found.tested == run.test.accuracy
    assert all((place / name).exists() for name in results)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"by": "epochs", "states": ["finished"]}, ["more/b", "a", "numbers"]),
        ({"where": {"batch_size": "4"}}, ["a", "numbers", "stopped"]),
        ({"where": {"batch_size": "4", "epochs": "1"}}, ["numbers"]),
        ({"where": {"batch_size": 4, "epochs": 1}}, ["numbers"]),
        ({"where": {"flip": "true"}}, []),
        ({"where": {"flip": "false", "epochs": "3"}}, ["more/b"]),
        ({"where": {"flip": "False", "epochs": "3.0"}}, ["more/b"]),
        ({"where": {"flip": False, "learning_rate": "1E-4"}}, ["more/b"]),
        ({"where": {"learning_rate": "2e-3", "warmup_steps": "0"}}, ["a", "numbers", "stopped"]),
        ({"where": {"learning_rate": ".0001", "crop_scale": "[1, 1.0]"}}, ["more/b"]),
        ({"where": {"learning_rate": "1e-4\nvalue = 3"}}, []),
        ({"where": {"warmup_steps": "false"}}, []),
        ({"states": ["broken"]}, ["damaged", "empty"]),
    ],
)
def test_order_and_filters(options: dict, names: list[str], folder: Path) -> None:
    assert [run.name for run in runs(folder, **options).runs] == names


def test_where_nothing_matches_the_values_are_said(folder: Path) -> None:
    found = runs(folder, where={"epochs": "7"})
    assert found.runs == ()
    for text in (str(found), json.dumps(found.picture().to_dict())):
        assert "no run has epochs=7; there are: 1, 2, 3" in text
    assert "no run has flip=true; there are: false" in str(runs(folder, where={"flip": True}))


@pytest.mark.parametrize("by", ["score", "loss", "time", "size", "state", "date"])
def test_every_order_has_all_runs(by: str, folder: Path) -> None:
    listed = runs(folder, by=by).runs
    assert len(listed) == 6
    if by == "loss":
        losses = [run.loss for run in listed if run.loss is not None]
        assert losses == sorted(losses)
        assert listed[-1].loss is None


def test_two_side_by_side(folder: Path) -> None:
    both = runs(folder / "a", folder / "more" / "b")
    assert both.differing == {"epochs": (2, 3), "batch_size": (4, 8), "learning_rate": (2e-3, 1e-4)}
    for chart in both.charts():
        assert [len(line.x) for line in chart.series] == [2, 3]
    assert [chart.title for chart in both.charts()] == ["Validation loss", "Validation accuracy"]
    assert "learning_rate" in str(both)


def test_the_command(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "runs.html"
    done = CliRunner().invoke(app, ["runs", str(folder), "--by", "score", "--json", "--out", str(page)])
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["runs"]) == 6
    assert "Settings that differ" in page.read_text()
    assert CliRunner().invoke(app, ["runs", str(folder), "--where", "model"]).exit_code == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda folder: runs(folder / "nothing"), "there is no such folder"),
        (lambda folder: runs(folder, by="luck"), "unknown order 'luck'"),
        (lambda folder: runs(folder, states=["finishd"]), "unknown state 'finishd' .did you mean 'finished'"),
        (lambda folder: runs(folder, where={"epoch": "3"}), "unknown setting 'epoch' .did you mean 'epochs'"),
    ],
)
def test_errors(call, words: str, folder: Path) -> None:
    with pytest.raises((TrainError, pl.PellucidError), match=words):
        call(folder)
