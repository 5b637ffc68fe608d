"""What is written as ONNX passes the checker and gives the same numbers in ONNX Runtime."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import files, nn
from pellucid.errors import WriteError
from pellucid.graph import Graph, Tensor
from pellucid.interop import OnnxError, OnnxFile, save_onnx
from pellucid.interop.onnx_writer.file import DEFAULT_OPSET, LIMIT, OPSETS
from pellucid.interop.onnx_writer.primitives import _FUNCTIONS, NAMES
from pellucid.op import COMPOSITES, OPS, OpSample

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

TOLERANCE = 1e-4  # of the largest element

IMAGE_SIZES = {"alexnet": 63, "lenet": 28, "mlp": 8, "zfnet": 55}
"""Small images that a model takes, where 32x32 is not among them or not the usual."""


def small_model(name: str, num_classes: int = 5) -> nn.Module:
    net = nn.models.build(name, num_classes=num_classes, image_size=IMAGE_SIZES.get(name, 32))
    if name.startswith(
        ("alexnet", "vgg", "zfnet")
    ):  # a hundred million weights of their dense layers are no other than a few
        dense = {k: layer for k, layer in vars(net.classifier).items() if isinstance(layer, nn.Linear)}
        inputs = next(iter(dense.values())).weight.shape[1]
        for place, outputs in zip(dense, (16, 16, num_classes), strict=True):
            setattr(net.classifier, place, nn.Linear(inputs, outputs))
            inputs = outputs
    net.initialize(3)
    spread = np.random.default_rng(3)
    for path, parameter in net.named_parameters().items():  # statistics that are not the ones and zeros of the start
        if path.endswith("running_mean"):
            parameter.value = spread.standard_normal(parameter.shape) * 0.1
        if path.endswith("running_var"):
            parameter.value = spread.uniform(0.5, 1.5, parameter.shape)
    return net.eval()


def in_runtime(path: Path, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def agree(actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
        return
    scale = float(np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE * scale)


def pictures(net: nn.Module, batch: int) -> np.ndarray:
    config = net.config()
    shape = (batch, config["in_channels"], config["image_size"], config["image_size"])
    return np.random.default_rng(batch).standard_normal(shape).astype(np.float32)


def values(net: nn.Module, images: np.ndarray) -> np.ndarray:
    return pl.run([net(pl.input(images.shape, name="images"))], {"images": images})[0]


@pytest.mark.parametrize("name", nn.models.names())
def test_models(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_model(name)
    path = tmp_path / "model.onnx"
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: None)  # half of the time otherwise
    save_onnx(net, path)
    onnx.checker.check_model(path, full_check=True)
    for batch in (1, 3):
        images = pictures(net, batch)
        agree(in_runtime(path, {"images": images})[0], values(net, images))
    assert not net.graph(images.shape, "images").difference(pl.load_onnx(path).graph(images.shape, "images"))
    path.unlink()


LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("light_*.onnx"))


def with_random_weights(source: Path, path: Path) -> None:
    """A copy of a model whose weights, all of one value to make the file small, are drawn at random."""
    model, random = onnx.load(source), np.random.default_rng(0)
    shapes = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    variances = {n.input[4] for n in model.graph.node if n.op_type == "BatchNormalization"}
    kept = []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        (name,), shape = node.output, shapes[node.input[0]]
        value = random.standard_normal(shape, np.float32)
        value *= np.float32((2 / max(1, np.prod(shape[1:]))) ** 0.5)
        if name in variances:
            value = np.abs(value) + np.float32(0.5)
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    onnx.save(model, path)


@pytest.mark.parametrize("light", LIGHT, ids=lambda path: path.stem)
def test_what_others_wrote_can_be_written_again(light: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: None)
    source, path = tmp_path / "source.onnx", tmp_path / "again.onnx"
    with_random_weights(light, source)
    net = pl.load_onnx(source)
    save_onnx(Graph([net(*net.example_inputs())]), path)
    onnx.checker.check_model(path, full_check=True)
    random = np.random.default_rng(1)
    feeds = {n: random.standard_normal(shape).astype(np.float32) for n, shape in net.input_shapes.items()}
    (actual,), (expected,) = in_runtime(path, feeds), in_runtime(source, feeds)
    assert np.ptp(expected) > 0.2 * expected.max(), "so that a wrong weight shows"
    agree(actual, expected)
    source.unlink()
    path.unlink()


def test_the_onnx_package_has_nine_models() -> None:
    assert len(LIGHT) == 9


SAMPLES = [
    pytest.param(sample, id=f"{name}-{sample.label or number}")
    for name, definition in sorted({**OPS, **COMPOSITES}.items())
    for number, sample in enumerate(definition.samples())
]
CANNOT = {"AveragePool2dGradient", "Conv2dWeight", "GatherGradient", "MaxPool2dGradient", "MaxPool2dSelect"} | {
    "SliceGradient",
    "Uniform",
    "TakeAlongGradient",
    "Spread",
    "Likeness",
    "RoiAlignGradient",
    "RoiAlignWinner",
    "RoiMaxPlaces",
}
"""Ops that ONNX has no word for: gradients, our random numbers, and what wins in a region."""


def test_every_op_is_written_or_known_to_be_inexpressible() -> None:
    own = {name for name, op in OPS.items() if op.__module__.startswith("pellucid.")}
    written = {op.__name__ for op in (*NAMES, *_FUNCTIONS)}
    assert own - written == CANNOT | {"Constant", "Input", "ParameterLeaf"}


@pytest.mark.parametrize("opset", [OPSETS[0], DEFAULT_OPSET, OPSETS[-1]])
@pytest.mark.parametrize("sample", SAMPLES)
def test_ops(sample: OpSample, opset: int, tmp_path: Path) -> None:
    arrays = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in sample.arrays]
    inputs = [pl.input(a.shape, str(a.dtype), f"x{i}") for i, a in enumerate(arrays)]
    made = sample.call(*inputs)
    graph = Graph([m for m in made if m is not None] if isinstance(made, tuple) else [made])
    feeds = {i.name: a for i, a in zip(inputs, arrays, strict=True) if i in set(graph.inputs)}
    path = tmp_path / "op.onnx"
    strange = sorted({type(n.op).__name__ for n in graph.nodes} & CANNOT)
    if strange:
        with pytest.raises(OnnxError, match="ONNX has no such operator"):
            save_onnx(graph, path)
        return
    save_onnx(graph, path, opset=opset)
    onnx.checker.check_model(path, full_check=True)
    if opset == 22 and any(n.op.kind == "roi_align" for n in graph.nodes):
        pytest.skip("ONNX Runtime has no RoiAlign of operator set 22")
    for actual, expected in zip(in_runtime(path, feeds), pl.run(graph.outputs, feeds, "reference"), strict=True):
        agree(actual, expected)


@pytest.mark.parametrize(
    ("dtype", "function"),
    [
        ("int64", pl.ops.floor),
        ("int64", pl.ops.ceil),
        ("int64", pl.ops.round),
        ("int64", pl.relu),
        ("bool", lambda x: pl.where(x, ~np.eye(3, dtype=bool), x)),
        ("float32", lambda x: pl.where(x > 0, x > 1, x < -1)),
        ("bool", lambda x: pl.argmax(x, 1)),
        ("bool", lambda x: pl.sum(x, 1)),
        *(("float64", getattr(pl.ops, name)) for name in ("selu", "elu", "hard_swish", "leaky_relu")),
        ("float64", lambda x: pl.ops.elu(x / 2.0, 1.0) * 2.0),
        ("float32", lambda x: pl.ops.elu(x / -2.0, 1.0) * -2.0),
        ("float64", lambda x: pl.ops.prelu(x, pl.constant(np.array([0.1, 0.2, 0.3])))),
    ],
)
def test_what_is_written_runs_for_every_element_type(
    dtype: str, function: Callable[[Tensor], Tensor], tmp_path: Path
) -> None:
    x = pl.input((3, 3), dtype, "x")
    values = {"x": np.array([[-2.5, 0, 3], [1, 0.75, -1], [0, 2, -0.5]]).astype(dtype)}
    graph, path = Graph([function(x)]), tmp_path / "net.onnx"
    save_onnx(graph, path)
    onnx.checker.check_model(path, full_check=True)
    (actual,), (expected,) = in_runtime(path, values), pl.run(graph.outputs, values, "reference")
    assert actual.dtype == expected.dtype
    agree(actual, expected)


def operators(net_or_graph: nn.Module | Graph, path: Path, **settings: Any) -> dict[str, int]:
    return save_onnx(net_or_graph, path, **settings).operators


def test_a_network_reads_as_people_expect(tmp_path: Path) -> None:
    assert operators(small_model("resnet18"), tmp_path / "net.onnx") == {
        "Conv": 20,
        "BatchNormalization": 20,
        "Relu": 17,
        "Add": 8,
        "GlobalAveragePool": 1,
        "Flatten": 1,
        "Gemm": 1,
    }
    assert operators(small_model("efficientnet_lite0"), tmp_path / "net.onnx") == {
        "Conv": 49,
        "BatchNormalization": 49,
        "Clip": 33,
        "Add": 9,
        "GlobalAveragePool": 1,
        "Flatten": 1,
        "Gemm": 1,
    }
    counts = operators(small_model("googlenet"), tmp_path / "net.onnx")
    assert counts.keys() == {
        *("BatchNormalization", "Concat", "Conv", "Flatten", "Gemm", "GlobalAveragePool", "MaxPool", "Relu")
    }
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert [n.name for n in graph.node if n.op_type == "Gemm"] == ["fc"]
    assert {"conv1.conv.weight", "fc.bias"} < {w.name for w in graph.initializer}


LAYERS: list[tuple[str, Callable[[Tensor], Tensor], dict[str, int]]] = [
    ("Conv2d with bias", nn.Conv2d(6, 4, 3, 2, 1, 1, 2), {"Conv": 1}),
    ("ConvTranspose2d", nn.ConvTranspose2d(6, 4, 3, 2, 1, 1), {"ConvTranspose": 1}),
    ("BatchNorm2d without weights", nn.BatchNorm2d(6, affine=False).eval(), {"BatchNormalization": 1}),
    ("GroupNorm", nn.GroupNorm(2, 6), {"GroupNormalization": 1}),
    ("GroupNorm without weights", nn.GroupNorm(3, 6, affine=False), {"GroupNormalization": 1}),
    ("LayerNorm", nn.LayerNorm((6, 5, 5)), {"LayerNormalization": 1}),
    ("LocalResponseNorm", nn.LocalResponseNorm(5), {"LRN": 1}),
    ("AvgPool2d", nn.AvgPool2d(2), {"AveragePool": 1}),
    ("AdaptiveAvgPool2d", nn.AdaptiveAvgPool2d((5, 1)), {"AveragePool": 1}),
    ("AdaptiveAvgPool2d of one size", nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(5)), {"Relu": 1}),
    ("MaxPool2d over the edge", nn.MaxPool2d(2, ceil_mode=True), {"MaxPool": 1}),
    ("GlobalMaxPool2d", nn.GlobalMaxPool2d(), {"GlobalMaxPool": 1}),
    ("Softmax", nn.Softmax(1), {"Softmax": 1}),
    ("LogSoftmax", nn.LogSoftmax(1), {"LogSoftmax": 1}),
    ("LeakyReLU", nn.LeakyReLU(), {"LeakyRelu": 1}),
    ("PReLU", nn.PReLU(6), {"PRelu": 1, "Reshape": 1}),
    ("ELU", nn.ELU(), {"Elu": 1}),
    ("SELU", nn.SELU(), {"Selu": 1}),
    ("GELU", nn.GELU(), {"Gelu": 1}),
    ("SiLU", nn.SiLU(), {"Sigmoid": 1, "Mul": 1}),
    ("Hardswish", nn.Hardswish(), {"HardSwish": 1}),
    ("ReLU6", nn.ReLU6(), {"Clip": 1}),
    ("Mish", nn.Mish(), {"Mish": 1}),
    ("Softplus", nn.Softplus(), {"Softplus": 1}),
]


@pytest.mark.parametrize(("name", "layer", "expected"), LAYERS, ids=[row[0] for row in LAYERS])
def test_a_layer_is_one_operator_for_batches_of_any_size(
    name: str, layer: nn.Module, expected: dict[str, int], tmp_path: Path
) -> None:
    path = tmp_path / "layer.onnx"
    layer.initialize(0)
    assert operators(layer, path, shape=(6, 5, 5)) == expected
    onnx.checker.check_model(path, full_check=True)
    for batch in (1, 4):
        images = np.random.default_rng(batch).standard_normal((batch, 6, 5, 5)).astype(np.float32)
        agree(in_runtime(path, {"images": images})[0], values(layer, images))


BATCHED: list[tuple[str, Callable[[Tensor], Tensor]]] = [
    ("reshape", lambda x: x.reshape(x.shape[0], 2, 3, 4)),
    ("channels as rows", lambda x: x.reshape(x.shape[0] * 6, 4)),
    ("rows as channels", lambda x: x.reshape(x.shape[0] * 6, 4).reshape(x.shape[0], 24)),
    ("mean over the batch", lambda x: pl.mean(x, 0)),
    ("mean over everything", lambda x: pl.mean(x)),
    ("repeated along another axis", lambda x: pl.broadcast_to(x.reshape(x.shape[0], 1, 6, 4), (x.shape[0], 5, 6, 4))),
    ("cut along another axis", lambda x: x[:, 1:5:2, ::-1]),
    ("batch norm by the batch", lambda x: pl.batch_norm_training(x, None, None)[0]),
    ("transposed", lambda x: x.transpose(1, 0, 2)),
    ("every pair of the batch", lambda x: (x.reshape(x.shape[0], 24) @ x.reshape(x.shape[0], 24).T).reshape(-1)),
]


class Calls(nn.Module):
    """A network that is one function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(("what", "function"), BATCHED, ids=[row[0] for row in BATCHED])
