"""ONNX loops and sequences: written trip by trip where their length is known or has a bound, else refused with words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime import InferenceSession
from typer.testing import CliRunner

import pellucid as pl
from onnx_models import from_text
from pellucid.cli import app
from pellucid.executors import TOLERANCE, available_executors
from pellucid.graph import Input, topological
from pellucid.interop import OnnxError
from pellucid.interop.onnx_reader import build

EXECUTORS = [name for name, reason in available_executors().items() if name != "torch" and not reason]
X = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5], [-2.0, 0.25, 1.0], [0.1, 0.2, 0.3]], np.float32)
COUNTED = """
    n = Constant<value = int64 {3}>() yes = Constant<value = bool {1}>()
    w = Constant<value = float[3] {0.5, 2, -1}>()
    s, rows = Loop(n, yes, x) <body = b (int64 i, bool c, float[4, 3] s0) => (bool c1, float[4, 3] s1, float[4, 3] r) {
        c1 = Identity(c) p = Mul(s0, w) f = Cast<to = 1>(i) s1 = Add(p, f) r = Mul(s1, x) }>
    y = Add(s, s) z = Identity(rows)
"""
CASES = {
    "counted": (COUNTED, "float[4, 3] y, float[a, b, c] z", 17),
    "no trips": (COUNTED.replace("{3}", "{0}"), "float[4, 3] y, float[a, b, c] z", 17),
    "not begun": (COUNTED.replace("bool {1}", "bool {0}"), "float[4, 3] y, float[a, b, c] z", 17),
    "as many as rows": (
        """
        shape = Shape(x) zero = Constant<value = int64 {0}>() n = Gather(shape, zero) one = Constant<value = int64[1] {0}>()
        start = Constant<value = float[3] {0, 0, 0}>()
        s, rows = Loop(n, , start) <body = b (int64 i, bool c, float[3] s0) => (bool c1, float[3] s1, float[3] s2) {
            c1 = Identity(c) row = Gather(x, i) s1 = Max(s0, row) s2 = Identity(s1) }>
        y = Neg(s) z = Relu(rows)
        """,
        "float[3] y, float[a, b] z", 13,
    ),
    "while, computed inside": (
        """
        yes = Constant<value = bool {1}>() k0 = Constant<value = int64 {1}>() two = Constant<value = int64 {2}>()
        most = Constant<value = int64 {30}>()
        k, s = Loop( , yes, k0, x) <body = b (int64 i, bool c, int64 a, float[4, 3] s0) => (bool c1, int64 a1, float[4, 3] s1) {
            a1 = Mul(a, two) c1 = Less(a1, most) f = Cast<to = 1>(a1) s1 = Div(s0, f) }>
        y = Identity(s) z = Cast<to = 1>(k)
        """,
        "float[4, 3] y, float z", 17,
    ),
    "longer each trip": (
        """
        n = Constant<value = int64 {3}>() yes = Constant<value = bool {1}>() start = Shape<start = 0, end = 1>(x)
        s, t = Loop(n, yes, x, start) <body = b (int64 i, bool c, float[p, 3] s0, int64[q] t0) => (bool c1, float[r, 3] s1, int64[u] t1) {
            c1 = Identity(c) s1 = Concat<axis = 0>(s0, x) t1 = Concat<axis = 0>(t0, start) }>
        y = Sin(s) z = Cast<to = 1>(t)
        """,
        "float[a, 3] y, float[b] z", 17,
    ),
    "loops inside of loops": (
        """
        n = Constant<value = int64 {2}>() yes = Constant<value = bool {1}>()
        s, rows = Loop(n, yes, x) <body = b (int64 i, bool c, float[4, 3] s0) => (bool c1, float[4, 3] s1, float[r, 4, 3] out) {
            c1 = Identity(c) one = Constant<value = int64 {1}>() m = Add(i, one)
            s1, out = Loop(m, c, s0) <body = b2 (int64 j, bool d, float[4, 3] t0) => (bool d1, float[4, 3] t1, float[4, 3] o) {
                d1 = Identity(d) f = Cast<to = 1>(i) g = Cast<to = 1>(j) h = Add(f, g) t1 = Add(t0, h) o = Mul(t1, x) }>
            }>
        y = Identity(s) z = Identity(y)
        """.replace(", float[r, 4, 3] out) {", ") {").replace("s, rows =", "s ="),
        "float[4, 3] y, float[4, 3] z", 17,
    ),
    "a choice inside": (
        """
        n = Constant<value = int64 {4}>() yes = Constant<value = bool {1}>() two = Constant<value = int64 {2}>()
        s = Loop(n, yes, x) <body = b (int64 i, bool c, float[4, 3] s0) => (bool c1, float[4, 3] s1) {
            c1 = Identity(c) early = Less(i, two) s1 = If(early) <
                then_branch = t () => (float[4, 3] o) { o = Add(s0, x) }, else_branch = e () => (float[4, 3] p) { p = Mul(s0, x) }> }>
        y = Identity(s) sum = ReduceSum<keepdims = 0>(x) none = Constant<value = float {0}>() positive = Greater(sum, none)
        z = If(positive) <then_branch = t () => (float[4, 3] o) {
                three = Constant<value = int64 {3}>()
                o = Loop(three, , x) <body = b2 (int64 i, bool c, float[4, 3] s0) => (bool c1, float[4, 3] s1) {
                    c1 = Identity(c) s1 = Mul(s0, x) }> },
            else_branch = e () => (float[4, 3] p) { p = Neg(x) }>
        """,
        "float[4, 3] y, float[4, 3] z", 17,
    ),
    "a sequence": (
        """
        n = Constant<value = int64 {3}>() yes = Constant<value = bool {1}>() none = SequenceEmpty() at = Constant<value = int64 {-1}>()
        s = Loop(n, yes, none) <body = b (int64 i, bool c, seq(float[r, 3]) s0) => (bool c1, seq(float[r, 3]) s1) {
            c1 = Identity(c) f = Cast<to = 1>(i) v = Add(x, f) s1 = SequenceInsert(s0, v) }>
        y = ConcatFromSequence<axis = 1, new_axis = 1>(s) first = Constant<value = int64 {0}>() t = SequenceInsert(s, x, first)
        u = SequenceErase(t, at) a = ConcatFromSequence<axis = -1>(u) last = SequenceAt(u, at) len = SequenceLength(u) g = Cast<to = 1>(len)
        b = ReduceSum(last) d = Add(b, g) z = Mul(a, d)
        """,
        "float[4, m, 3] y, float[4, k] z", 17,
    ),
    "cut into a sequence": (
        """
        sizes = Constant<value = int64[2] {1, 3}>() three = Constant<value = int64 {3}>() one = Constant<value = int64 {1}>()
        a = SplitToSequence<axis = 0>(x, sizes) b = SplitToSequence<axis = 0>(x, three) c = SplitToSequence<axis = 1, keepdims = 0>(x)
        a1 = SequenceAt(a, one) b1 = SequenceAt(b, one) c1 = SequenceAt(c, one) y = Concat<axis = 0>(a1, b1)
        d = SequenceConstruct(c1, c1) z = ConcatFromSequence<axis = 0>(d)
        """,
        "float[a, 3] y, float[b] z", 17,
    ),
    "for each of a sequence": (
        """
        a = SplitToSequence<axis = 0>(x) half = Constant<value = float {0.5}>() none = SequenceConstruct(x, half) at = Constant<value = int64 {1}>()
        b = SequenceMap<body = g (float[r, 3] v, float[4, 3] u) => (float[4, 3] w) { h = Mul(v, half) w = Add(h, u) }>(a, x)
        y = SequenceAt(b, at) o = Optional(none) e = OptionalHasElement(o) f = Cast<to = 1>(e) c = ConcatFromSequence<axis = 0>(b) z = Mul(c, f)
        """,
        "float[4, 3] y, float[k, 3] z", 18,
    ),
    "until the values say so": (
        """
        n = Constant<value = int64 {5}>() yes = Constant<value = bool {1}>() most = Constant<value = float {4}>()
        s, k, rows = Loop(n, yes, x, n) <body = b (int64 i, bool c, float[4, 3] s0, int64 k0) => (bool c1, float[4, 3] s1, int64 k1, float[4, 3] r) {
            s1 = Add(s0, x) top = ReduceMax<keepdims = 0>(s1) c1 = Less(top, most) k1 = Identity(i) r = Sqrt(s1) }>
        f = Cast<to = 1>(k) y = Add(s, f) z = ReduceSum<keepdims = 0>(rows)
        """.replace("r = Sqrt(s1)", "r = Mul(s1, s1)"),
        "float[4, 3] y, float z", 11,
    ),
    "longer until the values say so": (
        """
        n = Constant<value = int64 {5}>() yes = Constant<value = bool {1}>() most = Constant<value = float {5}>()
        s, rows = Loop(n, yes, x) <body = b (int64 i, bool c, float[p, 3] s0) => (bool c1, float[q, 3] s1, float[4, 3] r) {
            s1 = Concat<axis = 0>(s0, x) r = Mul(x, x) top = ReduceSum<keepdims = 0>(s1) c1 = Less(top, most) }>
        y = Identity(s) z = Identity(rows)
        """,
        "float[p, 3] y, float[a, 4, 3] z", 11,
    ),
    "for each place that is selected": (
        """
        none = Constant<value = float {0}>() yes = Constant<value = bool {1}>() start = Constant<value = float {1}>()
        over = Greater(x, none) f = Cast<to = 6>(over) places = NonZero(f) at = Transpose(places) shape = Shape<start = 0, end = 1>(at)
        axis = Constant<value = int64[1] {0}>() n = Squeeze(shape, axis)
        s, rows = Loop(n, yes, start) <body = b (int64 i, bool c, float s0) => (bool c1, float s1, float r) {
            c1 = Identity(c) place = Gather(at, i) v = GatherND(x, place) s1 = Mul(s0, v) r = Log(v) }>
        y = Identity(s) z = Exp(rows)
        """,
        "float y, float[k] z", 17,
    ),
    "whole numbers and halves": (
        """
        n = Constant<value = int64 {3}>() yes = Constant<value = bool {1}>() start = Cast<to = 5>(x)
        h = Cast<to = 10>(x)
        s, g, rows = Loop(n, yes, start, h) <body = b (int64 i, bool c, int16[4, 3] s0, float16[4, 3] h0)
            => (bool c1, int16[4, 3] s1, float16[4, 3] h1, int64 j) {
            c1 = Identity(c) k = Cast<to = 5>(i) s1 = Add(s0, k) h1 = Neg(h0) j = Identity(i) }>
        f = Cast<to = 1>(s) e = Cast<to = 1>(g) y = Sub(f, e) z = Cast<to = 1>(rows)
        """,
        "float[4, 3] y, float[k] z", 17,
    ),
    "a range of old": (
        """
        shape = Shape(x) zero = Constant<value = int64 {0}>() n = Gather(shape, zero) yes = Constant<value = bool {1}>()
        last, rows = Loop(n, yes, zero) <body = b (int64 i, bool c, int64 s0) => (bool c1, int64 s1, int64 r) {
            c1 = Identity(c) two = Constant<value = int64 {2}>() s1 = Add(s0, two) r = Identity(s0) }>
        f = Cast<to = 1>(rows) m = Unsqueeze<axes = [1]>(f) y = Add(x, m) z = Cast<to = 1>(last)
        """,
        "float[4, 3] y, float z", 10,
    ),
    "scan": (
        """
        start = Constant<value = float[3] {0, 0, 0}>() one = Constant<value = float[3] {1, 1, 1}>()
        s, t, rows, more = Scan<num_scan_inputs = 1, body = b (float[3] s0, float[3] t0, float[3] row)
            => (float[3] s1, float[3] t1, float[3] r, float v) {
            s1 = Add(s0, row) t1 = Mul(t0, row) r = Sub(s1, t1) v = ReduceSum<keepdims = 0>(row) }>(start, one, x)
        y = Concat<axis = 0>(s, t) m = Unsqueeze<axes = [1]>(more) z = Add(rows, m)
        """,
        "float[6] y, float[4, 3] z", 11,
    ),
    "scan along other axes, and back": (
        """
        u = Transpose<perm = [1, 0]>(x) start = Constant<value = float[4] {0, 0, 0, 0}>()
        s, a, b = Scan<num_scan_inputs = 2, scan_input_axes = [1, 0], scan_input_directions = [0, 1], scan_output_axes = [1, -1],
            scan_output_directions = [1, 0], body = b (float[4] s0, float[4] p, float[4] q) => (float[4] s1, float[4] r, float[4] t) {
            s1 = Add(s0, p) r = Mul(s1, q) t = Sub(s1, q) }>(start, x, u)
        y = Identity(a) z = Mul(b, x)
        """,
        "float[4, 3] y, float[4, 3] z", 11,
    ),
    "scan of a batch": (
        """
        cube = Unsqueeze<axes = [2]>(x)
        start = Constant<value = float[4, 1] {1, 2, 3, 4}>() lens = Constant<value = int64[4] {3, 1, 2, 1}>()
        s, rows = Scan<num_scan_inputs = 1, body = b (float[1] s0, float[1] v) => (float[1] s1, float[1] r) {
            s1 = Add(s0, v) r = Mul(s1, v) }>(lens, start, cube)
        y = Identity(s) z = Identity(rows)
        """,
        "float[4, 1] y, float[4, 3, 1] z", 8,
    ),
    "scan of a whole batch, back": (
        """
        cube = Unsqueeze<axes = [2]>(x) start = Constant<value = float[4, 1] {1, 2, 3, 4}>()
        s, rows = Scan<num_scan_inputs = 1, directions = [1], body = b (float[1] s0, float[1] v) => (float[1] s1, float[1] r) {
            s1 = Add(s0, v) r = Mul(s1, v) }>( , start, cube)
        y = Identity(s) z = Identity(rows)
        """,
        "float[4, 1] y, float[4, 3, 1] z", 8,
    ),
}  # fmt: skip
"""What is computed of x (4 x 3), the outputs, and the operator set."""


def outputs_of(net: pl.nn.Module, feeds: dict[str, np.ndarray], executor: str) -> tuple[np.ndarray, ...]:
    """The network's numbers for the feeds that it has inputs for."""
    made = net(*net.example_inputs())
    outputs = made if isinstance(made, tuple) else (made,)
    used = [n.name for n in topological(outputs) if isinstance(n.op, Input)]
    return pl.run(outputs, {name: feeds[name] for name in used}, executor)


