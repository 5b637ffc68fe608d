"""Weights of PyTorch's networks in ours: the same numbers come out, and what does not fit is said, not guessed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import pellucid as pl
from pellucid import nn
from pellucid.errors import PellucidError, WeightsError
from pellucid.graph import Tensor
from torch_twins import ResNet18, alexnet, settle, vgg11


@pytest.mark.parametrize(
    ("name", "twin", "size"), [("resnet18", ResNet18, 96), ("vgg11", vgg11, 64), ("alexnet", alexnet, 80)]
)
def test_logits_are_those_of_the_twin(name: str, twin: Callable[[int], Any], size: int) -> None:
    source = settle(twin(7))
    net = nn.models.build(name, num_classes=7)
    report = pl.load_weights(net, source.state_dict())
    assert report.complete
    assert not report.renamed
    assert len(report.loaded) == len(net.named_parameters())
    images = np.random.default_rng(0).standard_normal((2, 3, size, size)).astype(np.float32)
    x = pl.input(images.shape)
    (logits,) = pl.run([net.eval()(x)], {x: images})
    with torch.no_grad():
        expected = source(torch.from_numpy(images)).numpy()
    assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()


def test_another_number_of_classes(tmp_path: Path) -> None:
    torch.save({"state_dict": ResNet18(10).state_dict(), "epoch": 5}, tmp_path / "w.pth")
    net = nn.models.build("resnet18", num_classes=4)
    before = net.state_dict()
    with pytest.raises(
        WeightsError, match=r"w\.pth: does not fit ResNet; nothing was changed(.|\n)*mis-shaped  fc.weight"
    ):
        pl.load_weights(net, tmp_path / "w.pth")
    assert all(np.array_equal(before[n], v) for n, v in net.state_dict().items())
    report = pl.load_weights(net, tmp_path / "w.pth", strict=False)
    assert report.mis_shaped == {"fc.weight": ((10, 512), (4, 512)), "fc.bias": ((10,), (4,))}
    assert (report.missing, report.unexpected) == ((), ())
    after = net.state_dict()
    assert [n for n in after if np.array_equal(before[n], after[n])] == [
        *(
            n
            for n in after
            if n.rpartition(".")[2] in ("running_mean", "running_var") or ".bn" in f".{n}" or "downsample.1" in n
        ),
        *("fc.weight", "fc.bias"),
    ]
    assert json.loads(json.dumps(report.to_dict()))["mis_shaped"]["fc.bias"] == {"file": [10], "network": [4]}


def layers(**parts: nn.Module) -> nn.Sequential:
    return nn.Sequential(**parts)


def small(classes: int = 3) -> nn.Sequential:
    return layers(
        conv=nn.Conv2d(1, 4, 3),
        norm=nn.BatchNorm2d(4),
        relu=nn.ReLU(),
        second=nn.Conv2d(4, 4, 3),
        flatten=nn.Flatten(),
        fc=nn.Linear(4, classes),
    )


def torch_small(classes: int = 3) -> torch.nn.Sequential:
    parts = [torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3)]
    return settle(torch.nn.Sequential(*parts, torch.nn.Flatten(), torch.nn.Linear(4, classes)))


def test_other_names_in_the_same_order() -> None:
    source, net = torch_small(), small()
    report = pl.load_weights(net, source.state_dict())
    assert report.renamed["1.running_var"] == "norm.running_var"
    assert len(report.renamed) == len(report.loaded) == 10
    images = np.random.default_rng(0).standard_normal((2, 1, 5, 5)).astype(np.float32)
    x = pl.input(images.shape)
    with torch.no_grad():
        expected = source(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(pl.run([net.eval()(x)], {x: images})[0], expected, atol=1e-4)
    assert "1.running_var in the file" in str(report)
    assert "<td>1.running_var in the file</td>" in report._repr_html_()


def test_a_prefix_and_another_head() -> None:
    state = {f"backbone.{n}": p.value for n, p in small(9).named_parameters().items()}
    state["aux.weight"] = np.ones((2, 2), np.float32)
    net = small()
    report = pl.load_weights(net, state, strict=False)
    assert report.renamed["backbone.second.bias"] == "second.bias"
    assert set(report.mis_shaped) == {"fc.weight", "fc.bias"}
    assert report.unexpected == ("aux.weight",)
    np.testing.assert_array_equal(net.second.weight.value, state["backbone.second.weight"])


ONES = np.ones((4, 4), np.float32)
LINEARS = {"first.weight": ONES, "2.weight": ONES, "last.weight": ONES}


@pytest.mark.parametrize(
    ("net", "state", "words"),
    [
        (
            layers(a=nn.Linear(4, 4, bias=False), b=nn.Linear(4, 4, bias=False)),
            {"u.weight": ONES, "v.weight": ONES},
            "sorted by name",
        ),
        (
            nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(3))),
            LINEARS,
            "'2.weight' is a name in both, but by order it would be '1.weight'",
        ),
        (layers(a=nn.Linear(4, 4), b=nn.Linear(4, 2)), {"x.weight": ONES, "x.bias": np.ones(4)}, "1 layers"),
        (
            layers(a=nn.Linear(4, 4), b=nn.PReLU()),
            {"x.weight": ONES, "x.bias": np.ones(4), "y.bias": np.ones(1)},
            "layer 2",
        ),
        (
            layers(a=nn.Linear(4, 4)),
            {"x.weight": np.ones((5, 5)), "x.bias": np.ones(5)},
            "no layer has the same shapes",
        ),
        (layers(a=nn.ReLU()), {"x.weight": np.ones(4)}, "nothing in it fits"),
        (
            layers(a=nn.Linear(4, 4)),
            {"u.a.weight": ONES, "u.a.bias": np.ones(4), "v.a.weight": ONES, "v.a.bias": np.ones(4)},
            "behind 'u.' and behind 'v.'",
        ),
    ],
    ids=["sorted", "name-against-order", "count", "kind", "shapes", "no-parameters", "two-prefixes"],
)
def test_what_could_be_meant_in_two_ways_is_left_alone(net: nn.Module, state: dict[str, Any], words: str) -> None:
    before = net.state_dict()
    for strict in (True, False):
        with pytest.raises(WeightsError, match=words):
            pl.load_weights(net, state, strict)
    assert all(np.array_equal(before[n], v) for n, v in net.state_dict().items())


class Tied(nn.Module):
    """A layer under two names, and a weight under two."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.blocks = [nn.Linear(3, 3), self.first]
        self.blocks[0].weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks[0](self.blocks[1](self.first(x)))