def test_sizes_that_grow_with_the_batch(what: str, function: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    path = tmp_path / "open.onnx"
    save_onnx(Calls(function), path, shape=(6, 4))
    onnx.checker.check_model(path, full_check=True)
    for batch in (2, 5):
        images = np.random.default_rng(batch).standard_normal((batch, 6, 4)).astype(np.float32)
        agree(in_runtime(path, {"images": images})[0], values(Calls(function), images))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (
            lambda x: x + pl.constant(np.ones((x.shape[0], 1, 1)), "float32"),
            "'constant' (constant): its value depends on the size",
        ),
        (lambda x: pl.broadcast_to(pl.sum(x, 0), x.shape), "(broadcast_to): it repeats values for each element"),
        (lambda x: x[: x.shape[0] - 1], "(slice): where it cuts depends on the size of the batch"),
        (lambda x: pl.relu(x) if x.shape[0] > 2 else x, "what the network computes depends on the size of the batch"),
        (lambda x: pl.sum(x, 0) * (1.5 / x.shape[0]), "its value depends on the size of the batch"),
        (lambda x: pl.sum(x[:3], 1), "what the network computes depends on the size of the batch"),
        (
            lambda x: x * (1.0 + (x.shape[0] > 100)),
            "'constant' (constant): depends on the size of the batch otherwise than by growing with it",
        ),
    ],
)
def test_what_holds_for_one_size_of_batch_must_fix_it(
    function: Callable[[Tensor], Tensor], words: str, tmp_path: Path
) -> None:
    path, net = tmp_path / "net.onnx", Calls(function)
    with pytest.raises(OnnxError) as error:
        save_onnx(net, path, shape=(6, 4))
    assert words in str(error.value)
    assert "batch=" in str(error.value)
    assert not list(tmp_path.iterdir())
    written = save_onnx(net, path, shape=(6, 4), batch=3)
    assert written.inputs == {"images": [3, 6, 4]}
    images = np.random.default_rng(0).standard_normal((3, 6, 4)).astype(np.float32)
    agree(in_runtime(path, {"images": images})[0], values(net, images))


