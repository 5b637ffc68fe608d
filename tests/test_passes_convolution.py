"""The passes around convolutions and products: folding, filling and fusing. See test_passes.py."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest

import pellucid as pl
from pellucid.executors import compile
from pellucid.executors.passes import run_passes
from pellucid.graph import Graph, Parameter, Tensor
from pellucid.ops.convolution import Conv2d
from test_passes import FLOATS, applied, image, kinds, unchanged, weight

# fold_norm


def normalized(x: Tensor, dtype: str = "float32", groups: int = 1) -> tuple[Tensor, list[Parameter]]:
    """A convolution and batch norm at inference, and their parameters."""
    w = weight(4, x.shape[1] // groups, 3, 3, dtype=dtype, name="weight")
    norm = [weight(4, dtype=dtype, name=n, positive=n == "variance") for n in ("scale", "bias", "mean", "variance")]
    return pl.batch_norm(pl.conv2d(x, w, padding=1, groups=groups), *norm), [w, *norm]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("groups", [1, 2])
def test_fold_norm_leaves_a_convolution_and_a_bias(groups: int, dtype: str) -> None:
    x = image(2, 4, 5, 5, dtype=dtype)
    y, _ = normalized(x, dtype, groups)
    (after,) = applied("fold_norm", pl.relu(y))
    large = [n.op.kind for n in Graph([after]) if n.size == after.size and n.inputs]
    assert large == ["conv2d", "add", "relu"]


def test_fold_norm_leaves_alone() -> None:
    x = image(2, 4, 5, 5)
    y, parameters = normalized(x)
    assert _scales(applied("fold_norm", y, changing=parameters[1:2]))
    convolved = pl.conv2d(x, weight(4, 4, 3, 3))
    unchanged("fold_norm", convolved + weight(1, 4, 1, 1))
    unchanged("fold_norm", convolved * weight(1, 4, 1, 1), convolved)
    unchanged("fold_norm", convolved * weight(1, 4, 3, 3))
    unchanged("fold_norm", convolved * image(1, 4, 1, 1, name="fed"))
    unchanged("fold_norm", weight(1, 4, 1, 1) - convolved, weight(1, 4, 1, 1) / (convolved * convolved + 1.0))
    unchanged("fold_norm", pl.relu(x) * weight(1, 4, 1, 1))
    unchanged("fold_norm", pl.conv_transpose2d(x, weight(4, 2, 3, 3), groups=2) * weight(1, 4, 1, 1))
    scaled = x * weight(1, 4, 1, 1)
    unchanged("fold_norm", pl.conv2d(scaled, weight(4, 4, 3, 3)), scaled)
    unchanged("fold_norm", pl.conv2d(scaled, weight(4, 4, 3, 3)), pl.relu(scaled))
    unchanged("fold_norm", pl.conv2d(scaled, weight(4, 2, 3, 3), groups=2))
    unchanged("fold_norm", pl.conv2d(x, scaled))


def _scales(outputs: Sequence[Tensor]) -> int:
    """Products and quotients of images, two at a time, by one number per channel."""
    scales = (n for n in Graph(outputs) if n.op.kind in ("multiply", "divide") and n.ndim == 4 and n.shape[0] == 2)
    return sum(any(i.shape == (1, n.shape[1], 1, 1) for i in n.inputs) for n in scales)


def test_fold_norm_of_what_still_changes_by_parts() -> None:
    y, parameters = normalized(image(2, 4, 5, 5))
    for part in (0, 2):
        (after,) = applied("fold_norm", y, changing=[parameters[part]])
        assert not _scales([after]), f"the scale is folded though {parameters[part].name} is learned"


LAYERS: dict[str, tuple[Callable[..., Tensor], tuple[int, ...]]] = {
    "3x3": (lambda x, w: pl.conv2d(x, w, padding=1), (4, 4, 3, 3)),
    "1x1": (pl.conv2d, (6, 4, 1, 1)),
    "strided": (lambda x, w: pl.conv2d(x, w, stride=2), (6, 4, 2, 2)),
    "depthwise": (lambda x, w: pl.conv2d(x, w, padding=1, groups=4), (4, 1, 3, 3)),
    "groups": (lambda x, w: pl.conv2d(x, w, groups=2), (6, 2, 2, 2)),
    "transposed": (lambda x, w: pl.conv_transpose2d(x, w, stride=2), (4, 6, 2, 2)),
    "transposed depthwise": (lambda x, w: pl.conv_transpose2d(x, w, groups=4), (4, 1, 2, 2)),
}


def frozen(layer: str, dtype: str, residual: bool = False) -> tuple[Tensor, Tensor, Parameter]:
    """A loss behind a layer and a batch norm that stays, and what has slopes: the image and the layer's weight."""
    convolve, shape = LAYERS[layer]
    x, w = image(2, 4, 6, 6, dtype=dtype), weight(*shape, dtype=dtype)
    y = convolve(x, w)
    norm = [weight(y.shape[1], dtype=dtype, name=n, positive=n == "v") for n in ("scale", "bias", "mean", "v")]
    y = pl.clip(pl.batch_norm(y, *norm), 0, 6, open=True)
    return pl.sum((y + pl.sigmoid(y) if residual else y) ** 2.0), x, w


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("layer", LAYERS)
def test_fold_norm_scales_weights_and_their_slopes(layer: str, residual: bool, dtype: str) -> None:
    loss, x, w = frozen(layer, dtype, residual)
    outputs = (loss, *pl.gradients(loss, (w, x)))
    assert _scales(outputs) >= 4
    after = applied("fold_norm", *outputs, changing=[w])
    assert _scales(after) == (2 + 2 if layer == "transposed depthwise" else 0)


