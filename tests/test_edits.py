"""Edits of a network's numbers: what they say, what they refuse, and that every number after them is another network's."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import pellucid as pl
from pellucid.cli import app as commands
from pellucid.nn import Edit, EditError, edited

TINY = np.random.default_rng(0).standard_normal((1, 8, 8)).astype(np.float32)


class Tied(pl.nn.Module):
    """One weight under two names, batch norm, whole numbers, float64 and a weight that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = pl.nn.Conv2d(1, 4, 3)
        self.norm = pl.nn.BatchNorm2d(4)
        self.fc = pl.nn.Linear(4 * 36, 3)
        self.again = self.fc
        self.times = pl.Parameter.of(np.array([1, 2, 3]), trainable=False)
        self.on = pl.Parameter.of(np.array([True, False, True]), trainable=False)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        y = self.norm(self.conv(x)).reshape((x.shape[0], -1))
        return self.fc(y) * pl.ops.cast(self.times, "float32") * pl.ops.cast(self.on, "float32") + self.again(y)


@pytest.fixture(scope="module")
def net() -> pl.nn.Module:
    made = Tied()
    made.initialize(1)
    made.norm.running_mean.value = np.arange(4)
    return made.eval()


def by_hand(net: pl.nn.Module, change: dict[str, Any]) -> pl.nn.Module:
    """A whole copy in which `change` set values."""
    made = copy.deepcopy(net)
    for name, (index, value) in change.items():
        array = made.named_parameters()[name].value.copy()
        array[index] = value
        made.named_parameters()[name].value = array
    return made


W = "conv.weight"
EDITS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "a weight": ([f"{W}[3,0,1,2]=0.5"], {W: ((3, 0, 1, 2), 0.5)}),
    "a filter": ([f"{W}[-1] = 0"], {W: (3, 0)}),
    "rows": ([f"{W}[1:3, :, ::2]=1e-3"], {W: (np.s_[1:3, :, ::2], 1e-3)}),
    "a kernel": ([f"{W}[2,0]=[[0,1,0],[1,-4,1],[0,1,0]]"], {W: ((2, 0), [[0, 1, 0], [1, -4, 1], [0, 1, 0]])}),
    "a bias": (["conv.bias=-1"], {"conv.bias": (..., -1)}),
    "a statistic": (["norm.running_mean[1]=7"], {"norm.running_mean": (1, 7)}),
    "one name of two": (["again.bias[0]=2"], {"fc.bias": (0, 2)}),
    "both names": (["again.bias[0]=2", "fc.bias[1]=3"], {"fc.bias": (np.s_[:2], [2, 3])}),
    "whole numbers": (["times[1]*=-3"], {"times": (1, -6)}),
    "a switch": (["on[0]=0"], {"on": (0, False)}),
    "one after another": (["fc.bias=1", "fc.bias*=4", "fc.bias[0]*=0.5"], {"fc.bias": (..., [2, 4, 4])}),
    "nothing": (["fc.bias=0", "fc.bias=original"], {}),
}


@pytest.mark.parametrize("case", EDITS)
@pytest.mark.parametrize("executor", ["reference", "auto"])
def test_an_edited_network_is_one_with_those_numbers(net: pl.nn.Module, case: str, executor: str) -> None:
    edits, change = EDITS[case]
    before = net.state_dict()
    wanted = pl.trace(by_hand(net, change), TINY, 1, executor=executor)
    found = pl.trace(net, TINY, 1, edits=edits, executor=executor)
    assert found.score == wanted.score
    for name in wanted:
        assert np.array_equal(found[name].value, wanted[name].value)
        assert np.array_equal(found[name].gradient, wanted[name].gradient)
    assert str(found["conv"][3, 0, 0]) == str(wanted["conv"][3, 0, 0])
    after = net.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert (
        pl.trace(net, TINY, 1, executor=executor).score == pl.trace(by_hand(net, {}), TINY, 1, executor=executor).score
    )


def test_what_is_not_edited_is_shared(net: pl.nn.Module) -> None:
    made, own = edited(net, [f"{W}[0]=0"]), net.named_parameters()
    assert {name for name, p in made.named_parameters().items() if p is not own[name]} == {W}
    assert edited(net, []) is net
    assert list(made.state_dict()) == list(net.state_dict())


def test_what_all_but_some_do(net: pl.nn.Module) -> None:
    made = edited(net, [f"{W}=0", f"{W}[2]=original"]).state_dict()[W]
    assert np.array_equal(made[2], net.state_dict()[W][2])
    assert not made[[0, 1, 3]].any()


