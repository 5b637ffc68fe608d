"""Functions of ops take arrays, lists and numbers wherever they take a tensor, as constants."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import PellucidError, ShapeError

NUMBERS = np.random.default_rng(0)


def f(*shape: int) -> np.ndarray:
    """Numbers of a normal distribution."""
    return NUMBERS.standard_normal(shape).astype(np.float32)


X, MAPS, LABELS = f(2, 4, 6, 6), f(4), np.array([0, 1, 2, 3])
CALLS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "adaptive_average_pool2d": (lambda x: pl.adaptive_average_pool2d(x, 2), (X,)),
    "adaptive_max_pool2d": (lambda x: pl.adaptive_max_pool2d(x, 2), (X,)),
    "argmax": (lambda x: pl.argmax(x, 1), (X,)),
    "average_pool2d": (lambda x: pl.average_pool2d(x, 2), (X,)),
    "batch_norm": (pl.batch_norm, (X, MAPS, MAPS, MAPS, np.abs(MAPS) + 1)),
    "concat": (lambda *some: pl.concat(some, 1), (X, X)),
    "conv2d": (pl.conv2d, (X, f(3, 4, 3, 3), f(3))),
    "conv_transpose2d": (pl.conv_transpose2d, (X, f(4, 3, 3, 3), f(3))),
    "cross_entropy": (pl.cross_entropy, (f(4, 5), LABELS)),
    "flatten": (pl.flatten, (X,)),
    "flip": (lambda x: pl.flip(x, 2), (X,)),
    "fold": (lambda y: pl.fold(y, (3, 3), 2), (f(2, 8, 4),)),
    "gather": (lambda x: pl.gather(x, [1, 0], 1), (X,)),
    "global_average_pool2d": (pl.global_average_pool2d, (X,)),
    "global_max_pool2d": (pl.global_max_pool2d, (X,)),
    "group_norm": (lambda x, *scales: pl.group_norm(x, 2, *scales), (X, MAPS, MAPS)),
    "layer_norm": (lambda x, *scales: pl.layer_norm(x, 1, *scales), (X, f(6), f(6))),
    "linear": (pl.linear, (f(2, 5), f(3, 5), f(3))),
    "local_response_norm": (pl.local_response_norm, (X,)),
    "locally_connected2d": (
        lambda x, weight, bias: pl.locally_connected2d(x, weight, bias, 3),
        (f(2, 2, 4, 4), f(4, 18, 3), f(3, 2, 2)),
    ),
    "matmul": (pl.matmul, (f(2, 3), f(3, 4))),
    "max": (lambda x: pl.max(x, 1), (X,)),
    "max_pool2d": (lambda x: pl.max_pool2d(x, 2), (X,)),
    "maxout": (lambda x: pl.maxout(x, 2), (X,)),
    "mean": (pl.mean, (X,)),
    "pad": (lambda x: pl.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (X,)),
    "prelu": (pl.prelu, (X, MAPS)),
    "repeat": (lambda x: pl.repeat(x, (1, 2, 1, 1)), (X,)),
    "resample": (lambda x: pl.resample(x, np.ones((3, 6), np.float32), 2), (X,)),
    "reshape": (lambda x: pl.reshape(x, (2, -1)), (X,)),
    "slice_": (lambda x: pl.slice_(x, [0, 1], [1, 3]), (X,)),
    "softmax": (lambda x: pl.softmax(x, 1), (X,)),
    "squared_error": (pl.squared_error, (f(4, 5), f(4, 5))),
    "sum": (pl.sum, (X,)),
    "transpose": (lambda x: pl.transpose(x, (0, 2, 3, 1)), (X,)),
    "unfold": (lambda x: pl.unfold(x, 3), (X,)),
    "variance": (pl.variance, (X,)),
}
KINDS: dict[str, Callable[[np.ndarray], Any]] = {"array": lambda a: a, "list": lambda a: a.tolist()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CALLS)
def test_each_tensor_may_be_an_array(name: str, kind: str) -> None:
    function, arrays = CALLS[name]
    inputs = [pl.input(a.shape, str(a.dtype), f"i{k}") for k, a in enumerate(arrays)]
    (expected,) = pl.run([function(*inputs)], dict(zip(inputs, arrays, strict=True)))
    for fixed in range(len(arrays)):
        mixed = [KINDS[kind](a) if k == fixed else i for k, (a, i) in enumerate(zip(arrays, inputs, strict=True))]
        fed = {i: a for k, (i, a) in enumerate(zip(inputs, arrays, strict=True)) if k != fixed}
        (found,) = pl.run([function(*mixed)], fed)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    (alone,) = pl.run([function(*map(KINDS[kind], arrays))])
    np.testing.assert_allclose(alone, expected, rtol=1e-5, atol=1e-6)


def test_arrays_are_named_as_well_as_placed() -> None:
    images, weight = pl.input(X.shape), f(3, 4, 3, 3)
    (placed,) = pl.run([pl.conv2d(images, weight, f(3) * 0, padding=1)], {images: X})
    (named,) = pl.run([pl.conv2d(x=X, weight=weight, bias=None, padding=1)])
    np.testing.assert_allclose(named, placed, rtol=1e-5, atol=1e-6)


def test_a_fixed_kernel_has_a_gradient_and_no_weights() -> None:
    images = pl.input((1, 1, 5, 5), name="images")
    graph = pl.Graph([pl.conv2d(images, np.ones((1, 1, 3, 3), np.float32))])
    assert graph.parameters == ()
    (slope,) = pl.gradients(graph.outputs[0].sum(), [images])
    assert pl.run([slope], {images: np.zeros((1, 1, 5, 5), np.float32)})[0][0, 0, 2, 2] == 9


@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_number_is_refused(name: str) -> None:
    function, arrays = CALLS[name]
    with pytest.raises(PellucidError, match="element type"):
        function(np.array(["a", "b"]), *arrays[1:])


@pytest.mark.parametrize(
    "name",
    [
        "average_pool2d",
        "conv2d",
        "conv_transpose2d",
        "fold",
        "global_max_pool2d",
        "max_pool2d",
        "pad",
        "repeat",
        "unfold",
    ],
)
def test_an_array_of_another_rank_is_refused_by_name(name: str) -> None:
    function, arrays = CALLS[name]
    with pytest.raises(ShapeError, match=name.removeprefix("global_max_")):
        function(np.zeros(3, np.float32), *arrays[1:])


def test_signatures_stay() -> None:
    assert list(inspect.signature(pl.conv2d).parameters) == [
        "x",
        "weight",
        "bias",
        "stride",
        "padding",
        "dilation",
        "groups",
    ]
    assert (pl.conv2d.__doc__ or "").startswith("Convolution of x (N, C, H, W)")
