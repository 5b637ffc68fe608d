"""Loss landscapes and the search for a learning rate: the numbers they are made of, and that the network stays what it was."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.data import ArrayDataset, Preprocessing, Splits, Subset
from pellucid.executors import available_executors
from pellucid.explain import LandscapeError, LossLandscape, Survey, filter_normalized
from pellucid.train import RateSearch, TrainError, finder
from pellucid.train.setup import Setup
from pellucid.train.stepper import Stepper

EXECUTORS = [name for name, reason in available_executors().items() if not reason]
GRAY = Preprocessing((8, 8), 1, (0.3,), (0.4,))


@pytest.fixture(scope="module")
def digits() -> Splits:
    whole = pl.load("digits")
    parts = [Subset(p, range(n), p.name) for p, n in ((whole.train, 200), (whole.validation, 60), (whole.test, 50))]
    return Splits(*parts, "digits")


def normed(seed: int = 0) -> nn.Module:
    net = nn.Sequential(
        conv1=nn.Conv2d(1, 4, 3, padding=1),
        norm1=nn.BatchNorm2d(4),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc=nn.Linear(64, 10),
    )
    net.initialize(seed)
    return net


def bits(net: nn.Module) -> dict[str, tuple[bytes, bool]]:
    return {name: (p.value.tobytes(), p.given) for name, p in net.named_parameters().items()}


def interrupt_after(calls: int, function: Callable[..., object]) -> Callable[..., object]:
    """The function, which raises KeyboardInterrupt from a call on."""
    made = []

    def call(*arguments: object) -> object:
        made.append(1)
        if len(made) > calls:
            raise KeyboardInterrupt
        return function(*arguments)

    return call


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("batch_size", [16, 64])
def test_the_middle_is_the_loss_that_evaluate_gives(digits: Splits, executor: str, batch_size: int) -> None:
    net = normed()
    found = pl.loss_landscape(net, digits.test, GRAY, size=3, seed=5, executor=executor, batch_size=batch_size)
    assert found.center == pl.evaluate(net, digits.test, GRAY, batch_size, executor).loss
    assert found.losses.shape == (3, 3)


def test_a_point_is_the_loss_of_the_moved_weights(digits: Splits) -> None:
    net = normed()
    before = bits(net)
    found = pl.loss_landscape(net, digits.test, GRAY, size=5, span=0.5, seed=1)
    assert bits(net) == before
    kernels = [p for p in net.parameters() if p.ndim > 1]
    assert [p.name for p in kernels] == ["conv1.weight", "fc.weight"]
    first, second = (filter_normalized(kernels, 1, number) for number in (0, 1))
    for parameter, a, b in zip(kernels, first, second, strict=True):
        parameter.value = parameter.value + 0.25 * a - 0.5 * b
    assert found.losses[3, 0] == pytest.approx(pl.evaluate(net, digits.test, GRAY).loss, rel=1e-6)
    assert found.offsets.tolist() == [-0.5, -0.25, 0, 0.25, 0.5]


def test_filters_of_a_direction_are_as_large_as_the_weights() -> None:
    parameters = [p for p in normed().parameters() if p.ndim > 1]
    for number in (0, 1):
        for parameter, direction in zip(parameters, filter_normalized(parameters, 3, number), strict=True):
            axes = tuple(range(1, parameter.ndim))
            own, its = (np.sqrt((np.float64(v) ** 2).sum(axes)) for v in (parameter.value, direction))
            np.testing.assert_allclose(its, own, rtol=1e-6)
    again, other = (filter_normalized(parameters, seed)[0] for seed in (3, 4))
    assert np.array_equal(again, filter_normalized(parameters, 3)[0])
    assert not np.allclose(again, other)
    assert not np.allclose(again, filter_normalized(parameters, 3, 1)[0])


@pytest.mark.parametrize(
    ("size", "directions", "sides"), [(17, 1, [5, 9, 17]), (9, 2, [5, 9]), (13, 1, [7, 13]), (7, 2, [7]), (3, 1, [3])]
)
def test_finer_grids_keep_the_numbers_of_coarser_ones(
    digits: Splits, size: int, directions: int, sides: list[int]
) -> None:
    net = normed()
    before = bits(net)
    survey = Survey(net, digits.test, GRAY, size=size, directions=directions, limit=20)
    assert survey.points == size**directions - 1
    assert survey.seconds > 0
    grids: list[LossLandscape] = []
    for grid in survey:
        assert bits(net) == before, "between two grids the network is itself"
        grids.append(grid)
    assert [len(grid.offsets) for grid in grids] == sides
    assert [grid.complete for grid in grids] == [side == size for side in sides]
    finest = grids[-1]
    for grid in grids[:-1]:
        every = (size - 1) // (len(grid.offsets) - 1)
        assert np.array_equal(grid.losses, finest.losses[(slice(None, None, every),) * directions])
        assert grid.center == finest.center
    again = Survey(net, digits.test, GRAY, size=size, directions=directions, limit=20)
    assert np.array_equal(list(again)[-1].losses, finest.losses)


def test_an_interruption_keeps_the_last_whole_grid(digits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    net, shown = normed(), []
    before = bits(net)
    options = {"size": 9, "limit": 20}
    for calls, sides in ((1 + 24 + 30, [5]), (1 + 10, [])):
        shown.clear()
        with monkeypatch.context() as patch:
            patch.setattr(Survey, "_loss", interrupt_after(calls, Survey._loss))
            if sides:
                found = pl.loss_landscape(net, digits.test, GRAY, show=shown.append, **options)
                assert found is shown[-1]
                assert not found.complete
                assert "stopped before the grid of 9" in str(found)
                assert max(map(len, str(found).splitlines())) <= 80
            else:
                with pytest.raises(KeyboardInterrupt):
                    pl.loss_landscape(net, digits.test, GRAY, show=shown.append, **options)
        assert [len(grid.offsets) for grid in shown] == sides
        assert bits(net) == before


def test_a_bowl_has_its_curvature() -> None:
    offsets = np.linspace(-1, 1, 5)
    bowl = LossLandscape(offsets, 1 + 3 * offsets[:, None] ** 2 + 0.5 * offsets**2, 5, 0, 10)
    assert bowl.curvatures() == pytest.approx((6, 1))
    assert bowl.lowest() == (1.0, (0.0, 0.0))
    holed = LossLandscape(offsets, np.where(bowl.losses > 4, np.nan, bowl.losses), 5, 0, 10)
    assert json.loads(holed.to_json())["losses"][0][0] == "NaN"
    assert bowl.picture().values[0, 2] == pytest.approx(np.log10(1.5)), "b runs upwards"
    line = LossLandscape(offsets, 2 * offsets**2, 5, 0, 10)
    assert line.curvatures() == pytest.approx((4,))
    assert line.picture().series[0].y[0] == 2
    for one in (bowl, line):
        assert max(map(len, str(one).splitlines())) <= 80


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 8}, "size must be odd and at least 3.*got 8"),
        ({"size": 1}, "got 1"),
        ({"span": 0.0}, "span must be a positive number"),
        ({"span": 1e200}, "at most 1,000,000, got 1e\\+200"),
        ({"span": float("nan")}, "got nan"),
        ({"directions": 3}, "directions must be 1 or 2, got 3"),
        ({"limit": 0}, "limit must be at least 1 picture"),
    ],
)
def test_bad_landscapes(digits: Splits, options: dict, words: str) -> None:
    with pytest.raises(LandscapeError, match=words):
        Survey(normed(), digits.test, GRAY, **options)
    with pytest.raises(LandscapeError, match="no kernel or matrix"):
        Survey(nn.Sequential(flatten=nn.Flatten()), digits.test, GRAY)
    others = ArrayDataset(digits.test.images(np.arange(4)), [0, 3, 10, 1], [*map(str, range(11))], "others")
    with pytest.raises(LandscapeError, match="gives 10 scores, the data others has 11 classes"):
        Survey(normed(), others, GRAY, size=3)
    wide = pl.loss_landscape(normed(), digits.test, GRAY, size=3, span=1e6, directions=1, limit=8)
    assert np.isfinite(wide.center)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_search_leaves_the_network_as_it_was(digits: Splits, executor: str) -> None:
    net = normed(3)
    net.conv1.weight.value = net.conv1.weight.value * 2
    net.norm1.training = False
    before = bits(net)
    found = pl.find_learning_rate(net, digits, executor=executor, batch_size=20, steps=20)
    assert bits(net) == before
    assert net.conv1.weight.given
    assert not net.fc.weight.given
    assert net.training
    assert not net.norm1.training
    assert found.rates[0] == pytest.approx(1e-6)
    assert len(found.losses) == len(found.rates) <= 20


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_search_that_is_stopped_leaves_it_too(
    digits: Splits, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    net = normed(3)
    before = bits(net)
    step = Stepper.__call__

    def failing(self: Stepper, batch: object, rate: float, number: int) -> object:
        if number == 7:
            assert bits(net) == before  # it is a copy that is trained
            raise error
        return step(self, batch, rate, number)

    monkeypatch.setattr(Stepper, "__call__", failing)
    with pytest.raises(error):
        pl.find_learning_rate(net, digits, lowest=0.1, batch_size=20, steps=20)
    assert bits(net) == before


def test_the_first_losses_are_those_of_training(digits: Splits) -> None:
    """Rates so low that they change nothing: the losses are those that fit's first steps begin with."""
    net = normed()
    found = pl.find_learning_rate(
        net, digits, optimizer="sgd", batch_size=50, steps=10, lowest=1e-20, highest=1e-19, shift=1
    )
    config = pl.train.TrainConfig(optimizer="sgd", batch_size=50, shift=1)
    setup = Setup(net, digits, pl.train.Classification(digits.classes), config)
    losses = [
        setup.stepper(batch, 1e-20, number).loss
        for epoch in range(3)
        for number, batch in enumerate(setup.loader.epoch(epoch))
    ][:10]
    np.testing.assert_allclose(found.losses, losses, rtol=1e-6)
    assert (found.steepest, found.safe) == (None, None)
    assert "did not fall" in str(found)


