"""ONNX graphs whose lengths depend on values, such as the tails of detectors: ONNX Runtime's numbers on every executor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import pellucid as pl
from onnx_models import from_text
from pellucid.executors import available_executors
from pellucid.interop import OnnxError

EXECUTORS = [name for name, missing in available_executors().items() if not missing]

LIMITS = """
    most = Constant <value = int64[1] {4}> ()
    overlap = Constant <value = float[1] {0.4}> ()
    least = Constant <value = float[1] {0.3}> ()
"""
NMS = LIMITS + "picked = NonMaxSuppression(boxes, scores, most, overlap, least)\n"
DETECTIONS = "float[2,30,4] boxes, float[2,3,30] scores"
COLUMN = """
    two = Constant <value = int64[1] {2}> ()
    column = Gather <axis = 1> (picked, two)
"""
FILTER = """
    level = Constant <value = float {0.5}> ()
    above = Greater(row, level)
    found = NonZero(above)
    chosen = Squeeze(found, axis0)
"""
AXES = """
    axis0 = Constant <value = int64[1] {0}> ()
    axis1 = Constant <value = int64[1] {1}> ()
    minus1 = Constant <value = int64[1] {-1}> ()
    zero = Constant <value = int64 {0}> ()
    one = Constant <value = int64 {1}> ()
    three = Constant <value = int64[1] {3}> ()
    four = Constant <value = int64[1] {4}> ()
    ten = Constant <value = int64[1] {10}> ()
    huge = Constant <value = int64[1] {9223372036854775807}> ()
