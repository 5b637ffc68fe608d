"""Operators that read images at computed places, and regions of interest: ONNX Runtime's numbers on every executor."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import pellucid as pl
from onnx_models import from_text
from pellucid.errors import OutOfMemoryError, OutOfRangeError, ShapeError
from pellucid.executors import TOLERANCE, available_executors

torch = pytest.importorskip("torch")
EXECUTORS = [name for name, missing in available_executors().items() if not missing]
RANDOM = np.random.default_rng(5)


def random(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def check(path: Path, text: tuple[str, str, str], feeds: dict[str, np.ndarray], opset: int) -> None:
    """Every executor gives ONNX Runtime's numbers."""
    net = pl.load_onnx(from_text(path, *text, opset=opset))
    expected = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, feeds)[0]
    for executor in EXECUTORS:
        (value,) = pl.run([net(*net.example_inputs())], feeds, executor)
        error = np.abs(value - expected).max(initial=0)
        assert value.shape == expected.shape
        assert error <= TOLERANCE["float32"] * max(1, np.abs(expected).max(initial=0)), executor


GRIDS = [
    *itertools.product((16, 20), ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (0, 1), (False,)),
    *itertools.product((20,), ("bilinear", "nearest"), ("zeros", "border", "reflection"), (0, 1), (True,)),
]  # fmt: skip


