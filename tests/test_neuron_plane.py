"""A neuron and a maxout unit over the plane: sums, lines and regions are those of plane geometry, gradients those of PyTorch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import pellucid as pl
from pellucid.explain import NeuronError, activation_names
from pellucid.formulas.half_planes import area, corners, cut, segment

BOX = ((-4.0, 4.0), (-4.0, 4.0))


@pytest.mark.parametrize("activation", activation_names())
def test_the_sum_and_what_comes_back(activation: str) -> None:
    found = pl.two_input_neuron((2, -3), -3.25, (-1, -2), activation)
    assert found.products == (-2, 6)
    assert found.sum == 0.75
    curve = pl.activation_curve(activation, low=0.75, high=1, points=2)
    assert found.value == pytest.approx(curve.y[0], rel=1e-14)
    assert found.slope == pytest.approx(curve.derivative[0], rel=1e-14)
    wanted = [-1 * found.slope, -2 * found.slope, found.slope, 2 * found.slope, -3 * found.slope]
    np.testing.assert_allclose(list(found.gradient.values()), wanted, rtol=1e-12)
    assert list(found.gradient) == ["w0", "w1", "b", "x0", "x1"]


def test_sigmoid_neuron_is_torchs() -> None:
    w = torch.tensor([0.7, -1.3], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([0.4, 1.1], dtype=torch.float64, requires_grad=True)
    b = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    y = torch.sigmoid(w @ x + b)
    y.backward()
    found = pl.two_input_neuron((0.7, -1.3), 0.2, (0.4, 1.1))
    assert found.value == pytest.approx(y.item(), rel=1e-14)
    wanted = [*w.grad.tolist(), b.grad.item(), *x.grad.tolist()]
    np.testing.assert_allclose(list(found.gradient.values()), wanted, rtol=1e-12)


LINES: list[tuple[tuple[float, float], float, Any, float]] = [
    ((1, 0), 0, ((0, -4), (0, 4)), 32),
    ((0, 2), -2, ((-4, 1), (4, 1)), 24),
    ((1, 1), 0, ((-4, 4), (4, -4)), 32),
    ((1, 1), -8, None, 0),
    ((1, 1), 100, None, 64),
    ((0, 0), 1, None, 64),
    ((0, 0), 0, None, 0),
    ((0, 0), -1, None, 0),
    ((2, -3), -3, ((-4, -11 / 3), (4, 5 / 3)), 24),
]


@pytest.mark.parametrize(("weights", "bias", "line", "size"), LINES)
def test_the_line_and_its_sides(weights: tuple[float, float], bias: float, line: Any, size: float) -> None:
    found = pl.two_input_neuron(weights, bias)
    if line is None:
        assert found.line is None
    else:
        np.testing.assert_allclose(found.line, line, atol=1e-12)  # type: ignore[arg-type]
    assert area(found.positive) == pytest.approx(size, abs=1e-9)
    rest = 64 - size if any(weights) or bias else 0
    assert area(found.negative) == pytest.approx(rest, abs=1e-9)
    for x, y in found.positive:
        assert weights[0] * x + weights[1] * y + bias >= -1e-9
    assert found.picture().svg()


def test_points_are_on_the_side_of_their_class() -> None:
    points = [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1)]
    found = pl.two_input_neuron((1, 1), -1.5, points=points)
    assert [(p.sum, p.right) for p in found.points] == [(-1.5, True), (-0.5, True), (-0.5, True), (0.5, True)]
    assert found.right == found.to_dict()["right"] == 4
    xor = pl.two_input_neuron((1, 1), -0.5, points=[(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)])
    assert [p.right for p in xor.points] == [True, True, True, False]
    on_the_line = pl.two_input_neuron((1, 0), 0, points=[(0, 1, 0), (0, 1, 1)])
    assert [p.right for p in on_the_line.points] == [True, False]


def test_values_over_the_plane_are_the_neurons() -> None:
    found = pl.two_input_neuron((1, 2), 0.5, activation="leaky_relu", slope=0.5)
    x, y = np.meshgrid(np.linspace(-4, 4, 41), np.linspace(-4, 4, 41))
    total = x + 2 * y + 0.5
    np.testing.assert_allclose(found.values, np.where(total > 0, total, total / 2), atol=1e-12)
    told = found.to_dict()
    assert (told["low"], told["high"]) == (found.values.min(), found.values.max())
    assert (np.min(told["shades"]), np.max(told["shades"])) == (0, 254)


def envelope(pieces: Any, x: Any) -> Any:
    return np.max([w * x + b for w, b in pieces], 0)


@pytest.mark.parametrize(
    ("pieces", "regions", "kinks"),
    [
        ([(-0.5, 0), (1, 0)], [(-4, 0), (0, 4)], [(0, 0, -0.5, 1, 0.25)]),
        ([(-1, -1), (0, 0), (2, -3)], [(-4, -1), (-1, 1.5), (1.5, 4)], [(-1, 0, -1, 0, -0.5), (1.5, 0, 0, 2, 1)]),
        ([(0, 0), (1, -100), (0, -1)], [(-4, 4), None, None], []),
        ([(1, 0), (-1, 0), (0, 0)], [(0, 4), (-4, 0), None], [(0, 0, -1, 1, 0)]),
        ([(2, 1)], [(-4, 4)], []),
        ([(-1, -1), (0.25, 0)], [(-4, -0.8), (-0.8, 4)], [(-0.8, -0.2, -1, 0.25, -0.375)]),
        ([(1, 0), (1, 0)], [(-4, 4), (-4, 4)], []),
    ],
)
def test_a_maxout_of_one_input_is_an_upper_envelope(pieces: Any, regions: Any, kinks: Any) -> None:
    found = pl.maxout_unit(pieces)
    for got, wanted in zip(found.regions, regions, strict=True):
        assert got == (wanted if wanted is None else pytest.approx(wanted))
    np.testing.assert_allclose(found.y, envelope(pieces, np.array(found.x)), atol=1e-12)
    got = [(k.x, k.y, k.left, k.right, k.derivative) for k in found.kinks]
    np.testing.assert_allclose(np.array(got).reshape(-1, 5), np.array(kinks, float).reshape(-1, 5), atol=1e-12)
    assert found.picture().svg()


def test_a_maxout_at_a_place() -> None:
    found = pl.maxout_unit([(-1, -1), (0, 0), (2, -3)], at=[2])
    assert (found.sums, found.value, found.winners, found.gradient) == ((-3, 0, 1), 1, (2,), (2,))
    tied = pl.maxout_unit([(-1, 0), (1, 0)], at=[0])
    assert (tied.winners, tied.gradient) == ((0, 1), (0,))


def test_regions_of_two_inputs_tile_the_plane() -> None:
    random = np.random.default_rng(3)
    for _ in range(10):
        pieces = random.normal(size=(6, 3)).round(3).tolist()
        found = pl.maxout_unit(pieces, at=random.normal(size=2).tolist())
        assert sum(map(area, found.regions)) == pytest.approx(64, rel=1e-9)
        for number, region in enumerate(found.regions):
            if region:
                x, y = np.mean(region, axis=0)  # a region is convex: this is inside
                sums = [w0 * x + w1 * y + b for w0, w1, b in pieces]
                assert int(np.argmax(sums)) == number
        x, y = np.meshgrid(np.linspace(-4, 4, 41), np.linspace(-4, 4, 41))
        largest = np.max([w0 * x + w1 * y + b for w0, w1, b in pieces], 0)
        np.testing.assert_allclose(found.values, largest, atol=1e-12)
        inside = np.mean(largest <= 0) * 64
        assert area(found.below) == pytest.approx(inside, abs=2.5)
    assert area(pl.maxout_unit([(1, 0, -1), (-1, 0, -1), (0, 1, -1), (0, -1, -1)]).below) == pytest.approx(4)
    assert pl.maxout_unit([(0, 0, 1)]).below == ()


def test_lines_and_half_planes() -> None:
    square = corners(((0, 1), (0, 1)))
    assert area(square) == 1
    assert cut(square, (1, 0, 0)) == square
    assert cut(square, (-1, 0, 0)) == ()  # an edge has no area
    assert area(cut(square, (1, 1, -1))) == pytest.approx(0.5)
    assert cut(square, (0, 0, -1)) == ()
    assert segment(((0, 1), (0, 1)), (1, -1, 0)) == ((0, 0), (1, 1))
    assert segment(((0, 1), (0, 1)), (1, 1, 0)) is None  # a corner alone
    assert segment(((0, 1), (0, 1)), (0, 0, 0)) is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pl.two_input_neuron((1, 2, 3)), "weights: wants 2 finite numbers within a million of 0, got [1.0, 2.0, 3.0]"),
        (lambda: pl.two_input_neuron((1, math.nan)), "weights: wants 2 finite numbers"),
        (lambda: pl.two_input_neuron(bias=math.inf), "bias: wants 1 finite numbers"),
        (lambda: pl.two_input_neuron(at=(1e7, 0)), "at: wants 2 finite numbers within a million"),
        (lambda: pl.two_input_neuron(points=[(1, 1)]), "a point: wants 3 finite numbers"),
        (lambda: pl.two_input_neuron(points=[(1, 1, 2)]), "its class, which is 0 or 1"),
        (lambda: pl.two_input_neuron(points=[(1, 1, 1)] * 201), "at most 200 are taken, got 201"),
        (lambda: pl.two_input_neuron(box=((1, 1), (0, 1))), "from a number to a larger one"),
        (lambda: pl.two_input_neuron(box=()), "box: wants x0 from, to and x1 from, to"),
        (lambda: pl.two_input_neuron(activation="relo"), "did you mean 'relu'"),
        (lambda: pl.two_input_neuron(activation="relu", slope=1), "relu has no setting 'slope'"),
        (lambda: pl.two_input_neuron(activation="elu", alpha=math.nan), "elu: wants finite settings, got alpha=nan"),
        (lambda: pl.maxout_unit([]), "wants 1 to 12 of them"),
        (lambda: pl.maxout_unit([(1, 2)] * 13), "wants 1 to 12 of them"),
        (lambda: pl.maxout_unit([(1, 2), (1, 2, 3)]), "each w, b (one input) or each w0, w1, b (two)"),
        (lambda: pl.maxout_unit([(1, math.inf)]), "a piece: wants 2 finite numbers"),
        (lambda: pl.maxout_unit([(1, 1)], at=[1, 2]), "at: wants 1 finite numbers"),
        (lambda: pl.maxout_unit([(1, 1)], box=[(1, 1)]), "one interval from a number to a larger one"),
        (lambda: pl.maxout_unit([(1, 1, 1)], box=[(0, 1)]), "box: wants x0 from, to"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(call: Any, words: str) -> None:
    with pytest.raises(pl.PellucidError) as found:
        call()
    assert words in str(found.value)
    assert isinstance(found.value, NeuronError) or "elu" in words
