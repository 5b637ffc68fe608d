"""Attribution of any place of any output, with regard to any input: maps, sequences, signals, several heads and inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import pellucid as pl
from many_networks import example, given, network
from pellucid import nn
from pellucid.explain import METHODS, ScoreError, Scores, Target, compare_methods, faithfulness, randomization_check

FAST: dict[str, dict[str, Any]] = {"integrated-gradients": {"steps": 4}, "smoothgrad": {"samples": 3}}


def _two(w: dict[str, Any], picture: Any, about: Any) -> dict[str, Any]:
    x = torch.relu(F.conv2d(picture, w["conv.weight"], w["conv.bias"], padding=1))
    scores = F.linear(
        x.mean((2, 3)) + F.linear(about, w["about.weight"], w["about.bias"]), w["fc.weight"], w["fc.bias"]
    )
    return {"scores": scores, "mask": F.conv2d(x, w["map.weight"], w["map.bias"])}


def _segmentation(w: dict[str, Any], x: Any) -> dict[str, Any]:
    x = torch.relu(F.conv2d(x, w["down.weight"], w["down.bias"], stride=2, padding=1))
    return {"out0": F.conv_transpose2d(x, w["up.weight"], w["up.bias"], stride=2)}


def _features(w: dict[str, Any], signal: Any) -> Any:
    return torch.relu(F.conv1d(signal, w["conv1.weight"][..., 0], w["conv1.bias"], stride=2, padding=2))


def _signal(w: dict[str, Any], signal: Any) -> dict[str, Any]:
    return {"out0": F.linear(_features(w, signal).mean(2), w["fc.weight"], w["fc.bias"])}


def _ctc(w: dict[str, Any], signal: Any) -> dict[str, Any]:
    """Before the final log-softmax, which is what is explained."""
    return {"out0": F.linear(_features(w, signal).transpose(1, 2), w["fc.weight"], w["fc.bias"])}


THEIRS: dict[str, Callable[..., dict[str, Any]]] = {
    "two": _two,
    "segmentation": _segmentation,
    "signal": _signal,
    "ctc": _ctc,
}
PLACES: list[tuple[str, Any, str, str, tuple[Any, ...]]] = [
    ("two", 1, "", "scores", (0, 1)),
    ("two", "mask[0,3,4]", "", "mask", (0, 0, 3, 4)),
    ("two", "mask[0,2:5,-3:]", "picture", "mask", (0, 0, slice(2, 5), slice(7, 10))),
    ("two", "scores[-1]", "about", "scores", (0, 2)),
    ("segmentation", (1, 2, 3), "", "out0", (0, 1, 2, 3)),
    ("segmentation", "out0[0]", "", "out0", (0, 0)),
    ("segmentation", Target("out0", (0, slice(1, 4))), "", "out0", (0, 0, slice(1, 4))),
    ("signal", 2, "", "out0", (0, 2)),
    ("ctc", "[4,2]", "", "out0", (0, 4, 2)),
    ("ctc", "out0[0,4,2]", "", "out0", (0, 4, 2)),
    ("ctc", "out0[2:6,1]", "", "out0", (0, slice(2, 6), 1)),
]  # fmt: skip


@pytest.mark.parametrize("executor", ["native", "reference", "torch"])
@pytest.mark.parametrize(("kind", "target", "of", "output", "index"), PLACES, ids=str)
def test_gradients_against_torch(kind: str, target: Any, of: str, output: str, index: Any, executor: str) -> None:
    net, example = network(kind), given(kind)
    weights = {name: torch.from_numpy(p.value.copy()) for name, p in net.named_parameters().items()}
    inputs = {name: torch.from_numpy(array).requires_grad_() for name, array in example.items()}
    number = THEIRS[kind](weights, **inputs)[output][index].sum()
    main = of or next(iter(inputs))
    (slope,) = torch.autograd.grad(number, inputs[main])
    found = pl.attribute(net, example, target, method="saliency", of=of, executor=executor)
    np.testing.assert_allclose(found.map, slope[0].numpy(), atol=1e-5 * float(slope.abs().max()))
    assert found.score == pytest.approx(number.item(), rel=1e-5, abs=1e-5)
    assert found.place.output == output
    assert found.target == (index[1] if (len(index) == 2 and output == "scores") or kind == "signal" else None)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("kind", "target", "of"),
    [
        ("two", "mask[0,2:5,3]", ""),
        ("two", 1, "about"),
        ("segmentation", None, ""),
        ("signal", None, ""),
        ("ctc", "[3]", ""),
    ],
    ids=str,
)
def test_every_method(kind: str, target: Any, of: str, method: str) -> None:
    """A map of the input's shape, or one number for each of its places, which is drawn; or the reason why not."""
    if of == "about" and method.startswith("grad-cam"):
        with pytest.raises(ScoreError, match="needs a layer"):
            pl.attribute(network(kind), given(kind), target, method=method, of=of)
        return
    found = pl.attribute(network(kind), given(kind), target, method=method, of=of, **FAST.get(method, {}))
    shape = given(kind)[of or next(iter(given(kind)))].shape[1:]
    places = shape[1:] or shape
    assert found.map.shape in (shape, places)
    assert found.heat.shape == places
    assert np.isfinite(found.map).all()
    drawn = found.picture()
    assert drawn.kind == ("overlay" if len(places) == 2 else "chart")
    assert found.place.words in str(found)
    assert np.shape(found.to_dict()["heat"]) == places
    assert "<svg" in drawn.svg()


