"""Networks that take pictures in another order of axes: recognized from the graph, and followed by whatever takes a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper
from PIL import Image

import pellucid as pl
from keras_files import PLAIN, STYLES, keras_file
from onnx_models import normal, save
from pellucid import nn
from pellucid.data import ArrayDataset, Preprocessing, Splits
from pellucid.nn.axes import Axes, layout_of, same_axes
from pellucid.nn.receptive_field import receptive_fields
from pellucid.nn.summary import inference_graph
from pellucid.opening import open_model


def _ask(path: Path, values: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: values})[0]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(12, 10), (10, 10)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_graph_tells_the_layout(tmp_path: Path, style: str, size: tuple[int, int], channels: int) -> None:
    opened = open_model(keras_file(tmp_path / "net.onnx", style, size, channels), preprocessing="unit")
    assert (opened.layout, opened.shape) == ("NHWC", (channels, *size))
    picture = tmp_path / "one.png"
    pixels = np.random.default_rng(0).integers(0, 256, (31, 40, 3), np.uint8)
    Image.fromarray(pixels).save(picture)
    given = opened.input(picture)
    assert given.values.shape == opened.input_shape
    (answer,) = opened.predict([picture], top=4)
    (expected,) = _ask(tmp_path / "net.onnx", given.values[None])
    np.testing.assert_allclose([p["probability"] for p in answer["predictions"]], np.sort(expected)[::-1], atol=1e-6)
    assert opened.preprocessing is not None
    assert Preprocessing.from_dict(opened.preprocessing.to_dict()) == opened.preprocessing
    np.testing.assert_array_equal(opened.preprocessing.denormalize(given.values), given.pixels)


def _one_node(path: Path, perm: list[int] | None, shape: tuple[int, ...]) -> Path:
    """A convolution on pictures whose sizes say nothing, three rows or three columns among them."""
    nodes = [helper.make_node("Transpose", ["x"], ["t"], "t", perm=perm)] if perm else []
    nodes.append(helper.make_node("Conv", ["t" if perm else "x", "w"], ["y"], "conv", pads=[1, 1, 1, 1]))
    return save(path, nodes, {"x": shape}, arrays={"w": normal(2, 3, 3, 3)})


@pytest.mark.parametrize(
    ("perm", "shape", "layout"),
    [
        (None, (1, 3, 8, 3), "NCHW"),
        ([0, 3, 1, 2], (1, 3, 8, 3), "NHWC"),
        ([0, 3, 1, 2], (1, 3, 3, 3), "NHWC"),
        (None, (1, 3, 3, 3), "NCHW"),
        ([0, 2, 1, 3], (1, 5, 3, 7), "NHCW"),
    ],
)
def test_sizes_say_nothing(tmp_path: Path, perm: list[int] | None, shape: tuple[int, ...], layout: str) -> None:
    assert layout_of(pl.load_onnx(_one_node(tmp_path / "net.onnx", perm, shape))) == layout


class Turned(nn.Module):
    """A network of one's own that takes (N, H, W, C), and changes rows and columns on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, (3, 1))

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        y = self.one(pl.transpose(x, (0, 3, 1, 2)))
        return pl.transpose(self.two(pl.transpose(y, (0, 1, 3, 2))), (0, 2, 3, 1))


def test_axes_are_what_they_are_of_the_picture() -> None:
    net = Turned()
    assert layout_of(net, (3, 9, 8)) == "NHWC"
    assert layout_of(nn.Conv2d(3, 4, 3), (3, 9, 8)) == "NCHW"
    axes = Axes(graph := inference_graph(net, (1, 9, 8, 3)))
    assert [axes[n] for n in (graph["one"], graph["two"], graph.outputs[0])] == ["NCHW", "NCWH", "NWHC"]
    assert axes.rows_and_columns(graph.outputs[0]) == (2, 1)
    assert axes.channel_axis(graph.outputs[0]) == 3


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ((1, 28, 28, 1), (1, 1, 28, 28), [(0, 0), (1, 2), (2, 3)]),
        ((2, 5, 1, 1), (2, 5), [(0, 0), (1, 1)]),
        ((2, 3, 4, 5), (2, 60), [(0, 0)]),
        ((2, 12, 5), (2, 3, 4, 5), [(0, 0), (2, 3)]),
        ((6, 4), (2, 12), []),
    ],
)
def test_axes_that_a_reshape_leaves_whole(
    before: tuple[int, ...], after: tuple[int, ...], same: list[tuple[int, int]]
) -> None:
    assert same_axes(before, after) == same


