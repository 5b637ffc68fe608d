"""ONNX files of networks that do not take one picture, opened, shown and asked from Python and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from onnx import TensorProto, helper

import pellucid as pl
from onnx_models import normal, save
from pellucid.cli.networks import inspect
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
        (signal, "native", "on native, through the reference kernel: nothing", []),
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