def test_methods_compared_and_measured() -> None:
    net, picture = network("segmentation"), given("segmentation")["x"]
    found = compare_methods(net, picture, "[1,2:5,3]", methods=("saliency", "gradient-x-input", "grad-cam"))
    assert (str(found.place), found.target) == ("out0[1,2:5,3]", None)
    assert {row.name for row in found.rows} == {"saliency", "gradient-x-input", "grad-cam", "random", "center"}
    assert "value of out0[1,2:5,3]" in str(found.picture().to_dict())
    measured = found.rows[0].faithfulness
    assert measured is not None
    whole = Scores(net).scores(picture)[0, 1, 2:5, 3].mean()
    assert measured.deletion[0] == pytest.approx(whole, rel=1e-5)
    check = randomization_check(net, given("two") and picture, "[0]", method="saliency", stages=1)
    assert "the sum of out0[0,0:8,0:10]" in str(check)
    signal = given("signal")
    assert faithfulness(network("signal"), signal, np.arange(16.0), 1, steps=2).deletion.shape == (3,)


def test_a_probability_is_that_of_the_last_softmax() -> None:
    """Of a place after a softmax along another axis than the classes' it is what the output says."""
    net = nn.Sequential(conv=nn.Conv2d(3, 4, 1), softmax=nn.Softmax(1))
    net.initialize(0)
    picture = example(3, 4, 4)
    scores = Scores(net)
    assert scores.graph((1, 3, 4, 4)).final == "softmax"
    heat = np.zeros((4, 4))
    found = faithfulness(net, picture, heat, (2, 1, 1), steps=1)
    probabilities = next(scores.output_batches(picture[None], 1))
    assert found.deletion[0] == pytest.approx(probabilities[0, 2, 1, 1])
    chosen = pl.attribute(net, picture, method="saliency")
    assert chosen.place.index == np.unravel_index(probabilities[0].argmax(), (4, 4, 4))
    assert "is the largest element of the output" in chosen.note


class Heads(nn.Module):
    """Boxes at two scales, as detectors have them: one output (N, 2, places), and the first scale's map."""

    output_names = ("boxes", "map")

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.large, self.small = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x: pl.Tensor) -> Any:
        fine = pl.relu(self.stem(x))
        coarse = pl.relu(self.down(fine))
        made = [self.small(fine), self.large(coarse)]
        return pl.concat([pl.reshape(m, (x.shape[0], 2, -1)) for m in made], 2), made[0]


