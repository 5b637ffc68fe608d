"""ONNX files as converters leave them: nodes in any order, branches on inputs, inputs given a value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16
from PIL import Image
from typer.testing import CliRunner

import pellucid as pl
from onnx_models import normal, save, small_classifier
from pellucid.cli import app
from pellucid.executors import TOLERANCE, available_executors
from pellucid.graph import Input, topological
from pellucid.interop import OnnxError

EXECUTORS = [name for name, reason in available_executors().items() if name != "torch" and not reason]
make = helper.make_node


def branch(nodes: list[Any], output: str = "z", arrays: Mapping[str, np.ndarray] | None = None) -> Any:
    """A graph inside of a node, which takes what it reads from around it."""
    given = [numpy_helper.from_array(a, name) for name, a in (arrays or {}).items()]
    return helper.make_graph(nodes, "branch", [], [helper.make_tensor_value_info(output, 1, None)], given)


def branching(then: Any, other: Any, condition: str = "yes", output: str = "y") -> Any:
    return make("If", [condition], [output], "choice", then_branch=then, else_branch=other)


def with_inputs(path: Path, **inputs: tuple[int, tuple[Any, ...]]) -> Path:
    """The model with more inputs, of these types and shapes."""
    model = onnx.load(path)
    model.graph.input.extend(helper.make_tensor_value_info(n, t, shape) for n, (t, shape) in inputs.items())
    path.write_bytes(model.SerializeToString())
    return path


def agrees(path: Path, feeds: Mapping[str, np.ndarray], **options: Any) -> pl.nn.Module:
    """The network, whose outputs are ONNX Runtime's on all executors; it takes the feeds that it has inputs for."""
    expected = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, dict(feeds))
    net = pl.load_onnx(path, **options)
    made = net(*net.example_inputs())
    outputs = made if isinstance(made, tuple) else (made,)
    used = [n.name for n in topological(outputs) if isinstance(n.op, Input)]
    for executor in EXECUTORS:
        for got, want in zip(pl.run(outputs, {n: feeds[n] for n in used}, executor), expected, strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=TOLERANCE["float32"], atol=TOLERANCE["float32"])
    return net


def shuffled(path: Path) -> Path:
    """The model with the nodes of all its graphs and functions backwards."""
    model = onnx.load(path)

    def turn(nodes: Any) -> None:
        kept = [type(node).FromString(node.SerializeToString()) for node in reversed(nodes)]
        del nodes[:]
        nodes.extend(kept)
        for node in nodes:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    turn(attribute.g.node)

    for nodes in (model.graph.node, *(f.node for f in model.functions)):
        turn(nodes)
    path.write_bytes(model.SerializeToString())
    return path


