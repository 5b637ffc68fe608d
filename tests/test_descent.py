"""Optimizers on functions of two variables: their steps are PyTorch's, maps and corners of them closed forms, states what happened."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import pellucid as pl
from pellucid.formulas.expression import ExpressionError
from pellucid.studies.descent import PRESETS, DescentError, optimizer_names
from pellucid.studies.descent.contours import contour
from pellucid.studies.descent.race import MOST_STEPS

POINTS, CLASSES = (torch.tensor(row, dtype=torch.float64) for row in ([-2, -1, -0.5, 0.5, 1, 2], [0, 0, 1, 0, 1, 1]))
TORCH: dict[str, Any] = {
    "valley": lambda x, y: (x**2 + 25 * y**2) / 2,
    "bowl": lambda x, y: x**2 + y**2,
    "saddle": lambda x, y: x**2 - y**2 + y**4 / 4,
    "rosenbrock": lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
    "beale": lambda x, y: (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
    "himmelblau": lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
    "plateau": lambda x, y: 1 - torch.exp(-(x**2 + y**2) / 2),
    "waves": lambda x, y: (x**2 + y**2) / 10 + 2 - torch.cos(3 * x) - torch.cos(3 * y),
    "corner": lambda x, y: abs(x) + 5 * abs(y),
    "neuron": lambda x, y: torch.nn.functional.binary_cross_entropy_with_logits(
        x[..., None] * POINTS + y[..., None], CLASSES.expand(*x.shape, 6), reduction="none"
    ).mean(-1),
}


def torchs(name: str, settings: dict[str, float], weights: list[Any]) -> Any:
    """PyTorch's optimizer of the same name and settings."""
    given = dict(settings)
    rate = given.pop("rate")
    betas = (given.pop("beta1", 0.9), given.pop("beta2", 0.999))
    if "epsilon" in given:
        given["eps"] = given.pop("epsilon")
    if name in ("adam", "adamw"):
        kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
        return kind(weights, rate, betas, **{"weight_decay": 0.0, **given})
    if name == "rmsprop":
        return torch.optim.RMSprop(weights, rate, alpha=given.pop("decay", 0.99), **given)
    momentum = 0.0 if name == "sgd" else given.pop("momentum", 0.9)
    return torch.optim.SGD(weights, rate, momentum, nesterov=name == "nesterov", **given)


def walked_by_torch(surface: str, name: str, settings: dict[str, float], start: tuple[float, float], steps: int) -> Any:
    settings = dict(settings)
    norm, value = settings.pop("clip_norm", 0.0), settings.pop("clip_value", 0.0)
    weights = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in start]
    optimizer = torchs(name, settings, weights)
    rows = []
    for _ in range(steps + 1):
        optimizer.zero_grad()
        loss = TORCH[surface](*weights)
        loss.backward()
        rows.append([weights[0].item(), weights[1].item(), loss.item(), math.hypot(*(w.grad.item() for w in weights))])
        if norm:
            torch.nn.utils.clip_grad_norm_(weights, norm)
        if value:
            torch.nn.utils.clip_grad_value_(weights, value)
        optimizer.step()
    return np.array(rows).T


SETTINGS: list[tuple[str, dict[str, float]]] = [
    ("sgd", {"rate": 0.01, "weight_decay": 0.1}),
    ("sgd", {"rate": 0.1, "clip_norm": 0.5}),
    ("momentum", {"rate": 0.01, "momentum": 0.5}),
    ("momentum", {"rate": 0.01, "momentum": 0.0}),
    ("nesterov", {"rate": 0.01, "momentum": 0.95, "weight_decay": 0.01}),
    ("rmsprop", {"rate": 0.05, "decay": 0.9, "epsilon": 0.001}),
    ("adam", {"rate": 0.2, "beta1": 0.5, "beta2": 0.9, "epsilon": 0.01}),
    ("adam", {"rate": 0.2, "beta1": 0.0, "clip_value": 0.3}),
    ("adamw", {"rate": 0.2, "weight_decay": 0.1, "beta1": 0.8}),
]


