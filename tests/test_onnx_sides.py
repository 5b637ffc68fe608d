"""Networks with several inputs and outputs are written with their names, order and types, for batches of any size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from many_networks import NETWORKS, given, network
from pellucid import nn
from pellucid.graph import Tensor
from pellucid.interop import OnnxError, save_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def session(path: Path) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])


def agree(net: nn.Module, path: Path, feeds: dict[str, np.ndarray]) -> None:
    """The file gives what the network gives for inputs in its order, in number, order, type and value."""
    onnx.checker.check_model(path, full_check=True)
    tensors = [pl.input(v.shape, str(v.dtype), n) for n, v in feeds.items()]
    outputs = list(net.named_outputs(net(*tensors)).values())
    program = pl.compile(outputs, executor="reference")
    made = program({n: v for n, v in feeds.items() if n in {i.name for i in program.graph.inputs}})
    expected = [value.astype(node.dtype) for value, node in zip(made, outputs, strict=True)]
    ready = session(path)
    names = [i.name for i in ready.get_inputs()]
    got = ready.run(None, dict(zip(names, feeds.values(), strict=True)))
    assert [(a.shape, a.dtype) for a in got] == [(e.shape, e.dtype) for e in expected]
    for a, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=0, atol=1e-5)


def batches(feeds: dict[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    return {n: np.concatenate([v] * size) for n, v in feeds.items()}


@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_of_all_kinds(kind: str, tmp_path: Path) -> None:
    net, feeds, path = network(kind), given(kind), tmp_path / "net.onnx"
    written = save_onnx(net, path, example=feeds)
    assert list(written.inputs) == list(feeds)
    assert all(shape[0] == "N" for side in (written.inputs, written.outputs) for shape in side.values())
    for size in (1, 3):
        agree(net, path, batches(feeds, size))


def test_an_example_may_be_one_array(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    example = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    written = save_onnx(nn.Linear(4, 3), path, example=example)
    assert (written.inputs, written.outputs) == ({"images": ["N", 4]}, {"logits": ["N", 3]})


@pytest.mark.parametrize(
    "settings",
    [
        {"shape": {"about": (5,), "picture": (3, 8, 10)}},
        {"shape": [(3, 8, 10), (5,)]},
        {"example": {"picture": np.zeros((1, 3, 8, 10)), "about": np.zeros((1, 5))}},
    ],
)
def test_shapes_are_given_by_name_or_in_order(settings: dict[str, Any], tmp_path: Path) -> None:
    net, path = network("two"), tmp_path / "net.onnx"
    written = save_onnx(net, path, **settings)
    assert list(written.inputs.items()) == [("picture", ["N", 3, 8, 10]), ("about", ["N", 5])]
    assert list(written.outputs.items()) == [("scores", ["N", 3]), ("mask", ["N", 1, 8, 10])]
    assert written.elements == dict.fromkeys(("picture", "about", "scores", "mask"), "FLOAT")
    assert (written.open_axes, written.to_dict()["open_axes"]) == (["N"], ["N"])
    agree(net, path, batches(given("two"), 2))
    assert save_onnx(net, path, **settings, batch=2).inputs == {"picture": [2, 3, 8, 10], "about": [2, 5]}


class Calls(nn.Module):
    """A network that is one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.w = pl.Parameter.of(np.arange(4.0, dtype=np.float32), "w")
        vars(self)["function"] = function

    def forward(self, a: Tensor, b: Tensor) -> Any:  # type: ignore[override]
        return self.function(self, a, b)


OUTPUTS: list[tuple[str, Callable[..., Any], list[str]]] = [
    ("in an order of their own", lambda net, a, b: (b - a, a * 2.0, a + b), ["out0", "out1", "out2"]),
    ("one of another", lambda net, a, b: (pl.relu(c := a - b), c), ["out0", "out1"]),
    ("one tensor twice", lambda net, a, b: (c := a + b, c), ["out0", "out1"]),
    ("an input", lambda net, a, b: (a, a + b), ["out0", "out1"]),
    ("an input alone", lambda net, a, b: b, ["logits"]),
    ("a parameter", lambda net, a, b: (net.w, a + net.w), ["out0", "out1"]),
    ("a constant", lambda net, a, b: (pl.constant(np.ones(3)), a), ["out0", "out1"]),
    ("an unused input", lambda net, a, b: pl.relu(b), ["logits"]),
    ("names that others have", lambda net, a, b: {"a": pl.relu(a).named("w"), "w": a + net.w}, ["a_1", "w"]),
    ("lists in dicts", lambda net, a, b: {"x": [a + b, a - b], "y": a}, ["x.0", "x.1", "y"]),
    ("whole numbers and truths", lambda net, a, b: (pl.argmax(a, 1), a > b), ["out0", "out1"]),
    (
        "whole numbers beside floats",
        lambda net, a, b: (a + (n := pl.argmax(b, 1, True)), a > n, pl.ops.remainder(a, n + 1)),
        ["out0", "out1", "out2"],
    ),
    ("a name inside that an output has", lambda net, a, b: pl.relu((a + b).named("logits")), ["logits"]),
]


@pytest.mark.parametrize(("what", "function", "names"), OUTPUTS, ids=[row[0] for row in OUTPUTS])
def test_outputs_of_all_kinds(what: str, function: Callable[..., Any], names: list[str], tmp_path: Path) -> None:
    net, path = Calls(function), tmp_path / "net.onnx"
    written = save_onnx(net, path, shape=[(4,), (4,)])
    assert (written.inputs, list(written.outputs)) == ({"a": ["N", 4], "b": ["N", 4]}, names)
    random = np.random.default_rng(0)
    for size in (1, 3):
        agree(net, path, {n: random.standard_normal((size, 4)).astype(np.float32) for n in "ab"})
    again = pl.load_onnx(path)
    assert (list(again.input_shapes), list(again.output_names)) == (["a", "b"], names)
    second = tmp_path / "again.onnx"
    save_onnx(again, second)
    assert onnx.load(second) == onnx.load(path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"shape": (4,)}, "shape: has the shapes of 1 inputs; they are 2: a, b"),
        ({"shape": {"a": (4,)}}, "shape: that of the input 'b' is missing"),
        ({"shape": {"a": (4,), "c": (4,)}}, "shape: there is no input 'c'; the inputs are a, b"),
        ({"shape": (4,), "example": np.zeros((1, 4))}, "shape and example both say what the inputs are"),
        ({"example": {"a": ["x"], "b": ["y"]}}, "example: 'a' must be an array of numbers, got <U1"),
        ({}, "give the shape of one image"),
    ],
)
def test_errors(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(OnnxError, match=words):
        save_onnx(Calls(lambda net, a, b: a + b), tmp_path / "net.onnx", **settings)
