"""Seeing layers: units are what NumPy counts, made pictures excite what they are made for, embeddings are the SVD's."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pellucid as pl
from pellucid import nn
from pellucid.cli import app
from pellucid.data import ArrayDataset, Preprocessing, usual_preprocessing
from pellucid.explain import Ascent, LayerError, SynthesisError
from pellucid.explain.features.embedding import neighbor_accuracy
from pellucid.inference.layers import activation_functions, layer_before_head
from pellucid.inference.reading import read_images
from pellucid.nn.summary import inference_graph
from pellucid.op import Array
from pellucid.pictures import Chart, HeatMap, Maps, Tiles

UNIT = usual_preprocessing("unit", (1, 8, 8))
SHAPE = (1, 8, 8)


def pictures(count: int = 7, shape: tuple[int, int, int] = SHAPE) -> ArrayDataset:
    random = np.random.default_rng(0)
    return ArrayDataset(random.integers(0, 256, (count, *shape), np.uint8), np.arange(count) % 3, "abc", "noise")


def known(net: nn.Module, preprocessing: Preprocessing | None = UNIT) -> nn.Module:
    """The network, which knows that its pictures are 0 to 1, and three classes."""
    net.card = nn.Card(["a", "b", "c"], preprocessing)
    return net


def network(activation: nn.Module, bias: float = 0.0, norm: bool = False) -> nn.Sequential:
    """conv with 4 units, of which unit 2 has `bias`; batch norm; the activation; a classifier of 3."""
    layers: dict[str, nn.Module] = {"conv": nn.Conv2d(1, 4, 3)}
    layers |= {"bn": nn.BatchNorm2d(4)} if norm else {}
    net = nn.Sequential(**layers, act=activation, flatten=nn.Flatten(), fc=nn.Linear(4 * 36, 3))
    net.initialize(1)
    net.named_parameters()["conv.bias"].value = np.where(np.arange(4) == 2, bias, 0.0).astype(np.float32)
    return net


@pytest.mark.parametrize(
    ("activation", "name", "bias", "dead", "saturated"),
    [
        (nn.ReLU(), "relu", -1e6, [2], []),
        (nn.ReLU(), "relu", 1e6, [], []),
        (nn.ReLU6(), "clip(0, 6)", -1e6, [2], []),
        (nn.ReLU6(), "clip(0, 6)", 50, [], [2]),
        (nn.Hardswish(), "hard_swish", -1e6, [2], []),
        (nn.Hardswish(), "hard_swish", 50, [], []),
        (nn.Sigmoid(), "sigmoid", 50, [], [2]),
        (nn.Sigmoid(), "sigmoid", -50, [], [2]),
        (nn.Tanh(), "tanh", -50, [], [2]),
        (nn.ELU(), "elu", -50, [], [2]),
        (nn.LeakyReLU(), "leaky_relu", -50, [], []),
        (nn.GELU(), "gelu", 50, [], []),
        (nn.SiLU(), "silu", 0, [], []),
        (nn.Mish(), "mish", 0, [], []),
        (nn.SELU(), "selu", 0, [], []),
        (nn.PReLU(), "prelu", -50, [], []),
        (nn.Softplus(), "softplus", 0, [], []),
    ],
)
def test_dead_and_saturated_units(
    activation: nn.Module, name: str, bias: float, dead: list[int], saturated: list[int]
) -> None:
    report = pl.unit_statistics(known(network(activation, bias)), pictures(), batch_size=3)
    (units,) = report.layers
    assert (units.layer, units.function, units.dead, units.saturated) == ("act", name, dead, saturated)


@pytest.mark.parametrize("executor", ["auto", "reference"])
@pytest.mark.parametrize("layer", ["conv", "bn", "act", "fc", "flatten"])
def test_statistics_are_what_numpy_counts(layer: str, executor: str) -> None:
    """In batches with a remainder; a layer is judged by the activation function applied to it, behind batch norm too."""
    data, net = pictures(7), network(nn.Sigmoid(), 3.0, norm=True)
    judged = "act" if layer in ("conv", "bn", "act") else layer
    report = pl.unit_statistics(known(net), data, layer, flat=0.045, share=0.02, batch_size=3, executor=executor)
    (units,) = report.layers
    traces = [pl.trace(net, UNIT.normalize(data.image(i))) for i in range(7)]
    values = np.stack([t[judged].value.reshape(len(t[judged].value), -1) for t in traces]).astype(np.float64)
    assert (units.layer, report.count, units.positions) == (judged, 7, values.shape[2])
    np.testing.assert_allclose(units.active, (values > 0).mean((0, 2)))
    np.testing.assert_allclose(units.active_images, (values > 0).any(2).mean(0))
    np.testing.assert_allclose(units.mean, values.mean((0, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(units.low, values.min((0, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(units.high, values.max((0, 2)), rtol=1e-5, atol=1e-6)
    if judged == "act":
        flat = (values * (1 - values) < 0.045).mean((0, 2))
        np.testing.assert_allclose(units.flat, flat, atol=1e-12)
        assert 0 < flat[2] < 1
        assert units.saturated == np.flatnonzero(flat > 0.02).tolist() == [2]
    else:
        assert units.function == ""
        assert np.isnan(units.flat).all()
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["layers"][0]["units"][1]["mean"] == units.mean[1]
    assert max(map(len, str(report).splitlines())) <= 80


def test_a_network_in_double_precision() -> None:
    net = nn.Sequential(conv=nn.Conv2d(1, 2, 3, dtype="float64"), act=nn.Tanh(), flatten=nn.Flatten())
    net.initialize(0)
    data = pictures()
    (units,) = pl.unit_statistics(known(net), data).layers
    expected = [pl.trace(net, UNIT.normalize(p.image).astype(np.float64))["act"].value for p in data]
    np.testing.assert_allclose(units.mean, np.mean(expected, (0, 2, 3)), rtol=1e-12)
    assert pl.maximize(net, "conv", 1, SHAPE, ascent=Ascent(3)).image.dtype == np.float64
    assert net.summary(SHAPE).rows[0].activation_bytes == 2 * 36 * 8


class Twice(nn.Module):
    """One convolution used twice, with one activation function."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return pl.flatten(self.act(self.conv(self.act(self.conv(x)))))