@pytest.mark.parametrize(
    ("target", "layer", "past"),
    [
        ("boxes[1,5]", "relu", "that all of the score goes through"),
        ("boxes[1,70]", "down/relu", "that all of the score goes through"),
        ("boxes[1,60:70]", "relu", "that all of the score goes through"),
        ("map[1,2:4]", "relu", "that all of the score goes through"),
    ],
)
def test_grad_cam_of_a_box(target: str, layer: str, past: str) -> None:
    """It is read off before the head that this box comes from, and is the paper's formula for the box's number."""
    net = Heads()
    net.initialize(0)
    picture = example(3, 8, 8)
    found = pl.explain.grad_cam(net, picture, target, upsample=False)
    graph = Scores(net, output=found.place.output).graph((1, 3, 8, 8))
    coarse = found.map.shape == (4, 4)
    assert coarse == (target == "boxes[1,70]")
    assert past in found.note
    w = {name: torch.from_numpy(p.value.copy()) for name, p in net.named_parameters().items()}
    fine = torch.relu(F.conv2d(torch.from_numpy(picture[None]), w["stem.weight"], w["stem.bias"], padding=1))
    fine.requires_grad_()
    deep = torch.relu(F.conv2d(fine, w["down.weight"], w["down.bias"], stride=2, padding=1))
    deep.retain_grad()
    small, large = (
        F.conv2d(fine, w["small.weight"], w["small.bias"]),
        F.conv2d(deep, w["large.weight"], w["large.bias"]),
    )
    outputs = {"boxes": torch.cat([small.flatten(2), large.flatten(2)], 2), "map": small}
    outputs[found.place.output][
        (slice(None), *found.place.region(outputs[found.place.output].ndim)[1:])
    ].sum().backward()
    values = deep if coarse else fine
    weights = values.grad.mean((2, 3), keepdim=True)
    wanted = torch.relu((weights * values).sum(1))[0].detach().numpy()
    np.testing.assert_allclose(found.map, wanted, atol=1e-5 * wanted.max())
    assert graph.graph[found.layer].shape[2:] == found.map.shape