@pytest.mark.parametrize("name", CASES)
def test_loops_give_what_onnx_runtime_gives(name: str, tmp_path: Path) -> None:
    body, outputs, opset = CASES[name]
    path = from_text(tmp_path / "net.onnx", "float[4, 3] x", body, outputs, opset)
    net = pl.load_onnx(path)
    back = tmp_path / "back.onnx"
    pl.save_onnx(net, back)
    for x in (X, -X, 3 * X):
        expected = InferenceSession(path).run(None, {"x": x})
        results = {executor: outputs_of(net, {"x": x}, executor) for executor in EXECUTORS}
        results["given back"] = InferenceSession(back).run(None, {"x": x})
        for executor, got in results.items():
            for a, b in zip(got, expected, strict=True):
                assert a.shape == b.shape, executor
                np.testing.assert_allclose(a, b, rtol=TOLERANCE["float32"], atol=TOLERANCE["float32"], err_msg=executor)


RECURRENT = """
    start = Constant<value = float[1, 2] {0.5, -0.5}>() n = Constant<value = int64 {4}>()
    s, rows = Loop(n, , start) <body = b (int64 i, bool c, float[1, 2] s0) => (bool c1, float[1, 2] s1, float[1, 2] r)
        <float[2, 2] w = {0.5, -0.25, 1, 0.75}> {
        v = Constant<value = float[3, 2] {1, 2, -1, 0.5, 0.25, 1}>()
        c1 = Identity(c) row = Gather(x, i) wide = Unsqueeze<axes = [0]>(row) a = Gemm(wide, v) d = MatMul(s0, w) e = Add(a, d)
        s1 = Tanh(e) r = Identity(s1) }>
    y = Identity(rows)
"""


