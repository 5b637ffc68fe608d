"""Where the numbers of a network come from: terms add up, gradients are those of differences, places are found."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import pellucid as pl
from pellucid import nn
from pellucid.explain import ScoreError, Summands, Trace, TraceError, parse_place
from pellucid.inference.losses import LOSSES
from pellucid.ops.window import Window
from search import examples

ROUNDING = 1e-6
"""Of a sum in float32 against the same sum in float64, relative to the sum of the terms' absolute values; or to the layer's
largest value, where what the layer reads is a difference of numbers of that size, rounded twice."""


NETS = ("branches", "lenet", "resnet18", "mobilenet_v2")
SHAPES = {name: (3, 16, 16) if name == "branches" else (3, 32, 32) for name in NETS}


class Branches(nn.Module):
    """Every kind of layer: shared convolution, concat, residual, norms, poolings, activations, softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.act = nn.LeakyReLU()
        self.shared = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.average = nn.AvgPool2d(2)
        self.mixed = nn.Conv2d(16, 8, 1)
        self.norm = nn.GroupNorm(2, 16)
        self.swish = nn.SiLU()
        self.up = nn.ConvTranspose2d(16, 4, 2, 2)
        self.head = nn.Linear(4 * 8 * 8, 5)
        self.flatten = nn.Flatten()

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        x = self.pool(self.act(self.bn(self.conv(x))))
        x = self.shared(pl.tanh(self.shared(x))) + x
        x = self.mixed(
            pl.concat(
                [x, pl.gather(-x, pl.constant([7, 0, 3, 1]), 1), pl.pad(x[:, :2], [(0, 0), (1, 1), (0, 0), (0, 0)])], 1
            )
        )
        x = self.swish(self.norm(pl.concat([x, -x], 1)))
        return pl.softmax(self.head(self.flatten(self.up(self.average(x)))), 1)


def _net(name: str) -> nn.Module:
    if name == "branches":
        net: nn.Module = Branches()
        net.initialize(3)
        random = np.random.default_rng(1)
        for parameter in net.named_parameters().values():
            if not parameter.trainable:
                parameter.value = random.uniform(0.5, 1.5, parameter.shape).astype(np.float32)
        return net
    net = nn.models.build(name, num_classes=5, in_channels=3, image_size=32)
    net.initialize(3)
    return net


@cache
def traced(name: str, executor: str = "auto") -> Trace:
    return pl.trace(
        _net(name), np.random.default_rng(0).standard_normal(SHAPES[name], np.float32), 2, executor=executor
    )


def assert_products(sum_: Summands) -> None:
    """What a term is shown to be a product of does multiply to its value."""
    for term in (sum_.terms[k] for k in (*range(min(20, len(sum_.terms))), *sum_.terms.strongest(20))):
        product = math.prod(1 / f.value if f.inverse and f.value else f.value for f in term.factors)
        assert product == pytest.approx(term.value, rel=1e-5, abs=1e-30) or not term.factors


@settings(max_examples=examples(150))
@given(st.data(), st.sampled_from(NETS))
def test_terms_add_up_to_what_the_engine_computed(data: st.DataObject, name: str) -> None:
    trace = traced(name)
    activation = trace[data.draw(st.sampled_from(list(trace)))]
    place = tuple(data.draw(st.integers(0, n - 1)) for n in activation.shape)
    neuron = activation[place]
    assert_products(neuron)
    assert neuron.value == pytest.approx(float(activation.value[place]), abs=0)
    size = max(neuron.magnitude, float(np.abs(activation.value).max()))
    assert neuron.total == pytest.approx(neuron.preactivation, abs=ROUNDING * size)