@pytest.mark.parametrize(
    "text",
    [
        "a[1]=0.1",
        "a*=2",
        "a=original",
        "a b[0, 1:2]=-1e-05",
        "a=[1, [2]]",
        "a=nan",
        "a=-inf",
        "a=[1.5, NaN]",
        "a[0]=true",
    ],
)
def test_an_edit_is_what_it_says(text: str) -> None:
    if text in ("a=[1, [2]]", "a[0]=true"):
        with pytest.raises(EditError):
            Edit.parse(text)
        return
    again = Edit.parse(str(Edit.parse(text)))
    assert (again.at, again.operation) == (Edit.parse(text).at, Edit.parse(text).operation)
    assert np.array_equal(again.numbers, Edit.parse(text).numbers) or again.value != again.value or "NaN" in text


WRONG = {
    "conv.wieght[3]=0": "Tied has no parameter 'conv.wieght' (did you mean 'conv.weight'?)",
    "conv=0": "there are conv.bias, conv.weight",
    f"{W}[4]=0": "conv.weight[4]: axis 0 goes from 0 to 3, there is no 4",
    f"{W}[0,1]=0": "axis 1 goes from 0 to 0, there is no 1",
    f"{W}[-5]=0": "there is no -5",
    f"{W}[3:3]=0": "3:3 is none of it",
    f"{W}[0,0,0,0,0]=0": "has 4 axes (4, 1, 3, 3), got an index of 5",
    f"{W}[a]=0": "wants a whole number or a slice such as 2:5, got 'a'",
    f"{W}[0]=[1,2]": "is of shape (1, 3, 3), which numbers of shape (2,) do not fill",
    f"{W}[0]=x": "wants a number, lists of numbers, or 'original', got 'x'",
    f"{W}*=[1,2]": "wants a factor",
    f"{W}=1e39": "float32 cannot hold 1e+39",
    "times[0]=0.5": "takes whole numbers from -9223372036854775808 to 9223372036854775807",
    "times*=0.5": "takes whole numbers",
    "times=nan": "takes whole numbers",
    "on=2": "takes whole numbers from 0 to 1",
    W: "an edit is NAME[INDEX]=NUMBER",
    "=3": "an edit is NAME[INDEX]=NUMBER",
}


@pytest.mark.parametrize("text", WRONG)
def test_an_edit_that_does_not_fit_says_why(net: pl.nn.Module, text: str) -> None:
    with pytest.raises(EditError) as told:
        edited(net, [text])
    assert WRONG[text] in str(told.value)


def onnx_file(folder: Path) -> str:
    """A file with weights of half precision, quantized ones, a table of places, a scale that is one number, and a switch."""
    onnx = pytest.importorskip("onnx")
    h, n = onnx.helper, onnx.numpy_helper
    random = np.random.default_rng(2)
    values = {
        "half": random.standard_normal((4, 6)).astype(np.float16),
        "w[q]": random.integers(-90, 90, (3, 4), np.int8),
        "step": np.float32(0.01),
        "zero": np.int8(3),
        "rows": np.array([0, 2, 1], np.int64),
        "on": np.array([[True, True, False]]),
        "none": np.zeros((1, 3), np.float32),
        "scale": np.float32(2),
    }
    nodes = [
        h.make_node("Cast", ["half"], ["full"], to=1),
        h.make_node("Gemm", ["x", "full"], ["a"], "a", transB=1),
        h.make_node("DequantizeLinear", ["w[q]", "step", "zero"], ["w"]),
        h.make_node("Gemm", ["a", "w"], ["b"], "b", transB=1),
        h.make_node("Gather", ["b", "rows"], ["c"], "c", axis=1),
        h.make_node("Mul", ["c", "scale"], ["d"], "d"),
        h.make_node("Where", ["on", "d", "none"], ["y"], "y"),
    ]
    value = h.make_tensor_value_info
    graph = h.make_graph(
        nodes, "g", [value("x", 1, [1, 6])], [value("y", 1, [1, 3])], [n.from_array(v, k) for k, v in values.items()]
    )
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), folder / "all.onnx")
    return str(folder / "all.onnx")


OF_FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "half precision": ("half[1,2]=0.5", {"half": ((1, 2), 0.5)}),
    "quantized": ("w[q][0,1]=-128", {"w[q]": ((0, 1), -128)}),
    "a quantized row": ("w[q][2]=3", {"w[q]": (2, 3)}),
    "one number": ("scale=-1", {"scale": ((), -1)}),
    "the step": ("step*=3", {"step": ((), 0.03)}),
    "places": ("rows[1]=0", {"rows": (1, 0)}),
    "a switch": ("on[0,2]=1", {"on": ((0, 2), True)}),
}


