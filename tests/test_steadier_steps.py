"""Warm-up, plateau, clipping, accumulation, averages of weights, and classes of unequal size, beside PyTorch and a large batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import pellucid as pl
from pellucid import nn
from pellucid.data import ArrayDataset, Loader, Splits, Subset
from pellucid.errors import PellucidError
from pellucid.train import Callback, StepReport, fit
from pellucid.train.averaging import averaging
from pellucid.train.balance import class_weights, parsed_weights, weights_text
from pellucid.train.classification import Classification
from pellucid.train.optimizers import Optimizer
from pellucid.train.schedules import SCHEDULES, factor, plateau_factor
from test_train import same

SETTINGS = {"epochs": 2, "batch_size": 16, "seed": 3, "report": False}


@pytest.fixture(scope="module")
def digits() -> Splits:
    whole = pl.load("digits")
    parts = [Subset(p, range(n), p.name) for p, n in ((whole.train, 80), (whole.validation, 40), (whole.test, 40))]
    return Splits(*parts, "digits")


def small() -> nn.Module:
    return nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8, width=2)


EVERYTHING = {
    "schedule": "plateau",
    "plateau_patience": 1,
    "warmup": 0.5,
    "clip_norm": 0.5,
    "accumulate": 2,
    "ema": 0.9,
    "class_weights": "balanced",
    "sampling": "balanced",
    "label_smoothing": 0.1,
    "flip": True,
}


class _StopAt(Callback):
    def __init__(self, step: int) -> None:
        self.step, self.seen = step, 0

    def on_step(self, report: StepReport) -> None:
        self.seen = report.step


def test_a_run_with_all_of_it_is_resumed_bit_for_bit(digits: Splits, tmp_path: Path) -> None:
    whole = fit(small(), digits, out=tmp_path / "whole", **SETTINGS | EVERYTHING | {"epochs": 4})
    watch = _StopAt(4)
    with pl.followed(lambda *_: None, cancelled=lambda: watch.seen >= 4):
        stopped = fit(small(), digits, out=tmp_path / "cut", callbacks=[watch], **SETTINGS | EVERYTHING | {"epochs": 4})
    assert stopped.status == "interrupted"
    fit(small(), digits, out=tmp_path / "cut", resume=True, report=False)
    same(tmp_path / "whole", tmp_path / "cut")
    last, best = (load_file(whole.folder / f"{name}.safetensors") for name in ("last", "best"))
    for name, kept in whole.net.state_dict().items():
        np.testing.assert_array_equal(kept, best[name])
        assert f"optimizer/average/{name}" in last
        assert not np.array_equal(last[name], last[f"optimizer/average/{name}"])


def weights_after(digits: Splits, folder: Path, **settings: object) -> tuple[dict, list[dict]]:
    run = fit(small(), digits, out=folder, **SETTINGS | {"optimizer": "momentum", "epochs": 2} | settings)
    return load_file(folder / "last.safetensors"), list(run.metrics)


@pytest.mark.parametrize("more", [{}, {"class_weights": "balanced", "label_smoothing": 0.1}, {"clip_norm": 0.1}])
@pytest.mark.parametrize("drop_last", [False, True])
def test_accumulated_batches_are_one_large_batch(digits: Splits, tmp_path: Path, more: dict, drop_last: bool) -> None:
    """80 pictures in batches of 32 end with one of 16, which is one of 12 and one of 4 where they are 12 at a time."""
    large, rows = weights_after(digits, tmp_path / "large", batch_size=36, drop_last=drop_last, **more)
    parts, others = weights_after(digits, tmp_path / "parts", batch_size=12, accumulate=3, drop_last=drop_last, **more)
    for name in large:
        np.testing.assert_allclose(parts[name], large[name], rtol=1e-4, atol=1e-6, err_msg=name)
    for one, other in zip(rows, others, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert one["accuracy"] == other["accuracy"]


@pytest.mark.parametrize("settings", [{"clip_norm": 0.3}, {"clip_norm": 50.0}, {"clip_value": 0.05}])
def test_clipping_is_torchs(settings: dict) -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    values = [random.normal(size=shape).astype(np.float32) for shape in ((3, 4), (5,))]
    slopes = [pl.input(v.shape, name=f"g{k}") for k, v in enumerate(values)]
    norm = pl.ops.sqrt(pl.ops.sum(slopes[0] * slopes[0]) + pl.ops.sum(slopes[1] * slopes[1]))
    clipped = Optimizer(**settings).clipped(slopes, norm)
    found = pl.compile(clipped)({f"g{k}": v for k, v in enumerate(values)})
    weights = [torch.nn.Parameter(torch.zeros(v.shape)) for v in values]
    for weight, value in zip(weights, values, strict=True):
        weight.grad = torch.tensor(value)
    if "clip_norm" in settings:
        torch.nn.utils.clip_grad_norm_(weights, settings["clip_norm"])
    else:
        torch.nn.utils.clip_grad_value_(weights, settings["clip_value"])
    for one, weight in zip(found, weights, strict=True):
        np.testing.assert_allclose(one, weight.grad.numpy(), rtol=1e-6, atol=1e-7)


def test_averages_follow_the_weights() -> None:
    weight = pl.Parameter.of(np.float32([1.0, 2.0]), "w")
    average = pl.Parameter.of(np.float32([0.0, 0.0]), "a")
    count = pl.input((), name="t")
    new = averaging({weight: average}, {weight: weight * 2.0}, 0.5, count)
    program = pl.compile([count], updates=new)
    expected = np.zeros(2)
    for t in (1.0, 2.0, 50.0):
        program({"t": np.float32(t)})
        d = min(0.5, (1 + t) / (10 + t))
        expected = d * expected + (1 - d) * np.array([2.0, 4.0])
        np.testing.assert_allclose(average.value, expected, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_warmup_goes_before_any_schedule(name: str) -> None:
    rates = [factor(name, step, 20, 4) for step in range(20)]
    np.testing.assert_allclose(rates[:4], [0.2, 0.4, 0.6, 0.8])
    assert rates[4:] == [factor(name, step, 16) for step in range(16)]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([], 1.0),
        ([3, 2, 1], 1.0),
        ([1, 1, 1], 0.5),
        ([1, 1, 1, 1, 1], 0.25),
        ([1, 2, 0.5, 2], 1.0),
        ([1, 0.99995, 0.9999], 0.5),
        ([3, 3, 2, 3, 3], 0.5),
    ],
)
def test_plateau(losses: list[float], expected: float) -> None:
    assert plateau_factor(losses, 2, 0.5) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("balanced", (6 / (2 * 4), 6 / (2 * 2), 1.0)),
        ("b=2", (1.0, 2.0, 1.0)),
        (" a = 0.5 , c,x=3", (0.5, 1.0, 1.0)),
        ('{"c,x": 3, "a": 1}', (1.0, 1.0, 3.0)),
    ],
)
def test_weights_of_classes(text: str, expected: tuple[float, ...]) -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    if text.startswith(" a"):
        with pytest.raises(PellucidError, match="NAME=NUMBER with commas between, got 'c'"):
            class_weights(text, ("a", "b", "c,x"), labels)
    else:
        assert class_weights(text, ("a", "b", "c,x"), labels) == pytest.approx(expected)


@pytest.mark.parametrize("weights", [{"a": 1.0}, {"a=b": 2.0, "c, d": 3.5}, {" x": 1.0}, {}])
def test_weights_are_read_back(weights: dict) -> None:
    assert parsed_weights(weights_text(weights)) == weights


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_weighted_loss_is_torchs(smoothing: float) -> None:
    torch = pytest.importorskip("torch")
    weights = (0.5, 2.0, 1.5)
    task = Classification(("a", "b", "c"), smoothing, class_weights=weights)
    scores, labels = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32), np.array([0, 1, 2, 2, 1, 0, 0])
    output, target = pl.input((7, 3), name="scores"), task.target_input(7)
    (found,) = pl.compile([task.loss(output, target)])({"scores": scores, "labels": labels})
    loss = torch.nn.CrossEntropyLoss(torch.tensor(weights), label_smoothing=smoothing)
    assert float(found) == pytest.approx(float(loss(torch.tensor(scores), torch.tensor(labels))), rel=1e-6)


def test_balanced_sampling_shows_every_class_equally_often() -> None:
    labels = [0] * 50 + [1] * 7 + [2] * 3
    data = ArrayDataset(np.zeros((60, 1, 2, 2), np.uint8), labels, ("a", "b", "c"))
    loader = Loader(data, 8, None, True, 5, sampling="balanced")
    first, second = loader.order(0), loader.order(1)
    assert len(first) == 60
    assert np.bincount(data.labels[first]).tolist() == [20, 20, 20]
    assert set(first[data.labels[first] == 2]) == {57, 58, 59}
    assert set(first[data.labels[first] == 0]) != set(second[data.labels[second] == 0])
    np.testing.assert_array_equal(first, Loader(data, 8, None, True, 5, sampling="balanced").order(0))


def test_the_loss_that_is_shown_is_the_plain_one(digits: Splits, tmp_path: Path) -> None:
    """With a learning rate of next to nothing training shows what validation would on the same pictures."""
    same_parts = Splits(digits.train, digits.train, digits.train, "digits")
    settings = {"epochs": 1, "learning_rate": 1e-12, "optimizer": "sgd", "class_weights": "3=5", "label_smoothing": 0.3}
    run = fit(small(), same_parts, out=tmp_path / "run", **SETTINGS | settings)
    assert run.metrics[0]["loss"] == pytest.approx(run.metrics[0]["validation_loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"warmup": 2}, r"warmup must lie in \[0, 2\)"),
        ({"warmup": -1}, r"warmup must lie in \[0, 2\)"),
        ({"warmup": 1, "warmup_steps": 5}, "give one of them"),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0"),
        ({"plateau_patience": 0}, "plateau_patience must be at least 1"),
        ({"plateau_factor": 1.0}, r"plateau_factor must lie in \[0, 1\)"),
        ({"ema": 1.0}, r"ema must lie in \[0, 1\)"),
        ({"ema": float("nan")}, r"ema must lie in \[0, 1\)"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"clip_norm": -1.0}, "clip_norm must be a positive number"),
        ({"clip_value": float("inf")}, "clip_value must be a positive number"),
        ({"clip_norm": 1.0, "clip_value": 1.0}, "give one of them"),
        ({"sampling": "balancd"}, "did you mean 'balanced'"),
        ({"class_weights": "3"}, "expected balanced, or NAME=NUMBER"),
        ({"class_weights": "3=0"}, "must be a positive number"),
        ({"class_weights": {"3": -2.0}}, "must be a positive number"),
        ({"class_weights": "thre=2"}, "class of class_weights"),
        ({"class_weights": "3=1e300"}, "must be a positive number that float32 holds, got 1e\\+300"),
        ({"class_weights": {3: 1e-60}}, "must be a positive number that float32 holds, got 1e-60"),
        (
            {"warmup_steps": 999_999},
            r"warmup_steps must be fewer than the \d+ steps of the run \(\d+ epochs? of \d+\), got 999999",
        ),
    ],
)
def test_bad_values_are_named_and_leave_no_folder(digits: Splits, tmp_path: Path, settings: dict, words: str) -> None:
    with pytest.raises(PellucidError, match=words):
        fit(small(), digits, out=tmp_path / "run", **SETTINGS | settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("settings", [{"class_weights": "balanced"}, {"sampling": "balanced"}])
def test_numbers_have_no_classes(tmp_path: Path, settings: dict) -> None:
    inputs = np.random.default_rng(0).normal(size=(40, 3))
    net = nn.Sequential(fc=nn.Linear(3, 1))
    with pytest.raises(PellucidError, match="is a setting of classification"):
        fit(net, (inputs, inputs.sum(1)), out=tmp_path / "run", **SETTINGS | settings)
