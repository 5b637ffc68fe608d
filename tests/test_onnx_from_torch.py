"""Modules of PyTorch's, taken over and written as ONNX: one operator for each function, and PyTorch's numbers in ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
F = torch.nn.functional

IMAGES: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "bilinear": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), ["Resize"]),
    "bilinear between corners": (lambda x: F.interpolate(x, (9, 11), mode="bilinear", align_corners=True), ["Resize"]),
    "bilinear by 1.5": (lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear"), ["Resize"]),
    "bilinear by 0.6": (lambda x: F.interpolate(x, scale_factor=0.6, mode="bilinear"), ["Resize"]),
    "bicubic": (lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"), ["Resize"]),
    "nearest": (lambda x: F.interpolate(x, scale_factor=2), ["Resize"]),
    "nearest to a size": (lambda x: F.interpolate(x, size=(9, 5)), ["Resize"]),
    "nearest exactly": (lambda x: F.interpolate(x, size=(9, 5), mode="nearest-exact"), ["Resize"]),
    "parts": (lambda x: torch.cat(x.split([1, 3], 1)[::-1], 1), ["Split", "Concat"]),
    "hard sigmoid": (F.hardsigmoid, ["HardSigmoid"]),
    "celu": (lambda x: F.celu(x, 1.5), ["Celu"]),
    "softsign": (F.softsign, ["Softsign"]),
    "threshold": (lambda x: F.threshold(x, 0.5, 0.0), ["ThresholdedRelu"]),
    "pixel shuffle": (lambda x: F.pixel_shuffle(x, 2), ["DepthToSpace"]),
    "reflection": (lambda x: F.pad(x, (1, 2, 2, 1), mode="reflect"), ["Pad"]),
    "replication": (lambda x: F.pad(x, (1, 2, 2, 1), mode="replicate"), ["Pad"]),
    "wrapping around": (lambda x: F.pad(x, (1, 2, 2, 1), mode="circular"), ["Pad"]),
    "repeated": (lambda x: x.repeat(1, 2, 1, 3), ["Tile"]),
    "least": (lambda x: x.amin((2, 3)), ["ReduceMin"]),
    "place of the least": (lambda x: x.argmin(1), ["ArgMin"]),
    "instances": (lambda x: F.instance_norm(x), ["InstanceNormalization"]),
}
SIGNALS: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "convolution": (lambda x: F.conv1d(x, WEIGHT, padding=1, stride=2), ["Conv"]),
    "transposed convolution": (lambda x: F.conv_transpose1d(x, WEIGHT, None, 2, 1, 1), ["ConvTranspose"]),
    "largest of windows": (lambda x: F.max_pool1d(x, 3, 2, 1), ["MaxPool"]),
    "means of windows": (lambda x: F.avg_pool1d(x, 3, 2, 1), ["AveragePool"]),
    "linear": (lambda x: F.interpolate(x, scale_factor=2, mode="linear"), ["Resize"]),
}
WEIGHT = torch.linspace(-1, 1, 48).reshape(4, 4, 3)


class Functions(torch.nn.Module):
    """Gives what each of some functions makes of x."""

    def __init__(self, functions: dict[str, Callable[[Any], Any]]) -> None:
        super().__init__()
        self.functions = functions

    def forward(self, x: Any) -> dict[str, Any]:
        return {name: function(x) for name, function in self.functions.items()}


class Sides(torch.nn.Module):
    """Two inputs, of which one is of whole numbers, and three outputs."""

    def forward(self, x: Any, ids: Any) -> tuple[Any, ...]:
        return x + ids, (x * 2).argmax(1), torch.relu(x)


def in_runtime(path: Path, *arrays: Any) -> list[np.ndarray]:
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, (a.numpy() for a in arrays), strict=True)))


@pytest.mark.parametrize(
    ("table", "shape"), [(IMAGES, (2, 4, 11, 13)), (SIGNALS, (2, 4, 9))], ids=["images", "signals"]
)
def test_functions_are_operators(table: dict[str, Any], shape: tuple[int, ...], tmp_path: Path) -> None:
    module = Functions({name: function for name, (function, _) in table.items()})
    x = torch.linspace(-2, 2, int(np.prod(shape))).reshape(shape).sin()
    written = pl.save_onnx(pl.from_torch(module, x), tmp_path / "net.onnx")
    assert written.operators == dict(sorted(Counter(kind for _, kinds in table.values() for kind in kinds).items()))
    assert (written.inputs, list(written.outputs)) == ({"images": ["N", *shape[1:]]}, list(table))
    for size in (2, 1):
        got = in_runtime(tmp_path / "net.onnx", x[:size])
        for name, actual, expected in zip(table, got, module(x[:size]).values(), strict=True):
            np.testing.assert_allclose(actual, expected.numpy(), rtol=0, atol=1e-5, err_msg=name)


def test_modules_with_several_inputs_and_outputs(tmp_path: Path) -> None:
    x, ids = torch.randn(2, 5), torch.arange(10).reshape(2, 5)
    written = pl.save_onnx(pl.from_torch(Sides(), (x, ids)), tmp_path / "net.onnx")
    assert list(written.inputs) == ["x", "ids"]
    assert [written.elements[name] for name in written.inputs] == ["FLOAT", "INT64"]
    for actual, expected in zip(in_runtime(tmp_path / "net.onnx", x, ids), Sides()(x, ids), strict=True):
        np.testing.assert_array_equal(actual, expected.numpy())
