"""Attribution: every method against Captum or its paper's formula, on modules of PyTorch's, ONNX files and own layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum import attr
from captum.attr._utils import lrp_rules
from PIL import Image
from typer.testing import CliRunner

import pellucid as pl
from pellucid import nn
from pellucid.cli import app
from pellucid.explain import METHODS, ScoreError, Scores
from pellucid.explain.attribution import cam
from torch_twins import ResNet18

ROUNDING = 2e-5
"""Of float32 values against PyTorch's, relative to the largest."""
TARGET = 2
FAST: dict[str, dict[str, Any]] = {
    "integrated-gradients": {"steps": 5}, "smoothgrad": {"samples": 4}, "occlusion": {"window": 4},
}  # fmt: skip


def close(ours: np.ndarray, theirs: Any, tolerance: float = ROUNDING) -> None:
    wanted = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=tolerance * float(np.abs(wanted).max()))


class Small(torch.nn.Module):
    """A torch network of modules that are each used once, which Captum's hooks need."""

    def __init__(self, biased: bool = True, norm: bool = False, rectified: bool = False) -> None:
        super().__init__()
        their = torch.nn
        self.relu0 = their.ReLU() if rectified else None
        self.conv1 = their.Conv2d(3, 8, 3, padding=1, bias=biased)
        self.bn1 = their.BatchNorm2d(8) if norm else None
        self.relu1 = their.ReLU()
        self.pool1 = their.MaxPool2d(3, 2, 1)
        self.conv2 = their.Conv2d(8, 8, 3, padding=1, groups=2, bias=biased)
        self.relu2 = their.ReLU()
        self.pool2 = their.AvgPool2d(2)
        self.fc1 = their.Linear(8 * 16, 16, bias=biased)
        self.relu3 = their.ReLU()
        self.fc2 = their.Linear(16, 5, bias=biased)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x if self.relu0 is None else self.relu0(x))
        x = self.pool1(self.relu1(x if self.bn1 is None else self.bn1(x)))
        x = self.pool2(self.relu2(self.conv2(x)))
        return self.fc2(self.relu3(self.fc1(x.flatten(1))))


PICTURE = np.random.default_rng(0).standard_normal((3, 16, 16), np.float32)
TORCH_PICTURE = torch.from_numpy(PICTURE)[None]


@cache
def small(**settings: bool) -> tuple[Small, nn.Module]:
    torch.manual_seed(0)
    theirs = Small(**settings).eval()
    if theirs.bn1 is not None:
        for value, low, high in (
            ("running_mean", -0.5, 0.5),
            ("running_var", 0.5, 2),
            ("weight", -1.5, 1.5),
            ("bias", -0.5, 0.5),
        ):
            torch.nn.init.uniform_(getattr(theirs.bn1, value), low, high)
    return theirs, pl.from_torch(theirs, TORCH_PICTURE)


@cache
def resnet() -> tuple[ResNet18, nn.Module]:
    """The zoo's network with its torch twin's weights."""
    torch.manual_seed(0)
    theirs = ResNet18(5).eval()
    ours = nn.models.build("resnet18", num_classes=5)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def _smoothgrad(theirs: torch.nn.Module) -> Any:
    """NoiseTunnel, drawing the noise that we draw."""
    random = np.random.default_rng(3)
    noise = np.stack([random.standard_normal(PICTURE.shape).astype(np.float32) for _ in range(4)])
    spread = 0.15 * float(PICTURE.max() - PICTURE.min())
    real = torch.normal
    torch.normal = lambda mean, std: torch.from_numpy(noise) * std  # type: ignore[assignment]
    try:
        tunnel = attr.NoiseTunnel(attr.Saliency(theirs))
        return tunnel.attribute(TORCH_PICTURE, nt_samples=4, stdevs=spread, target=TARGET, abs=False)
    finally:
        torch.normal = real


