"""Quantized ONNX files against ONNX Runtime: operators one by one, to a quantum, and whole networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

import pellucid as pl
from onnx_models import save
from onnx_operators import (
    EXECUTORS,
    MS,
    RANDOM,
    SATURATES,
    WEIGHT,
    Case,
    check,
    floats,
    make,
    number,
    results,
    session,
    whole,
    written,
)


def scaled(name: str, scale: float, zero: int | None, dtype: Any = np.uint8) -> dict[str, np.ndarray | None]:
    """A scale and a zero point as inputs after the one called `name`."""
    return {f"{name} scale": number(scale), f"{name} zero": None if zero is None else number(zero, dtype)}


def one(
    kind: str,
    *shape: int,
    dtype: Any = np.uint8,
    zero: int | None = 3,
    scale: float = 0.0137,
    label: str = "",
    **attributes: Any,
) -> Case:
    """An operator of one quantized input."""
    given = {
        "x": whole(*(shape or (2, 3, 4, 5)), dtype=dtype),
        **scaled("x", 0.02, zero, dtype),
        **scaled("y", scale, zero, dtype),
    }
    given = {"x": given["x"]} if kind == "NhwcMaxPool" else given
    return Case(kind, given, attributes=attributes, label=label)


def two(
    kind: str,
    shape: tuple[int, ...] = (2, 3, 4, 5),
    other: tuple[int, ...] = (3, 1, 5),
    dtype: Any = np.uint8,
    zero: int | None = 100,
    label: str = "",
) -> Case:
    """An operator of two quantized inputs that broadcast."""
    given = {
        "x": whole(*shape, dtype=dtype),
        **scaled("x", 0.02, zero, dtype),
        "b": whole(*other, dtype=dtype),
        **scaled("b", 0.03, zero, dtype),
    }
    return Case(kind, {**given, **scaled("y", 0.05, zero, dtype)}, ("x", "b"), label=label)


def convolution(
    kind: str = "QLinearConv", dtype: Any = np.uint8, weights: Any = np.int8, channels: tuple[int, int] = (3, 8), per_channel: bool = True,
    bias: bool = True, zero: int = 7, domain: str = "", label: str = "", taps: int = 3, **attributes: Any,
) -> Case:  # fmt: skip
    """A quantized convolution; its weight has a scale (and, for uint8, a zero point) for each output channel or one for all."""
    weight = whole(channels[1], channels[0] // attributes.get("group", 1), taps, taps, dtype=weights)
    size = (channels[1],) if per_channel else ()
    scales = RANDOM.uniform(0.001, 0.01, size).astype(np.float32)
    zeros = np.full(size, 120 if weights is np.uint8 else 0, weights)
    last = attributes.get("channels_last")
    given = {
        "x": whole(2, 9, 9, channels[0], dtype=dtype) if last else whole(2, channels[0], 9, 9, dtype=dtype),
        **scaled("x", 0.02, zero, dtype), "w": weight, "w scale": scales, "w zero": zeros, **scaled("y", 0.3, 9, dtype),
        "bias": RANDOM.integers(-9000, 9000, channels[1]).astype(np.int32) if bias else None,
    }  # fmt: skip
    return Case(kind, given, domain=domain, attributes=attributes, label=label)


def integers(
    kind: str, x: np.ndarray, w: np.ndarray, x_zero: Any = None, w_zero: Any = None, label: str = "", **attributes: Any
) -> Case:
    """A product of whole numbers, which is exact."""
    given = {"x": x, "w": w, "x zero": x_zero, "w zero": w_zero}
    return Case(kind, given, domain="", within=0, attributes=attributes, label=label)


def product(per_column: bool = False, per_row: bool = False, dtype: Any = np.uint8) -> Case:
    columns = RANDOM.uniform(0.01, 0.02, 5 if per_column else ()).astype(np.float32)
    given = {
        "x": whole(4, 6, dtype=dtype), **scaled("x", 0.02, 3, dtype), "w": whole(6, 5, dtype=np.int8), "w scale": columns,
        "w zero": np.zeros(columns.shape, np.int8), **scaled("y", 0.05, 5, dtype),
    }  # fmt: skip
    return Case("QLinearMatMul", given, domain="", label="per column" if per_column else "")


def gemm(quantized: bool, bias: bool = True, per_column: bool = False, **attributes: Any) -> Case:
    columns = RANDOM.uniform(0.01, 0.02, 5 if per_column else ()).astype(np.float32)
    weight = whole(*((5, 6) if attributes.get("transB") else (6, 5)), dtype=np.int8)
    given = {
        "x": whole(*((6, 4) if attributes.get("transA") else (4, 6))), **scaled("x", 0.02, 3), "w": weight, "w scale": columns,
        "w zero": np.zeros(columns.shape, np.int8), "c": RANDOM.integers(-900, 900, 5).astype(np.int32) if bias else None,
        **(scaled("y", 0.05, 5) if quantized else {}),
    }  # fmt: skip
    return Case(
        "QGemm", given, within=1 if quantized else 2e-5, attributes=attributes, label=f"{quantized} {bias} {per_column}"
    )


def concatenation(dtype: Any = np.uint8) -> Case:
    parts = {
        "x": whole(2, 3, 4, dtype=dtype),
        **scaled("x", 0.02, 3, dtype),
        "b": whole(2, 5, 4, dtype=dtype),
        **scaled("b", 0.05, 100, dtype),
    }
    return Case("QLinearConcat", {**scaled("y", 0.037, 60, dtype), **parts}, ("x", "b"), attributes={"axis": 1})


def selection() -> Case:
    given = {
        "c": RANDOM.random((2, 3, 4)) < 0.5,
        "x": whole(2, 3, 4),
        **scaled("x", 0.02, 3),
        "b": whole(4),
        **scaled("b", 0.05, 100),
    }
    return Case("QLinearWhere", {**given, **scaled("y", 0.037, 60)}, ("c", "x", "b"))


FULL = (np.full((2, 4096), 255, np.uint8), np.full((4096, 3), WEIGHT, np.int8))
SIGNED = {"w": whole(6, 5, dtype=np.int8)}
LARGE = (
    np.full((1, 1, 20, 20), 255, np.uint8),
    np.where(np.arange(400).reshape(1, 1, 20, 20), 255, 254).astype(np.uint8),
)
ZEROS = number(130, np.uint8), number(120, np.uint8)
CASES = [
    *(two(kind, dtype=dtype) for kind in ("QLinearAdd", "QLinearMul") for dtype in (np.uint8, np.int8)),
    one("QLinearLeakyRelu", zero=None, label="without zero points"),
    *(one(kind, dtype=dtype) for kind in ("QLinearSigmoid", "QLinearLeakyRelu") for dtype in (np.uint8, np.int8)),
    one("QLinearSigmoid", zero=None, label="without zero points"),
    one("QLinearLeakyRelu", alpha=0.3, label="steep"),
    *(one("QLinearGlobalAveragePool", dtype=dtype) for dtype in (np.uint8, np.int8)),
    one("QLinearGlobalAveragePool", channels_last=1, label="channels last"),
    one("QLinearAveragePool", kernel_shape=[2, 2], strides=[2, 1]),
    one("QLinearAveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], label="padded"),
    one("QLinearAveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1, label="padding counts"),
    one("QLinearAveragePool", kernel_shape=[2, 2], channels_last=1, label="channels last"),
    *(one("QLinearSoftmax", scale=1 / 256, zero=0, axis=axis, opset=13, label=f"axis {axis}") for axis in (-1, 1)),
    *(one("QLinearSoftmax", scale=1 / 256, zero=0, axis=axis, opset=12, label=f"flat from {axis}") for axis in (0, 2)),
    one("NhwcMaxPool", kernel_shape=[2, 2], strides=[2, 1]),
    selection(),
    concatenation(),
    concatenation(np.int8),
    convolution(),
    convolution(dtype=np.int8, label="int8"),
    convolution(weights=np.uint8, per_channel=False, bias=False, label="uint8 weights"),
    convolution(weights=np.uint8, label="uint8 weights per channel"),
    convolution(channels=(32, 32), pads=[1, 1, 1, 1], label="padded"),
    convolution(channels=(8, 8), group=8, strides=[2, 2], label="per channel, strided"),
    convolution(channels=(8, 4), domain=MS, channels_last=1, group=1, label="channels last"),
    product(),
    product(per_column=True),
    product(dtype=np.int8),
    *(gemm(quantized, bias, columns, transB=1) for quantized in (True, False) for bias in (True, False) for columns in (True, False)),
    gemm(True, transA=1, transB=0),
    gemm(True, transB=1, alpha=0.5, bias=False),
    integers("MatMulInteger", whole(4, 6), whole(6, 5, dtype=np.int8)),
    integers("MatMulInteger", whole(4, 6), whole(6, 5), number(3, np.uint8), whole(5), label="zero points per column"),
    integers("MatMulInteger", whole(3, 4, 6, dtype=np.int8), whole(3, 6, 5, dtype=np.int8), number(-3, np.int8), label="batches"),
    integers("MatMulInteger", *FULL, label="beyond 2^24"),
    integers("ConvInteger", whole(1, 3, 9, 9), whole(8, 3, 3, 3), number(7, np.uint8), number(120, np.uint8)),
    integers("ConvInteger", whole(1, 64, 9, 9), whole(32, 64, 3, 3), *ZEROS, label="by Winograd", pads=[1, 1, 1, 1]),
    integers("ConvInteger", np.full((1, 256, 9, 9), 255, np.uint8), np.full((4, 256, 3, 3), 255, np.uint8), label="beyond 2^24"),
    integers("ConvInteger", np.full((1, 512, 5, 5), 255, np.uint8), np.full((4, 256, 3, 3), 255, np.uint8), label="beyond 2^24 in groups", group=2),
    integers("ConvInteger", *LARGE, label="beyond 2^24 in one channel"),
    Case("DynamicQuantizeLinear", {"x": floats(3, 40)}, domain="", outputs=3),
    Case("DynamicQuantizeLinear", {"x": abs(floats(3, 40)) + 1}, domain="", outputs=3, label="positive"),
    Case("DynamicQuantizeLinear", {"x": np.zeros((2, 3), np.float32)}, domain="", outputs=3, label="zeros"),
    Case("DynamicQuantizeMatMul", {"x": floats(4, 6), **SIGNED, "s": number(0.02), "z": number(0, np.int8), "b": floats(5)}, within=2e-5),
    Case("DynamicQuantizeMatMul", {"x": floats(4, 6), "w": whole(6, 5), "s": abs(floats(5)), "z": whole(5)}, within=2e-4, label="per column"),
    Case("MatMulIntegerToFloat", {"x": whole(4, 6), **SIGNED, "s": number(0.1), "t": abs(floats(5)), "z": number(9, np.uint8)}, within=2e-4),
    Case("QuantizeLinear", {"x": 3 * floats(2, 30), "s": number(0.03), "z": number(5, np.uint8)}),
    Case("DequantizeLinear", {"x": whole(2, 30), "s": number(0.03), "z": number(5, np.uint8)}, within=1e-6),
    Case("QuantizeLinear", {"x": 3 * floats(2, 5, 6), "s": abs(floats(5)) + 0.01, "z": whole(5, dtype=np.int8)}, domain="", label="per slice"),
    Case("QuantizeLinear", {"x": 9000 * floats(2, 30), "s": number(0.5), "z": number(7, np.int16)}, domain="", label="16 bits"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_operator(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path / "net.onnx")


def test_a_mean_by_its_formula(tmp_path: Path) -> None:
    """ONNX Runtime defines QLinearReduceMean, and computes it nowhere on processors."""
    case = one("QLinearReduceMean", axes=[1, 3], keepdims=0)
    x = case.inputs["x"]
    assert x is not None
    expected = np.clip(np.rint((x.astype(float) - 3).mean((1, 3)) * 0.02 / 0.0137) + 3, 0, 255)
    for (value,) in results(written(tmp_path / "net.onnx", case), {"x": x}).values():
        np.testing.assert_array_equal(value, expected)


class Calibration(CalibrationDataReader):
    """A few random pictures."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.left = [{"x": floats(*shape)} for _ in range(3)]

    def get_next(self) -> Any:
        return self.left.pop() if self.left else None