@pytest.mark.parametrize("layer", LAYERS)
def test_slopes_of_folded_norms_are_differences(layer: str) -> None:
    loss, x, w = frozen(layer, "float64")
    outputs = applied("fold_norm", loss, *pl.gradients(loss, (w, x)), changing=[w])
    random = np.random.default_rng(0)
    at, way = random.standard_normal((2, *x.shape))
    program, start, turn = compile(outputs, executor="reference"), w.value.copy(), random.standard_normal(w.shape)
    _, of_w, of_x = program({x: at})
    ends: list[float] = []
    for far in (-1e-6, 1e-6):
        w.value = start + far * turn
        ends.append(float(program({x: at + far * way})[0]))
    slope = (of_w * turn).sum() + (of_x * way).sum()
    assert np.isclose((ends[1] - ends[0]) / 2e-6, slope, rtol=1e-7)


def test_fold_norm_multiplies_a_weight_once() -> None:
    loss, x, w = frozen("1x1", "float32")
    after = run_passes((loss, *pl.gradients(loss, (w, x))), [w])
    assert _scales(after) == 0
    assert sum(n.op.kind == "multiply" and w in set(n.inputs) for n in Graph(after)) == 1


def test_fold_norm_heeds_how_large_a_weight_is() -> None:
    x, w = image(2, 4, 2, 2), weight(4, 4, 3, 3)
    y = pl.conv2d(x, w, padding=1) * weight(1, 4, 1, 1, name="scale")
    outputs = (y, *pl.gradients(pl.sum(y * y), (w, x)))
    unchanged("fold_norm", *outputs, changing=[w])
    assert _scales(applied("fold_norm", y)) == 0, "a weight that stays is scaled once"


# fuse


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (("bias",), "conv2d+bias"),
        (("relu",), "conv2d+relu"),
        (("bias", "relu"), "conv2d+bias+relu"),
        (("residual",), "conv2d+residual"),
        (("bias", "residual", "relu"), "conv2d+bias+residual+relu"),
        (("residual", "bias"), "conv2d+bias+residual"),
    ],
)
def test_fuse_takes_into_a_convolution(what: tuple[str, ...], kind: str, dtype: str) -> None:
    x = image(2, 4, 5, 5, dtype=dtype)
    y = pl.conv2d(x, weight(4, 4, 3, 3, dtype=dtype), padding=1)
    for part in what:
        y = {"bias": lambda y: y + weight(1, 4, 1, 1, dtype=dtype), "relu": pl.relu, "residual": lambda y: x * 2.0 + y}[
            part
        ](y)
    (after,) = applied("fuse", y)
    if what != ("residual", "bias"):
        assert after.op.kind == kind
    assert sum(n.op.kind.startswith("conv2d") for n in Graph([after])) == 1


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_fuse_takes_into_a_product(shape: tuple[int, ...], dtype: str) -> None:
    x, w, b = image(*shape, dtype=dtype), weight(4, 5, dtype=dtype), weight(5, dtype=dtype, name="bias")
    assert applied("fuse", x @ w + b)[0].op.kind == "matmul+bias"
    assert applied("fuse", b + x @ w)[0].op.kind == "matmul+bias"
    assert applied("fuse", pl.relu(x @ w + b))[0].op.kind == "matmul+bias+relu"
    assert applied("fuse", pl.relu(x @ w))[0].op.kind == "matmul+relu"