def test_nodes_in_any_order(tmp_path: Path) -> None:
    feeds = {"x": normal(1, 1, 8, 8)}
    net = agrees(shuffled(small_classifier(tmp_path / "net.onnx")), feeds)
    assert list(net.layer_kinds().values()) == [
        "Conv",
        "BatchNormalization",
        "Relu",
        "GlobalAveragePool",
        "Flatten",
        "Dropout",
        "Gemm",
    ]
    body = [make("Mul", ["v", "v"], ["a"]), make("Relu", ["a"], ["b"]), make("Neg", ["b"], ["w"])]
    function = helper.make_function("own", "F", ["v"], ["w"], body, [helper.make_opsetid("", 17)])
    inner = branch(
        [
            make("Exp", ["t"], ["p"]),
            branching(
                branch([make("Abs", ["p"], ["q"]), make("Neg", ["q"], ["z"])]),
                branch([make("Neg", ["p"], ["z"])]),
                output="z",
            ),
        ]
    )
    nodes = [
        make("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        make("Cast", ["h"], ["s"], to=TensorProto.FLOAT),
        make("F", ["s"], ["t"], domain="own"),
        branching(inner, branch([make("Log", ["t"], ["p"]), make("Neg", ["p"], ["z"])])),
    ]
    path = save(
        tmp_path / "deep.onnx",
        nodes,
        {"x": (2,)},
        arrays={"yes": np.array(True)},
        functions=[function],
        domains=[helper.make_opsetid("own", 1)],
    )
    net = pl.load_onnx(shuffled(path))
    got = pl.run([net(pl.input((2,), name="x"))], {"x": np.array([1, -2])})[0]
    np.testing.assert_allclose(got, -np.exp(-np.array([1.0, 4.0])), rtol=1e-6)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (
            [make("Add", ["x", "b"], ["a"], "one"), make("Relu", ["a"], ["b"], "two"), make("Neg", ["b"], ["y"], "three")],
            "Relu node 'two': its input 'a' is not computed before it: Add node 'one', Relu node 'two' form a circle",
        ),
        ([make("Relu", ["y"], ["y"], "one")], "its input 'y' is not computed before it: Relu node 'one' form"),
        ([make("Relu", ["x"], ["y"], "one"), make("Neg", ["x"], ["y"], "two")], "Neg node 'two': its output 'y' is that of Relu node 'one' as well"),
        ([branching(branch([make("Neg", ["y"], ["z"])]), branch([make("Neg", ["x"], ["z"])]))], "If node 'choice': its input 'y' is not"),
    ],
    ids=["circle", "itself", "twice", "branch"],
)  # fmt: skip
def test_no_order_at_all(nodes: list[Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(OnnxError, match=words):
        pl.load_onnx(save(tmp_path / "net.onnx", nodes, {"x": (2,)}, arrays={"yes": np.array(True)}))


def test_a_long_circle_is_not_listed_whole(tmp_path: Path) -> None:
    nodes = [make("Relu", [f"v{k}"], [f"v{(k + 1) % 9000}"]) for k in range(9000)]
    with pytest.raises(OnnxError, match="and 8995 more form a circle"):
        pl.load_onnx(save(tmp_path / "net.onnx", nodes, {"x": (2,)}, ("v0",)))


ROOTS = branch(
    [make("Sqrt", ["x"], ["r"]), make("Mul", ["r", "w"], ["z"])], arrays={"w": np.array([2.0, 3.0], np.float32)}
)
NEGATIVE = branch([make("Neg", ["x"], ["z"])])


def choice(
    path: Path,
    then: Any = ROOTS,
    other: Any = NEGATIVE,
    condition: tuple[int, tuple[Any, ...]] = (TensorProto.BOOL, ()),
) -> Path:
    """A model of x (2) and of the condition `yes`, which is an input."""
    return with_inputs(save(path, [branching(then, other)], {"x": (2,)}), yes=condition)


@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize("holds", [True, False])
def test_a_branch_on_an_input(holds: bool, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = choice(tmp_path / "net.onnx", condition=(TensorProto.BOOL, shape))
    feeds = {"x": np.array([4, 9] if holds else [-4, -9], np.float32), "yes": np.full(shape, holds)}
    net = agrees(path, feeds)
    assert list(net.state_dict()) == ["w"]
    x, yes = net.example_inputs()
    (slope,) = pl.gradients(pl.sum(net(x, yes)), [x])
    for executor in EXECUTORS:
        np.testing.assert_allclose(pl.run([slope], feeds, executor)[0], [0.5, 0.5] if holds else [-1, -1], rtol=1e-6)
    fixed = agrees(path, feeds, set={"yes": holds})
    assert (fixed.input_shapes, list(fixed.state_dict())) == ({"x": (2,)}, ["w"] if holds else [])
    assert list(fixed.layer_kinds().values()) == (["Sqrt", "Mul", "Identity"] if holds else ["Neg", "Identity"])


def test_branches_inside_of_branches(tmp_path: Path) -> None:
    inner = branching(branch([make("Abs", ["x"], ["z"])]), NEGATIVE, "no", "z")
    outer = [make("Equal", ["sr", "rate"], ["yes"]), branching(branch([inner]), branch([make("Exp", ["x"], ["z"])]))]
    path = save(tmp_path / "net.onnx", outer, {"x": (2,)}, arrays={"rate": np.array([16000])})
    with_inputs(path, sr=(TensorProto.INT64, (1,)), no=(TensorProto.BOOL, ()))
    for rate in (16000, 8000):
        for no in (True, False):
            feeds = {"x": np.array([-1, 2], np.float32), "sr": np.array([rate]), "no": np.array(no)}
            assert list(agrees(path, feeds).input_shapes) == ["x", "sr", "no"]
            assert list(agrees(path, feeds, set={"sr": rate}).input_shapes) == ["x", "no"]
            assert list(agrees(path, feeds, set={"sr": [rate], "no": no}).input_shapes) == ["x"]


def test_both_branches_use_the_same_names(tmp_path: Path) -> None:
    """Branches that are put in place of their nodes get names of their own where others have them."""
    first, second = (
        branch(
            [make("Mul", ["x", "w"], ["t"], "scaled"), make("Relu", ["t"], ["z"], "relu")],
            arrays={"w": np.array(w, np.float32)},
        )
        for w in ([1, -1], [2, 5])
    )
    nodes = [branching(first, second, output="a"), branching(second, first, output="b"), make("Add", ["a", "b"], ["y"])]
    nodes[1].name = "again"
    path = save(tmp_path / "net.onnx", nodes, {"x": (2,)}, arrays={"yes": np.array(True)})
    net = agrees(path, {"x": np.array([3, -4], np.float32)})
    assert {name: value.tolist() for name, value in net.state_dict().items()} == {"w": [1, -1], "again/w": [2, 5]}
    assert len(set(net.layer_kinds())) == 7


def test_training_follows_the_branch_that_is_taken(tmp_path: Path) -> None:
    statistics = {name: np.full(2, value, np.float32) for name, value in {"s": 1, "b": 0, "m": 0, "v": 1}.items()}
    norm = branch([make("BatchNormalization", ["x", "s", "b", "m", "v"], ["z"], momentum=0.5)], arrays=statistics)
    path = with_inputs(
        save(tmp_path / "net.onnx", [branching(norm, NEGATIVE)], {"x": (4, 2)}), yes=(TensorProto.BOOL, ())
    )
    net = pl.load_onnx(path)
    net.train()
    with pl.collect_updates() as updates:
        net(*net.example_inputs())
    assert [p.name for p in updates] == ["m", "v"]
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    for holds, mean in ((True, x.mean(0) / 2), (False, [0, 0])):
        got = pl.run([*updates.values()], {"x": x, "yes": np.array(holds)})
        np.testing.assert_allclose(got[0], mean, rtol=1e-6)


LONGER = branch([make("Concat", ["x", "x"], ["z"], axis=0)])
WHOLE = branch([make("Cast", ["x"], ["z"], to=TensorProto.INT64)])
BROKEN = branch([make("Reshape", ["x", "to"], ["z"])], arrays={"to": np.array([5])})


@pytest.mark.parametrize(
    ("then", "words"),
    [
        (LONGER, r"its branches give 'y' as float32 \(4,\) and as float32 \(2,\)"),
        (WHOLE, r"its branches give 'y' as int64 \(2,\) and as float32 \(2,\)"),
        (BROKEN, "then_branch cannot be computed here: Reshape node"),
    ],
    ids=["shapes", "types", "broken"],
)
def test_branches_that_are_no_choice(then: Any, words: str, tmp_path: Path) -> None:
    path = choice(tmp_path / "net.onnx", then)
    with pytest.raises(OnnxError, match=rf"If node 'choice': .*depends on yes.*{words}.*--set yes=VALUE.*set=\{{'yes'"):
        pl.load_onnx(path)
    x = np.array([1, 2], np.float32)
    net = pl.load_onnx(path, set={"yes": False})
    np.testing.assert_array_equal(pl.run([net(*net.example_inputs())], {"x": x})[0], -x)


def test_inputs_that_shape_the_graph(tmp_path: Path) -> None:
    path = with_inputs(
        save(tmp_path / "net.onnx", [make("Reshape", ["x", "to"], ["y"])], {"x": (6,)}), to=(TensorProto.INT64, (2,))
    )
    with pytest.raises(
        OnnxError, match="shape must be known when the graph is built, but it depends on to; fix it with --set to=VALUE"
    ):
        pl.load_onnx(path)
    assert pl.load_onnx(path, set={"to": [2, 3]}).graph((6,)).outputs[0].shape == (2, 3)


@pytest.mark.parametrize(
    ("element", "shape", "value", "expected"),
    [
        (TensorProto.INT64, (), 3, np.array(3)),
        (TensorProto.INT64, (2,), 3, np.array([3, 3])),
        (TensorProto.INT64, (2,), [3, 4.0], np.array([3, 4])),
        (TensorProto.INT32, ("n",), [3, 4, 5], np.array([3, 4, 5])),
        (TensorProto.INT32, ("n",), 3, np.array([3])),
        (TensorProto.INT32, ("rows", "n"), 3, np.array([[3, 3]])),
        (TensorProto.FLOAT, (2,), True, np.array([1, 1], np.float32)),
        (TensorProto.FLOAT16, (1, 2), [[0.5, 1]], np.array([[0.5, 1]], np.float32)),
        (TensorProto.DOUBLE, None, [0.5, 1], np.array([0.5, 1])),
        (TensorProto.BOOL, (), 1, np.array(True)),
        (TensorProto.UINT8, (), 256, "set: 'v' is of type UINT8, got 256"),
        (TensorProto.INT64, (), 1.5, "set: 'v' is of type INT64, got 1.5"),
        (TensorProto.INT64, (), float("nan"), "set: 'v' is of type INT64, got nan"),
        (TensorProto.BOOL, (), 2, "set: 'v' is of type BOOL, got 2"),
        (TensorProto.INT64, (2,), [1, 2, 3], r"set: 'v' has shape \(2,\), got \(3,\)"),
        (TensorProto.INT64, (2**40,), 1, "set: 'v' as .*the limit is 2 GiB"),
        (TensorProto.INT64, (), "three", "set: 'v' must be a number or an array of numbers, got 'three'"),
        (TensorProto.INT64, (), [[1], [1, 2]], "set: 'v' must be a number or an array of numbers"),
    ],
)  # fmt: skip
def test_values_of_inputs(element: int, shape: Any, value: Any, expected: Any, tmp_path: Path) -> None:
    path = with_inputs(save(tmp_path / "net.onnx", [make("Identity", ["v"], ["y"])], {}), v=(element, shape))
    options = {"n": 2} if shape == ("rows", "n") else {}
    if isinstance(expected, str):
        with pytest.raises(OnnxError, match=expected):
            pl.load_onnx(path, set={"v": value}, **options)
        return
    net = pl.load_onnx(path, set={"v": value}, **options)
    assert (net.input_shapes, net.num_parameters()) == ({}, 0)
    got = pl.run([net()], {})[0]
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype


def test_only_inputs_can_be_set(tmp_path: Path) -> None:
    with pytest.raises(OnnxError, match=r"no input is called 'fc\.weight', which set names; inputs: x"):
        pl.load_onnx(small_classifier(tmp_path / "net.onnx"), set={"fc.weight": 1})


def test_values_of_inputs_on_the_command_line(tmp_path: Path) -> None:
    images = {"x": (1, 3, 8, 8)}
    scored = branch([make("GlobalAveragePool", ["x"], ["p"]), make("Flatten", ["p"], ["z"])])
    path = save(tmp_path / "net.onnx", [branching(scored, branch([make("Flatten", ["x"], ["z"])]))], images)
    with_inputs(path, yes=(TensorProto.BOOL, ()))
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "red.png")
    cli = CliRunner()
    for words, exits in ((["--set", "yes=true"], 0), ([], 1), (["--set", "yes"], 2), (["--set", "yes=maybe"], 2)):
        assert cli.invoke(app, ["inspect", str(path), *words]).exit_code == exits, words
    commands = (
        ["predict", str(path), str(tmp_path / "red.png"), "--preprocessing", "unit"],
        ["attribute", str(path), str(tmp_path / "red.png"), "--preprocessing", "unit", "--method", "saliency"],
        ["export", str(path), str(tmp_path / "out.onnx")],
    )
    for command in commands:
        done = cli.invoke(app, [*command, "--set", "yes=true"])
        assert done.exit_code == 0, done.output
    expected = np.array([[0.25, 0.5, 0.75]], np.float32)
    x = np.broadcast_to(expected[..., None, None], images["x"])
    written = onnxruntime.InferenceSession(tmp_path / "out.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(written.run(None, {"x": x})[0], expected)
    assert pl.open_model(path, set={"yes": True}).shape == (3, 8, 8)
    with pytest.raises(
        pl.PellucidError, match="lenet: set gives inputs of an ONNX file their values, and this is none"
    ):
        pl.open_model("lenet", set={"yes": True})


def retyped(source: Path, path: Path, element: int) -> tuple[Path, Path]:
    """The model in another floating type, and the same numbers in float32."""
    other, rounded = onnx.load(source), onnx.load(source)
    for values, tensors in zip((other.graph, rounded.graph), ("other", "rounded"), strict=True):
        for tensor in values.initializer:
            array = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(element))
            array = array.astype(np.float32) if tensors == "rounded" else array
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for value in (*other.graph.input, *other.graph.output):
        value.type.tensor_type.elem_type = element
    files = path / "other.onnx", path / "rounded.onnx"
    for file, model in zip(files, (other, rounded), strict=True):
        file.write_bytes(model.SerializeToString())
    return files


FLOATS = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16, "double": TensorProto.DOUBLE}


@pytest.mark.parametrize("element", FLOATS)
def test_files_of_other_floating_types(element: str, tmp_path: Path) -> None:
    path, rounded = retyped(small_classifier(tmp_path / "net.onnx"), tmp_path, FLOATS[element])
    x = normal(2, 1, 8, 8)
    (expected,) = onnxruntime.InferenceSession(rounded, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    net = pl.load_onnx(path, batch=2)
    dtype = "float64" if element == "double" else "float32"
    assert {(p.dtype) for p in net.parameters()} == {dtype}
    assert len(net.state_dict()) == 8
    (images,) = net.example_inputs()
    for executor in EXECUTORS:
        (got,) = pl.run([net(images)], {"x": x}, executor)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(pl.predict(net, x).argmax(1), expected.argmax(1))
    pl.save_onnx(net, tmp_path / "back.onnx")
    again = pl.load_onnx(tmp_path / "back.onnx", batch=2)
    np.testing.assert_array_equal(pl.run([again(images)], {"x": x})[0], pl.run([net(images)], {"x": x})[0])


def half(value: Any) -> np.ndarray:
    return np.array(value, np.float16)


def to(source: str, target: str, element: int) -> Any:
    return make("Cast", [source], [target], to=element)


def stated(values: list[float]) -> Any:
    return numpy_helper.from_array(half(values))


FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
COUNT = {name: np.array(value, np.float32) for name, value in {"zero": 0, "three": 3, "one": 1}.items()}
HALVES: dict[str, tuple[list[Any], dict[str, np.ndarray]]] = {
    "cast in the middle": ([to("h", "f", FLOAT), make("Exp", ["f"], ["e"]), to("e", "z", HALF)], {}),
    "cast like": ([to("h", "f", FLOAT), make("CastLike", ["f", "h"], ["z"])], {}),
    "limits": ([make("Clip", ["h", "low", "high"], ["z"])], {"low": half(-0.5), "high": half(65504)}),
    "power": ([make("Pow", ["h", "two"], ["z"])], {"two": half(2)}),
    "constant": ([make("Constant", [], ["c"], value=stated([1, 2, 3])), make("Mul", ["h", "c"], ["z"])], {}),
    "constant of a shape": (
        [make("ConstantOfShape", ["shape"], ["c"], value=stated([0.5])), make("Add", ["h", "c"], ["z"])],
        {"shape": np.array([2, 3])},
    ),
    "range": ([make("Range", ["zero", "three", "one"], ["c"]), to("c", "k", HALF), make("Add", ["h", "k"], ["z"])], COUNT),
    "padding": ([make("Pad", ["h", "pads", "value"], ["z"])], {"pads": np.array([0, 1, 0, 1]), "value": half(-65504)}),
    "comparison": ([make("Less", ["h", "one"], ["b"]), make("Where", ["b", "h", "one"], ["z"])], {"one": half(1)}),
    "expanded operator": ([make("HardSwish", ["h"], ["z"])], {}),
    "softmax": ([make("Softmax", ["h"], ["z"], axis=-1)], {}),
    "mean": ([make("ReduceMean", ["h"], ["m"], axes=[1]), make("Sub", ["h", "m"], ["z"])], {}),
    "product": ([make("Gemm", ["h", "w", "b"], ["z"], alpha=0.5)], {"w": half(np.full((3, 4), 0.5)), "b": half(np.ones(4))}),
}  # fmt: skip


@pytest.mark.parametrize("kind", HALVES)
def test_half_floats_inside_of_a_file(kind: str, tmp_path: Path) -> None:
    nodes, arrays = HALVES[kind]
    around = [
        make("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        *nodes,
        make("Cast", ["z"], ["y"], to=TensorProto.FLOAT),
    ]
    path = shuffled(save(tmp_path / "net.onnx", around, {"x": (2, 3)}, arrays=arrays))
    x = np.array([[-2, -0.5, 0], [0.25, 1, 3]], np.float32)
    (expected,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    net = pl.load_onnx(path)
    for executor in EXECUTORS:
        np.testing.assert_allclose(
            pl.run([net(*net.example_inputs())], {"x": x}, executor)[0], expected, rtol=2e-3, atol=2e-3
        )


@pytest.mark.parametrize("whole", [True, False])
def test_files_of_the_half_float_converter(whole: bool, tmp_path: Path) -> None:
    model = onnx.load(small_classifier(tmp_path / "net.onnx"))
    halved = convert_float_to_float16(model, keep_io_types=not whole)
    (tmp_path / "half.onnx").write_bytes(halved.SerializeToString())
    path = shuffled(tmp_path / "half.onnx")
    x = normal(1, 1, 8, 8)
    fed = x.astype(np.float16) if whole else x
    (expected,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": fed})
    net = pl.load_onnx(path)
    assert len(net.state_dict()) == 8
    for executor in EXECUTORS:
        (got,) = pl.run([net(*net.example_inputs())], {"x": x}, executor)
        np.testing.assert_allclose(got, expected.astype(np.float32), rtol=2e-3, atol=2e-3)


def test_spectra_of_signals_without_a_last_axis(tmp_path: Path) -> None:
    """Feature extractors of speech leave out the axis of one that ONNX's STFT asks for."""
    arrays = {"hop": np.array(4), "window": np.hanning(8).astype(np.float32)}
    node = make("STFT", ["x", "hop", "window"], ["y"], onesided=1)
    agrees(save(tmp_path / "net.onnx", [node], {"x": (2, 32)}, arrays=arrays), {"x": normal(2, 32)})
