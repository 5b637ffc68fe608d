"""Predicting numbers: of arrays and of pictures beside a table, trained, measured, resumed and asked like classes are."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pellucid as pl
from pellucid import nn
from pellucid.cli import app
from pellucid.data import DataError, NumberSplits, Quantity, Standardization, load_numbers
from pellucid.opening import open_model
from pellucid.train import CheckpointError, Regression, RegressionEvaluation, TrainError, fit, load_run
from precisions import HAS_BFLOAT16
from test_fine_tuning import few
from test_metadata import description, with_description
from test_train import _Stop, same

SETTINGS: dict[str, Any] = {"epochs": 3, "batch_size": 20, "seed": 7, "report": False}
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.standard_normal((200, 3))
YEARS = 2000 + 12 * (INPUTS[:, 0] - 0.5 * INPUTS[:, 1] ** 2)
METRES = 1e-3 * (INPUTS[:, 2] + 0.1 * INPUTS[:, 0])
BOTH = np.stack([YEARS, METRES], 1)


@pytest.fixture(scope="module")
def data() -> NumberSplits:
    return pl.data.numbers(INPUTS, BOTH, ["age [years]", "height [m]"])


def build(outputs: int = 2, **layers: nn.Module) -> nn.Module:
    return nn.Sequential(fc1=nn.Linear(3, 32), relu=nn.Tanh(), **layers, fc2=nn.Linear(32, outputs))


def test_a_network_learns_numbers_of_any_size(data: NumberSplits, tmp_path: Path) -> None:
    """Years around 2000 and metres of a thousandth; answers, measures and files are in these units."""
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    run = fit(build(), data, out=tmp_path / "run", epochs=80, batch_size=20, learning_rate=0.01)
    truth, predicted = data.test.targets, run.predict(data.test.images(np.arange(len(data.test))))
    assert predicted.shape == truth.shape == (30, 2)
    test = run.test
    assert isinstance(test, RegressionEvaluation)
    for number, (quantity, target) in enumerate(zip(data.quantities, test.targets, strict=True)):
        assert target.quantity == quantity
        true, found = truth[:, number], predicted[:, number]
        assert target.r2 == pytest.approx(r2_score(true, found))
        assert target.r2 > 0.9
        assert target.mean_absolute_error == pytest.approx(mean_absolute_error(true, found))
        assert target.root_mean_squared_error == pytest.approx(mean_squared_error(true, found) ** 0.5)
    assert test.r2 == pytest.approx(r2_score(truth, predicted))
    assert test.mean_absolute_error == pytest.approx(mean_absolute_error(truth, predicted))
    assert json.loads((run.folder / "test.json").read_text()) == test.to_dict()
    assert [t["unit"] for t in test.to_dict()["targets"]] == ["years", "m"]
    assert "age" in str(test)
    assert [picture.title for picture in test.charts(0)] == ["Predicted age", "Errors of age"]
    page = (run.folder / "report.html").read_text()
    for words in (
        "R2 0.9",
        "by validation error",
        "Largest errors",
        "Predicted height",
        "true age [years]",
        "Errors of height",
    ):
        assert words in page
    rows = list(csv.DictReader((run.folder / "metrics.csv").read_text().splitlines()))
    assert {"r2", "mean_absolute_error", "validation_r2", "validation_mean_absolute_error"} <= set(rows[0])
    losses = [float(row["validation_loss"]) for row in rows]
    assert [row["best"] == "True" for row in rows] == [loss == min(losses[: k + 1]) for k, loss in enumerate(losses)]
    loaded = load_run(run.folder, net=build())
    assert loaded.predict(INPUTS[:4]).tobytes() == run.predict(INPUTS[:4]).tobytes()
    assert "mean absolute error" in str(loaded.history)


def test_training_measures_are_those_of_an_evaluation(data: NumberSplits, tmp_path: Path) -> None:
    """At a learning rate that changes nothing an epoch's running means are what the network does on the training part."""
    settings = {**SETTINGS, "epochs": 1, "learning_rate": 1e-30, "optimizer": "sgd"}
    for loss in ("squared", "absolute", "huber"):
        run = fit(build(), data, out=tmp_path / loss, loss=loss, **settings)
        (row,), training = run.metrics, run.evaluate(data.train)
        assert row["loss"] == pytest.approx(training.loss, rel=1e-5)
        assert row["r2"] == pytest.approx(training.r2, rel=1e-5)
        assert row["mean_absolute_error"] == pytest.approx(training.mean_absolute_error, rel=1e-5)
        assert row["validation_loss"] == run.evaluate(data.validation).loss


