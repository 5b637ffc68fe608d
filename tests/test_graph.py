"""Tensors and graphs: NumPy's semantics, immutability, names, autodiff's edges, and what programs promise."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pellucid as pl
from pellucid import nn
from pellucid.errors import DTypeError, GraphError, NonFiniteError, ShapeError, UnknownNameError
from pellucid.executors import available_executors, compile, first_non_finite, run
from search import examples

EXECUTORS = [name for name, reason in available_executors().items() if not reason]
SHAPES = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4)


@settings(max_examples=examples(100))
@given(SHAPES, st.sampled_from(["add", "subtract", "multiply", "maximum", "less", "equal"]))
def test_broadcasting_is_numpys(shapes: hnp.BroadcastableShapes, name: str) -> None:
    a, b = (np.round(np.random.default_rng(len(s)).standard_normal(s), 0) for s in shapes.input_shapes)
    x, y = pl.input(a.shape, "float64", "x"), pl.input(b.shape, "float64", "y")
    z = getattr(pl, name)(x, y)
    expected = getattr(np, name)(a, b)
    assert z.shape == expected.shape
    np.testing.assert_array_equal(run([z], {x: a, y: b})[0], expected)


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        slice(1, None),
        slice(None, None, 2),
        slice(None, None, -1),
        (slice(None), 1),
        (..., 2),
        (None, 1),
        (0, ..., None, slice(3, 0, -2)),
        slice(2, 2),
    ],
    ids=str,
)
def test_indexing_is_numpys(key: object) -> None:
    a = np.arange(60.0).reshape(3, 4, 5)
    x = pl.input(a.shape, "float64")
    y = x[key]
    np.testing.assert_array_equal(run([y], {x: a})[0], a[key])  # type: ignore[index]
    (slope,) = run(pl.gradients(y.sum(), [x]), {x: a} if y.size < 0 else {})
    expected = np.zeros_like(a)
    expected[key] = 1  # type: ignore[index]
    np.testing.assert_array_equal(slope, expected)


def test_operators() -> None:
    x, w = pl.input((2, 3), "float64", "x"), pl.input((3,), "float64", "w")
    a, b = np.arange(6.0).reshape(2, 3) + 1, np.array([1.0, -2.0, 0.5])
    outputs = [
        2 - x / w,
        1 / x,
        -(x**2),
        x @ w,
        abs(w),
        2.0**x,
        (x > 2),
        (x != 3),
        x.T,
        x.mean(0),
        x.max(1),
        x.reshape(3, -1),
    ]
    expected = [
        2 - a / b,
        1 / a,
        -(a**2),
        a @ b,
        abs(b),
        2.0**a,
        a > 2,
        a != 3,
        a.T,
        a.mean(0),
        a.max(1),
        a.reshape(3, -1),
    ]
    for got, want in zip(run(outputs, {x: a, w: b}), expected, strict=True):
        np.testing.assert_allclose(got, want)


def test_tensors_are_immutable_and_have_no_truth() -> None:
    x = pl.input((2,))
    with pytest.raises(GraphError, match="immutable"):
        x.shape = (3,)  # type: ignore[misc]
    with pytest.raises(GraphError, match="a graph is immutable"):
        pl.Graph([x]).nodes = ()  # type: ignore[misc]
    with pytest.raises(GraphError, match="no truth value"):
        bool(x == x)
    assert len({x, x, pl.input((2,))}) == 2


def test_names_are_unique_stable_and_findable() -> None:
    x = pl.input((2, 3), name="x")
    w = pl.Parameter.of(np.ones((4, 3), np.float32), "w")
    y = pl.relu(pl.relu(pl.linear(x, w)))
    graph = pl.Graph([y, *pl.gradients(y.sum(), [w])])
    assert len(set(graph.names.values())) == len(graph)
    assert graph["grad/w"] is graph.outputs[1]
    assert graph["relu_1"] is y
    with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
        graph["relo"]
    positions = {n: i for i, n in enumerate(graph)}
    assert all(positions[i] < positions[n] for n in graph for i in n.inputs)
    assert "matmul" in str(graph)
    assert graph._repr_html_().startswith("<svg")
    assert "http://" not in graph._repr_html_().replace("http://www.w3.org/2000/svg", "")


def _small_graph(
    names: tuple[str, str] = ("w", "y"),
    size: int = 3,
    dtype: str = "float32",
    value: float = 1.0,
    low: float = 0.0,
    trainable: bool = True,
    swap: bool = False,
    extra: bool = False,
    outputs: int = 1,
) -> pl.Graph:
    x, v = pl.input((2, size), dtype, "x"), pl.input((2, size), dtype, "v")
    w = pl.Parameter.of(np.full((size,), value, dtype), names[0], trainable)
    a, b = (v, x) if swap else (x, v)
    y = pl.clip((a * w - b), low, 6.0).named(names[1])
    return pl.Graph([pl.relu(y) if extra else y, *[y] * (outputs - 1)])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"names": ("weight", "y")}, "'w' (parameter_leaf) stands where the other has 'weight'"),
        ({"names": ("w", "z")}, "'y' (clip) stands where the other has 'z'"),
        ({"size": 4}, "'x': shape is (2, 3), of the other (2, 4)"),
        ({"dtype": "float64"}, "'x': element type is float32, of the other float64"),
        ({"value": 2.0}, "'w': the parameter's values differ"),
        (
            {"low": -1.0},
            "'y': clip(low=0.0, high=6.0, open=False) differs from clip(low=-1.0, high=6.0, open=False) in low",
        ),
        ({"trainable": False}, "'w': trainable is True, of the other False"),
        ({"swap": True}, "'x' (input) stands where the other has 'v' (input)"),
        ({"extra": True}, "only the second has 'relu'"),
        ({"outputs": 2}, "outputs: ['y'] and ['y', 'y']"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_the_first_difference_between_graphs(change: dict, words: str) -> None:
    found = _small_graph().difference(_small_graph(**change))
    assert found.startswith(words)
    assert bool(found) == bool(words)


def test_deep_graphs_need_no_recursion() -> None:
    x = y = pl.input((), "float64")
    for _ in range(10_000):
        y = y + 1.0
    (slope,) = pl.gradients(y, [x])
    assert float(run([y], {x: np.float64(2)})[0]) == 10_002
    assert len(pl.Graph([y])) > 10_000
    assert float(run([slope])[0]) == 1


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: pl.input((2, 3)) + pl.input((4,), name="b"), ShapeError, "do not broadcast.*'b'"),
        (lambda: pl.input((2, -3)), ShapeError, "must not be negative"),
        *(
            (lambda shape=shape: pl.input(shape), ShapeError, r"x: expected a shape, a tuple")
            for shape in ("x", 3, (2.0,), None)
        ),
        (lambda: pl.input((2,), "float16"), DTypeError, "float16"),
        (lambda: pl.input((2,)) + pl.input((2,), "float64"), DTypeError, "pl.cast"),
        (lambda: pl.input((2,), "int64") * 0.5, DTypeError, "cast"),
        (lambda: pl.input((2, 3)) @ pl.input((4, 5)), ShapeError, "3 columns.*4 rows"),
        (lambda: pl.input((2, 3)).reshape(4, 2), ShapeError, "cannot become"),
        (lambda: pl.input((2, 3)).sum(5), ShapeError, "axis 5 does not exist"),
        (lambda: pl.input((2, 3))[4], ShapeError, "lies outside"),
        (
            lambda: pl.conv2d(pl.input((1, 3, 8, 8), name="photo"), pl.input((4, 1, 3, 3))),
            ShapeError,
            "1 input channels, got 3.*photo",
        ),
        (lambda: pl.conv2d(pl.input((1, 1, 2, 2)), pl.input((4, 1, 3, 3))), ShapeError, "does not fit"),
        (
            lambda: pl.conv_transpose2d(pl.input((1, 1, 1, 1), name="photo"), pl.input((1, 4, 3, 3)), padding=2),
            ShapeError,
            r"padding \(2, 2\) leaves nothing of 'photo'",
        ),
        (lambda: pl.max_pool2d(pl.input((1, 1, 4, 4)), 0), ShapeError, "at least 1"),
        (lambda: pl.cross_entropy(pl.input((2, 3)), pl.input((3,), "int64")), ShapeError, "labels of shape"),
        (lambda: pl.gradients(pl.input((2,), "int64"), []), DTypeError, "only floating"),
        (lambda: pl.Graph([np.zeros(2)]), GraphError, "outputs are tensors"),
    ],
)
def test_errors(build: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        build()  # type: ignore[operator]


def test_gradients_of_what_is_not_connected_are_zero() -> None:
    x, y = pl.input((2,), "float64", "x"), pl.input((3,), "float64", "y")
    (slope,) = pl.gradients(x.sum(), [y])
    np.testing.assert_array_equal(run([slope])[0], np.zeros(3))


CUTS = [
    ("end to end", lambda x: [x[:, :2], x[:, 2:5], x[:, 5:]], ["concat"]),
    ("in any order", lambda x: [x[:, 5:], x[:, :2], x[:, 2:5]], ["concat"]),
    ("with gaps", lambda x: [x[:, 1:2], x[:, 3:4]], ["concat"]),
    ("and whole", lambda x: [x[:, :3], x[:, 3:], x], ["add", "concat"]),
    ("that overlap", lambda x: [x[:, :3], x[:, 2:]], ["add", "slice_gradient", "slice_gradient"]),
    ("of two axes", lambda x: [x[:1], x[:, 2:]], ["add", "slice_gradient", "slice_gradient"]),
    ("with steps", lambda x: [x[:, ::2], x[:, 1::2]], ["add", "slice_gradient", "slice_gradient"]),
    ("alone", lambda x: [x[:, 2:4]], ["slice_gradient"]),
]


@pytest.mark.parametrize(("what", "cut", "kinds"), CUTS, ids=[c[0] for c in CUTS])
def test_the_gradient_of_pieces_is_put_together_once(what: str, cut: Any, kinds: list[str]) -> None:
    """And not one array of the whole's size for each piece, which for a sequence takes the square of its length."""
    x = pl.input((2, 7), "float64", "x")
    pieces = cut(x)
    factors = [np.cos(np.arange(p.size) + k).reshape(p.shape) for k, p in enumerate(pieces)]
    total = sum(((p * pl.constant(f)).sum() for p, f in zip(pieces, factors, strict=True)), pl.constant(0.0, "float64"))
    (slope,) = pl.gradients(total, [x])
    made = sorted(n.op.kind for n in pl.Graph([slope]) if n.op.kind in ("add", "concat", "slice_gradient"))
    assert made == kinds
    unit = np.eye(14).reshape(14, 2, 7)
    expected = [float(pl.run([total], {"x": direction})[0]) for direction in unit]  # the sum is linear in x
    np.testing.assert_allclose(pl.run([slope], {})[0].reshape(-1), expected, rtol=0, atol=1e-12)