def test_everything_inexpressible_is_named_at_once(tmp_path: Path) -> None:
    x = pl.input((2, 3, 8, 8), name="x")
    y = pl.max_pool2d(pl.conv2d(x, pl.input((4, 3, 3, 3), name="w")), 2)
    graph = Graph(pl.gradients(y, list(pl.Graph([y]).inputs)))
    with pytest.raises(OnnxError) as error:
        save_onnx(graph, tmp_path / "x.onnx")
    for words in ("2 nodes cannot be written", "(max_pool2d_gradient): ONNX has no such operator", "(conv2d_weight)"):
        assert words in str(error.value)
    assert not list(tmp_path.iterdir())


def test_graphs_keep_their_names_and_shapes(tmp_path: Path) -> None:
    a, b = pl.input((2, 3), name="left"), pl.input((3,), "int64", "right")
    w = pl.Parameter.of(np.ones((2, 3), np.float32), "w")
    total = (a + w).named("total")
    picked = pl.gather(w, b, 1).named("picked")
    written = save_onnx(Graph([total, picked, total, a, w]), tmp_path / "graph.onnx")
    assert written.inputs == {"left": [2, 3], "right": [3]}
    assert list(written.outputs) == ["total", "picked", "total_output", "left_output", "w_output"]
    feeds = {"left": np.full((2, 3), 2, np.float32), "right": np.array([2, 0, 0])}
    results = in_runtime(tmp_path / "graph.onnx", feeds)
    for actual, value in zip(results, (3, 1, 3, 2, 1), strict=True):
        np.testing.assert_array_equal(actual, np.full((2, 3), value))


