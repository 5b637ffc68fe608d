"""Operators of ONNX at the edges of what they take: ONNX Runtime's numbers, or a clear refusal."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import pellucid as pl
from onnx_models import from_text
from pellucid.errors import OutOfRangeError
from pellucid.executors import available_executors, compile
from pellucid.interop import OnnxError

torch = pytest.importorskip("torch")
functional = torch.nn.functional
EXECUTORS = [name for name, missing in available_executors().items() if not missing]
INF = np.inf
LEAST, MOST = -(2**63), 2**63 - 1


def model(path: Path, nodes: list[Any], x: np.ndarray, arrays: dict[str, Any] | None = None, **inputs: Any) -> Path:
    """A model whose outputs are the nodes', of an input x and of int64 `inputs`."""
    described = {"x": x, **inputs}
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in described.items()
        ],
        [helper.make_tensor_value_info(n.output[0], TensorProto.FLOAT, None) for n in nodes],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in (arrays or {}).items()],
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.write_bytes(file.SerializeToString())
    return path


def compare(path: Path, feeds: dict[str, np.ndarray], tolerance: float = 0) -> None:
    """All executors and ONNX Runtime give the same for all outputs."""
    expected = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, feeds)
    net = pl.load_onnx(path)
    inputs = [pl.input(a.shape, str(a.dtype), name) for name, a in feeds.items()]
    made = net(*inputs)
    outputs = made if isinstance(made, tuple) else (made,)
    for executor in EXECUTORS:
        values = compile(outputs, inputs, executor=executor)(dict(zip(inputs, feeds.values(), strict=True)))
        for number, (value, right) in enumerate(zip(values, expected, strict=True)):
            np.testing.assert_allclose(
                value, right, rtol=tolerance, atol=tolerance, err_msg=f"{executor}, output {number}"
            )


def test_slices(tmp_path: Path) -> None:
    """Every start, end and step, in and far outside of 5 elements, and of none."""
    for size in (5, 1, 0):
        x = np.arange(2.0 * size, dtype=np.float32).reshape(2, size)
        places = (LEAST, -100, -6, -5, -2, -1, 0, 1, 4, 5, 6, 100, MOST)
        table = [*itertools.product(places, places, (1, -1, 2, -3)), (0, 5, MOST), (-1, LEAST, LEAST + 1)]
        table = [
            row for row in table if row[1] < MOST or row[2] > 0
        ]  # backwards ONNX Runtime takes it for the beginning
        arrays: dict[str, Any] = {"axes": np.array([-1])}
        nodes = []
        for number, row in enumerate(table):
            names = [f"{what}{number}" for what in ("start", "end", "step")]
            arrays |= {name: np.array([value]) for name, value in zip(names, row, strict=True)}
            nodes.append(helper.make_node("Slice", ["x", names[0], names[1], "axes", names[2]], [f"y{number}"]))
        compare(model(tmp_path / "slices.onnx", nodes, x, arrays), {"x": x})


def test_first_element_from_far_before_it(tmp_path: Path) -> None:
    x = np.arange(5, dtype=np.float32)
    arrays = {"start": [-10], "end": [-100], "axes": [0], "step": [-1]}
    node = helper.make_node("Slice", ["x", *arrays], ["y"])
    net = pl.load_onnx(model(tmp_path / "slice.onnx", [node], x, {k: np.array(v) for k, v in arrays.items()}))
    inputs = [pl.input((5,), name="x")]
    assert pl.run([net(*inputs)], {inputs[0]: x})[0].tolist() == [0]


def test_brackets_follow_numpy() -> None:
    x = np.arange(10.0, dtype=np.float32).reshape(2, 5)
    given = pl.input(x.shape, name="x")
    places = (None, LEAST, -6, -5, 0, 2, 5, MOST)
    slices = [slice(a, b, c) for a, b, c in itertools.product(places, places, (1, -1, 2, -3, -MOST))]
    for executor in EXECUTORS:
        for part, value in zip(slices, pl.run([given[:, part] for part in slices], {given: x}, executor), strict=True):
            np.testing.assert_array_equal(value, x[:, part], str(part))


@pytest.mark.parametrize("pads", [[-2, 0], [0, -5], [-2, -3], [2, -3], [-4, 4], [3, 0]])
def test_negative_pads(pads: list[int], tmp_path: Path) -> None:
    x = np.arange(10, dtype=np.float32).reshape(2, 5)
    node = helper.make_node("Pad", ["x", "pads", "value", "axes"], ["y"])
    arrays = {"pads": np.array(pads), "value": np.float32(7), "axes": np.array([-1])}
    compare(model(tmp_path / "pad.onnx", [node], x, arrays), {"x": x})