def text_of(name: str, settings: dict[str, float]) -> str:
    return ",".join([name, *(f"{setting}={value!r}" for setting, value in settings.items())])


@pytest.mark.parametrize("surface", TORCH)
def test_walks_are_torchs_on_every_surface(surface: str) -> None:
    preset = PRESETS[surface]
    found = pl.descend(surface, optimizers=optimizer_names(), steps=30)
    assert found.start == preset.start
    for walk in found.walks:
        wanted = walked_by_torch(surface, walk.optimizer, {"rate": preset.rate(walk.optimizer)}, preset.start, 30)
        got = np.array([walk.x, walk.y, walk.loss, walk.slope])
        near = (
            slice(None) if surface != "corner" else slice(0, 12)
        )  # after that a sign of what is 0 but for rounding decides
        np.testing.assert_allclose(
            got[:, near], wanted[:, : got.shape[1]][:, near], rtol=1e-7, atol=1e-9, err_msg=walk.name
        )


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_settings_are_torchs(name: str, settings: dict[str, float]) -> None:
    (walk,) = pl.descend("himmelblau", (0.5, -0.5), [text_of(name, settings)], 25).walks
    wanted = walked_by_torch("himmelblau", name, settings, (0.5, -0.5), 25)
    np.testing.assert_allclose([walk.x, walk.y, walk.loss, walk.slope], wanted, rtol=1e-8, atol=1e-10)
    assert walk.rate == settings["rate"]
    assert {k: v for k, v in settings.items() if k != "rate"}.items() <= walk.settings.items()


def test_plain_descent_in_a_valley_is_a_power() -> None:
    """Each step makes (1 - rate * curvature) of a coordinate."""
    (walk,) = pl.descend("x^2/2 + 25*y^2/2", (-4, 1.5), ["sgd,rate=0.07"], 40).walks
    steps = np.arange(41)
    np.testing.assert_allclose(walk.x, -4 * 0.93**steps, rtol=1e-12)
    np.testing.assert_allclose(walk.y, 1.5 * (1 - 25 * 0.07) ** steps, rtol=1e-12)
    assert len(walk.x) == len(walk.y) == len(walk.loss) == len(walk.slope) == walk.steps + 1 == 41


@pytest.mark.parametrize(
    ("surface", "text", "steps", "state", "since", "words"),
    [
        ("valley", "sgd,rate=0.081", 60, "diverged", 12, "diverged at step 12: it left the map, and ends higher than it began"),
        ("valley", "sgd,rate=0.2", 60, "diverged", 3, "diverged at step 3: it is 10 maps away"),
        ("exp(exp(x^2)) + y^2", "sgd,rate=5", 60, "diverged", 1, "diverged at step 1: its numbers are not finite"),
        ("log(x) + y", "sgd,rate=1.5", 60, "diverged", 1, "diverged at step 1: its numbers are not finite"),
        ("x - y", "sgd,rate=0.15", 60, "off the map", 7, "off the map since step 7, loss -22"),
        ("bowl", "sgd,rate=0.1", 60, "standing", 28, "stands still since step 28, at a minimum: slope 9.81e-06"),
        ("bowl", "sgd,rate=0.0000001", 60, "standing", 0, "stands still since step 0, on a slope: slope 6.4"),
        ("plateau", "sgd,rate=0.001", 60, "standing", 0, "stands still since step 0, on a plateau: slope 0.00119"),
        ("plateau", "sgd", 100, "moving", None, "still moving after 100 steps, on a plateau: slope 0.00154"),
        ("valley", "adam", 60, "moving", None, "still moving after 60 steps, slope 1.3"),
        ("x^2 - y^2", "sgd,rate=0.2", 30, "diverged", 11, "diverged at step 11: it is 10 maps away"),
        ("corner", "sgd", 60, "moving", None, "still moving after 60 steps, slope 5.1"),
    ],
)  # fmt: skip
def test_what_becomes_of_a_walk_is_said(
    surface: str, text: str, steps: int, state: str, since: int | None, words: str
) -> None:
    start = (1.0, 1.0) if surface[:3] in ("log", "exp") else None
    found = pl.descend(surface, start, [text, "sgd,rate=0.000001"], steps)
    walk = found.walks[0]
    assert walk.state == state
    assert words in walk.words
    assert walk.words in str(found)
    assert since is None or walk.since == since
    told = found.to_dict()["walks"][0]
    assert told["words"] == walk.words
    if "10 maps" in words or "not finite" in words:
        assert walk.steps == walk.since
        assert walk.end is None
    else:
        assert walk.steps == steps
    assert found.picture().parts[0].svg()