def test_a_layer_used_twice_is_two_places() -> None:
    net = Twice()
    net.initialize(0)
    net.load_state_dict({"conv.weight": -np.ones((1, 1, 3, 3)), "conv.bias": np.array([0.5])})
    report = pl.unit_statistics(known(copy.deepcopy(net)), pictures())
    assert [units.layer for units in report.layers] == ["act", "act_1"]
    first, second = (pl.maximize(net, name, 0, SHAPE, ascent=Ascent(20)) for name in ("conv", "conv_1"))
    assert first.image.mean() < -0.1 < 0.1 < second.image.mean()
    filters = pl.filters(net, SHAPE)
    assert filters.layer == "conv"
    assert filters.values.tolist() == (-np.ones((1, 1, 3, 3))).tolist()


def test_networks_of_other_programs(tmp_path: Path) -> None:
    """The same answers for a network, its ONNX file, and a module of PyTorch's."""
    net = network(nn.Hardswish(), -1e6)
    pl.save_onnx(net, tmp_path / "net.onnx", shape=SHAPE)
    import torch

    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.Hardswish(), torch.nn.Flatten(), torch.nn.Linear(144, 3)
    )
    values = [torch.from_numpy(v) for v in net.state_dict().values()]
    module.load_state_dict(dict(zip(module.state_dict(), values, strict=True)))
    opened = pl.load_onnx(tmp_path / "net.onnx")
    for other in (opened, pl.from_torch(module, (1, *SHAPE))):
        (units,) = pl.unit_statistics(known(other), pictures()).layers
        (own,) = pl.unit_statistics(known(net), pictures()).layers
        assert (units.function, units.dead) == ("hard_swish", [2])
        np.testing.assert_allclose(units.mean, own.mean, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(pl.filters(other, SHAPE).values, net.state_dict()["conv.weight"])
        best = pl.most_exciting(known(other), pictures(), units.layer, 1, 2)
        expected = pl.most_exciting(known(net), pictures(), "act", 1, 2)
        assert [p.index for p in best.images] == [p.index for p in expected.images]


@pytest.mark.parametrize("limit", [0, 10])
def test_the_most_exciting_picture_holds_the_patch(limit: int) -> None:
    """A filter that is a patch, less its mean, is most excited where that patch is."""
    data = pictures(20)
    chosen = 11 if limit == 0 else 19
    patch = data.image(chosen)[0, 4:7, 2:5].astype(np.float32)
    net = network(nn.ReLU())
    weight = np.zeros((4, 1, 3, 3), np.float32)
    centered = patch - patch.mean()
    weight[3, 0] = centered / np.linalg.norm(centered)
    net.named_parameters()["conv.weight"].value = weight
    shown = data.images(np.arange(20)).copy()
    shown[:, :, :, :] = shown // 2
    shown[chosen, 0, 4:7, 2:5] = patch
    data = ArrayDataset(shown, data.labels, data.classes, "noise")
    found = pl.most_exciting(known(net), data, "act", 3, 4, limit=limit, batch_size=6, executor="reference")
    best = found.images[0]
    assert (best.index, best.position, best.patch) == (chosen, (4, 2), ((4, 7), (2, 5)))
    assert best.value == pytest.approx(np.linalg.norm(centered) / 255, rel=1e-5)
    assert found.count == (limit or 20)
    values = [p.value for p in found.images]
    assert values == sorted(values, reverse=True)
    every = [pl.trace(net, UNIT.normalize(p.image))["act"].value[3].max() for p in data] if limit == 0 else []
    if every:
        assert [p.index for p in found.images] == np.argsort(-np.array(every), kind="stable")[:4].tolist()
    np.testing.assert_array_equal(best.image, data.image(chosen))
    assert best.label == data.classes[data.label(chosen)]
    assert max(map(len, str(found).splitlines())) <= 80
    assert "<svg" in found._repr_html_()


def linear(weight: Array) -> nn.Sequential:
    """One dense layer with these rows of weights on a picture."""
    net = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(weight[0].size, len(weight)), soft=nn.Softmax(1))
    net.load_state_dict({"fc.weight": weight.reshape(len(weight), -1), "fc.bias": np.zeros(len(weight))})
    return net