def tied_twin() -> Any:
    module = torch.nn.Module()
    module.first = torch.nn.Linear(3, 3)
    module.blocks = torch.nn.ModuleList([torch.nn.Linear(3, 3), module.first])
    module.blocks[0].weight = module.first.weight
    return module


@pytest.mark.parametrize("mixed", ["within layers", "by layer", "not"])
def test_a_file_sorted_by_element_type_says_no_order(mixed: str, tmp_path: Path) -> None:
    half = {"within layers": ".weight", "by layer": "2", "not": "none"}[mixed]
    state = {
        f"c{n}.{last}": torch.full(shape, float(n)).to(torch.float16 if half in f"c{n}.{last}" else torch.float32)
        for n in (1, 2, 3, 10, 12, 20)
        for last, shape in (("weight", (4, 4, 3, 3)), ("bias", (4,)))
    }
    file = tmp_path / "w.safetensors"
    save_file(state, file)
    net = nn.Sequential(*(nn.Conv2d(4, 4, 3) for _ in range(6)))
    for weights in (file, pl.read_weights(file), load_file(file)):
        with pytest.raises(WeightsError, match="sorted by name"):
            pl.load_weights(net, weights)
    torch.save(state, tmp_path / "w.pth")
    pl.load_weights(net, tmp_path / "w.pth")
    assert [float(net[n].weight.value.mean()) for n in range(6)] == [1, 2, 3, 10, 12, 20]


@pytest.mark.parametrize(
    ("bias", "words"),
    [
        (np.array([1 + 2j, 0]), "'bias' is an array of complex128, where float32 is wanted; nothing was changed"),
        (np.array(["1.5", "x"]), "'bias' is an array of <U3, where float32 is wanted"),
        (np.array([1.0, 1e300]), r"'bias' has the value 1e\+300, which float32 cannot hold; nothing was changed"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_a_parameter_cannot_hold(bias: np.ndarray, words: str, strict: bool) -> None:
    net = nn.Linear(3, 2)
    before = net.state_dict()
    with pytest.raises(WeightsError, match=words):
        pl.load_weights(net, {"weight": np.ones((2, 3)), "bias": bias}, strict)
    assert all(np.array_equal(before[n], v) for n, v in net.state_dict().items())
    pl.load_weights(net, {"weight": np.ones((2, 3)), "bias": np.array([np.inf, np.nan])})
    assert np.isinf(net.bias.value[0]) and np.isnan(net.bias.value[1])


def test_a_layer_under_two_names_goes_to_pytorch_and_back() -> None:
    net, module = Tied(), tied_twin()
    state = {n: v.numpy() for n, v in module.state_dict().items()}
    assert net.state_dict().keys() == state.keys()
    assert len(net.named_parameters()) == 3
    for load in (net.load_state_dict, lambda state: pl.load_weights(net, state)):
        net.initialize(1)
        load(state)
        for name, value in net.state_dict().items():
            np.testing.assert_array_equal(value, state[name], name)
    net.initialize(2)
    module.load_state_dict({n: torch.from_numpy(v) for n, v in net.state_dict().items()})
    np.testing.assert_array_equal(module.first.weight.detach().numpy(), net.first.weight.value)


@pytest.mark.parametrize(
    "kept", [("first.weight", "first.bias"), ("blocks.1.weight", "blocks.1.bias"), ("blocks.0.weight", "first.bias")]
)
def test_any_of_its_names_will_do(kept: tuple[str, ...]) -> None:
    net, other = Tied(), Tied()
    other.initialize(3)
    state = {n: v for n, v in other.state_dict().items() if n in (*kept, "blocks.0.bias")}
    for load in (net.load_state_dict, lambda state: pl.load_weights(net, state)):
        net.initialize(1)
        load(state)
        for name, value in other.state_dict().items():
            np.testing.assert_array_equal(net.state_dict()[name], value, name)


def test_values_that_differ_under_two_names_are_refused() -> None:
    net = Tied()
    before = net.state_dict()
    state = {**before, "blocks.1.bias": before["first.bias"] + 1}
    for load in (net.load_state_dict, lambda state: pl.load_weights(net, state)):
        with pytest.raises(PellucidError, match=r"'blocks.1.bias' and 'first.bias' are one parameter of Tied.*differ"):
            load(state)
    with pytest.raises(PellucidError, match=r"missing: first\.bias"):
        net.load_state_dict({n: v for n, v in before.items() if n not in ("first.bias", "blocks.1.bias")})
    net.load_state_dict(
        {**before, "first.bias": before["first.bias"] + 1, "blocks.1.bias": before["first.bias"] + 1},
        leave=["blocks.1.bias"],
    )
    np.testing.assert_array_equal(net.first.bias.value, before["first.bias"])
