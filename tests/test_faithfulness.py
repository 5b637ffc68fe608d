"""Measures of maps: known answers on networks whose evidence is known, sanity checks, and a network left as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr
from typer.testing import CliRunner

import pellucid as pl
from pellucid import nn
from pellucid.cli import app
from pellucid.explain import METHODS, ScoreError, compare_methods, faithfulness, randomization_check
from pellucid.explain.attribution.faithfulness import baseline_heats
from pellucid.explain.attribution.sanity import rank_correlation

FAST = ("saliency", "gradient-x-input", "grad-cam", "guided-backprop", "lrp-epsilon")


class Corner(nn.Module):
    """Class 1 is the sum of the upper left quarter, class 0 a constant."""

    def __init__(self, final: str = "") -> None:
        super().__init__()
        self.final = final
        weight = np.zeros((2, 64), np.float32)
        weight[1].reshape(8, 8)[:4, :4] = 0.5
        self.fc = nn.Linear(64, 2)
        self.fc.weight.value = weight
        self.fc.bias.value = np.array([4.0, 0.0], np.float32)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        y = self.fc(pl.flatten(x))
        return {"": y, "softmax": pl.softmax(y, 1), "sigmoid": pl.sigmoid(y)}[self.final]


ONES = np.ones((1, 8, 8), np.float32)


def test_curves_of_a_network_whose_evidence_is_known() -> None:
    """16 of 64 pixels hold all evidence, 0.5 each: after k of them are deleted the score is 8 - k / 2 against 4."""
    heat = np.zeros((8, 8))
    heat[:4, :4] = 1
    found = faithfulness(Corner(), ONES, heat, 1, steps=64)
    counts = np.minimum(np.arange(65), 16)
    np.testing.assert_allclose(found.deletion, 1 / (1 + np.exp(4 - (8 - counts / 2))), rtol=1e-5)
    assert found.deletion_area < 0.3 < found.insertion_area
    assert faithfulness(Corner(), ONES, -heat, 1, steps=64).deletion_area > 0.8
    np.testing.assert_array_equal(found.insertion[-1], found.deletion[0])


@pytest.mark.parametrize("final", ["", "softmax", "sigmoid"])
def test_probabilities_are_those_that_the_network_gives(final: str) -> None:
    found = faithfulness(Corner(final), ONES, np.zeros((8, 8)), 1, steps=1)
    score = 8.0 if final == "sigmoid" else 8.0 - 4.0
    assert found.deletion[0] == pytest.approx(1 / (1 + np.exp(-score)), rel=1e-5)


def test_equal_pixels_are_taken_in_an_order_drawn_from_the_seed() -> None:
    first, again, other = (
        faithfulness(Corner(), ONES, np.zeros((8, 8)), 1, steps=16, seed=seed).deletion for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0


def test_completeness_gaps() -> None:
    """Of a linear network: gradients integrated add up exactly, relevance lacks the bias, the gradient promises nothing."""
    picture = np.random.default_rng(0).random((1, 8, 8), np.float32)
    net = Corner()
    net.fc.bias.value = np.array([0.0, 2.0], np.float32)
    score = float(0.5 * picture[0, :4, :4].sum() + 2)
    gaps = {
        m: pl.attribute(net, picture, 1, method=m).completeness_gap for m in ("integrated-gradients", "lrp-epsilon")
    }
    assert gaps["integrated-gradients"] == pytest.approx(0, abs=1e-5)
    assert gaps["lrp-epsilon"] == pytest.approx(2 / score, rel=1e-4)
    assert pl.attribute(net, picture, 1, method="saliency").completeness_gap is None
    found = faithfulness(net, picture, pl.attribute(net, picture, 1, method="lrp-epsilon"))
    assert found.completeness_gap == gaps["lrp-epsilon"]
    assert (found.target, found.name) == (1, "lrp-epsilon")


def _net() -> nn.Module:
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(1, 6, 3, padding=1), "bn": nn.BatchNorm2d(6), "relu1": nn.ReLU(), "conv2": nn.Conv2d(6, 6, 3, padding=1),
        "relu2": nn.ReLU(), "pool": nn.MaxPool2d(2), "flatten": nn.Flatten(), "fc": nn.Linear(6 * 16, 3),
    }  # fmt: skip
    net = nn.Sequential(**layers)
    net.initialize(7)
    return net


PICTURE = np.random.default_rng(4).standard_normal((1, 8, 8), np.float32)


def _state(net: nn.Module) -> dict[str, tuple[np.ndarray, int]]:
    return {n: (p.value.copy(), p.version) for n, p in net.named_parameters().items()}


@pytest.mark.parametrize("method", METHODS)
def test_randomizing_leaves_the_network_alone(method: str) -> None:
    net = _net().train()
    before = _state(net)
    options: dict[str, Any] = {"integrated-gradients": {"steps": 3}, "smoothgrad": {"samples": 2}}.get(method, {})
    found = randomization_check(net, PICTURE, 1, method=method, stages=2, **options)
    assert [s for stage in found.stages for s in stage] == ["fc", "conv2", "bn", "conv1"]
    assert len(found.correlations) == 2
    assert all(-1 <= c <= 1 for c in found.correlations)
    after = _state(net)
    for name, (value, version) in before.items():
        np.testing.assert_array_equal(after[name][0], value)
        assert after[name][1] == version, name
    assert list(after) == list(before)
    assert all(module.training for _, module in net.named_modules())


def test_randomizing_leaves_the_network_alone_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    net, calls = _net(), []
    before = _state(net)

    def failing(a: np.ndarray, b: np.ndarray) -> float:
        calls.append(a)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return 0.0

    monkeypatch.setattr("pellucid.explain.attribution.sanity.rank_correlation", failing)
    with pytest.raises(KeyboardInterrupt):
        randomization_check(net, PICTURE, 1)
    assert all((net.named_parameters()[n].value == value).all() for n, (value, _) in before.items())


def test_methods_that_do_not_look_at_the_top_layers_are_caught() -> None:
    """Guided backpropagation hardly heeds which class is asked for (Adebayo et al. 2018); the gradient does."""
    net = _net()
    stages = [randomization_check(net, PICTURE, 1, method=m, stages=4) for m in ("guided-backprop", "gradient-x-input")]
    assert stages[0].stages[0] == ("fc",)
    assert stages[0].correlations[0] > 0.5 > abs(stages[1].correlations[-1])


def test_rank_correlation_is_scipys() -> None:
    random = np.random.default_rng(0)
    a, b = random.integers(0, 5, (6, 7)), random.integers(0, 5, (6, 7))
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic)
    assert rank_correlation(a, np.zeros((6, 7))) == 0


def test_a_comparison_ranks_methods_and_baselines() -> None:
    """On a network whose evidence is known: what multiplies by the picture finds it, noise does not."""
    picture = np.random.default_rng(0).random((1, 8, 8), np.float32) + 0.5
    net = Corner()
    net.card = nn.Card(("none", "corner"))
    found = compare_methods(net, picture, 1, methods=(*FAST, "lrp-composite"))
    names = [row.name for row in found.rows]
    assert set(names) == {
        "saliency",
        "gradient-x-input",
        "guided-backprop",
        "lrp-epsilon",
        "lrp-composite",
        "random",
        "center",
    }
    assert names.index("gradient-x-input") < names.index("random")
    assert names[-1] in ("random", "center")
    gains = [row.gain for row in found.rows]
    assert gains == sorted(gains, reverse=True)
    assert "needs a layer" in found.left_out["grad-cam"]
    text = str(found)
    assert "corner" in text
    assert max(map(len, text.splitlines())) <= 80
    page = found.picture()
    assert [type(part).__name__ for part in page.parts[:3]] == ["Grid", "Chart", "Chart"]
    assert "grad-cam is left out" in page.html()
    assert {row["name"] for row in found.to_dict()["methods"]} == set(names)
    with pytest.raises(ScoreError, match="no method fits"):
        compare_methods(Corner(), picture, 1, methods=("grad-cam",))


def test_baselines_know_nothing_but_the_size() -> None:
    heats = baseline_heats((3, 5), 1)
    assert np.unravel_index(heats["center"].argmax(), (3, 5)) == (1, 2)
    np.testing.assert_array_equal(heats["random"], baseline_heats((3, 5), 1)["random"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: faithfulness(Corner(), ONES, np.zeros((4, 4))),
            r"must have the picture's size \(8, 8\), got \(4, 4\)",
        ),
        (lambda: faithfulness(Corner(), ONES, np.zeros((8, 8)), steps=0), "steps must be at least 1"),
        (lambda: randomization_check(Corner(), ONES, method="saliency", stages=0), "stages must be at least 1"),
        (lambda: faithfulness(Corner(), ONES, np.zeros((8, 8)), 2), "class 2 is not one of the 2"),
    ],
)
def test_errors(call: Any, words: str) -> None:
    with pytest.raises(ScoreError, match=words):
        call()


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pl.save_onnx(_net(), "net.onnx", shape=(1, 8, 8))
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save("three.png")

    def command(*arguments: str) -> Any:
        call = ["attribute", "net.onnx", "three.png", "--preprocessing", "unit", *arguments]
        return CliRunner().invoke(app, call)

    compared = command("--compare", "--out", "page.html")
    assert "insertion  deletion  difference" in compared.stdout
    assert all(name in compared.stdout for name in (*METHODS, "random", "center"))
    assert "grad-cam" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "insertion" not in command("--method", "all").stdout
    checked = command("--method", "saliency", "--randomize", "--out", "check.svg")
    assert "fc" in checked.stdout
    assert (tmp_path / "check.svg").exists()
    assert command("--method", "all", "--layer", "conv1").exit_code == 2
    assert command("--compare", "--randomize").exit_code == 2