def test_what_a_loop_learns(tmp_path: Path) -> None:
    """Weights inside of the body are the network's, their gradients those of all trips, and they are given back in the body."""
    path = from_text(tmp_path / "net.onnx", "float[4, 3] x", RECURRENT, "float[4, 1, 2] y", 11)
    net = pl.load_onnx(path)
    assert {name: value.shape for name, value in net.state_dict().items()} == {"w": (2, 2), "v": (3, 2)}
    (x,) = net.example_inputs()
    named = dict(net.named_parameters())
    w, v = named["w"], named["v"]
    state, rows = pl.constant(np.array([[0.5, -0.5]], np.float32)), []
    for trip in range(4):
        state = pl.tanh(pl.matmul(x[trip : trip + 1], v) + pl.matmul(state, w))
        rows.append(pl.reshape(state, (1, 1, 2)))
    by_hand = pl.concat(rows)
    sums = [pl.sum(y * y) for y in (net(x), by_hand)]
    feeds = {
        "x": X,
        **{p.name: value for p, value in zip((w, v), (net.state_dict()[n] for n in ("w", "v")), strict=True)},
    }
    for executor in EXECUTORS:
        got, want = (pl.run(pl.gradients(y, [x, w, v]), {"x": X}, executor) for y in sums)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    net.load_state_dict({"w": 2 * feeds["w"], "v": -feeds["v"]})
    pl.save_onnx(net, back := tmp_path / "back.onnx")
    assert [node.op_type for node in onnx.load(back).graph.node] == ["Constant", "Constant", "Loop", "Identity"]
    (got,) = outputs_of(net, {"x": X}, "native")
    np.testing.assert_allclose(InferenceSession(back).run(None, {"x": X})[0], got, rtol=1e-5, atol=1e-6)
    assert np.abs(got - InferenceSession(path).run(None, {"x": X})[0]).max() > 0.1
    again = pl.load_onnx(back)
    np.testing.assert_array_equal(again.state_dict()["w"], 2 * feeds["w"])