@pytest.mark.parametrize("loss", ["absolute", "huber"])
def test_robust_losses_heed_wild_targets_less(tmp_path: Path, loss: str) -> None:
    wild = YEARS.copy()
    wild[::10] += 5000
    errors = {}
    for name in ("squared", loss):
        run = fit(build(1), (INPUTS, wild), out=tmp_path / name, loss=name, epochs=30, batch_size=20, report=False)
        calm = np.flatnonzero(wild == YEARS)
        errors[name] = np.abs(run.predict(INPUTS[calm])[:, 0] - YEARS[calm]).mean()
    assert errors[loss] < 0.5 * errors["squared"]


@pytest.mark.parametrize("settings", [{}, {"freeze": "fc1"}, {"loss": "huber", "optimizer": "momentum"}])
def test_it_is_resumed_bit_for_bit(data: NumberSplits, tmp_path: Path, settings: dict[str, Any]) -> None:
    settings = {**SETTINGS, **settings}
    fit(build(), data, out=tmp_path / "whole", **settings)
    cut = fit(build(), data, out=tmp_path / "cut", callbacks=[_Stop(9, signal.SIGTERM)], **settings)
    assert cut.status == "interrupted"
    assert fit(build(), data, out=tmp_path / "cut", resume=True, **settings).status == "finished"
    same(tmp_path / "whole", tmp_path / "cut")
    other = pl.data.numbers(INPUTS, BOTH + 1, ["age [years]", "height [m]"])
    with pytest.raises(TrainError, match="since its last checkpoint the data changed"):
        fit(build(), other, out=tmp_path / "cut", resume=True, **settings)
    renamed = pl.data.numbers(INPUTS, BOTH, ["age [months]", "height [m]"])
    with pytest.raises(TrainError, match=r"has the targets age \[months\], height \[m\]"), pytest.warns(UserWarning):
        fit(build(), renamed, out=tmp_path / "cut", resume=True, changed_data=True, **settings)


def test_features_of_frozen_layers_change_nothing(data: NumberSplits, tmp_path: Path) -> None:
    for cache in (True, False):
        fit(build(), data, out=tmp_path / f"{cache}", freeze="fc1", cache_features=cache, **SETTINGS)
    one, other = (load_run(tmp_path / name, net=build()).net.state_dict() for name in ("True", "False"))
    for name in one:
        if HAS_BFLOAT16:
            assert one[name].tobytes() == other[name].tobytes()
        else:  # without AVX-512 the order in which oneDNN adds products depends on how many rows there are
            assert np.allclose(one[name], other[name], rtol=1e-4, atol=1e-6)


def test_what_a_run_can_it_can_with_numbers(data: NumberSplits, tmp_path: Path) -> None:
    stopped = fit(build(), data, out=tmp_path / "a", patience=1, learning_rate=1e-12, **{**SETTINGS, "epochs": 30})
    assert (stopped.status, len(stopped.metrics)) == ("stopped early", 2)
    found = pl.find_learning_rate(build(), data, batch_size=20, steps=30)
    assert found.losses[0] > found.losses.min()
    pytest.importorskip("tensorboard")
    run = fit(build(), data, out=tmp_path / "b", tensorboard=True, **SETTINGS)
    (events,) = (run.folder / "tensorboard").glob("events*")
    assert b"validation_mean_absolute_error" in events.read_bytes()


