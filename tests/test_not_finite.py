"""A NaN stays one in every op, fused or not, and on every executor: it never becomes a number on the way to a loss."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.executors import run
from pellucid.executors.contract import Signature
from pellucid.graph import Tensor, topological
from pellucid.nn import models
from pellucid.op import COMPOSITES, OPS, OpSample
from precisions import PRECISIONS

pytest.importorskip("pellucid.executors._native", reason="the native executor is not built here")

MULTIPLIES_PADDING = {
    "Conv2d": ("stride-padding", "dilation", "depthwise"),
    "ConvTranspose2d": ("stride", "output-padding"),
}
"""Samples whose weight meets zeros beside the image: NaN times such a zero is left out by some kernels, not by others."""

NO_FLOATS = ("Constant", "Uniform", "Dropout", "Cast")

SAMPLES = [
    pytest.param(name, sample, id=f"{name}-{sample.label or number}")
    for name, definition in sorted({**OPS, **COMPOSITES}.items())
    for number, sample in enumerate(definition.samples())
    if name not in NO_FLOATS and any(a.dtype.kind == "f" and a.size for a in sample.arrays)
]


def poisoned(feeds: dict[Tensor, np.ndarray], where: Tensor, value: float, place: float = 0.5) -> dict[Tensor, Any]:
    """The feeds with `value` as one element of one of them."""
    array = feeds[where].copy()
    array.reshape(-1)[int(place * (array.size - 1))] = value
    return {**feeds, where: array}


@pytest.mark.parametrize("executor", ["native", "torch"])
@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_samples(name: str, sample: OpSample, executor: str) -> None:
    """Values and gradients are NaN where the reference's are, for a NaN at either end of each input."""
    if executor == "torch":
        pytest.importorskip("torch")
    arrays = [a.astype("float32") if a.dtype.kind == "f" else a for a in sample.arrays]
    inputs = [pl.input(a.shape, str(a.dtype), f"x{i}") for i, a in enumerate(arrays)]
    output = sample.call(*inputs)
    output = output[0] if isinstance(output, tuple) else output
    feeds = dict(zip(inputs, arrays, strict=True))
    made_of = set(topological([output]))
    floats = [i for i in inputs if i.dtype.startswith("float") and i in made_of]
    outputs = [output]
    if output.dtype.startswith("float") and getattr(OPS.get(name), "differentiable", True):
        outputs += pl.gradients(output, floats)
    if sample.label in MULTIPLIES_PADDING.get(name, ()):
        floats, outputs = floats[:1], outputs[:2]
    made_of = set(topological(outputs))
    used = {i: feeds[i] for i in inputs if i in made_of}
    for where in set(floats) & set(used):
        for place in (0.0, 1.0):
            given = poisoned(used, where, np.nan, place)
            for actual, expected in zip(run(outputs, given, executor), run(outputs, given, "reference"), strict=True):
                np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": pl.relu,
    "relu6": lambda x: pl.clip(x, 0, 6),
    "clip": lambda x: pl.clip(x, 0, 0.1),
    "hard_swish": pl.hard_swish,
    "leaky_relu": pl.leaky_relu,
    "pooled": lambda x: pl.max_pool2d(pl.relu(x), 2) if x.ndim == 4 else pl.max(pl.relu(x), 1, keepdims=True),
}

CONVOLUTIONS = {
    "pointwise": (2, 16, 32, 8, 1, {}),
    "picture": (2, 3, 16, 9, 3, {"stride": 2}),
    "unfilled": (2, 5, 7, 9, 3, {}),
    "direct": (2, 16, 32, 8, 3, {"padding": 1}),
    "groups": (2, 32, 64, 9, 3, {"padding": 1, "groups": 2}),
    "depthwise": (2, 32, 32, 9, 3, {"padding": 1, "groups": 32}),
    "winograd": (2, 64, 64, 8, 3, {"padding": 1}),
    "winograd-5x5": (2, 64, 64, 8, 5, {"padding": 2}),
    "one-picture": (1, 64, 64, 1, 1, {}),
}