def test_gradient_of_a_gradient() -> None:
    x = pl.input((), "float64", "x")
    y = x**4
    for expected in (4 * 8, 12 * 4, 24 * 2, 24):
        (y,) = pl.gradients(y, [x])
        assert float(run([y], {x: np.float64(2)} if y.inputs and x in pl.Graph([y]).inputs else {})[0]) == expected


def test_a_parameter_is_what_it_starts_from_until_it_is_written() -> None:
    numbers = np.arange(6, dtype=np.float32)
    start = np.frombuffer(numbers.tobytes(), np.float32).reshape(2, 3)
    parameter = pl.Parameter((2, 3), lambda shape, generator: start)
    assert np.shares_memory(parameter.value, start), "what nobody can write is not copied"
    twin = parameter.copied()
    assert np.shares_memory(twin.value, start)
    parameter.value = start + 1
    np.testing.assert_array_equal(parameter.value, start + 1)
    np.testing.assert_array_equal(twin.value, numbers.reshape(2, 3))
    twin.become(parameter.copied())
    np.testing.assert_array_equal(twin.value, start + 1)
    parameter.initialize((0,))
    np.testing.assert_array_equal(parameter.value, numbers.reshape(2, 3))


def test_a_pickled_parameter_goes_back_to_what_it_started_from() -> None:
    parameter = pl.Parameter.of(np.arange(3.0), "a")
    np.testing.assert_array_equal(parameter.value, np.arange(3.0))
    for twin in (pickle.loads(pickle.dumps(parameter)), copy.deepcopy(parameter), parameter.copied()):  # noqa: S301 (our own)
        twin.value = np.zeros(3)
        np.testing.assert_array_equal(parameter.value, np.arange(3.0))
        twin.initialize((0,))
        np.testing.assert_array_equal(twin.value, np.arange(3.0))


