"""Modules of PyTorch's where they are not smooth: values and gradients at kinks, ties, zeros and infinities are PyTorch's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import pellucid as pl
from pellucid.errors import OutOfRangeError
from pellucid.executors import available_executors, compile

EXECUTORS = [name for name, missing in available_executors().items() if not missing]
INF = np.inf

Function = Callable[[torch.Tensor], torch.Tensor]
KINKS = [[0.0, -0.0, 1, -1, 3, -3, 6, 0.5, -0.5, 2, 20, -6]]
TIES = [[[1, 1, 0, 1], [2, 0, 2, 2], [-1, -1, -1, -1], [0, 0, -0.0, 0]]]
IMAGE = [[[[1, 1, 0, 1, 1], [2, 0, 2, 2, 0], [1, 1, 1, 1, 1], [0, 2, 2, 0, 2], [2, 2, 2, 2, 2]], [[0] * 5] * 5]]
HIDDEN = [[[[-INF, -INF, 0, 1, 1], *IMAGE[0][0][1:]], [[-INF] * 5] * 5]]
ROWS = [[0, 0, 0], [1, 2, 2], [0, 0, 3], [1, 1, 1]]

POOLS: dict[str, Function] = {
    **{
        f"max_pool2d {arguments}": lambda x, arguments=arguments: F.max_pool2d(x, *arguments)
        for arguments in (
            *((2,), (3, 1, 1), (3, 2, 1), (5, 1, 2), (3, 2, 1, 1, True)),
            *((2, 1, 0, 2), (3, 1, 1, 2), (2, 2, 1, 2), ((2, 1), 1, 0, (3, 1)), (2, 3, 0, 2, True)),
        )
    },
    **{f"adaptive {n}": lambda x, n=n: F.adaptive_max_pool2d(x, n) for n in (1, 2, 3, (2, 1), (1, 5), 5, 7)},
    "of rows": lambda x: F.max_pool1d(x[:, 0], 3, 1, 1),
    "of rows, dilated": lambda x: F.max_pool1d(x[:, 0], 3, 1, 1, 2),
    "adaptive of rows": lambda x: F.adaptive_max_pool1d(x[:, 0], 3),
}
CASES: dict[str, tuple[Any, dict[str, Function]]] = {
    "activations": (
        KINKS,
        {
            **{
                name: getattr(F, name)
                for name in (
                    *("relu", "relu6", "hardtanh", "hardsigmoid", "hardswish", "leaky_relu", "elu", "celu", "selu"),
                    *("softplus", "softsign", "softshrink", "hardshrink", "tanhshrink", "logsigmoid", "rrelu", "gelu"),
                )
            },
            "hardtanh between": lambda x: F.hardtanh(x, -0.5, 0.5),
            "hardtanh from 0": lambda x: F.hardtanh(x, 0.0, 0.5),
            "softshrink 0.5": lambda x: F.softshrink(x, 0.5),
            "hardshrink 0.5": lambda x: F.hardshrink(x, 0.5),
            "celu 2": lambda x: F.celu(x, 2.0),
            "threshold": lambda x: F.threshold(x, 0.5, 9.0),
            "prelu": lambda x: F.prelu(x, torch.tensor([0.25])),
        },
    ),
    "arithmetic": (
        KINKS,
        {
            "clamp": lambda x: x.clamp(-1, 1),
            "clamp above": lambda x: x.clamp(min=0),
            "clamp below": lambda x: x.clamp(max=3),
            "clamp the wrong way round": lambda x: x.clamp(1, -1),
            "abs": torch.abs,
            "sign": lambda x: x.sign() * x,
            "where": lambda x: torch.where(x > 0, x, -x),
            "masked": lambda x: x.masked_fill(x <= 0, 0.0),
            "remainder": lambda x: x.remainder(2.0),
            "reciprocal": torch.reciprocal,
            **{f"power {p}": lambda x, p=p: x**p for p in (0, 1, 2, 3, -1)},
            "base": lambda x: 2.0**x,
            "both": lambda x: x[:, :6].abs() ** x[:, 6:].abs(),
            "to the nothing": lambda x: x.abs() ** (x * 0),
            "root of what is cut off": lambda x: torch.relu(x).sqrt(),
            "power of what is cut off": lambda x: torch.relu(x) ** 0.25,
            "root of what is clamped": lambda x: (x + 0.0).clamp(min=0).sqrt(),
            "root within": lambda x: F.relu6(x).sqrt(),
            "last": lambda x: x[:, torch.tensor([-1, 0])],
        },
    ),
    "ties": (
        TIES,
        {
            **{f"max {d}": lambda x, d=d: x.max(d)[0] for d in (1, 2)},
            **{f"min {d}": lambda x, d=d: x.min(d, keepdim=True)[0] for d in (1, 2)},
            "max": lambda x: x.max(),
            "min": lambda x: x.min(),
            "amax": lambda x: x.amax((1, 2)),
            "amin": lambda x: x.amin(1),
            "maximum": lambda x: torch.maximum(x[:, 0], x[:, 1]),
            "minimum": lambda x: torch.minimum(x[:, 0], x[:, 1]),
            "logsumexp": lambda x: x.logsumexp(2),
        },
    ),
    "pools": (IMAGE, POOLS),
    "pools of nothing": (HIDDEN, POOLS),
    "lengths": (
        ROWS,
        {
            **{f"norm {p}": lambda x, p=p: torch.linalg.vector_norm(x, p, 1) for p in (1, 2, INF)},
            "root mean squares": lambda x: F.lp_pool1d(x[None], 2.0, 2),
            "norm kept": lambda x: x.norm(dim=1, keepdim=True),
            "norm of all": lambda x: (x * 0).norm(),
            "normalized": lambda x: F.normalize(x, dim=1),
            "normalized by sums": lambda x: F.normalize(x, p=1, dim=1),
            "deviation": lambda x: x.std(1),
            "biased deviation": lambda x: x.std(1, unbiased=False),
            "deviation of all": lambda x: (x * 0).std(),
            "rms norm": lambda x: F.rms_norm(x, (3,)),
            "embedding": lambda x: F.embedding(torch.tensor([0, 0, 2]), x, padding_idx=0),
        },
    ),
    "one element": (
        [[1], [2]],
        {
            "variance": lambda x: x.var(1),
            "deviation": lambda x: x.std(1),
            "deviation of one": lambda x: x[0].std(),
            "biased variance": lambda x: x.var(1, unbiased=False),
            "biased deviation": lambda x: x.std(1, unbiased=False),
            "with mean": lambda x: torch.cat(torch.var_mean(x, 1)),
        },
    ),
    "infinities": (
        [[-INF, -INF], [INF, 0], [-INF, 1], [2, 3]],
        {
            "logsumexp": lambda x: x.logsumexp(1),
            "softmax": lambda x: F.softmax(x, 1),
            "log_softmax": lambda x: F.log_softmax(x, 1),
        },
    ),
}


class Many(nn.Module):
    """All that many functions make of one input, one after the other."""

    def __init__(self, functions: dict[str, Function]) -> None:
        super().__init__()
        self.functions = functions

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([function(x).reshape(-1) for function in self.functions.values()])


@pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0")
@pytest.mark.parametrize("group", CASES)
def test_values_and_gradients_as_in_pytorch(group: str) -> None:
    values, functions = CASES[group]
    array = np.array(values, np.float32)
    x = pl.input(array.shape, name="x")
    made = pl.from_torch(Many(functions), array.shape)(x).inputs
    weights = [np.arange(1.0, y.size + 1, dtype=np.float32) for y in made]  # tells elements apart
    slopes = [pl.gradients((y * w).sum(), [x])[0] for y, w in zip(made, weights, strict=True)]
    found = {e: compile([*made, *slopes], [x], executor=e)({x: array}) for e in EXECUTORS}
    for number, (name, function) in enumerate(functions.items()):
        twin = torch.tensor(array, requires_grad=True)
        y = function(twin).reshape(-1)
        y.backward(torch.from_numpy(weights[number]))
        for executor, results in found.items():
            for value, right in ((results[number], y.detach()), (results[len(made) + number], twin.grad)):
                np.testing.assert_allclose(value, right.numpy(), 1e-4, 1e-5, err_msg=f"{name}, {executor}")


def test_rows_that_there_are_not() -> None:
    x = pl.input((2,), "int64", "x")
    net = pl.from_torch(nn.Embedding(3, 4), torch.zeros(2, dtype=torch.int64))
    for executor in EXECUTORS:
        for wrong in (3, -1):
            with pytest.raises(OutOfRangeError, match=f"index {wrong} at .* there are 3 elements"):
                pl.run([net(x)], {x: np.array([0, wrong])}, executor)


def test_gradients_of_exported_pools_and_lengths_as_in_pytorch(tmp_path: Path) -> None:
    names = (
        "norm 2",
        "root mean squares",
        "norm kept",
        "normalized",
        "normalized by sums",
        "deviation",
        "biased deviation",
    )
    arithmetic = CASES["arithmetic"][1]
    functions = {name: CASES["lengths"][1][name] for name in names}
    functions |= {
        name: arithmetic[name] for name in ("root of what is cut off", "power of what is cut off", "root within")
    }
    as_in_pytorch(functions, ROWS, tmp_path / "lengths.onnx")
    pools = {name: pool for name, pool in POOLS.items() if "adaptive" not in name}
    as_in_pytorch(pools, IMAGE, tmp_path / "pools.onnx")


def as_in_pytorch(functions: dict[str, Function], values: Any, path: Path) -> None:
    """Asserts that functions, written to a file and read again, have the values and gradients that they have in PyTorch."""
    array = np.array(values, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter tells what it guesses
        torch.onnx.export(Many(functions), (torch.tensor(array),), path, dynamo=False, opset_version=17)
    x = pl.input(array.shape, name="x")
    y = pl.load_onnx(path)(x)
    weights = np.arange(1.0, y.size + 1, dtype=np.float32)
    slopes = pl.gradients((y * weights).sum(), [x])
    twin = torch.tensor(array, requires_grad=True)
    right = Many(functions)(twin)
    right.backward(torch.from_numpy(weights))
    for executor in EXECUTORS:
        value, gradient = compile([y, *slopes], [x], executor=executor)({x: array})
        np.testing.assert_allclose(value, right.detach().numpy(), 1e-4, 1e-5, err_msg=executor)
        np.testing.assert_allclose(gradient, twin.grad.numpy(), 1e-4, 1e-5, err_msg=executor)


def test_lengths_and_deviations_are_written_as_such(tmp_path: Path) -> None:
    functions = {name: CASES["lengths"][1][name] for name in ("norm 2", "deviation")}
    pl.save_onnx(pl.from_torch(Many(functions), (4, 3)), tmp_path / "net.onnx", batch=4)
    written = {node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node}
    assert {"ReduceL2", "Sqrt"} <= written and not {"Where", "Equal"} & written


@pytest.mark.parametrize(
    "node",
    [
        *(f"ReduceL2 <keepdims = {k}> (x, axes)" for k in (0, 1)),
        *(f"LpPool <kernel_shape = [2, 2], strides = [2, 2], p = {p}> (x)" for p in (1, 2, 3)),
        *(f"GlobalLpPool <p = {p}> (x)" for p in (1, 2, 3)),
        *(f"LpNormalization <axis = 1, p = {p}> (x)" for p in (1, 2)),
        "MeanVarianceNormalization <axes = [2, 3]> (x)",
    ],
)
def test_gradients_of_lengths_in_onnx_at_0(node: str, tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 18]> g (float[2,3,4,4] x) => (y) <int64[2] axes = {2, 3}> { y = '
        + node
        + " }"
    )
    onnx.save(model, tmp_path / "net.onnx")
    x = pl.input((2, 3, 4, 4), name="x")
    net = pl.load_onnx(tmp_path / "net.onnx")
    y = net(x)
    array = np.arange(1.0, 97.0, dtype=np.float32).reshape(x.shape)
    array[1] = 0
    for executor in EXECUTORS:
        plain, cubed = (compile(pl.gradients(z.sum(), [x]), [x], executor=executor) for z in (y, y * y * y))
        (whole,), (zeros,) = cubed({x: array}), plain({x: array * 0})
        assert np.isfinite(whole).all() and whole[0].any(), executor
        np.testing.assert_array_equal(zeros, 1.0 if "LpNormalization" in node else 0.0, executor)