@pytest.mark.parametrize("pads", [[0, -6], [-6, 0], [-3, -3], [2, -6]])
def test_more_taken_away_than_there_is(pads: list[int], tmp_path: Path) -> None:
    x = np.zeros((2, 5), np.float32)
    node = helper.make_node("Pad", ["x", "pads", "", "axes"], ["y"])
    with pytest.raises(OnnxError, match="take more away from axis 1 than its 5 elements"):
        pl.load_onnx(model(tmp_path / "pad.onnx", [node], x, {"pads": np.array(pads), "axes": np.array([1])}))(
            pl.input(x.shape)
        )


USES = {
    "Gather": ["x", "at"],
    "GatherElements": ["x", "at"],
    "GatherND": ["x", "at"],
    "ScatterElements": ["x", "at", "updates"],
    "ScatterND": ["x", "at", "updates"],
}


def using(kind: str, at: np.ndarray, folder: Path, known: bool) -> tuple[Path, dict[str, np.ndarray]]:
    """A model that picks or puts elements of a 2 x 3 array at `at`, which is part of the file or fed."""
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    settings = {"axis": 1} if kind in ("Gather", "GatherElements", "ScatterElements") else {}
    updates = np.full(at.shape if kind == "ScatterElements" else at.shape[:-1], 9, np.float32)
    node = helper.make_node(kind, USES[kind], ["y"], **settings)
    arrays = {"updates": updates} if "updates" in USES[kind] else {}
    fed = {} if known else {"at": at}
    path = model(folder / "use.onnx", [node], x, arrays | ({"at": at} if known else {}), **fed)
    return path, {"x": x, **fed}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("kind", USES)
def test_negative_positions_count_from_the_end(kind: str, known: bool, tmp_path: Path) -> None:
    at = np.array([[-1, 0, -2], [1, -3, 2]]) if not kind.endswith("ND") else np.array([[-1, -3], [0, -1]])
    compare(*using(kind, at, tmp_path, known))


@pytest.mark.parametrize("wrong", [3, -4])
@pytest.mark.parametrize("kind", USES)
def test_positions_out_of_range(kind: str, wrong: int, tmp_path: Path) -> None:
    """Also where the position of the next row would be meant, if positions were counted through."""
    at = np.array([[0, wrong, 1], [0, 0, 0]]) if not kind.endswith("ND") else np.array([[0, wrong], [0, 0]])
    path, feeds = using(kind, at, tmp_path, known=True)
    with pytest.raises(OnnxError, match=f"index {wrong} at .* is out of range: there are 3 elements"):
        pl.load_onnx(path)(pl.input((2, 3)))
    path, feeds = using(kind, at, tmp_path, known=False)
    net = pl.load_onnx(path)
    inputs = [pl.input(a.shape, str(a.dtype), name) for name, a in feeds.items()]
    for executor in EXECUTORS:
        program = compile([net(*inputs)], inputs, executor=executor)
        with pytest.raises(OutOfRangeError, match=f"index {wrong} at .* there are 3 elements, from -3 to 2"):
            program(dict(zip(inputs, feeds.values(), strict=True)))


def test_infinite_sums_of_exponentials(tmp_path: Path) -> None:
    x = np.array([[-INF, -INF], [INF, 0], [-INF, 1], [2, 3], [INF, INF]], np.float32)
    nodes = [
        helper.make_node("ReduceLogSumExp", ["x", "axes"], ["sums"], keepdims=0),
        helper.make_node("ReduceLogSumExp", ["x", "axes"], ["kept"]),
    ]
    path = model(tmp_path / "sums.onnx", nodes, x, {"axes": np.array([1])})
    net = pl.load_onnx(path)
    given = pl.input(x.shape, name="x")
    for executor in EXECUTORS:
        sums, kept = pl.run(net(given), {given: x}, executor)
        np.testing.assert_allclose(sums, [-INF, INF, 1, np.logaddexp(2, 3), INF], rtol=1e-6)
        np.testing.assert_array_equal(kept[:, 0], sums)


def transposed(
    ndim: int, folder: Path, groups: int = 1, less: int = 0, **settings: Any
) -> tuple[Path, list[np.ndarray]]:
    """A transposed convolution over so many axes; `less` asks for an output smaller by that than the whole. And its arrays."""
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 4, *(5, 4, 3)[:ndim])).astype(np.float32)
    weight = random.standard_normal((4, 2, *(3, 2, 2)[:ndim])).astype(np.float32)
    bias = np.arange(2.0 * groups, dtype=np.float32)
    if less:
        stride = settings["strides"][0]
        whole = [(n - 1) * stride + k for n, k in zip(x.shape[2:], weight.shape[2:], strict=True)]
        settings["output_shape"] = [w - less for w in whole]
    node = helper.make_node("ConvTranspose", ["x", "weight", "bias"], ["y"], group=groups, **settings)
    return model(folder / "transposed.onnx", [node], x, {"weight": weight, "bias": bias}), [x, weight, bias]