def test_a_parameter_has_its_own_copy_of_what_others_may_write() -> None:
    own = np.arange(12, dtype=np.float32)
    seen = own[:6].reshape(2, 3)
    seen.flags.writeable = False
    packed = np.frombuffer(b"\0" + own.tobytes(), np.float32, 6, offset=1).reshape(2, 3)
    for start in (own[:6].reshape(2, 3), seen, packed, np.broadcast_to(own[:3], (2, 3)), own[:6].reshape(2, 3).T.T):
        parameter = pl.Parameter((2, 3), lambda shape, generator, start=start: start)
        before = parameter.value.copy()
        own[:] = own[::-1].copy()
        np.testing.assert_array_equal(parameter.value, before)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_programs_write_their_own_copy_of_what_a_parameter_starts_from(executor: str) -> None:
    start = np.frombuffer(np.array([1.0, 2.0]).tobytes())
    a, b = (pl.Parameter((2,), lambda shape, generator: start, "float64", name) for name in "ab")
    x = pl.input((2,), "float64", "x")
    shown = compile([a + x], [x], executor=executor)
    program = compile([a + b + x], [x], {a: a + b * x}, executor)
    np.testing.assert_array_equal(shown({x: np.ones(2)})[0], [2, 3])
    np.testing.assert_array_equal(program({x: np.ones(2)})[0], [3, 5])
    np.testing.assert_array_equal(program({x: np.ones(2)})[0], [4, 7])
    np.testing.assert_array_equal(shown({x: np.ones(2)})[0], [4, 7])
    np.testing.assert_array_equal([a.value, b.value, start], [[3, 6], [1, 2], [1, 2]])
    a.initialize((0,))
    np.testing.assert_array_equal(shown({x: np.ones(2)})[0], [2, 3])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_programs_keep_the_contract(executor: str) -> None:
    a, b = pl.Parameter.of(np.array([1.0, 2.0]), "a"), pl.Parameter.of(np.array([3.0, 4.0]), "b")
    x = pl.input((2,), "float64", "x")
    program = compile([a + x], [x], {a: b + 0.0, b: a + 0.0}, executor)
    inside = a.storage()
    np.testing.assert_array_equal(program({"x": np.zeros(2)})[0], [1, 2])
    assert a.storage() is inside, "updates write into the same array"
    np.testing.assert_array_equal(np.stack([a.value, b.value]), [[3, 4], [1, 2]])
    np.testing.assert_array_equal(program({x: [1, 1]})[0], [4, 5])
    for feeds, error, words in (
        ({}, GraphError, "not fed: x"),
        ({"xx": np.zeros(2)}, GraphError, "did you mean 'x'"),
        ({"x": np.zeros(3)}, ShapeError, r"expected shape \(2,\), got \(3,\)"),
        ({"x": np.array(["a", "b"])}, DTypeError, "expected float64"),
        ({a: np.zeros(2)}, GraphError, "only inputs can be fed"),
    ):
        with pytest.raises(error, match=words):
            program(feeds)  # type: ignore[arg-type]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_parameter_that_is_one_number_stays_one(executor: str) -> None:
    weight = pl.Parameter.of(np.array(-2.0), name="w")
    assert weight.value.shape == ()
    (slope,) = pl.gradients(weight * weight, [weight])
    program = pl.compile([weight * weight], updates={weight: weight - slope * 0.25}, executor=executor)
    assert [float(program()[0]) for _ in range(3)] == [4.0, 1.0, 0.25]
    assert weight.value.shape == ()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_guard_leaves_parameters_alone(executor: str) -> None:
    w = pl.Parameter.of(np.array([0.0]), "w")
    program = compile([pl.log(w)], updates={w: w + 1.0}, executor=executor, guard=True)
    with pytest.raises(NonFiniteError, match="log"):
        program()
    assert w.value[0] == 0
    named = first_non_finite([pl.exp(pl.log(w)) * 2.0])
    assert named is not None
    assert named[0] == "log"


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("size", [1, 5000])
@pytest.mark.parametrize(
    ("start", "change", "sort"),
    [
        (1e30, lambda w: w * w, "infinity"),
        (1e30, lambda w: w * w - w * w * 2.0, "NaN"),
        (0.0, lambda w: 1.0 / w, "infinity"),
        (3.0, lambda w: w * w, ""),
        (1e-30, lambda w: w * w, ""),
    ],
)
def test_guard_looks_at_new_values(executor: str, size: int, start: float, change: Any, sort: str) -> None:
    value = np.ones(size, np.float32)
    value[size // 2] = start
    w, other = pl.Parameter.of(value, "w"), pl.Parameter.of(np.ones(3, np.float32), "other")
    updates = {other: other + 1.0, w: change(w)}
    program = compile([pl.sum(other)], updates=updates, executor=executor, guard=True)
    if sort:
        with pytest.raises(NonFiniteError, match=rf"w: became {sort} in 1 of {size} elements"):
            program()
    else:
        program()
    w.value = value
    compile([pl.sum(other)], updates=updates, executor=executor)()


def assigned(parameter: pl.Parameter, value: Any) -> None:
    parameter.value = value


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda: run([pl.input((2,))], {"x": np.array([1, 1e300])}), r"x: 1e\+300 does not fit into float32"),
        (lambda: run([pl.input((2,), "int64")], {"x": np.array([1, 2**63], np.uint64)}), "x: 9223372036854775808 does"),
        (lambda: pl.constant(np.array([1e300]), "float32"), r"constant: 1e\+300 does not fit into float32"),
        (lambda: pl.constant(np.array([2.0**63]), "int64"), "does not fit into int64"),
        (lambda: pl.constant([np.nan], "int64"), "nan does not fit into int64"),
        (lambda: pl.input((2,)) + 1e39, r"1e\+39 does not fit into float32"),
        (lambda: pl.Parameter.of([1.0, -1e300]), r"-1e\+300 does not fit into float32"),
        (lambda: pl.Parameter.of(["1", "x"]), "parameter: expected numbers, got an array of <U1"),
        (lambda: assigned(pl.Parameter.of([1.0, 2.0], "w"), [1.0, 1e300]), r"w: 1e\+300 does not fit into float32"),
        (lambda: assigned(pl.Parameter.of(np.arange(2), "w"), [0.5, 1.5]), "w: expected a value of int64, got an array of float64"),
        (lambda: assigned(pl.Parameter.of(np.arange(2), "w"), np.array([2**63, 0], np.uint64)), "9223372036854775808 does not"),
        (lambda: assigned(pl.Parameter.of(np.array([True]), "w"), [2]), "w: expected a value of bool, got an array of int64"),
    ],
)  # fmt: skip
def test_numbers_that_an_element_type_does_not_hold(give: Any, words: str) -> None:
    """Infinities and NaNs are held by floats, and numbers between two of them are rounded."""
    with np.errstate(all="raise"), pytest.raises(DTypeError, match=words):
        give()


