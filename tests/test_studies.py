"""The study of convolution, and shifted pictures: counts are exact, measures are what NumPy makes of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.data import ArrayDataset, Preprocessing, Splits
from pellucid.executors import run
from pellucid.nn.connectivity import three_ways
from pellucid.studies import ConnectingError, ConvolutionStudy, MovingError, ShiftError, StudyError
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


COUNTED = {
    # size, layers, channels, maps, kernel -> parameters: full, local, shared; connections: full, local
    (10, 1, 3, 1, 2): (20_200, 2_000, 20, 20_000, 2 * 28 * 28),
    (10, 3, 3, 1, 2): (100_600, 2_000 + 2 * 3_800, 20 + 2 * 38, 100_000, 2 * 28 * 28 + 2 * 4 * 28 * 28),
    (100, 1, 3, 1, 2): (200_020_000, 200_000, 20, 200_000_000, 2 * 298 * 298),
    (1, 1, 1, 3, 4): (16, 16, 16, 12, 12),
    (5, 1, 9, 1, 1): (650, 25 * 82, 82, 625, 25 * 25),
}


@pytest.mark.parametrize("asked", COUNTED, ids=str)
def test_connections_are_counted_exactly(asked: tuple[int, ...]) -> None:
    size, layers, kernel, channels, maps = asked
    found = pl.connectivity(size, channels, maps, kernel, layers)
    full, local, shared, every, near = COUNTED[asked]
    assert [way.parameters for way in found.ways] == [full, local, shared]
    assert [way.connections for way in found.ways] == [every, near, near]
    assert found.units == maps * size**2
    for way in found.ways:
        assert 1 <= len(way.drawn) <= 400
        assert len(way.drawn) <= way.of_row
        assert f"{len(way.drawn):,} of {way.connections:,} connections are drawn" in way.words
        assert all(0 <= one.pixel < size and 0 <= one.cell < size for one in way.drawn)
        if way.name != "fully connected":
            assert all(abs(one.pixel - one.cell) <= kernel // 2 for one in way.drawn)
    weights = {way.name: {one.weight for one in way.drawn} for way in found.ways}
    assert len(weights["locally connected"]) == len(found.ways[1].drawn)
    assert len(weights["convolution"]) <= kernel


def test_connections_are_those_of_the_layers() -> None:
    """Where a layer's output changes with an input, there is a connection."""
    ones = {name: np.count_nonzero(_slopes(net)) for name, net in three_ways((2, 6, 6), 3, 5, padding=2).items()}
    assert ones == {way.name: way.connections for way in pl.connectivity(6, 2, 3, 5).ways}


def _slopes(net: nn.Module) -> Any:
    net.initialize(0)
    pixels = np.eye(72, dtype=np.float32).reshape(72, 2, 6, 6)
    outputs = run([net(pl.input((73, 2, 6, 6), name="x"))], {"x": np.concatenate([pixels, pixels[:1] * 0])})[0]
    return outputs[:-1] - outputs[-1:]


@pytest.mark.parametrize(
    ("bad", "words"),
    [({"size": 0}, "size"), ({"size": 5000}, "size"), ({"kernel": 4}, "odd"), ({"size": 2, "kernel": 5}, "1 to 3"),
 ({"layers": 99}, "layers"), ({"maps": -1}, "maps")],
)  # fmt: skip
def test_sizes_that_no_layer_has(bad: dict[str, int], words: str) -> None:
    with pytest.raises(ConnectingError, match=words):
        pl.connectivity(**bad)


@pytest.mark.parametrize("shift", [(0, 0), (0, 1), (2, -3), (-4, 0)], ids=str)
def test_only_shared_weights_move_along(shift: tuple[int, int]) -> None:
    image = np.random.default_rng(3).integers(0, 256, (12, 10), np.uint8)
    found = pl.shift_test(image, shift, kernel=3, seed=5)
    full, local, shared = found.layers
    assert shared.off == 0
    if shift == (0, 0):
        assert (full.off, local.off, full.change, shared.pooled) == (0, 0, 0, 0)
    else:
        assert min(full.off, local.off) > 0.5
        assert min(layer.change for layer in found.layers) > 0.1
    rolled = np.roll(image, shift, (0, 1)).astype(float)
    inside = tuple(slice(max(0, s), n + min(0, s)) for s, n in zip(shift, image.shape, strict=True))
    np.testing.assert_array_equal(found.moved[inside], rolled[inside])


@pytest.mark.parametrize(
    ("change", "words"), [({"shift": (9, 0)}, "less than 8 down"), ({"kernel": 10}, "from 1 to 9"), ({"image": np.zeros((60, 60))}, "2 to 48")]
)  # fmt: skip
def test_pictures_that_cannot_be_moved(change: dict[str, Any], words: str) -> None:
    with pytest.raises(MovingError, match=words):
        pl.shift_test(**{"image": np.zeros((10, 10)), **change})
