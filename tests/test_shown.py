"""Numbers as they are shown, and by how much what is shown of a sum misses it."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pellucid as pl
from pellucid.shown import missed, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, 0.1235), (123456.7, 123500), (1e-5, 1e-5), (0.0, 0.0), (-2.00049, -2.0), (1000.5, 1001), (-1000.5, -1001),
        (5e-324, 4.941e-324), (1.23456e300, 1.235e300),
    ],
)  # fmt: skip
def test_four_digits_count(value: float, text: float) -> None:
    assert float(shown(value)) == text


@pytest.mark.parametrize(
    ("terms", "total", "off"),
    [
        ([1, 2, -1], 2, 0), ([0.1, 0.2], 0.1 + 0.2, 0), ([0.33333, 0.33333], 0.66666, 0.0001), ([-0.33333, -0.33333], -0.66666, 0.0001),
        ([math.nan, 1], math.nan, 0), ([math.inf, 1], math.inf, 0), ([1e9, 1e-9], 1e9, 0), ([], 0, 0), ([10000.4, 0.4], 10000.8, 0.4),
        ([1e308, 1e308], math.inf, 0),
    ],
)  # fmt: skip
def test_what_is_shown_of_a_sum_misses_it(terms: list[float], total: float, off: float) -> None:
    assert missed(terms, total) == off


def test_answers_say_by_how_much() -> None:
    neuron = pl.two_input_neuron((1 / 3, 1 / 3), 0.0, (1, 1))
    assert neuron.to_dict()["missed"] == 0.0001  # 0.3333 + 0.3333, shown as 0.6667
    assert pl.two_input_neuron((2, -3), -3, (-1, -2)).to_dict()["missed"] == 0
    image = np.array([[1 / 3, 1 / 3]])
    assert pl.convolve(image, [[1.0, 1.0]], pooling="none").to_dict()["missed"] == 0.0001
    assert pl.convolve(image, [[0.33333, 1.0]], pooling="none").missed == pytest.approx(
        abs(0.3333 * 0.3333 + 0.3333 - 0.4444), rel=0.05
    )
    told = pl.convolve(np.arange(36.0).reshape(6, 6), "sobel-x").to_dict()
    assert (told["cells"], told["kept"], told["missed"]) == (16, 4, 0)


def test_pieces_of_a_maxout_unit_are_lines() -> None:
    told = pl.maxout_unit([(-1, -1), (2, -3)], box=[(-4, 4)]).to_dict()
    assert told["lines"] == [[(-4, 3), (4, -5)], [(-4, -11), (4, 5)]]
    assert [top[0] for top in told["tops"]] == [(-4, 3), pytest.approx((2 / 3, -5 / 3))]
    assert pl.maxout_unit([(1, 0, 0), (0, 1, 0)]).to_dict()["lines"] == []
