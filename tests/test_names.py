"""Names of layers: what is asked for by name is the layer of that name, whatever else is called so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

import pellucid as pl
from onnx_models import normal, save
from pellucid import nn
from pellucid.errors import MOST_LISTED, UnknownNameError
from pellucid.explain import parse_place
from pellucid.inference.layers import LayerError
from pellucid.text import named_table, some_of

PICTURE = np.ones((2, 4, 3), np.float32)


class Clashing(nn.Module):
    """Layers of the given names, as `join` calls them."""

    def __init__(self, join: Callable[[Any, pl.Tensor], pl.Tensor], *names: str) -> None:
        super().__init__()
        for name in names:
            setattr(self, name, nn.Conv2d(2, 2, 1))
        self._join = join
        self.initialize(0)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self._join(self, x)


@pytest.mark.parametrize(
    ("join", "layers", "expected"),
    [
        (lambda n, x: n.conv_1(n.conv(n.conv(x))), ("conv", "conv_1"), ["conv", "conv_2", "conv_1"]),
        (lambda n, x: n.conv(n.conv(n.conv_1(x))), ("conv", "conv_1"), ["conv_1", "conv", "conv_2"]),
        (lambda n, x: n.c_2(n.c(n.c_1(n.c(n.c(x))))), ("c", "c_1", "c_2"), ["c", "c_3", "c_1", "c_4", "c_2"]),
        (lambda n, x: n.relu(pl.relu(x)), ("relu",), ["relu_1", "relu"]),
        (lambda n, x: n.add(x + 1.0) + 2.0, ("add",), ["add_1", "add", "add_2"]),
        (lambda n, x: n.x(n.image(n.input(x))), ("x", "image", "input"), ["input", "image", "x"]),
    ],
)
def test_a_name_is_that_of_the_layer(
    join: Callable[[Any, pl.Tensor], pl.Tensor], layers: tuple[str, ...], expected: list[str]
) -> None:
    net = Clashing(join, *layers)
    graph = net.graph((1, *PICTURE.shape))
    for layer in layers:
        weight = net.named_parameters()[f"{layer}.weight"]
        assert weight in {p for i in graph[layer].inputs for p in (i, *i.inputs)}
    summary = net.summary(PICTURE.shape)
    assert [row.name for row in summary.rows] == expected
    assert {row.name: row.kind for row in summary.rows if row.kind == "Conv2d"}.keys() >= set(layers)
    (scores,) = pl.compile(graph.outputs)({"x": PICTURE[None]})
    assert scores.shape == (1, *PICTURE.shape), "the input is fed by its own name"


def test_answers_by_name_are_about_that_layer() -> None:
    net = Clashing(lambda n, x: n.conv_1(n.conv(n.conv(x))).sum((2, 3)), "conv", "conv_1")
    trace = pl.trace(net, PICTURE)
    assert [name for name in trace if name.startswith("conv")] == ["conv", "conv_2", "conv_1"]
    np.testing.assert_allclose(trace["conv_1"].value.sum((1, 2)), trace["sum"].value, rtol=1e-5)
    feeds = [next(iter(trace[name][0, 0, 0].feeds)) for name in ("conv", "conv_2", "conv_1")]
    assert feeds == ["conv_2", "conv_1", "sum"]
    assert [row.name for row in pl.time_layers(net, PICTURE.shape).rows][:3] == ["conv", "conv_2", "conv_1"]
    assert pl.receptive_field(net, PICTURE, "conv_1").layer == "conv_1"


def test_names_in_onnx_files(tmp_path: Path) -> None:
    """A node called as a weight, as another's output, as another node, below another; functions' nodes stay inside."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "w"),  # called as its weight is
        helper.make_node("Relu", ["a"], ["relu"]),  # its output's name is the next one's own
        helper.make_node("Sigmoid", ["relu"], ["b"], "relu"),
        helper.make_node("Tanh", ["b"], ["c"], "relu"),
        helper.make_node("Softsign", ["c"], ["d"], "relu/inner"),
        helper.make_node("Twice", ["d"], ["e"], "twice", domain="own"),
        helper.make_node("Exp", ["e"], ["y"], "image"),
    ]
    inner = [helper.make_node("Neg", ["v"], ["u"], "image"), helper.make_node("Abs", ["u"], ["t"], "w")]
    imports = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "Twice", ["v"], ["t"], inner, imports)
    path = save(
        tmp_path / "net.onnx", nodes, {"x": (1, 2, 4, 3)}, arrays={"w": normal(2, 2, 1, 1)},
        functions=[function], domains=[helper.make_opsetid("own", 1)],
    )  # fmt: skip
    net = pl.load_onnx(path)
    rows = [(row.name, row.kind) for row in net.summary((2, 4, 3)).rows]
    assert rows == [
        ("w", "Conv"), ("relu_2", "Relu"), ("relu", "Sigmoid"), ("relu_1", "Tanh"), ("relu/inner", "Softsign"),
        ("twice", "Twice"), ("image", "Exp"),
    ]  # fmt: skip
    assert list(net.state_dict()) == ["w"]
    graph = net.graph((1, 2, 4, 3), name="image")
    assert graph["image"].op.kind == "exp"
    assert [graph[name].op.kind for name in ("twice/image", "twice")] == ["negative", "absolute"]