def test_one_picture_at_a_time_where_a_network_takes_no_more(tmp_path: Path) -> None:
    """A file whose Reshape says one picture: methods of many pictures compute them one by one."""
    from onnx import TensorProto, helper, numpy_helper

    weight = example(27, 3)
    nodes = [helper.make_node("Reshape", ["x", "to"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["scores"])]
    graph = helper.make_graph(
        nodes, "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 3, 3))],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, (1, 3))],
        [numpy_helper.from_array(np.array([1, 27]), "to"), numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    path = tmp_path / "one.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
    )
    net, picture = pl.load_onnx(path), example(3, 3, 3, seed=1)
    found = pl.attribute(net, picture, "scores[1]", method="integrated-gradients", steps=3)
    np.testing.assert_allclose(found.map, picture * weight[:, 1].reshape(3, 3, 3), rtol=1e-5)
    assert pl.explain.occlusion(net, picture, 1, window=1, of="x").map.shape == (3, 3)


class Plain(nn.Module):
    """A signal (L,) without a batch axis -> (T, 1, K), whose second axis is the batch's."""

    def input_specs(self) -> Any:
        return (pl.nn.interface.InputSpec("signal", (8,)),)

    def forward(self, signal: pl.Tensor) -> pl.Tensor:
        return pl.reshape(signal * signal, (4, 1, 2))


@pytest.mark.parametrize("method", ["saliency", "integrated-gradients", "smoothgrad", "occlusion", "lrp-epsilon"])
def test_without_a_batch_axis(method: str) -> None:
    signal = example(8)
    found = pl.attribute(Plain(), signal, "[2,0,1]", method=method)
    assert found.score == pytest.approx(signal[5] ** 2)
    assert found.map.shape == (8,)
    assert np.flatnonzero(found.map).tolist() == [5]
    if method == "saliency":
        assert found.map[5] == pytest.approx(2 * signal[5])


@pytest.mark.parametrize(
    ("kind", "target", "options", "words"),
    [
        ("two", "maks[0]", {}, r"no output is called 'maks' \(did you mean 'mask'\?\); outputs: scores \(1, 3\), mask"),
        ("two", "mask[0,9,0]", {}, r"mask: wants a place within \[0..0, 0..7, 0..9\], got mask\[0,9,0\]"),
        ("two", "mask[0]", {"of": "abut"}, r"no input is called 'abut' \(did you mean 'about'\?\); inputs: picture, about"),
        ("two", "mask[0]", {"of": "about"}, "the output 'mask' does not depend on the input 'about'"),
        ("ids", 0, {}, "the input 'ids' is of int64, of which there are no gradients"),
        ("ids", 0, {"of": "ids"}, "the input 'ids' is of int64"),
    ],
)  # fmt: skip
def test_errors(kind: str, target: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ScoreError, match=words):
        pl.attribute(network(kind), given(kind), target, method="saliency", **options)


class Turned(nn.Module):
    """A classifier of pictures whose axes come in another order, as files of TensorFlow have them."""

    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        self.order = order
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        x = pl.relu(self.conv1(pl.transpose(x, self.order)))
        return self.fc(pl.mean(pl.relu(self.conv2(x)), (2, 3)))


@pytest.mark.parametrize("method", METHODS)
def test_another_order_of_axes(method: str) -> None:
    """The same map for the same picture, its axes turned; places are those of rows and columns."""
    picture = example(3, 8, 10)
    plain, turned = Turned((0, 1, 2, 3)), Turned((0, 3, 1, 2))
    for net in (plain, turned):
        net.initialize(3)
    options = {"smoothgrad": {"samples": 2, "noise": 0.0}, "integrated-gradients": {"steps": 3}}.get(method, {})
    wanted = pl.attribute(plain, picture, 1, method=method, **options)
    found = pl.attribute(turned, picture.transpose(1, 2, 0), 1, method=method, **options)
    assert (wanted.channels, found.channels) == (0, 2)
    np.testing.assert_allclose(found.heat, wanted.heat, atol=1e-6 * np.abs(wanted.heat).max())
    assert found.picture().pixels().shape == (8, 10, 3)
    if method in ("grad-cam", "saliency"):
        curves = [
            faithfulness(n, p, f, steps=3) for n, p, f in ((plain, picture, wanted), (turned, found.image, found))
        ]
        np.testing.assert_allclose(curves[1].insertion, curves[0].insertion, rtol=1e-5)


class Spectrogram(nn.Module):
    """Times and frequencies (N, T, F), a picture without channels -> classes' scores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.fc(pl.mean(pl.relu(self.conv(pl.reshape(x, (x.shape[0], 1, *x.shape[1:])))), (2, 3)))


@pytest.mark.parametrize("method", METHODS)
def test_a_picture_without_channels(method: str) -> None:
    net = Spectrogram()
    net.initialize(0)
    found = pl.attribute(net, {"x": example(1, 9, 12)}, 1, method=method, **FAST.get(method, {}))
    assert (found.channels, found.heat.shape, found.picture().kind) == (None, (9, 12), "maps")


def test_pictures_are_made_in_another_order_of_axes() -> None:
    """For a class, for a place in a map, and for a unit; shown as pictures are."""
    net = Turned((0, 3, 1, 2))
    net.initialize(3)
    ascent = pl.explain.Ascent(steps=6)
    for made in (
        pl.class_model(net, 1, (3, 8, 10), ascent=ascent),
        pl.maximize(net, "conv2", 2, (3, 8, 10), ascent=ascent),
    ):
        assert (made.image.shape, made.shown.shape) == ((8, 10, 3), (3, 8, 10))
        assert made.reached > made.start
    segmenter = network("segmentation")
    made = pl.class_model(segmenter, "[1,2:4,5]", (3, 8, 10), ascent=ascent)
    assert made.what == "score of the sum of out0[1,2:4,5]"
    assert made.reached == pytest.approx(Scores(segmenter).scores(made.image[None])[0, 1, 2:4, 5].sum(), rel=1e-4)


def test_of_several_inputs_the_first_that_the_network_takes() -> None:
    """Not the first that its graph reads: a state, which has no batch axis in front."""

    class Stepped(nn.Module):
        def forward(self, signal: pl.Tensor, state: pl.Tensor) -> Any:  # type: ignore[override]
            after = state * 0.5
            return {"after": after, "score": pl.sum(signal * 2.0, 1, keepdims=True) + after[0, :, :1]}

    found = pl.attribute(Stepped(), {"signal": example(1, 6), "state": example(2, 1, 6)}, "score[0]", method="saliency")
    assert found.input == "signal"
    np.testing.assert_allclose(found.map, np.full(6, 2.0))
