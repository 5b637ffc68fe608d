"""Approximations: bounds hold and are tight, tolerances are kept, shares and closure steps add up, bad input is refused."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid as pl
from pellucid.errors import PellucidError
from pellucid.formulas.expression import FUNCTIONS
from pellucid.studies import METHODS, Approximation, ApproximationError
from pellucid.studies.approximation.intervals import enclose
from pellucid.studies.approximation.networks import values_of
from pellucid.studies.approximation.relu import relu
from pellucid.studies.approximation.sigmoid import sigmoid
from pellucid.studies.approximation.stepping import whole
from pellucid.studies.approximation.target import make_target, mesh
from search import examples

LINE = ("sin(3*x) + x^2", (-1.5, 1.0))
PLANE = ("sin(2*x) * cos(y) + abs(x - y)/4", ((-1, 1), (0, 1.5)))
WAVES = st.lists(st.tuples(st.floats(-1, 1), st.floats(0.5, 6), st.floats(-3, 3)), min_size=1, max_size=4)


def errors_at_random(found: Approximation, count: int = 3000) -> np.ndarray:
    low, high = np.array(found.target.box).T
    points = np.random.default_rng(7).uniform(low, high, (count, len(low)))
    return np.abs(found(points) - found.target(points))


@settings(max_examples=examples(25))
@given(WAVES, st.integers(1, 40), st.sampled_from([relu, sigmoid]))
def test_the_error_is_within_the_bound_of_a_lipschitz_constant(waves: list, size: int, method: object) -> None:
    def f(x: np.ndarray) -> np.ndarray:
        return sum((a * np.abs(np.sin(k * x + p)) for a, k, p in waves), 0 * x)

    target = make_target(f, (-1, 2), sum(abs(a * k) for a, k, _ in waves))
    built = method(target)(size)  # type: ignore[operator]
    points = np.linspace(-1, 2, 997)[:, None]
    error = np.abs(values_of(built.net, points) - f(points[:, 0])).max()
    assert error <= built.bound + 1e-12


@settings(max_examples=examples(10))
@given(WAVES, st.integers(1, 6))
def test_the_error_is_within_the_bound_in_the_plane(waves: list, size: int) -> None:
    def f(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return sum((a * np.abs(np.sin(k * (x * math.cos(p) + y * math.sin(p)))) for a, k, p in waves), 0 * x)

    target = make_target(f, ((-1, 1), (0, 3)), sum(abs(a * k) for a, k, _ in waves))
    built = relu(target)(size)
    points = mesh([np.linspace(-1, 1, 41), np.linspace(0, 3, 43)])
    assert np.abs(values_of(built.net, points) - f(*points.T)).max() <= built.bound + 1e-12


@settings(max_examples=examples(15))
@given(WAVES, st.integers(2, 30), st.sampled_from(["{}", "max({}, x)", "exp({}/2)", "1/(2 + ({})^2)", "tanh(2*({}))"]))
def test_the_error_is_within_the_bound_of_a_formula(waves: list, size: int, around: str) -> None:
    text = around.format(" + ".join(f"{a:.6f}*cos({k:.6f}*x + {p:.6f})" for a, k, p in waves).replace("+ -", "- "))
    target = make_target(text, (-1, 2), None)
    points = np.linspace(-1, 2, 997)[:, None]
    for method in (relu, sigmoid):
        built = method(target)(size)
        assert np.abs(values_of(built.net, points) - target(points)).max() <= built.bound + 1e-12


def test_bounds_are_tight() -> None:
    kink = relu(make_target(lambda x: np.abs(x), (-1, 1), 1.0))(1)
    assert kink.bound == pytest.approx(1.0)  # L h / 2, and |x| is 1 below its chord
    parabola = pl.approximate("x^2", (0, 1), 1e-3)
    assert parabola.bound is not None
    assert parabola.error < parabola.bound < 2.1 * parabola.error  # M h^2 / 4 where M h^2 / 8 is the error
    steps = sigmoid(make_target("2*x", (0, 1), None))(9)
    assert 0.99 * steps.bound < np.abs(values_of(steps.net, np.zeros((1, 1)))).max() <= steps.bound  # type: ignore[operator]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("box", [(0.01, 3.0), (-2.5, 1.5), (-0.3, 7.0)], ids=str)
def test_intervals_hold_every_value_and_slope(name: str, box: tuple[float, float]) -> None:
    inner = "x*x + 0.1" if name in ("log", "sqrt") else "1.5*x - 0.2"
    text = f"{name}({inner}, x^3/4)" if name in ("max", "min") else f"{name}({inner}) / (3 - x/4) - x^-1/9"
    cells = np.linspace(*box, 23)
    low, high = cells[:-1], cells[1:]
    formula = pl.expression(text, x=0.0)
    found = enclose(formula.output, [formula.inputs["x"]], [(low, high)])
    step = 1e-7
    x = low + (high - low - step) * np.random.default_rng(0).uniform(0, 1, (200, 1))
    keep = np.abs(x) > 0.02

    def value(x: np.ndarray) -> np.ndarray:
        given = pl.expression(text, x=x)
        return pl.run([given.output], given.feeds)[0]

    with np.errstate(all="ignore"):
        y, slope = value(x), (value(x + step) - value(x)) / step
    assert ((y >= found.value[0]) & (y <= found.value[1]))[keep].all()
    slack = 1e-5 * (1 + np.abs(slope))
    assert ((slope >= found.derivatives[0][0] - slack) & (slope <= found.derivatives[0][1] + slack))[keep].all()
    width, usual = found.derivatives[0][1] - found.derivatives[0][0], np.abs(low) > 0.4
    assert (width < 3 * (1 + np.abs(slope).max(0)))[usual].all()  # not so wide that it says nothing


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("f", "domain", "tolerance"), [(*LINE, 0.04), (*PLANE, 0.12)], ids=["line", "plane"])
def test_every_method_keeps_the_tolerance(method: str, f: str, domain: tuple, tolerance: float) -> None:
    found = pl.approximate(f, domain, tolerance, method)
    assert found.error <= tolerance
    assert errors_at_random(found).max() <= 1.1 * tolerance  # between the grid's points too
    units, errors = zip(*found.curve, strict=True)
    assert (found.units, found.error) in found.curve
    assert units == tuple(sorted(units))
    assert errors[0] > tolerance
    if found.bound is not None:
        assert errors_at_random(found).max() <= found.bound
    if method == "relu" or (method == "sigmoid" and found.target.dimension == 1):
        assert found.bound is not None
        assert found.bound <= tolerance
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["units"] == found.units
    assert max(map(len, str(found).splitlines())) <= 80
    assert {"function", "error", "curve"} <= found.pictures().keys()
    assert "<svg" in found.picture().fragment()


@pytest.mark.parametrize(("f", "domain"), [LINE, PLANE], ids=["line", "plane"])
@pytest.mark.parametrize("method", ["relu", "sigmoid", "train"])
def test_shares_add_up_to_the_output(method: str, f: str, domain: tuple) -> None:
    found = pl.approximate(f, domain, 0.3, method)
    points = mesh(found.target.axes(9))
    bias = found.net.state_dict().get("output.bias", np.zeros(1))
    np.testing.assert_allclose(found.shares(points).sum(1) + bias, found(points), atol=1e-10)
    assert found.shares(points).shape[1] == found.net.state_dict()["output.weight"].shape[1]


def test_one_hidden_layer_is_one() -> None:
    for method, layers in (("relu", "ReLU"), ("sigmoid", "Sigmoid"), ("train", "Tanh")):
        net = pl.approximate(*LINE, 0.3, method).net
        assert [type(layer).__name__ for layer in net] == ["Linear", layers, "Linear"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("f", "domain"), [LINE, PLANE], ids=["line", "plane"])
def test_the_steps_of_stones_theorem(f: str, domain: tuple) -> None:
    found = pl.approximate(f, domain, 0.2, "lattice")
    two, minimum, maximum = found.steps
    pair = two.networks[0][1]
    np.testing.assert_allclose(values_of(pair, two.points), found.target(two.points), atol=1e-9)
    at_s = values_of(minimum.networks[-1][1], minimum.points)
    np.testing.assert_allclose(at_s, found.target(minimum.points), atol=1e-9)
    assert minimum.numbers["largest_above"] <= 0.2
    assert max(maximum.numbers["largest_below"], maximum.numbers["largest_above"]) <= 0.22
    points = mesh(found.target.axes(30))
    np.testing.assert_array_equal(values_of(maximum.networks[-1][1], points), found(points))
    with pytest.raises(ApproximationError, match="not a sum"):
        found.shares(points)
    assert [step["name"][0] for step in found.to_dict()["closure"]] == ["1", "2", "3"]


def test_exact_where_the_function_is_piecewise_linear() -> None:
    found = pl.approximate("abs(x)", (-1, 1))
    assert (found.units, found.error) == (2, 0.0)
    assert found.bound is not None
    assert found.bound < 1e-14


def test_training_depends_on_the_seed_alone() -> None:
    one, same, other = (pl.approximate(*LINE, 0.3, "train", seed=seed) for seed in (1, 1, 2))
    assert one.curve == same.curve != other.curve


def test_a_python_function_has_a_bound_where_its_slope_is_given() -> None:
    unknown = pl.approximate(lambda x: np.sin(3 * x), (-1, 1), 0.05)
    assert unknown.bound is None
    assert "lipschitz=" in unknown.why
    known = pl.approximate(lambda x: np.sin(3 * x), (-1, 1), 0.05, lipschitz=3)
    assert known.bound is not None
    assert known.error <= known.bound <= 0.05
    assert pl.approximate("sqrt(x)", (0, 1), 0.05).bound is None


STEEP = {
    "x^2": (-1e6, 1e6),
    "cos(x)": (-1, 1),
    "sqrt(x)": (0, 1),
    "sin(1000*x)": (-1, 1),
    "abs(x)": (-1e-9, 1e-9),
    "x": (1, 1 + 1e-9),
    "tanh(1e6*x)": (-1, 1),
    "x*y": ((-1e3, 1e3), (-1, 1)),
}


@pytest.mark.parametrize("f", STEEP)
def test_what_is_steep_is_no_jump(f: str) -> None:
    make_target(f, STEEP[f], None).require_continuous(1e-300)


@pytest.mark.parametrize(
    ("f", "domain", "settings", "words"),
    [
        ("x/abs(x)", (-1, 1.1), {}, "jumps by 2 near x = "),
        (lambda x, y: np.where(x < 0.3, 0.0, y), ((0, 1), (0, 1)), {}, "jumps by .* near x = 0.3"),
        ("1/x", (-1, 1), {}, "is inf at x = 0"),
        ("log(x)", (-1, 1), {}, "is nan at x = -1"),
        ("x", (1, 1), {}, "to a larger one, got \\(1, 1\\); both within"),
        ("x", (0, math.inf), {}, "to a larger one"),
        ("x^2", (-1e308, 1e308), {}, "within 1e\\+300 of 0"),
        ("x^2", (-1e6, 1e6), {"tolerance": 0.1, "max_units": 8}, "x\\^2: the tolerance 0.1 is not reached"),
        (lambda x: np.sign(x - 1e5) + x / 1e6, (0, 1e6), {}, "jumps by 2 near x = 100000"),
        ("x", (0, 1, 2), {}, "domain: must be"),
        ("x", "domain", {}, "domain: must be"),
        ("x*y", (0, 1), {}, "is a function of x and y"),
        ("x + z", (0, 1), {}, "no value for 'z'"),
        ("x", (0, 1), {"tolerance": 0.0}, "tolerance: must be a number above 0, and finite"),
        ("x", (0, 1), {"tolerance": math.nan}, "tolerance"),
        ("x", (0, 1), {"method": "lattce"}, "did you mean 'lattice'"),
        ("x", (0, 1), {"lipschitz": -1.0}, "lipschitz: must be"),
        ("x", (0, 1), {"max_units": 0}, "max_units: must be at least 1"),
        (3, (0, 1), {}, "f: must be a Python function or a formula"),
        (math.sin, (0, 1), {}, "sin: must take 1 NumPy array"),
        (lambda x: x[:2], (0, 1), {}, "one for each element"),
        (lambda x: 1j * x, (0, 1), {}, "give real numbers.*complex"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input(f: object, domain: object, settings: dict, words: str) -> None:
    with pytest.raises(pl.PellucidError, match=words):
        pl.approximate(f, domain, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "units"), [("lattice", 30), ("relu", 3), ("sigmoid", 3), ("train", 3)])
def test_what_is_not_reached_is_said(method: str, units: int) -> None:
    with pytest.raises(
        ApproximationError, match=r"the tolerance 0.001 is not reached. The best of .* has an error of"
    ) as caught:
        pl.approximate("sin(9*x)", (-2, 2), 0.001, method, max_units=units)
    best = caught.value.best
    assert best is not None
    assert best.units <= units
    assert best.error > 0.001
    assert f"{best.error:.4g}" in str(caught.value)


def test_pages_are_saved(tmp_path: Path) -> None:
    found = pl.approximate(*LINE, 0.2, "lattice")
    found.picture().save(tmp_path / "lattice.html")
    page = (tmp_path / "lattice.html").read_text()
    assert "3. Maximum over s" in page
    assert "http" not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize("method", ["relu", "sigmoid", "lattice", "train"])
@pytest.mark.parametrize("f", ["abs(x)", "0,0.5,1,0.25", (1.0, -1.0, 0.5)], ids=str)
def test_pieces_add_up_to_the_network(method: str, f: Any) -> None:
    size = 3 if method == "train" else 5
    steps = pl.approximation_steps(f, (-1, 1), size, method)
    np.testing.assert_allclose(steps.together, whole(steps), atol=1e-9)
    assert steps.to_dict()["steps"] == len(steps.pieces) == steps.step
    begun = pl.approximation_steps(f, (-1, 1), size, method, 0)
    assert method == "lattice" or np.ptp(begun.together) == 0
    errors = [pl.approximation_steps(f, (-1, 1), size, method, k).error for k in range(len(steps.pieces) + 1)]
    assert errors[-1] == steps.error <= steps.found.error * (1 + 1e-6) + 1e-12
    for before, piece in itertools.pairwise(steps.pieces):
        if method != "lattice":
            np.testing.assert_allclose(piece.together - before.together, piece.values, atol=1e-9)
        elif piece.minimum is not None and before.minimum is not None:
            np.testing.assert_array_equal(piece.minimum, np.minimum(before.minimum, piece.values))
        else:
            assert (piece.together >= before.together).all()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"units": 0}, "units"), ({"units": 513}, "from 1 to 512"), ({"step": 9}, "from 0 to 8"), ({"method": "spline"}, "spline"),
        ({"f": "x*y", "domain": [(-1, 1), (-1, 1)]}, "one variable"), ({"f": "1,2", "domain": [(-1, 1), (-1, 1)]}, "one variable"),
        ({"f": "1,inf"}, "finite numbers"), ({"f": [3]}, "2 to 1000"), ({"f": ",".join("1" * 1001)}, "2 to 1000"),
        ({"f": [[1], [2, 3]]}, "numbers"), ({"f": None}, "f"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_apart(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(PellucidError, match=words):
        pl.approximation_steps(**{"f": "x", "domain": (-1, 1), **asked})


@pytest.mark.parametrize("cells", [1, 2, 3, 7, 12, 100])
def test_a_drawn_functions_slopes_are_bounded_on_every_cell(cells: int) -> None:
    values = np.random.default_rng(cells).standard_normal(6)
    target = make_target(values.tolist(), (-1, 2), None)
    axes = target.axes(cells)
    ((low, high),) = target.cell_slopes(axes)
    fine = np.linspace(-1, 2, 6001)
    slopes = np.diff(target(fine[:, None])) / np.diff(fine)
    cell = np.minimum(((fine[:-1] + 1e-7 + 1) / 3 * cells).astype(int), cells - 1)
    assert (slopes >= low[cell] - 1e-9).all()
    assert (slopes <= high[cell] + 1e-9).all()
    found = pl.approximate(values.tolist(), (-1, 2), 0.3)
    assert found.error - 1e-12 <= found.bound <= 0.3
    assert len(found.bounds) == len(found.curve)
    for (_, error), bound in zip(found.curve, found.bounds, strict=True):
        assert error <= bound + 1e-12