PLAIN = Ascent(100, jitter=0, blur=0, total_variation=0, l2=0.1)


@pytest.mark.parametrize("executor", ["auto", "reference"])
@pytest.mark.parametrize("what", ["unit", "class", "name"])
def test_a_linear_unit_is_excited_by_its_weights(what: str, executor: str) -> None:
    """The maximum of w x - s |x|^2 is w / (2 s), the strength s being 0.1 times the root mean square of w."""
    weight = np.random.default_rng(2).standard_normal((3, 2, 6, 6)).astype(np.float32)
    net = linear(weight)
    setting = {"ascent": PLAIN, "executor": executor}
    if what == "unit":
        made = pl.maximize(net, "fc", 1, (2, 6, 6), **setting)
    else:
        made = pl.class_model(known(net, None), 1 if what == "class" else "b", (2, 6, 6), **setting)
    wanted = weight[1] / (0.2 * np.sqrt(np.mean(weight[1] ** 2)))
    assert np.abs(made.image - wanted).max() < 0.05 * np.abs(wanted).max()
    assert made.reached == pytest.approx(float((weight[1] * made.image).sum()), rel=1e-4)
    assert made.gray == pytest.approx(0, abs=1e-6)
    assert made.shown.shape == (2, 6, 6)
    assert (made.shown.min(), made.shown.max()) == (0, 255)


@cache
def trained() -> tuple[nn.Module, Preprocessing]:
    """LeNet after two epochs of the digits."""
    from pellucid.train import TrainConfig

    net = nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8)
    with TemporaryDirectory() as folder:
        run = pl.fit(net, pl.load("digits"), TrainConfig(epochs=2), out=Path(folder) / "run", report=False)
    return run.net, run.preprocessing


@pytest.mark.parametrize("layer", ["conv1", "conv2", "relu3", "fc3"])
def test_a_made_picture_excites_more_than_any_other(layer: str) -> None:
    net, preprocessing = trained()
    report = pl.unit_statistics(net, pl.load("digits").test, layer)
    unit = int(np.argmax(report.layers[0].active))
    made = pl.maximize(net, layer, unit, SHAPE)
    random = np.random.default_rng(0).integers(0, 256, (20, *SHAPE), np.uint8)
    others = [pl.trace(net, preprocessing.normalize(p))[layer].value[unit].mean() for p in random]
    assert made.reached - made.gray > 1.5 * (max(*others, made.start) - made.gray)
    assert made.reached == pytest.approx(pl.trace(net, made.image)[layer].value[unit].mean(), rel=1e-4)
    np.testing.assert_allclose(
        preprocessing.normalize(made.shown), made.image, atol=0.51 / 255 / min(preprocessing.std)
    )
    again = pl.maximize(net, layer, unit, SHAPE)
    np.testing.assert_array_equal(made.image, again.image)


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        (Ascent(60, blur=0, total_variation=0), Ascent(60, blur=0, total_variation=0.5)),
        (Ascent(60, blur=0, total_variation=0), Ascent(60, blur=0.1, total_variation=0)),
    ],
)
def test_regularizers_lower_total_variation(weaker: Ascent, stronger: Ascent) -> None:
    net, _ = trained()
    rough, smooth = (pl.class_model(net, 3, SHAPE, ascent=a) for a in (weaker, stronger))
    assert smooth.variation < 0.7 * rough.variation
    steps = [np.abs(np.diff(s.image.astype(np.float64), axis=axis)).sum() for s in (rough, smooth) for axis in (1, 2)]
    assert [rough.variation, smooth.variation] == pytest.approx([steps[0] + steps[1], steps[2] + steps[3]], rel=1e-4)
    assert smooth.reached > smooth.gray + 1