def test_fuse_adds_one_convolution_to_another() -> None:
    x = image(2, 4, 5, 5)
    total = pl.conv2d(x, weight(4, 4, 1, 1)) + pl.conv2d(x, weight(4, 4, 3, 3), padding=1)
    assert kinds(applied("fuse", total)) == {"conv2d": 1, "conv2d+residual": 1}


FRAMES = {"below": ((0, 1), (0, 1)), "around": ((1, 2), (0, 3)), "above": ((2, 0), (1, 0))}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("frame", FRAMES)
def test_fuse_takes_in_zeros_around(frame: str, groups: int, dtype: str) -> None:
    x = pl.pad(image(2, 4, 6, 5, dtype=dtype), ((0, 0), (0, 0), *FRAMES[frame]))
    y = pl.conv2d(x, weight(8, 4 // groups, 3, 3, dtype=dtype), stride=2, padding=1, groups=groups)
    (after,) = applied("fuse", pl.clip(y + weight(1, 8, 1, 1, dtype=dtype, name="bias"), 0, 6))
    assert after.op.kind == "conv2d+bias+relu6"
    assert kinds([after]).keys().isdisjoint({"pad", "clip"})


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("frame", FRAMES)
def test_fuse_takes_zeros_out_of_slopes(frame: str, groups: int, dtype: str) -> None:
    x, w = image(2, 4, 6, 5, dtype=dtype), weight(8, 4 // groups, 4, 4, dtype=dtype)
    y = pl.conv2d(pl.pad(x, ((0, 0), (0, 0), *FRAMES[frame])), w, stride=2, groups=groups)
    after = applied("fuse", y, *pl.gradients(pl.sum(y * y), (x, w)))
    assert kinds(after).keys().isdisjoint({"pad", "slice"})


def test_fuse_takes_a_cut_into_what_makes_the_image() -> None:
    y = pl.conv_transpose2d(image(2, 4, 5, 5), weight(4, 6, 3, 3), stride=2)
    assert kinds(applied("fuse", y[:, :, 1:, :-2])) == {"conv_transpose2d": 1}
    assert kinds(applied("fuse", pl.relu(y[:, :, 1:, :-2]))) == {"conv_transpose2d": 1, "relu": 1}
    unchanged("fuse", y[:, :, 3:4])
    unchanged("fuse", y[:, :, 1:], y)
    unchanged("fuse", y[:, :, ::2])
    unchanged("fuse", y[:, 1:], y[1:])


@pytest.mark.parametrize("frame", FRAMES)
def test_fuse_takes_in_a_frame_of_max_pooling(frame: str) -> None:
    x = pl.pad(image(2, 16, 6, 5), ((0, 0), (0, 0), *FRAMES[frame]), -np.inf)
    (after,) = applied("fuse", pl.max_pool2d(x, 3, 2))
    assert kinds([after]) == {"max_pool2d": 1}
    for read in (pl.relu(after), pl.clip(after, 0, 0.25), after + weight(after.shape[3], name="of each column")):
        assert len(kinds(applied("fuse", read))) == 2, "max pooling takes in no ReLU and no bias"
    unchanged("fuse", pl.max_pool2d(pl.pad(image(2, 3, 6, 5), ((0, 0), (0, 0), *FRAMES[frame])), 3, 2))


def test_zeros_around_that_stay() -> None:
    x, w = image(2, 4, 6, 5), weight(4, 4, 3, 3)
    unchanged("fuse", pl.conv2d(pl.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)), 1.0), w))
    unchanged("fuse", pl.conv2d(pl.pad(image(2, 3, 6, 5, name="y"), ((0, 0), (0, 1), (0, 0), (0, 0))), w))
    padded = pl.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)))
    unchanged("fuse", pl.conv2d(padded, w), pl.exp(padded))