def test_a_head_is_kept_where_it_makes_the_same_numbers(data: NumberSplits, tmp_path: Path) -> None:
    first = fit(build(), data, out=tmp_path / "first", **SETTINGS)
    settings = {**SETTINGS, "learning_rate": 1e-30, "optimizer": "sgd", "start_from": str(first.folder)}
    again = fit(build(), data, out=tmp_path / "again", **settings)
    assert again.net.state_dict()["fc2.weight"].tobytes() == first.net.state_dict()["fc2.weight"].tobytes()
    other = pl.data.numbers(INPUTS, 2 * BOTH, ["age [years]", "height [m]"])
    new = fit(build(), other, out=tmp_path / "new", **settings)
    assert new.net.state_dict()["fc1.weight"].tobytes() == first.net.state_dict()["fc1.weight"].tobytes()
    assert new.net.state_dict()["fc2.weight"].tobytes() != first.net.state_dict()["fc2.weight"].tobytes()


def test_pictures_as_arrays(tmp_path: Path) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (120, 1, 8, 8)).astype(np.uint8)
    net = nn.models.build("lenet", num_classes=1, in_channels=1, image_size=8, width=4)
    run = fit(
        net, (pictures, pictures.mean((1, 2, 3))), out=tmp_path / "run", flip=True, **{**SETTINGS, "report": True}
    )
    assert "The largest errors" in (run.folder / "report.html").read_text()
    loaded = load_run(run.folder)
    assert isinstance(loaded.task, Regression)
    assert loaded.predict(pictures[:2]).shape == (2, 1)
    floats = fit(
        nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(64, 1)),
        (pictures / 9.0, pictures.mean((1, 2, 3))),
        out=tmp_path / "f",
        **SETTINGS,
    )
    assert floats.preprocessing == Standardization.of(pl.data.numbers(pictures / 9.0, np.arange(120.0)).train)
    assert len(floats.preprocessing.mean) == 1