@pytest.mark.parametrize("style", [*STYLES, "turned"])
def test_fields_are_where_gradients_are(tmp_path: Path, style: str) -> None:
    """Of every layer with maps, at the middle of them: rows and columns whose pixels have a gradient for some picture."""
    if style == "turned":
        net, shape, layout = Turned(), (9, 8, 3), "NHWC"
        net.initialize(0)
    else:
        opened = open_model(keras_file(tmp_path / "net.onnx", style))
        net, shape, layout = opened.net, opened.input_shape, opened.layout
    graph = inference_graph(net, {"image": (1, *shape)})
    fields, axes = receptive_fields(graph), Axes(graph)
    random = np.random.default_rng(2)
    seen = 0
    for node, field in fields.items():
        if node.ndim != 4 or node is graph.image:
            continue
        place = tuple(n // 2 for n in node.shape)
        bounds = field.at(place)
        assert bounds is not None
        whole = tuple(slice(None) if k == axes.channel_axis(node) else i for k, i in enumerate(place))
        slope = pl.compile(pl.gradients(pl.sum(node[whole]), [graph.image]), executor="reference")
        fed = slope.graph.inputs
        pictures = (random.standard_normal((1, *shape), np.float32) for _ in range(12))
        total = sum(np.abs(slope(dict.fromkeys(fed, picture))[0]) for picture in pictures)
        total = np.asarray(total)[0].transpose([layout.index(k) - 1 for k in "HWC"]).sum(2)
        rows, columns = (np.flatnonzero(total.any(axis)) for axis in (1, 0))
        assert bounds == ((rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)), graph.names[node]
        seen += 1
    assert seen >= 5
    found = pl.receptive_field(
        net, random.standard_normal(shape).astype(np.float32), "conv2" if style != "turned" else "two"
    )
    assert found.effective.shape == found.image.shape[1:] == tuple(shape[layout.index(k) - 1] for k in "HW")
    (top, bottom), (left, right) = found.rows, found.columns
    outside = found.effective.copy()
    outside[top:bottom, left:right] = 0
    assert not outside.any()
    assert found.effective.any()


def _separable(count: int, seed: int, size: tuple[int, int]) -> ArrayDataset:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    images = random.integers(0, 90, (count, 3, *size))
    images[labels == 0, 0] += 120
    images[labels == 1, 2] += 120
    return ArrayDataset(images.astype(np.uint8), labels.tolist(), ("red", "blue"), "drawn")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("freeze", ["", "backbone"])
def test_training_takes_pictures_as_they_are(tmp_path: Path, style: str, freeze: str) -> None:
    size = (12, 10)
    net = pl.load_onnx(keras_file(tmp_path / "net.onnx", style, size, classes=2))
    data = Splits(*(_separable(n, k, size) for k, n in enumerate((128, 48, 48))))
    run = pl.fit(net, data, epochs=8, learning_rate=0.1, freeze=freeze, out=tmp_path / "run")
    assert run.preprocessing.layout == "NHWC"  # type: ignore[union-attr]
    assert run.shape == (3, *size)
    assert run.test.accuracy > 0.95
    again = pl.load_run(tmp_path / "run", net=net)
    assert again.evaluate(data.test).accuracy == run.test.accuracy
    pl.save_onnx(run, tmp_path / "out.onnx")
    opened = open_model(tmp_path / "out.onnx")
    assert (opened.layout, opened.shape, opened.classes) == ("NHWC", (3, *size), ("red", "blue"))
    assert opened.evaluate(data.test).accuracy == run.test.accuracy


def test_the_command_line_follows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pellucid.cli.networks import inspect

    path = keras_file(tmp_path / "net.onnx", "throughout")
    inspect(str(path))
    assert "takes pictures as NHWC, 1x12x10x3" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["data", "channels"])
