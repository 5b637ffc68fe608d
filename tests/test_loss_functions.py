"""Losses looked at: values and slopes are PyTorch's, corners are where calculus puts them, with the convention that the engine has."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch

import pellucid as pl
from pellucid.explain import LossFunctionError, activation_names, compare_losses, loss_curve, loss_names
from pellucid.formulas.curves import Kink
from pellucid.ops import loss as losses
from pellucid.questions.kinds import functions_named
from pellucid.questions.question import QuestionError

F = torch.nn.functional


def two(x: Any) -> Any:
    return torch.stack([torch.zeros_like(x), x], 1)


def right(x: Any) -> Any:
    return torch.ones(len(x), dtype=torch.int64)


def focal(x: Any, alpha: float, gamma: float) -> Any:
    p = torch.sigmoid(x)
    return -alpha * (1 - p) ** gamma * torch.log(p)


def kl(x: Any, share: float) -> Any:
    target = torch.tensor([[1 - share, share]], dtype=x.dtype).expand(len(x), 2)
    return F.kl_div(F.log_softmax(two(x), 1), target, reduction="none").sum(1)


CASES: list[tuple[str, dict[str, float], Any]] = [
    ("squared_error", {}, lambda x: F.mse_loss(x, 0 * x, reduction="none")),
    ("absolute_error", {}, lambda x: F.l1_loss(x, 0 * x, reduction="none")),
    ("huber", {}, lambda x: F.huber_loss(x, 0 * x, reduction="none")),
    ("huber", {"delta": 2.5}, lambda x: F.huber_loss(x, 0 * x, reduction="none", delta=2.5)),
    ("smooth_l1", {}, lambda x: F.smooth_l1_loss(x, 0 * x, reduction="none")),
    ("smooth_l1", {"beta": 0.3}, lambda x: F.smooth_l1_loss(x, 0 * x, reduction="none", beta=0.3)),
    ("cross_entropy", {}, lambda x: F.cross_entropy(two(x), right(x), reduction="none")),
    ("cross_entropy", {"label_smoothing": 0.2}, lambda x: F.cross_entropy(two(x), right(x), reduction="none", label_smoothing=0.2)),
    ("hinge", {}, lambda x: F.multi_margin_loss(two(x), right(x), reduction="none") * 2),
    ("hinge", {"margin": 2.25}, lambda x: F.multi_margin_loss(two(x), right(x), reduction="none", margin=2.25) * 2),
    ("binary_cross_entropy", {}, lambda x: F.binary_cross_entropy_with_logits(x, 0 * x + 1, reduction="none")),
    ("binary_cross_entropy", {"target": 0.3}, lambda x: F.binary_cross_entropy_with_logits(x, 0 * x + 0.3, reduction="none")),
    ("focal", {}, lambda x: focal(x, 0.25, 2)),
    ("focal", {"alpha": 1.0, "gamma": 0.0}, lambda x: focal(x, 1, 0)),
    ("kl_divergence", {}, lambda x: kl(x, 1.0)),
    ("kl_divergence", {"target": 0.7}, lambda x: kl(x, 0.7)),
]  # fmt: skip


def test_every_loss_op_is_known() -> None:
    ops = {n for n, f in vars(losses).items() if inspect.isfunction(f) and n in pl.ops.__all__}
    known = {n.removesuffix("_with_logits") for n in ops if vars(losses)[n].__module__ == losses.__name__}
    assert known == set(loss_names()) == {name for name, _, _ in CASES}


@pytest.mark.parametrize(("name", "settings", "oracle"), CASES)
def test_values_and_derivatives(name: str, settings: dict[str, float], oracle: Any) -> None:
    curve = loss_curve(name, -5.97, 6.03, 401, **settings)  # no corner of any loss among these places
    x = torch.tensor(curve.x, dtype=torch.float64, requires_grad=True)
    y = oracle(x)
    y.sum().backward()
    np.testing.assert_allclose(curve.y, y.detach().numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(curve.derivative, x.grad.numpy(), rtol=1e-12, atol=1e-12)
    assert curve.steepest == np.abs(curve.derivative).max()
    assert max(len(line) for line in str(curve).splitlines()) <= 120


LOSS_KINKS = {
    "absolute_error": ({}, [(0, 0, -1, 1, 0)]),
    "hinge": ({"margin": 1.5}, [(1.5, 0, -1, 0, 0)]),
    "huber": ({}, []),
    "smooth_l1": ({}, []),
}
ACTIVATION_KINKS = {
    "relu": ({}, [(0, 0, 0, 1, 0)]),
    "leaky_relu": ({"slope": 0.2}, [(0, 0, 0.2, 1, 0.2)]),
    "prelu": ({"weight": 1.0}, []),
    "maxout": ({"w0": -1, "b0": -1, "w1": 0.25, "b1": 0}, [(-0.8, -0.2, -1, 0.25, -0.375)]),
    "elu": ({"alpha": 2}, [(0, 0, 2, 1, 2)]),
    "hard_swish": ({}, [(-3, 0, 0, -0.5, 0), (3, 3, 1.5, 1, 1)]),
}


@pytest.mark.parametrize("name", [*loss_names(), *activation_names()])
def test_corners_are_marked_with_what_is_taken_there(name: str) -> None:
    found = {**LOSS_KINKS, **ACTIVATION_KINKS}
    settings, wanted = found.get(name, ({}, []))
    curve = (loss_curve if name in loss_names() else pl.activation_curve)(name, **settings)
    if name == "selu":
        wanted = [
            (0, 0, 1.6732632423543772 * 1.0507009873554805, 1.0507009873554805, 1.6732632423543772 * 1.0507009873554805)
        ]
    got = [(k.x, k.y, k.left, k.right, k.derivative) for k in curve.kinks]
    np.testing.assert_allclose(np.array(got).reshape(-1, 5), np.array(wanted, float).reshape(-1, 5), atol=1e-8)
    for kink in curve.kinks:
        assert f"corner at {kink.x:z.4g}" in str(curve)
        assert str(kink) in str(curve)
        assert str(kink) in curve.picture().note
        if name in loss_names():
            assert kink.derivative in curve.picture().series[2].y
    assert curve.to_dict()["kinks"] == [vars(kink) for kink in curve.kinks]


def test_corners_outside_are_not_marked() -> None:
    assert loss_curve("hinge", low=2, high=3).kinks == ()
    assert pl.activation_curve("hard_swish", low=0, high=3).kinks == (Kink(3.0, 3.0, pytest.approx(1.5), 1.0, 1.0),)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("hing", {}, "did you mean 'hinge'"),
        ("huber", {"beta": 1.0}, "huber has no setting 'beta' (did you mean 'delta'?); it has delta"),
        ("squared_error", {"delta": 1.0}, "squared_error has no setting 'delta'; it has none"),
        ("huber", {"delta": 0.0}, "huber: delta wants a finite number above 0, got 0.0"),
        ("smooth_l1", {"beta": math.nan}, "beta wants a finite number above 0, got nan"),
        ("cross_entropy", {"label_smoothing": 1.0}, "wants a number in [0, 1), got 1.0"),
        ("kl_divergence", {"target": 1.5}, "wants a number in [0, 1], got 1.5"),
        ("focal", {"gamma": -1.0}, "gamma wants a finite number from 0, got -1.0"),
        ("hinge", {"margin": math.inf}, "margin wants a finite number, got inf"),
        ("hinge", {"low": 1.0, "high": 1.0}, "from low to a larger high"),
        ("hinge", {"points": 10**8}, "wants 2 to 5001 points"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(pl.PellucidError) as found:
        loss_curve(name, **options)
    assert words in str(found.value)
    assert isinstance(found.value, LossFunctionError) or "did you mean 'hinge'" in words


def test_several_have_settings_of_their_own() -> None:
    some = compare_losses(["huber", "hinge"], settings={"huber": {"delta": 2}}, points=9)
    assert some.curves == (loss_curve("huber", points=9, delta=2), loss_curve("hinge", points=9))
    assert [chart.x_label for chart in some.charts()] == ["error", "error", "margin", "margin"]
    assert max(len(line) for line in str(compare_losses()).splitlines()) <= 90
    both = pl.compare_activations(["elu", "prelu"], settings={"elu": {"alpha": 2}, "prelu": {"weight": 0.5}})
    assert both.curves == (pl.activation_curve("elu", alpha=2), pl.activation_curve("prelu", weight=0.5))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], ([], {})),
        (["elu", "alpha=2"], (["elu"], {"elu": {"alpha": 2.0}})),
        (["leaky-relu", "elu", "leaky_relu.slope=.5"], (["leaky-relu", "elu"], {"leaky-relu": {"slope": 0.5}, "elu": {}})),
        (["relu", "alpha=2", "elu"], "settings belong to one function; name one, or say whose it is: relu.alpha=2"),
        (["relu", "elu.alpha=2"], "elu.alpha=2: no function 'elu' is asked about; name it, too"),
        (["alpha=2"], "NAME.alpha=2"),
        (["elu", "alpha=big"], "expected name=number"),
    ],
)  # fmt: skip
def test_settings_of_functions_by_name(words: list[str], found: Any) -> None:
    if not isinstance(found, str):
        assert functions_named(words) == found
        return
    with pytest.raises(pl.PellucidError) as error:
        functions_named(words)
    assert found in str(error.value)
    assert isinstance(error.value, QuestionError) or "name=number" in found
