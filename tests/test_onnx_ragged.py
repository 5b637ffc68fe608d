"""What is done to tensors whose lengths depend on values: ONNX Runtime's numbers and shapes on every executor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import pellucid as pl
from onnx_models import from_text
from pellucid.errors import OutOfRangeError
from pellucid.executors import available_executors
from pellucid.interop import OnnxError

EXECUTORS = [name for name, missing in available_executors().items() if not missing]

INPUTS = "float[7] x, float[6,4] rows"
START = """
    two = Constant <value = int64[1] {2}> ()
    four = Constant <value = int64[1] {4}> ()
    last = Constant <value = int64[1] {6}> ()
    axis0 = Constant <value = int64[1] {0}> ()
    axis1 = Constant <value = int64[1] {1}> ()
    minus1 = Constant <value = int64[1] {-1}> ()
    minus2 = Constant <value = int64[1] {-2}> ()
    zero = Constant <value = int64 {0}> ()
    one = Constant <value = int64 {1}> ()
    seven = Constant <value = int64 {7}> ()
    z = NonZero(x)
    t = Transpose(z)
    line = Squeeze(z, axis0)
    n = Shape(line)
    fifth = Cast <to = 1> (line)
"""
ROWS = (
    START
    + """
    first6 = Slice(x, axis0, last)
    mask = Cast <to = 9> (first6)
    few = Compress <axis = 0> (rows, mask)
    one_few = Unsqueeze(few, axis0)
    two_few = Concat <axis = 0> (one_few, one_few)