def test_fuse_takes_in_limits_from_zero_on() -> None:
    x, w = image(3, 4), weight(4, 5)
    assert applied("fuse", pl.clip(x @ w, 0, 1.5))[0].op.kind == "matmul+relu1.5"
    unchanged("fuse", pl.clip(x @ w, -1, 1))


def test_fuse_leaves_alone() -> None:
    x, w = image(2, 4, 5, 5), weight(4, 4, 3, 3)
    y = pl.conv2d(x, w, padding=1)
    unchanged("fuse", y + weight(1, 4, 1, 1), y)
    unchanged("fuse", pl.relu(y), pl.exp(y))
    unchanged("fuse", y + y)
    unchanged("fuse", y + weight(2, 1, 5, 5), pl.conv2d(x, w) + weight(1, 1, 3, 3))
    unchanged("fuse", pl.leaky_relu(y), pl.max_pool2d(pl.relu(pl.average_pool2d(x, 2)), 2))
    unchanged("fuse", pl.conv2d(x, weight(4, 4, 5, 5)) + weight(2, 4, 3, 3))
    unchanged("fuse", image(3, 4, name="a") @ weight(4, 5) + image(3, 5, name="residual"))
    (after,) = applied("fuse", pl.relu(pl.conv2d(x, w) + weight(1, 4, 1, 1)) + image(2, 4, 3, 3, name="late"))
    assert after.op.kind == "add", "relu comes before the sum"


def test_fused_nodes_keep_nan_and_infinity() -> None:
    y = pl.relu(pl.conv2d(image(1, 1, 3, 3), Parameter.of(np.ones((1, 1, 1, 1), np.float32))) + weight(1, 1, 1, 1))
    applied("fuse", y, feeds={"x": [[[[np.nan, np.inf, -np.inf], [0, 1, -1], [2, 3, 4]]]]})


# fill_blocks


@pytest.mark.parametrize("channels", [(1, 6, 16), (3, 20, 24)])
def test_fill_blocks_adds_channels_that_reach_no_other_value(channels: tuple[int, int, int]) -> None:
    x = image(2, channels[0], 8, 8)
    parameters = [weight(b, a, 3, 3, name=f"w{b}") for a, b in itertools.pairwise(channels)]
    y = pl.max_pool2d(pl.relu(pl.conv2d(x, parameters[0], padding=1)), 2)
    loss = pl.sum(pl.relu(pl.conv2d(y, parameters[1])) ** 2.0)
    after = applied("fill_blocks", loss, *pl.gradients(loss, parameters))
    first = next(n for n in Graph(after) if isinstance(n.op, Conv2d))
    assert first.shape[1] % 16 == 0


def test_fill_blocks_of_a_single_number() -> None:
    y = pl.conv2d(image(1, 1, 1, 1), weight(1, 1, 1, 1), weight(1, name="bias"))
    applied("fill_blocks", pl.conv2d(y, weight(1, 1, 1, 1, name="v")))


def test_fill_blocks_fills_nearly_full_ones_in_inference_only() -> None:
    x = image(2, 16, 6, 6)
    parameters = [weight(24, 16, 1, 1), weight(16, 24, 3, 3, name="v")]
    y = pl.conv2d(pl.relu(pl.conv2d(x, parameters[0])), parameters[1])
    assert {n.shape[1] for n in Graph(applied("fill_blocks", y)) if isinstance(n.op, Conv2d)} == {32, 16}
    unchanged("fill_blocks", y, *pl.gradients(pl.sum(y), parameters))


def test_fill_blocks_leaves_alone() -> None:
    unchanged("fill_blocks", pl.conv2d(image(2, 3, 8, 8), weight(16, 3, 3, 3)))
    unchanged("fill_blocks", pl.conv2d(image(2, 8, 8, 8), weight(6, 8, 3, 3)))
    unchanged("fill_blocks", pl.conv2d(image(2, 2, 8, 8), weight(6, 1, 3, 3), groups=2))