def test_one_place_of_a_map_and_jitter() -> None:
    """Only what the place sees changes from the noise it starts with; the jitter of another seed gives another picture."""
    net, _ = trained()
    made = pl.maximize(
        net, "conv1", 3, SHAPE, place=(2, 5), ascent=Ascent(5, jitter=0, blur=0, total_variation=0),
        seed=4,
    )  # fmt: skip
    start = pl.maximize(
        net, "conv1", 5, SHAPE, place=(7, 0), ascent=Ascent(5, jitter=0, blur=0, total_variation=0),
        seed=4,
    )  # fmt: skip
    changed = made.image[0] != start.image[0]
    expected = np.zeros((8, 8), bool)
    expected[1:4, 4:7] = expected[6:8, 0:2] = True
    np.testing.assert_array_equal(changed, expected)
    jittered = [pl.maximize(net, "conv1", 3, SHAPE, ascent=Ascent(5, jitter=0.3), seed=s).image for s in (0, 0, 1)]
    np.testing.assert_array_equal(jittered[0], jittered[1])
    assert not np.array_equal(jittered[0], jittered[2])


def test_jitter_shifts_the_picture_and_its_gradient_back() -> None:
    """A linear unit's gradient is then, on average, that of its weights at all shifts."""
    weight = np.random.default_rng(0).standard_normal((1, 1, 8, 8)).astype(np.float32)
    ascent = Ascent(400, jitter=0.25, blur=0, total_variation=0, l2=0.01)
    made = pl.maximize(linear(weight), "fc", 0, SHAPE, ascent=ascent).image[0].astype(np.float64)
    reach = range(-2, 3)
    average = np.mean([np.roll(weight[0, 0], (i, j), (0, 1)) for i in reach for j in reach], 0)
    likeness = [float((made * w).sum() / np.linalg.norm(made) / np.linalg.norm(w)) for w in (average, weight[0, 0])]
    assert likeness[0] > 0.8 > 0.5 > likeness[1]


