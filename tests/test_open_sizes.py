"""Sizes that a file leaves open: what they may be called, who gives them, and pictures that are no squares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from PIL import Image

import pellucid as pl
from keras_files import keras_file
from onnx_models import normal, save, small_classifier
from pellucid.cli import networks, training
from pellucid.data.size import parse_size, sides
from pellucid.interop.onnx_reader.model import model_of
from pellucid.opening import OpeningError, at_size, open_model


@pytest.mark.parametrize("text", ["?", "-1", "", "*", "None", -1, None])
def test_each_axis_without_a_name_is_its_own(tmp_path: Path, text: Any) -> None:
    """Two axes called `?` are two sizes, as are two of -1 or none."""
    path = small_classifier(tmp_path / "net.onnx")
    proto = onnx.load(path)
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    for axis in (0, 2, 3):
        dims[axis].Clear()
        if isinstance(text, str):
            dims[axis].dim_param = text
        elif text is not None:
            dims[axis].dim_value = text
    assert model_of(proto).body.inputs[0].shape == ("x_0", 1, "x_2", "x_3")
    onnx.save(proto, path)
    for given in ({"x_2": 9, "x_3": 7}, {"height": 9, "width": 7}, {"height": 9, "x_3": 7}):
        assert pl.load_onnx(path, **given).input_shapes == {"x": (1, 1, 9, 7)}
    assert pl.load_onnx(path, batch=3, height=9, width=7).input_shapes == {"x": (3, 1, 9, 7)}
    with pytest.raises(pl.PellucidError, match=r"x_2 \(axis 2 of 'x'\), x_3 .* as height and width"):
        pl.load_onnx(path)
    opened = open_model(path, image_size=(9, 7))
    assert (opened.shape, opened.notes) == ((1, 9, 7), ())
    assert open_model(path, image_size="9x7").shape == (1, 9, 7)


SYMBOLS: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = {
    "names that are no keywords": (("p2o.N", 1, "p2o.Dim.1", "p2o.Dim.2"), {"height": 8, "width": 6}, (1, 1, 8, 6)),
    "by the file's own": (("p2o.N", 1, "p2o.Dim.1", "p2o.Dim.2"), {"p2o.Dim.1": 8, "x_3": 6}, (1, 1, 8, 6)),
    "one symbol twice": (("n", 1, "side", "side"), {"height": 8}, (1, 1, 8, 8)),
    "symbols called so": (("batch", 1, "height", "width"), {"height": 8, "width": 6, "batch": 2}, (2, 1, 8, 6)),
    "one side fixed": (("n", 1, 8, "w"), {"width": 6}, (1, 1, 8, 6)),
    "nothing open": ((1, 1, 8, 6), {"height": 8}, (1, 1, 8, 6)),
    "no batch": ((0, 1, 8, "w"), {"width": 6, "x_0": 1}, (1, 1, 8, 6)),
}


@pytest.mark.parametrize(("shape", "given", "expected"), SYMBOLS.values(), ids=SYMBOLS)
def test_sizes_by_name_and_place(
    tmp_path: Path, shape: tuple[Any, ...], given: dict[str, Any], expected: tuple[int, ...]
) -> None:
    net = pl.load_onnx(_maps(tmp_path / "net.onnx", shape), **given)
    assert net.input_shapes == {"x": expected}


def _maps(path: Path, shape: tuple[Any, ...], divisor: int = 1) -> Path:
    """A convolution, with a branch made smaller by `divisor` and larger again, so that sides must be multiples of it."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("MaxPool", ["a"], ["b"], "pool", kernel_shape=[divisor] * 2, strides=[divisor] * 2),
        helper.make_node("Resize", ["b", "", "scales"], ["c"], "up", mode="nearest"),
        helper.make_node("Add", ["a", "c"], ["y"], "sum"),
    ]
    arrays = {"w": normal(2, 1, 3, 3), "scales": np.array([1, 1, divisor, divisor], np.float32)}
    return save(
        path,
        nodes if divisor > 1 else [*nodes[:1], helper.make_node("Relu", ["a"], ["y"], "relu")],
        {"x": shape},
        arrays=arrays,
    )


WRONG: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "one size for two": (("n", 1, "s", "s"), {"height": 8, "width": 6}, "s is one size .* cannot be 8 and 6"),
    "a fixed side": ((1, 1, 8, 6), {"height": 9}, "its height is 8, which cannot be made 9"),
    "no such name": (("n", 1, "h", "w"), {"hight": 9}, "dimensions hight=9 do not fit; symbols of the inputs: h, n, w"),
    "none given": (("n", 1, "h", "w"), {}, r"without a value: h \(axis 2 of 'x'\), w"),
}  # fmt: skip