def test_no_gradient_leaves_a_trip_that_does_not_happen(tmp_path: Path) -> None:
    """The root of what is below 0 is taken in trips that do not happen: neither value nor gradient is nan for it."""
    body = """
    n = Constant<value = int64 {4}>() yes = Constant<value = bool {1}>() one = Constant<value = float[1] {1}>()
    s, roots = Loop(n, yes, x) <body = b (int64 i, bool c, float[1] s0) => (bool c1, float[1] s1, float[1] r) {
        r = Sqrt(s0) s1 = Sub(s0, one) zero = Constant<value = float[1] {0}>() d = Greater(s1, zero)
        axis = Constant<value = int64[1] {0}>() c1 = Squeeze(d, axis) }>
    y = ReduceSum<keepdims = 0>(roots) z = Identity(s)
    """
    net = pl.load_onnx(from_text(tmp_path / "net.onnx", "float[1] x", body, "float y, float[1] z"))
    (x,) = net.example_inputs()
    y, z = net(x)
    for executor in EXECUTORS:
        roots, left, slope, ones = pl.run(
            [y, z, *pl.gradients(y, [x]), *pl.gradients(pl.sum(z), [x])], {"x": np.array([2.5])}, executor
        )
        np.testing.assert_allclose(roots, np.sqrt(2.5) + np.sqrt(1.5) + np.sqrt(0.5), rtol=1e-6)
        np.testing.assert_allclose(slope, sum(0.5 / np.sqrt([2.5, 1.5, 0.5])), rtol=1e-5)
        np.testing.assert_allclose([*left, *ones], [-0.5, 1], rtol=1e-6)


