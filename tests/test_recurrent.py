"""Recurrent layers: ONNX's against ONNX Runtime, ours and PyTorch's against PyTorch; through time as through layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import DTypeError, ShapeError
from pellucid.executors import available_executors, run
from pellucid.graph import Graph, Tensor
from pellucid.interop import OnnxError
from pellucid.ops.cells import ACTIVATIONS, Activation, Cell
from pellucid.ops.recurrent import Direction, recurrent
from pellucid.train.optimizers import Optimizer

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")

EXECUTORS = [name for name in ("reference", "native", "torch") if not available_executors()[name]]
STEPS, BATCH, FEATURES, HIDDEN = 5, 2, 3, 4
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
TOLERANCE = 2e-6


def model(
    kind: str,
    *given: str,
    lengths: tuple[int, ...] | None = None,
    outputs: str = "Y Y_h Y_c",
    opset: int = 14,
    float_type: int = 1,
    **attributes: Any,
) -> tuple[Any, dict[str, np.ndarray]]:
    """A model of one layer, and values for its inputs. `given` are the optional inputs that it has: B, h, c, P; L as input."""
    random = np.random.default_rng(7)
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    dtype = np.float32 if float_type == 1 else np.float64
    draw = lambda *shape: (random.standard_normal(shape) * 0.7).astype(dtype)  # noqa: E731
    rows = GATES[kind] * HIDDEN
    weights = {"W": draw(directions, rows, FEATURES), "R": draw(directions, rows, HIDDEN)}
    if "B" in given:
        weights["B"] = draw(directions, 2 * rows)
    if "P" in given:
        weights["P"] = draw(directions, 3 * HIDDEN)
    feeds = {"X": draw(STEPS, BATCH, FEATURES)}
    feeds |= {
        name: draw(directions, BATCH, HIDDEN) for name in ("h", "c")[: 2 if kind == "LSTM" else 1] if name in given
    }
    if lengths is not None:
        (feeds if "L" in given else weights)["L"] = np.array(lengths, np.int32)
    order = ["X", "W", "R", "B", "L", "h", *(["c", "P"] if kind == "LSTM" else [])]
    inputs = [name if name in {*weights, *feeds} else "" for name in order]
    names = [name if name in outputs.split() else "" for name in ("Y", "Y_h", "Y_c")[: 3 if kind == "LSTM" else 2]]
    make = onnx.helper
    node = make.make_node(kind, inputs, names, "layer", hidden_size=HIDDEN, **attributes)
    element = {"float32": 1, "float64": 11, "int32": 6}
    values = [make.make_tensor_value_info(n, element[str(v.dtype)], v.shape) for n, v in feeds.items()]
    made = [make.make_tensor_value_info(n, float_type, None) for n in names if n]
    graph = make.make_graph([node], "g", values, made, [onnx.numpy_helper.from_array(v, n) for n, v in weights.items()])
    return make.make_model(graph, opset_imports=[make.make_opsetid("", opset)], ir_version=8), feeds


def opened(proto: Any, folder: Path) -> tuple[Any, list[Tensor]]:
    onnx.save(proto, folder / "layer.onnx")
    net = pl.load_onnx(folder / "layer.onnx")
    made = net(*net.example_inputs())
    return net, list(made) if isinstance(made, tuple) else [made]


def ours(outputs: list[Tensor], feeds: dict[str, np.ndarray], executor: str) -> list[np.ndarray]:
    used = {i.name for i in Graph(outputs).inputs}
    given = {n: v.astype(np.int64) if v.dtype.kind == "i" else v for n, v in feeds.items() if n in used}
    return list(run(outputs, given, executor))


def in_runtime(proto: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    return onnxruntime.InferenceSession(proto.SerializeToString(), settings).run(None, feeds)


BOTH = {"direction": "bidirectional"}
ALL = ("B", "h", "c")
ONNX_CASES: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    *((kind, given, {"direction": d}) for kind in GATES for d in ("forward", "reverse", "bidirectional") for given in ((), ALL)),
    *((kind, ALL, {**BOTH, "lengths": (3, 5)}) for kind in GATES),
    *((kind, (*ALL, "L"), {**BOTH, "lengths": lengths}) for kind in GATES for lengths in ((2, 4), (0, 5))),
    *((kind, ALL, {"direction": "reverse", "lengths": (0, 3)}) for kind in GATES),
    *((kind, ALL, {"clip": 0.3}) for kind in GATES),
    *((kind, ALL, {"opset": 8}) for kind in GATES),
    *(("LSTM", ALL, {"outputs": outputs}) for outputs in ("Y", "Y_h", "Y_c", "Y Y_c", "Y_h Y_c")),
    *((kind, ALL, {"outputs": outputs}) for kind in ("GRU", "RNN") for outputs in ("Y", "Y_h")),
    ("LSTM", (*ALL, "P"), BOTH),
    ("LSTM", ("P",), {}),
    ("LSTM", (*ALL, "P"), {"input_forget": 1}),
    ("LSTM", ("B", "h"), BOTH),
    ("LSTM", ("c",), {}),
    ("GRU", ALL, {**BOTH, "linear_before_reset": 1}),
    ("GRU", ("B",), {"linear_before_reset": 1}),
    ("GRU", (), {"linear_before_reset": 1}),
    ("GRU", ALL, {"linear_before_reset": 1, "clip": 0.2}),
    *(("RNN", ALL, {"activations": [n], "activation_alpha": [0.3], "activation_beta": [0.4]}) for n in ACTIVATIONS),
    *(("RNN", ALL, {"activations": [n]}) for n in ("Elu", "HardSigmoid", "LeakyRelu", "Relu", "Softplus", "Softsign")),
    (
        "LSTM",
        ALL,
        {
            **BOTH,
            "activations": ["HardSigmoid", "LeakyRelu", "ScaledTanh", "Sigmoid", "elu", "TANH"],
            "activation_alpha": [0.1, 0.2, 0.7, 0.4],
            "activation_beta": [0.6, 0.9],
        },
    ),
    ("GRU", ALL, {**BOTH, "activations": ["HardSigmoid", "Softsign", "Sigmoid", "Affine"], "activation_alpha": [0.1, 0.8]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "given", "settings"), ONNX_CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(ONNX_CASES)]
)
def test_what_onnx_runtime_gives(kind: str, given: tuple[str, ...], settings: dict[str, Any], tmp_path: Path) -> None:
    proto, feeds = model(kind, *given, **settings)
    _, outputs = opened(proto, tmp_path)
    expected = in_runtime(proto, feeds)
    for executor in EXECUTORS:
        for actual, right in zip(ours(outputs, feeds, executor), expected, strict=True):
            assert actual.shape == right.shape
            np.testing.assert_allclose(actual, right, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", GATES)
def test_batches_first(kind: str, tmp_path: Path) -> None:
    """ONNX Runtime refuses layout 1, so it is compared with layout 0."""
    proto, feeds = model(kind, *ALL, "L", lengths=(3, 5), **BOTH)
    expected = in_runtime(proto, feeds)
    turned = {n: v if n == "L" else v.transpose(1, 0, 2) for n, v in feeds.items()}
    proto.graph.node[0].attribute.append(onnx.helper.make_attribute("layout", 1))
    for value in proto.graph.input:
        dims = value.type.tensor_type.shape.dim
        for dim, size in zip(dims, turned[value.name].shape, strict=True):
            dim.dim_value = size
    _, outputs = opened(proto, tmp_path)
    y, *last = ours(outputs, turned, "native")
    np.testing.assert_allclose(y.transpose(1, 2, 0, 3), expected[0], rtol=0, atol=TOLERANCE)
    for actual, right in zip(last, expected[1:], strict=True):
        np.testing.assert_allclose(actual.transpose(1, 0, 2), right, rtol=0, atol=TOLERANCE)


def test_float64(tmp_path: Path) -> None:
    single, feeds = model("LSTM", *ALL, "P", **BOTH)
    double, wide = model("LSTM", *ALL, "P", float_type=11, **BOTH)
    _, outputs = opened(double, tmp_path)
    assert {o.dtype for o in outputs} == {"float64"}
    for executor in EXECUTORS:
        for actual, right in zip(ours(outputs, wide, executor), in_runtime(single, feeds), strict=True):
            np.testing.assert_allclose(actual, right, rtol=0, atol=TOLERANCE)


def test_weights_train_and_lengths_do_not(tmp_path: Path) -> None:
    net, _ = opened(model("LSTM", "B", "P", lengths=(3, 5))[0], tmp_path)
    assert set(net.named_parameters()) == {"W", "R", "B", "P"}
    assert all(p.trainable for p in net.named_parameters().values())


REFUSED = [
    (
        {"direction": "sideways"},
        "LSTM node 'layer': direction must be one of forward, reverse, bidirectional, got 'sideways'",
    ),
    ({"hidden_size": 5}, "hidden_size is 5, its recurrent weight is"),
    ({"activations": ["Tanh"]}, "wants 3 activations, got Tanh"),
    ({"activations": ["Tanh", "Tanh", "Swish"]}, "there is no activation 'Swish'; there are Affine, Elu"),
]


@pytest.mark.parametrize(("changed", "message"), REFUSED)
def test_what_makes_no_sense(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    proto, _ = model("LSTM", "B")
    attributes = proto.graph.node[0].attribute
    for name, value in changed.items():
        for old in [a for a in attributes if a.name == name]:
            attributes.remove(old)
        attributes.append(onnx.helper.make_attribute(name, value))
    with pytest.raises(OnnxError, match=message):
        opened(proto, tmp_path)


def test_wrong_shapes_are_named() -> None:
    x = pl.input((5, 2, 3), name="x")
    weights = pl.input((16, 3), name="w"), pl.input((16, 4), name="r")
    cell = Cell("lstm", "iofc")
    with pytest.raises(
        ShapeError, match=r"lstm: state 'h' must have shape \(2, 4\) for an input \(5, 2, 3\) and 4 hidden"
    ):
        recurrent(cell, x, [Direction(*weights, state=pl.input((2, 5), name="h"))])
    with pytest.raises(ShapeError, match="at least one step"):
        recurrent(cell, pl.input((0, 2, 3)), [Direction(*weights)])
    with pytest.raises(DTypeError, match="'h' is float64, the input 'x' is float32"):
        recurrent(cell, x, [Direction(*weights, state=pl.input((2, 4), "float64", "h"))])
    with pytest.raises(ShapeError, match=r"the lengths 'n' must be int64 of shape \(2,\), got int64\(3,\)"):
        recurrent(cell, x, [Direction(*weights)], pl.input((3,), "int64", "n"))
    with pytest.raises(pl.errors.UnknownNameError, match="Tanh"):
        recurrent(cell, x, [Direction(*weights, activations=(Activation("Tan"),) * 3)])


def test_steps_have_names(tmp_path: Path) -> None:
    _, outputs = opened(model("LSTM", *ALL, **BOTH)[0], tmp_path)
    graph = Graph(outputs)
    for part in ("input", "forget", "output", "candidate", "cell", "hidden"):
        for place in ("forward/step0", "reverse/step4", "forward/step3"):
            assert graph.names[graph[f"layer/{place}/{part}"]]
    _, outputs = opened(model("GRU", *ALL)[0], tmp_path)
    assert {f"layer/step3/{part}" for part in ("update", "reset", "candidate", "hidden")} < set(
        Graph(outputs).names.values()
    )


LAYERS: list[tuple[str, tuple[int, ...], bool, dict[str, Any]]] = [
    *((kind, (6, 3, 5), False, {}) for kind in GATES),
    *((kind, (6, 3, 5), True, {"num_layers": 2, "bidirectional": True}) for kind in GATES),
    *((kind, (3, 6, 5), True, {"batch_first": True, "bias": False}) for kind in GATES),
    *((kind, (6, 5), True, {"bidirectional": True}) for kind in GATES),
    ("LSTM", (6, 5), False, {"num_layers": 2}),
    ("LSTM", (6, 3, 5), True, {"proj_size": 2, "num_layers": 2, "bidirectional": True}),
    ("RNN", (6, 3, 5), True, {"nonlinearity": "relu"}),
]


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(("kind", "shape", "states", "options"), LAYERS)
def test_layers_are_torchs(kind: str, shape: tuple[int, ...], states: bool, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    theirs, mine = getattr(torch.nn, kind)(5, 4, **options), getattr(nn, kind)(5, 4, **options)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    mine.load_state_dict({n: v.numpy() for n, v in theirs.state_dict().items()})
    random = np.random.default_rng(0)
    with torch.no_grad():
        _, example = theirs(torch.zeros(shape))
    example = example if isinstance(example, tuple) else (example,)
    arrays = [random.standard_normal(s).astype(np.float32) for s in (shape, *(h.shape for h in example if states))]
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    inputs = [pl.input(a.shape, name=f"x{i}") for i, a in enumerate(arrays)]

    def together(values: list[Any]) -> list[Any]:
        given = [] if not states else [tuple(values[1:])] if kind == "LSTM" else [values[1]]
        y, last = (theirs if values is tensors else mine)(values[0], *given)
        return [y, *(last if isinstance(last, tuple) else (last,))]

    expected, outputs = together(tensors), together(inputs)
    factors = [np.cos(np.arange(o.size, dtype=np.float32)).reshape(o.shape) for o in outputs]
    sum((o * torch.tensor(f)).sum() for o, f in zip(expected, factors, strict=True)).backward()
    loss = sum(((o * pl.constant(f)).sum() for o, f in zip(outputs, factors, strict=True)), pl.constant(0.0))
    right = [*(o.detach() for o in expected), *(t.grad for t in tensors), *(p.grad for p in theirs.parameters())]
    wanted = [*outputs, *pl.gradients(loss, [*inputs, *mine.parameters()])]
    for executor in EXECUTORS:
        got = run(wanted, {f"x{i}": a for i, a in enumerate(arrays)}, executor)
        for actual, value in zip(got, right, strict=True):
            np.testing.assert_allclose(actual, value.numpy(), rtol=1e-4, atol=2e-6)


def test_dropout_between_layers_is_drawn_anew() -> None:
    layer = nn.LSTM(3, 4, num_layers=2, dropout=0.5)
    x = pl.input((5, 2, 3), name="x")
    with nn.training_step(seed=1):
        y, _ = layer(x)
    program = pl.compile([y])
    values = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    first, again, other = (program({"x": values, "step": np.int64(s)})[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert not any(i.name == "step" for i in Graph([layer.eval()(x)[0]]).inputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.LSTM(3, 0), "LSTM: hidden_size must be at least 1"),
        (lambda: nn.GRU(3, 4, dropout=1.0), r"GRU: dropout must lie in \[0, 1\), got 1.0"),
        (lambda: nn.RNN(3, 4, nonlinearity="elu"), "RNN: nonlinearity must be tanh or relu, got 'elu'"),
        (lambda: nn.LSTM(3, 4, proj_size=4), r"proj_size must be smaller than hidden_size \(4\), got 4"),
        (lambda: nn.LSTM(3, 4)(pl.input((5, 2, 4))), r"wants \(T, N, I\) or \(T, I\) with I = 3 features"),
        (lambda: nn.GRU(3, 4)(pl.input((5, 2, 3)), pl.input((1, 3, 4), name="h")), r"must have shape \(1, 2, 4\), got \(1, 3, 4\) \(from 'h'\)"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((nn.ModuleError, ShapeError), match=message):
        make()


class Everything(torch.nn.Module):
    """All that a recurrent layer gives: what comes after each step, and the last states."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Any) -> Any:
        y, last = self.layer(x)
        last = last if isinstance(last, tuple) else (last,)
        return torch.cat([y.flatten(1), *(state.transpose(0, 1).flatten(1) for state in last)], 1)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(
    "layer",
    [
        torch.nn.LSTM(5, 4, 2, bidirectional=True, batch_first=True, dropout=0.3),
        torch.nn.LSTM(5, 4, proj_size=3, batch_first=True),
        torch.nn.GRU(5, 4, 2, batch_first=True),
        torch.nn.RNN(5, 4, nonlinearity="relu", bias=False, bidirectional=True, batch_first=True),
        torch.nn.RNN(5, 4, batch_first=True),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_modules_of_torch(layer: Any) -> None:
    module = Everything(layer).eval()
    values = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    net = pl.from_torch(module, (2, 4, 5))
    tensor = torch.tensor(values, requires_grad=True)
    module.zero_grad()
    module(tensor).square().sum().backward()
    x = pl.input(values.shape, name="x")
    y = net(x)
    paths = dict(module.named_parameters())
    got = run([y, *pl.gradients((y * y).sum(), [x, *net.parameters()])], {"x": values})
    right = [module(tensor).detach(), tensor.grad, *(paths[n].grad for n in net.named_parameters())]
    for actual, value in zip(got, right, strict=True):
        np.testing.assert_allclose(actual, value.numpy(), rtol=1e-4, atol=2e-6)


class Reader(nn.Module):
    """A picture (N, 1, 8, W), read by a convolution and an LSTM in both directions: scores (N, W / 4, 4) along its width."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, (8, 4), stride=4)
        self.lstm = nn.LSTM(8, 12, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        features = pl.relu(self.conv(x))
        y, _ = self.lstm(pl.transpose(features.reshape(x.shape[0], 8, -1), (0, 2, 1)))
        return self.fc(y)


def test_a_reader_of_strips_learns() -> None:
    """Each strip of a picture says a digit; it is to be called by whether there was a 3 up to it, and a 0 from it on."""
    random = np.random.default_rng(0)
    digits = random.integers(0, 4, (256, 6))
    pictures = np.zeros((256, 1, 8, 24), np.float32)
    for picture, strip in np.ndindex(digits.shape):
        row = 2 * digits[picture, strip]
        pictures[picture, 0, row : row + 2, 4 * strip : 4 * strip + 4] = 1
    before = np.maximum.accumulate(digits == 3, axis=1)
    after = np.maximum.accumulate((digits == 0)[:, ::-1], axis=1)[:, ::-1]
    labels = (2 * before + after).astype(np.int64)
    net = Reader()
    net.initialize(1)
    x, t, number = pl.input((64, 1, 8, 24), name="x"), pl.input((64 * 6,), "int64", "t"), pl.input((), name="number")
    scores = net(x).reshape(64 * 6, 4)
    loss = pl.cross_entropy(scores, t)
    weights, optimizer = net.parameters(), Optimizer("adam")
    state = optimizer.state(weights)
    updates = optimizer.updates(weights, pl.gradients(loss, weights), state, pl.constant(0.02), number)
    step = pl.compile([loss, pl.argmax(scores, 1)], updates=updates)
    right = []
    for count in range(100):
        at = slice(64 * (count % 4), 64 * (count % 4) + 64)
        _, found = step({"x": pictures[at], "t": labels[at].reshape(-1), "number": np.float32(count + 1)})
        right.append(float((found == labels[at].reshape(-1)).mean()))
    assert min(right[-4:]) > 0.97


def kinds_in(path: Path) -> list[str]:
    """The operators of a file, but for constants."""
    return sorted(node.op_type for node in onnx.load(path).graph.node if node.op_type != "Constant")


@pytest.mark.parametrize(
    ("kind", "given", "settings"), ONNX_CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(ONNX_CASES)]
)
def test_written_as_one_operator(kind: str, given: tuple[str, ...], settings: dict[str, Any], tmp_path: Path) -> None:
    proto, feeds = model(kind, *given, **settings)
    net, outputs = opened(proto, tmp_path)
    path = tmp_path / "again.onnx"
    pl.save_onnx(Graph(outputs), path)
    onnx.checker.check_model(path, full_check=True)
    assert kinds_in(path) == sorted([kind, *(["Cast"] if "L" in given else [])])
    assert {t.name for t in onnx.load(path).graph.initializer} == set(net.named_parameters())
    wide = {n: v.astype(np.int64) if n == "L" else v for n, v in feeds.items()}
    expected = in_runtime(proto, feeds)
    for actual, right in zip(in_runtime(onnx.load(path), wide), expected, strict=True):
        np.testing.assert_array_equal(actual, right)
    again = pl.load_onnx(path)
    made = again(*again.example_inputs())
    for actual, right in zip(
        ours(list(made) if isinstance(made, tuple) else [made], wide, EXECUTORS[0]), expected, strict=True
    ):
        np.testing.assert_allclose(actual, right, rtol=0, atol=TOLERANCE)


class Stacked(nn.Module):
    """What comes after each step, and the last states."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Any:
        y, last = self.layer(x)
        return (y, *last) if isinstance(last, tuple) else (y, last)


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(5, 4, num_layers=2, bidirectional=True, batch_first=True),
        nn.GRU(5, 4, bias=False, batch_first=True),
        nn.RNN(5, 4, bidirectional=True, nonlinearity="relu", batch_first=True),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_are_written_for_any_batch(layer: Any, tmp_path: Path) -> None:
    net, path = Stacked(layer), tmp_path / "net.onnx"
    net.initialize(1)
    pl.save_onnx(net, path, shape=(6, 5))
    onnx.checker.check_model(path, full_check=True)
    assert kinds_in(path).count(type(layer).__name__) == layer.num_layers
    values = np.random.default_rng(0).standard_normal((3, 6, 5)).astype(np.float32)
    expected = pl.run([*net(pl.input(values.shape, name="x"))], {"x": values})
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, settings)
    again = pl.load_onnx(path, N=3)
    reopened = pl.run([*again(pl.input(values.shape, name="x"))], {"x": values})
    for results in (session.run(None, {session.get_inputs()[0].name: values}), reopened):
        for actual, right in zip(results, expected, strict=True):
            np.testing.assert_allclose(actual, right, rtol=0, atol=TOLERANCE)


def test_what_others_read_inside_of_a_layer_is_written_step_by_step(tmp_path: Path) -> None:
    x = pl.input((5, 2, 3), name="x")
    y, _ = nn.GRU(3, 4)(x)
    inside = Graph([y])["step2/update"]
    pl.save_onnx(Graph([y, inside]), tmp_path / "net.onnx")
    assert "GRU" not in kinds_in(tmp_path / "net.onnx")
    values = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    for actual, right in zip(
        in_runtime(onnx.load(tmp_path / "net.onnx"), {"x": values}), pl.run([y, inside], {"x": values}), strict=True
    ):
        np.testing.assert_allclose(actual, right, rtol=0, atol=TOLERANCE)


class Last(Reader):
    """A picture (N, 1, 8, W), called by the last states of both directions: scores (N, 4)."""

    def forward(self, x: Tensor) -> Tensor:
        features = pl.relu(self.conv(x)).reshape(x.shape[0], 8, -1)
        _, (h, _) = self.lstm(pl.transpose(features, (0, 2, 1)))
        return self.fc(pl.transpose(h, (1, 0, 2)).reshape(x.shape[0], 24))


@pytest.mark.parametrize(("net", "row"), [(Reader(), "lstm"), (Last(), "lstm/last_state")])
def test_a_layer_is_one_row_of_a_summary(net: nn.Module, row: str) -> None:
    """Of a long sequence too: what is looked for below a layer is looked at once, whatever the number of ways to it."""
    found = {r.name: r for r in net.summary((1, 8, 160)).rows if r.name.startswith("lstm")}
    assert list(found) == [row]
    assert found[row].kind == "LSTM"
    assert found[row].parameters == sum(p.size for n, p in net.named_parameters().items() if n.startswith("lstm"))


@pytest.mark.skipif("native" not in EXECUTORS, reason="not built here")
def test_the_weights_of_all_steps_are_turned_once() -> None:
    from pellucid.executors.passes import run_passes
    from pellucid.executors.plan.walk import make_plan

    y, _ = nn.LSTM(8, 16)(pl.input((6, 4, 8), name="x"))
    steps = make_plan(run_passes((y,)), {}, 1).steps
    turned = [s for s in steps if s.kind == "chain" and [b.shape for b in s.writes] == [(16, 64)]]
    assert [s.constant for s in turned] == [True]
    products = [s for s in steps if s.kind.startswith("matmul") and s.reads[0].shape == (4, 16)]
    assert len(products) == 5
    assert all(turned[0].writes[0] in s.reads for s in products)