@pytest.mark.parametrize(
    ("stride", "padding", "more", "groups", "dilation"),
    [(1, 0, 1, 1, 2), (1, 1, 1, 1, 2), (2, 0, 2, 2, 3), (2, 1, 2, 1, 3), (1, 2, 1, 2, 2), (1, 0, 3, 1, 4)],
)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_output_padding_up_to_the_dilation(
    ndim: int, stride: int, padding: int, more: int, groups: int, dilation: int, tmp_path: Path
) -> None:
    """ONNX Runtime takes less than the stride only; PyTorch less than the dilation too."""
    settings = {"strides": [stride] * ndim, "pads": [padding] * 2 * ndim, "dilations": [dilation] * ndim}
    path, arrays = transposed(ndim, tmp_path, groups, output_padding=[more] * ndim, **settings)
    oracle = getattr(functional, f"conv_transpose{ndim}d")
    expected = oracle(*map(torch.from_numpy, arrays), stride, padding, more, groups, dilation).numpy()
    net, x = pl.load_onnx(path), pl.input(arrays[0].shape, name="x")
    for executor in EXECUTORS:
        np.testing.assert_allclose(pl.run([net(x)], {x: arrays[0]}, executor)[0], expected, 1e-4, 1e-5)


@pytest.mark.parametrize("ndim", [1, 2])
@pytest.mark.parametrize(
    "case",
    [
        {"auto_pad": "SAME_UPPER", "output_padding": 1},
        {"auto_pad": "SAME_LOWER"},
        {"auto_pad": "VALID", "output_padding": 1},
        {"less": 1, "auto_pad": "SAME_UPPER"},
        {"less": 1, "auto_pad": "SAME_LOWER"},
        {"less": 1},
        {"less": 2},
    ],
)
def test_sizes_of_transposed_convolutions(ndim: int, case: dict[str, Any], tmp_path: Path) -> None:
    settings = {k: [v] * ndim if k == "output_padding" else v for k, v in case.items()}
    path, (x, *_) = transposed(ndim, tmp_path, strides=[2] * ndim, **settings)
    compare(path, {"x": x}, 1e-5)


RUNNING = {
    "infinite": [1, np.inf, 2, 3],
    "both infinite": [1, np.inf, 2, -np.inf, 3],
    "not a number": [1, np.nan, 2],
    "many": np.arange(8400) % 7,
    "one": [3],
    "none": [],
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", RUNNING)
@pytest.mark.parametrize("how", ["", "<exclusive = 1>", "<reverse = 1>", "<exclusive = 1, reverse = 1>"])
def test_running_sums_are_touched_by_no_later_number(name: str, how: str, executor: str, tmp_path: Path) -> None:
    values = np.array(RUNNING[name], np.float32)
    text = "zero = Constant <value = int64 {0}> ()\n y = CumSum HOW (x, zero)".replace("HOW", how)
    path = from_text(tmp_path / "net.onnx", f"float[{len(values)}] x", text, f"float[{len(values)}] y")
    (wanted,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": values})
    net = pl.load_onnx(path)
    (found,) = pl.run([net(pl.input(values.shape, name="x"))], {"x": values}, executor)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_least_whole_number_is_the_least(executor: str, tmp_path: Path) -> None:
    values = np.array([[5, -(2**63), 7], [2**63 - 1, 0, -1]])
    text = """
        least = ReduceMin <axes = [1], keepdims = 0> (x)
        first = ArgMin <axis = 1, keepdims = 0> (x)
        last = ArgMin <axis = 1, keepdims = 0, select_last_index = 1> (x)
    """
    path = from_text(tmp_path / "net.onnx", "int64[2,3] x", text, "int64[2] least, int64[2] first, int64[2] last")
    net = pl.load_onnx(path)
    found = pl.run(net(pl.input(values.shape, "int64", "x")), {"x": values}, executor)
    assert [one.tolist() for one in found] == [[-(2**63), -1], [1, 2], [1, 2]]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_mean_of_no_whole_numbers_is_0(executor: str, tmp_path: Path) -> None:
    path = from_text(
        tmp_path / "net.onnx", "int64[2,0] x", "y = ReduceMean <axes = [1], keepdims = 0> (x)", "int64[2] y"
    )
    x = pl.input((2, 0), "int64", "x")
    assert pl.run([pl.load_onnx(path)(x)], {x: np.zeros((2, 0), np.int64)}, executor)[0].tolist() == [0, 0]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_one_place_of_a_row(executor: str) -> None:
    row, place = pl.input((3,), name="row"), pl.input((), "int64", "place")
    feeds = {row: np.array([5, 6, 7], np.float32), place: np.array(2)}
    assert pl.run([pl.gather(row, place)], feeds, executor)[0] == 7
