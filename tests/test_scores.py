"""The scores that explanations are about: before the softmax, in any batches, compiled once, the network left as it is."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.explain import Scores
from pellucid.inference import ready as module
from pellucid.inference.scores import before_softmax
from pellucid.progress import progress


def _net(final: nn.Module | None = None, **changes: nn.Module) -> nn.Module:
    layers: dict[str, nn.Module] = {
        "conv": nn.Conv2d(2, 4, 3, padding=1), "bn": nn.BatchNorm2d(4), "act": nn.Tanh(), "pool": nn.AvgPool2d(4),
        "flatten": nn.Flatten(), "drop": nn.Dropout(0.5), "fc": nn.Linear(16, 3),
    }  # fmt: skip
    net = nn.Sequential(**{**layers, **changes}, **({"final": final} if final else {}))
    net.initialize(1)
    return net


PICTURES = np.random.default_rng(0).standard_normal((21, 2, 8, 8), np.float32)


@pytest.mark.parametrize(
    ("final", "name"),
    [(None, ""), (nn.Softmax(1), "softmax"), (nn.Softmax(-1), "softmax"), (nn.LogSoftmax(1), "log-softmax"), (nn.Sigmoid(), "sigmoid")],
    ids=str,
)  # fmt: skip
def test_scores_are_those_before_the_softmax(final: nn.Module | None, name: str) -> None:
    scores, plain = Scores(_net(final)), Scores(_net())
    assert scores.graph((1, 2, 8, 8)).final == name
    np.testing.assert_array_equal(scores.scores(PICTURES[:1]), plain.scores(PICTURES[:1]))


def test_a_softmax_inside_is_left_alone() -> None:
    x = pl.input((2, 4))
    inside = pl.softmax(x, 1) * 2.0
    assert before_softmax(inside) == (inside, "")


def test_batches_give_what_single_pictures_give() -> None:
    """21 pictures are two batches of 11, the last filled up; all are in inference, and the network keeps its mode."""
    net = _net().train()
    net.bn.eval()  # type: ignore[attr-defined]
    scores = Scores(net)
    told: list[tuple[int, int]] = []
    with pl.followed(lambda *how: told.append(how[1:])), progress("scores"):
        batches = list(scores.batches(iter(PICTURES), 21, None, "test", lambda g: [g.score]))
    assert [len(part) for (part,) in batches] == [11, 10]
    assert told == [(11, 21), (21, 21)]
    values, slopes = scores.gradients(PICTURES, 2)
    single = [scores.gradients(p[None], 2) for p in PICTURES]
    np.testing.assert_allclose(values, np.concatenate([v for v, _ in single]), atol=1e-6)
    np.testing.assert_allclose(slopes, np.concatenate([s for _, s in single]), atol=1e-6)
    assert [net.bn.training, net.fc.training, net.training] == [False, True, True]  # type: ignore[attr-defined]


def test_gradients_are_those_of_the_target_alone() -> None:
    scores = Scores(_net())
    picture, step = PICTURES[:1].astype(np.float64), 1e-2
    slope = scores.gradients(PICTURES[:1], 1)[1][0]
    direction = np.random.default_rng(1).standard_normal(slope.shape)
    up, down = (scores.scores((picture + s * direction).astype(np.float32))[0, 1] for s in (step, -step))
    assert (up - down) / (2 * step) == pytest.approx(float((slope * direction).sum()), rel=2e-3)
    layer = scores.gradients(PICTURES[:1], 1, "pool")[1]
    np.testing.assert_allclose(layer.reshape(-1), scores.net.fc.weight.value[1], rtol=1e-6)  # type: ignore[attr-defined]


def test_nothing_is_compiled_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    net, compiled = _net(), []
    monkeypatch.setattr(module, "compile", lambda *a, **k: compiled.append(a) or pl.compile(*a, **k))
    for target in range(3):
        Scores(net).gradients(PICTURES[:1], target)
    assert len(compiled) == 1
    before = Scores(net).scores(PICTURES[:1])
    net.fc.bias.value = net.fc.bias.value + 1  # type: ignore[attr-defined]
    np.testing.assert_allclose(Scores(net).scores(PICTURES[:1]), before + 1, rtol=1e-6)
    assert len(compiled) == 2


@pytest.mark.parametrize("change", ["layer", "setting", "parameter"])
def test_a_network_built_otherwise_is_compiled_again(change: str) -> None:
    net = _net()
    before = Scores(net).scores(PICTURES[:1])
    if change == "layer":
        net.act = nn.ReLU()
    elif change == "setting":
        net.conv.padding = (0, 0)  # type: ignore[attr-defined]
        net.pool = nn.AvgPool2d(3)
    else:
        net.fc.bias = pl.Parameter.of(np.ones(3, np.float32))  # type: ignore[attr-defined]
    fresh = nn.Sequential(**dict(net.children()))
    after = Scores(net).scores(PICTURES[:1])
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_array_equal(after, Scores(fresh).scores(PICTURES[:1]))


def test_what_is_kept_goes_with_the_network() -> None:
    net = _net()
    Scores(net).scores(PICTURES[:1])
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None


def test_networks_without_scores_of_classes() -> None:
    """A map's places are its scores, one by one or summed over a region."""
    net = nn.Sequential(conv=nn.Conv2d(2, 4, 3, padding=1))
    net.initialize(1)
    scores = Scores(net)
    assert scores.scores(PICTURES).shape == (21, 4, 8, 8)
    _, slopes = scores.gradients(PICTURES[:2], "[3,2:4,5]")
    weight = net.conv.weight.value  # type: ignore[attr-defined]
    np.testing.assert_allclose(slopes[1, :, 1:4, 4:7] - slopes[0, :, 1:4, 4:7], 0)
    np.testing.assert_allclose(slopes[0, :, 1:5, 4:7].sum((1, 2)), 2 * weight[3].sum((1, 2)), rtol=1e-5)
