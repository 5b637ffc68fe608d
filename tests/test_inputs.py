"""What somebody gives for a network's inputs: arrays, with or without the batch axis, by name where there are several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import pellucid as pl
from many_networks import IDS, NETWORKS, example, given, network
from pellucid import nn
from pellucid.explain import ScoreError
from pellucid.inference.fed import InputError, feed
from pellucid.inference.ready import Ready


def recurrent(path: Path) -> Path:
    """An ONNX file with a signal, a state without a batch axis in front and a rate that is one number, as VADs have."""
    values = {"input": ("FLOAT", (1, 4)), "state": ("FLOAT", (2, 1, 4)), "sr": ("INT64", ())}
    nodes = [
        helper.make_node("Cast", ["sr"], ["rate"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Div", ["input", "rate"], ["x"], "div"),
        helper.make_node("Add", ["state", "x"], ["stateN"], "step"),
        helper.make_node("Sigmoid", ["x"], ["output"], "sigmoid"),
    ]
    graph = helper.make_graph(
        nodes,
        "vad",
        [helper.make_tensor_value_info(n, getattr(TensorProto, t), s) for n, (t, s) in values.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("output", "stateN")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("kind", NETWORKS)
def test_with_and_without_the_batch_axis(kind: str) -> None:
    ready = Ready(network(kind))
    fed = feed(ready, given(kind), "trace")
    without: dict[str, Any] = {
        name: array[0].astype(np.float64 if array.dtype.kind == "f" else np.int32)
        for name, array in given(kind).items()
    }
    for form in (without, without if len(without) > 1 else next(iter(without.values()))):
        again = feed(ready, form, "trace")
        assert again.arrays.keys() == fed.arrays.keys()
        for name, array in fed.arrays.items():
            assert np.allclose(again.arrays[name], array)
            assert again.arrays[name].shape == array.shape
    assert set(fed.feeds()) == set(fed.ready.graph.inputs)


def test_names_of_outputs() -> None:
    assert list(feed(Ready(network("two")), given("two"), "trace").ready.outputs) == ["scores", "mask"]

    class Nested(nn.Module):
        def forward(self, x: pl.Tensor) -> Any:
            return {"boxes": [x + 1, x + 2], "all": (x * 2,)}

    found = feed(Ready(Nested()), example(1, 3), "trace").ready.outputs
    assert list(found) == ["boxes.0", "boxes.1", "all.0"]


def test_a_file_with_states(tmp_path: Path) -> None:
    net = pl.load_onnx(recurrent(tmp_path / "vad.onnx"))
    asked = {"input": example(4), "state": np.zeros((2, 1, 4)), "sr": 16000}
    fed = feed(Ready(net), asked, "trace")
    shapes = {name: (str(array.dtype), array.shape) for name, array in fed.arrays.items()}
    assert shapes == {"input": ("float32", (1, 4)), "state": ("float32", (2, 1, 4)), "sr": ("int64", ())}
    assert list(fed.ready.outputs) == ["output", "stateN"]


WRONG: list[tuple[str, Any, str]] = [
    ("two", example(3, 8, 10), "takes 2 inputs, give arrays by name: {'picture': ..., 'about': ...}"),
    ("two", {"picture": example(3, 8, 10)}, "nothing is given for about; the network takes picture, about"),
    ("two", {"picture": example(3, 8, 10), "abuot": example(5)}, r"no input is called 'abuot' .did you mean 'about'.*takes picture, about"),
    ("two", {"picture": example(2, 3, 8, 10), "about": example(2, 5)}, "which the network cannot take for one example; conv"),
    ("segmentation", example(2, 3, 8, 10), r"wants one picture .*got float32 .2, 3, 8, 10."),
    ("segmentation", np.zeros((3, 8, 10), np.uint8), "float32 for 'x', got uint8"),
    ("segmentation", [[1, 2], [3]], "x is no array of numbers"),
    ("segmentation", np.array("text"), "got <U4"),
    ("segmentation", example(5, 8, 10), "3 input channels|wants 3"),
    ("ids", IDS.astype(np.uint64) + np.uint64(2**63), "whole numbers go up to"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "asked", "words"), WRONG)
def test_what_does_not_fit(kind: str, asked: Any, words: str) -> None:
    with pytest.raises(pl.PellucidError, match=words) as found:
        feed(Ready(network(kind)), asked, "trace")
    assert isinstance(found.value, ScoreError) or "channels" in words


STATED: list[tuple[dict[str, Any], str]] = [
    ({"state": np.zeros((2, 1, 5))}, r"got .*state float32 .2, 1, 5.*states .*state float32 .2, 1, 4."),
    ({"input": example(3, 4)}, r"'input' wants one example, .1, 4. or without its first axis, got .3, 4."),
    ({"sr": 1.5}, "whole numbers, int64 for 'sr', got float64"),
    ({"input": IDS}, "float32 for 'input', got int64"),
    ({"sr": [16000]}, r"'sr' wants one example, .. or without"),
]


@pytest.mark.parametrize(("changed", "words"), STATED)
def test_what_a_file_does_not_take(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    net = pl.load_onnx(recurrent(tmp_path / "vad.onnx"))
    asked = {"input": example(4), "state": np.zeros((2, 1, 4)), "sr": 16000, **changed}
    with pytest.raises(InputError, match=words):
        feed(Ready(net), asked, "trace")