def test_a_saddle_holds_who_comes_straight() -> None:
    (walk,) = pl.descend("saddle", (-2, 0), ["sgd,rate=0.1"], 60).walks
    assert (walk.state, walk.end.kind) == ("standing", "saddle")  # type: ignore[union-attr]
    (other,) = pl.descend("saddle", (-2, 1e-6), ["sgd,rate=0.1"], 200).walks
    assert other.end.kind == "minimum"  # type: ignore[union-attr]
    assert abs(other.y[-1] - math.sqrt(2)) < 1e-6


def test_those_of_one_name_are_numbered_and_settings_told() -> None:
    found = pl.descend("bowl", optimizers=["sgd", "adam", "sgd,rate=0.3"], steps=5)
    assert [w.name for w in found.walks] == ["sgd 1", "adam", "sgd 2"]
    assert list(found.walks[1].settings) == ["beta1", "beta2", "epsilon", "weight_decay", "clip_norm", "clip_value"]
    assert [s.name for s in found.losses().series] == ["sgd 1, rate 0.1", "adam, rate 0.2", "sgd 2, rate 0.3"]


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name: str) -> None:
    preset, found = PRESETS[name], pl.surface(name)
    x, y = np.meshgrid(found.x, found.y)
    wanted = TORCH[name](torch.tensor(x), torch.tensor(y)).numpy()
    np.testing.assert_allclose(found.values, wanted, rtol=1e-9, atol=1e-9)
    assert all(low < value < high for value, (low, high) in zip(preset.start, preset.box, strict=True))
    assert {*preset.rates} <= {*optimizer_names()}
    for place in preset.minima:
        there = pl.surface(name, at=place).at
        assert there.slope < 1e-6
        assert there.value <= found.lowest[2] + 1e-9
        assert there.kind == ("plateau" if name == "corner" else "minimum")
    best = min(walk.loss[-1] for walk in pl.descend(name).walks)
    assert best < pl.surface(name).at.value
    assert pl.descend(name).walks[0].state != "diverged"


@pytest.mark.parametrize(
    ("formula", "at", "gradient", "curvature", "kind"),
    [
        ("x^2 + 3*y^2", (0, 0), (0, 0), (2, 6), "minimum"),
        ("-x^2 - 3*y^2", (0, 0), (0, 0), (-6, -2), "maximum"),
        ("x*y", (0, 0), (0, 0), (-1, 1), "saddle"),
        ("x^2 + 3*y^2", (1, 1), (2, 6), (2, 6), "slope"),
        ("x", (1, 1), (1, 0), (0, 0), "slope"),
        ("3", (1, 1), (0, 0), (0, 0), "plateau"),
        ("1/x", (0, 0), (-math.inf, 0), (math.nan, math.nan), "no number"),
    ],
)
def test_places(formula: str, at: tuple[float, float], gradient: Any, curvature: Any, kind: str) -> None:
    place = pl.surface(formula, at=at).at
    assert place.gradient == gradient
    np.testing.assert_allclose(place.curvature, curvature)
    assert place.kind == kind


