"""The commands, as a user runs them in an empty folder."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

import pellucid
from pellucid.cli import app
from pellucid.cli.helping import GROUPS, half_line
from pellucid.cli.train_options import SETTING_GROUPS
from pellucid.train.config import TrainConfig


def pellucid_command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "pellucid", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    done = pellucid_command("train", "--epochs", "2", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    assert "report.html" in done.stdout
    assert len([line for line in done.stderr.splitlines() if line.startswith("epoch")]) == 2
    return folder


def test_predict(trained: Path) -> None:
    digits = pellucid.load("digits")
    for i in range(3):
        Image.fromarray(digits.test.image(i)[0]).save(trained / f"{i}.png")
    done = pellucid_command("predict", "runs/digits-lenet", "0.png", "1.png", "--top", "3", "--json", cwd=trained)
    answers = json.loads(done.stdout)
    assert [a["image"] for a in answers] == ["0.png", "1.png"]
    probabilities = [p["probability"] for p in answers[0]["predictions"]]
    assert len(probabilities) == 3
    assert probabilities == sorted(probabilities, reverse=True)
    assert "0.png: " in pellucid_command("predict", "runs/digits-lenet", "0.png", cwd=trained).stdout


def test_evaluate_repeats_the_runs_own_result(trained: Path) -> None:
    result = json.loads(pellucid_command("evaluate", "runs/digits-lenet", "--json", cwd=trained).stdout)
    stored = json.loads((trained / "runs/digits-lenet/test.json").read_text())
    assert result["accuracy"] == stored["accuracy"]
    assert np.array(result["confusion"]).sum() == result["count"] == 359


def test_history_and_the_page_of_an_evaluation(trained: Path) -> None:
    found = json.loads(pellucid_command("history", "runs/digits-lenet", "--json", cwd=trained).stdout)
    assert len(found["epochs"]) == 2
    assert found["layers"]["steps"] == [0, 20, 40, 60]
    assert set(found["layers"]["parameters"]["conv1.weight"]) == {"gradient", "update", "weight", "ratio"}
    done = pellucid_command(
        "history", "runs/digits-lenet", "--out", "slides/history.svg", "--width", "400", cwd=trained
    )
    assert 'width="400"' in (trained / "slides" / "history.svg").read_text()[:300]
    done = pellucid_command("evaluate", "runs/digits-lenet", "--out", "evaluation.html", cwd=trained)
    assert "expected calibration error" in done.stdout
    assert "The surest mistakes" in (trained / "evaluation.html").read_text()


def test_landscape(trained: Path) -> None:
    done = pellucid_command(
        "landscape", "runs/digits-lenet", "--size", "5", "--limit", "50", "--out", "l.svg", "--json", cwd=trained
    )
    found = json.loads(done.stdout)
    assert np.shape(found["losses"]) == (5, 5)
    assert done.stderr.startswith("landscape of 25 points: about ")
    assert (trained / "l.svg").read_text().startswith("<svg")
    done = pellucid_command("landscape", "runs/digits-lenet", "--split", "tests", cwd=trained)
    assert "unknown split 'tests' (did you mean 'test'?)" in done.stderr


def test_find_rate(trained: Path) -> None:
    done = pellucid_command("find-rate", "--steps", "20", "--lowest", "1e-4", "--out", "rate.svg", cwd=trained)
    assert done.stdout.startswith("adam, ")
    assert (trained / "rate.svg").read_text().startswith("<svg")


def test_inspect(trained: Path) -> None:
    summary = json.loads(pellucid_command("inspect", "runs/digits-lenet", "--json", cwd=trained).stdout)
    assert summary["layers"][0]["name"] == "conv1"
    table = pellucid_command("inspect", "resnet18", cwd=trained).stdout
    assert "11,689,512" in table


def test_export(trained: Path) -> None:
    done = pellucid_command("export", "runs/digits-lenet", "digits.onnx", "--json", cwd=trained)
    written = json.loads(done.stdout)
    assert written["inputs"] == {"images": ["N", 1, 8, 8]}
    assert written["size"] == (trained / "digits.onnx").stat().st_size
    sized = ("--image-size", "32", "--channels", "1", "--classes", "4", "--batch", "2", "--opset", "20")
    done = pellucid_command("export", "resnet18", "net.onnx", *sized, cwd=trained)
    assert "images (2 x 1 x 32 x 32) -> logits (2 x 4)" in done.stdout
    assert "operator set 20" in done.stdout
    again = pellucid_command("export", "digits.onnx", "again.onnx", "--json", cwd=trained)
    assert json.loads(again.stdout) == {**written, "path": "again.onnx"}
    assert (trained / "again.onnx").read_bytes() == (trained / "digits.onnx").read_bytes()
    assert written["open_axes"] == ["N"]


def test_export_of_several_inputs_and_outputs(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    value, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    graph = onnx.helper.make_graph(
        [node("Add", ["signal", "shift"], ["sum"]), node("ArgMax", ["sum"], ["place"], axis=1, keepdims=0)],
        "two",
        [value("signal", 1, ["batch", "time"]), value("shift", 1, ["batch", 1])],
        [value("place", 7, ["batch"]), value("sum", 1, ["batch", "time"])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "two.onnx")
    written = json.loads(pellucid_command("export", "two.onnx", "again.onnx", "--json", cwd=tmp_path).stdout)
    assert (written["inputs"], written["outputs"]) == (
        {"signal": ["batch", "time"], "shift": ["batch", 1]},
        {"place": ["batch"], "sum": ["batch", "time"]},
    )
    assert (written["open_axes"], written["opset"]) == (["batch", "time"], 13)
    assert written["operators"] == {"Add": 1, "ArgMax": 1}
    assert written["elements"]["place"] == "INT64"
    assert onnx.load(tmp_path / "again.onnx") == model
    picture = onnx.helper.make_graph(
        [node("Relu", ["x"], ["y"])], "one", [value("x", 1, ["n", 3, "h", "w"])], [value("y", 1, ["n", 3, "h", "w"])]
    )
    onnx.save(onnx.helper.make_model(picture, ir_version=8), tmp_path / "open.onnx")
    sized = pellucid_command("export", "open.onnx", "sized.onnx", "--image-size", "32", "--json", cwd=tmp_path)
    assert json.loads(sized.stdout)["inputs"] == {"x": ["n", 3, 32, 32]}
    fixed = pellucid_command("export", "two.onnx", "four.onnx", "--batch", "4", cwd=tmp_path)
    assert "operator set 13, open axes: time\n" in fixed.stdout
    assert "signal (4 x time), shift (4 x 1) -> place (4) int64, sum (4 x time)" in fixed.stdout


def test_formula(tmp_path: Path) -> None:
    values = ["w0=2", "x0=-1", "w1=-3", "x1=-2", "w2=-3"]
    formula = "1/(1+exp(-(w0*x0+w1*x1+w2)))"
    found = json.loads(pellucid_command("formula", formula, *values, "--json", cwd=tmp_path).stdout)
    assert found["value"] == pytest.approx(0.7310585786, abs=1e-9)
    assert found["variables"]["x1"]["gradient"] == pytest.approx(-0.5898357998, abs=1e-9)
    done = pellucid_command("formula", formula, *values, "--out", "graph.svg", cwd=tmp_path)
    assert "f = 0.7310585786" in done.stdout
    assert (tmp_path / "graph.svg").read_text().startswith("<svg")
    assert max(len(line) for line in done.stdout.splitlines()) <= 90


def test_approximate(tmp_path: Path) -> None:
    asked = ("approximate", "sin(3*x)", "--domain", "-2,2", "--tolerance", "0.1")
    found = json.loads(pellucid_command(*asked, "--json", "--out", "a.html", cwd=tmp_path).stdout)
    assert found["error"] <= found["bound"] <= 0.1
    assert "<svg" in (tmp_path / "a.html").read_text()
    assert "no bound" in pellucid_command(*asked, "--method", "train", cwd=tmp_path).stdout


def test_shift_robustness(trained: Path) -> None:
    asked = ("shift-robustness", "runs/digits-lenet", "--shifts", "0,1", "--out", "shifts.html")
    found = json.loads(pellucid_command(*asked, "--json", cwd=trained).stdout)
    stored = json.loads((trained / "runs/digits-lenet/test.json").read_text())
    accuracy = found["networks"]["digits-lenet"]["accuracy"]
    assert accuracy[0] == pytest.approx(stored["accuracy"])
    assert accuracy[1] < accuracy[0]
    assert "<svg" in (trained / "shifts.html").read_text()


def test_suggested_commands_can_be_pasted_and_resume_takes_no_other_settings(tmp_path: Path) -> None:
    out = "a run's; $HOME 😀"
    done = pellucid_command("train", "--epochs", "1", "--batch", "100", "--out", out, cwd=tmp_path)
    assert tomllib.loads((tmp_path / out / "config.toml").read_text())["batch_size"] == 100
    suggested = [shlex.split(line) for line in done.stdout.split("try next\n")[1].splitlines()]
    assert suggested == [
        ["pellucid", "predict", out, "test[0]"],
        *(["pellucid", c, out] for c in ("evaluate", "inspect")),
    ]
    resumed = pellucid_command(
        "train",
        "--resume",
        "--out",
        out,
        "--epochs",
        "3",
        "--lr",
        "0.5",
        "--batch",
        "100",
        "--no-cache-features",
        cwd=tmp_path,
    )
    assert resumed.returncode == 2
    for words in ("learning_rate was 0.002, is 0.5", "cache_features was True, is False"):
        assert words in resumed.stderr
    assert "batch_size" not in resumed.stderr
    again = pellucid_command(
        "train", "--resume", "--out", out, "--epochs", "1", "--model", "lenet", "--checkpoint-every", "9", cwd=tmp_path
    )
    assert again.returncode == 0, again.stderr
    assert tomllib.loads((tmp_path / out / "config.toml").read_text())["checkpoint_every"] == 9


def test_why_convolution(tmp_path: Path) -> None:
    asked = ("why-convolution", "--epochs", "1", "--limit", "64", "--shifts", "0,1", "--out", "why.html")
    done = pellucid_command(*asked, cwd=tmp_path)
    assert "locally connected" in done.stdout
    assert [f.name for f in tmp_path.iterdir()] == ["why.html"]


def test_doctor_and_models(tmp_path: Path) -> None:
    found = json.loads(pellucid_command("doctor", "--json", cwd=tmp_path).stdout)
    assert found["versions"]["pellucid"] == pellucid.__version__
    assert found["executors"]["reference"] == "available"
    assert "resnet50" in pellucid_command("models", cwd=tmp_path).stdout
    assert pellucid.__version__ in pellucid_command("--version", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "--model", "lenett"), "did you mean 'lenet'"),
        (("train", "--data", "digit"), "did you mean 'digits'"),
        (("train", "--epochs", "-1"), "epochs must be at least 1, got -1"),
        (("train", "--optimizer", "adma"), "did you mean 'adam'"),
        (("train", "--executor", "tpu"), "unknown executor 'tpu'"),
        (("train", "--lr", "nan"), "learning_rate must be a positive number"),
        (("train", "--resume"), "--resume needs --out"),
        (("inspect", "lenet", "--threads", "1025"), "at most 1024, as each takes memory of its own; got 1025"),
        (("train", "--resume", "--out", "nothing"), "there is no such checkpoint"),
        (("train", "--model", "vgg16"), "at least 32x32"),
        (("predict", "nothing", "x.png"), "neither a run's folder, nor a file"),
        (("predict", "lenet", "x.png"), "lenet: no published weights are known for it"),
        (("evaluate", "nothing.safetensors"), "there is no such run"),
        (("evaluate", "lenet"), "efficientnet_lite2; it must be trained first"),
        (("inspect", "resnet19"), "did you mean 'resnet18'"),
        (("export", "resnet19", "x.onnx"), "did you mean 'resnet18'"),
        (("export", "lenet", "x.onnx", "--opset", "9"), "from 18 to 22 can be written, got 9"),
        (("export", "lenet", "/dev/null/x.onnx"), "/dev/null/x.onnx: cannot be written (Not a directory)"),
        (
            ("export", "lenet", "d.pt"),
            "d.pt: files that end in .pt cannot be written; a network is exported as ONNX (.onnx)",
        ),
        (("export", "lenet", "lenet"), "lenet: a file without an ending cannot be written"),
        (("train", "--shift", "-1"), "rotation in [0, 180], got -1 and 0.0"),
        (("inspect", "a" * 300), f"{'a' * 300}: File name too long"),
        (
            ("inspect", "https://example.org/m.onnx"),
            "https://example.org/m.onnx is an address, from which nothing is fetched",
        ),
        (("find-rate", "--steps", "2"), "steps must be at least 10, got 2"),
        (("landscape", "lenet"), "only for efficientnet_lite0"),
        (("history", "nothing"), "there is no such run"),
        (("formula", "x.__class__", "x=1"), "is not part of a formula"),
        (("formula", "x", "x"), "expected name=number"),
        (("formula", "x+y", "x=1"), "no value for 'y'"),
        (("why-convolution", "--shifts", "a"), "expected whole numbers with commas between, got 'a'"),
        (("why-convolution", "--data", "digit"), "did you mean 'digits'"),
        (("shift-robustness", "lenet"), "efficientnet_lite2; it must be trained first"),
        (("approximate", "sin(x)", "--domain", "1"), "expected from,to or from,to,from,to, got '1'"),
        (("approximate", "sin(x)", "--method", "rleu"), "did you mean 'relu'"),
        (("approximate", "1/x", "--domain", "-1,1"), "1/x: is inf at x = 0"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_clear_line_and_writes_nothing(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    done = pellucid_command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_a_picture_that_cannot_be_read(trained: Path) -> None:
    (trained / "bad.png").write_bytes(b"no picture")
    done = pellucid_command("predict", "runs/digits-lenet", "bad.png", cwd=trained)
    assert done.returncode == 2
    assert "bad.png: not a readable picture" in done.stderr
    missing = pellucid_command("predict", "runs/digits-lenet", "missing.png", cwd=trained)
    assert missing.returncode == 2
    assert missing.stderr == "pellucid: error: missing.png: there is no such file\n"


def test_progress_waits_a_second_then_says_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pellucid import progress

    with progress.progress("reading") as tell:
        tell(1, 3)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with progress.progress("reading") as tell:
        tell(1, 3)
        tell(2, 3)
    assert capsys.readouterr().err == "reading: 1 of 3 done\n"


def test_help_is_in_groups_and_no_line_of_it_is_cut() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    assert "..." not in shown.partition("Train:")[2]
    titles = [line.rstrip(":") for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["Options", *GROUPS]
    told = {name: half_line(command) for name, command in commands.items()}
    assert len(set(told.values())) == len(told)
    for name, words in told.items():
        assert [line for line in lines if line.split() == [name, *words.split()]], name


@pytest.mark.parametrize("name", ["train", "find-rate"])
def test_settings_are_listed_by_what_they_are_about(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "80"}).output
    titles = [line.rstrip(":") for line in shown.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert [*filter(lambda title: title != "Arguments", titles)] == [*SETTING_GROUPS, "Options"]
    own = shown[shown.index("\nOptions:") :]
    for each in dataclasses.fields(TrainConfig):
        option = f"--{each.metadata.get('option') or each.name.replace('_', '-')} "
        assert f"\n  {option}" not in own, f"{each.name} is in no group of settings"
    for line in inspect.getdoc(typer.main.get_command(app).commands[name].callback).splitlines():  # type: ignore[attr-defined]
        assert not line.startswith("Example: ") or f"  {line}" in shown.splitlines()  # however long


def test_folders_of_out_are_made(trained: Path) -> None:
    for words in (
        ("doctor", "--out", "made/a/doctor.html"),
        ("evaluate", "runs/digits-lenet", "--out", "made/b/c/evaluation.html"),
        ("export", "runs/digits-lenet", "made/d/lenet.onnx"),
        ("predict", "runs/digits-lenet", "digits.npy", "--out", "made/e/scores.npz"),
    ):
        np.save(trained / "digits.npy", np.zeros((1, 8, 8), np.float32))
        done = pellucid_command(*words, cwd=trained)
        assert done.returncode == 0, done.stderr
        assert (trained / words[-1]).is_file()