def network(path: Path) -> Path:
    """All that quantization knows: convolutions of three kinds, a sum, a product, a concatenation, poolings."""
    arrays = {
        "c.w": floats(16, 3, 3, 3) / 5, "c.b": floats(16), "d.w": floats(16, 1, 3, 3) / 3, "d.b": floats(16),
        "p.w": floats(16, 32, 1, 1) / 6, "p.b": floats(16), "f.w": floats(5, 16) / 2, "f.b": floats(5), "m.w": floats(5, 5),
    }  # fmt: skip
    nodes = [
        make("Conv", ["x", "c.w", "c.b"], ["c"], "c", pads=[1, 1, 1, 1]),
        make("Relu", ["c"], ["r"], "r"),
        make("Conv", ["r", "d.w", "d.b"], ["d"], "d", pads=[1, 1, 1, 1], group=16),
        make("LeakyRelu", ["d"], ["l"], "l", alpha=0.1),
        make("Add", ["r", "l"], ["s"], "s"),
        make("Concat", ["s", "l"], ["k"], "k", axis=1),
        make("Conv", ["k", "p.w", "p.b"], ["p"], "p"),
        make("Sigmoid", ["p"], ["g"], "g"),
        make("Mul", ["s", "g"], ["t"], "t"),
        make("MaxPool", ["t"], ["u"], "u", kernel_shape=[2, 2], strides=[2, 2]),
        make("AveragePool", ["u"], ["v"], "v", kernel_shape=[2, 2], strides=[2, 2]),
        make("GlobalAveragePool", ["v"], ["w"], "w"),
        make("Flatten", ["w"], ["f0"], "f0"),
        make("Gemm", ["f0", "f.w", "f.b"], ["f"], "f", transB=1),
        make("MatMul", ["f", "m.w"], ["y"], "y"),
    ]
    return save(path, nodes, {"x": (1, 3, 16, 16)}, arrays=arrays, opset=17)