def test_a_run_is_written_with_its_classes_and_preprocessing(tmp_path: Path) -> None:
    data = pl.load("digits")
    net = nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8)
    run = pl.fit(net, data, epochs=1, out=tmp_path / "run", report=False)
    path = tmp_path / "digits.onnx"
    written = save_onnx(run, path)
    assert written == OnnxFile(
        path,
        path.stat().st_size,
        DEFAULT_OPSET,
        {"images": ["N", 1, 8, 8]},
        {"logits": ["N", 10]},
        {"Conv": 2, "Flatten": 1, "Gemm": 3, "MaxPool": 2, "Relu": 4},
    )
    model = onnx.load(path)
    facts = {p.key: json.loads(p.value) for p in model.metadata_props}
    assert facts == {
        "architecture": net.config(),
        "classes": [str(i) for i in range(10)],
        "preprocessing": json.loads(json.dumps(run.preprocessing.to_dict())),
    }
    assert (model.producer_name, model.producer_version) == ("pellucid", pl.__version__)
    images = run.preprocessing.normalize(data.test.images(np.arange(50)))
    agree(in_runtime(path, {"images": images})[0], values(run.net, images))


def test_training_mode_is_left_as_it_was(tmp_path: Path) -> None:
    net = nn.Sequential(bn=nn.BatchNorm2d(3), drop=nn.Dropout(0.5))
    net.train()
    net[0].eval()
    assert operators(net, tmp_path / "net.onnx", shape=(3, 4, 4)) == {"BatchNormalization": 1}
    assert [m.training for _, m in net.named_modules()] == [True, False, True]