"""
ROW = "float[40] row, float[40,4] boxes"

CASES = {
    "suppression": (DETECTIONS, NMS, "int64[n,3] picked"),
    "suppression of centers": (
        DETECTIONS,
        LIMITS + "picked = NonMaxSuppression <center_point_box = 1> (boxes, scores, most, overlap)",
        "int64[n,3] picked",
    ),
    "suppression without limits": (
        DETECTIONS,
        LIMITS + "picked = NonMaxSuppression(boxes, scores, most)",
        "int64[n,3] picked",
    ),
    "suppression that keeps none": (DETECTIONS, "picked = NonMaxSuppression(boxes, scores)", "int64[n,3] picked"),
    "YOLO: classes and boxes gathered by picture and place": (
        DETECTIONS,
        NMS + AXES + COLUMN + """
            pairs = Constant <value = int64[2] {0, 2}> ()
            where = Gather <axis = 1> (picked, pairs)
            kept = GatherND(boxes, where)
            best = GatherND(scores, picked)
            score = Unsqueeze(best, axis1)
            kind = Gather <axis = 1> (picked, axis1)
            kinds = Cast <to = 1> (kind)
            y = Concat <axis = 1> (kept, score, kinds)
        """,
        "float[n,6] y",
    ),
    "YOLO: one picture, flat indices": (
        "float[1,30,4] boxes, float[1,3,30] scores",
        NMS + AXES + COLUMN + """
            flat = Reshape(column, minus1)
            all = Squeeze(boxes, axis0)
            kept = Gather <axis = 0> (all, flat)
            half = Constant <value = float {0.5}> ()
            scaled = Mul(kept, half)
            shifted = Add(scaled, kept)
            y = Unsqueeze(shifted, axis0)
        """,
        "float[1,n,4] y",
    ),
    "SSD: the best of all classes": (
        "float[1,30,4] boxes, float[1,3,30] scores",
        NMS + AXES + """
            best = GatherND(scores, picked)
            shape = Shape(best)
            fewest = Constant <value = int64[1] {5}> ()
            k = Min(shape, fewest)
            values, places = TopK <axis = 0> (best, k)
            rows = Gather <axis = 0> (picked, places)
            y = Cast <to = 1> (rows)
        """,
        "float[n,3] y, float[n] values",
    ),
    "first and last": (
        DETECTIONS,
        NMS + AXES + """
            a = Slice(picked, axis0, three, axis0)
            b = Slice(picked, minus1, huge, axis0)
            c = Slice(picked, three, minus1, axis0)
            d = Slice(picked, axis1, three, axis1)
        """,
        "int64[a,3] a, int64[b,3] b, int64[c,3] c, int64[n,2] d",
    ),
    "as many as there are": (
        DETECTIONS,
        NMS + AXES + """
            count = Shape <end = 1> (picked)
            size = Size(picked)
            zeros = ConstantOfShape(count)
            shape = Concat <axis = 0> (count, four)
            wide = Expand(one, shape)
            scalar = Squeeze(count)
            numbers = Range(zero, scalar, one)
            again = Tile(one1, count)
        """.replace("again", "one1 = Constant <value = int64[1] {7}> ()\n again"),
        "int64 size, float[n] zeros, int64[n,4] wide, int64[n] numbers, int64[n] again",
    ),
    "levels joined": (
        ROW,
        AXES + FILTER + """
            some = Gather <axis = 0> (boxes, chosen)
            joined = Concat <axis = 0> (some, boxes, some)
            top = ReduceMax <keepdims = 0> (some)
            middle = ReduceMean <axes = [0], keepdims = 0> (some)
            widths = ReduceSum <keepdims = 0> (some, axis1)
            total = ReduceSum <keepdims = 1> (some, axis0)
            least = ReduceMin <axes = [0], keepdims = 0> (some)
            soft = Softmax <axis = 0> (some)
            best = ArgMax <axis = 0, keepdims = 0> (some)
            run = CumSum(some, zero)
            back = CumSum <reverse = 1> (some, zero)
        """,
        "float[m,4] joined, float top, float[4] middle, float[n] widths, float[1,4] total, float[4] least, float[n,4] soft,"
        " int64[4] best, float[n,4] run, float[n,4] back",
    ),
    "shapes of what is there": (
        ROW,
        AXES + FILTER + """
            some = Gather <axis = 0> (boxes, chosen)
            turned = Transpose <perm = [1, 0]> (some)
            pairs = Constant <value = int64[2] {-1, 2}> ()
            halves = Reshape(some, pairs)
            flat = Flatten <axis = 1> (some)
            line = Reshape(some, minus1)
            left, right = Split <axis = 1> (some)
            kept = Constant <value = int64[3] {0, 2, 2}> ()
            square = Reshape(some, kept)
            weight = Constant <value = float[4,2] {1, 2, 3, 4, 5, 6, 7, 8}> ()
            mixed = MatMul(some, weight)
            last = Gather <axis = 0> (some, minus1)
        """,
        "float[4,n] turned, float[m,2] halves, float[n,4] flat, float[l] line, float[n,2] left, float[n,2] right,"
        " float[n,2,2] square, float[n,2] mixed, float[1,4] last",
    ),
    "suppression of what is left": (
        "float[40] row, float[1,40,4] boxes, float[1,1,40] scores",
        AXES + FILTER + LIMITS + """
            some = Gather <axis = 1> (boxes, chosen)
            rest = Gather <axis = 2> (scores, chosen)
            picked = NonMaxSuppression(some, rest, most, overlap)
            column = Gather <axis = 1> (picked, two)
            line = Reshape(column, minus1)
            kept = Gather <axis = 1> (some, line)
            again = NonZero(some)
        """.replace("column =", "two = Constant <value = int64[1] {2}> ()\n column ="),
        "int64[n,3] picked, float[1,n,4] kept, int64[3,m] again",
    ),
    "compressed": (
        ROW,
        AXES + FILTER + """
            few = Compress <axis = 0> (boxes, above)
            turned = Transpose(boxes)
            columns = Compress <axis = 1> (turned, above)
            mask = Compress <axis = 0> (above, above)
            more = Greater(few, level)
            flat = Reshape(more, minus1)
            line = Reshape(few, minus1)
            twice = Compress <axis = 0> (line, flat)
        """,
        "float[n,4] few, float[4,n] columns, bool[n] mask, float[m] twice",
    ),
    "different": (
        "float[40] whole",
        AXES + """
            values, first, which, times = Unique(whole)
            inOrder, f, w, t = Unique <sorted = 0> (whole)
            back = Gather <axis = 0> (values, which)
        """,
        "float[n] values, int64[n] first, int64[40] which, int64[n] times, float[n] inOrder, float[40] back",
    ),
    "nothing where there is nothing, as torchvision's detectors say it": (
        "float[40] row, float[1,40,4] boxes, float[1,1,40] scores, float[1] limit",
        AXES + LIMITS + """
            above = Greater(row, limit)
            found = NonZero(above)
            chosen = Squeeze(found, axis0)
            some = Gather <axis = 1> (boxes, chosen)
            rest = Gather <axis = 2> (scores, chosen)
            size = Size(some)
            none = Equal(size, zero)
            kept = If (none) <
                then_branch = g1 () => (int64[n] a) {
                    a = ConstantOfShape <value = int64[1] {0}> (axis0)
                },
                else_branch = g2 () => (int64[n] b) {
                    largest = ReduceMax <keepdims = 0> (some)
                    moved = Add(some, largest)
                    picked = NonMaxSuppression(moved, rest, most, overlap)
                    two = Constant <value = int64[1] {2}> ()
                    column = Gather <axis = 1> (picked, two)
                    b = Squeeze(column, axis1)
                }
            >
            y = Gather <axis = 1> (some, kept)
        """,
        "float[1,n,4] y, int64[n] kept",
    ),
    "levels merged, as torchvision's detectors do": (
        "float[40] row, float[40,4] boxes, float[1,3,9,9] map",
        AXES + FILTER + """
            many = Gather <axis = 0> (boxes, chosen)
            wide = Constant <value = float {6}> ()
            scaled = Mul(many, wide)
            count = Shape <end = 1> (scaled)
            column = Gather <axis = 1> (scaled, zero)
            middle = Constant <value = float {2.5}> ()
            right = Greater(column, middle)
            left = Not(right)
            places1 = NonZero(right)
            first = Squeeze(places1, axis0)
            places2 = NonZero(left)
            second = Squeeze(places2, axis0)
            boxes1 = Gather <axis = 0> (scaled, first)
            boxes2 = Gather <axis = 0> (scaled, second)
            count1 = Shape <end = 1> (first)
            count2 = Shape <end = 1> (second)
            pictures1 = ConstantOfShape <value = int64[1] {0}> (count1)
            pictures2 = ConstantOfShape <value = int64[1] {0}> (count2)
            maps1 = RoiAlign <output_height = 2, output_width = 2, sampling_ratio = 2> (map, boxes1, pictures1)
            maps2 = RoiAlign <output_height = 2, output_width = 2, spatial_scale = 0.5> (map, boxes2, pictures2)
            inner = Constant <value = int64[3] {3, 2, 2}> ()
            shape = Concat <axis = 0> (count, inner)
            empty = ConstantOfShape <value = float[1] {0}> (shape)
            shape1 = Shape(maps1)
            shape2 = Shape(maps2)
            apart = Constant <value = int64[4] {-1, 1, 1, 1}> ()
            rows1 = Reshape(first, apart)
            rows2 = Reshape(second, apart)
            index1 = Expand(rows1, shape1)
            index2 = Expand(rows2, shape2)
            half = ScatterElements <axis = 0> (empty, index1, maps1)
            whole = ScatterElements <axis = 0> (half, index2, maps2)
            pairs = Unsqueeze(second, axis1)
            again = ScatterND(half, pairs, maps2)
            flat = Flatten <axis = 1> (whole)
            weight = Constant <value = float[12,1] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}> ()
            y = MatMul(flat, weight)
        """,
        "float[n,1] y, float[n,3,2,2] again",
    ),
    "the k that an input asks for": (
        "float[40] row, int64[1] k",
        AXES + """
            values, places = TopK(row, k)
            smallest, p = TopK <largest = 0> (row, k)
            cut = Slice(row, axis0, k)
            rest = Slice(row, k, huge)
            double = Add(row, row)
            part = Slice(double, axis0, k)
            whole = Neg(double)
        """,
        "float[n] values, int64[n] places, float[n] smallest, float[n] cut, float[m] rest, float[n] part, float[40] whole",
    ),
    "of each row": (
        "float[3,9] x",
        AXES + """
            values, places = TopK <axis = 1> (x, four)
            lowest, p = TopK <axis = 0, largest = 0> (x, three)
        """,
        "float[3,4] values, int64[3,4] places, float[3,9] lowest, int64[3,9] p",
    ),
}  # fmt: skip


def feeds_of(session: onnxruntime.InferenceSession, seed: int) -> dict[str, np.ndarray]:
    """Boxes that overlap, scores with ties, and numbers from 0 to 1, by the inputs' names."""
    random = np.random.default_rng(seed)
    made: dict[str, np.ndarray] = {}
    for value in session.get_inputs():
        x = random.random(value.shape).astype(np.float32)
        if value.name == "boxes":
            x[..., 2:] = x[..., :2] + x[..., 2:] * 0.7
        if value.name == "limit":
            x += seed % 2  # nothing is above
        made[value.name] = np.array([7]) if value.name == "k" else np.round(x, 1) * 6 if value.name == "whole" else x
    if "scores" in made:
        made["scores"] = np.round(made["scores"], 1)
    return made


