"""Two networks beside each other: layers matched whatever they are called, distances of weights, where activations part."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import pellucid as pl
from pellucid import nn
from pellucid.cli import app
from pellucid.executors import available_executors
from pellucid.explain import ComparisonError
from pellucid.explain.networks.twins import divergences
from pellucid.text import WIDTH

EXECUTORS = [name for name, reason in available_executors().items() if not reason]
SHAPE = (3, 12, 12)


def _layers(**changed: nn.Module) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(3, 4, 3, padding=1),
        "bn1": nn.BatchNorm2d(4),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(4, 4, 3, padding=1),
        "relu2": nn.ReLU(),
        "pool": nn.MaxPool2d(2),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(4 * 36, 5),
    }
    return {**layers, **changed}


def _net(layers: dict[str, nn.Module] | None = None) -> nn.Sequential:
    net = nn.Sequential(**(layers or _layers()))
    net.initialize(1)
    return net


def _without(name: str) -> dict[str, nn.Module]:
    return {n: layer for n, layer in _layers().items() if n != name}


def _with_more() -> dict[str, nn.Module]:
    names = ["conv1", "bn1", "relu1", "conv2", "relu2", "pool", "more", "flatten", "fc"]
    layers = {**_layers(), "more": nn.ReLU()}
    return {name: layers[name] for name in names}


CHANGES: dict[str, tuple[Callable[[], dict[str, nn.Module]], list[tuple[str, str, str]]]] = {
    "nothing": (_layers, []),
    "names": (lambda: {f"x{n}": layer for n, layer in _layers().items()}, []),
    "a setting": (
        lambda: _layers(conv2=nn.Conv2d(4, 4, 3, padding=2, dilation=2)),
        [("conv2", "conv2", "conv2d: padding (1, 1), (2, 2); conv2d: dilation (1, 1), (2, 2)")],
    ),
    "a kind": (lambda: _layers(relu2=nn.LeakyReLU()), [("relu2", "relu2", "ReLU, LeakyReLU")]),
    "one less": (lambda: _without("bn1"), [("bn1", "", "only in the first: BatchNorm2d to 1x4x12x12")]),
    "one more": (_with_more, [("", "more", "only in the second: ReLU to 1x4x6x6")]),
    "a size": (lambda: _layers(fc=nn.Linear(144, 7)), [("fc", "fc", "output 1x5, 1x7")]),
    "a size and names": (
        lambda: {f"x{n}": layer for n, layer in _layers(fc=nn.Linear(144, 7)).items()},
        [("fc", "xfc", "output 1x5, 1x7")],
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_layers(what: str) -> None:
    build, wanted = CHANGES[what]
    found = pl.compare(_net(), _net(build()), shape=SHAPE)
    assert [(c.a, c.b, c.what) for c in found.changes] == wanted
    assert found.renamed == (len(_layers()) if "names" in what else 0)
    assert bool(found.difference) == (what != "nothing")
    assert found.same == (what in ("nothing", "names"))


def test_distances_of_weights() -> None:
    a, b = _net(), _net(_layers(fc=nn.Linear(144, 7)))
    for name, parameter in b.named_parameters().items():
        if not name.startswith("fc"):
            parameter.value = a.named_parameters()[name].value
    moved = a.conv2.weight.value.copy()
    moved[0, 0, 0, 0] += 0.5
    b.conv2.weight.value = moved
    b.bn1.bias.value = np.full(4, 2, np.float32)
    found = pl.compare(a, b, shape=SHAPE)
    weights = {w.a: w for w in found.weights}
    conv, bias = weights["conv2.weight"], weights["bn1.bias"]
    before = a.conv2.weight.value.astype(np.float64)
    assert (conv.differing, conv.size) == (1, 144)
    assert conv.largest == pytest.approx(0.5, rel=1e-6)
    assert conv.relative == pytest.approx(0.5 / np.linalg.norm(before), rel=1e-6)
    assert conv.cosine == pytest.approx((before * moved).sum() / np.linalg.norm(before) / np.linalg.norm(moved))
    assert (bias.relative, bias.cosine) == (float("inf"), None)  # from zeros
    assert {n for n, w in weights.items() if w.differing} == {"conv2.weight", "bn1.bias"}
    assert found.mis_shaped == {"fc.weight": ((5, 144), (7, 144)), "fc.bias": ((5,), (7,))}
    assert json.loads(json.dumps(found.to_dict()))["mis_shaped"]["fc.bias"] == {"a": [5], "b": [7]}
    less = pl.compare(a, _net(_without("bn1")), shape=SHAPE)
    assert less.only_a == ("bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var")
    assert less.only_b == ()


@pytest.mark.parametrize("layer", ["conv1", "bn1", "conv2", "fc"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_where_activations_part(layer: str, executor: str) -> None:
    a, b = _net(), _net()
    weight = dict(b.named_modules())[layer].weight  # type: ignore[attr-defined]
    weight.value = weight.value * 1.5
    found = pl.compare(a, b, shape=SHAPE, executors=(executor, executor))
    assert found.first is not None
    assert found.first.a == found.first.b == layer
    assert [d.a for d in found.divergences] == list(_layers())
    picture = np.random.default_rng(0).standard_normal((1, *SHAPE), np.float32)
    x, y = (pl.trace(n, picture[0], executor=executor)[layer].value for n in (a, b))
    apart = np.abs(x.astype(np.float64) - y)
    first = found.first
    assert first.error == pytest.approx(apart.max() / np.abs(x).max())
    assert (first.first, first.second) == (x[first.index], y[first.index])
    assert apart[first.index] == apart.max()
    assert first.beyond == pytest.approx((apart > 1e-4 * np.abs(x).max()).mean())
    assert pl.compare(a, b, shape=SHAPE, tolerance=10).first is None


@pytest.mark.parametrize("other", EXECUTORS)
def test_one_network_on_two_executors(other: str) -> None:
    net = _net()
    found = pl.compare(net, net, shape=SHAPE, executors=("reference", other))
    assert found.same
    assert found.to_dict()["executors"] == ["reference", other]
    worst = max(d.error for d in found.divergences)
    assert worst < 1e-5
    strict = pl.compare(net, net, shape=SHAPE, executors=("reference", other), tolerance=0.0)
    assert (strict.first is None) == (worst == 0)


def _onnx(folder: Path) -> tuple[nn.Module, nn.Module]:
    net = _net()
    pl.save_onnx(net, folder / "net.onnx", shape=SHAPE)
    return net, pl.load_onnx(folder / "net.onnx")


def _torch(folder: Path) -> tuple[nn.Module, nn.Module]:
    t = torch.nn
    module = t.Sequential(
        t.Conv2d(3, 4, 3, padding=1), t.BatchNorm2d(4), t.ReLU(), t.Conv2d(4, 4, 3, padding=1), t.ReLU(), t.MaxPool2d(2),
        t.Flatten(), t.Linear(144, 5),
    )  # fmt: skip
    net = _net()
    pl.load_weights(net, {n: v.numpy() for n, v in module.state_dict().items()})
    return net, pl.from_torch(module.eval(), (1, *SHAPE))


@pytest.mark.parametrize("made", [_onnx, _torch])
def test_networks_of_others(made: Callable[[Path], tuple[nn.Module, nn.Module]], tmp_path: Path) -> None:
    own, other = made(tmp_path)
    found = pl.compare(own, other, shape=SHAPE)
    assert found.same, str(found)
    assert len(found.divergences) == len(_layers())
    assert len(found.weights) == len(own.named_parameters())
    weight = other.parameters()[0]
    weight.value = weight.value + 1
    found = pl.compare(own, other, shape=SHAPE)
    assert found.first is not None
    assert found.first.a == "conv1"
    assert sum(w.differing > 0 for w in found.weights) == 1


def test_values_that_are_not_finite() -> None:
    a, b = _net(), _net()
    value = b.conv1.bias.value.copy()
    value[2] = np.nan
    b.conv1.bias.value = value
    found = pl.compare(a, b, shape=SHAPE)
    assert found.first is not None
    assert (found.first.a, found.first.error) == ("conv1", float("inf"))
    assert found.first.beyond == pytest.approx(1 / 4)
    assert found.to_dict()["first"]["error"] == float("inf")
    assert pl.compare(b, b, shape=SHAPE).first is None
    assert found.chart().svg()


def test_text_and_pictures(tmp_path: Path) -> None:
    a, b = (nn.models.build("squeezenet1_1", num_classes=4, image_size=32) for _ in range(2))
    a.initialize(1)
    b.initialize(2)
    found = pl.compare(a, b)
    assert max(map(len, str(found).splitlines())) <= WIDTH
    assert "the first beyond 0.0001 is features.0" in str(found)
    other = pl.compare(a, nn.models.build("squeezenet1_0", num_classes=7, image_size=32))
    assert max(map(len, str(other).splitlines())) <= WIDTH
    assert other.changes
    found.picture().save(tmp_path / "page.html")
    assert "Divergence over depth" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ComparisonError, match="neither network knows the size of its pictures; give an image"):
        pl.compare(_net(), _net())
    with pytest.raises(pl.PellucidError, match="wants one picture"):
        pl.compare(_net(), _net(), np.zeros((2, *SHAPE), np.float32))


IMAGES = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)


def _same(a: Any, b: Any) -> None:
    """Plain data of one shape, NaN the same as NaN."""
    assert json.dumps(a) == json.dumps(b)


@pytest.mark.parametrize("layer", ["image", "conv1", "relu2", "fc"])
@pytest.mark.parametrize("gradient", [False, True])
def test_a_layer_of_two_pictures_map_by_map(layer: str, gradient: bool) -> None:
    net = _net()
    a, b = (pl.trace(net, image, 1) for image in IMAGES)
    found = pl.compare_maps(a, b, layer, gradient=gradient)
    x, y = (t[layer].gradient if gradient else t[layer].value for t in (a, b))
    np.testing.assert_array_equal(found.first.reshape(x.shape), x)
    np.testing.assert_array_equal(found.second.reshape(y.shape), y)
    gaps = np.abs(y.astype(np.float64) - x.astype(np.float64))
    np.testing.assert_array_equal(np.abs(found.difference).reshape(x.shape), gaps)
    np.testing.assert_array_equal(found.largest, gaps.reshape(len(x), -1).max(1))
    assert (np.diff(found.largest[found.order]) <= 0).all()
    told = found.divergence
    assert told.error == pytest.approx(gaps.max() / np.abs(x).max() if np.abs(x).max() else 0, rel=1e-12)
    assert (told.first, told.second) == (float(x[told.index]), float(y[told.index]))


def test_two_pictures_for_one_network() -> None:
    net = _net()
    found = pl.compare(net, net, IMAGES[0], second=IMAGES[1])
    assert (found.examples, found.same, found.first is not None and found.first.a) == (2, False, "conv1")
    assert "on two examples: the first beyond 0.0001 is conv1" in str(found)
    traces = [pl.trace(net, image) for image in IMAGES]
    told = divergences(*traces)
    assert [d.a for d in told] == list(traces[0])
    _same([asdict(d) for d in told[1:]], found.to_dict()["divergences"])
    assert pl.compare(net, net, IMAGES[0], second=IMAGES[0]).same


def test_twins_have_other_names_and_are_not_numbers() -> None:
    a, b = _net(), _net()
    value = b.conv1.bias.value.copy()
    value[2] = np.nan
    b.conv1.bias.value = value
    renamed = _net({f"other_{name}": module for name, module in _layers().items()})
    x, y, z = (pl.trace(net, IMAGES[0], 0) for net in (a, b, renamed))
    assert pl.compare_maps(x, z, "conv2").other == "other_conv2"
    found = pl.compare_maps(x, y, "conv1")
    assert found.largest.tolist() == [0, 0, np.inf, 0]
    assert "1 of 4 maps differ, most in 2" in str(found)
    assert found.picture().to_dict()
    assert str(pl.compare_maps(y, y, "conv1")) == "conv1: 4x12x12, the same in both"


def test_maps_that_have_no_twin() -> None:
    a, b = pl.trace(_net(), IMAGES[0]), pl.trace(_net(_without("conv2")), IMAGES[0])
    with pytest.raises(ComparisonError, match="the second network has no layer that belongs to it"):
        pl.compare_maps(a, b, "conv2")
    wide = pl.trace(_net(_layers(conv1=nn.Conv2d(3, 4, 5, padding=1), fc=nn.Linear(4 * 25, 5))), IMAGES[0])
    with pytest.raises(ComparisonError, match="which cannot be compared one by one"):
        pl.compare_maps(a, wide, "conv1")


def test_the_command_for_pictures_and_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def asked(*words: str) -> Any:
        told = CliRunner().invoke(app, ["compare", *words, "--json"])
        return json.loads(told.stdout) if told.exit_code == 0 else str(told.exception or told.output) + told.output

    net = nn.models.build("lenet", image_size=8, in_channels=1)
    pl.fit(net, pl.load("digits"), epochs=1, out="run", report=False)
    pair = ("run/best.safetensors", "run/last.safetensors", "digits[3]")
    assert asked(*pair)["same"]
    opened = pl.open_model("run")
    traces = [pl.trace(opened.net, opened.input(name).values, 4) for name in ("digits[3]", "digits[5]")]
    found = asked("run", "run", "digits[3]", "digits[5]", "--layer", "conv2", "--gradient", "--target", "4")
    _same(found, pl.compare_maps(*traces, "conv2", gradient=True).to_dict())
    random = asked("run", "run", "random:1", "random:2", "--layer", "conv1")
    assert random["divergence"]["error"] > 0
    assert "name it with --layer" in asked("run", "run", "digits[3]", "--gradient")


def test_the_command(tmp_path: Path) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-m", "pellucid", "compare", *arguments]
        return subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    same = command("lenet", "lenet", "--executors", f"{EXECUTORS[0]},reference", "--json")
    assert json.loads(same.stdout)["same"], same.stderr
    net = nn.models.build("lenet")
    net.initialize(0)
    pl.save_onnx(net, tmp_path / "lenet.onnx")
    assert json.loads(command("lenet", "lenet.onnx", "--json").stdout)["same"]
    other = command("lenet", "lenet.onnx", "--seed", "1", "--tolerance", "0.01", "--out", "page.html")
    assert "the first beyond 0.01 is conv1" in other.stdout
    assert (tmp_path / "page.html").exists()
    assert "make them one with --image-size and --channels" in command("lenet", "deck").stderr
    wrong = command("lenet", "lenet.onnx", "picture.png")
    assert wrong.returncode == 2
    assert "say preprocessing" in wrong.stderr