def test_numbers_that_an_element_type_holds() -> None:
    (found,) = run([pl.input((4,))], {"x": np.array([np.inf, -np.inf, np.nan, 0.1])})
    np.testing.assert_array_equal(found, np.float32([np.inf, -np.inf, np.nan, 0.1]))
    parameter = pl.Parameter.of(np.zeros(3, np.float32))
    for value in ([1, 2, 3], [True, False, True], np.array([3e38, -np.inf, np.nan])):
        parameter.value = value
        np.testing.assert_array_equal(parameter.value, np.array(value).astype(np.float32))
    assert pl.constant([1.7, -1.7], "int64").op.reference().tolist() == [1, -1]


def test_what_is_no_name_is_told_with_those_that_there_are() -> None:
    x: Any = pl.input((2,))
    for give in (lambda: pl.gelu(x, 3), lambda: pl.squared_error(x, x, None), lambda: pl.compile([x], executor=1.5)):  # type: ignore[arg-type]
        with pytest.raises(UnknownNameError, match=r"unknown .* there are: "):
            give()


def test_long_doubles_become_doubles() -> None:
    assert pl.constant(np.longdouble(0.1)).dtype == pl.constant(np.array([0.1], np.longdouble)).dtype == "float64"


def test_arrays_of_another_order_of_bytes_keep_their_element_type() -> None:
    for element in ("f4", "f8", "i8"):
        values = np.array([1, 2, 3], f">{element}")
        for tensor in (pl.constant(values), pl.Parameter.of(values), pl.input((3,), np.dtype(element).name, "x")):
            feeds = {"x": values} if tensor.name == "x" else {}
            (found,) = run([tensor * 2], feeds)
            assert (str(found.dtype), found.tolist()) == (np.dtype(element).name, [2, 4, 6])
    for give in (lambda: pl.constant([[1, 2], [3]]), lambda: run([pl.input((2,))], {"x": [[1, 2], [3]]})):
        with pytest.raises(ShapeError, match="is no array of numbers"):
            give()