@pytest.mark.parametrize("name", CASES)
def test_lengths_that_depend_on_values(name: str, tmp_path: Path) -> None:
    path = from_text(tmp_path / "net.onnx", *CASES[name])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    net = pl.load_onnx(path)
    for executor in EXECUTORS:
        made = net(*net.example_inputs())
        outputs = made if isinstance(made, tuple) else (made,)
        program = pl.compile(outputs, executor=executor)
        for seed in range(3):
            feeds = feeds_of(session, seed)
            for value, right, which in zip(program(feeds), session.run(None, feeds), net.output_names, strict=True):
                np.testing.assert_allclose(value, right, rtol=1e-5, atol=1e-6, err_msg=f"{executor}: {which}")


@pytest.mark.parametrize(
    ("inputs", "body", "outputs", "words"),
    [
        (DETECTIONS, NMS + "f = Cast <to = 1> (picked)\n y = LpNormalization <axis = 0> (f)", "float[n,3] y", "of such a length along axis 0"),
        (DETECTIONS, NMS + "y = Trilu(picked)", "int64[n,3] y", r"'picked' \(axis 0\) depends on values; Trilu cannot"),
        ("float[12,3] x, " + DETECTIONS, NMS + "f = Cast <to = 1> (picked)\n y = Add(f, x)", "float[n,3] y", "Add cannot .* beside 12 elements"),
        ("float[1,5,4] boxes, float[1,5] scores", NMS, "int64[n,3] picked", r"wants boxes \(pictures, boxes, 4\) and scores"),
        ("float[5] x", "k = Constant <value = int64[1] {6}> ()\n y, i = TopK(x, k)", "float[6] y", "6 elements of axis 0 .* which has 5"),
        ("float[5] x", "k = Constant <value = int64[1] {-1}> ()\n y, i = TopK(x, k)", "float[6] y", "-1 elements of axis 0"),
    ],
)  # fmt: skip
def test_refusals(inputs: str, body: str, outputs: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(OnnxError, match=words):
        pl.load_onnx(from_text(tmp_path / "net.onnx", inputs, body, outputs))


DETECTOR = (
    "float[1,3,16,16] x, float[7,3,3,3] w",
    AXES + LIMITS + """
        f = Conv <pads = [1, 1, 1, 1], strides = [4, 4]> (x, w)
        to = Constant <value = int64[3] {1, 7, 16}> ()
        r = Reshape(f, to)
        sizes = Constant <value = int64[2] {4, 3}> ()
        b, s = Split <axis = 1> (r, sizes)
        scores = Sigmoid(s)
        boxes = Transpose <perm = [0, 2, 1]> (b)
        picked = NonMaxSuppression(boxes, scores, most, overlap, least)
        two = Constant <value = int64[1] {2}> ()
        column = Gather <axis = 1> (picked, two)
        flat = Reshape(column, minus1)
        all = Squeeze(boxes, axis0)
        kept = Gather <axis = 0> (all, flat)
        best = GatherND(scores, picked)
        values, places = TopK <axis = 0> (best, axis1)
    """,
    "float[n,4] kept, float[n] best, float[1] values",
)  # fmt: skip


@pytest.mark.parametrize("method", ["saliency", "lrp-epsilon", "grad-cam", "integrated-gradients"])
def test_what_a_detector_kept_is_explained(method: str, tmp_path: Path) -> None:
    """Boxes and scores that are gathered by a choice keep their gradients: those of the place that was chosen."""
    random = np.random.default_rng(1)
    net = pl.load_onnx(
        from_text(tmp_path / "net.onnx", *DETECTOR), set={"w": random.normal(size=(7, 3, 3, 3)).astype(np.float32)}
    )
    x = random.normal(size=(3, 16, 16)).astype(np.float32)
    for target in ("best[0]", "kept[1,2]", "values[0]"):
        found = pl.attribute(net, x, target, method=method, **({"layer": "f"} if method == "grad-cam" else {})).map
        assert found.shape[-2:] == (16, 16)
        assert np.isfinite(found).all()
    if method == "saliency":
        images = pl.input((1, 3, 16, 16), name="x")
        kept = net(images)[0]
        (slope,) = pl.run(pl.gradients(kept[1, 2], [images]), {images: x[None]}, "reference")
        rows = np.abs(slope[0]).max((0, 2)) > 0
        assert 0 < rows.sum() <= 3, "one window of the convolution"
