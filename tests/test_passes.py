"""Each pass on small graphs: what it makes, that values stay the same, and what it leaves alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.executors import compile
from pellucid.executors.passes import PASSES
from pellucid.graph import Constant, Graph, Parameter, Tensor
from pellucid.ops.pooling import MaxPool2dGradient
from pellucid.ops.window import Window

FLOATS = ("float32", "float64")


def image(*shape: int, dtype: str = "float32", name: str = "x") -> Tensor:
    return pl.input(shape, dtype, name)


def weight(*shape: int, dtype: str = "float32", name: str = "w", positive: bool = False) -> Parameter:
    value = np.random.default_rng(len(name) + sum(shape)).standard_normal(shape)
    return Parameter.of((np.abs(value) + 0.5 if positive else value).astype(dtype), name)


def kinds(outputs: Sequence[Tensor]) -> dict[str, int]:
    """How many nodes of each kind are computed."""
    leaves = ("input", "parameter_leaf", "constant")
    return dict(Counter(n.op.kind for n in Graph(outputs) if n.op.kind not in leaves))


def applied(
    name: str, *outputs: Tensor, changing: Sequence[Parameter] = (), feeds: dict[str, Any] | None = None
) -> tuple[Tensor, ...]:
    """What a pass makes of the outputs, once it is sure that their values, shapes and types are the same."""
    if "native" in PASSES[name].only:
        pytest.importorskip(
            "pellucid.executors._native", reason="the native executor, which it is for, is not built here"
        )
    after = PASSES[name](outputs, changing)
    inputs = Graph(outputs).inputs
    random = np.random.default_rng(0)
    offered = {i: random.standard_normal(i.shape).astype(i.dtype) for i in inputs}
    offered.update({i: np.asarray(feeds[i.name], i.dtype) for i in inputs if feeds and i.name in feeds})
    fed = {i: a for i, a in offered.items() if i in Graph(after).names}
    expected = compile(outputs, executor="reference")(offered)
    for mine, value in zip(compile(after, executor="reference")(fed), expected, strict=True):
        assert (mine.shape, mine.dtype) == (value.shape, value.dtype)
        near = 1e-11 if mine.dtype == np.float64 else 1e-5
        terms = np.abs(value[np.isfinite(value)]).max(initial=0)  # which cancel: a sum is off by a last place of these
        np.testing.assert_allclose(mine, value, rtol=near, atol=near * max(1, terms / 10))
    return after


def unchanged(name: str, *outputs: Tensor, changing: Sequence[Parameter] = ()) -> None:
    """The pass makes the very kinds of nodes that were there."""
    assert kinds(applied(name, *outputs, changing=changing)) == kinds(outputs)


# decompose


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("keepdims", [False, True])
def test_decompose_writes_out_variances(dtype: str, keepdims: bool) -> None:
    x = image(2, 3, 4, 5, dtype=dtype)
    after = applied("decompose", pl.variance(x, (0, 2, 3), keepdims=keepdims) + 1.0)
    assert kinds(after) == {"sum": 2, "multiply": 3, "subtract": 1, "add": 1}


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    "rows",
    [
        [[1, 2, 3], [3, 2, 1], [2, 3, 1]],
        [[2, 2, 2], [1, 3, 3], [3, 1, 3]],
        [[np.nan, 2, 3], [1, np.nan, np.nan], [1, 2, np.nan]],
        [[-np.inf, -np.inf, -np.inf], [np.inf, 1, np.inf], [-np.inf, np.inf, np.nan]],
        [[0.0, -0.0, 0.0], [-0.0, 0.0, -1.0], [-5, -5, -6]],
    ],
    ids=["plain", "ties", "nan", "infinite", "zeros"],
)
def test_decompose_writes_out_argmax(rows: list[list[float]], axis: int) -> None:
    after = applied("decompose", pl.argmax(image(3, 3), axis), feeds={"x": rows})
    assert "argmax" not in kinds(after)


def test_decompose_leaves_alone_what_float32_cannot_count() -> None:
    unchanged("decompose", pl.argmax(image(2, 3, dtype="float64"), 1))
    unchanged("decompose", pl.argmax(pl.cast(image(2, 3), "int64"), 1))
    assert kinds(PASSES["decompose"]((pl.argmax(image(1 << 22), 0),))) == {"argmax": 1}


# simplify


@pytest.mark.parametrize("dtype", FLOATS)
def test_simplify_prunes_what_changes_nothing(dtype: str) -> None:
    x = image(2, 3, dtype=dtype)
    one, zero = pl.constant(1.0, dtype), pl.constant(np.zeros(3), dtype)
    same = [
        x * one,
        one * x,
        x / one,
        x + zero,
        x - zero,
        pl.reshape(x, (2, 3)),
        pl.stop_gradient(x),
        pl.cast(x, dtype),
        x.T.T,
    ]
    assert kinds(applied("simplify", *same)) == {}
    assert all(y is x for y in PASSES["simplify"](tuple(same)))


def test_simplify_joins_moves() -> None:
    x = image(2, 3, 4)
    after = applied(
        "simplify", pl.reshape(pl.reshape(x, (6, 4)), (4, 6)), pl.transpose(pl.transpose(x, (1, 0, 2)), (2, 1, 0))
    )
    assert kinds(after) == {"reshape": 1, "transpose": 1}


def test_simplify_drops_broadcasts_that_arithmetic_does_itself() -> None:
    x, row = image(2, 3), image(3, name="row")
    assert kinds(applied("simplify", x + pl.broadcast_to(row, (2, 3)))) == {"add": 1}
    unchanged("simplify", pl.broadcast_to(row, (2, 3)) + row)


def test_simplify_computes_constants_once() -> None:
    x = image(3)
    (y,) = applied("simplify", x * (pl.exp(pl.constant(1.0)) + 2.0))
    assert kinds([y]) == {"multiply": 1}
    assert isinstance(y.inputs[1].op, Constant)
    large = pl.constant(np.ones(5000, np.float32))
    unchanged("simplify", image(5000) * pl.exp(large))


def test_simplify_merges_what_is_computed_twice() -> None:
    x = image(3)
    assert kinds(applied("simplify", pl.exp(x) + 1.0, pl.exp(x) * 2.0)) == {"exp": 1, "add": 1, "multiply": 1}
    other = image(3, name="x")
    assert kinds(applied("simplify", pl.exp(x), pl.exp(other))) == {"exp": 2}
    a, b = weight(3, name="a"), weight(3, name="bb")
    assert kinds(applied("simplify", pl.exp(a), pl.exp(b))) == {"exp": 2}


def test_simplify_leaves_alone_what_a_nan_or_a_shape_depends_on() -> None:
    x = image(2, 3)
    unchanged("simplify", x * 0.0, x - x, x / x)
    wide = pl.constant(np.ones((2, 3), np.float32))
    unchanged("simplify", image(3, name="row") * wide, image(1, 3, name="line") / wide)
    assert PASSES["simplify"]((x * -1.0,))[0] is not x
    spoiled = applied("simplify", x * 0.0 + 0.0, feeds={"x": [[np.nan, np.inf, 1], [0, 1, 2]]})
    assert np.isnan(compile(spoiled, executor="reference")({"x": np.full((2, 3), np.nan)})[0]).all()


# factor


def test_factor_moves_what_is_the_same_along_a_sum_behind_it() -> None:
    x, scale = image(2, 3, 4, 4), weight(1, 3, 1, 1)
    (y,) = applied("factor", pl.sum(x * scale, (0, 2, 3)))
    assert y.op.kind == "multiply"
    assert [n.shape for n in Graph([y]) if n.op.kind == "multiply"] == [(3,)]
    (y,) = applied("factor", pl.sum(x / scale, (0, 2, 3), keepdims=True))
    assert all(n.size == 3 for n in Graph([y]) if n.op.kind in ("multiply", "divide"))
    (y,) = applied("factor", pl.sum(-(x * scale), (2, 3)))
    assert max(n.size for n in Graph([y]) if n.op.kind in ("multiply", "negative")) <= 6


def test_factor_moves_factors_out_of_products() -> None:
    x, y, scale = image(2, 3, 4, 4), image(2, 3, 4, 4, name="y"), weight(1, 3, 1, 1)
    (total,) = applied("factor", pl.sum((x * scale) * y, (0, 2, 3)))
    assert sorted(n.size for n in Graph([total]) if n.op.kind == "multiply") == [3, x.size]
    (total,) = applied("factor", pl.sum(x / (y * y + 1.0) * scale, (0, 2, 3)))
    assert sum(n.size == x.size for n in Graph([total]) if n.op.kind in ("multiply", "divide")) == 2


def test_factor_leaves_alone() -> None:
    x, scale = image(2, 3, 4, 4), weight(1, 3, 1, 1)
    unchanged("factor", pl.sum(x * scale, 1))
    unchanged("factor", pl.sum(x + scale, (0, 2, 3)))
    unchanged("factor", pl.max(x * scale, (2, 3)))
    unchanged("factor", pl.sum(image(2, 3, dtype="float64") * weight(1, 3, dtype="float64"), 0))
    unchanged("factor", pl.sum(pl.cast(image(2, 3), "int64") * pl.constant([[2, 3, 4]]), 0))


def test_factor_keeps_a_product_that_others_read() -> None:
    x, scale = image(2, 3, 4, 4), weight(1, 3, 1, 1)
    product = x * scale
    after = applied("factor", pl.sum(product, (0, 2, 3)), product, pl.exp(product))
    assert sum(n.op.kind == "multiply" and n.size == x.size for n in Graph(after)) == 1


# affine


def work(outputs: Sequence[Tensor]) -> int:
    """Sums, differences, products and quotients of the size of the largest value."""
    nodes = Graph(outputs).nodes
    largest = max(n.size for n in nodes)
    return sum(n.size == largest for n in nodes if n.op.kind in ("add", "subtract", "multiply", "divide", "negative"))


def test_affine_makes_one_product_and_one_sum() -> None:
    x = image(2, 3, 4, 4)
    m, k, b = (weight(1, 3, 1, 1, name=n) for n in ("m", "kk", "bbb"))
    (y,) = applied("affine", (x - m) * k + b)
    assert (y.op.kind, y.inputs[0].op.kind, work([y])) == ("add", "multiply", 2)
    d = weight(1, 3, 1, 1, name="dddd", positive=True)
    (y,) = applied("affine", ((-x + m) / d - b) * k)
    assert work([y]) == 2
    (y,) = PASSES["simplify"](applied("affine", 2.0 - (m - x)))
    assert work([y]) == 1


def test_affine_of_two_images() -> None:
    x, y = image(2, 3, 4, 4), image(2, 3, 4, 4, name="y")
    m, k = weight(1, 3, 1, 1, name="m"), weight(1, 3, 1, 1, name="kk")
    (z,) = applied("affine", ((x - m) * k + (y - k)) * m)
    assert work([z]) == 4
    (z,) = applied("affine", (x * k + x) * m)
    assert work([z]) == 1, "the image appears once"


def test_affine_leaves_a_convolution_what_can_be_fused_into_it() -> None:
    x, bias = image(2, 4, 5, 5), [weight(1, 4, 1, 1, name=f"b{i}") for i in range(2)]
    first = pl.conv2d(x, weight(4, 4, 1, 1)) + bias[0]
    second = first + (pl.conv2d(first, weight(4, 4, 1, 1, name="v")) + bias[1])
    after = Graph(applied("affine", second))
    for convolved in (n for n in after if n.op.kind == "conv2d"):
        (reader,) = (n for n in after if any(i is convolved for i in n.inputs))
        assert any(i.shape == (1, 4, 1, 1) for i in reader.inputs), "the shift is added first"


def test_affine_leaves_alone() -> None:
    x, m = image(2, 3, 4, 4), weight(1, 3, 1, 1)
    unchanged("affine", x * m + 1.0)
    unchanged("affine", m / (x * x + 1.0))
    unchanged("affine", pl.relu(x * m) * m)
    wide = image(2, 3, dtype="float64")
    unchanged("affine", (wide - 1.0) * 2.0 + 3.0)
    scaled = x * m
    after = applied("affine", scaled + 1.0, pl.exp(scaled), scaled)
    assert work(PASSES["simplify"](after)) == 2, "what two read is made once"


# commute and sum_before_unpooling


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("window", [(2, 2, 0), (3, 1, 1), (3, 2, 0)], ids=["apart", "overlapping", "odd"])
def test_commute_puts_relu_behind_pooling(window: tuple[int, int, int], dtype: str) -> None:
    x = image(2, 3, 6, 6, dtype=dtype)
    kernel, stride, padding = window
    y = pl.max_pool2d(
        pl.relu(pl.conv2d(x, weight(4, 3, 3, 3, dtype=dtype), padding=1)), kernel, stride, padding=padding
    )
    (after,) = applied("commute", y)
    assert [after.op.kind, after.inputs[0].op.kind, after.inputs[0].inputs[0].op.kind] == [
        "relu",
        "max_pool2d",
        "conv2d",
    ]
    assert kinds([after]) == kinds([y])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("values", ["normal", "negative", "zeros", "ties"])
def test_commute_masks_the_gradient_where_it_is_small(values: str, dtype: str) -> None:
    x = image(2, 3, 6, 6, dtype=dtype)
    before = x * 1.5
    y = pl.max_pool2d(pl.relu(before), 2)
    (slope,) = pl.gradients(pl.sum(y * y * 0.5 + y), [x])
    random = np.random.default_rng(1)
    data = {
        "normal": random.standard_normal(x.shape),
        "negative": -random.random(x.shape),
        "zeros": np.zeros(x.shape),
        "ties": random.integers(-1, 2, x.shape),
    }
    after = PASSES["simplify"](applied("commute", y, slope, feeds={"x": data[values]}))
    masks = [n.shape for n in Graph(after) if n.op.kind == "less"]
    assert masks == [y.shape], "the mask has the size of what was pooled"


def test_commute_leaves_alone_what_others_read() -> None:
    x = image(2, 3, 6, 6)
    rectified = pl.relu(x * 2.0)
    pooled = pl.max_pool2d(rectified, 2)
    unchanged("commute", pooled, rectified)
    assert PASSES["commute"]((pooled, rectified))[0].op.kind == "max_pool2d"
    assert PASSES["commute"]((pooled, pl.exp(rectified)))[0].op.kind == "max_pool2d"
    both = pl.max_pool2d(rectified, 2) + pl.max_pool2d(rectified, 2) * 2.0
    (slope,) = pl.gradients(pl.sum(both), [x])
    applied("commute", both, slope)
    assert applied("commute", pl.average_pool2d(rectified, 2))[0].op.kind == "average_pool2d"
    assert applied("commute", pl.max_pool2d(pl.leaky_relu(x), 2))[0].op.kind == "max_pool2d"


def test_commute_passes_nan_on() -> None:
    spoiled = np.ones((1, 1, 4, 4))
    spoiled[0, 0, 1, 1] = np.nan
    applied("commute", pl.max_pool2d(pl.relu(image(1, 1, 4, 4)), 2), feeds={"x": spoiled})


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(
    ("axes", "moves"), [((0, 2, 3), True), ((2, 3), True), ((1, 2, 3), True), ((0, 2), False), ((1,), False)]
)
def test_sums_are_taken_before_unpooling(axes: tuple[int, ...], moves: bool, keepdims: bool, dtype: str) -> None:
    x, g = image(2, 3, 5, 5, dtype=dtype), image(2, 3, 5, 5, dtype=dtype, name="g")
    spread = pl.apply(MaxPool2dGradient(Window((3, 3), (1, 1), (1, 1), (1, 1))), x, g)
    after = applied("sum_before_unpooling", pl.sum(spread, axes, keepdims=keepdims))
    assert kinds(after) == ({"sum": 1} if moves else {"max_pool2d_gradient": 1, "sum": 1})


# swap_products


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("batch", [(), (2,)])
def test_a_transposed_product_is_swapped(batch: tuple[int, ...], dtype: str) -> None:
    a, b = image(*batch, 3, 4, dtype=dtype), image(*batch, 4, 5, dtype=dtype, name="b")
    axes = (*range(len(batch)), len(batch) + 1, len(batch))
    (after,) = applied("swap_products", pl.transpose(a @ b, axes))
    assert kinds([after]) == {"transpose": 2, "matmul": 1}
    assert after.op.kind == "matmul"


def test_swap_products_leaves_alone() -> None:
    a, b = image(2, 3, 4), image(2, 4, 5, name="b")
    unchanged("swap_products", pl.transpose(a @ b, (1, 0, 2)))
    unchanged("swap_products", pl.transpose(a @ image(4, 5, name="b"), (0, 2, 1)))
    product = a @ b
    unchanged("swap_products", pl.transpose(product, (0, 2, 1)), product)
