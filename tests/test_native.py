"""The native executor against the reference: every op's samples, its passes one by one, memory, threads and errors."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import OutOfRangeError, ShapeError
from pellucid.executors import TOLERANCE, compile, run
from pellucid.executors.contract import Signature
from pellucid.graph import Tensor, topological
from pellucid.op import COMPOSITES, OPS, OpSample
from precisions import PRECISIONS

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


@pytest.mark.parametrize("precision", PRECISIONS)
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


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("batch", "channels", "outputs", "height", "width", "taps", "padding"),
    [
        (2, 16, 32, 8, 8, 3, 1), (64, 32, 32, 32, 32, 3, 1), (3, 32, 64, 7, 9, 3, 1), (4, 48, 32, 5, 6, 3, 0),
        (2, 64, 64, 9, 9, 3, 2), (1, 128, 128, 8, 8, 3, 1), (64, 32, 64, 14, 14, 5, 2), (64, 16, 16, 14, 14, 5, 0),
        (3, 32, 64, 9, 11, 5, 2), (2, 64, 64, 9, 9, 5, 4), (1, 32, 64, 14, 14, 5, 1),
    ],
)  # fmt: skip
def test_winograd(
    precision: str, batch: int, channels: int, outputs: int, height: int, width: int, taps: int, padding: int
) -> None:
    """Convolution with bias, residual and ReLU, and its gradients: within 1e-5 of the largest element in float32."""
    from pellucid.executors.compiled import _native
    from pellucid.executors.native import NativeProgram

    if not (_native.has_bfloat16_kernels() if precision == "bfloat16" else _native.has_wide_kernels()):
        pytest.skip("this processor has no such kernels")
    random = np.random.default_rng(0)
    x = pl.input((batch, channels, height, width), name="x")
    weight = pl.Parameter.of(random.standard_normal((outputs, channels, taps, taps)).astype(np.float32) / taps, "w")
    bias = pl.Parameter.of(random.standard_normal(outputs).astype(np.float32), "b")
    convolved = pl.conv2d(x, weight, bias, padding=padding)
    residual, slope = (pl.input(convolved.shape, name=name) for name in ("residual", "slope"))
    found = [pl.relu(convolved + residual), *pl.gradients(convolved, [x, weight], slope)]
    feeds = {t: random.standard_normal(t.shape).astype(np.float32) for t in (x, residual, slope)}
    program = NativeProgram(Signature(found, (), {}, guard=False), precision)
    if taps == 3 or precision == "float32":
        assert any(s.detail == "winograd" for s in program.plan.steps)
    tolerance = 1e-5 if precision == "float32" else 2e-2
    for actual, expected in zip(program(feeds), run(found, feeds, "reference"), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize(
    ("channels", "height", "width", "taps", "stride", "padding", "dilation", "own"),
    [
        (32, 9, 8, (3, 3), 1, 1, 1, True), (48, 16, 16, (5, 5), 2, 2, 1, True), (16, 4, 4, (7, 7), 1, 3, 1, True),
        (16, 11, 13, (3, 3), 2, 2, 2, True), (672, 4, 4, (5, 5), 1, 2, 1, True), (96, 2, 3, (2, 3), 1, 1, 1, True),
        (24, 8, 8, (3, 3), 1, 1, 1, False), (16, 8, 8, (3, 4), 1, 1, 1, False),
    ],
)  # fmt: skip
def test_filters_of_single_channels(
    channels: int, height: int, width: int, taps: tuple[int, int], stride: int, padding: int, dilation: int, own: bool
) -> None:
    """The gradient of their weights is of a kernel of our own, whichever layouts both images lie in."""
    from pellucid.executors.compiled import _native
    from pellucid.executors.native import NativeProgram

    random = np.random.default_rng(0)
    x = pl.input((3, channels, height, width), name="x")
    weight = pl.Parameter.of(random.standard_normal((channels, 1, *taps)).astype(np.float32), "w")
    mix = pl.Parameter.of(random.standard_normal((channels, channels, 1, 1)).astype(np.float32) / channels, "mix")
    images = [x, pl.conv2d(x, mix), pl.relu(x)]
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": channels}
    outputs = [pl.conv2d(image, weight, **how) for image in images]
    found = [g for y in outputs for g in pl.gradients(pl.sum(y * y), [weight])]
    feeds = {x: random.standard_normal(x.shape).astype(np.float32)}
    program = NativeProgram(Signature(found, (), {}, guard=False))
    wide = own and _native.has_wide_kernels()
    assert sum(s.detail == "channels" for s in program.plan.steps) == (len(images) if wide else 0)
    for actual, expected in zip(program(feeds), run(found, feeds, "reference"), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("channels", "size", "bins"),
    [(1, (9, 11), (2, 3)), (16, (9, 11), (7, 7)), (20, (7, 24), (3, 1)), (3, (257, 258), (7, 7))],
)
def test_the_largest_of_regions(channels: int, size: tuple[int, int], bins: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    x, boxes = pl.input((2, channels, *size), name="x"), pl.input((12, 4), name="boxes")
    maps = pl.roi_max_pool(x, boxes, random.integers(0, 2, 12), bins, 0.5)
    values = random.integers(0, 5, x.shape).astype(np.float32)  # many of which are the same
    values[random.random(x.shape) < 0.05] = np.nan
    corners = random.uniform(-9, 2.2 * max(size), (12, 4)).astype(np.float32)
    corners[0], corners[1] = (0, 0, 2 * size[1], 2 * size[0]), (-50, -50, -40, -40)
    outputs = [maps, *pl.gradients(maps, [x])]
    ours, wanted = (run(outputs, {x: values, boxes: corners}, executor=one) for one in ("native", "reference"))
    for actual, expected in zip(ours, wanted, strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("executor", ["native", "reference"])
@pytest.mark.parametrize(
    ("box", "scale"),
    [((-3e38, -3e38, 3e38, 3e38), 1.0), ((0, 0, 3e38, 3e38), 4.0), ((0, np.nan, 1, 1), 1.0), ((0, 0, np.inf, 1), 1.0)],
)
def test_regions_whose_corners_are_no_elements(executor: str, box: tuple[float, ...], scale: float) -> None:
    x, boxes = pl.input((1, 1, 4, 4), name="x"), pl.input((2, 4), name="boxes")
    maps = pl.roi_max_pool(x, boxes, np.zeros(2, np.int64), 2, scale)
    with pytest.raises(OutOfRangeError, match=r"box 1 is .*, whose corners are no elements"):
        run([maps], {x: np.ones(x.shape, np.float32), boxes: np.array([(0, 0, 1, 1), box], np.float32)}, executor)


@pytest.mark.parametrize("executor", ["native", "reference"])
@pytest.mark.parametrize("mode", ["average", "max"])
@pytest.mark.parametrize("scale", [1e-3, 1e-30])
def test_regions_that_take_more_samples_than_any_image_has(executor: str, mode: str, scale: float) -> None:
    x, boxes = pl.input((1, 1, 4, 4), name="x"), pl.input((1, 4), name="boxes")
    maps = pl.roi_align(x, boxes, np.zeros(1, np.int64), 2, scale, 0, mode=mode)
    with pytest.raises(OutOfRangeError, match="more than 4096 samples"):
        run([maps], {x: np.ones(x.shape, np.float32), boxes: np.array([(-3e38, 0, 3e38, 1)], np.float32)}, executor)


@pytest.mark.parametrize("scale", [np.nan, np.inf])
def test_scales_of_regions_are_finite(scale: float) -> None:
    for function in (pl.roi_align, pl.roi_max_pool):
        with pytest.raises(ShapeError, match="spatial_scale must be a finite number"):
            function(pl.input((1, 1, 4, 4)), np.ones((1, 4), np.float32), np.zeros(1, np.int64), 2, scale)


def test_corners_are_rounded_alike() -> None:
    below = np.nextafter(np.float32(0.5), np.float32(0))
    halves = np.array([[side] * 4 for side in (below, 0.5, 1.5, 2.5, -0.5, -below, 2.4999998)], np.float32)
    x, boxes = pl.input((1, 1, 4, 4), name="x"), pl.input(halves.shape, name="boxes")
    maps = pl.roi_max_pool(x, boxes, np.zeros(len(halves), np.int64), 1)
    feeds = {x: np.arange(16, dtype=np.float32).reshape(x.shape), boxes: halves}
    for executor in ("native", "reference"):
        (found,) = run([maps], feeds, executor)
        assert found.reshape(-1).tolist() == [0, 5, 10, 15, 0, 0, 10]


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize(("count", "most"), [(1, 1), (5, 2), (64, 64), (203, 17)])
def test_boxes_that_overlap(count: int, most: int, overlap: float, center: bool) -> None:
    random = np.random.default_rng(count)
    given = random.integers(0, 12, (2, count, 4)).astype(
        np.float32
    )  # some without area, some the same, many shares that are 0.5
    scores = random.integers(0, 20, (2, 3, count)).astype(np.float32)
    scores[random.random(scores.shape) < 0.05] = np.nan
    boxes, sure = pl.input(given.shape, name="boxes"), pl.input(scores.shape, name="scores")
    rows = pl.non_max_suppression(boxes, sure, most, overlap, 2.0, center)
    ours, wanted = (run([rows], {boxes: given, sure: scores}, executor=one)[0] for one in ("native", "reference"))
    np.testing.assert_array_equal(ours, wanted)


def test_the_larger_and_the_smaller_of_whole_numbers() -> None:
    from pellucid.executors.native import NativeProgram

    a, b = (pl.input((3, 5), "int64", name) for name in "ab")
    values = np.random.default_rng(0).integers(-(2**62), 2**62, (2, 3, 5))
    outputs = [pl.maximum(a, b), pl.minimum(a, b), pl.maximum(a - b, 0) * 2]
    program = NativeProgram(Signature(outputs, (), {}, guard=False))
    assert not program.fallbacks
    for ours, wanted in zip(
        program({a: values[0], b: values[1]}), run(outputs, {a: values[0], b: values[1]}, "reference"), strict=True
    ):
        np.testing.assert_array_equal(ours, wanted)
