"""Activation functions looked at: values and derivatives are the engine's, saturation is where calculus puts it."""

from __future__ import annotations

import inspect
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pellucid as pl
from pellucid.explain import ActivationFunctionError, activation_curve, activation_names, compare_activations
from pellucid.ops import activation

TORCH: dict[str, Any] = {
    name: getattr(torch.nn.functional, name.replace("hard_swish", "hardswish"))
    for name in ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "softplus", "gelu", "silu", "hard_swish", "mish")
} | {
    "prelu": lambda x: torch.nn.functional.prelu(x, torch.tensor([0.25], dtype=x.dtype)),
    "maxout": lambda x: torch.maximum(x * -0.5, x),
}  # fmt: skip


def test_every_activation_op_is_known() -> None:
    ops = {n for n, f in vars(activation).items() if inspect.isfunction(f) and n in pl.ops.__all__}
    assert {n for n in ops if vars(activation)[n].__module__ == activation.__name__} == set(activation_names())


@pytest.mark.parametrize("name", activation_names())
def test_values_and_derivatives(name: str) -> None:
    curve = activation_curve(name, -7.97, 8.03, 401)  # no kink of any function among these places
    x = torch.tensor(curve.x, dtype=torch.float64, requires_grad=True)
    y = TORCH[name](x)
    y.sum().backward()
    np.testing.assert_allclose(curve.y, y.detach().numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(curve.derivative, x.grad.numpy(), rtol=1e-12, atol=1e-12)
    assert curve.formula
    assert max(len(line) for line in str(curve).splitlines()) <= 100


LN = -math.log(0.01)
FLAT = {
    "sigmoid": (-4.59, 4.59),  # s (1 - s) = 0.01
    "tanh": (-3.0, 3.0),  # 1 - t^2 = 0.01
    "relu": (0.0, None),
    "leaky_relu": (None, None),
    "maxout": (None, None),
    "prelu": (None, None),
    "elu": (-math.ceil(LN * 100) / 100, None),
    "softplus": (-4.6, None),  # sigmoid = 0.01
    "hard_swish": (-3.0, None),
}


@pytest.mark.parametrize("name", FLAT)
def test_saturation(name: str) -> None:
    curve = activation_curve(name)
    assert (curve.flat_below, curve.flat_above) == FLAT[name]


@pytest.mark.parametrize(
    ("name", "settings", "steepest", "words"),
    [
        ("sigmoid", {}, 0.25, "saturated from -4.59 downwards and from 4.59 upwards"),
        ("leaky-relu", {"slope": 0.0}, 1.0, "saturated from 0.00 downwards"),
        ("maxout", {"w0": 0, "b0": 2, "w1": 3, "b1": -1}, 3.0, "saturated from 0.99 downwards"),
        ("maxout", {"w0": 0, "w1": 0}, 0.0, "saturated from 0.00 downwards and from 0.00 upwards"),
        ("elu", {"alpha": 2}, 2.0, "saturated from -5.30 downwards"),
        ("prelu", {"weight": 0.5}, 1.0, "nowhere saturated"),
    ],
)
def test_settings(name: str, settings: dict[str, float], steepest: float, words: str) -> None:
    curve = activation_curve(name, **settings)
    assert curve.steepest == pytest.approx(steepest, rel=1e-12)
    assert curve.saturation == words
    assert words in str(curve)
    assert words in curve.picture().note


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("gelo", {}, pl.PellucidError, "did you mean 'gelu'"),
        ("elu", {"alfa": 1.0}, ActivationFunctionError, "elu has no setting 'alfa' (did you mean 'alpha'?); it has alpha"),
        ("relu", {"slope": 1.0}, ActivationFunctionError, "relu has no setting 'slope'; it has none"),
        ("relu", {"low": 2.0, "high": 2.0}, ActivationFunctionError, "from low to a larger high"),
        ("relu", {"points": 1}, ActivationFunctionError, "got 1 from -6.0"),
        ("elu", {"alpha": math.nan}, ActivationFunctionError, "finite settings"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(name: str, options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as found:
        activation_curve(name, **options)
    assert words in str(found.value)


def test_comparison_and_command(tmp_path: Path) -> None:
    some = compare_activations(["swish", "tanh"], points=11)
    assert [c.name for c in some.curves] == ["silu", "tanh"]
    assert [len(chart.series) for chart in (some.functions(), some.derivatives())] == [2, 2]
    assert max(len(line) for line in str(compare_activations()).splitlines()) <= 80
    command = [sys.executable, "-m", "pellucid", "activation"]
    made = subprocess.run([*command, "--out", "all.html"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert made.stdout == f"{compare_activations()}\n"
    assert (tmp_path / "all.html").read_text().count("<svg") == 2
    one = [*command, "leaky-relu", "slope=0.2", "--low", "-1", "--high", "1", "--points", "3", "--json"]
    found = json.loads(subprocess.run(one, capture_output=True, text=True, check=True).stdout)
    assert found == activation_curve("leaky_relu", -1, 1, 3, slope=0.2).to_dict()
    assert (found["y"], found["derivative"]) == ([-0.2, 0.0, 1.0], [0.2, 0.2, 1.0])
    both = subprocess.run([*command, "relu", "elu", "alpha=2"], capture_output=True, text=True)
    assert both.returncode == 2
    assert "settings belong to one function" in both.stderr