def quantum(path: Path) -> float:
    """The scale of the last numbers that a model quantizes."""
    graph = onnx.load(path).graph
    (node,) = (n for n in graph.node if n.output[0] == "y")
    return float(next(numpy_helper.to_array(t) for t in graph.initializer if t.name == node.input[1]))


KINDS = {
    f"{form.name} {activation.name} {'per channel' if per_channel else 'per tensor'}": (form, activation, per_channel)
    for form in (QuantFormat.QOperator, QuantFormat.QDQ)
    for activation in (QuantType.QUInt8, QuantType.QInt8)
    for per_channel in (False, True)
}


@pytest.mark.parametrize("kind", [*KINDS, "dynamic QUInt8", "dynamic QInt8"])
def test_networks_as_onnx_runtime_quantizes_them(kind: str, tmp_path: Path) -> None:
    source, path = network(tmp_path / "float.onnx"), tmp_path / "net.onnx"
    if kind in KINDS:
        form, activation, per_channel = KINDS[kind]
        types = {"activation_type": activation, "weight_type": QuantType.QInt8, "reduce_range": SATURATES}
        quantize_static(source, path, Calibration((1, 3, 16, 16)), quant_format=form, per_channel=per_channel, **types)
    else:
        quantize_dynamic(source, path, weight_type=QuantType[kind.split()[1]], reduce_range=SATURATES)
    feeds = {"x": floats(1, 3, 16, 16)}
    (expected,) = session(path, as_written=True).run(None, feeds)
    far = 2.01 * quantum(path) if kind in KINDS else 1e-5 * np.abs(expected).max()
    for executor, (value,) in results(path, feeds).items():
        np.testing.assert_allclose(value, expected, rtol=0, atol=far, err_msg=executor)
    if "native" in EXECUTORS:
        net = pl.load_onnx(path)
        assert pl.compile([net(*net.example_inputs())], executor="native").fallbacks == ()