def test_what_does_not_fit_is_named_in_words_of_pictures(tmp_path: Path, how: str) -> None:
    path = keras_file(tmp_path / "net.onnx", "once")
    asked: dict[str, Any] = {"image_size": 33} if how == "data" else {"in_channels": 1}
    with pytest.raises(pl.PellucidError, match=r"its images are \(1, 12, 10, 3\), where (12|3) cannot be made (33|1)"):
        open_model(path, **asked)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One network on pictures (N, C, H, W), and as it is with transposes, once and around every convolution."""
    folder, found = tmp_path_factory.mktemp("twins"), {}
    for style in (PLAIN, "once", "throughout"):
        found[style] = open_model(keras_file(folder / f"{style}.onnx", style)).net
        found[style].load_state_dict(
            {
                n: p if n != "mean" else p.reshape(found[style].state_dict()[n].shape)
                for n, p in found[PLAIN].state_dict().items()
            }
        )
    return found


PICTURE = np.random.default_rng(5).random((3, 12, 10), np.float32)
METHODS = {
    "grad-cam": {"layer": "relu1"},
    "grad-cam++": {"layer": "relu1"},
    "saliency": {},
    "gradient-x-input": {},
    "integrated-gradients": {},
    "occlusion": {},
    "lrp-epsilon": {},
}


@pytest.mark.parametrize("style", ["once", "throughout"])
@pytest.mark.parametrize("method", METHODS)
def test_attributions_are_those_of_the_network_without_transposes(
    twins: dict[str, Any], style: str, method: str
) -> None:
    mine = pl.attribute(twins[style], PICTURE.transpose(1, 2, 0), 1, method=method, **METHODS[method])
    other = pl.attribute(twins[PLAIN], PICTURE, 1, method=method, **METHODS[method])
    assert mine.heat.shape == (12, 10)
    np.testing.assert_allclose(mine.heat, other.heat, atol=1e-4 * np.abs(other.heat).max())


@pytest.mark.parametrize("style", ["once", "throughout"])
def test_maps_and_units_are_those_of_the_network_without_transposes(twins: dict[str, Any], style: str) -> None:
    for net in twins.values():
        net.card = nn.Card()
    mine, other = pl.trace(twins[style], PICTURE.transpose(1, 2, 0), 1), pl.trace(twins[PLAIN], PICTURE, 1)
    for layer in ("relu1", "relu2"):
        shown, expected = (pl.activation_maps(t, layer) for t in (mine, other))
        np.testing.assert_allclose(shown.values, expected.values, atol=1e-6)
    np.testing.assert_array_equal(pl.stages(mine).image.tiles[0].image, pl.stages(other).image.tiles[0].image)
    walked, traced = (pl.walk_back(t, 3) for t in (mine, other))
    np.testing.assert_array_equal(walked.image, traced.image)
    places = [[p.steps[-1].index for p in w.paths if p.ends == "pixel"] for w in (walked, traced)]
    assert [(c, i, j) for i, j, c in places[0]] == places[1]
    data = _separable(12, 3, (12, 10))
    found: dict[str, Any] = {}
    for name, layout in ((style, "NHWC"), (PLAIN, "NCHW")):
        half = (0.5,) * 3
        twins[name].card = nn.Card(("a", "b", "c", "d"), Preprocessing((12, 10), 3, half, half, layout=layout))
        best = pl.explain.most_exciting(twins[name], data, "relu2", 4, 3)
        (units,) = pl.unit_statistics(twins[name], data, "relu2").layers
        found[name] = [(i.index, i.position, i.patch) for i in best.images], units.positions, units.active.tolist()
    assert found[style] == found[PLAIN]