DETECTOR = """
    shape = Shape(x) zero = Constant<value = int64 {0}>() n = Gather(shape, zero) yes = Constant<value = bool {1}>()
    k, resized = Loop(n, yes, zero) <body = b (int64 i, bool c, int64 k0) => (bool c1, int64 k1, float[3, h, w] small) {
        one = Constant<value = int64 {1}>() k1 = Add(k0, one) c1 = Less(k1, n)
        picture = Gather(x, k0) chw = Transpose<perm = [2, 0, 1]>(picture) nchw = Unsqueeze<axes = [0]>(chw)
        roi = Constant<value = float[0] {}>()
        scales = Constant<value = float[4] {1, 1, 0.5, 0.5}>() half = Resize<mode = "linear">(nchw, roi, scales)
        small = Squeeze<axes = [0]>(half) }>
    a = Conv<pads = [1, 1, 1, 1]>(resized, w) at = Constant<value = int64[3] {0, 0, 0}>()
    flat = Constant<value = int64[3] {0, 6, 16}>() rows = Reshape(a, flat) by_place = Transpose<perm = [0, 2, 1]>(rows)
    corner, other, scores = Split<axis = 2, split = [2, 2, 2]>(by_place)
    size = Abs(other) far = Add(corner, size) boxes = Concat<axis = 2>(corner, far) sure = Sigmoid(scores)
    k2, y, z, counts = Loop(n, yes, zero) <body = p (int64 i, bool c, int64 k0)
        => (bool c1, int64 k1, float[5, 4] best, float[5] sure1, float count) {
        one = Constant<value = int64 {1}>() k1 = Add(k0, one) c1 = Less(k1, n)
        own = Gather(boxes, k0) likely = Gather(sure, k0) each = Transpose<perm = [1, 0]>(likely)
        b1 = Unsqueeze<axes = [0]>(own) s1 = Unsqueeze<axes = [0]>(each)
        most = Constant<value = int64[1] {3}>() overlap = Constant<value = float[1] {0.5}>() least = Constant<value = float[1] {0.55}>()
        found = NonMaxSuppression(b1, s1, most, overlap, least)
        a0 = Constant<value = int64[1] {0}>() a1 = Constant<value = int64[1] {1}>() a2 = Constant<value = int64[1] {2}>()
        a3 = Constant<value = int64[1] {3}>() place = Slice(found, a2, a3, a1) p1 = Squeeze<axes = [1]>(place) picked = Gather(own, p1)
        of_class = Slice(found, a1, a3, a1) values = GatherND(each, of_class)
        found_shape = Shape(found) have = Slice(found_shape, a0, a1)
        five = Constant<value = int64[1] {5}>() used = Min(have, five) top, order = TopK(values, used) chosen = Gather(picked, order)
        missing = Sub(five, used) four = Constant<value = int64[1] {4}>() wide = Concat<axis = 0>(missing, four)
        none = ConstantOfShape(wide) no_score = ConstantOfShape(missing)
        best = Concat<axis = 0>(chosen, none) sure1 = Concat<axis = 0>(top, no_score)
        f = Cast<to = 1>(used) count = Squeeze<axes = [0]>(f) }>
"""