@settings(max_examples=examples(150))
@given(st.data(), st.sampled_from(NETS))
def test_gradients_add_up(data: st.DataObject, name: str) -> None:
    trace = traced(name)
    activation = trace[data.draw(st.sampled_from(list(trace)))]
    place = tuple(data.draw(st.integers(0, n - 1)) for n in activation.shape)
    why = activation.why_gradient(place)
    assert_products(why)
    assert why.value == pytest.approx(float(activation.gradient[place]), abs=0)
    size = max(why.magnitude, float(np.abs(activation.gradient).max()))
    assert why.total == pytest.approx(why.value, abs=ROUNDING * size + 1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_have_terms_and_gradients(loss: str) -> None:
    """The loss is what its terms add up to; its gradient at the scores is that of differences."""
    net = Smooth()
    net.initialize(3)
    picture = np.random.default_rng(0).standard_normal((3, 8, 8))
    trace = pl.trace(net, picture, 2, loss=loss)
    why = trace["loss"][()]
    assert_products(why)
    assert why.total == pytest.approx(float(trace["loss"].value), rel=1e-6)
    scores = trace["head"].value
    for k in range(5):
        moved = [pl.run([_loss_of(loss, scores, k, step)])[0] for step in (1e-6, -1e-6)]
        assert trace["head"].gradient[k] == pytest.approx((moved[0] - moved[1]) / 2e-6, rel=1e-5, abs=1e-8)
        assert_products(trace["head"].why_gradient(k))
        assert trace["head"].why_gradient(k).total == pytest.approx(trace["head"].gradient[k], rel=1e-6, abs=1e-12)
    assert trace["image"].why_gradient((0, 3, 4)).total == pytest.approx(trace["image"].gradient[0, 3, 4], rel=1e-9)


def _loss_of(loss: str, scores: np.ndarray, k: int, step: float) -> pl.Tensor:
    moved = scores.copy()
    moved[k] += step
    return LOSSES[loss](pl.constant(moved[None]), pl.constant(np.array([2])))


def test_a_loss_takes_the_scores_before_a_softmax() -> None:
    trace = pl.trace(_net("branches"), np.zeros(SHAPES["branches"], np.float32), 1, loss="cross_entropy")
    scores = trace["head"].value.astype(np.float64)
    assert float(trace["loss"].value) == pytest.approx(np.log(np.exp(scores).sum()) - scores[1], rel=1e-6)


class Smooth(nn.Module):
    """A float64 network without kinks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, dtype="float64")
        self.tanh = nn.Tanh()
        self.pool = nn.AvgPool2d(2)
        self.shared = nn.Conv2d(4, 4, 3, padding=1, dtype="float64")
        self.flatten = nn.Flatten()
        self.head = nn.Linear(4 * 4 * 4, 5, dtype="float64")

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        x = self.pool(self.tanh(self.conv(x)))
        return self.head(self.flatten(pl.sigmoid(self.shared(pl.gelu(self.shared(x)))) * x))


def test_gradients_are_those_of_differences() -> None:
    net = Smooth()
    net.initialize(3)
    picture = np.random.default_rng(0).standard_normal((3, 8, 8))
    trace = pl.trace(net, picture, 2)
    for place in np.ndindex(3, 8, 8):
        moved = [picture.copy() for _ in range(2)]
        moved[0][place] += 1e-5
        moved[1][place] -= 1e-5
        up, down = (pl.trace(net, m, 2).score for m in moved)
        assert trace["image"].gradient[place] == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-9)
    assert trace["image"].why_gradient((0, 3, 4)).total == pytest.approx(trace["image"].gradient[0, 3, 4], rel=1e-12)


def test_a_neuron_of_a_convolution() -> None:
    """Patch, weights and bias, in the place where they are."""
    net = _net("lenet")
    trace = traced("lenet")
    neuron = trace["conv2"][5, 3, 4]
    patch = {f.index: f.value for t in neuron.terms for f in t.factors if f.name == "pool1"}
    weights = {f.index: f.value for t in neuron.terms for f in t.factors if f.name == "conv2.weight"}
    assert set(patch) == {(c, 3 + u, 4 + v) for c in range(6) for u in range(5) for v in range(5)}
    assert all(trace["pool1"].value[at] == value for at, value in patch.items())
    parameters = net.named_parameters()
    assert all(parameters["conv2.weight"].value[at] == value for at, value in weights.items())
    assert neuron.terms[-1].factors[0].name == "conv2.bias"
    assert neuron.activation is not None
    assert (neuron.activation.name, neuron.activation.derivative) == ("relu2", float(neuron.value > 0))
    assert neuron.receptive_field == ((6, 20), (8, 22))
    assert neuron.feeds == {"relu2": 1}
    assert trace["pool1"][2, 5, 5].feeds == {"conv2": 16 * 25}


def test_pooling_says_which_element_won() -> None:
    trace = traced("lenet")
    (term,) = trace["pool1"][2, 3, 4].terms
    window = trace["relu1"].value[2, 6:8, 8:10]
    assert term.factors[0].name == "relu1"
    assert term.value == window.max()
    assert trace["relu1"].value[term.factors[0].index] == window.max()


def test_long_names_fit_a_terminal() -> None:
    trace = traced("mobilenet_v2")
    for name in trace:
        text = str(trace[name][tuple(n // 2 for n in trace[name].shape)])
        assert max(map(len, text.splitlines())) <= 80, text
    assert "nothing" not in trace


def test_windows_that_see_a_place() -> None:
    for window in (Window((3, 2), (2, 1), (1, 0)), Window((2, 3), (3, 2), (1, 1), (2, 1))):
        size = (9, 8)
        windows = window.output_size("test", size)
        for place in np.ndindex(*size):
            brute = [w for w in np.ndindex(*windows) if any(p == place for _, p in window.inside(*w, size))]
            assert list(window.seeing(place, windows)) == brute


WRONG = {
    "conv3[0]": "no layer is called 'conv3'",
    "conv2[0,0]": r"conv2: wants an index within \[0..15, 0..9, 0..9\], got \[0, 0\]",
    "conv2[16,0,0]": "got",
    "conv2": r"got \[\]",
    "[3]": "expected a layer and a place",
    "conv2[a]": "expected a layer and a place",
}


@pytest.mark.parametrize("at", WRONG)
def test_wrong_places(at: str) -> None:
    with pytest.raises(pl.PellucidError, match=WRONG[at] if "conv3" not in at else "conv3"):
        layer, place = parse_place(at)
        traced("lenet")[layer][place]


def test_wrong_pictures_and_targets() -> None:
    net, picture = _net("lenet"), np.zeros((3, 32, 32), np.float32)
    with pytest.raises(ScoreError, match="one picture"):
        pl.trace(net, np.zeros((2, 3, 32, 32), np.float32))
    with pytest.raises(TraceError, match="wants to know the true class"):
        pl.trace(net, picture, loss="hinge")
    with pytest.raises(pl.PellucidError, match="did you mean 'hinge'"):
        pl.trace(net, picture, 1, loss="hing")
    with pytest.raises(ScoreError, match="float"):
        pl.trace(net, np.zeros((3, 32, 32), np.uint8))
    with pytest.raises(ScoreError, match="class 5 is not one of the 5"):
        pl.trace(net, picture, 5)
    with pytest.raises(ScoreError, match="did you mean 'cat'"):
        net.card = pl.nn.Card(("cat", "dog", "cow", "hen", "pig"))
        pl.trace(net, picture, "cats")


def test_scores_that_are_no_numbers_have_a_trace() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    found = pl.trace(net, np.ones((1, 2, 2), np.float32), edits=["1.bias[1]=nan"], any_score=True)
    assert (found.target, math.isnan(found.score)) == (1, True)
    assert "the first that is not a number" in str(found)
    with pytest.raises(ScoreError, match="name a class"):
        pl.attribute(pl.nn.edited(net, ["1.bias[1]=nan"]), np.ones((1, 2, 2), np.float32))


def test_the_command(tmp_path: Path) -> None:
    pl.fit(nn.models.build("lenet", image_size=8, in_channels=1), pl.load("digits"), epochs=1, out=tmp_path / "run")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save(tmp_path / "three.png")

    def command(*arguments: str) -> str:
        call = [sys.executable, "-m", "pellucid", "explain", "run", "three.png", *arguments]
        return subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120).stdout

    assert "score" in command()
    text = command("--at", "conv2[5,1,1]")
    assert max(map(len, text.splitlines())) <= 80
    plain = json.loads(command("--at", "conv2[5,1,1]", "--json"))
    assert plain["value"] == pytest.approx(sum(t["value"] for t in plain["terms"]), abs=1e-5)
    assert "grad/conv2[5,1,1]" in command("--at", "conv2[5,1,1]", "--why-gradient", "--target", "3")


@pytest.mark.parametrize("ending", ["logits", "softmax", "log_softmax", "sigmoid", "one", "bend"])
def test_a_score_says_its_probability(ending: str) -> None:
    heads: dict[str, list[nn.Module]] = {
        "logits": [], "softmax": [nn.Softmax(1)], "log_softmax": [nn.LogSoftmax(1)], "sigmoid": [nn.Sigmoid()],
        "one": [nn.Sigmoid()], "bend": [nn.Tanh()],
    }  # fmt: skip
    layers = [nn.Flatten(), nn.Linear(12, 1 if ending == "one" else 3), *heads[ending]]
    net = nn.Sequential(**{f"layer{k}": layer for k, layer in enumerate(layers)})
    net.initialize(3)
    trace = pl.trace(net, np.random.default_rng(0).random((3, 2, 2)).astype(np.float32), 0)
    scores = trace["layer1"].value.astype(np.float64)
    expected = {
        "logits": softmax(scores), "softmax": softmax(scores), "log_softmax": softmax(scores),
        "sigmoid": 1 / (1 + np.exp(-scores)), "one": 1 / (1 + np.exp(-scores)), "bend": None,
    }[ending]  # fmt: skip
    last = list(trace)[-1]
    for k in range(len(scores)):
        for layer in dict.fromkeys(("layer1", last)):
            found = trace[layer][k]
            if expected is None:
                assert found.probability is None
                continue
            assert found.probability == pytest.approx(expected[k], rel=1e-6)
            assert f"as a probability: {expected[k]:.2%}" in str(found)
            assert found.to_dict()["probability"] == found.probability
    assert trace["layer0"][0].probability is None
    if expected is None:
        assert trace.probability is None
    else:
        assert trace.probability == pytest.approx(expected[0], rel=1e-6)
        assert f", probability {expected[0]:.2%}; keeps" in trace.words()


def softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max())
    return raised / raised.sum()


@pytest.mark.parametrize("ending", ["logits", "softmax", "log_softmax"])
def test_a_cross_entropy_is_log_sum_exp_minus_the_score(ending: str) -> None:
    heads: dict[str, list[nn.Module]] = {"logits": [], "softmax": [nn.Softmax(1)], "log_softmax": [nn.LogSoftmax(1)]}
    net = nn.Sequential(
        flatten=nn.Flatten(), fc=nn.Linear(12, 3), **{f"head{k}": h for k, h in enumerate(heads[ending])}
    )
    net.initialize(3)
    picture = np.random.default_rng(0).random((3, 2, 2)).astype(np.float32)
    found = pl.trace(net, picture, 1, loss="cross_entropy")["loss"][()]
    scores = pl.trace(net, picture, 1)["fc"].value.astype(np.float64)
    sums = np.log(np.exp(scores).sum())
    if ending != "log_softmax":
        assert sorted(f.name for t in found.terms for f in t.factors) == ["-fc", "log-sum-exp(fc)"]
        assert sorted(t.value for t in found.terms) == pytest.approx(sorted([sums, -scores[1]]), rel=1e-5)
    assert found.total == pytest.approx(sums - scores[1], rel=1e-5)
    assert str(found).startswith("loss = ")
    assert "log-sum-exp(fc) is the logarithm of the sum of e^score" in str(found).replace("\n  ", " ")


class Sampled(nn.Module):
    """A convolution, then its values at places that another one moves, as deformable layers read them; and a score."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.moves = nn.Conv2d(1, 2, 3, padding=1)
        self.head = nn.Linear(2 * 5 * 5, 3)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        grid = pl.tanh(pl.ops.transpose(self.moves(x), (0, 2, 3, 1)))
        sampled = pl.grid_sample(self.conv(x), grid).named("sampled")
        return self.head(pl.ops.flatten(sampled))


def test_values_at_places_are_explained() -> None:
    image = np.random.default_rng(2).standard_normal((1, 5, 5)).astype(np.float32)
    trace = pl.trace(Sampled(), image, target=1)
    for place in ((0, 1, 2), (1, 4, 4)):
        neuron = trace["sampled"][place]
        assert len(neuron.terms) > 1
        assert neuron.total == pytest.approx(neuron.value, rel=1e-5, abs=1e-6)
        for layer in ("conv", "moves"):
            why = trace[layer].why_gradient(place)
            assert why.total == pytest.approx(trace[layer].gradient[place], rel=1e-5, abs=1e-6)