def test_principal_components_are_the_svds() -> None:
    net, preprocessing = trained()
    data = pl.load("digits").test
    made = pl.embed(net, data, limit=150, batch_size=64)
    assert made.layer == "relu4"
    indices = made.indices
    assert (len(indices), indices[0], indices[-1]) == (150, 0, 358)
    features = np.stack([pl.trace(net, preprocessing.normalize(data.image(i)))["relu4"].value for i in indices])
    centered = (features - features.mean(0)).astype(np.float64)
    u, s, _ = np.linalg.svd(centered, full_matrices=False)
    np.testing.assert_allclose(np.abs(made.coordinates), np.abs(u[:, :2] * s[:2]), atol=1e-4 * s[0])
    np.testing.assert_allclose(made.explained, (s**2 / (s**2).sum())[:2], rtol=1e-4)
    np.testing.assert_array_equal(made.labels, data.labels[indices])
    assert made.layer_accuracy > 0.7 > made.accuracy > 0.3
    assert json.loads(json.dumps(made.to_dict()))["coordinates"][3] == made.coordinates[3].tolist()
    chart = made.picture()
    assert [len(s.x) for s in chart.series] == np.bincount(made.labels).tolist()
    assert "40" in made.how or "variance" in str(made)


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_other_embeddings(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, _ = trained()
    if method == "umap":
        monkeypatch.setitem(__import__("sys").modules, "umap", None)
        with pytest.raises(LayerError, match=r"pip install 'pellucid\[umap\]'"):
            pl.embed(net, pl.load("digits").test, method=method)
        return
    made = pl.embed(net, pl.load("digits").test, "fc3", method, limit=60)
    assert made.coordinates.shape == (60, 2)
    assert made.accuracy > 0.4
    assert "perplexity 19.6667, seed 0" in made.how


def test_accuracy_of_neighbors() -> None:
    """Leave-one-out: a point is not its own neighbor; the lonely one among others is wrong."""
    points = np.concatenate([np.arange(6.0), 100 + np.arange(6.0), [2.5]])[:, None]
    labels = np.array([0] * 6 + [1] * 6 + [1])
    assert neighbor_accuracy(points, labels) == pytest.approx(12 / 13)


@pytest.mark.parametrize(
    ("net", "layer"),
    [("lenet", "relu4"), ("resnet18", "flatten"), ("squeezenet1_1", "features.12/concat"), ("mobilenet_v2", "flatten")],
)
def test_the_layer_before_the_head(net: str, layer: str) -> None:
    size = 32 if net == "lenet" else 64
    built = nn.models.build(net, image_size=size)
    assert layer_before_head(inference_graph(built, (2, 1 if net == "lenet" else 3, size, size))) == layer


def test_maps_and_stages() -> None:
    net, preprocessing = trained()
    digit = pl.load("digits").test.image(0)
    trace = pl.trace(net, preprocessing.normalize(digit))
    for gradient in (False, True):
        maps = pl.activation_maps(trace, "conv2", "each", gradient)
        expected = trace["conv2"].gradient if gradient else trace["conv2"].value
        np.testing.assert_array_equal(maps.values, expected)
    drawn = maps.picture()
    assert isinstance(drawn, Maps)
    assert "each map on its own scale" in drawn.words
    np.testing.assert_array_equal(drawn.values, expected)
    shared = pl.activation_maps(trace, "relu2").picture()
    assert isinstance(shared, Maps)
    assert shared.words == f"dark 0, light {trace['relu2'].value.max():.4g} on all maps"
    assert isinstance(pl.activation_maps(trace, "fc1").picture(), Chart)
    page = pl.stages(trace, gradient=True, limit=4)
    names = [maps.layer for maps in page.layers if not maps.gradient]
    assert names == [name for name in trace if name != "image"]
    assert len(page.layers) == 2 * len(names)
    np.testing.assert_array_equal(page.image.tiles[0].image, digit)
    assert "4 of 24 maps" in page.picture().html()
    assert max(map(len, str(page).splitlines())) <= 80
    some = pl.stages(trace, layers=["relu1", "pool1"])
    assert [maps.layer for maps in some.layers] == ["relu1", "pool1"]


@pytest.mark.parametrize(
    ("channels", "kernel", "limit", "tiles", "words"),
    [
        (3, 3, 5, 5, "0 gray"),
        (1, 3, 64, 10, "white 0"),
        (4, 3, 64, 32, "8 of 10 filters, 4 of 4 channels"),
        (20, 3, 16, 16, "2 of 10 filters, 8 of 20 channels"),
        (4, 1, 64, 0, ""),
    ],
)
def test_filters(channels: int, kernel: int, limit: int, tiles: int, words: str) -> None:
    net = nn.Sequential(conv=nn.Conv2d(channels, 10, kernel), flatten=nn.Flatten())
    net.initialize(0)
    found = pl.filters(net, (channels, 8, 8), limit=limit)
    np.testing.assert_array_equal(found.values, net.state_dict()["conv.weight"])
    drawn = found.picture()
    if kernel == 1:
        assert isinstance(drawn, HeatMap)
        np.testing.assert_array_equal(drawn.values, found.values[:, :, 0, 0])
        return
    assert isinstance(drawn, Tiles if channels == 3 else Maps)
    shown = drawn if isinstance(drawn, Tiles) else drawn.tiles()
    assert len(shown.tiles) == tiles
    assert words in shown.note
    if isinstance(drawn, Tiles):
        reach = np.abs(found.values).max()
        np.testing.assert_allclose(drawn.tiles[1].image / 127.5 - 1, found.values[1] / reach, atol=0.005)


def test_denormalize_undoes_normalize() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16).repeat(3, 0)
    for name in ("unit", "symmetric", "imagenet"):
        preprocessing = usual_preprocessing(name, (3, 16, 16))
        np.testing.assert_array_equal(preprocessing.denormalize(preprocessing.normalize(every)), every)
        assert preprocessing.denormalize(np.full((3, 1, 1), 99.0)).max() == 255