@pytest.mark.parametrize(("shape", "given", "words"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit(tmp_path: Path, shape: tuple[Any, ...], given: dict[str, Any], words: str) -> None:
    with pytest.raises(pl.PellucidError, match=words):
        pl.load_onnx(_maps(tmp_path / "net.onnx", shape), **given)


def test_a_size_that_the_network_cannot_take_is_named(tmp_path: Path) -> None:
    path = _maps(tmp_path / "net.onnx", ("n", 1, "h", "w"), 32)
    assert open_model(path).shape == (1, 224, 224)
    assert open_model(path, image_size=(64, 96)).shape == (1, 64, 96)
    with pytest.raises(pl.PellucidError, match=r"of pictures of 60x100; 64x96 would do: .*--size HEIGHTxWIDTH"):
        open_model(path, image_size=(60, 100))
    with pytest.raises(pl.PellucidError, match="s cannot be 64 and 96"):
        open_model(_maps(tmp_path / "two.onnx", ("n", 1, "s", "s")), image_size=(64, 96))


@pytest.mark.parametrize("style", ["once", "throughout"])
@pytest.mark.parametrize("names", [("h", "w"), ("unk__1", "unk__2"), (-1, -1)])
def test_open_sizes_of_nhwc(tmp_path: Path, style: str, names: tuple[Any, Any]) -> None:
    path = keras_file(tmp_path / "net.onnx", style, names)
    assert open_model(path).shape == (3, 224, 224)
    opened = open_model(path, image_size=(16, 20), preprocessing="unit")
    assert (opened.shape, opened.layout, opened.input_shape) == ((3, 16, 20), "NHWC", (16, 20, 3))
    assert pl.load_onnx(path, height=16, width=20).input_shapes == {"x": (1, 16, 20, 3)}
    x = np.random.default_rng(0).random((1, 16, 20, 3), np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(pl.predict(opened.net, x), session.run(None, {"x": x})[0], atol=1e-6)


def test_a_word_on_what_was_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = small_classifier(tmp_path / "net.onnx", "side")
    picture = tmp_path / "one.png"
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(picture)
    training.predict(str(path), [picture], preprocessing="unit")
    assert "leaves the size of pictures open; 224x224 is taken (--size HEIGHTxWIDTH" in capsys.readouterr().err
    training.predict(str(path), [picture], preprocessing="unit", size="16")
    assert capsys.readouterr().err == ""
    networks.inspect("squeezenet1_1", size="48x64", classes=3)
    assert "1x3x48x64" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet18", "mobilenet_v2"])
def test_models_that_average_at_the_end_take_any_size(name: str) -> None:
    opened = open_model(name, image_size=(48, 64), num_classes=5)
    assert opened.shape == (3, 48, 64)
    opened.net.initialize(0)
    assert pl.predict(opened.net, np.zeros((2, 3, 48, 64), np.float32)).shape == (2, 5)
    with pytest.raises(OpeningError, match=r"lenet: cannot take pictures of 28x32: "):
        open_model("lenet", image_size=(28, 32))


def test_a_run_takes_pictures_of_another_size(tmp_path: Path) -> None:
    """Its card follows, so that pictures are read and data is measured as it is asked for."""
    random = np.random.default_rng(0)
    data = pl.data.ArrayDataset(random.integers(0, 256, (24, 3, 24, 24), np.uint8), [0, 1] * 12, ("a", "b"), "drawn")
    net = pl.models.build("squeezenet1_1", num_classes=2, image_size=24)
    pl.fit(net, pl.data.Splits(data, data, data), epochs=1, batch_size=8, out=tmp_path / "run", report=False)
    opened = open_model(tmp_path / "run", image_size=(32, 40))
    assert opened.shape == opened.run.shape == (3, 32, 40)  # type: ignore[union-attr]
    assert opened.preprocessing is not None
    assert opened.preprocessing.image_size == (32, 40)
    wide = pl.data.ArrayDataset(random.integers(0, 256, (6, 3, 32, 40), np.uint8), [0, 1] * 3, ("a", "b"), "wide")
    assert opened.evaluate(wide).count == 6
    assert at_size(opened, 24).shape == (3, 24, 24)


@pytest.mark.parametrize(
    ("text", "size"), [("480x640", (480, 640)), ("480X640", (480, 640)), ("480", 480), ("", 0), ("480×640", (480, 640))]
)
def test_a_size_as_text(text: str, size: Any) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["0", "x640", "480x", "480x0", "-3", "a", "480x640x3"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(pl.PellucidError, match="HEIGHTxWIDTH"):
        parse_size(text)


def test_sizes_in_python() -> None:
    assert (sides(0), sides(None), sides(8), sides((8, 6))) == (None, None, (8, 8), (8, 6))
    for wrong in (-1, (8,), (8, 0), (8.0, 6)):
        with pytest.raises(pl.PellucidError, match="image_size must be at least 1"):
            sides(wrong)  # type: ignore[arg-type]


def test_folders_of_pictures_that_are_no_squares(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for k in range(24):
        folder = tmp_path / "data" / "ab"[k % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 100, (20 + k, 40, 3), np.uint8)
        pixels[..., 2 * (k % 2)] += 120
        Image.fromarray(pixels).save(folder / f"{k}.png")
    splits = pl.load(tmp_path / "data", image_size=(12, 16))
    assert splits.shape == (3, 12, 16)
    path = keras_file(tmp_path / "net.onnx", "throughout", (-1, -1), classes=2)
    from typer.testing import CliRunner

    from pellucid.cli import app

    run = tmp_path / "run"
    words = [
        "train",
        str(tmp_path / "data"),
        "--model",
        str(path),
        "--size",
        "12x16",
        "--epochs",
        "4",
        "--batch",
        "4",
    ]
    told = CliRunner().invoke(app, [*words, "--lr", "0.1", "--out", str(run)])
    assert told.exit_code == 0, told.output
    opened = open_model(run)
    assert (opened.shape, opened.layout, opened.input_shape) == ((3, 12, 16), "NHWC", (12, 16, 3))
    assert CliRunner().invoke(app, ["evaluate", str(run)]).exit_code == 0
    assert CliRunner().invoke(app, ["train", "--resume", "--out", str(run)]).exit_code == 0


def test_what_counts_examples_is_one_size_wherever_it_stands(tmp_path: Path) -> None:
    nodes = [helper.make_node("Mul", ["x", "s"], ["y"], "scaled")]
    path = save(tmp_path / "net.onnx", nodes, {"x": ("batch", 4), "s": (2, "batch", 4)})
    assert pl.load_onnx(path).input_shapes == {"x": (1, 4), "s": (2, 1, 4)}
    assert pl.load_onnx(path, batch=3).input_shapes == {"x": (3, 4), "s": (2, 3, 4)}