def _occlusion(theirs: torch.nn.Module) -> Any:
    """Windows of 5 at steps of 3, of which the last reach over the edge."""
    found = attr.Occlusion(theirs).attribute(TORCH_PICTURE, (3, 5, 5), strides=(3, 3, 3), target=TARGET)
    return found[:, 0]


CAPTUM: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "saliency": ({}, lambda net: attr.Saliency(net).attribute(TORCH_PICTURE, TARGET, abs=False)),
    "gradient-x-input": ({}, lambda net: attr.InputXGradient(net).attribute(TORCH_PICTURE, TARGET)),
    "integrated-gradients": (
        {"steps": 7, "baseline": 0.25},
        lambda net: attr.IntegratedGradients(net).attribute(TORCH_PICTURE, 0.25, TARGET, n_steps=7),
    ),
    "smoothgrad": ({"samples": 4, "noise": 0.15, "seed": 3}, _smoothgrad),
    "occlusion": ({"window": 5, "stride": 3}, _occlusion),
}  # fmt: skip
HOOKED: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "grad-cam": (
        {"layer": "relu2", "upsample": False},
        lambda net: attr.LayerGradCam(net, net.relu2).attribute(TORCH_PICTURE, TARGET, relu_attributions=True)[:, 0],
    ),
    "guided-backprop": ({}, lambda net: attr.GuidedBackprop(net).attribute(TORCH_PICTURE, TARGET)),
    "deconvnet": ({}, lambda net: attr.Deconvolution(net).attribute(TORCH_PICTURE, TARGET)),
}


@pytest.mark.parametrize("method", [*CAPTUM, *HOOKED])
@pytest.mark.filterwarnings("ignore:Setting (forward, )?backward hooks:UserWarning", "ignore:Input Tensor:UserWarning")
def test_modules_against_captum(method: str) -> None:
    theirs, ours = small(norm=True)
    options, oracle = {**CAPTUM, **HOOKED}[method]
    found = pl.attribute(ours, PICTURE, TARGET, method=method, **options)
    close(found.map, oracle(theirs)[0])
    close(np.array(found.score), theirs(TORCH_PICTURE)[0, TARGET])


@pytest.mark.parametrize("method", ["gradient-x-input", "grad-cam"])
@pytest.mark.filterwarnings("ignore:Input Tensor:UserWarning")
def test_the_zoo_against_captum(method: str) -> None:
    theirs, ours = resnet()
    if method == "grad-cam":
        cam = attr.LayerGradCam(theirs, theirs.layer2).attribute(TORCH_PICTURE, TARGET, relu_attributions=True)
        close(pl.attribute(ours, PICTURE, TARGET, layer="layer2", upsample=False).map, cam[0, 0])
    else:
        options, oracle = CAPTUM[method]
        close(pl.attribute(ours, PICTURE, TARGET, method=method, **options).map, oracle(theirs)[0])


def _without_norm(theirs: Small) -> Small:
    """The network with its batch norm folded into the convolution before it, as PyTorch does it: Captum has no rule for it."""
    plain = Small(rectified=True).eval()
    plain.load_state_dict({k: v for k, v in theirs.state_dict().items() if "bn1" not in k})
    plain.conv1 = torch.nn.utils.fuse_conv_bn_eval(theirs.conv1, theirs.bn1)
    return plain