@pytest.mark.parametrize("batch", [1, 2])
def test_a_detector_as_tensorflow_exports_it(batch: int, tmp_path: Path) -> None:
    """Pictures are made smaller one by one, and boxes are chosen for each picture, in loops over the batch."""
    outputs = "float[n, 5, 4] y, float[n, 5] z, float[n] counts"
    path = from_text(tmp_path / "net.onnx", f"float[{batch}, 8, 8, 3] x, float[6, 3, 3, 3] w", DETECTOR, outputs, 12)
    model = onnx.load(path)
    random = np.random.default_rng(7)
    weight = random.standard_normal((6, 3, 3, 3)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    del model.graph.input[1]
    onnx.save(model, path)
    net = pl.load_onnx(path)
    assert list(net.state_dict()) == ["w"]
    for _ in range(3):
        feeds = {"x": random.random((batch, 8, 8, 3)).astype(np.float32)}
        expected = InferenceSession(path).run(None, feeds)
        assert net(*net.example_inputs())[0].shape == (batch, 5, 4)
        for executor in EXECUTORS:
            for got, want in zip(outputs_of(net, feeds, executor), expected, strict=True):
                assert got.shape == want.shape
                np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


GOES_ON = """
    yes = Constant<value = bool {1}>() n = Constant<value = int64 {TRIPS}>()
    y = Loop(n, yes, x) <body = b (int64 i, bool c, float[4, 3] s0) => (bool c1, float[4, 3] s1) { CONDITION s1 = Neg(s0) }>
"""
WITHOUT_END = {
    "as many as that": ("4611686018427387904", "c1 = Identity(c)", r"Loop node 'y': its body of 2 operators runs up to 4611686018427387904 times"),
    "a condition around it": ("4611686018427387904", "c1 = Identity(yes)", "runs up to 4611686018427387904 times"),
    "a condition of its own": ("4611686018427387904", "c1 = Constant<value = bool {1}>()", "runs up to 4611686018427387904 times"),
    "one that is computed": ("1000000000000000000", "f = Cast<to = 1>(i) g = Exp(f) h = IsNaN(g) c1 = Not(h)", "more than 5000 operators"),
    "what values say": ("4611686018427387904", "f = ReduceSum<keepdims = 0>(s0) c1 = IsNaN(f)", "runs up to 46116860184273879.. times"),
    "no number at all": ("", "c1 = Identity(c)", "Loop node 'y': runs without end: it has no number of trips, and its condition holds always"),
}  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT_END)
def test_loops_without_end_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "MAX_NODES", 5000)
    trips, condition, words = WITHOUT_END[name]
    body = GOES_ON.replace("CONDITION", condition).replace("TRIPS", trips or "1")
    body = body if trips else body.replace("Loop(n,", "Loop( ,")
    with pytest.raises(OnnxError, match=words):
        pl.load_onnx(from_text(tmp_path / "net.onnx", "float[4, 3] x", body, "float[4, 3] y"))


