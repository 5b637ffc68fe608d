"""How runs learned, step by step: what the lab noted, and the epochs of any run."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import lab_run
import pellucid as pl
from pellucid.cli import app as commands
from pellucid.lab.runs.trail import Trail


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, the second one without a word of its steps."""
    made = tmp_path_factory.mktemp("curves")
    lab_run.train(made / "noted")
    pl.fit(
        pl.nn.models.build("lenet", image_size=8, in_channels=1),
        pl.load("digits"),
        epochs=1,
        out=made / "plain",
        report=False,
    )
    return made


def test_every_step_and_every_epoch_is_there(folder: Path) -> None:
    noted, plain = pl.learning_curves(folder / "noted", folder / "plain").curves
    rows = [*csv.DictReader((folder / "noted" / "metrics.csv").read_text().splitlines())]
    assert noted.count == len(noted.steps["loss"]) == 2 * math.ceil(1258 / 400)
    assert noted.steps["step"] == list(range(noted.count))
    assert [row["validation_loss"] for row in noted.rows] == [float(row["validation_loss"]) for row in rows]
    snapshot = json.loads(Trail(folder / "noted").snapshot(noted.count) or b"")
    assert (snapshot["loss"], snapshot["gradient_norm"]) == (noted.steps["loss"][-1], noted.steps["gradient_norm"][-1])
    assert (plain.count, plain.steps["loss"], len(plain.rows)) == (0, [], 1)


ASKED: dict[str, tuple[dict[str, Any], list[str], int, list[int]]] = {
    "all": ({}, [], 2, list(range(8))),
    "some": ({"points": 3}, ["--points", "3"], 2, [0, 4, 7]),
    "up to a step": ({"until": 5}, ["--until", "5"], 1, [0, 1, 2, 3, 4]),
    "none": ({"until": 0}, ["--until", "0"], 0, []),
}


@pytest.mark.parametrize("asked", ASKED)
def test_the_command_says_what_python_does(folder: Path, asked: str, tmp_path: Path) -> None:
    given, words, epochs, steps = ASKED[asked]
    found = pl.learning_curves(folder / "noted", **given)
    (curve,) = found.curves
    assert (len(curve.rows), curve.steps["step"]) == (epochs, steps)
    out = tmp_path / "curves.html"
    told = CliRunner().invoke(commands, ["learning-curves", str(folder / "noted"), *words, "--json", "--out", str(out)])
    assert json.loads(told.stdout) == json.loads(found.to_json())
    titles = [chart.title for chart in found.charts()]
    assert titles == (["Loss", *(["Accuracy"] if epochs else []), "Gradient norm", "Learning rate"] if steps else [])
    assert all(title in out.read_text() for title in titles)


BAD: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "none": ((), {}, "draws 1 to 10 runs over each other, got 0"),
    "gone": (("gone",), {}, "is no folder of a run"),
    "empty": (("",), {}, "there is no such checkpoint"),
    "points": (("noted",), {"points": 0}, "1 to 2,000 points"),
    "before": (("noted",), {"until": -1}, "up to a step from 0"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_run_is_said(folder: Path, bad: str) -> None:
    runs, given, words = BAD[bad]
    with pytest.raises(pl.train.TrainError, match=words):
        pl.learning_curves(*(folder / run for run in runs), **given)
