"""The study of convolution, and shifted pictures: counts are exact, measures are what NumPy makes of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.data import ArrayDataset, Preprocessing, Splits
from pellucid.studies import ConvolutionStudy, ShiftError, StudyError
from pellucid.studies.convolution import networks
from pellucid.studies.shifts import DIRECTIONS, features, shifted

PLAIN = Preprocessing((8, 8), 1, (0.0,), (1 / 255,))
"""Pictures as they are, as numbers from 0 to 255."""


@pytest.fixture(scope="module")
def study() -> ConvolutionStudy:
    return pl.why_convolution("digits", epochs=3, shifts=(0, 1, 2), limit=400)


@pytest.fixture(scope="module")
def pictures() -> ArrayDataset:
    """Pictures with a frame of zeros, three pixels wide."""
    images = np.zeros((300, 1, 8, 8), np.uint8)
    images[:, :, 3:5, 3:5] = np.random.default_rng(0).integers(0, 256, (300, 1, 2, 2))
    return ArrayDataset(images, np.arange(300) % 3, ["a", "b", "c"], "framed")


@pytest.mark.parametrize("shift", [1, 2, 3])
def test_shifting_repeats_the_edge(shift: int) -> None:
    images = np.random.default_rng(1).integers(0, 256, (4, 3, 6, 7), np.uint8)
    padded = np.pad(images, ((0, 0), (0, 0), (shift, shift), (shift, shift)), mode="edge")
    assert len(set(DIRECTIONS)) == 8
    for down, across in DIRECTIONS:
        top, left = shift - shift * down, shift - shift * across
        expected = padded[:, :, top : top + 6, left : left + 7]
        np.testing.assert_array_equal(shifted(images, shift * down, shift * across), expected)


def test_measures_are_what_numpy_makes_of_them(pictures: ArrayDataset) -> None:
    net = nn.Sequential(flatten=nn.Flatten(), output=nn.Linear(64, 3))
    net.initialize(3)
    found = pl.shift_robustness(net, pictures, PLAIN, (0, 2))
    weight, bias = net.state_dict()["output.weight"].astype(float), net.state_dict()["output.bias"].astype(float)
    flat = pictures.images(np.arange(300)).reshape(300, 64).astype(float)
    base = (flat @ weight.T + bias).argmax(1)
    right, same, moved = [], [], []
    for down, across in DIRECTIONS:
        rolled = np.roll(flat.reshape(300, 8, 8), (2 * down, 2 * across), (1, 2)).reshape(300, 64)
        answers = (rolled @ weight.T + bias).argmax(1)
        right.append(np.mean(answers == pictures.labels))
        same.append(np.mean(answers == base))
        moved.append(np.sum((rolled - flat) ** 2))
    row = found.rows[0]
    assert row.accuracy == pytest.approx((np.mean(base == pictures.labels), np.mean(right)))
    assert row.agreement == pytest.approx((1, np.mean(same)))
    assert row.feature_change == pytest.approx((0, np.sqrt(np.mean(moved) / np.sum(flat**2))), rel=1e-6)


def test_global_pooling_is_invariant_where_nothing_leaves_the_picture(pictures: ArrayDataset) -> None:
    net = nn.Sequential(
        conv=nn.Conv2d(1, 4, 1), pool=nn.GlobalAvgPool2d(), flatten=nn.Flatten(), output=nn.Linear(4, 3)
    )
    net.initialize(0)
    (row,) = pl.shift_robustness(net, pictures, PLAIN, (0, 1, 3)).rows
    assert row.agreement == (1, 1, 1)
    assert max(row.feature_change) < 1e-5


def test_features_are_what_the_last_layer_reads() -> None:
    for name, net in networks((1, 8, 8), 10).items():
        read = features(net.eval()(pl.input((2, 1, 8, 8))))
        assert read.shape == (2, 128), name
    with pytest.raises(ShiftError, match="no layer with weights"):
        features(nn.Flatten()(pl.input((2, 1, 8, 8))))


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 30, 21)], ids=str)
def test_the_networks_have_the_same_maps(shape: tuple[int, int, int]) -> None:
    channels, rows, columns = shape
    half, quarter = (-(-rows // 2), -(-columns // 2)), (-(-rows // 4), -(-columns // 4))
    maps = 16 * half[0] * half[1], 32 * quarter[0] * quarter[1]
    area = 9 if min(rows, columns) < 20 else 25
    head = maps[1] * 10 + 10
    nets = networks(shape, 10)
    shared = 16 * (channels * area + 1) + 32 * (16 * area + 1) + head
    assert {name: net.num_parameters() for name, net in nets.items()} == {
        "fully connected": channels * rows * columns * maps[0] + maps[0] + maps[0] * maps[1] + maps[1] + head,
        "locally connected": maps[0] * (channels * area + 1) + maps[1] * (16 * area + 1) + head,
        "convolution": shared,
        "with max pooling": shared,
        "with average pooling": shared,
    }
    for net in nets.values():
        assert net.summary(shape).rows[-2].output_shape == (maps[1],)


def test_the_lectures_counts() -> None:
    three_layers = nn.models.build("mlp", image_size=10, hidden=(200, 200, 200), num_classes=10)
    assert three_layers.num_parameters() == 102_610
    assert nn.Linear(100 * 100, 20_000).num_parameters() == 200_020_000


def test_the_study(study: ConvolutionStudy) -> None:
    names = ["fully connected", "locally connected", "convolution", "with max pooling", "with average pooling"]
    assert [t.name for t in study.networks] == names
    assert study.trained_on == 400
    digits = pl.load("digits")
    for trained, row in zip(study.networks, study.robustness.rows, strict=True):
        assert row.name == trained.name
        assert row.accuracy[0] == pytest.approx(trained.test.accuracy)
        assert trained.test.count == len(digits.test)
        assert trained.test.accuracy > 0.3
        assert row.accuracy[1] < row.accuracy[0]
    by_name = {r.name: r for r in study.robustness.rows}
    assert by_name["with max pooling"].feature_change[1] < 0.9 * by_name["convolution"].feature_change[1]
    plain = json.loads(json.dumps(study.to_dict()))
    assert plain["networks"]["convolution"]["parameters"] == 6090
    assert plain["networks"]["convolution"]["parameter_bytes"] == 4 * 6090
    assert max(map(len, str(study).splitlines())) <= 80
    page = study.picture().fragment()
    assert page.count("<svg") == 4
    assert "Why convolution: digits" in page


def test_the_study_depends_on_the_seed_alone(study: ConvolutionStudy) -> None:
    again = pl.why_convolution("digits", epochs=3, shifts=(0, 1, 2), limit=400)
    assert again.to_dict() == study.to_dict()


@pytest.mark.parametrize("shifts", [(), (-1,), (0, 8)], ids=str)
def test_shifts_that_cannot_be(shifts: tuple[int, ...], pictures: ArrayDataset) -> None:
    net = nn.Sequential(flatten=nn.Flatten(), output=nn.Linear(64, 3))
    with pytest.raises(ShiftError, match="whole numbers from 0 to 7 for pictures of 8x8"):
        pl.shift_robustness(net, pictures, PLAIN, shifts)


def test_what_the_study_refuses() -> None:
    small = ArrayDataset(np.zeros((10, 1, 6, 6), np.uint8), np.arange(10) % 2, ["a", "b"], "tiny")
    with pytest.raises(StudyError, match="at least 8x8 pixels, got \\(6, 6\\)"):
        pl.why_convolution(Splits(small, small, small))
    with pytest.raises(StudyError, match="limit"):
        pl.why_convolution("digits", limit=-1)
    with pytest.raises(ShiftError, match="whole numbers from 0 to 7"):
        pl.why_convolution("digits", shifts=(9,))