DEPENDS = """
    zero = Constant<value = float {0}>() yes = Constant<value = bool {1}>()
    y = Loop(TRIPS, yes, x) <body = b (int64 i, bool c, float[4, 3] s0) => (bool c1, float[4, 3] s1) {
        CONDITION f = Cast<to = 1>(k) s1 = Add(s0, f) }>
"""


@pytest.mark.parametrize(
    ("trips", "condition", "words"),
    [
        ("k", "c1 = Identity(c)", "Loop node 'y': how often it runs depends on k, and it has no bound; fix it with --set k=VALUE"),
        ("", "c1 = Less(i, k)", "how often it runs depends on k, and it has no number of trips that would be a bound; fix it with --set k=VALUE"),
        ("", "t = ReduceSum<keepdims = 0>(s0) d = Less(t, zero) e = Less(i, k) c1 = Or(d, e)", "depends on x, k, and it has no number"),
    ],
    ids=["number", "condition", "state"],
)  # fmt: skip
def test_a_length_that_depends_on_inputs(trips: str, condition: str, words: str, tmp_path: Path) -> None:
    body = DEPENDS.replace("TRIPS", trips).replace("CONDITION", condition)
    path = from_text(tmp_path / "net.onnx", "float[4, 3] x, int64 k", body, "float[4, 3] y")
    with pytest.raises(OnnxError, match=words):
        pl.load_onnx(path)
    if "ReduceSum" not in condition:
        net = pl.load_onnx(path, set={"k": 3})
        expected = InferenceSession(path).run(None, {"x": X, "k": np.array(3)})
        np.testing.assert_allclose(outputs_of(net, {"x": X}, "native"), expected, rtol=1e-6)
        pl.save_onnx(net, tmp_path / "back.onnx")
        np.testing.assert_allclose(InferenceSession(tmp_path / "back.onnx").run(None, {"x": X}), expected, rtol=1e-6)


