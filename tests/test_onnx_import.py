"""ONNX files as networks: parameters, batch sizes, training, symbols, folding; and ONNX Runtime's numbers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as runtime
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

import pellucid as pl
from onnx_models import normal, save, small_classifier
from pellucid import nn
from pellucid.cli import app
from pellucid.executors import TOLERANCE, available_executors
from pellucid.graph import Constant
from pellucid.interop import OnnxError, OnnxNetwork

EXECUTORS = [name for name, reason in available_executors().items() if name != "torch" and not reason]


def test_a_network_like_any_other(tmp_path: Path) -> None:
    path = small_classifier(tmp_path / "net.onnx")
    net = pl.load_onnx(path)
    assert not net.training
    assert net.num_parameters() == 4 * 9 + 4 + 4 + 4 + 40 + 10
    assert list(net.state_dict()) == [
        "conv.weight",
        "conv.bias",
        "bn.weight",
        "bn.bias",
        "bn.mean",
        "bn.var",
        "fc.weight",
        "fc.bias",
    ]
    assert (net.input_shapes, net.output_names) == ({"x": (1, 1, 8, 8)}, ("y",))
    rows = {row.name: (row.kind, row.parameters, row.flops) for row in net.summary((1, 8, 8)).rows}
    assert list(rows) == ["conv", "bn", "relu", "pool", "flatten", "fc"]
    assert rows["conv"] == ("Conv", 40, 2 * 9 * 256 + 256)
    assert rows["fc"] == ("Gemm", 50, 2 * 4 * 10 + 10)
    session = runtime.InferenceSession(path)
    for batch in (1, 3):
        x = normal(batch, 1, 8, 8)
        expected = session.run(None, {"x": x})[0]
        for executor in EXECUTORS:
            got = pl.run([net(pl.input(x.shape, name="x"))], {"x": x}, executor)[0]
            np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE["float32"] * np.abs(expected).max())
    state = net.state_dict()
    net.load_state_dict({name: value * 2 for name, value in state.items()})
    net.initialize(seed=5)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, state[name])


def test_training_mode_is_that_of_the_layers(tmp_path: Path) -> None:
    net = pl.load_onnx(small_classifier(tmp_path / "net.onnx"))
    twin = nn.BatchNorm2d(4)
    names = {"weight": "bn.weight", "bias": "bn.bias", "running_mean": "bn.mean", "running_var": "bn.var"}
    state = net.state_dict()
    twin.load_state_dict({own: state[name] for own, name in names.items()})
    x = normal(5, 1, 8, 8)
    images = pl.input(x.shape, name="x")
    net.train()
    with pytest.raises(OnnxError, match=r"Dropout node 'drop'.*training_step"):
        net(images)
    with nn.training_step(seed=1) as step, pl.collect_updates() as updates:
        y = net(images)
    twin.train()
    with pl.collect_updates() as expected:
        twin(pl.conv2d(images, pl.constant(state["conv.weight"]), pl.constant(state["conv.bias"]), padding=1))
    got = pl.run([y, *updates.values()], {images: x, step: np.int64(0)})
    assert [p.name for p in updates] == ["bn.mean", "bn.var"]
    for value, want in zip(got[1:], pl.run(list(expected.values()), {images: x}), strict=True):
        np.testing.assert_allclose(value, want, rtol=1e-6, atol=1e-6)  # means near 0 are differences of numbers near 1
    again = pl.run([y], {images: x, step: np.int64(1)})[0]
    assert not np.array_equal(again, got[0]), "dropout draws anew at every step"


def test_fine_tuning_starts_from_the_file(tmp_path: Path) -> None:
    net = pl.load_onnx(small_classifier(tmp_path / "net.onnx"))
    before = net.state_dict()
    run = pl.fit(net, pl.load("digits"), epochs=1, learning_rate=1e-6, out=tmp_path / "run")
    assert run.test is not None
    for name, value in net.state_dict().items():
        assert not np.array_equal(value, before[name]), name
        if name not in ("bn.mean", "bn.var"):
            np.testing.assert_allclose(value, before[name], rtol=0, atol=1e-2)


def test_symbolic_dimensions(tmp_path: Path) -> None:
    path = small_classifier(tmp_path / "net.onnx", "side")
    with pytest.raises(OnnxError, match=r"net.onnx: symbolic dimensions without a value: side \(axis 2 of 'x'\), side"):
        pl.load_onnx(path)
    with pytest.raises(OnnxError, match=r"dimensions sides=8 do not fit; symbols of the inputs: batch, side"):
        pl.load_onnx(path, sides=8)
    assert pl.load_onnx(path, side=8).input_shapes == {"x": (1, 1, 8, 8)}
    assert pl.load_onnx(path, side=9, batch=2).input_shapes == {"x": (2, 1, 9, 9)}
    assert pl.open_model(path, image_size=12).shape == (1, 12, 12)
    with pytest.raises(pl.PellucidError, match="where 1 cannot be made 3"):
        pl.open_model(path, image_size=12, in_channels=3)


def test_everything_unsupported_at_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Multinomial", ["x"], ["a"]),
        helper.make_node("Multinomial", ["x"], ["b"]),
        helper.make_node("Mystery", ["x"], ["y"], domain="com.example"),
    ]
    path = save(tmp_path / "net.onnx", nodes, {"x": (2, 3)}, domains=[helper.make_opsetid("com.example", 1)])
    with pytest.raises(OnnxError, match=r"net.onnx: operators .* occur: Multinomial \(2\), com.example.Mystery \(1\)"):
        pl.load_onnx(path)


def test_shape_arithmetic_leaves_no_node(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Unsqueeze", ["batch", "axis"], ["row"]),
        helper.make_node("Concat", ["row", "rest"], ["to"], axis=0),
        helper.make_node("Reshape", ["x", "to"], ["flat"], "flat"),
        helper.make_node("Mul", ["two", "two"], ["four"]),
        helper.make_node("Mul", ["flat", "four"], ["y"], "scaled"),
    ]
    arrays = {
        "zero": np.array(0),
        "axis": np.array([0]),
        "rest": np.array([-1]),
        "two": np.array(2, np.float32),
    }
    net = pl.load_onnx(save(tmp_path / "net.onnx", nodes, {"x": ("n", 3, 2)}, arrays=arrays))
    graph = net.graph((5, 3, 2))
    assert [node.name for node in graph.nodes if not isinstance(node.op, Constant)] == ["x", "flat", "scaled"]
    assert graph.outputs[0].shape == (5, 6)
    assert net.num_parameters() == 0
    np.testing.assert_array_equal(pl.run([graph.outputs[0]], {"x": np.ones((5, 3, 2))})[0], np.full((5, 6), 4))


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["rest"])]
    net = pl.load_onnx(save(tmp_path / "net.onnx", nodes, {"a": (2,), "b": (2,)}, ("sum", "rest")))
    outputs = net(*net.example_inputs())
    feeds = {"a": np.array([3, 4]), "b": np.array([1, 2])}
    np.testing.assert_array_equal(pl.run(outputs, feeds), [[4, 6], [2, 2]])
    with pytest.raises(OnnxError, match=r"wants 2 inputs \(a, b\), got 1"):
        net(pl.input((2,)))
    assert pl.open_model(tmp_path / "net.onnx").net.output_names == ("sum", "rest")


def test_a_backbone_with_several_outputs(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["fine"], "fine", strides=[2, 2]),
        helper.make_node("MaxPool", ["fine"], ["coarse"], "coarse", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    path = save(tmp_path / "net.onnx", nodes, {"x": (1, 3, 9, 9)}, ("coarse", "fine"), {"w": normal(4, 3, 3, 3)})
    net = pl.load_onnx(path)
    assert [o.shape for o in net.graph((2, 3, 9, 9)).outputs] == [(2, 4, 2, 2), (2, 4, 4, 4)]
    rows = [(row.name, row.output_shape, row.receptive_field) for row in net.summary((3, 9, 9)).rows]
    assert rows == [("fine", (4, 4, 4), (3, 3)), ("coarse", (4, 2, 2), (5, 5))]


def test_quantized_weights_are_parameters(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["w"], axis=0),
        helper.make_node("Conv", ["x", "w"], ["y"], "conv"),
    ]
    whole = np.arange(-6, 6, dtype=np.int8).reshape(2, 6, 1, 1)
    arrays = {"q": whole, "scale": np.array([0.5, 2], np.float32), "zero": np.array([0, 1], np.int8)}
    net = pl.load_onnx(save(tmp_path / "net.onnx", nodes, {"x": (1, 6, 1, 1)}, arrays=arrays))
    (weight,) = net.parameters()
    assert weight.name == "w"
    expected = (whole - np.array([0, 1]).reshape(2, 1, 1, 1)) * np.array([0.5, 2]).reshape(2, 1, 1, 1)
    np.testing.assert_array_equal(weight.value, expected.astype(np.float32))


def test_functions_of_the_file(tmp_path: Path) -> None:
    body = [
        helper.make_node("Constant", [], ["factor"]),
        helper.make_node("Mul", ["v", "factor"], ["w"]),
        helper.make_node("Relu", ["w"], ["z"]),
    ]
    body[0].attribute.add(name="value_float", ref_attr_name="by", type=onnx.AttributeProto.FLOAT)
    function = helper.make_function("own", "Scaled", ["v"], ["z"], body, [helper.make_opsetid("", 17)], ["by"])
    nodes = [helper.make_node("Scaled", ["x"], ["y"], "scaled", domain="own", by=-2.0)]
    path = save(
        tmp_path / "net.onnx", nodes, {"x": (2,)}, functions=[function], domains=[helper.make_opsetid("own", 1)]
    )
    net = pl.load_onnx(path)
    np.testing.assert_array_equal(pl.run([net(pl.input((2,), name="x"))], {"x": np.array([-1, 1])})[0], [2, 0])


def test_branches_that_the_file_decides(tmp_path: Path) -> None:
    def branch(kind: str) -> Any:
        value = helper.make_tensor_value_info(kind, TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(kind, ["x"], [kind])], kind, [], [value])

    node = helper.make_node("If", ["yes"], ["y"], then_branch=branch("Neg"), else_branch=branch("Abs"))
    path = save(tmp_path / "net.onnx", [node], {"x": (2,)}, arrays={"yes": np.array(True)})
    net = pl.load_onnx(path)
    np.testing.assert_array_equal(pl.run([net(pl.input((2,), name="x"))], {"x": np.array([1, -2])})[0], [-1, 2])


def test_commands_take_files(tmp_path: Path) -> None:
    path = small_classifier(tmp_path / "net.onnx", "side")
    cli = CliRunner()
    shown = cli.invoke(app, ["inspect", str(path), "--image-size", "8"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0, shown.output
    assert [line.split()[0] for line in shown.output.splitlines()[2:8]] == [
        "conv",
        "bn",
        "relu",
        "pool",
        "flatten",
        "fc",
    ]
    facts = json.loads(cli.invoke(app, ["inspect", str(path), "--image-size", "8", "--json"]).output)
    assert facts["total_parameters"] == 4 * 9 + 4 + 4 + 4 + 40 + 10
    if "native" in EXECUTORS:
        plan = cli.invoke(app, ["inspect", str(path), "--image-size", "8", "--plan"])
        assert plan.exit_code == 0, plan.output
        assert "conv" in plan.output


def test_without_the_onnx_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = small_classifier(tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OnnxError, match=r"pip install 'pellucid\[onnx\]'"):
        pl.load_onnx(path)


LIGHT = sorted((Path(onnx.__file__).parent / "backend" / "test" / "data" / "light").glob("*.onnx"))
LARGEST = 4_000_000
"""Weights with more elements have one value everywhere, as in the file but smaller, to save memory."""


def with_random_weights(path: Path) -> Any:
    """An architecture of the onnx package, whose weights are one constant each, with random ones."""
    model = onnx.load(path)
    graph = model.graph
    shapes = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    random = np.random.default_rng(1)
    kept = []
    for node in graph.node:
        shape = shapes.get(node.input[0]) if node.op_type == "ConstantOfShape" else None
        if shape is None or np.prod(shape) > LARGEST:
            if shape is not None:
                node.attribute[0].t.CopyFrom(numpy_helper.from_array(np.array([1 / np.prod(shape[1:])], np.float32)))
            kept.append(node)
            continue
        spread = np.sqrt(2 / max(1, np.prod(shape[1:])))
        value = random.standard_normal(tuple(shape)) * spread if len(shape) > 1 else random.uniform(0.5, 1.5, shape)
        graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    return model


def test_there_are_nine_architectures() -> None:
    assert len(LIGHT) == 9


@pytest.mark.parametrize("path", LIGHT, ids=lambda p: p.stem.removeprefix("light_"))
def test_architectures_agree_with_onnx_runtime(path: Path, tmp_path: Path) -> None:
    model = with_random_weights(path)
    data = model.SerializeToString()
    (tmp_path / "net.onnx").write_bytes(data)
    net = pl.load_onnx(tmp_path / "net.onnx")
    (shape,) = net.input_shapes.values()
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    inputs = net.example_inputs()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    expected = session.run(None, {inputs[0].name: x})[0]
    for executor in EXECUTORS:
        program = pl.compile([net(*inputs)], executor=executor)
        assert program.fallbacks == ()
        (got,) = program({inputs[0]: x})
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_onnx_network_prints_what_it_is(tmp_path: Path) -> None:
    net = pl.load_onnx(small_classifier(tmp_path / "net.onnx"))
    assert isinstance(net, OnnxNetwork)
    assert repr(net) == "OnnxNetwork(x (1, 1, 8, 8) -> y)"