def test_a_failed_write_keeps_the_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.onnx"
    path.write_text("before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(WriteError, match="No space left on device"):
        save_onnx(nn.ReLU(), path, shape=(3,))
    assert [p.read_text() for p in tmp_path.iterdir()] == ["before"]


class Huge(nn.Module):
    """More weights than one file holds; none of them is ever drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = pl.Parameter((LIMIT // 4 + 1,), lambda shape, generator: pytest.fail("drawn"))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


@pytest.mark.parametrize(
    ("source", "settings", "words"),
    [
        (nn.ReLU(), {}, r"give the shape of one image: save_onnx\(net, path, shape=\(C, H, W\)\)"),
        (nn.ReLU(), {"shape": (3,), "opset": 17}, "operator sets from 18 to 22 can be written, got 17"),
        (nn.ReLU(), {"shape": (3,), "batch": 0}, "batch must be at least 1, got 0"),
        (nn.ReLU(), {"shape": (3,), "batch": 2.5}, "batch must be a whole number, got 2.5"),
        (nn.ReLU(), {"shape": (3,), "batch": True}, "batch must be a whole number, got True"),
        (
            nn.ReLU(),
            {"shape": (3,), "classes": ("cat", "dog")},
            r"2 classes, but what the network gives has the shape \['N', 3\]",
        ),
        (Graph([pl.input((2,))]), {"batch": 2}, "a graph has its own shapes"),
        (Huge(), {"shape": (1,)}, "weights take 2.0 GiB; an ONNX file holds at most 2 GiB"),
        (
            Calls(lambda x: (x > 0) * (x > 1)),
            {"shape": (3,)},
            r"'multiply' \(multiply\): ONNX's Mul does not take bool",
        ),
    ],
)
def test_errors(source: Any, settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(OnnxError, match=words):
        save_onnx(source, tmp_path / "net.onnx", **settings)
    assert not list(tmp_path.iterdir())


def test_without_the_package_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OnnxError, match=r"pip install 'pellucid\[onnx\]'"):
        save_onnx(nn.ReLU(), tmp_path / "net.onnx", shape=(3,))