@pytest.mark.parametrize("case", OF_FILES)
def test_whatever_a_file_states_may_be_edited(case: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    edit, change = OF_FILES[case]
    file = onnx_file(tmp_path)
    proto = onnx.load(file)
    for tensor in proto.graph.initializer:
        for name, (index, value) in change.items():
            if tensor.name == name:
                array = onnx.numpy_helper.to_array(tensor).copy()
                array[index] = value
                tensor.CopyFrom(onnx.numpy_helper.from_array(array, name))
    onnx.save(proto, tmp_path / "other.onnx")
    x = {"x": np.random.default_rng(3).standard_normal((1, 6)).astype(np.float32)}
    net = pl.load_onnx(file)
    wanted = pl.trace(pl.load_onnx(tmp_path / "other.onnx"), x, 0)
    found = pl.trace(net, x, 0, edits=[edit])
    for name in wanted:
        assert np.array_equal(found[name].value, wanted[name].value), name
    assert not np.array_equal(found["y"].value, pl.trace(net, x, 0)["y"].value)
    pl.save_onnx(edited(net, [edit]), tmp_path / "saved.onnx")
    assert np.array_equal(pl.trace(pl.load_onnx(tmp_path / "saved.onnx"), x, 0)["y"].value, wanted["y"].value)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ("w[q][0,0]=200", "takes whole numbers from -128 to 127"),
        ("w[q][0,0]=0.5", "takes whole numbers"),
        ("step=1e39", "float32 cannot hold 1e+39"),
        ("hlaf=0", "no parameter 'hlaf' (did you mean 'half'?)"),
        ("rows[0]=9", "9"),
    ],
)
def test_what_a_file_cannot_hold_is_refused(edit: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(pl.PellucidError, match=re.escape(words)):
        pl.trace(pl.load_onnx(onnx_file(tmp_path)), {"x": np.ones((1, 6), np.float32)}, edits=[edit])


def test_inputs_that_were_given_values_have_them(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    value = h.make_tensor_value_info
    nodes = [h.make_node("Mul", ["x", "k"], ["a"], "a"), h.make_node("Gather", ["a", "rows"], ["y"], "y", axis=1)]
    rows = onnx.numpy_helper.from_array(np.array([0, 2]), "rows")
    inputs = [value("x", 1, ["N", 3]), value("k", 1, [3])]
    graph = h.make_graph(nodes, "g", inputs, [value("y", 1, ["N", 2])], [rows])
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), tmp_path / "given.onnx")
    opened = pl.open_model(tmp_path / "given.onnx", set={"k": [1.0, 2.0, 3.0]}, edits=["rows[0]=1"])
    assert pl.trace(opened.net, np.ones((1, 3), np.float32))["y"].value.tolist() == [2, 3]
    assert opened.net.named_parameters() == {}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("edits")
    made = pl.nn.models.build("lenet", image_size=8, in_channels=1)
    pl.fit(made, pl.load("digits"), epochs=1, out=folder / "run", report=False)
    pl.save_onnx(pl.load_run(folder / "run"), folder / "run.onnx")
    return folder / "run"


@pytest.mark.parametrize("what", ["run", "run.onnx"])
def test_every_command_takes_edits(run: Path, what: str) -> None:
    named = [str(run.parent / what), "digits[143]"]
    edits = ["conv1.weight[3]=0", "fc3.bias[2]*=-5"]
    asked = [word for edit in edits for word in ("--edit", edit)]
    told = lambda *words: json.loads(CliRunner().invoke(commands, [*words, *asked, "--json"]).stdout)  # noqa: E731
    plain = pl.open_model(named[0])
    opened = pl.open_model(named[0], edits=edits)
    traced = pl.trace(plain.net, plain.input("digits[143]").values, edits=edits)
    assert (
        told("trace", *named)["score"] == traced.score != pl.trace(plain.net, plain.input("digits[143]").values).score
    )
    assert told("predict", *named)[0]["predictions"] == opened.predict(["digits[143]"])[0]["predictions"]
    assert told("predict", *named)[0]["predictions"][0]["probability"] == pytest.approx(traced.probability, rel=1e-6)
    if what == "run":
        assert told("evaluate", named[0])["accuracy"] == opened.evaluate(pl.load("digits").test).accuracy
    assert told("explain", *named, "--at", "conv1[3,0,0]")["value"] == traced["conv1"][3, 0, 0].value