def test_weights_that_do_not_fit_are_all_told_and_none_is_set() -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.places = pl.Parameter.of(np.zeros(2, np.float32)), pl.Parameter.of(np.arange(2))

    net = Layer()
    with pytest.raises(nn.ModuleError) as found:
        net.load_state_dict({"weight": np.array([1, 1e300]), "places": np.array([0.5, 1])})
    assert "too large: weight has 1e+300, beyond float32" in str(found.value)
    assert "not of its element type: places is float64, expected int64" in str(found.value)
    assert net.weight.value.tolist() == [0, 0]


def test_unknown_executor() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'reference'"):
        compile([], executor="referense")


SOURCES = sorted((Path(__file__).parents[1] / "src").rglob("*.py"))


def test_files_are_short() -> None:
    long = {p.name: n for p in SOURCES if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400}
    assert long.keys() <= {"convolution.py"}, long


def test_import_of_detection_is_light() -> None:
    """What needs networks, training, data or pictures comes with the first name that needs it; each public name is there."""
    code = """
import sys
import pellucid.detect
heavy = {f"pellucid.{name}" for name in ("data", "executors", "inference", "interop", "nn", "pictures", "train")}
assert not {*heavy, "PIL", "scipy", "safetensors"} & {*sys.modules}, heavy & {*sys.modules}
assert not [name for name in sys.modules if name.startswith("pellucid.detect.") and name.count(".") > 2]
for name in pellucid.detect.__all__:
    assert not isinstance(getattr(pellucid.detect, name), type(sys)), name
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_import_is_light_and_needs_no_torch() -> None:
    code = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ImportError("hidden")
sys.meta_path.insert(0, Hide())
import pellucid
heavy = {"torch", "sklearn", "scipy", "rich", "PIL", "tensorboard", "typer"} & set(sys.modules)
assert not heavy, heavy
import importlib, pkgutil
for module in pkgutil.walk_packages(pellucid.__path__, "pellucid."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