@pytest.mark.parametrize("method", ["lrp-epsilon", "lrp-composite"])
@pytest.mark.filterwarnings("ignore:Setting (forward, )?backward hooks:UserWarning", "ignore:Input Tensor:UserWarning")
def test_relevance_against_captum(method: str) -> None:
    """Behind a ReLU at the picture, so that every convolution follows the z-plus rule, which Captum has, and none z-B."""
    theirs, ours = small(norm=True, rectified=True)
    theirs = _without_norm(theirs)
    for module in theirs.modules():
        if isinstance(
            module, torch.nn.Conv2d | torch.nn.Linear | torch.nn.AvgPool2d
        ):  # the winner of max pooling takes all
            plus = method == "lrp-composite" and isinstance(module, torch.nn.Conv2d)
            module.rule = lrp_rules.Alpha1_Beta0_Rule(True) if plus else lrp_rules.EpsilonRule(1e-4)
    if method == "lrp-composite":
        lrp_rules.Alpha1_Beta0_Rule.STABILITY_FACTOR = 1e-4
    try:
        oracle = attr.LRP(theirs).attribute(TORCH_PICTURE, target=TARGET)
    finally:
        lrp_rules.Alpha1_Beta0_Rule.STABILITY_FACTOR = lrp_rules.PropagationRule.STABILITY_FACTOR
    found = pl.attribute(ours, PICTURE, TARGET, method=method, epsilon=1e-4)
    close(found.map, oracle[0], 2e-4)


def test_relevance_of_the_layer_at_the_picture() -> None:
    """z-B (Montavon et al. 2019, table 10.1) by its formula, in float64."""
    net = nn.Sequential(
        conv=nn.Conv2d(2, 3, 3, padding=1, dtype="float64"), act=nn.ReLU(), flatten=nn.Flatten(),
        fc=nn.Linear(3 * 16, 2, bias=False, dtype="float64"),
    )  # fmt: skip
    net.initialize(0)
    x = np.random.default_rng(1).standard_normal((2, 4, 4))
    conv, fc = net.conv, net.fc  # type: ignore[attr-defined]
    weight = torch.tensor(conv.weight.value)
    image = torch.from_numpy(x)[None]
    low = image.amin((2, 3), keepdim=True).expand_as(image)
    high = image.amax((2, 3), keepdim=True).expand_as(image)
    given = torch.relu(torch.nn.functional.conv2d(image, weight, torch.tensor(conv.bias.value), padding=1)).numpy()
    relevance = torch.from_numpy(given * fc.weight.value[1].reshape(1, 3, 4, 4))
    parts = [(image, weight), (-low, weight.clamp(min=0)), (-high, weight.clamp(max=0))]
    total = sum(torch.nn.functional.conv2d(value, w, padding=1) for value, w in parts)
    share = relevance / total
    wanted = sum(value * torch.nn.functional.conv_transpose2d(share, w, padding=1) for value, w in parts)
    found = pl.explain.lrp_composite(net, x, 1, epsilon=1e-12)
    close(found.map, wanted[0], 1e-9)
    assert found.map.sum() == pytest.approx(found.score, rel=1e-9)


def test_relevance_is_conserved_where_there_is_no_bias() -> None:
    for method in ("lrp-epsilon", "lrp-composite"):
        found = pl.attribute(small(biased=False)[1], PICTURE, TARGET, method=method, epsilon=1e-7)
        assert found.map.sum() == pytest.approx(found.score, rel=1e-3), method