def test_gradients_go_through_rounding(tmp_path: Path) -> None:
    source, path = network(tmp_path / "float.onnx"), tmp_path / "net.onnx"
    quantize_static(source, path, Calibration((1, 3, 16, 16)), quant_format=QuantFormat.QDQ)
    slopes = []
    x = floats(1, 3, 16, 16)
    for file in (source, path):
        net = pl.load_onnx(file)
        (images,) = net.example_inputs()
        slopes += pl.run(pl.gradients(net(images)[0, 2], [images]), {images: x})
    similar = (slopes[0] * slopes[1]).sum() / np.linalg.norm(slopes[0]) / np.linalg.norm(slopes[1])
    assert similar > 0.5, similar


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_dynamically_quantized_lstm(per_channel: bool, tmp_path: Path) -> None:
    """The states are within what quantizing them between steps, as ONNX Runtime does, takes away."""
    arrays = {"w": floats(2, 32, 5) / 3, "r": floats(2, 32, 8) / 3, "b": floats(2, 64) / 5}
    node = make("LSTM", ["x", "w", "r", "b"], ["y"], "lstm", hidden_size=8, direction="bidirectional")
    source = save(tmp_path / "float.onnx", [node], {"x": (6, 2, 5)}, arrays=arrays)
    path = tmp_path / "net.onnx"
    quantize_dynamic(source, path, op_types_to_quantize=["LSTM"], per_channel=per_channel, reduce_range=SATURATES)
    assert {n.op_type for n in onnx.load(path).graph.node} == {"DynamicQuantizeLSTM"}
    feeds = {"x": floats(6, 2, 5)}
    (expected,) = session(path).run(None, feeds)
    for executor, (value,) in results(path, feeds).items():
        np.testing.assert_allclose(value, expected, rtol=0, atol=2 / 255, err_msg=executor)
