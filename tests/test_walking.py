"""Paths from a score to pixels: no stronger one is missed, all of them together are the score."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.explain import Trace, TraceError


class Rectified(nn.Module):
    """ReLU, pooling, a residual sum, concat, batch norm: piecewise linear."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.norm = nn.BatchNorm2d(2)
        self.relu = nn.ReLU()
        self.again = nn.Conv2d(2, 2, 1)
        self.pool = nn.MaxPool2d(2)
        self.average = nn.AvgPool2d(2)
        self.head = nn.Linear(16, 3)
        self.flatten = nn.Flatten()

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        x = self.relu(self.norm(self.conv(x)))
        x = self.relu(self.again(x)) + x
        return self.head(self.flatten(pl.concat([self.pool(x), self.average(x)[:, :2]], 1)))


class Curved(nn.Module):
    """Sigmoids, hard-swish, a gate, a transposed convolution, a mean, groups; ends in a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 2, stride=2)
        self.swish = nn.Hardswish()
        self.up = nn.ConvTranspose2d(2, 2, 2, 2, groups=2)
        self.gate = nn.Conv2d(2, 2, 1, groups=2)
        self.head = nn.Linear(2, 3)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        x = self.up(self.swish(self.conv(x)))
        x = x * pl.sigmoid(self.gate(x)) / 2.0 - pl.maximum(x, 0.1)
        return pl.softmax(self.head(pl.mean(x, (2, 3))), 1)


NETS = {"rectified": Rectified, "curved": Curved}


def traced(name: str) -> Trace:
    net = NETS[name]()
    net.initialize(4)
    random = np.random.default_rng(2)
    for parameter in net.named_parameters().values():
        if parameter.name.endswith(("bias", "running_mean")):
            parameter.value = random.uniform(0, 0.3, parameter.shape)
    return pl.trace(net, random.standard_normal((1, 4, 4)).astype(np.float32), 1)


@pytest.mark.parametrize("name", NETS)
def test_all_paths_together_are_the_score(name: str) -> None:
    walk = pl.walk_back(traced(name), 1_000_000)
    assert len(walk.paths) > 20
    assert walk.share == pytest.approx(1, abs=1e-5)
    sizes = [abs(p.share) for p in walk.paths]
    assert sizes == sorted(sizes, reverse=True) or max(np.diff(sizes)) < 1e-7
    assert walk.gap < 1e-6
    for path in walk.paths:
        assert path.steps[0].share == pytest.approx(1)
        assert path.steps[-1].share == pytest.approx(path.share)
    assert {p.ends for p in walk.paths} >= {"pixel", "parameter"}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("biases", [True, False])
def test_the_strongest_are_found_first(name: str, biases: bool) -> None:
    everything = [p for p in pl.walk_back(traced(name), 1_000_000).paths if biases or p.ends == "pixel"]
    few = pl.walk_back(traced(name), 7, biases=biases)
    assert [abs(p.share) for p in few.paths] == pytest.approx(
        sorted((abs(p.share) for p in everything), reverse=True)[:7]
    )


def test_paths_to_a_pixel_carry_its_gradient_times_its_value() -> None:
    """In a piecewise linear network, and no other rule than the chain rule's."""
    trace = traced("rectified")
    image = trace["image"]
    carried = np.zeros(image.shape)
    for path in pl.walk_back(trace, 1_000_000, biases=False).paths:
        carried[path.steps[-1].index] += path.contribution
    np.testing.assert_allclose(carried, image.gradient * image.value, rtol=1e-4, atol=1e-6)


def test_published_architectures_are_walked() -> None:
    for name in ("resnet18", "mobilenet_v2"):
        net = nn.models.build(name, num_classes=5, image_size=32)
        net.initialize(0)
        trace = pl.trace(net, np.random.default_rng(0).standard_normal((3, 32, 32)).astype(np.float32), 2)
        walk = pl.walk_back(trace, 3, biases=False)
        assert [p.ends for p in walk.paths] == ["pixel"] * 3
        assert walk.gap < 1e-5
        assert max(map(len, str(walk).splitlines())) <= 80
        assert len(walk.to_dict()["paths"]) == 3
        assert "<svg" in walk.picture().fragment()


def test_what_cannot_be_walked() -> None:
    net = nn.models.build("lenet", image_size=8, in_channels=1)
    trace = pl.trace(net, np.zeros((1, 8, 8), np.float32), 1)
    with pytest.raises(TraceError, match="at least one path"):
        pl.walk_back(trace, 0)
    net.named_parameters()["fc3.weight"].value = np.zeros_like(net.named_parameters()["fc3.weight"].value)
    net.named_parameters()["fc3.bias"].value = np.zeros(10)
    with pytest.raises(TraceError, match="is 0, of which no path carries a share"):
        pl.walk_back(pl.trace(net, np.zeros((1, 8, 8), np.float32), 1))