def test_batches_are_compiled_once_for_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.inference import reading, ready

    sizes: list[int] = []
    monkeypatch.setattr(
        ready, "compile", lambda outputs, *a, **k: sizes.append(outputs[0].shape[0]) or pl.compile(outputs, *a, **k)
    )
    net, asked = network(nn.ReLU()), ("act", lambda graph: [graph["act"]], UNIT)
    found = list(read_images(ready.Ready(net), pictures(11), *asked, batch_size=3))
    list(read_images(ready.Ready(net), pictures(11), *asked, batch_size=3))
    assert sizes == [3, 2]
    monkeypatch.setattr(
        reading, "MEMORY", 5 * sum(n.nbytes for n in inference_graph(network(nn.ReLU()), (1, *SHAPE)) if n.inputs)
    )
    assert [len(b.labels) for b, _ in read_images(ready.Ready(net), pictures(11), *asked)] == [5, 5, 1]
    assert np.concatenate([batch.indices for batch, _ in found]).tolist() == list(range(11))


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda n: pl.unit_statistics(n, pictures(), "conf"), LayerError, "no layer is called 'conf' .did you mean 'conv'"),
        (lambda n: pl.unit_statistics(linear(np.ones((3, 64))), pictures()), LayerError, "no activation function"),
        (lambda n: pl.most_exciting(n, pictures(), "act", 4), LayerError, "act: has units 0 to 3, there is no unit 4"),
        (lambda n: pl.most_exciting(n, pictures(), "act", 1, 0), LayerError, "count must be at least 1, got 0"),
        (lambda n: pl.maximize(n, "act", 2, SHAPE), SynthesisError, "has no gradient.*take the layer before"),
        (lambda n: pl.maximize(n, "conv", 2, SHAPE, place=(6, 0)), SynthesisError, r"maps are \(6, 6\).*no place \(6, 0\)"),
        (lambda n: pl.maximize(n, "conv", 2, SHAPE, ascent=Ascent(0)), SynthesisError, "must be above 0, got steps=0"),
        (lambda n: Ascent(blur=-1), SynthesisError, "blur must not be negative, got -1"),
        (lambda n: pl.class_model(known(n), "d", SHAPE), pl.PellucidError, "no class is named 'd'"),
        (lambda n: pl.class_model(known(n), 3, SHAPE), pl.PellucidError, "class 3 is not one of the 3"),
        (lambda n: pl.embed(n, pictures(5)), LayerError, "wants more than 5 pictures, got 5"),
        (lambda n: pl.embed(n, pictures(), method="pcb"), pl.PellucidError, "did you mean 'pca'"),
        (lambda n: pl.filters(n, SHAPE, "fc"), LayerError, "'fc' is no convolution; there are: conv"),
        (lambda n: pl.filters(linear(np.ones((3, 64))), SHAPE), LayerError, "no convolution"),
        (lambda n: pl.activation_maps(pl.trace(n, np.ones(SHAPE, np.float32)), "act", "all"), LayerError, "shared, each, not 'all'"),
        (lambda n: pl.stages(pl.trace(n, np.ones(SHAPE, np.float32)), layers=["x"]), LayerError, "'x'; there are: conv, act"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(ask: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ask(network(nn.ReLU(), -1e6))  # type: ignore[operator]


def test_a_layer_too_large_to_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.explain.features import embedding

    monkeypatch.setattr(embedding, "MEMORY", 7 * 4 * 36 * 4 - 1)
    with pytest.raises(LayerError, match=r"act: its outputs for 7 pictures take 3.9 KiB.*lower limit"):
        pl.embed(network(nn.ReLU()), pictures(), "act")


def test_every_activation_of_the_library_is_known() -> None:
    """One that is made of several ops must not fall apart into those."""
    for module in (nn.ReLU(), nn.Hardswish(), nn.SiLU()):
        graph = inference_graph(network(module), (2, *SHAPE))
        (node,) = activation_functions(graph)
        assert graph.names[node] == "act"


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    def command(*words: str) -> str:
        result = runner.invoke(app, list(words), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    command("train", "--epochs", "1", "--out", "run")
    Image.fromarray(pl.load("digits").test.image(0)[0]).save("digit.png")
    stages = json.loads(command("activations", "run", "digit.png", "--gradient", "--out", "stages.html", "--json"))
    assert [row["layer"] for row in stages["stages"]][:3] == ["conv1", "conv1", "relu1"]
    maps = command("activations", "run", "digit.png", "--layer", "conv2", "--scale", "each", "--out", "maps.png")
    assert maps.startswith("conv2: 48x4x4, ")
    assert command("filters", "run", "--layer", "conv2", "--out", "filters.svg").startswith("conv2: 48x24x3x3 weights")
    report = json.loads(command("units", "run", "--json", "--limit", "40"))
    assert [row["layer"] for row in report["layers"]] == ["relu1", "relu2", "relu3", "relu4"]
    assert report["count"] == 40
    best = json.loads(command("units", "run", "--layer", "conv2", "--unit", "5", "--out", "unit.html", "--json"))
    assert len(best["pictures"]) == 9
    made = json.loads(command("maximize", "run", "--target", "3", "--steps", "9", "--out", "three.png", "--json"))
    assert (made["what"], len(made["steps"])) == ("score of class 3", 9)
    with Image.open("three.png") as picture:
        assert picture.width == 1280
    assert "conv2, unit 5: " in command("maximize", "run", "--layer", "conv2", "--unit", "5", "--steps", "5")
    embedded = json.loads(command("embed", "run", "--limit", "50", "--out", "plane.svg", "--json"))
    assert len(embedded["coordinates"]) == 50
    for made_file in ("stages.html", "maps.png", "filters.svg", "unit.html", "plane.svg"):
        assert (tmp_path / made_file).stat().st_size > 1000
    for words in (
        ["units", "run", "--unit", "3"],
        ["maximize", "run"],
        ["maximize", "run", "--layer", "a", "--target", "3"],
    ):
        assert runner.invoke(app, words).exit_code == 2


def test_equal_ones_are_said_to_be_equal() -> None:
    """A ReLU6 above 6 is flat: which of the pictures there comes first means nothing."""
    images = np.zeros((8, 1, 4, 4), np.uint8)
    images[2:] = 200  # six pictures that all reach 6, at all places
    dataset = pl.data.ArrayDataset(images, np.arange(8) % 2, ("a", "b"), "flat")
    net = nn.Sequential(conv=nn.Conv2d(1, 9, 1), relu=nn.ReLU6())
    net.load_state_dict({"conv.weight": np.full((9, 1, 1, 1), 50.0, np.float32), "conv.bias": np.zeros(9, np.float32)})
    net.card = nn.Card(preprocessing=pl.data.usual_preprocessing("unit", (1, 4, 4)))
    found = pl.most_exciting(net, dataset, "relu", 0, 4)
    assert [p.value for p in found.images] == [6.0] * 4
    assert (found.as_strong, {p.places for p in found.images}) == (2, {16})
    assert "4 of these reach 6, as do 2 pictures more" in str(found).replace("\n  ", " ")
    assert "first of several" in str(found).replace("\n  ", " ")
    assert found.to_dict()["as_strong"] == 2
    assert found.equal[1:] in found.picture().html()
    assert not pl.most_exciting(net, dataset, "conv", 0, 1).images[0].places < 16
    trace = pl.trace(net, np.ones((1, 4, 4), np.float32), "out0[0,0,0]")
    assert "and 1 that reach as much as the last" in str(pl.activation_maps(trace, "relu"))
    rising = pl.data.ArrayDataset(
        np.arange(128, dtype=np.uint8).reshape(8, 1, 4, 4), np.arange(8) % 2, ("a", "b"), "rising"
    )
    alone = pl.most_exciting(net, rising, "conv", 0, 4)
    assert alone.equal == ""
    assert alone.as_strong == 0
    even = pl.attribute(net, np.zeros((1, 4, 4), np.float32), "out0[0,0,0]", method="saliency")
    assert "the first of" in str(even) or (even.heat == even.heat.max()).sum() == 1


def test_filters_of_a_transposed_convolution_in_groups() -> None:
    net = pl.nn.Sequential(pl.nn.ConvTranspose2d(8, 6, 2, groups=2))
    net.initialize(0)
    (weights,) = (p.value for n, p in net.named_parameters().items() if n.endswith("weight"))
    found = pl.explain.filters(net, (8, 3, 3)).values
    assert found.shape == (6, 4, 2, 2)
    for number, own in enumerate(found):
        group = number // 3
        assert np.array_equal(own, weights[4 * group : 4 * group + 4, number % 3])
