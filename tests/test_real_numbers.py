"""Slopes, margins, rates and shares are numbers: NumPy's are as good as Python's, and text, bools and NaN are told, not worked with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import PellucidError
from pellucid.nn import initializers

Made = Callable[[Any], Any]
X4, X2, LABELS = pl.input((2, 4, 8, 8)), pl.input((4, 6)), pl.input((4,), "int64", "labels")
BOXES, VECTOR = pl.input((3, 4)), pl.input((4,))
NET, IMAGE = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), np.linspace(0, 1, 16, dtype="float32").reshape(1, 4, 4)
NET.initialize(0)
OPS: dict[str, Made] = {
    "leaky_relu": lambda n: pl.leaky_relu(X2, n),
    "elu": lambda n: pl.elu(X2, n),
    "clip-low": lambda n: pl.clip(X2, n, 9),
    "clip-high": lambda n: pl.clip(X2, -9, n),
    "batch_norm": lambda n: pl.batch_norm(X4, None, None, VECTOR, VECTOR, n),
    "batch_norm_training": lambda n: pl.batch_norm_training(X4, None, None, n)[0],
    "layer_norm": lambda n: pl.layer_norm(X2, 1, epsilon=n),
    "group_norm": lambda n: pl.group_norm(X4, 2, epsilon=n),
    "local_response_norm-alpha": lambda n: pl.local_response_norm(X4, 3, n),
    "local_response_norm-beta": lambda n: pl.local_response_norm(X4, 3, beta=n),
    "local_response_norm-k": lambda n: pl.local_response_norm(X4, 3, k=n),
    "dropout": lambda n: pl.dropout(X4, n, pl.input((), "int64"), 1, 1),
    "huber": lambda n: pl.huber(X2, X2 + 1, n),
    "smooth_l1": lambda n: pl.smooth_l1(X2, X2 + 1, n),
    "hinge": lambda n: pl.hinge(X2, LABELS, n),
    "focal-alpha": lambda n: pl.focal(X2, X2, n),
    "focal-gamma": lambda n: pl.focal(X2, X2, gamma=n),
    "cross_entropy": lambda n: pl.cross_entropy(X2, LABELS, n),
    "cross_entropy-weight": lambda n: pl.cross_entropy(X2, LABELS, weight=[1, 2, n, 3, 4, 5]),
    "roi_align": lambda n: pl.roi_align(X4, BOXES, pl.input((3,), "int64"), 2, n),
    "roi_max_pool": lambda n: pl.roi_max_pool(X4, BOXES, pl.input((3,), "int64"), 2, n),
    "nms-overlap": lambda n: pl.non_max_suppression(pl.input((1, 5, 4)), pl.input((1, 2, 5)), 3, n),
}
LAYERS: dict[str, Made] = {
    "Dropout": lambda n: nn.Dropout(n),
    "LeakyReLU": lambda n: nn.LeakyReLU(n),
    "ELU": lambda n: nn.ELU(n),
    "PReLU": lambda n: nn.PReLU(1, n),
    "BatchNorm1d": lambda n: nn.BatchNorm1d(4, n),
    "BatchNorm2d": lambda n: nn.BatchNorm2d(4, n),
    "BatchNorm2d-momentum": lambda n: nn.BatchNorm2d(4, momentum=n),
    "LayerNorm": lambda n: nn.LayerNorm(4, n),
    "GroupNorm": lambda n: nn.GroupNorm(2, 4, n),
    "LocalResponseNorm": lambda n: nn.LocalResponseNorm(3, n),
    "LocalResponseNorm-beta": lambda n: nn.LocalResponseNorm(3, beta=n),
    "LocalResponseNorm-k": lambda n: nn.LocalResponseNorm(3, k=n),
    "RNN": lambda n: nn.RNN(3, 4, 2, dropout=n),
    "LSTM": lambda n: nn.LSTM(3, 4, 2, dropout=n),
    "GRU": lambda n: nn.GRU(3, 4, 2, dropout=n),
}
STARTS: dict[str, Made] = {
    "constant": lambda n: initializers.constant(n),
    "normal-mean": lambda n: initializers.normal(n),
    "normal-std": lambda n: initializers.normal(0.0, n),
    "uniform-low": lambda n: initializers.uniform(n),
    "uniform-high": lambda n: initializers.uniform(-9, n),
    "truncated_normal-std": lambda n: initializers.truncated_normal(n),
    "truncated_normal-bound": lambda n: initializers.truncated_normal(1.0, n),
    "orthogonal": lambda n: initializers.orthogonal(n),
    "kaiming_uniform": lambda n: initializers.kaiming_uniform("leaky_relu", n),
    "kaiming_normal": lambda n: initializers.kaiming_normal("leaky_relu", n),
}
ASKED: dict[str, Made] = {
    "activation_curve-low": lambda n: pl.activation_curve("relu", n, 6.0, 5),
    "activation_curve-setting": lambda n: pl.activation_curve("elu", alpha=n),
    "loss_curve-high": lambda n: pl.explain.loss_curve("huber", -4.0, n, 5),
    "loss_curve-setting": lambda n: pl.explain.loss_curve("huber", delta=n),
    "two_input_neuron-weights": lambda n: pl.explain.two_input_neuron((n, 1.0)),
    "two_input_neuron-bias": lambda n: pl.explain.two_input_neuron(bias=n),
    "maxout_unit-at": lambda n: pl.explain.maxout_unit(at=(n,)),
    "Ascent-rate": lambda n: pl.explain.Ascent(rate=n),
    "compare-tolerance": lambda n: pl.explain.compare(NET, NET, IMAGE, tolerance=n),
    "faithfulness-fill": lambda n: pl.explain.faithfulness(NET, IMAGE, IMAGE[0], 1, steps=2, fill=n),
    "points-noise": lambda n: pl.data.points("circles", 20, n),
    "classification": lambda n: pl.train.Classification(("a", "b"), n),
}
ODD: list[Any] = ["0.25", True, float("nan"), [0.25, 0.25], 1j, None]


@pytest.mark.parametrize("name", OPS)
def test_ops_take_numpys_numbers(name: str) -> None:
    def told(n: Any) -> list[Any]:
        return [(node.op, node.shape) for node in pl.Graph([OPS[name](n)])]

    assert told(np.float32(0.25)) == told(np.array(0.25)) == told(np.float64(0.25)) == told(0.25)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_take_numpys_numbers(name: str) -> None:
    def told(n: Any) -> tuple[str, list[type]]:
        layer = LAYERS[name](n)
        return str(layer), [type(value) for value in vars(layer).values()]

    assert told(np.float32(0.25)) == told(np.array(0.25)) == told(0.25)


@pytest.mark.parametrize("name", STARTS)
def test_starts_take_numpys_numbers(name: str) -> None:
    def drawn(n: Any) -> Any:
        return STARTS[name](n)((3, 4), np.random.default_rng(0))

    assert drawn(np.float32(0.25)).tolist() == drawn(np.array(0.25)).tolist() == drawn(0.25).tolist()
    assert drawn(np.float32(0.25)).dtype == drawn(0.25).dtype


@pytest.mark.parametrize("name", ASKED)
def test_questions_take_numpys_numbers(name: str) -> None:
    assert str(ASKED[name](np.float32(0.25))) == str(ASKED[name](np.array(0.25))) == str(ASKED[name](0.25))


@pytest.mark.parametrize("given", ODD, ids=repr)
@pytest.mark.parametrize("name", [*OPS, *LAYERS, *STARTS, *ASKED])
def test_what_is_no_number_is_told(name: str, given: Any) -> None:
    with pytest.raises(PellucidError, match=r"number|must|finite|points from"):
        (OPS | LAYERS | STARTS | ASKED)[name](given)
