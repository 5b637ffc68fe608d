"""What ONNX Runtime's optimizer writes: operators of its own, one by one, and whole files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import pellucid as pl
from onnx_models import normal, save, small_classifier
from onnx_operators import MS, Case, check, floats, make, results, session, written
from pellucid.interop import OnnxError
from pellucid.interop.onnx_reader.operators.registry import handled
from test_onnx_quantized import CASES as QUANTIZED

CONVOLUTION = {"x": floats(2, 3, 7, 7), "w": floats(4, 3, 3, 3), "b": floats(4)}
MATRICES = {"x": floats(4, 6), "w": floats(6, 5), "b": floats(5)}
ROWS = {"x": floats(2, 3, 8), "skip": floats(2, 3, 8), "g": floats(8), "shift": floats(8), "bias": floats(8)}


def case(
    kind: str, given: dict[str, Any], domain: str = MS, outputs: int = 1, label: str = "", **attributes: Any
) -> Case:
    return Case(kind, given, domain=domain, outputs=outputs, within=3e-6, attributes=attributes, label=label)


def some(*names: str, of: dict[str, Any] = ROWS) -> dict[str, Any]:
    return {name: of[name] for name in names}


NUMBERS = {"Relu": [], "Tanh": [], "Sigmoid": [], "LeakyRelu": [0.2], "Clip": [-0.5, 0.7], "HardSigmoid": [0.3, 0.4]}
"""Activations, and their numbers in order."""


def activated(kind: str, numbers: list[float]) -> Case:
    given = {"activation_params": numbers} if numbers else {}
    return case("FusedConv", CONVOLUTION, label=kind, activation=kind, **given)


CASES = [
    *(activated(kind, numbers) for kind, numbers in NUMBERS.items()),
    case("FusedConv", some("x", "w", of=CONVOLUTION), activation="Relu", pads=[1, 1, 1, 1], strides=[2, 2], label="without bias"),
    case("FusedConv", {**CONVOLUTION, "z": floats(2, 4, 5, 5)}, activation="Relu", label="and a sum"),
    case("FusedConv", {**CONVOLUTION, "z": floats(2, 4, 5, 5)}, label="sum alone"),
    case("FusedGemm", MATRICES, activation="Relu"),
    case("FusedGemm", {**MATRICES, "w": floats(5, 6)}, activation="LeakyRelu", activation_alpha=0.2, transB=1, alpha=0.5, beta=2.0, label="scaled"),
    case("FusedMatMul", some("x", "w", of=MATRICES), alpha=0.3),
    case("FusedMatMul", {"x": floats(2, 3, 6, 4), "w": floats(2, 3, 5, 6)}, transA=1, transB=1, label="transposed"),
    case("FusedMatMul", {"x": floats(4, 2, 6), "w": floats(2, 6, 5)}, transBatchA=1, label="batch in the middle"),
    case("TransposeMatMul", {"x": floats(6, 4), "w": floats(6, 5)}, transA=1),
    case("Gelu", some("x")),
    case("BiasGelu", some("x", "bias")),
    case("FastGelu", some("x")),
    case("FastGelu", some("x", "bias"), label="with bias"),
    case("QuickGelu", some("x")),
    case("QuickGelu", some("x"), alpha=1.0, label="alpha"),
    case("SkipLayerNormalization", some("x", "skip", "g", "shift", "bias"), epsilon=1e-5),
    case("SkipLayerNormalization", some("x", "skip", "g"), label="scale alone"),
    case("SkipSimplifiedLayerNormalization", some("x", "skip", "g", "bias"), epsilon=1e-5),
    case("SimplifiedLayerNormalization", some("x", "g"), "", axis=-1, epsilon=1e-5),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_operator(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path / "net.onnx")


def test_the_sum_beside_a_normalization(tmp_path: Path) -> None:
    node = make("SkipLayerNormalization", ["x", "skip", "g"], ["y", "", "", "sum"], domain=MS)
    inputs = {"x": (2, 3, 8), "skip": (2, 3, 8)}
    domains = [helper.make_opsetid(MS, 1)]
    path = save(tmp_path / "net.onnx", [node], inputs, ("y", "sum"), some("g"), domains=domains)
    feeds = some("x", "skip")
    for values in results(path, feeds).values():
        for value, want in zip(values, session(path).run(None, feeds), strict=True):
            np.testing.assert_allclose(value, want, rtol=1e-5, atol=1e-5)


def test_layer_normalization_in_an_older_operator_set(tmp_path: Path) -> None:
    node = make("LayerNormalization", ["x", "g", "shift"], ["y"], axis=-1, epsilon=1e-5)
    path = save(tmp_path / "net.onnx", [node], {"x": (2, 3, 8)}, arrays=some("g", "shift"), opset=13)
    for (value,) in results(path, some("x")).values():
        np.testing.assert_allclose(value, session(path).run(None, some("x"))[0], rtol=1e-5, atol=1e-5)
    net = pl.load_onnx(path)
    assert list(net.state_dict()) == ["g", "shift"]


def optimized(source: Path, path: Path, level: Any) -> Path:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return path


def test_files_that_onnx_runtime_optimized(tmp_path: Path) -> None:
    levels = onnxruntime.GraphOptimizationLevel
    source = small_classifier(tmp_path / "net.onnx")
    feeds = {"x": normal(1, 1, 8, 8)}
    (expected,) = session(source).run(None, feeds)
    path = optimized(source, tmp_path / "extended.onnx", levels.ORT_ENABLE_EXTENDED)
    assert "FusedConv" in {node.op_type for node in onnx.load(path).graph.node}
    for (value,) in results(path, feeds).values():
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)
    net = pl.load_onnx(path)
    assert net.head == ("fc.weight", "fc.bias")


def test_every_operator_of_onnx_runtime_is_tested() -> None:
    tested = {case.kind for case in (*CASES, *QUANTIZED) if case.domain == MS}
    assert {*handled(MS)} == tested | {"QLinearReduceMean", "DynamicQuantizeLSTM"}


def test_inputs_that_are_left_out(tmp_path: Path) -> None:
    """Each input of each kind of operator: it may be left out, or that is an error that says so."""
    refused = 0
    for case in {case.kind: case for case in (*CASES, *QUANTIZED)}.values():
        for name in case.inputs:
            if name in case.fed:
                continue
            path = written(tmp_path / "net.onnx", replace(case, inputs={**case.inputs, name: None}))
            try:
                pl.load_onnx(path)
            except OnnxError as error:
                refused += "must not be left out" in str(error)
    assert refused > 40
