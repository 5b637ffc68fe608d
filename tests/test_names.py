"""Names of layers: what is asked for by name is the layer of that name, whatever else is called so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

import pellucid as pl
from onnx_models import normal, save
from pellucid import nn

PICTURE = np.ones((2, 4, 3), np.float32)


class Clashing(nn.Module):
    """Layers of the given names, as `join` calls them."""

    def __init__(self, join: Callable[[Any, pl.Tensor], pl.Tensor], *names: str) -> None:
        super().__init__()
        for name in names:
            setattr(self, name, nn.Conv2d(2, 2, 1))
        self._join = join
        self.initialize(0)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self._join(self, x)


@pytest.mark.parametrize(
    ("join", "layers", "expected"),
    [
        (lambda n, x: n.conv_1(n.conv(n.conv(x))), ("conv", "conv_1"), ["conv", "conv_2", "conv_1"]),
        (lambda n, x: n.conv(n.conv(n.conv_1(x))), ("conv", "conv_1"), ["conv_1", "conv", "conv_2"]),
        (lambda n, x: n.c_2(n.c(n.c_1(n.c(n.c(x))))), ("c", "c_1", "c_2"), ["c", "c_3", "c_1", "c_4", "c_2"]),
        (lambda n, x: n.relu(pl.relu(x)), ("relu",), ["relu_1", "relu"]),
        (lambda n, x: n.add(x + 1.0) + 2.0, ("add",), ["add_1", "add", "add_2"]),
        (lambda n, x: n.x(n.image(n.input(x))), ("x", "image", "input"), ["input", "image", "x"]),
    ],
)
def test_a_name_is_that_of_the_layer(
    join: Callable[[Any, pl.Tensor], pl.Tensor], layers: tuple[str, ...], expected: list[str]
) -> None:
    net = Clashing(join, *layers)
    graph = net.graph((1, *PICTURE.shape))
    for layer in layers:
        weight = net.named_parameters()[f"{layer}.weight"]
        assert weight in {p for i in graph[layer].inputs for p in (i, *i.inputs)}
    summary = net.summary(PICTURE.shape)
    assert [row.name for row in summary.rows] == expected
    assert {row.name: row.kind for row in summary.rows if row.kind == "Conv2d"}.keys() >= set(layers)
    (scores,) = pl.compile(graph.outputs)({"x": PICTURE[None]})
    assert scores.shape == (1, *PICTURE.shape), "the input is fed by its own name"


def test_answers_by_name_are_about_that_layer() -> None:
    net = Clashing(lambda n, x: n.conv_1(n.conv(n.conv(x))).sum((2, 3)), "conv", "conv_1")
    trace = pl.trace(net, PICTURE)
    assert [name for name in trace if name.startswith("conv")] == ["conv", "conv_2", "conv_1"]
    np.testing.assert_allclose(trace["conv_1"].value.sum((1, 2)), trace["sum"].value, rtol=1e-5)
    feeds = [next(iter(trace[name][0, 0, 0].feeds)) for name in ("conv", "conv_2", "conv_1")]
    assert feeds == ["conv_2", "conv_1", "sum"]
    assert [row.name for row in pl.time_layers(net, PICTURE.shape).rows][:3] == ["conv", "conv_2", "conv_1"]
    assert pl.receptive_field(net, PICTURE, "conv_1").layer == "conv_1"


def test_names_in_onnx_files(tmp_path: Path) -> None:
    """A node called as a weight, as another's output, as another node, below another; functions' nodes stay inside."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "w"),  # called as its weight is
        helper.make_node("Relu", ["a"], ["relu"]),  # its output's name is the next one's own
        helper.make_node("Sigmoid", ["relu"], ["b"], "relu"),
        helper.make_node("Tanh", ["b"], ["c"], "relu"),
        helper.make_node("Softsign", ["c"], ["d"], "relu/inner"),
        helper.make_node("Twice", ["d"], ["e"], "twice", domain="own"),
        helper.make_node("Exp", ["e"], ["y"], "image"),
    ]
    inner = [helper.make_node("Neg", ["v"], ["u"], "image"), helper.make_node("Abs", ["u"], ["t"], "w")]
    imports = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "Twice", ["v"], ["t"], inner, imports)
    path = save(
        tmp_path / "net.onnx", nodes, {"x": (1, 2, 4, 3)}, arrays={"w": normal(2, 2, 1, 1)},
        functions=[function], domains=[helper.make_opsetid("own", 1)],
    )  # fmt: skip
    net = pl.load_onnx(path)
    rows = [(row.name, row.kind) for row in net.summary((2, 4, 3)).rows]
    assert rows == [
        ("w", "Conv"), ("relu_2", "Relu"), ("relu", "Sigmoid"), ("relu_1", "Tanh"), ("relu/inner", "Softsign"),
        ("twice", "Twice"), ("image", "Exp"),
    ]  # fmt: skip
    assert list(net.state_dict()) == ["w"]
    graph = net.graph((1, 2, 4, 3), name="image")
    assert graph["image"].op.kind == "exp"
    assert [graph[name].op.kind for name in ("twice/image", "twice")] == ["negative", "absolute"]


def test_weights_that_are_called_as_ours_are(tmp_path: Path) -> None:
    """`training` is no name for a weight here and becomes another, which is none that a weight of the file has."""
    arrays = {"training": normal(2), "training_": normal(2)}
    nodes = [helper.make_node("Add", ["x", "training"], ["a"]), helper.make_node("Mul", ["a", "training_"], ["y"])]
    net = pl.load_onnx(save(tmp_path / "net.onnx", nodes, {"x": (1, 2)}, arrays=arrays))
    np.testing.assert_array_equal(net.state_dict()["training_"], arrays["training_"])
    np.testing.assert_array_equal(net.state_dict()["training__"], arrays["training"])
