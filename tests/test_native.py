"""The native executor against the reference: every op's samples, its passes one by one, memory, threads and errors."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid as pl
from pellucid.executors import TOLERANCE, compile, run
from pellucid.graph import Tensor, topological
from pellucid.op import COMPOSITES, OPS, OpSample

pytest.importorskip("pellucid.executors._native", reason="the native executor is not built here")

CASES = [
    pytest.param(name, sample, id=f"{name}-{sample.label or number}")
    for name, definition in sorted({**OPS, **COMPOSITES}.items())
    for number, sample in enumerate(definition.samples())
]


def build(sample: OpSample, floating: str) -> tuple[Tensor, dict[Tensor, np.ndarray]]:
    """The sample's output and feeds, with floating arrays as `floating`."""
    arrays = [a.astype(floating) if a.dtype.kind == "f" else a for a in sample.arrays]
    inputs = [pl.input(a.shape, str(a.dtype), f"x{i}") for i, a in enumerate(arrays)]
    output = sample.call(*inputs)
    output = output[0] if isinstance(output, tuple) else output
    used = set(topological([output]))
    return output, {i: a for i, a in zip(inputs, arrays, strict=True) if i in used}


OWN_DTYPE = ("Constant", "Cast", "Uniform", "Dropout", "one_hot", "adam", "adamw")


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_samples(name: str, sample: OpSample) -> None:
    """Values and gradients in float32 against the reference in float64."""
    results = []
    for floating in ("float32", "float64"):
        own = name in OWN_DTYPE
        output, feeds = build(sample, "float64" if own else floating)
        outputs = [output]
        if output.dtype.startswith("float") and getattr(OPS.get(name), "differentiable", True):
            outputs += pl.gradients(output, [i for i in feeds if i.dtype.startswith("float")])
        results.append(run(outputs, feeds, "native" if floating == "float32" else "reference"))
    for actual, expected in zip(*results, strict=True):
        assert actual.shape == expected.shape
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE["float32"] * scale)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_reference_kernels_take_part_in_either_precision(precision: str) -> None:
    """A pooling of more than 255 elements has no kernel: it runs on values that others keep narrow."""
    x = pl.input((2, 16, 20, 20), name="x")
    weight = pl.Parameter.of(np.random.default_rng(0).standard_normal((16, 16, 3, 3)).astype(np.float32) / 12)
    y = pl.conv2d(pl.relu(pl.max_pool2d(pl.conv2d(x, weight), 16, 1)), weight, padding=1)
    outputs = [y, *pl.gradients(y, [x, weight])]
    feeds = {x: np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)}
    program = compile(outputs, executor="native", precision=precision)
    assert {"MaxPool2d", "MaxPool2dGradient"} <= set(program.fallbacks)
    for actual, expected in zip(program(feeds), run(outputs, feeds, "reference"), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[precision] * np.abs(expected).max())