def test_weights_that_are_called_as_ours_are(tmp_path: Path) -> None:
    """`training` is no name for a weight here and becomes another, which is none that a weight of the file has."""
    arrays = {"training": normal(2), "training_": normal(2)}
    nodes = [helper.make_node("Add", ["x", "training"], ["a"]), helper.make_node("Mul", ["a", "training_"], ["y"])]
    net = pl.load_onnx(save(tmp_path / "net.onnx", nodes, {"x": (1, 2)}, arrays=arrays))
    np.testing.assert_array_equal(net.state_dict()["training_"], arrays["training_"])
    np.testing.assert_array_equal(net.state_dict()["training__"], arrays["training"])


ODD = ["/stem/Conv", "block 1/conv [a]", "x[0]", "head:0/conv(2)"]
"""Names of nodes as files of others have them: with slashes, spaces, brackets and colons."""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A network of convolutions called by `ODD`, which ends in a mean over places."""
    ends = ["x", "a", "b", "c", "d"]
    nodes = [
        helper.make_node("Conv", [ends[k], f"w{k}"], [ends[k + 1]], name, kernel_shape=[1, 1])
        for k, name in enumerate(ODD)
    ]
    nodes.append(helper.make_node("GlobalAveragePool", ["d"], ["pooled"], "pool[all]"))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["scores of all"], "flat"))
    arrays = {f"w{k}": normal(2, 2, 1, 1) for k in range(4)}
    path = tmp_path_factory.mktemp("odd") / "odd.onnx"
    return pl.load_onnx(save(path, nodes, {"x": (1, 2, 4, 3)}, outputs=["scores of all"], arrays=arrays))


def data() -> Any:
    images = np.random.default_rng(0).integers(0, 256, (6, 2, 4, 3)).astype(np.uint8)
    return pl.data.ArrayDataset(images, np.arange(6) % 2, ("a", "b"), "some")


ASKED: dict[str, Callable[[Any, str], Any]] = {
    "trace": lambda net, name: pl.trace(net, PICTURE)[name].name,
    "activations": lambda net, name: pl.activation_maps(pl.trace(net, PICTURE), name).layer,
    "stages": lambda net, name: str(pl.stages(pl.trace(net, PICTURE), layers=[name])),
    "receptive-field": lambda net, name: pl.receptive_field(net, PICTURE, name).layer,
    "units": lambda net, name: pl.unit_statistics(net, data(), name).layers[0].layer,
    "strongest": lambda net, name: pl.most_exciting(net, data(), name, 1).layer,
    "embed": lambda net, name: pl.embed(net, data(), name, "pca").layer,
    "maximize": lambda net, name: pl.maximize(net, name, 1, (2, 4, 3), ascent=pl.explain.Ascent(steps=1)).what,
    "attribute": lambda net, name: pl.attribute(net, PICTURE, 0, method="grad-cam", layer=name),
    "filters": lambda net, name: pl.filters(net, (2, 4, 3), name).layer,
}
"""Whatever takes the name of a layer."""


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("name", ODD)
def test_every_question_takes_the_same_names(asked: str, name: str, odd: Any) -> None:
    odd.card = pl.nn.Card(preprocessing=pl.data.Preprocessing((4, 3), 2, (0.5, 0.5), (0.5, 0.5)))
    assert ASKED[asked](odd, name)


@pytest.mark.parametrize("asked", ASKED)
def test_a_wrong_name_tells_ten_near_ones(asked: str) -> None:
    deep = nn.Sequential(
        **{f"conv{k}": nn.Conv2d(2, 2, 1) for k in range(1, 31)}, flatten=nn.Flatten(), fc=nn.Linear(24, 2)
    )
    deep.initialize(0)
    deep.card = pl.nn.Card(preprocessing=pl.data.Preprocessing((4, 3), 2, (0.5, 0.5), (0.5, 0.5)))
    with pytest.raises(LayerError) as caught:
        ASKED[asked](deep, "conv35")
    words = str(caught.value)
    assert "'conv35'" in words
    assert words.count("conv") <= 2 + 1 + MOST_LISTED
    assert "conv30" in words
    assert "more" in words
    with pytest.raises(UnknownNameError) as caught:
        pl.nn.models.build("resent18")
    assert str(caught.value).count(",") < MOST_LISTED


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("x[0]", (), ("x", (0,))),
        ("x[0]", ("x[0]",), ("x[0]", ())),
        ("x[0][1,2]", ("x[0]",), ("x[0]", (1, 2))),
        ("block 1/conv [a][1, -2, 3]", ODD, ("block 1/conv [a]", (1, -2, 3))),
        ("block 1/conv [a]", ODD, ("block 1/conv [a]", ())),
        ("/stem/Conv[1,2,3]", (), ("/stem/Conv", (1, 2, 3))),
        ("loss[]", (), ("loss", ())),
    ],
)
def test_places_in_layers_of_any_name(text: str, names: Any, expected: Any) -> None:
    assert parse_place(text, names) == expected


def test_ends_and_parts_of_a_network_are_names_too(odd: Any) -> None:
    traced = pl.trace(odd, PICTURE)
    for end in ("x", "scores of all"):
        assert traced[end].shape
    net = nn.models.build("resnet18", num_classes=2, image_size=32)
    net.initialize(0)
    small = np.zeros((3, 32, 32), np.float32)
    whole, last = pl.trace(net, small)["layer1"], pl.trace(net, small)["layer1.1"]
    assert whole.name == last.name
    assert whole.name.startswith("layer1.1")
    assert (
        pl.receptive_field(net, small, "layer1", (0, 4, 4)).size
        == pl.receptive_field(net, small, whole.name, (0, 4, 4)).size
    )


def test_names_in_tables_are_whole() -> None:
    long = "/model.22/cv3.0/cv3.0.1/conv/Conv/of/a/very/long/name/that/somebody/copies"
    lines = named_table(["layer", "kind", "size"], [[long, "Conv2d", "64"], ["short", "ReLU", "1"]], "llr", 40).split(
        "\n"
    )
    assert long in lines
    assert lines[lines.index(long) + 1].split() == ["Conv2d", "64"]
    assert [*map(len, lines)] == [len(line.rstrip()) for line in lines]
    assert named_table(["a", "b"], [["x", "y"]], "ll", 2) == "a  b\n-  -\nx  y"
    assert some_of([*"abcdefg"], 3) == "a, b, c and 4 more"
    net = nn.Sequential(**{"a_name_of_sixty_letters_" + "x" * 36: nn.Conv2d(1, 2, 1), "next": nn.BatchNorm2d(2)})
    net.initialize(0)
    name = next(iter(net.named_parameters())).rpartition(".")[0]
    image = np.ones((1, 2, 2), np.float32)
    trace = pl.trace(net, image)
    shown = (
        net.summary((1, 2, 2)).text(80),
        str(pl.time_layers(net, (1, 2, 2))),
        str(trace),
        str(trace["next"][0, 0, 0]),
        str(pl.compare(net, nn.Sequential(next=nn.BatchNorm2d(1)), shape=(1, 2, 2))),
        str(net.graph((1, 1, 2, 2))),
        str(pl.activation_maps(trace, name)),
    )
    for text in shown:
        assert name in text
