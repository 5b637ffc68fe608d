"""A network that was opened from a file is written as that file: names, order, types, open axes and operators are its own."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from onnx_models import normal, save, small_classifier
from pellucid import nn
from pellucid.interop import OnnxError, OnnxNetwork, save_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from onnx_operators import WEIGHT, session  # noqa: E402

FLOAT, HALF, INT32, INT64, UINT8, BOOL, DOUBLE = (
    *(TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.INT64),
    *(TensorProto.UINT8, TensorProto.BOOL, TensorProto.DOUBLE),
)
Sides = list[tuple[str, int, list[Any] | None]]


def write(
    path: Path, nodes: list[Any], inputs: Sides, outputs: Sides, arrays: dict[str, np.ndarray], opset: int = 17
) -> Path:
    """A file with typed inputs and outputs."""
    sides = ([helper.make_tensor_value_info(*value) for value in side] for side in (inputs, outputs))
    initializers = [numpy_helper.from_array(a, name) for name, a in arrays.items()]
    graph = helper.make_graph(nodes, "net", *sides, initializers)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=9), path)
    return path


N = helper.make_node
W = normal(4, 3, 3, 3)
QUANTIZED = {"s": np.float32(0.02), "z": np.uint8(128), "ws": np.float32(0.01), "wz": np.int8(0)}

CASES: dict[str, tuple[list[Any], Sides, Sides, dict[str, np.ndarray]]] = {
    "several of each, in an order of their own": (
        [N("Sub", ["b", "a"], ["late"]), N("Mul", ["late", "w"], ["early"])],
        [("a", FLOAT, ["n", 4]), ("unused", FLOAT, ["m"]), ("b", FLOAT, ["n", 4])],
        [("early", FLOAT, ["n", 4]), ("late", FLOAT, ["n", 4])],
        {"w": normal(4)},
    ),
    "an output that is given, one of constants alone, two that are one": (
        [N("Add", ["w", "w"], ["doubled"]), N("Relu", ["x"], ["y"]), N("Identity", ["y"], ["same"])],
        [("x", FLOAT, [2, 4])],
        [("w", FLOAT, [4]), ("doubled", FLOAT, [4]), ("y", FLOAT, [2, 4]), ("same", FLOAT, [2, 4])],
        {"w": normal(4)},
    ),
    "whole numbers and truths": (
        [
            N("Gather", ["table", "ids"], ["rows"]),
            N("Where", ["mask", "rows", "zero"], ["kept"]),
            N("ArgMax", ["kept"], ["place"], axis=1),
            N("Cast", ["place"], ["small"], to=UINT8),
            N("Greater", ["kept", "zero"], ["positive"]),
        ],
        [("ids", INT32, ["n"]), ("mask", BOOL, ["n", 1])],
        [("place", INT64, ["n", 1]), ("small", UINT8, ["n", 1]), ("positive", BOOL, ["n", 5])],
        {"table": normal(7, 5), "zero": np.float32(0)},
    ),
    "half floats": (
        [N("Conv", ["x", "w"], ["c"], pads=[1] * 4), N("Relu", ["c"], ["y"])],
        [("x", HALF, ["n", 3, "h", "v"])],
        [("y", HALF, ["n", 4, "h", "v"])],
        {"w": W.astype(np.float16)},
    ),
    "doubles": (
        [N("MatMul", ["x", "w"], ["y"])],
        [("x", DOUBLE, ["n", 4])],
        [("y", DOUBLE, ["n", 2])],
        {"w": normal(4, 2).astype(np.float64)},
    ),
    "half floats between casts": (
        [
            N("Cast", ["x"], ["xh"], to=HALF),
            N("Conv", ["xh", "w"], ["c"], pads=[1] * 4),
            N("Cast", ["c"], ["y"], to=FLOAT),
        ],
        [("x", FLOAT, ["n", 3, "h", "v"])],
        [("y", FLOAT, ["n", 4, "h", "v"])],
        {"w": W.astype(np.float16)},
    ),
    "quantized and dequantized": (
        [
            N("QuantizeLinear", ["x", "s", "z"], ["xq"]),
            N("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
            N("DequantizeLinear", ["wq", "ws", "wz"], ["wd"]),
            N("Conv", ["xd", "wd"], ["c"], pads=[1] * 4),
            N("QuantizeLinear", ["c", "s", "z"], ["cq"]),
            N("DequantizeLinear", ["cq", "s", "z"], ["y"]),
        ],
        [("x", FLOAT, ["n", 3, 8, 8])],
        [("y", FLOAT, ["n", 4, 8, 8])],
        {**QUANTIZED, "wq": np.clip(np.round(W * 50), -WEIGHT, WEIGHT).astype(np.int8)},
    ),
    "quantized operators": (
        [
            N("QuantizeLinear", ["x", "s", "z"], ["xq"]),
            N("QLinearConv", ["xq", "s", "z", "wq", "ws", "wz", "s", "z"], ["cq"]),
        ],
        [("x", FLOAT, ["n", 3, 8, 8])],
        [("cq", UINT8, ["n", 4, 6, 6])],
        {**QUANTIZED, "wq": np.clip(np.round(W * 50), -WEIGHT, WEIGHT).astype(np.int8)},
    ),
    "sizes that are computed": (
        [
            N("Shape", ["x"], ["sizes"]),
            N("Slice", ["sizes", "two", "four"], ["image"]),
            N("Conv", ["x", "w"], ["c"], strides=[2, 2], pads=[1] * 4),
            N("Shape", ["c"], ["csizes"]),
            N("Slice", ["csizes", "zero", "two"], ["lead"]),
            N("Concat", ["lead", "image"], ["to"], axis=0),
            N("Resize", ["c", "", "", "to"], ["y"], mode="linear"),
            N("Split", ["y", "parts"], ["left", "right"], axis=1),
        ],
        [("x", FLOAT, ["n", 3, "h", "v"])],
        [("left", FLOAT, ["n", 1, "h", "v"]), ("right", FLOAT, ["n", 3, "h", "v"])],
        {"w": W, **{n: np.array([v]) for n, v in (("zero", 0), ("two", 2), ("four", 4))}, "parts": np.array([1, 3])},
    ),
    "weights in Constant nodes": (
        [
            N("Constant", [], ["w"], value=numpy_helper.from_array(W)),
            N("Conv", ["x", "w"], ["c"]),
            N("Relu", ["c"], ["y"]),
        ],
        [("x", FLOAT, ["n", 3, "h", "v"])],
        [("y", FLOAT, ["n", 4, "oh", "ow"]), ("c", FLOAT, ["n", 4, "oh", "ow"])],
        {},
    ),
}


def feeds_of(model: Any, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    given = {t.name for t in model.graph.initializer}
    found = {}
    for value in (v for v in model.graph.input if v.name not in given):
        dims = value.type.tensor_type.shape.dim
        shape = [d.dim_value if d.HasField("dim_value") else sizes.get(d.dim_param, 5) for d in dims]
        kind = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        found[value.name] = (
            random.standard_normal(shape).astype(kind)
            if kind.kind == "f"
            else random.integers(0, 2, shape).astype(kind)
        )
    return found


def run(path: Path, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return session(path, as_written=True).run(None, feeds)


def counts(model: Any) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def opened(path: Path) -> OnnxNetwork:
    return pl.load_onnx(path, **dict.fromkeys(_symbols(path), 8))


def _symbols(path: Path) -> set[str]:
    return {d.dim_param for v in onnx.load(path).graph.input for d in v.type.tensor_type.shape.dim if d.dim_param}


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_given_back_whole(name: str, tmp_path: Path) -> None:
    source, path = write(tmp_path / "source.onnx", *CASES[name]), tmp_path / "again.onnx"
    written = save_onnx(opened(source), path)
    onnx.checker.check_model(path, full_check=True)
    before, after = onnx.load(source), onnx.load(path)
    assert after == before, "nothing at all has changed"
    shapes = [[d.dim_value or d.dim_param or "?" for d in v.type.tensor_type.shape.dim] for v in before.graph.input]
    assert list(written.inputs.items()) == [(v.name, s) for v, s in zip(before.graph.input, shapes, strict=True)]
    assert list(written.outputs) == [v.name for v in before.graph.output]
    assert written.operators == {k: n for k, n in sorted(counts(before).items()) if k != "Constant"}
    for size in (4, 8):
        feeds = feeds_of(before, dict.fromkeys(_symbols(source), size))
        for actual, expected in zip(run(path, feeds), run(source, feeds), strict=True):
            assert actual.dtype == expected.dtype
            np.testing.assert_array_equal(actual, expected)


TRAINED = [
    ("quantized and dequantized", ["wd"], {"QuantizeLinear": 2, "DequantizeLinear": 2, "Conv": 1}),
    ("half floats", ["w"], {"Conv": 1, "Relu": 1}),
    ("weights in Constant nodes", ["w"], {"Constant": 1, "Conv": 1, "Relu": 1}),
    ("several of each, in an order of their own", ["w"], {"Sub": 1, "Mul": 1}),
    ("an output that is given, one of constants alone, two that are one", ["w"], {"Add": 1, "Relu": 1, "Identity": 1}),
]


@pytest.mark.parametrize(("name", "weights", "expected"), TRAINED, ids=[row[0] for row in TRAINED])
def test_with_the_weights_that_it_has_now(
    name: str, weights: list[str], expected: dict[str, int], tmp_path: Path
) -> None:
    source, path = write(tmp_path / "source.onnx", *CASES[name]), tmp_path / "again.onnx"
    net = opened(source)
    assert list(net.named_parameters()) == weights
    for parameter in net.named_parameters().values():
        parameter.value = (parameter.value * 1.25).astype(np.float16)
    save_onnx(copy.deepcopy(net), path)
    onnx.checker.check_model(path, full_check=True)
    assert counts(onnx.load(path)) == expected
    tolerance = QUANTIZED["s"] * 1.01 if name.startswith("quantized") else 4e-3  # one step, where roundings differ
    feeds = feeds_of(onnx.load(source), {})
    inputs = {n: v.astype(np.float32) if v.dtype.kind == "f" else v for n, v in feeds.items()}
    tensors = [pl.input(v.shape, str(v.dtype), n) for n, v in inputs.items()]
    made = net(*tensors)
    program = pl.compile(list(made) if isinstance(made, tuple) else [made])
    ours = program({n: v for n, v in inputs.items() if n in {i.name for i in program.graph.inputs}})
    for actual, expected_value in zip(run(path, feeds), ours, strict=True):
        np.testing.assert_allclose(actual.astype(np.float32), expected_value, rtol=0, atol=tolerance)
    assert not np.allclose(run(path, feeds)[0], run(source, feeds)[0], atol=1e-2), "the weights have changed"


def test_half_floats_that_cannot_hold_a_weight_say_so(tmp_path: Path) -> None:
    net = opened(write(tmp_path / "source.onnx", *CASES["half floats"]))
    net.w.value = np.full_like(net.w.value, 70000.0)
    with pytest.raises(OnnxError, match="w: the file keeps it as FLOAT16, which cannot hold 70000"):
        save_onnx(net, tmp_path / "again.onnx")
    assert not (tmp_path / "again.onnx").exists()


@pytest.mark.parametrize("version", [3, 8])
def test_other_classes_change_what_the_file_declares(version: int, tmp_path: Path) -> None:
    source, path = small_classifier(tmp_path / "source.onnx"), tmp_path / "again.onnx"
    model = onnx.load(source)
    model.ir_version = version
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", FLOAT, ["batch", 10]))
    if version < 4:
        model.graph.input.extend(helper.make_tensor_value_info(t.name, FLOAT, t.dims) for t in model.graph.initializer)
    onnx.save(onnx.shape_inference.infer_shapes(model), source)
    net = pl.models.build(str(source), num_classes=3, in_channels=1, image_size=8)
    written = save_onnx(net, path)
    onnx.checker.check_model(path, full_check=True)
    assert (written.inputs, written.outputs) == ({"x": ["batch", 1, 8, 8]}, {"y": ["batch", 3]})
    x = np.ones((2, 1, 8, 8), np.float32)
    np.testing.assert_allclose(run(path, {"x": x})[0], _values(net, x), atol=1e-5)


def _values(net: nn.Module, x: np.ndarray) -> np.ndarray:
    return pl.run([net(pl.input(x.shape, name="x"))], {"x": x})[0]


def test_a_run_from_a_file_is_given_back_with_what_it_knows_now(tmp_path: Path) -> None:
    source, path = small_classifier(tmp_path / "source.onnx"), tmp_path / "again.onnx"
    model = onnx.load(source)
    helper.set_model_props(model, {"task": "digits of all kinds", "classes": '["a"]', "license": "MIT"})
    onnx.save(model, source)
    data = pl.load("digits")
    net = pl.models.build(str(source), num_classes=10, in_channels=1, image_size=8)
    run_ = pl.fit(net, data, epochs=1, out=tmp_path / "run", report=False)
    save_onnx(pl.load_run(tmp_path / "run"), path)
    after = onnx.load(path)
    facts = {p.key: p.value for p in after.metadata_props}
    assert (facts["task"], facts["license"]) == ("digits of all kinds", "MIT")
    assert json.loads(facts["classes"]) == [str(i) for i in range(10)]
    assert counts(after) == counts(model)
    images = run_.preprocessing.normalize(data.test.images(np.arange(20)))
    np.testing.assert_allclose(run(path, {"x": images})[0], _values(run_.net, images), atol=1e-4)


FIXED = [
    ({"batch": 3}, [3, 3, "h", "v"], [3, 4, "h", "v"]),
    ({"shape": (3, 8, 6)}, ["n", 3, 8, 6], ["n", 4, 8, 6]),
    ({"shape": {"x": (3, 8, 6)}, "batch": 1}, [1, 3, 8, 6], [1, 4, 8, 6]),
    ({"shape": [(3, 8, 6)], "batch": 1}, [1, 3, 8, 6], [1, 4, 8, 6]),
]


@pytest.mark.parametrize(("settings", "inputs", "outputs"), FIXED)
def test_open_axes_can_be_fixed(
    settings: dict[str, Any], inputs: list[Any], outputs: list[Any], tmp_path: Path
) -> None:
    path = tmp_path / "again.onnx"
    written = save_onnx(opened(write(tmp_path / "source.onnx", *CASES["half floats"])), path, **settings)
    assert (written.inputs, written.outputs) == ({"x": inputs}, {"y": outputs})
    assert written.open_axes == [size for size in inputs if isinstance(size, str)]
    onnx.checker.check_model(path, full_check=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"shape": (4, 8, 8)}, "input 'x': axis 1 is 3 in its file, it cannot be 4"),
        ({"shape": (3, 8)}, "input 'x': has 4 axes, shape gives 2 after the first"),
        ({"shape": {"images": (3, 8, 8)}}, "shape: there is no input 'images'; the inputs are x"),
        ({"shape": [(3, 8, 8), (4,)]}, "shape: has the shapes of 2 inputs; they are 1: x"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"opset": 30}, "operator sets from 18 to 22 can be written, got 30"),
    ],
)
def test_what_the_file_does_not_allow(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    net = opened(write(tmp_path / "source.onnx", *CASES["half floats"]))
    with pytest.raises(OnnxError, match=words):
        save_onnx(net, tmp_path / "again.onnx", **settings)
    assert not (tmp_path / "again.onnx").exists()


def test_nodes_in_any_order_come_back_in_order(tmp_path: Path) -> None:
    nodes, *rest = CASES["sizes that are computed"]
    source, path = write(tmp_path / "source.onnx", nodes[::-1], *rest), tmp_path / "again.onnx"
    save_onnx(opened(source), path)
    onnx.checker.check_model(path, full_check=True)
    assert Counter(n.SerializeToString() for n in onnx.load(path).graph.node) == Counter(
        n.SerializeToString() for n in nodes
    )


def branching() -> tuple[list[Any], Sides, Sides, dict[str, np.ndarray]]:
    """A choice between two layers; one's weight is an array of its branch, the other's is computed there."""
    value = helper.make_tensor_value_info
    first = helper.make_graph(
        [N("MatMul", ["x", "w"], ["a"])],
        "then",
        [],
        [value("a", FLOAT, ["n", 2])],
        [numpy_helper.from_array(normal(4, 2), "w")],
    )
    table = numpy_helper.from_array(np.ones((4, 2), np.int8), "q")
    second = helper.make_graph(
        [N("Cast", ["q"], ["w"], to=FLOAT), N("Gemm", ["x", "w"], ["b"])],
        "else",
        [],
        [value("b", FLOAT, ["n", 2])],
        [table],
    )
    choose = N("If", ["first"], ["y"], then_branch=first, else_branch=second)
    return (
        [N("MatMul", ["x", "outer"], ["o"]), choose, N("Add", ["y", "o"], ["sum"])],
        [("x", FLOAT, ["n", 4]), ("first", BOOL, [])],
        [("sum", FLOAT, ["n", 2])],
        {"outer": normal(4, 2)},
    )


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("fixed", [True, False])
def test_weights_of_branches_are_those_of_now(first: bool, fixed: bool, tmp_path: Path) -> None:
    source, path = write(tmp_path / "source.onnx", *branching()), tmp_path / "again.onnx"
    net = pl.load_onnx(source, set={"first": first} if fixed else None)
    assert save_onnx(net, path).operators == {"MatMul": 1, "If": 1, "Add": 1}
    for parameter in net.named_parameters().values():
        parameter.value = parameter.value + 0.5
    written = save_onnx(net, path)
    onnx.checker.check_model(path, full_check=True)
    assert list(written.inputs) == (["x"] if fixed else ["x", "first"])
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    feeds = {"x": x} if fixed else {"x": x, "first": np.array(first)}
    tensors = [pl.input(v.shape, str(v.dtype), n) for n, v in feeds.items()]
    np.testing.assert_allclose(run(path, feeds)[0], pl.run([net(*tensors)], feeds)[0], atol=1e-5)


def test_another_operator_set_is_written_anew(tmp_path: Path) -> None:
    name = "several of each, in an order of their own"
    source, path = write(tmp_path / "source.onnx", *CASES[name]), tmp_path / "again.onnx"
    written = save_onnx(opened(source), path, opset=22)
    onnx.checker.check_model(path, full_check=True)
    assert (written.opset, list(written.inputs), list(written.outputs)) == (22, ["a", "unused", "b"], ["early", "late"])
    assert written.inputs["a"] == ["N", 4]
    feeds = feeds_of(onnx.load(source), {})
    for actual, expected in zip(run(path, feeds), run(source, feeds), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_data_outside_of_the_file_is_taken_in(tmp_path: Path) -> None:
    source, path = small_classifier(tmp_path / "plain.onnx"), tmp_path / "out" / "again.onnx"
    path.parent.mkdir()
    model = onnx.load(source)
    onnx.save(model, tmp_path / "source.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    net = pl.load_onnx(tmp_path / "source.onnx")
    (tmp_path / "weights").unlink()
    save_onnx(net, path)
    again, model = onnx.load(path), onnx.load(source)
    assert list(again.graph.initializer) == list(model.graph.initializer)
    assert list(again.graph.node) == list(model.graph.node)


def test_sizes_written_as_minus_one_are_open(tmp_path: Path) -> None:
    source = save(tmp_path / "source.onnx", [N("Relu", ["x"], ["y"])], {"x": (None, 3)})
    written = save_onnx(pl.load_onnx(source), tmp_path / "again.onnx")
    assert (written.inputs, written.open_axes) == ({"x": ["?", 3]}, ["?"])
    assert str(written).startswith(f"{written.path}: ")
    assert "open axes: ?\nx (? x 3) -> y (? x 3)\n1 Relu" in str(written)


def test_outputs_without_a_shape_get_one(tmp_path: Path) -> None:
    nodes = [N("Conv", ["x", "w"], ["c"]), N("Reshape", ["c", "to"], ["r"]), N("Expand", ["c", "size"], ["e"])]
    nodes.insert(0, N("Shape", ["s"], ["size"]))
    inputs = {"x": ("n", 3, 8, "w"), "s": ("n", 4, 6, "v")}
    arrays = {"w": W, "to": np.array([0, -1])}
    source, path = save(tmp_path / "source.onnx", nodes, inputs, ("c", "r", "e"), arrays), tmp_path / "again.onnx"
    written = save_onnx(pl.load_onnx(source, w=8, v=6), path)
    onnx.checker.check_model(path, full_check=True)
    assert [len(shape) for shape in written.outputs.values()] == [4, 2, 4]
    assert written.outputs["c"][:3] == ["n", 4, 6]