def test_relevance_of_a_residual_sum_a_gate_and_an_activation() -> None:
    """By hand: a sum shares by summands, a gate takes nothing, SiLU hands on what it gets, batch norm keeps its shift."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.SiLU()
            self.flatten = nn.Flatten()

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            x = self.act(x)
            x = x + x * 3.0 + 1.0
            gate = pl.sigmoid(pl.mean(x, (2, 3), keepdims=True))
            return self.flatten(x * gate)

    x = np.array([[[1.0, 2.0]]])
    found = pl.explain.lrp_epsilon(Net(), x, 1, epsilon=1e-9)
    swished = 2 / (1 + np.exp(-2))
    close(found.map, np.array([[[0, found.score * 4 * swished / (4 * swished + 1)]]]), 1e-6)


class Twice(nn.Module):
    """A convolution and a ReLU used twice, for pictures of one channel, with a softmax at the end."""

    def __init__(self, dtype: str = "float32") -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1, dtype=dtype)
        self.act = nn.ReLU()
        self.shared = nn.Conv2d(4, 4, 3, padding=1, dtype=dtype)
        self.pool = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(4 * 16, 3, dtype=dtype)
        self.softmax = nn.Softmax(1)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        x = self.act(self.stem(x))
        x = self.act(self.shared(x))
        x = self.act(self.shared(x))
        return self.softmax(self.fc(self.flatten(self.pool(x))))


def _once(net: Twice) -> nn.Module:
    """The same network with a layer of its own for each use."""
    layers: dict[str, nn.Module] = {
        "stem": nn.Conv2d(1, 4, 3, padding=1), "act": nn.ReLU(), "shared": nn.Conv2d(4, 4, 3, padding=1),
        "act_1": nn.ReLU(), "shared_1": nn.Conv2d(4, 4, 3, padding=1), "act_2": nn.ReLU(), "pool": nn.MaxPool2d(2),
        "flatten": nn.Flatten(), "fc": nn.Linear(64, 3),
    }  # fmt: skip
    once = nn.Sequential(**layers)
    state = net.state_dict()
    once.load_state_dict({n: state[n.replace("_1", "")] for n in once.state_dict()})
    return once


GRAY = np.random.default_rng(2).standard_normal((1, 8, 8), np.float32)


@cache
def twice() -> tuple[Twice, nn.Module]:
    net = Twice()
    net.initialize(5)
    return net, _once(net)


@pytest.mark.parametrize("method", METHODS)
def test_a_layer_used_twice_counts_twice(method: str) -> None:
    """Also: the softmax at the end makes no difference, but for the note."""
    shared, once = (pl.attribute(net, GRAY, 1, method=method, **FAST.get(method, {})) for net in twice())
    close(shared.map, once.map, 1e-6)
    assert shared.layer == once.layer == ("act_2" if METHODS[method].options.get("layer", 0) is None else "")
    assert "before the final softmax" in shared.note
    assert "before the final softmax" not in once.note


@cache
def _file(folder: Path) -> nn.Module:
    pl.save_onnx(twice()[0], folder / "net.onnx", shape=(1, 8, 8))
    return pl.open_model(folder / "net.onnx").net


@pytest.mark.parametrize("method", METHODS)
def test_onnx_files(method: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    opened = _file(tmp_path_factory.getbasetemp())
    from_file, ours = (pl.attribute(n, GRAY, 1, method=method, **FAST.get(method, {})) for n in (opened, twice()[0]))
    close(from_file.map, ours.map, 1e-5)
    assert from_file.map.any()


def test_gradients_are_those_of_differences() -> None:
    """And integrated gradients add up to the difference of the scores."""
    net = nn.Sequential(
        conv=nn.Conv2d(2, 4, 3, padding=1, dtype="float64"), act=nn.GELU(), pool=nn.AvgPool2d(2), flatten=nn.Flatten(),
        fc=nn.Linear(16, 3, dtype="float64"),
    )  # fmt: skip
    net.initialize(0)
    picture = np.random.default_rng(0).standard_normal((2, 4, 4))
    found = pl.explain.saliency(net, picture, 2)
    scores = Scores(net)
    for place in np.ndindex(picture.shape):
        moved = np.stack([picture, picture])
        moved[0][place] += 1e-5
        moved[1][place] -= 1e-5
        up, down = scores.scores(moved)[:, 2]
        assert found.map[place] == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-9)
    whole = pl.explain.integrated_gradients(net, picture, 2, baseline=0.5)
    before = scores.scores(np.full((1, 2, 4, 4), 0.5))[0, 2]
    assert whole.map.sum() == pytest.approx(whole.score - before, rel=1e-9)


def test_grad_cam_plus_plus_by_its_formula() -> None:
    """Equations 10 and 19 of the paper, with the third derivative that its exponential gives."""
    theirs, ours = small()
    kept: list[torch.Tensor] = []
    handle = theirs.relu2.register_forward_hook(lambda module, given, value: kept.append(value))
    score = theirs(TORCH_PICTURE)[0, TARGET]
    handle.remove()
    values = kept[0]
    g = torch.autograd.grad(score, values)[0][0].double()
    values = values[0].double()
    alpha = torch.where(g == 0, 0.0, g**2 / (2 * g**2 + values.sum((1, 2), keepdim=True) * g**3))
    weights = (alpha * torch.relu(g)).sum((1, 2))
    wanted = torch.relu((weights[:, None, None] * values).sum(0))
    close(pl.explain.grad_cam_plus_plus(ours, PICTURE, TARGET, layer="relu2", upsample=False).map, wanted)


LAYERS = {
    "lenet": "relu2", "vgg11": "features.19", "resnet18": "layer4.1.relu_1", "squeezenet1_1": "classifier.2",
    "densenet121": "relu", "googlenet": "inception5b/concat", "efficientnet_lite0": "_relu1", "mobilenet_v2": "features.18.2",
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_the_layer_is_chosen(name: str) -> None:
    net = nn.models.build(name)
    config = net.config()
    graph = Scores(net).graph((1, config["in_channels"], config["image_size"], config["image_size"]))
    node, why = cam.choose_layer(graph)
    assert graph.graph.names[node] == LAYERS[name]
    assert "x".join(map(str, node.shape[1:])) in why


def test_the_layer_of_a_network_that_forks() -> None:
    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 5)

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return pl.concat([pl.mean(self.left(x), (2, 3)), pl.mean(self.right(x), (2, 3))], 1)

    for target, layer in ((0, "left"), (3, "right")):  # each class goes through one of them alone
        found = pl.explain.grad_cam(Forked(), GRAY, target)
        assert found.layer == layer
        assert "that all of the score goes through" in found.note
    both = pl.explain.grad_cam(Forked(), GRAY, "out0[1:3]")
    assert both.layer == "right"
    assert "the score goes past it too" in both.note


FORMS: dict[str, Callable[[pl.Tensor], pl.Tensor]] = {
    "relu": pl.relu,
    "maximum": lambda x: pl.maximum(x, 0.0),
    "maximum, turned": lambda x: pl.maximum(0.0, x),
    "clip": lambda x: pl.clip(x, 0.0, 1e9),
}


@pytest.mark.parametrize("method", ["guided-backprop", "deconvnet"])
def test_a_relu_in_whatever_form(method: str) -> None:
    class Net(Twice):
        def __init__(self, form: str) -> None:
            super().__init__()
            self.form = form

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            x = self.shared(FORMS[self.form](self.stem(x)))
            return self.fc(self.flatten(self.pool(pl.silu(x))))

    found = {}
    for form in FORMS:
        net = Net(form)
        net.initialize(5)
        found[form] = pl.attribute(net, GRAY, 1, method=method)
        close(found[form].map, found["relu"].map, 1e-6)
        assert found[form].note == "rule applied to 1 ReLUs; with their plain gradient: 1 silu"
    plain = pl.explain.saliency(net, GRAY, 1)
    assert np.abs(plain.map - found["relu"].map).max() > 1e-3


def test_grad_cam_is_compiled_once_and_stops_at_its_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backward pass of LeNet's takes the two linear layers, and no convolution."""
    programs: list[Any] = []
    monkeypatch.setattr(
        "pellucid.inference.ready.compile", lambda *a, **k: programs.append(pl.compile(*a, **k)) or programs[-1]
    )
    net = nn.models.build("lenet")
    net.initialize(0)
    picture = np.random.default_rng(0).standard_normal((net.config()["in_channels"], 28, 28), np.float32)
    for target in range(3):
        pl.explain.grad_cam(net, picture, target)
    (program,) = programs
    kinds = [n.op.kind for n in program.graph]
    assert "conv_transpose2d" not in kinds
    assert kinds.count("conv2d") == 2