def test_rates_found_on_a_curve_that_is_known() -> None:
    rates = np.geomspace(1e-6, 1, 121)
    decades = np.log10(rates)
    losses = 2 - 1 / (1 + np.exp(-6 * (decades + 3))) + np.where(decades > -1, 5 * (decades + 1), 0)
    found = finder._judged("sgd", rates, losses, finder.smoothed(losses.tolist(), 121), True)
    assert found.steepest == pytest.approx(1e-3, rel=0.2)
    assert found.safe is not None
    assert 1e-3 < found.safe < 1e-2, "a tenth of a rate on the flat part between fall and explosion"
    json.dumps(found.to_dict(), allow_nan=False)
    chart = found.picture()
    assert chart.x_log
    assert [s.name.split()[0] for s in chart.series] == ["loss", "smoothed", "steepest", "safe"]
    assert "are not shown" in chart.note
    for seed in range(20):
        flat = 2 + 0.01 * np.random.default_rng(seed).standard_normal(121)
        assert finder._judged("sgd", rates, flat, finder.smoothed(flat.tolist(), 121), False).safe is None


def test_a_search_ends_where_the_loss_explodes(digits: Splits) -> None:
    net = nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8, width=4)
    found: RateSearch = pl.find_learning_rate(
        net, digits, optimizer="adam", batch_size=50, steps=80, lowest=1e-4, highest=1e4
    )
    assert found.exploded
    assert found.rates[-1] < 1e3
    assert found.safe is not None
    assert 1e-4 < found.safe < found.rates[-1] / 10
    assert max(map(len, str(found).splitlines())) <= 80


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lowest": 0.0}, "must be positive rates"),
        ({"lowest": 1.0, "highest": 0.5}, "the second higher, got 1.0 and 0.5"),
        ({"steps": 3}, "steps must be at least 10, got 3"),
        ({"steps": 10.5}, "steps: must be a whole number, got 10.5"),
        ({"highest": "1"}, "highest: must be a number, got '1'"),
        ({"optimizer": "adma"}, "did you mean 'adam'"),
        ({"lowest": 1e30, "highest": 1e38, "optimizer": "sgd"}, r"explodes at learning rate 1e\+30 already"),
    ],
)
def test_bad_searches(digits: Splits, options: dict, words: str) -> None:
    net = nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8, width=4)
    before = bits(net)
    with pytest.raises((TrainError, ValueError), match=words):
        pl.find_learning_rate(net, digits, batch_size=20, **options)
    assert bits(net) == before
