"""Any graph that shape inference accepts runs on the native executor, and gives what the reference gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import pellucid as pl
from pellucid.errors import PellucidError
from pellucid.executors import TOLERANCE, compile
from pellucid.executors.choice import reference_program
from pellucid.graph import Parameter, Tensor
from pellucid.ops.elementwise import Sign
from search import examples

pytest.importorskip("pellucid.executors._native", reason="the native executor is not built here")

UNARY = ("relu", "sigmoid", "tanh", "exp", "softplus", "gelu", "mish", "leaky_relu", "absolute", "sign", "hard_swish")
SIZES = st.sampled_from([1, 2, 3, 5, 8, 16, 17, 32])
Draw = Callable[[st.SearchStrategy[Any]], Any]


def _parameter(draw: Draw, made: list[Parameter], *shape: int) -> Parameter:
    random = np.random.default_rng(draw(st.integers(0, 9)))
    value = random.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))
    made.append(Parameter.of(value.astype(np.float32), f"w{len(made)}"))
    return made[-1]


def _convolution(draw: Draw, x: Tensor, made: list[Parameter]) -> Tensor:
    small = st.integers(1, 3)
    groups = draw(st.sampled_from([g for g in (1, 2, x.shape[1]) if g and x.shape[1] % g == 0]))
    outputs = groups * draw(st.sampled_from([1, 3, 16]))
    weight = _parameter(draw, made, outputs, x.shape[1] // groups, draw(st.sampled_from([1, 3, 5])), draw(small))
    bias = _parameter(draw, made, outputs) if draw(st.booleans()) else None
    how = {"stride": draw(small), "padding": draw(st.integers(0, 2)), "dilation": draw(small), "groups": groups}
    return pl.conv2d(x, weight, bias, **how)


def _pooling(draw: Draw, x: Tensor) -> Tensor:
    function = draw(st.sampled_from([pl.max_pool2d, pl.average_pool2d]))
    kernel = draw(st.integers(1, 3))
    return function(x, kernel, draw(st.integers(1, 3)), padding=draw(st.integers(0, kernel // 2)))


def _next(draw: Draw, x: Tensor, made: list[Parameter]) -> Tensor:
    """One more op on x; raises a `PellucidError` where it does not fit."""
    image = ["conv", "conv", "pool"] if x.ndim == 4 else []
    kind = draw(st.sampled_from(["unary", "binary", "reduce", "move", "matmul", "norm", *image]))
    if kind == "unary":
        return getattr(pl, draw(st.sampled_from(UNARY)))(x)
    if kind == "binary":
        shape = tuple(draw(st.sampled_from([1, n])) for n in x.shape)
        other = _parameter(draw, made, *shape)
        return draw(
            st.sampled_from([lambda: x + other, lambda: x - other, lambda: other * x, lambda: x / (other * other + 1)])
        )()
    if kind == "reduce":
        axes = draw(st.sets(st.integers(0, x.ndim - 1)))
        function = draw(st.sampled_from([pl.sum, pl.mean, pl.max, pl.variance]))
        return function(x, tuple(axes), keepdims=draw(st.booleans()))
    if kind == "move":
        axis = draw(st.integers(0, x.ndim - 1))
        start, step = draw(st.integers(0, 2)), draw(st.integers(1, 2))
        key = (*(slice(None),) * axis, slice(start, None, step))
        moves = [
            lambda: pl.transpose(x, draw(st.permutations(range(x.ndim)))), lambda: x[key], lambda: pl.flip(x, axis),
            lambda: pl.concat([x, pl.tanh(x)], axis), lambda: pl.reshape(x, (-1,)),
            lambda: pl.pad(x, [(start, step)] * x.ndim),
        ]  # fmt: skip
        return draw(st.sampled_from(moves))()
    if kind == "matmul":
        return x @ _parameter(draw, made, x.shape[-1], draw(SIZES))
    if kind == "conv":
        return _convolution(draw, x, made)
    return (
        _pooling(draw, x) if kind == "pool" else pl.layer_norm(x, 1, epsilon=0.1)
    )  # so that nearly equal elements stay well-conditioned


@st.composite
def graphs(draw: Draw) -> tuple[Tensor, list[Parameter], dict[Tensor, np.ndarray]]:
    """An output, the parameters behind it, and what to feed."""
    shape = (draw(st.sampled_from([1, 2, 7, 0])), draw(SIZES), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    image = pl.input(shape, name="image")
    made: list[Parameter] = []
    x: Tensor = image
    for _ in range(draw(st.integers(1, 7))):
        try:
            y = _next(draw, x, made)
        except (PellucidError, ValueError):
            continue  # it did not fit; another may
        if y.ndim and y.size < 200_000:
            x = y
    feed = np.random.default_rng(draw(st.integers(0, 9))).standard_normal(shape).astype(np.float32)
    return x, made, {image: feed}


LARGEST = 1e3
"""Beyond it a difference of nearly equal numbers (a variance, say) is off by more than the tolerance, rightly."""


@settings(max_examples=examples(400), suppress_health_check=list(HealthCheck))
@given(graphs(), st.sampled_from([1, 2]))
def test_any_graph(graph: tuple[Tensor, list[Parameter], dict[Tensor, np.ndarray]], threads: int) -> None:
    """Value and gradients of a random graph."""
    output, parameters, feeds = graph
    outputs = [output, *pl.gradients(output, [*feeds, *parameters])]
    fed = {i: a for i, a in feeds.items() if i in set(pl.Graph(outputs).inputs)}
    values = reference_program(outputs).record(fed)
    assume(all(np.abs(v).max(initial=0) < LARGEST for v in values.values() if v.dtype.kind == "f"))
    jumps = (values[n.inputs[0]] for n in values if isinstance(n.op, Sign))
    assume(
        not any((np.abs(v) < TOLERANCE["float32"]).any() for v in jumps)
    )  # where rounding decides on which side it is
    exact = [values[o] for o in outputs]
    actual = compile(outputs, executor="native", threads=threads)(fed)
    for mine, theirs in zip(actual, exact, strict=True):
        scale = max(1.0, float(np.abs(theirs).max(initial=0)))
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=10 * TOLERANCE["float32"] * scale)
