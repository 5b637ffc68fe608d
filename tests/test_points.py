"""Points of a plane: sets by name, tables and points written out, and the plane that a network divides."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import pellucid as pl
from pellucid.cli import app
from pellucid.data.points import SETS, are_points, as_text, short_name
from pellucid.inference.prediction import Predictor


def everything(splits: pl.data.Splits) -> tuple[np.ndarray, np.ndarray]:
    parts = splits.parts().values()
    return np.concatenate([p.images(np.arange(len(p))) for p in parts]), np.concatenate([p.labels for p in parts])


RULES = {
    "circles": lambda x, y: np.hypot(x, y) >= 2.5,
    "xor": lambda x, y: x * y < 0,
    "gaussians": lambda x, y: x + y < 0,
    "spirals": lambda x, y: np.cos(np.arctan2(x, y) - 3.5 * np.pi * np.hypot(x, y) / 5) < 0,
}


@pytest.mark.parametrize("kind", SETS)
def test_sets_are_what_they_are_called(kind: str) -> None:
    clear, noisy = pl.load(f"{kind} noise=0 count=400"), pl.load(f"{kind} noise=0.5 count=400")
    (points, labels), (moved, mixed) = everything(clear), everything(noisy)
    assert points.shape == (400, 2)
    assert abs(labels.mean() - 0.5) < 0.1
    assert clear.classes == ("blue", "orange")
    agree = (RULES[kind](*points.T) == labels).mean()
    assert agree > 0.99
    assert (RULES[kind](*moved.T) == mixed).mean() < agree
    again = pl.data.points(kind, 400, 0.0)
    assert all(np.array_equal(a, b) for a, b in zip(everything(again), (points, labels), strict=True))
    assert not np.array_equal(everything(pl.data.points(kind, 400, 0.5, seed=1))[0], moved)
    assert pl.load(again.source).source == again.source == f"{kind} count=400 noise=0"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("circles noise=2", "noise must be from 0 to 1, got 2"),
        ("circles noise=nan", "noise wants a number"),
        ("circles count=1e3", "count wants a whole number, got '1e3'"),
        ("circles count=19", "count must be from 20 to 20,000"),
        ("circles seed=-1", "seed wants a whole number"),
        ("circles size=3", "'size=3' is no setting"),
        ("circles noise=0.1 noise=0.2", "'noise=0.2' is no setting"),
        ("circls", "did you mean 'circles'"),
        ("points 1,2", "line 1: wants x, y and a class"),
        ("points 1,2,a; x,4,b", "line 2: wants x, y and a class"),
        ("points 1,2,a; 3,4,a", "2 to 50 classes, got 1: a"),
        ("points 1,2,a; 1e9,4,b", "at most 1,000,000"),
        ("points 1,2,a; inf,4,b", "line 2"),
        ("points 1,2,a", "2 to 20,000 points, got 1"),
    ],
)  # fmt: skip
def test_what_is_no_set_says_so(source: str, words: str) -> None:
    with pytest.raises(pl.data.DataError) as told:
        pl.load(source)
    assert words in str(told.value)


def test_points_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{k % 7},{k / 8},{'ab'[k % 2]}" for k in range(60)]
    for name, lines in {"plain.csv": rows, "named.csv": ["x,y,kind", "", *rows], "old.csv": rows}.items():
        Path(name).write_text(("\r" if name == "old.csv" else "\n").join(lines))
        table = pl.load(name)
        assert (table.classes, len(table.train), table.shape, are_points(name)) == (("a", "b"), 42, (2,), True)
        written = pl.load(as_text(table))
        assert sorted(map(tuple, everything(written)[0])) == sorted((k % 7, k / 8) for k in range(60))
    assert pl.load("points 0,0,third; 1,1,orange; 0,1,blue; 2,2,a").classes == ("a", "blue", "orange", "third")
    few = pl.load("points 0,0,a; 1,1,b; 0,1,b")
    assert (len(few.train), few.test is few.train) == (3, True)
    assert "too few to hold some out" in few.notes[0]
    Path("broken.csv").write_text("1,2,a\n3,4\n")
    Path("ages.csv").write_text("file,age\na.png,3\n")
    Path("latin.csv").write_bytes(b"1,2,a\n3,4,\xe9\n")
    for name, words in (("broken.csv", "line 2"), ("ages.csv", "--task regression"), ("latin.csv", "UTF-8")):
        with pytest.raises(pl.data.DataError, match=words):
            pl.load(name)
    assert [short_name(s) for s in ("circles noise=0.2", "points 1,2,a", "a/my data.csv")] == [
        "circles",
        "points",
        "my data",
    ]
    Path("circles").mkdir()
    assert (are_points("circles"), are_points("circles seed=0")) == (False, True)


def test_the_command_line_trains_on_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    network = "Linear 8, Tanh, Linear 4, Tanh"
    settings = ["--epochs", "12", "--batch", "10", "--lr", "0.03"]
    trained = runner.invoke(app, ["train", "circles noise=0", "--model", network, *settings])
    assert trained.exit_code == 0, trained.output
    lines = re.findall("pellucid ([a-z]+ runs/circles-layers.*)", trained.output)
    assert len(lines) == 3
    for line in lines:
        found = runner.invoke(app, shlex.split(line))
        assert found.exit_code == 0, (line, found.output)
    run = pl.load_run("runs/circles-layers")
    assert run.network["model"] == network
    plane = pl.decision_plane("circles noise=0", network, 12)
    assert plane.accuracy == run.evaluate(pl.load("circles noise=0").test).accuracy > 0.95
    more = runner.invoke(app, ["train", "--out", "runs/circles-layers", "--resume", "--epochs", "13"])
    assert more.exit_code == 0, more.output
    assert runner.invoke(app, ["train", "xor", "--epochs", "1"]).exit_code == 0
    assert pl.load_run("runs/xor-mlp").network["model"] == "mlp"


def test_a_plane_is_what_the_network_says_of_its_places() -> None:
    found = pl.decision_plane("xor noise=0 count=100", "Linear 5, ReLU", seed=3, side=8)
    told = found.to_dict()
    plane, splits = told["plane"], pl.load("xor noise=0 count=100")
    net = pl.nn.models.build("Linear 5, ReLU", num_classes=2, in_channels=2, image_size=1)
    net.initialize(3)
    x = plane["x"][0] + (plane["x"][1] - plane["x"][0]) * 6.5 / 8
    y = plane["y"][1] - (plane["y"][1] - plane["y"][0]) * 1.5 / 8
    preparation = pl.data.Standardization.of(splits.train)
    scores = Predictor(net).logits(preparation.normalize(np.array([[x, y]])))[0].astype(np.float64)
    shares = np.exp(scores) / np.exp(scores).sum()
    assert (plane["winner"][1][6], plane["probability"][1][6]) == (
        shares.argmax(),
        pytest.approx(shares.max(), abs=1e-6),
    )
    points = everything(splits)[0]
    assert plane["x"][0] < points[:, 0].min() < points[:, 0].max() < plane["x"][1]
    assert told["network"]["parameters"] == 27
    assert (told["parts"]["train"]["count"], len(told["parts"]["train"]["points"])) == (70, 70)
    for wrong, words in (
        ({"side": 1}, "side"),
        ({"epochs": 501}, "epochs"),
        ({"epochs": 1.5}, "epochs: must be a whole number, got 1.5"),
        ({"data": "digits"}, "no points of a plane"),
    ):
        with pytest.raises(pl.studies.PlaneError, match=words):
            pl.decision_plane(**wrong)