@pytest.mark.parametrize(("opset", "mode", "padding", "align", "deep"), GRIDS)
def test_grids(opset: int, mode: str, padding: str, align: int, deep: bool, tmp_path: Path) -> None:
    """Places inside, beyond the edges, and far away."""
    x = random(2, 3, 4, 5, 6) if deep else random(2, 3, 5, 6)
    grid = (random(2, 3, 4, 3, 3) if deep else random(2, 7, 4, 2)) * 1.5
    grid.flat[:4] = [9.3, -7.1, 1, -1]
    name = mode if opset == 16 else {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    shapes = ", ".join(f"float{list(a.shape)} {n}" for n, a in (("x", x), ("grid", grid)))
    node = f'y = GridSample <mode = "{name}", padding_mode = "{padding}", align_corners = {align}> (x, grid)'
    check(tmp_path / "net.onnx", (shapes, node, "float y"), {"x": x, "grid": grid}, opset)


BOXES = np.array(
    [[0.3, 0.7, 4.2, 4.1], [-2.0, 1.0, 9.0, 3.0], [2.0, 2.0, 2.0, 2.0], [4.0, 3.5, 1.0, 0.5], [0, 0, 11, 9], [8, 8, 20, 20]],
    np.float32,
)  # fmt: skip
PICTURES = np.array([0, 1, 1, 0, 0, 1])
REGIONS = [
    (10, ""), (10, "sampling_ratio = 2, output_height = 3, output_width = 2"), (10, "spatial_scale = 0.6, output_height = 2"),
    (16, "output_height = 2, output_width = 2"), (16, "sampling_ratio = 3, output_height = 7, output_width = 7, spatial_scale = 0.5"),
    (16, 'coordinate_transformation_mode = "output_half_pixel", output_height = 3'),
    (16, 'mode = "max", sampling_ratio = 2, output_height = 2, output_width = 3'), (16, 'mode = "max", output_height = 2'),
    (10, 'mode = "max", sampling_ratio = 1, output_width = 2'),
]  # fmt: skip


@pytest.mark.parametrize(("opset", "settings"), REGIONS)
def test_regions(opset: int, settings: str, tmp_path: Path) -> None:
    x = random(2, 3, 9, 11)
    text = (
        "float[2,3,9,11] x, float[6,4] boxes, int64[6] pictures",
        f"y = RoiAlign <{settings}> (x, boxes, pictures)".replace(" <>", ""),
        "float y",
    )
    check(tmp_path / "net.onnx", text, {"x": x, "boxes": BOXES, "pictures": PICTURES}, opset)


@pytest.mark.parametrize("settings", ["pooled_shape = [2, 3]", "pooled_shape = [7, 7], spatial_scale = 0.5"])
def test_regions_of_maxima(settings: str, tmp_path: Path) -> None:
    boxes = np.concatenate([PICTURES[:, None].astype(np.float32), BOXES], 1)
    text = "float[2,3,9,11] x, float[6,5] boxes", f"y = MaxRoiPool <{settings}> (x, boxes)", "float y"
    check(tmp_path / "net.onnx", text, {"x": random(2, 3, 9, 11), "boxes": boxes}, 17)


BENT: list[dict[str, Any]] = [
    {}, {"pads": [1, 1, 1, 1], "strides": [2, 1]}, {"dilations": [2, 1], "kernel_shape": [3, 3]}, {"group": 2, "pads": [1, 0, 1, 0]},
    {"offset_group": 2}, {"offset_group": 4, "group": 2},
]  # fmt: skip
PLAIN = {"strides": [1, 1], "dilations": [1, 1], "pads": [0, 0, 0, 0], "group": 1, "offset_group": 1}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("stated", BENT, ids=str)
def test_bent_convolutions(stated: dict[str, Any], masked: bool, tmp_path: Path) -> None:
    """As PyTorch's grid_sample of each kernel position."""
    known = {**PLAIN, **stated}
    x, weight, bias = random(2, 4, 7, 8), random(6, 4 // known["group"], 3, 3), random(6)
    sides = zip((7, 8), known["pads"], known["dilations"], known["strides"], strict=False)
    out = [(n + 2 * p - 2 * d - 1) // s + 1 for n, p, d, s in sides]
    feeds = {"x": x, "offset": random(2, known["offset_group"] * 18, *out), "w": weight, "b": bias}
    shape = (2, known["offset_group"] * 9, *out)
    mask = random(*shape) if masked else np.ones(shape, np.float32)
    feeds |= {"mask": mask} if masked else {}
    settings = ", ".join(f"{name} = {value}" for name, value in stated.items())
    text = (
        ", ".join(f"float{list(a.shape)} {n}" for n, a in feeds.items()),
        f"y = DeformConv <{settings}> (x, w, offset, b{', mask' if masked else ''})".replace(" <>", ""),
        "float y",
    )
    net = pl.load_onnx(from_text(tmp_path / "net.onnx", *text, opset=19))
    expected = bent(x, weight, bias, feeds["offset"], mask, known)
    for executor in EXECUTORS:
        (value,) = pl.run([net(*net.example_inputs())], feeds, executor)
        np.testing.assert_allclose(value, expected, rtol=0, atol=TOLERANCE["float32"] * np.abs(expected).max())


def bent(x: Any, weight: Any, bias: Any, offset: Any, mask: Any, known: dict[str, Any]) -> np.ndarray:
    """A deformable convolution written with PyTorch's functions."""
    stride, dilation, pads, group, parts = (known[name] for name in PLAIN)
    n, channels, height, width = x.shape
    rows, columns = offset.shape[2:]
    image = torch.tensor(x).reshape(n * parts, channels // parts, height, width)
    moves = torch.tensor(offset).reshape(n * parts, 9, 2, rows, columns)
    shares = torch.tensor(mask).reshape(n * parts, 9, rows, columns)
    read = []
    for k in range(9):
        down = torch.arange(rows).reshape(-1, 1) * stride[0] - pads[0] + k // 3 * dilation[0] + moves[:, k, 0]
        across = torch.arange(columns) * stride[1] - pads[1] + k % 3 * dilation[1] + moves[:, k, 1]
        grid = torch.stack([across / (width - 1) * 2 - 1, down / (height - 1) * 2 - 1], -1)
        read.append(torch.nn.functional.grid_sample(image, grid, align_corners=True) * shares[:, k : k + 1])
    stacked = torch.stack(read, 2).reshape(n, group, channels // group * 9, rows * columns)
    kernels = torch.tensor(weight).reshape(group, 6 // group, channels // group * 9)
    return ((kernels @ stacked).reshape(n, 6, rows, columns) + torch.tensor(bias).reshape(6, 1, 1)).numpy()


def averaged(x: Any, boxes: np.ndarray, pictures: np.ndarray, size: int, samples: int) -> Any:
    """RoIAlign written with PyTorch's grid_sample: the mean over samples of each bin, with zeros beyond 1 outside of the image."""
    maps = []
    for (left, top, right, bottom), picture in zip(boxes - 0.5, pictures, strict=True):
        steps = (np.arange(size * samples) + 0.5) / (size * samples)
        down, across = torch.tensor(top + steps * (bottom - top)), torch.tensor(left + steps * (right - left))
        height, width = x.shape[2:]
        inside = ((down >= -1) & (down <= height)).reshape(-1, 1) & ((across >= -1) & (across <= width))
        grid = torch.stack(
            torch.meshgrid(across / (width - 1) * 2 - 1, down / (height - 1) * 2 - 1, indexing="xy"), -1
        )[None]
        read = torch.nn.functional.grid_sample(
            x[picture : picture + 1], grid, padding_mode="border", align_corners=True
        )
        maps.append(torch.nn.functional.avg_pool2d(read * inside, samples))
    return torch.cat(maps)


def test_regions_and_their_gradient_as_pytorch_would_compute_them() -> None:
    values, boxes = random(2, 3, 9, 11).astype(np.float64), BOXES.astype(np.float64)
    x = torch.tensor(values, requires_grad=True)
    expected = averaged(x, boxes, PICTURES, 4, 3)
    weights = np.cos(np.arange(expected.numel())).reshape(expected.shape)
    (expected * torch.tensor(weights)).sum().backward()
    images = pl.input(values.shape, "float64", "x")
    y = pl.roi_align(images, boxes, PICTURES, 4, 1.0, 3)
    for executor in EXECUTORS:
        got, slope = pl.run([y, *pl.gradients((y * weights).sum(), [images])], {images: values}, executor)
        np.testing.assert_allclose(got, expected.detach().numpy(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(slope, x.grad.numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("mode", ["average", "max"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_no_boxes_and_boxes_that_are_no_numbers(mode: str, executor: str) -> None:
    x = pl.input((1, 2, 4, 4), name="x")
    feeds = {"x": random(1, 2, 4, 4)}
    none = pl.roi_align(x, np.zeros((0, 4), np.float32), np.zeros(0, np.int64), 2, mode=mode)
    assert pl.run([none], feeds, executor)[0].shape == (0, 2, 2, 2)
    strange = pl.roi_align(
        x, np.array([[0, 0, np.nan, 2], [0, 0, 2, 2]], np.float32), np.zeros(2, np.int64), 2, mode=mode
    )
    value = pl.run([strange], feeds, executor)[0]
    assert np.isnan(value[0]).any()
    assert np.isfinite(value[1]).all()


@pytest.mark.parametrize(
    ("boxes", "pictures", "words"),
    [
        ([[0, 0, 1e9, 2]], [0], "box 0 is .* more than 4096 samples"),
        ([[0, 0, 1, 2]], [1], "index 1 at .* out of range"),
    ],
)
def test_boxes_out_of_range(boxes: Any, pictures: Any, words: str) -> None:
    y = pl.roi_align(pl.input((1, 2, 4, 4), name="x"), np.array(boxes, np.float32), np.array(pictures), 2)
    for executor in EXECUTORS:
        with pytest.raises(OutOfRangeError, match=words):
            pl.run([y], {"x": random(1, 2, 4, 4)}, executor)


def test_shapes_that_do_not_fit(tmp_path: Path) -> None:
    x = pl.input((1, 2, 4, 4), name="x")
    for call, words in [
        (lambda: pl.grid_sample(x, pl.input((1, 3, 3, 3))), r"wants a grid \(pictures, ..., 2\)"),
        (lambda: pl.grid_sample(x, pl.input((2, 3, 3, 2))), r"of as many pictures"),
        (lambda: pl.grid_sample(pl.input((1, 2, 0, 4)), pl.input((1, 3, 3, 2))), "no element to read"),
        (lambda: pl.roi_align(x, pl.input((3, 5)), pl.input((3,), "int64"), 2), r"boxes \(R, 4\)"),
        (lambda: pl.roi_align(x, pl.input((3, 4)), pl.input((3,), "int64"), 0), "at least 1"),
        (lambda: pl.roi_align(x, pl.input((3, 4)), pl.input((3,), "int64"), 2, 1.0, 10**6), "sampling_ratio must be"),
    ]:
        with pytest.raises(ShapeError, match=words):
            call()
    node = "y = RoiAlign <output_height = 2147483647, output_width = 64> (x, boxes, p)"
    path = from_text(tmp_path / "net.onnx", "float[1,2,4,4] x, float[1,4] boxes, int64[1] p", node, "float y", 16)
    net = pl.load_onnx(path)
    with pytest.raises(OutOfMemoryError, match="the largest tensors are 'y'"):
        pl.compile([net(*net.example_inputs())])


IMAGES = pl.input((2, 3, 9, 11), name="x")
ROWS, WHERE = pl.input((6, 4), name="boxes"), pl.input((6,), "int64", "pictures")
CORNERS, SCORES = pl.input((2, 6, 4), name="corners"), pl.input((2, 3, 6), name="scores")
WRITTEN: list[tuple[str, Any, dict[str, int]]] = [
    ("grid", lambda: pl.grid_sample(IMAGES, pl.input((2, 3, 4, 2), name="grid"), "bicubic", "reflection"), {"GridSample": 1}),
    ("regions", lambda: pl.roi_align(IMAGES, ROWS, WHERE, (2, 3), 0.5, 2), {"RoiAlign": 1}),
    ("largest in regions", lambda: pl.roi_align(IMAGES, ROWS, WHERE, 2, 1.0, 2, False, "max"), {"RoiAlign": 1}),
    ("maxima", lambda: pl.roi_max_pool(IMAGES, ROWS, WHERE, (2, 3), 0.5), {"Cast": 1, "Concat": 1, "MaxRoiPool": 1, "Unsqueeze": 1}),
    ("ranks", lambda: pl.top_k(IMAGES, 3, 2, largest=False), {"TopK": 1}),
    ("places alone", lambda: pl.top_k(IMAGES, 3)[1], {"TopK": 1}),
    ("along an axis", lambda: pl.take_along(IMAGES, np.zeros((2, 3, 2, 11), np.int64), 2), {"GatherElements": 1}),
    ("suppression", lambda: pl.non_max_suppression(CORNERS, SCORES, 2, 0.3, 0.1), {"NonMaxSuppression": 1}),
    ("where something is", lambda: pl.nonzero(IMAGES), {"NonZero": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "build", "expected"), WRITTEN, ids=[w[0] for w in WRITTEN])
def test_written_as_one_operator_and_opened_again(
    name: str, build: Any, expected: dict[str, int], tmp_path: Path
) -> None:
    made = build()
    graph = pl.Graph(list(made) if isinstance(made, tuple) else [made])
    assert pl.save_onnx(graph, tmp_path / "net.onnx", opset=20).operators == expected
    feeds = {i.name: random(*i.shape) for i in graph.inputs}
    feeds |= {"boxes": BOXES} if "boxes" in feeds else {}
    feeds |= {"pictures": PICTURES} if "pictures" in feeds else {}
    wanted = pl.run(graph.outputs, feeds, "reference")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    net = pl.load_onnx(tmp_path / "net.onnx")
    again = net(*net.example_inputs())
    opened = pl.run(again if isinstance(again, tuple) else [again], feeds, "reference")
    for value, here, there in zip(wanted, opened, session.run(None, feeds), strict=True):
        np.testing.assert_allclose(here, value, rtol=0, atol=1e-5)
        np.testing.assert_allclose(there, value, rtol=0, atol=1e-5)