"""
)
XS = ([1, 0, 2, 0, 0, 3, 4], [0, 0, 0, 5, 0, 1, 0], [1, 2, 3, 4, 5, 6, 7])


def reshaped(of: str, *shapes: str) -> tuple[str, str]:
    """A body that reshapes a tensor in several ways, and its outputs."""
    body, outputs = "", []
    for number, shape in enumerate(shapes):
        sizes = shape.split(",")
        body += f"to{number} = Constant <value = int64[{len(sizes)}] {{{shape}}}> ()\n y{number} = Reshape({of}, to{number})\n"
        outputs.append(f"float[{','.join('abcdefgh'[k] + str(number) for k in range(len(sizes)))}] y{number}")
    return body, ", ".join(outputs)


def flattened(of: str, element: str, *axes: int) -> tuple[str, str]:
    """A body that flattens a tensor at several axes, and its outputs."""
    body = "\n".join(f"y{k} = Flatten <axis = {axis}> ({of})" for k, axis in enumerate(axes))
    return body, ", ".join(f"{element}[a{k},b{k}] y{k}" for k in range(len(axes)))


CASES = {
    "rows under other shapes": reshaped("few", "-1,4", "0,-1", "0,2,2", "-1,2", "1,-1,4", "-1", "1,-1", "0,0", "-1,1,4"),
    "rows behind one axis": reshaped(
        "one_few", "0,-1", "0,0,-1", "0,0,4", "0,0,2,2", "0,-1,2", "0,0,0", "-1,0,4", "0,-1,4", "1,-1,4", "-1,4", "-1", "1,0,2,-1"
    ),
    "two pictures of rows": reshaped("two_few", "0,-1", "0,0,-1", "2,-1,4", "0,-1,2", "2,-1,1,4", "1,2,-1,4", "0,0,2,2"),
    "rows flattened": flattened("few", "float", 0, 1, 2, -1),
    "rows behind one axis, flattened": flattened("one_few", "float", 0, 1, 2, 3, -2),
    "two pictures of rows, flattened": flattened("two_few", "float", 1, -2),
    "places flattened": flattened("z", "int64", 0, 1, 2),
    "shapes that are computed": ("""
        m = Shape <end = 1> (few)
        to = Concat <axis = 0> (m, minus1)
        a = Reshape(few, to)
        b = Reshape(two_few, to1)
        c = Reshape(one_few, to2)
        d = Reshape(t, to3)
        """.replace("b =", """
        to1 = Concat <axis = 0> (two, m, minus1)
        to2 = Concat <axis = 0> (minus1, m, four)
        to3 = Concat <axis = 0> (n, minus1)
        b ="""), "float[a,b] a, float[2,c,d] b, float[e,f,4] c, int64[g,h] d"),
    "as many as a range": ("""
        count = Squeeze(n)
        places = Range(zero, count, one)
        again = Gather(line, places)
        a = Add(again, line)
        b = Add(places, line)
        """, "int64[n] a, int64[n] b"),
    "put at places from the end": ("""
        back = Sub(t, seven)
        from_end = Sub(line, seven)
        a = ScatterND(x, back, fifth)
        b = ScatterND <reduction = "add"> (x, back, fifth)
        c = ScatterElements(x, from_end, fifth)
        """, "float[7] a, float[7] b, float[7] c"),
    "the last of what there is": ("""
        nine = Constant <value = int64[1] {99}> ()
        a = GatherND(t, row)
        b = ScatterND(line, row, nine)
        c = ScatterElements(line, minus1, nine)
        d = Gather(line, minus2)
        e = GatherElements(line, pair_back)
        f = ScatterElements <axis = 1> (z, square, square)
        g = GatherND(two_few, place)
        h = ScatterND(two_few, place, rows1)
        """.replace("a =", """
        row = Constant <value = int64[1,1] {-1}> ()
        square = Constant <value = int64[1,1] {-2}> ()
        pair_back = Constant <value = int64[2] {-1, -2}> ()
        place = Constant <value = int64[2,2] {-1, -1, 0, -2}> ()
        rows1 = Slice(rows, axis0, two)
        a =""", 1), "int64[1,1] a, int64[n] b, int64[n] c, int64[1] d, int64[2] e, int64[1,n] f, float[2,4] g, float[2,n,4] h"),
    "means of whole numbers": ("""
        small = Cast <to = 6> (z)
        a = ReduceMean <axes = [1]> (z)
        b = ReduceMean <axes = [1], keepdims = 0> (small)
        c = ReduceMean <keepdims = 0> (z)
        d = ReduceMean <axes = [0]> (few)
        e = ReduceMean (two_few)
        """, "int64[1,1] a, int32[1] b, int64 c, float[1,4] d, float[1,1,1] e"),
    "ranks of what is no number": ("""
        few4 = Constant <value = int64[1] {4}> ()
        nan = Constant <value = float[4] {nan, 2, -inf, inf}> ()
        all = Concat <axis = 0> (nan, line_f)
        a, i = TopK <largest = 0> (all, few4)
        b, j = TopK (all, few4)
        many, c = TopK <largest = 0> (all, k)
        ones = Div (line_f, zeros)
        d, l = TopK <largest = 0> (ones, n)
        """.replace("all =", """
        line_f = Cast <to = 1> (line)
        zeros = Sub(line_f, line_f)
        k = Add(n, four)
        all =""", 1), "float[4] a, int64[4] i, float[4] b, int64[4] j, float[m] many, int64[m] c, float[n] d, int64[n] l"),
    "boxes of no chance": ("""
        corner = Constant <value = float[1,4] {0, 0, 1, 1}> ()
        moves = Unsqueeze(fifth, axis1)
        boxes2 = Add(moves, corner)
        boxes = Unsqueeze(boxes2, axis0)
        low = Constant <value = float[1] {-inf}> ()
        low2 = Expand(low, n)
        sixth = Constant <value = float {2.5}> ()
        big = Less(fifth, sixth)
        mixed = Where(big, low2, fifth)
        flat = Unsqueeze(mixed, axis0)
        two_classes = Concat <axis = 0> (flat, flat)
        scores = Unsqueeze(two_classes, axis0)
        most = Constant <value = int64[1] {5}> ()
        overlap = Constant <value = float[1] {0.5}> ()
        least = Constant <value = float[1] {3.5}> ()
        a = NonMaxSuppression(boxes, scores, most, overlap)
        b = NonMaxSuppression(boxes, scores, most, overlap, least)
        c = NonMaxSuppression(boxes, scores, most, overlap, low)
        d = NonMaxSuppression(boxes, scores, one)
        """, "int64[a,3] a, int64[b,3] b, int64[c,3] c, int64[d,3] d"),
    "the last of equals": ("""
        low = Constant <value = float[1] {-inf}> ()
        high = Constant <value = float[1] {inf}> ()
        lows = Expand(low, n)
        highs = Expand(high, n)
        a = ArgMax <select_last_index = 1> (lows)
        b = ArgMin <select_last_index = 1> (highs)
        c = ArgMax <select_last_index = 1> (line)
        d = ArgMin <select_last_index = 1, axis = 0> (few)
        """, "int64[1] a, int64[1] b, int64[1] c, int64[1,4] d"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_lengths_are_passed_on(name: str, tmp_path: Path) -> None:
    body, outputs = CASES[name]
    path = from_text(tmp_path / "net.onnx", INPUTS, ROWS + body, outputs + ", float[k,4] few")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rows = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    net = pl.load_onnx(path)
    made = net(*net.example_inputs())
    for executor in EXECUTORS:
        program = pl.compile(made if isinstance(made, tuple) else (made,), executor=executor)
        for x in XS:
            known = {"x": np.array(x, np.float32), "rows": rows}
            feeds = {i.name: known[i.name] for i in session.get_inputs()}
            rights = session.run(None, feeds)
            for value, right, which in zip(program(feeds), rights, net.output_names, strict=True):
                assert value.shape == right.shape, f"{executor}: {which}"
                np.testing.assert_allclose(value, right, rtol=1e-5, err_msg=f"{executor}: {which}")


@pytest.mark.parametrize(
    ("body", "outputs", "words"),
    [
        ("to = Concat <axis = 0> (n, minus1)\n y = Reshape(rows, to)", "float[n,m] y", "shape must be known .* depends on x"),
        ("to = Concat <axis = 0> (minus1, n)\n y = Reshape(rows, to)", "float[n,m] y", "shape must be known .* depends on x"),
        ("m = Shape <end = 1> (few)\n to = Concat <axis = 0> (minus1, m)\n y = Reshape(few, to)", "float[n,m] y", r"as \(4, 6\)"),
        ("to = Concat <axis = 0> (n, minus1)\n y = Reshape(few, to)", "float[n,m] y", r"as \[.*as many as.*, -1\], of which it may be no multiple"),
        ("to = Constant <value = int64[2] {6, 4}> ()\n y = Reshape(few, to)", "float[n,m] y", r"as \[6, 4\]"),
        ("to = Concat <axis = 0> (n, two)\n y = Reshape(t, to)", "int64[n,m] y", r"\(7, 1\) cannot become \(7, 2\)"),
    ],
)  # fmt: skip
def test_shapes_that_cannot_be_known_are_refused(body: str, outputs: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(OnnxError, match=words):
        pl.load_onnx(from_text(tmp_path / "net.onnx", INPUTS, ROWS + body, outputs))


NAMED = {
    "Gather": "y = Gather(line, at)",
    "GatherElements": "y = GatherElements(line, at)",
    "GatherND": "row = Unsqueeze(at, axis1)\n y = GatherND(line, row)",
    "ScatterElements": "y = ScatterElements(line, at, value)",
    "ScatterND": "row = Unsqueeze(at, axis1)\n y = ScatterND(line, row, value)",
}


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_places_beyond_what_there_is_are_errors(kind: str, executor: str, tmp_path: Path) -> None:
    body = START + "value = Constant <value = int64[1] {99}> ()\n" + NAMED[kind]
    path = from_text(tmp_path / "net.onnx", "float[7] x, int64[1] at", body, "int64[n] y")
    net = pl.load_onnx(path)
    program = pl.compile((net(*net.example_inputs()),), executor=executor)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for at in (-3, -1, 0, 2):
        feeds = {"x": np.array([0, 0, 0, 5, 0, 1, 2], np.float32), "at": np.array([at])}
        np.testing.assert_array_equal(program(feeds)[0], session.run(None, feeds)[0])
    for at in (3, -4, 6, 7, -7, -8):
        with pytest.raises(OutOfRangeError):
            program({**feeds, "at": np.array([at])})


@pytest.mark.parametrize("body", ["y = ScatterND(x, t7, fifth)", "y = ScatterElements(x, line7, fifth)"])
def test_nothing_is_put_behind_the_last(body: str, tmp_path: Path) -> None:
    path = from_text(
        tmp_path / "net.onnx",
        "float[7] x, int64 far",
        START + "t7 = Add(t, far)\n line7 = Add(line, far)\n" + body,
        "float[7] y",
    )
    net = pl.load_onnx(path)
    for executor in EXECUTORS:
        program = pl.compile((net(*net.example_inputs()),), executor=executor)
        x = np.array([0, 0, 1, 2, 0, 0, 0], np.float32)
        np.testing.assert_array_equal(program({"x": x, "far": np.array(3)})[0], [0, 0, 1, 2, 0, 2, 3])
        for far in (4, -11):
            with pytest.raises(OutOfRangeError):
                program({"x": x, "far": np.array(far)})


def test_what_is_not_run_may_name_places_that_are_not_there(tmp_path: Path) -> None:
    body = (
        START
        + """
        size = Size(line)
        none = Equal(size, zero)
        y = If (none) <
            then_branch = g1 () => (int64[1] a) { a = Identity(minus1) },
            else_branch = g2 () => (int64[1] b) { b = Gather(line, minus1) }
        >
        """
    )
    net = pl.load_onnx(from_text(tmp_path / "net.onnx", "float[7] x", body, "int64[1] y"))
    for executor in EXECUTORS:
        program = pl.compile((net(*net.example_inputs()),), executor=executor)
        for x, right in ([0, 0, 0, 0, 0, 0, 0], -1), ([0, 1, 0, 0, 2, 0, 0], 4):
            assert program({"x": np.array(x, np.float32)})[0] == [right]


def test_trips_that_do_not_happen_may_name_places_that_are_not_there(tmp_path: Path) -> None:
    body = (
        START
        + """
        count = Squeeze(n)
        go = Constant <value = bool {1}> ()
        y = Loop (count, go, zero) <
            body = g1 (int64 i, bool held, int64 s) => (bool on, int64 t2) {
                on = Identity(held)
                place = Gather(line, i)
                back = Neg(i)
                previous = Sub(back, one)
                behind = Gather(line, previous)
                both = Mul(place, behind)
                t2 = Add(s, both)
            }
        >
        """
    )
    path = from_text(tmp_path / "net.onnx", "float[7] x", body, "int64 y")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    net = pl.load_onnx(path)
    for executor in EXECUTORS:
        program = pl.compile((net(*net.example_inputs()),), executor=executor)
        for x in (*XS, [0, 0, 0, 0, 0, 0, 0]):
            feeds = {"x": np.array(x, np.float32)}
            np.testing.assert_array_equal(program(feeds)[0], session.run(None, feeds)[0])


@pytest.mark.parametrize(
    ("body", "outputs", "fits", "left"),
    [
        ("to = Constant <value = int64[2] {-1, 8}> ()\n y = Reshape(few, to)", "float[a,8] y", [1, 0, 2, 3, 4, 0, 0], [1, 0, 2, 0, 0, 3, 0]),
        ("to = Constant <value = int64[2] {-1, 3}> ()\n y = Reshape(few, to)", "float[a,3] y", [1, 0, 2, 3, 0, 0, 0], [1, 0, 2, 0, 0, 0, 0]),
        ("to = Concat <axis = 0> (n, four)\n y = Reshape(rows, to)", "float[a,4] y", [1, 2, 3, 4, 5, 6, 0], [1, 2, 3, 4, 5, 0, 0]),
    ],
)  # fmt: skip
def test_elements_that_a_shape_has_no_place_for_are_errors(
    body: str, outputs: str, fits: list[float], left: list[float], tmp_path: Path
) -> None:
    path = from_text(tmp_path / "net.onnx", INPUTS, ROWS + body, outputs + ", float[k,4] few")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    net = pl.load_onnx(path)
    rows = np.arange(24, dtype=np.float32).reshape(6, 4)
    for executor in EXECUTORS:
        program = pl.compile(net(*net.example_inputs()), executor=executor)
        feeds = {"x": np.array(fits, np.float32), "rows": rows}
        np.testing.assert_array_equal(program(feeds)[0], session.run(None, feeds)[0])
        with pytest.raises(OutOfRangeError, match="left_over"):
            program({**feeds, "x": np.array(left, np.float32)})