def test_lines_of_equal_height_are_circles_and_close() -> None:
    found = pl.surface("x^2 + y^2", ((-3, 3), (-3, 3)))
    assert len(found.levels) > 8
    for height, lines in found.levels:
        for line in lines:
            radii = np.hypot(*np.array(line).T)
            assert np.abs(radii - math.sqrt(height)).max() < 0.01
        if height < 9:
            (line,) = lines
            assert line[0] == line[-1]


def test_contours_by_hand() -> None:
    values = np.array([[0.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, np.nan]])
    (line,) = contour(values, [0, 1, 2], [0, 1, 2], 1.0)
    assert set(line) == {(0.25, 1.0), (1.0, 0.25), (1.75, 1.0), (1.0, 1.75)}
    assert line[0] != line[-1]  # the square with the NaN has none
    saddle = np.array([[1.0, 0.0], [0.0, 1.0]])
    low, high = contour(saddle, [0, 1], [0, 1], 0.25), contour(saddle, [0, 1], [0, 1], 0.75)
    assert {frozenset(line) for line in low} == {
        frozenset({(0.75, 0.0), (1.0, 0.25)}),
        frozenset({(0.0, 0.75), (0.25, 1.0)}),
    }
    assert {frozenset(line) for line in high} == {
        frozenset({(0.25, 0.0), (0.0, 0.25)}),
        frozenset({(1.0, 0.75), (0.75, 1.0)}),
    }
    assert contour(saddle, [0, 1], [0, 1], 2.0) == []


def test_shades_follow_the_height() -> None:
    told = pl.surface("1/x", ((-1, 1), (-1, 1))).to_dict()
    assert {row[30] for row in told["shades"]} == {255}
    rising = pl.surface("x", ((0, 1), (0, 1))).to_dict()["shades"][0]
    assert rising == sorted(rising)
    assert (rising[0], rising[-1]) == (0, 254)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"formula": "x + z"}, ExpressionError, "no value for 'z'"),
        ({"formula": "x + "}, ExpressionError, "position"),
        ({"formula": "log(-1 - x*x)"}, DescentError, "is no finite number anywhere on the map"),
        ({"optimizers": ["adm"]}, pl.PellucidError, "did you mean 'adam'"),
        ({"optimizers": ["adam,momentum=0.5"]}, DescentError, "adam has no setting 'momentum'"),
        ({"optimizers": ["sgd,rate=fast"]}, DescentError, "sgd: expected rate=number, got 'rate=fast'"),
        ({"optimizers": ["sgd,rate"]}, DescentError, "sgd: expected rate=number, got 'rate'"),
        ({"optimizers": ["sgd,rate=-1"]}, DescentError, "sgd: rate, the step size, wants a finite number above 0, got -1.0"),
        ({"optimizers": ["sgd,rate=nan"]}, DescentError, "got nan"),
        ({"optimizers": ["adam,beta1=1"]}, DescentError, "beta1 must lie in [0, 1), got 1.0"),
        ({"optimizers": ["rmsprop,epsilon=0"]}, DescentError, "epsilon must be a positive number"),
        ({"optimizers": ["momentum,momentum=1"]}, DescentError, "momentum lie in [0, 1)"),
        ({"optimizers": ["sgd"] * 13}, DescentError, "1 to 12 optimizers, got 60 of 13"),
        ({"optimizers": []}, DescentError, "got 60 of 0"),
        ({"steps": MOST_STEPS + 1}, DescentError, "wants 1 to 1000 steps"),
        ({"steps": 0}, DescentError, "got 0 of"),
        ({"start": (1.0,)}, DescentError, "a place is two finite numbers"),
        ({"start": (math.nan, 0.0)}, DescentError, "a place is two finite numbers"),
        ({"box": ((1, 1), (0, 1))}, DescentError, "from a number to a larger one"),
        ({"formula": "+".join(["sin(x)*cos(y)"] * 40), "optimizers": ["sgd"] * 12, "steps": 1000}, DescentError, "take fewer steps"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as found:
        pl.descend(**{"formula": "bowl", **options})
    assert words in str(found.value)