BODY = "<body = b (int64 i, bool c, float[4, 3] s) => (bool d, float[4, 3] t) {d = Identity(c) t = Neg(s)}>"
OPPOSITE = "body = b (float[3] p) => (float[3] v) {v = Neg(p)}"
TWO = BODY.replace("Identity(c)", "Constant<value = bool[2] {1, 1}>()")
PAIR = "body = b (float[3] p, float[4] q) => (float[3] v) {v = Neg(p)}"
WRONG = {
    "a body of other inputs": (f"y = Loop(n, , x, x) {BODY}", "its body takes 3 inputs, and is given 4"),
    "a body of few outputs": (f"y, z = Loop(n, , x) {BODY}", "its body gives 2 values, too few"),
    "a condition of two": (f"y = Loop(n, , x) {TWO}", r"its condition must be one truth value, it is bool \(2,\)"),
    "a sequence as a tensor": ("a = SequenceConstruct(x) y = Neg(a)", "Neg node 'y': its input 0 must be a tensor, it is a sequence of 1"),
    "a tensor as a sequence": ("y = SequenceAt(x, n)", "its input 0 must be a sequence, it is float32"),
    "behind a sequence": ("a = SequenceConstruct(x) y = SequenceAt(a, n)", "position 2 lies outside of a sequence of 1"),
    "two positions": ("p = Shape(x) a = SequenceConstruct(x) y = SequenceAt(a, p)", r"a position must be one number, it is int64 \(2,\)"),
    "parts of text": ("p = Shape(x) a = SplitToSequence(x, p) y = SequenceAt(a, n)", r"SplitToSequence|Split node"),
    "out of nothing": ("a = SequenceEmpty() y = ConcatFromSequence<axis = 0>(a)", "its sequence is empty"),
    "a sequence is given": ("y = SequenceConstruct(x)", "the output 'y' is a sequence of 1; a network gives tensors alone"),
    "axes of two lengths": (f"u = Transpose(x) y = Scan<num_scan_inputs = 2, {PAIR}>(x, u)", "scans axes of 3, 4 places"),
    "more to scan than there is": (f"y = Scan<num_scan_inputs = 2, {OPPOSITE}>(x)", "num_scan_inputs is 2, of 1 inputs"),
    "no such axis": (f"y = Scan<num_scan_inputs = 1, scan_input_axes = [2], {OPPOSITE}>(x)", "axis 2 does not exist among 2 axes"),
    "parts of nothing": ("z = Constant<value = int64 {0}>() a = SplitToSequence(x, z) y = SequenceAt(a, n)", "4 elements in parts of 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_makes_no_sense_is_refused(name: str, tmp_path: Path) -> None:
    body, words = WRONG[name]
    with pytest.raises(OnnxError, match=words):
        pl.load_onnx(
            from_text(tmp_path / "net.onnx", "float[4, 3] x", f"n = Constant<value = int64 {{2}}>() {body}", "float y")
        )


REPEATED = """
    a = Conv<pads = [1, 1, 1, 1]>(x, w) yes = Constant<value = bool {1}>()
    b = Loop(trips, yes, a) <body = l (int64 i, bool c, float[n, 2, 8, 8] s) => (bool c1, float[n, 2, 8, 8] s1) {
        c1 = Identity(c) t = Mul(s, factor) s1 = Relu(t) }>
    p = GlobalAveragePool(b) f = Flatten(p) y = Gemm<transB = 1>(f, v)
"""


def test_commands_fix_what_decides_a_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`train`, `find-rate` and `compare` take `--set`; the run keeps the values, so that it is gone on with without the file."""
    monkeypatch.chdir(tmp_path)
    inputs = "float[n, 1, 8, 8] x, int64 trips, float[1] factor"
    weights = {"w": np.ones((2, 1, 3, 3), np.float32), "v": np.ones((10, 2), np.float32)}
    path = from_text(Path("net.onnx"), f"{inputs}, float[2, 1, 3, 3] w, float[10, 2] v", REPEATED, "float[n, 10] y")
    model = onnx.load(path)
    del model.graph.input[3:]
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in weights.items())
    onnx.save(model, path)
    data, fixed = ["--data", "digits", "--channels", "1"], ["--set", "trips=2", "--set", "factor=0.5"]
    train = ["train", *data, "--model", "net.onnx", "--epochs", "1", "--out", "run"]
    cli = CliRunner()
    for words, code, told in (
        (train, 1, "fix the others with --set trips=VALUE --set factor=VALUE"),
        ([*train, *fixed], 0, "accuracy"),
        (["find-rate", *data, "--model", "net.onnx", "--steps", "10", *fixed], 0, "steepest"),
        (["compare", "net.onnx", "net.onnx", *fixed, "--json"], 0, "layers"),
        (["compare", "lenet", "lenet", *fixed], 2, "lenet and lenet are none"),
        (["train", *data, "--epochs", "1", "--out", "other", *fixed], 2, "--model FILE.onnx"),
        (["train", "--out", "run", "--resume", "--epochs", "2", *fixed], 1, "leave it out with --resume"),
    ):
        done = cli.invoke(app, words)
        assert (done.exit_code, told in done.output + str(done.exception)) == (code, True), (
            f"{words}: {done.output} {done.exception}"
        )
    path.unlink()
    for words in (["train", "--out", "run", "--resume", "--epochs", "2"], ["predict", "run", "digits[3]"]):
        assert cli.invoke(app, words).exit_code == 0, words
    net = pl.open_model("run").net
    assert sorted(net.state_dict()) == ["v", "w"]