def test_seeds_and_options() -> None:
    net = twice()[0]
    first, again, other = (pl.explain.smoothgrad(net, GRAY, 1, samples=3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.map, again.map)
    assert np.abs(first.map - other.map).max() > 1e-4
    close(pl.explain.smoothgrad(net, GRAY, 1, samples=1, noise=0.0).map, pl.explain.saliency(net, GRAY, 1).map, 1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 3}, "grad-cam: has no option 'steps'; its options: layer, upsample"),
        ({"method": "occlusion", "windw": 3}, "did you mean 'window'"),
        ({"method": "occlusion", "window": 9}, "window must be 1 to 8"),
        ({"method": "saliency", "layer": "act"}, "saliency: has no option 'layer'; its options: none"),
        ({"method": "grad-camm"}, "unknown method 'grad-camm' .did you mean 'grad-cam'"),
        ({"method": "smoothgrad", "samples": 0}, "samples must be at least 1, and at most 20,000"),
        ({"method": "integrated-gradients", "steps": 0}, "steps must be at least 1, and at most 2,000"),
        ({"layer": "fc"}, "layer 'fc': gives .1, 3., a class activation map needs"),
        ({"layer": "shred"}, "did you mean 'shared'"),
        ({"target": 3}, "class 3 is not one of the 3"),
        ({"target": "cats", "classes": ("cat", "dog", "owl")}, "did you mean 'cat'"),
        ({"image": np.zeros((2, 1, 8, 8), np.float32)}, "grad-cam: wants one picture"),
    ],
)
def test_errors(options: dict[str, Any], words: str) -> None:
    with pytest.raises(pl.PellucidError, match=words):
        net = twice()[0]
        net.card = nn.Card(options.get("classes", ()))
        options = {name: value for name, value in options.items() if name != "classes"}
        pl.attribute(net, **{"image": GRAY, **options})


