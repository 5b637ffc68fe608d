"""ONNX files of networks that do not take one picture, opened, shown and asked from Python and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

import pellucid as pl
from onnx_models import normal, save
from pellucid.cli import app
from pellucid.cli.networks import inspect
from pellucid.data import DataError, read_array
from pellucid.inference.fed import random_example
from pellucid.opening import OpeningError
from test_inputs import recurrent


def signal(path: Path) -> Path:
    """A convolution along a signal (N, C, L)."""
    nodes = [
        helper.make_node("Conv", ["wave", "w"], ["a"], "conv", pads=[1, 1]),
        helper.make_node("Relu", ["a"], ["y"], "relu"),
    ]
    return save(path, nodes, {"wave": (1, 2, 12)}, arrays={"w": normal(3, 2, 3)})


def doubles(path: Path) -> Path:
    """A file in float64, which the native executor does not compute in."""
    x, y = (helper.make_tensor_value_info(n, TensorProto.DOUBLE, (1, 4)) for n in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], "relu")], "double", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_file_of_several_inputs_is_opened_and_summed_up(tmp_path: Path) -> None:
    opened = pl.open_model(recurrent(tmp_path / "vad.onnx"))
    assert opened.shapes() == {"input": (1, 4), "state": (2, 1, 4), "sr": ()}
    summary = opened.net.summary()
    assert [str(end) for end in summary.inputs] == ["input float32 1x4", "state float32 2x1x4", "sr int64 a number"]
    assert [str(end) for end in summary.outputs] == ["output float32 1x4", "stateN float32 2x1x4"]
    assert {row.name: row.output_shape for row in summary.rows} == {
        "cast": (), "div": (4,), "step": (2, 1, 4), "sigmoid": (4,),
    }  # fmt: skip
    with pytest.raises(OpeningError, match=r"takes no pictures but input float32 \(1, 4\), state"):
        opened.require_preprocessing()
    with pytest.raises(OpeningError, match="takes no pictures"):
        pl.open_model(tmp_path / "vad.onnx", preprocessing="unit")


def test_a_file_of_a_signal(tmp_path: Path) -> None:
    opened = pl.open_model(signal(tmp_path / "signal.onnx"))
    assert opened.shape == (2, 12)
    summary = opened.net.summary()
    assert [(row.name, row.output_shape, row.receptive_field) for row in summary.rows][-1] == ("relu", (3, 12), (2, 3))


def test_what_cannot_be_opened_is_said_before_what_it_takes(tmp_path: Path) -> None:
    nodes = [helper.make_node("Unheard", ["wave"], ["y"], "odd", domain="other")]
    path = save(
        tmp_path / "odd.onnx", nodes, {"wave": (1, 12), "more": (1, 3)}, domains=(helper.make_opsetid("other", 1),)
    )
    for opening in (
        lambda: pl.open_model(path),
        lambda: pl.models.build(str(path), num_classes=2, in_channels=3, image_size=8),
    ):
        with pytest.raises(pl.PellucidError, match=r"operators that cannot be opened.*Unheard"):
            opening()


@pytest.mark.parametrize(
    ("make", "executor", "words", "kernels"),
    [
        (signal, "reference", "on reference, through the reference kernels: every layer", ["Conv2d"]),
        (signal, "native", "computed on native\n", []),
        (doubles, "auto", "on reference (auto), through the reference kernels: every layer", ["Relu"]),
    ],
)
def test_inspect_says_who_computes(
    make: object, executor: str, words: str, kernels: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if executor == "native" and pl.executors.available_executors()["native"]:
        pytest.skip("the native executor was not built")
    path = str(make(tmp_path / "net.onnx"))  # type: ignore[operator]
    inspect(path, executor=executor)
    assert words in capsys.readouterr().out
    inspect(path, executor=executor, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert set(kernels) <= set(told["reference_kernels"])
    assert bool(kernels) == bool(told["reference_kernels"])
    assert {"name": "wave", "dtype": "float32", "shape": [1, 2, 12]} in told["inputs"] or make is doubles


GIVEN = ["state=state.npy", "sr=16000"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    recurrent(tmp_path / "vad.onnx")
    signal(tmp_path / "signal.onnx")
    np.save(tmp_path / "sound.npy", np.linspace(1, 4, 4))
    np.save(tmp_path / "state.npy", np.ones((2, 1, 4)))
    np.save(tmp_path / "wave.npy", np.ones((2, 12), np.float32))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(*words: str, code: int = 0) -> str:
    """What a command prints; of one that fails what it says."""
    result = CliRunner().invoke(app, list(words))
    if code:
        return str(result.exception) if isinstance(result.exception, pl.PellucidError) else result.output
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


QUESTIONS = {
    "trace": "score 0.50006",
    "explain --at stateN[1,0,2]": "sees state[0..0,2..2]",
    "walk-back --target stateN[1,0,2] --count 2": "paths carry",
    "attribute --method saliency --target stateN[1,0,2]": "stateN[1,0,2]",
    "activations --layer step": "step: 2x1x4",
    "receptive-field --at stateN --of state": "sees state[0..0,2..2]",
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_about_several_inputs(folder: Path, question: str) -> None:
    command, *rest = question.split()
    for inputs in (
        ["sound.npy", *(w for i in GIVEN for w in ("--input", i))],
        [w for i in ("input=sound.npy", *GIVEN) for w in ("--input", i)],
    ):
        assert QUESTIONS[question] in asked(command, "vad.onnx", *inputs, *rest)


@pytest.mark.parametrize(
    "question", ["trace", "walk-back", "activations", "attribute --method saliency", "receptive-field --at relu"]
)
def test_questions_about_a_signal(folder: Path, question: str) -> None:
    command, *rest = question.split()
    assert asked(command, "signal.onnx", "wave.npy", *rest)


def test_predicting_anything(folder: Path) -> None:
    inputs = [w for i in GIVEN for w in ("--input", i)]
    told = json.loads(asked("predict", "vad.onnx", "sound.npy", *inputs, "--out", "found.npz", "--json"))
    assert [(o["name"], o["shape"]) for o in told[0]["outputs"]] == [("output", [1, 4]), ("stateN", [2, 1, 4])]
    with np.load("found.npz") as found:
        np.testing.assert_allclose(
            found["stateN"], 1 + np.linspace(1, 4, 4).reshape(1, 1, 4).repeat(2, 0) / 16000, rtol=1e-6
        )
        assert told[0]["outputs"][1]["max"] == pytest.approx(float(found["stateN"].max()))
    assert "stateN" in asked("predict", "vad.onnx", "sound.npy", *inputs)
    asked("predict", "signal.onnx", "wave.npy", "--out", "y.npy")
    assert np.load("y.npy").shape == (1, 3, 12)
    assert "name a .npz file" in asked("predict", "vad.onnx", "sound.npy", *inputs, "--out", "y.npy", code=2)


SR = ("--input", "sr=16000")


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (("random:3", *SR), ("random:3", *SR, "--input", "state=random:3")),
        (("random", *SR), (*SR, "--input", "input=random:0", "--input", "state=random")),
        (
            ("[[1, 2, 3, 4]]", "--input", "sr=16000", "--input", "state=[[[0, 0, 0, 0]], [[1.0, 1, 1, 1]]]"),
            ("[1, 2, 3, 4]", *SR, "--input", "state=[[[0, 0, 0, 0]], [[1, 1, 1, 1]]]"),
        ),
    ],
)
def test_numbers_in_the_place_of_files(folder: Path, words: tuple[str, ...], same: tuple[str, ...]) -> None:
    found, again = (json.loads(asked("trace", "vad.onnx", *each, "--json")) for each in (words, same))
    assert found == again
    if words[0] == "random:3":
        drawn = random_example(pl.open_model("vad.onnx").net, None, 3)
        means = {row["layer"]: row["mean"] for row in found["layers"]}
        for name in ("input", "state"):
            assert means[name] == pytest.approx(float(drawn[name].mean()), rel=1e-6)


@pytest.mark.parametrize(
    "command", ["trace vad.onnx", "predict vad.onnx --input input=random", "activations vad.onnx --layer step"]
)
def test_infinities_of_both_signs_have_no_mean(folder: Path, command: str) -> None:
    given = [f"--input={name}=random" for name in ("state", "sr")] if "predict" in command else ["random"]
    assert "nan" in asked(*command.split()[:2], *given, *command.split()[2:]).lower()


REFUSED = {
    "trace vad.onnx random:x": "random:SEED wants a whole number",
    "trace vad.onnx random --input state=[[1,2],[3]]": "not of one length",
    "trace vad.onnx random --input sr=[1,2]": "'sr' wants one example",
    "trace vad.onnx": "nothing is given for what it takes: input float32 (1, 4), state",
    "trace vad.onnx sound.npy": "nothing is given for state, sr",
    "trace vad.onnx photo.jpg": "photo.jpg cannot be the input input float32 (1, 4); give it as an array, a .npy file",
    "trace vad.onnx sound.npy --input foo": "expected NAME=FILE, got 'foo'; the inputs are input, state, sr",
    "trace vad.onnx sound.npy --input stat=state.npy": "no input is called 'stat' (did you mean 'state'?)",
    "trace vad.onnx sound.npy --input input=sound.npy": "Give it once",
    "trace vad.onnx gone.npy": "gone.npy: cannot be read",
    "shift-robustness vad.onnx --data digits": "takes no pictures but input",
    "evaluate vad.onnx --data digits": "takes no pictures but input",
    "units vad.onnx --data digits": "takes no pictures but input",
    "inspect vad.onnx --train": "training is for networks with one",
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_is_refused(folder: Path, command: str) -> None:
    assert REFUSED[command] in asked(*command.split(), code=2)


def test_arrays_are_read_without_executing_anything(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for array in (
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(3.5),
        np.zeros((0, 2)),
    ):
        np.save(path, array)
        np.testing.assert_array_equal(read_array(path), array)
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match="holds Python objects"):
        read_array(path)
    np.save(path, np.zeros((4, 4)))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"(4, 4)", b"(9**9,"[:6]))
    with pytest.raises(DataError, match="no array that numpy"):
        read_array(path)
    for header in (b"(" * 200, b"(-4, -4), }" + b" " * 9):
        at = whole.index(b"(4, 4)")
        path.write_bytes(
            whole[:at] + header.ljust(59)[:59] + b"\n" + whole[128:] if len(header) < 60 else whole[:at] + header
        )
        with pytest.raises(DataError):
            read_array(path)
    for damaged in (whole[:-8], whole.replace(b"(4, 4), }         ", b"(99999999, 99999)}")):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="it is damaged"):
            read_array(path)


def test_open_sizes_of_what_is_no_picture(tmp_path: Path) -> None:
    path = str(
        save(tmp_path / "open.onnx", [helper.make_node("Relu", ["wave"], ["y"], "relu")], {"wave": ("N", 2, "length")})
    )
    with pytest.raises(
        pl.PellucidError,
        match=r"length .axis 2 of 'wave'.*keywords of load_onnx.*or as --set length=NUMBER .set= in Python",
    ):
        pl.open_model(path)
    assert pl.open_model(path, set={"length": 12}).shapes() == {"wave": (1, 2, 12)}
    assert "takes wave float32 1x2x12" in asked("inspect", path, "--set", "length=12")
    with pytest.raises(pl.PellucidError, match="length is an open size of the inputs and wants a whole number, got"):
        pl.open_model(path, set={"length": 0.5})
