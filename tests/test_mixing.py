"""Mixup and cutmix: batches beside a plain computation, the loss beside PyTorch's, and runs that are resumed to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.data import ArrayDataset, Loader, Mixing, Preprocessing, Splits, Subset
from pellucid.data.mixing import UNITS
from pellucid.data.sample import generator
from pellucid.errors import PellucidError
from pellucid.train import Callback, StepReport, fit
from pellucid.train import features as features_module
from pellucid.train.classification import Classification
from pellucid.train.mixed import mixed
from pellucid.train.stepper import Stepper
from test_train import same

SETTINGS = {"epochs": 2, "batch_size": 16, "seed": 3, "report": False}
BOTH = {"mixup": 0.4, "cutmix": 1.0}
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 3, 9, 12), np.uint8)
PREPARED = Preprocessing((9, 12), 3, (0.5,) * 3, (0.2,) * 3)


@pytest.fixture(scope="module")
def digits() -> Splits:
    whole = pl.load("digits")
    parts = [Subset(p, range(n), p.name) for p, n in ((whole.train, 81), (whole.validation, 40), (whole.test, 40))]
    return Splits(*parts, "digits")


def small() -> nn.Module:
    return nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8, width=2)


def loader(mixing: Mixing, batch: int = 7, seed: int = 1) -> Loader:
    data = ArrayDataset(IMAGES, np.arange(30) % 5, tuple("abcde"))
    return Loader(data, batch, PREPARED, True, seed, mixing=mixing)


@pytest.mark.parametrize("mixing", [Mixing(0.4), Mixing(0, 1.0), Mixing(0.4, 1.0), Mixing(0.4, 1.0, part=3)])
def test_pictures_are_mixed_with_others_of_the_batch(mixing: Mixing) -> None:
    plain, changed = loader(Mixing()), loader(mixing)
    for number, batch in enumerate(changed.epoch(2)):
        own = plain.batch(2, number)
        mix = mixing.draw(len(own.labels), generator(1, 8, 2, number), (3, 9, 12))
        for n, other in enumerate(mix.others):
            share = mix.kept[n] / UNITS
            expected = own.images[n].copy()
            top, left, rows, columns = mix.boxes[n]
            if rows * columns:
                expected[:, top : top + rows, left : left + columns] = own.images[other][
                    :, top : top + rows, left : left + columns
                ]
                assert share == pytest.approx(1 - rows * columns / 108, abs=1e-7)
            else:
                expected = own.images[n] * share + own.images[other] * (1 - share)
            np.testing.assert_allclose(batch.images[n], expected, atol=1e-6)
            assert batch.targets[n].tolist() == [own.labels[n], own.labels[other], mix.kept[n]]
        for start in range(0, len(own.labels), mixing.part or 30):
            some = mix.others[start : start + (mixing.part or 30)]
            assert sorted(some) == list(range(start, start + len(some)))


def test_a_batch_is_the_same_alone_and_ahead_and_another_each_time() -> None:
    changed = loader(Mixing(**BOTH))
    ahead = list(changed.epoch(2))
    for number, batch in enumerate(ahead):
        again = loader(Mixing(**BOTH)).batch(2, number)
        np.testing.assert_array_equal(batch.images, again.images)
        np.testing.assert_array_equal(batch.targets, again.targets)
    changed = loader(Mixing(0.4))
    shares = {int(changed.batch(epoch, number).targets[0, 2]) for epoch in range(3) for number in range(4)}
    assert len(shares) == 12


def test_a_picture_alone_stays_as_it_is() -> None:
    """30 pictures in batches of 29 end with a batch of one."""
    for mixing in (Mixing(0.4), Mixing(0, 1.0)):
        one, plain = loader(mixing, 29).batch(0, 1), loader(Mixing(), 29).batch(0, 1)
        np.testing.assert_array_equal(one.images, plain.images)
        assert one.targets.tolist() == [[plain.labels[0], plain.labels[0], UNITS]]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_shares_follow_their_distribution(alpha: float) -> None:
    drawn = [Mixing(alpha).draw(2, generator(0, k), (1, 1, 1)).kept[0] / UNITS for k in range(1500)]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.05)
    assert np.var(drawn) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.15)
    cut = sum(Mixing(alpha, 1.0).draw(2, generator(0, k), (1, 32, 32)).boxes.any() for k in range(400))
    assert 150 < cut < 250  # one of both each time, alike often


@pytest.mark.parametrize("weights", [(), (0.5, 2.0, 1.5)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_both_classes_by_their_shares(smoothing: float, weights: tuple[float, ...]) -> None:
    torch = pytest.importorskip("torch")
    task = Classification(("a", "b", "c"), smoothing, class_weights=weights)
    scores, labels = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32), np.array([0, 1, 2, 2, 1, 0, 0])
    other, share = labels[[3, 5, 0, 1, 2, 6, 4]], 0.3125
    learned = mixed(task, Mixing(1.0))
    output, target = pl.input((7, 3), name="scores"), learned.target_input(7)
    wanted = {"loss": learned.loss(output, target), **learned.counts(output, target)}
    plain = learned.plain_loss(output, target)
    if plain is not None:
        wanted["plain"] = plain
    assert (plain is None) == (not smoothing and not weights)
    fed = {"scores": scores, "labels": np.stack([labels, other, np.full(7, round(share * UNITS))], 1)}
    found = dict(zip(wanted, pl.compile(list(wanted.values()))(fed), strict=True))

    def torchs(loss: object) -> float:
        one, two = (float(loss(torch.tensor(scores), torch.tensor(y))) for y in (labels, other))  # type: ignore[operator]
        return share * one + (1 - share) * two

    weight = torch.tensor(weights) if weights else None
    assert float(found["loss"]) == pytest.approx(
        torchs(torch.nn.CrossEntropyLoss(weight, label_smoothing=smoothing)), rel=1e-6
    )
    if plain is not None:
        assert float(found["plain"]) == pytest.approx(torchs(torch.nn.CrossEntropyLoss()), rel=1e-6)
    assert int(found["correct"]) == int((scores.argmax(1) == other).sum())  # the other class has the greater share


class _StopAt(Callback):
    def __init__(self, step: int) -> None:
        self.step, self.seen = step, 0

    def on_step(self, report: StepReport) -> None:
        self.seen = report.step


@pytest.mark.parametrize("more", [{}, {"accumulate": 2, "class_weights": "balanced", "label_smoothing": 0.1}])
def test_a_run_is_resumed_bit_for_bit(digits: Splits, tmp_path: Path, more: dict) -> None:
    settings = {**SETTINGS, **BOTH, **more, "epochs": 3}
    fit(small(), digits, out=tmp_path / "whole", **settings)
    watch = _StopAt(4)
    with pl.followed(lambda *_: None, cancelled=lambda: watch.seen >= 4):
        assert fit(small(), digits, out=tmp_path / "cut", callbacks=[watch], **settings).status == "interrupted"
    fit(small(), digits, out=tmp_path / "cut", resume=True, report=False)
    same(tmp_path / "whole", tmp_path / "cut")


def test_it_is_learned_from(digits: Splits, tmp_path: Path) -> None:
    """The steps take the batches that the loader mixes, and the run learns."""
    run = fit(small(), digits, out=tmp_path / "run", **SETTINGS | BOTH | {"epochs": 12, "learning_rate": 0.02})
    assert run.metrics[-1]["validation_accuracy"] > 0.4
    assert "mixup = 0.4\ncutmix = 1.0\n" in (run.folder / "config.toml").read_text()


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_rows_of_tables_are_mixed_and_numbers_too(tmp_path: Path, dtype: type) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(60, 4)).astype(np.float32)
    targets = (rows[:, 0] > 0).astype(dtype) if dtype is np.int64 else rows[:, 0]
    net = nn.Sequential(fc=nn.Linear(4, 2 if dtype is np.int64 else 1))
    fit(net, rows, targets, out=tmp_path / "run", mixup=0.4, **SETTINGS)
    numbers = random.normal(size=(6, 2)).astype(np.float32)
    mix = Mixing(0.4).draw(6, generator(0, 1), (4,))
    share = mix.kept[0] / UNITS
    np.testing.assert_allclose(mix.targets(numbers), share * numbers + (1 - share) * numbers[mix.others], rtol=1e-5)
    with pytest.raises(PellucidError, match="cutmix is"):
        fit(net, rows, targets, out=tmp_path / "cut", cutmix=0.4, **SETTINGS)


def test_mixed_pictures_go_through_the_whole_network(
    digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features_module, "_kept", None)
    net = small()
    net.initialize(1)
    fit(net, digits, out=tmp_path / "run", freeze="backbone", **SETTINGS | {"epochs": 1, "mixup": 0.2})


@pytest.mark.parametrize(("settings", "inputs"), [({}, (16,)), ({"mixup": 0.2}, (16, 3)), ({"cutmix": 1.0}, (16, 3))])
def test_a_step_is_what_it_was_where_nothing_is_mixed(
    digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict, inputs: tuple[int, ...]
) -> None:
    seen: set[tuple[int, ...]] = set()
    step = Stepper.__call__

    def noted(self: Stepper, batch: object, *rest: object) -> object:
        seen.add(batch.targets.shape)  # type: ignore[attr-defined]
        return step(self, batch, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Stepper, "__call__", noted)
    fit(small(), digits, out=tmp_path / "run", drop_last=True, **SETTINGS | {"epochs": 1} | settings)
    assert seen == {inputs}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mixup": -0.1}, "mixup must be a number of at least 0"),
        ({"mixup": float("inf")}, "mixup must be a number of at least 0"),
        ({"cutmix": float("nan")}, "cutmix must be a number of at least 0"),
    ],
)
def test_bad_values_are_named(digits: Splits, tmp_path: Path, settings: dict, words: str) -> None:
    with pytest.raises(PellucidError, match=words):
        fit(small(), digits, out=tmp_path / "run", **settings)


def test_targets_that_cannot_be_mixed_are_refused() -> None:
    with pytest.raises(PellucidError, match=r"mix classes \(N,\) or floats"):
        Mixing(0.2).require_mixable("maps", (1, 8, 8), np.zeros((5, 8, 8), np.int64))