def test_what_there_is_no_rule_for() -> None:
    net = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(64, 3))
    with pytest.raises(ScoreError, match="needs a layer whose output"):
        pl.attribute(net, GRAY)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_what_a_result_says_and_draws(channels: int) -> None:
    net = nn.Sequential(conv=nn.Conv2d(channels, 4, 3), act=nn.ReLU(), flatten=nn.Flatten(), fc=nn.Linear(144, 2))
    net.initialize(0)
    net.card = nn.Card(("cat", "dog"))
    picture = np.random.default_rng(0).standard_normal((channels, 8, 8), np.float32)
    for method in METHODS:
        found = pl.attribute(net, picture, "dog", method=method, **FAST.get(method, {}))
        assert max(map(len, str(found).splitlines())) <= 80
        assert METHODS[method].paper[:20] in str(found)
        facts = found.to_dict()
        assert (facts["class"], facts["target"]) == ("dog", 1)
        assert np.shape(facts["heat"]) == (8, 8)
        drawn = found.picture()
        assert drawn.pixels().shape == (8, 8, 3)
        assert drawn.signed == (float(found.heat.min()) < 0), method


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pl.save_onnx(twice()[0], "net.onnx", shape=(1, 8, 8))
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save("three.png")

    def command(*arguments: str) -> Any:
        call = ["attribute", "net.onnx", "three.png", "--preprocessing", "unit", *arguments]
        return CliRunner().invoke(app, call)

    assert "grad-cam: score" in command().stdout
    done = command("--method", "occlusion", "--target", "2", "--set", "window=4", "--json", "--out", "map.svg")
    facts = json.loads(done.stdout)
    assert (facts["method"], facts["target"]) == ("occlusion", 2)
    assert "windows of 4x4" in facts["note"]
    assert "windows of 4x4" in (tmp_path / "map.svg").read_text(encoding="utf-8")
    assert "layer shared" in command("--layer", "shared").stdout
    assert "no input is called 'windw'" in str(command("--set", "windw=3").exception)
    assert command("--set", "steps=x").exit_code == 2
    assert "has no option 'steps'" in str(command("--set", "steps=3").exception)