WRONG = [
    ((INPUTS, YEARS[:-1]), "200 inputs need targets .* of as many rows, got"),
    ((INPUTS, YEARS[:, None, None]), r"need targets \(N,\) or \(N, M\)"),
    ((INPUTS[:, 0], YEARS), r"inputs must be of shape \(N, F\) or \(N, C, H, W\), got \(200,\)"),
    ((INPUTS[:0], YEARS[:0]), "there is no example in it"),
    ((INPUTS, np.where(np.arange(200) == 7, np.nan, YEARS)), r"targets must be finite, got nan at position \(7,\)"),
    ((np.where(INPUTS > 2, np.inf, INPUTS), YEARS), "inputs must be finite, got inf at position"),
    ((INPUTS, YEARS.astype(str)), "targets must be numbers, got <U"),
    ((INPUTS, YEARS.astype(object)), "targets must be numbers, got object"),
    ((INPUTS, [[1.0], [2.0, 3.0]]), "targets must be one array of numbers"),
    ((INPUTS, BOTH, ["age"]), "2 targets need as many names, got 1: age"),
    ((INPUTS, BOTH, ["age", "age [m]"]), "two targets are called 'age'"),
    ((INPUTS, YEARS, ["a\x1b[2J"]), r"the name or unit of a target is 'a\\x1b"),
    ((INPUTS, YEARS, [" "]), "a target has no name"),
    ((INPUTS[:2], YEARS[:2]), "2 examples are too few to cut a"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[words[:24] for _, words in WRONG])
def test_arrays_that_make_no_sense(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(DataError, match=words):
        pl.data.numbers(*arguments)


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    ((INPUTS, np.full(200, 3.0)), {}, "target is 3 in every training example; there is nothing to learn"),
    ((INPUTS, YEARS * 1e304), {}, "numbers too large to be averaged"),
    ((INPUTS, BOTH), {}, r"the network makes \(1,\) numbers for inputs \(3,\), the data has 2 targets"),
    ((INPUTS, np.arange(200)), {}, "whole numbers as targets may be classes or numbers"),
    ((INPUTS, YEARS), {"loss": "hubert"}, "did you mean 'huber'"),
    (
        (INPUTS, YEARS),
        {"label_smoothing": 0.1},
        "label_smoothing is a setting of classification, the task is regression",
    ),
    (
        (INPUTS, YEARS),
        {"task": "classification"},
        "the task classification was asked for, and the data arrays is for regression",
    ),
    ((INPUTS, YEARS), {"task": "regresion"}, "did you mean 'regression'"),
    ((INPUTS * 1e200, YEARS), {}, "holds numbers that are not finite"),
    ((INPUTS, YEARS, 3), {}, "or two arrays, inputs and targets: classes, or numbers to predict; got tuple"),
    ("digits", {}, "or two arrays, inputs and targets: classes, or numbers to predict; got str"),
    ((INPUTS, YEARS), {"rotation": 5.0}, "augmentation is for pictures"),
]


@pytest.mark.parametrize(("data", "settings", "words"), REFUSED, ids=[words[:24] for *_, words in REFUSED])
def test_what_cannot_be_learned_is_said_first(data: Any, settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(pl.PellucidError, match=words):
        fit(build(1), data, out=tmp_path / "run", **{**SETTINGS, **settings})
    assert not (tmp_path / "run").exists()


def test_classes_and_numbers_are_not_confused(data: NumberSplits, tmp_path: Path) -> None:
    run = fit(build(), data, out=tmp_path / "run", **SETTINGS)
    digits = few(50, 20)
    with pytest.raises(
        TrainError, match=r"was trained for regression on examples .*; the data .* has no numbers to predict"
    ):
        run.evaluate(digits.test)
    with pytest.raises(DataError, match=r"has no classes; measure .* run\.evaluate"):
        pl.evaluate(run.net, data.test, run.preprocessing)
    with pytest.raises(pl.PellucidError, match=r"unknown loss 'absolute'.*absolute_error"):
        fit(nn.models.build("lenet", image_size=8), digits, loss="absolute", out=tmp_path / "no", **SETTINGS)


@pytest.mark.parametrize(
    ("way", "value", "words"),
    [
        (("task", "name"), "regresion", "its task is 'regresion', one of your own"),
        (("task", "mean"), [1.0], "2 targets want as many means and spreads, got 1 and 2"),
        (("task", "spread"), [1.0, 0.0], "spread a positive number"),
        (("task", "mean"), ["NaN", 1.0], "mean must be finite"),
        (("task", "error"), "hubber", "did you mean 'huber'"),
        (("task", "quantities"), [{"name": "a"}], "1 targets want as many means"),
        (("task", "quantities", 0, "name"), "a\nb", "the name or unit of a target is"),
        (("task", "quantities", 0, "unit"), 5, r"task\.quantities\[0\]\.unit: must be text, got 5"),
        (("task",), [], "task: must be names with values, got a list"),
        (("position", "squares"), -1.0, "regression counts .* each 0 or more"),
        (("position", "squares"), "NaN", "regression counts .* each 0 or more"),
        (("position", "rows", 0, "r2"), None, r"rows\[0\]\.r2: must be a number, got null"),
        (("config", "loss"), "hubber", "did you mean 'huber'"),
    ],
)
def test_damaged_descriptions(data: NumberSplits, tmp_path: Path, way: tuple[Any, ...], value: Any, words: str) -> None:
    run = fit(build(), data, out=tmp_path / "run", **{**SETTINGS, "epochs": 1})
    file = run.folder / "best.safetensors"
    whole = json.loads(description(file))
    holder = whole
    for step in way[:-1]:
        holder = holder[step]
    holder[way[-1]] = value
    file.write_bytes(with_description(file, json.dumps(whole)))
    with pytest.raises(CheckpointError, match=words):
        load_run(run.folder, net=build())


def test_predictions_that_are_no_numbers_have_no_measures(data: NumberSplits) -> None:
    task = Regression.of(data.train)
    outputs = np.zeros((len(data.test), 2), np.float32)
    outputs[3, 1] = np.nan
    found = task.evaluate(outputs, data.test, "test")
    assert (found.not_numbers, found.most_wrong[0]) == (1, 3)
    plain = found.to_dict()
    assert np.isnan([plain["r2"], plain["targets"][1]["r2"], plain["most_wrong"][0]["predicted"][1]]).all()
    assert plain["targets"][0]["mean_absolute_error"] > 0
    assert "1 of 30 examples are not numbers" in str(found)
    assert found.picture().html()
    one = Regression((Quantity("a"),), (0.0,), (1.0,)).evaluate(
        np.ones((3, 1)), pl.data.numbered.NumberArrays(INPUTS[:3], [1.0, 1.0, 1.0], ["a"])
    )
    assert np.isnan(one.to_dict()["r2"])
    assert one.mean_absolute_error == 0.0


# pictures beside a table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of one gray each, and a table of how bright and how dark they are."""
    made = tmp_path_factory.mktemp("numbers") / "gray"
    (made / "more").mkdir(parents=True)
    lines = ["file,bright [lm],dark"]
    for number in range(60):
        name = f"{'more/' if number % 2 else ''}{number}.png"
        Image.fromarray(np.full((8, 8), 4 * number, np.uint8)).save(made / name)
        lines.append(f"{name},{number / 10},{-number}")
    (made / "gray.csv").write_text("\n".join(lines) + "\n")
    return made


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=True)


def test_commands_with_numbers(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(
        "train",
        str(folder),
        "--task",
        "regression",
        "--channels",
        "1",
        "--model",
        "lenet",
        "--epochs",
        "30",
        "--batch",
        "8",
    )
    assert done.exit_code == 0, done
    run = Path("runs") / "gray-lenet"
    assert "test R2 0.9" in done.stdout
    assert 'task = "regression"' in (run / "config.toml").read_text()
    record = json.loads((run / "data.json").read_text())
    assert record["options"]["targets"] == ["bright [lm]", "dark"]
    said = call("predict", str(run), str(folder / "20.png")).stdout
    assert said.startswith(f"{folder / '20.png'}: bright ")
    assert " lm, dark -" in said
    answer = open_model(run).predict([folder / "20.png"])[0]["predictions"]
    assert [a["target"] for a in answer] == ["bright", "dark"]
    assert answer[0]["value"] == pytest.approx(2.0, abs=1)
    own = json.loads(call("evaluate", str(run), "--json").stdout)
    assert own == json.loads((run / "test.json").read_text())
    everything = json.loads(call("evaluate", str(run), "--data", str(folder), "--json", "--out", "e.html").stdout)
    assert (everything["part"], everything["count"]) == ("all", 60)
    assert "Largest errors" in Path("e.html").read_text()
    assert call("train", "--resume", "--out", str(run)).exit_code == 0
    assert (
        call(
            "find-rate", "--data", str(folder / "gray.csv"), "--channels", "1", "--batch", "8", "--steps", "12"
        ).exit_code
        == 0
    )
    for command in (("shift-robustness", str(run)), ("landscape", str(run)), ("units", str(run), "--layer", "conv1")):
        assert "was trained for regression; this command is for networks that tell classes apart" in str(
            call(*command).exception
        )


def test_a_network_of_numbers_through_onnx(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    data = load_numbers(folder, channels=1)
    net = nn.models.build("lenet", num_classes=2, in_channels=1, image_size=8, width=4)
    run = fit(net, data, out=tmp_path / "run", **SETTINGS)
    pl.save_onnx(run, tmp_path / "net.onnx")
    mine, theirs = (
        open_model(p).predict([folder / "20.png"])[0]["predictions"] for p in (run.folder, tmp_path / "net.onnx")
    )
    assert [t["target"] for t in theirs] == ["bright", "dark"]
    assert [t["value"] for t in theirs] == pytest.approx([m["value"] for m in mine], rel=1e-5)


def test_a_record_gives_the_same_parts_again(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "gray")
    table = tmp_path / "gray" / "gray.csv"
    first = load_numbers(table, channels=1, seed=3)
    record = pl.data.SplitRecord.of(first)
    lines = table.read_text().splitlines()
    shutil.copy(tmp_path / "gray" / "0.png", tmp_path / "gray" / "new.png")
    table.write_text("\n".join([*lines[:1], "new.png,1,2", *lines[1:]]))
    again = load_numbers(table, channels=1, record=record)
    assert [p.targets.tolist() for p in again.parts().values()] == [p.targets.tolist() for p in first.parts().values()]
    assert again.notes == ("1 picture has come since the data was split, left out: new.png",)
    changed = lines[5].split(",")
    table.write_text("\n".join([*lines[:5], f"{changed[0]},99,{changed[2]}", *lines[6:-1]]))
    notes = " ".join(load_numbers(table, channels=1, record=record).notes)
    assert f"1 picture is with other numbers: {changed[0]}" in notes
    assert "1 picture is gone: " in notes