def convolution(case: str, act: Callable[[Tensor], Tensor], residual: bool) -> tuple[Tensor, list[Tensor]]:
    """An activation of a convolution with bias, and what is fed."""
    batch, channels, outputs, size, kernel, how = CONVOLUTIONS[case]
    x = pl.input((batch, channels, size, size), name="x")
    weight = pl.input((outputs, channels // how.get("groups", 1), kernel, kernel), name="weight")
    bias = pl.input((outputs,), name="bias")
    y = pl.conv2d(x, weight, bias, **how)
    if not residual:
        return act(y), [x, weight, bias]
    other = pl.input(y.shape, name="residual")
    return act(y + other), [x, weight, bias, other]


def product(rows: int, inputs: int, outputs: int, act: Callable[[Tensor], Tensor]) -> tuple[Tensor, list[Tensor]]:
    """An activation of a linear layer, and what is fed."""
    x, weight, bias = (
        pl.input(s, name=n) for s, n in (((rows, inputs), "x"), ((outputs, inputs), "w"), ((outputs,), "b"))
    )
    return act(pl.linear(x, weight, bias)), [x, weight, bias]


def check(output: Tensor, inputs: list[Tensor], precision: str, border: int) -> None:
    """One element of each input in turn is NaN or infinite: the output is so where the reference's is.

    Where that is a weight, the padding's reach of `border` pixels is left out. Differences of infinities are NaN: kernels
    that take differences (Winograd) or pairs (bfloat16) are asked about NaN alone.
    """
    from pellucid.executors.native import NativeProgram

    random = np.random.default_rng(0)
    feeds = {i: random.standard_normal(i.shape).astype(np.float32) for i in inputs}
    signature = Signature([output], (), {}, guard=False)
    programs = [NativeProgram(signature, precision, threads) for threads in (1, 2)]
    usual = [program(feeds)[0] for program in programs]
    exact = precision == "float32" and not any(s.detail == "winograd" for s in programs[0].plan.steps)
    for where in inputs:
        inside = (..., *(slice(border, -border),) * 2) if where is inputs[1] and border else ...
        for value in (np.nan, np.inf, -np.inf) if exact else (np.nan,):
            given = poisoned(feeds, where, value)
            (expected,) = run([output], given, "reference")
            untouched = np.isfinite(expected) & np.isnan(value)
            for program, before in zip(programs, usual, strict=True):
                (actual,) = program(given)
                for test in (np.isnan, np.isposinf, np.isneginf):
                    np.testing.assert_array_equal(test(actual)[inside], test(expected)[inside])
                np.testing.assert_allclose(actual[untouched], before[untouched], rtol=1e-5, atol=1e-4)
    for program, before in zip(programs, usual, strict=True):
        np.testing.assert_array_equal(program(feeds)[0], before, "something of a NaN was left in the program")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("act", "residual"), [("relu", False), ("relu", True), ("relu6", True), ("clip", False), ("pooled", False)]
)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_fused_convolutions(case: str, act: str, residual: bool, precision: str) -> None:
    if act == "pooled" and case == "one-picture":
        pytest.skip("one pixel is not pooled")
    output, inputs = convolution(case, ACTIVATIONS[act], residual)
    check(output, inputs, precision, CONVOLUTIONS[case][5].get("padding", 0))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(4, 33, 17), (1, 64, 50), (1, 512, 512), (64, 256, 128)])
def test_fused_products(sizes: tuple[int, int, int], act: str, precision: str) -> None:
    check(*product(*sizes, ACTIVATIONS[act]), precision, 0)


def test_numbers_that_overflow() -> None:
    """Finite values whose sum is inf - inf, or of a processor that rounds once inf: no ReLU makes 0 of either."""
    x, weight = pl.input((4, 2), name="x"), pl.input((3, 2), name="weight")
    feeds = {x: np.full((4, 2), 1e30, np.float32), weight: np.array([[1e30, -1e30]] * 3, np.float32)}
    y = pl.relu(pl.linear(x, weight))
    for executor in ("native", "reference"):
        (found,) = run([y], feeds, executor)
        assert (np.isnan(found) | np.isposinf(found)).all(), executor


@pytest.mark.parametrize("depth", [1, 4])
def test_between_steps_that_numpy_computes(depth: int) -> None:
    """A layer of NumPy's cuts the program in pieces, and what the first makes gives its memory to what the second makes."""
    random = np.random.default_rng(0)
    x = pl.input((2, 16, 8, 8), name="x")

    def layer(y: Tensor) -> Tensor:
        weight = pl.Parameter.of((random.standard_normal((16, 16, 1, 1)) / 4).astype(np.float32))
        return pl.relu(pl.conv2d(y, weight))

    y = layer(x)
    y = layer(pl.ops.atan(y)) + y
    for _ in range(depth):
        y = layer(y)
    feeds = {x: random.standard_normal(x.shape).astype(np.float32)}
    given = poisoned(feeds, x, np.nan, place=0.9)
    program = pl.compile([pl.sum(y, (2, 3))], executor="native")
    assert program.fallbacks == ("Atan",)
    for fed in (feeds, given, feeds):
        np.testing.assert_allclose(program(fed)[0], run([pl.sum(y, (2, 3))], fed, "reference")[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("executor", ["native", "reference", "torch"])
@pytest.mark.parametrize("name", ["lenet", "deck", "squeezenet1_1", "mobilenet_v2"])
def test_a_picture_of_nans_has_scores_of_nan(name: str, executor: str) -> None:
    net = models.build(name, num_classes=3, **({} if name in ("lenet", "deck") else {"image_size": 32})).eval()
    size = net.model_config["image_size"]
    x = pl.input((2, net.model_config["in_channels"], size, size), name="x")
    picture = np.zeros(x.shape, np.float32)
    picture[1] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (scores,) = run([net(x)], {x: picture}, executor)
    assert np.isfinite(scores[0]).all()
    assert np.isnan(scores[1]).all()
