"""What training shows of itself: norms of layers, calibration, classes; and that looking changes nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import pellucid as pl
from pellucid import nn
from pellucid.data import Splits, Subset
from pellucid.executors import available_executors
from pellucid.train import Calibration, Callback, Evaluation, StepReport, TrainError, fit, load_history, load_run
from pellucid.train import layers as layers_file

EXECUTORS = [name for name, reason in available_executors().items() if not reason]
SETTINGS = {"epochs": 2, "batch_size": 32, "seed": 7, "report": False}


@pytest.fixture(scope="module")
def digits() -> Splits:
    whole = pl.load("digits")
    parts = [Subset(p, range(n), p.name) for p, n in ((whole.train, 200), (whole.validation, 60), (whole.test, 60))]
    return Splits(*parts, "digits")


def small() -> nn.Module:
    return nn.models.build("lenet", num_classes=10, in_channels=1, image_size=8, width=4)


class _Weights(Callback):
    """Keeps the weights after each step, and what its report says of the layers."""

    def __init__(self, net: nn.Module) -> None:
        self.net, self.weights, self.layers, self.rates = net, [net.state_dict()], [], []

    def on_step(self, report: StepReport) -> None:
        self.weights.append(self.net.state_dict())
        self.layers.append(report.layers)
        self.rates.append(report.learning_rate)


def _by_hand(optimizer: str, gradient: np.ndarray, rate: float) -> np.ndarray:
    """The first step's update in NumPy: SGD's -a g, Adam's -a g / (|g| + e) as its means are corrected."""
    return -rate * gradient if optimizer == "sgd" else -rate * gradient / (np.abs(gradient) + 1e-8)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_norms_are_those_computed_by_hand(digits: Splits, tmp_path: Path, optimizer: str, executor: str) -> None:
    net = small()
    net.initialize(7)
    names, start = list(net.named_parameters()), net.state_dict()
    seen = _Weights(net)
    run = fit(
        net, digits, out=tmp_path / "run", optimizer=optimizer, executor=executor, watch_every=1, callbacks=[seen],
        **{**SETTINGS, "epochs": 1},
    )  # fmt: skip
    loader = pl.data.Loader(digits.train, 32, run.preprocessing, True, 7)
    batch = next(iter(loader.epoch(0)))
    twin = small()
    twin.load_state_dict(start)
    loss = pl.cross_entropy(twin(pl.input(batch.images.shape, name="images")), pl.input((32,), "int64", "labels"))
    slopes = pl.run(
        pl.gradients(loss, twin.parameters()), {"images": batch.images, "labels": batch.labels}, "reference"
    )
    for name, slope in zip(names, slopes, strict=True):
        found = seen.layers[0][name]
        update = _by_hand(optimizer, slope.astype(np.float64), seen.rates[0])
        expected = {"gradient": slope, "update": update, "weight": start[name]}
        for what, value in expected.items():
            assert found[what] == pytest.approx(np.linalg.norm(value), rel=2e-4), (name, what)
        assert found["ratio"] == pytest.approx(np.linalg.norm(update) / np.linalg.norm(start[name]), rel=2e-4)


def test_ratios_of_every_step_are_of_the_weights_that_there_were(digits: Splits, tmp_path: Path) -> None:
    net = small()
    seen = _Weights(net)
    run = fit(net, digits, out=tmp_path / "run", watch_every=3, callbacks=[seen], **SETTINGS)
    history = run.history.layers
    assert history is not None
    assert history.steps.tolist() == [0, 3, 6, 9, 12]
    seen.weights[0] = None  # drawn from the seed when training started
    for row, step in enumerate(history.steps[1:].tolist(), 1):
        for k, name in enumerate(history.parameters):
            before, after = (seen.weights[s][name].astype(np.float64) for s in (step, step + 1))
            expected = np.linalg.norm(after - before) / np.linalg.norm(before)
            assert history.ratio[row, k] == pytest.approx(expected, rel=1e-4)
    assert [bool(norms) for norms in seen.layers] == [step % 3 == 0 for step in range(len(seen.layers))]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_watching_changes_no_bit(digits: Splits, tmp_path: Path, executor: str) -> None:
    for every in (0, 1):
        fit(small(), digits, out=tmp_path / str(every), watch_every=every, executor=executor, **SETTINGS)
    one, other = (load_file(tmp_path / str(every) / "last.safetensors") for every in (0, 1))
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)
    assert not (tmp_path / "0" / "layers.csv").exists()
    assert load_history(tmp_path / "0").layers is None


class _Stop(Callback):
    def on_step(self, report: StepReport) -> None:
        if report.step == 9:
            raise KeyboardInterrupt


def test_a_killed_run_has_the_history_of_an_uninterrupted_one(digits: Splits, tmp_path: Path) -> None:
    """Killed after a checkpoint in the middle of an epoch; later rows than the checkpoint's are measured again."""
    settings = {**SETTINGS, "watch_every": 2, "checkpoint_every": 4}
    fit(small(), digits, out=tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        fit(small(), digits, out=tmp_path / "cut", callbacks=[_Stop()], **settings)
    with (tmp_path / "cut" / "layers.csv").open("a") as file:
        file.write(
            "100,conv1.weight,1,1,1\n" + "".join(f"100,{n},1,1,1\n" for n in list(small().named_parameters())[1:])
        )
    fit(small(), digits, out=tmp_path / "cut", resume=True, **settings)
    whole, cut = ((tmp_path / name / "layers.csv").read_bytes() for name in ("whole", "cut"))
    assert whole == cut
    (tmp_path / "cut" / "layers.csv").write_text("step,parameter\n0,conv1.weight\n")
    with pytest.raises(TrainError, match=r"layers\.csv: not the norms that a run writes"):
        load_history(tmp_path / "cut")


def test_long_runs_are_sampled_at_fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = small().parameters()
    assert layers_file.LayerWatch(parameters, 20, 1_000).every == 20
    assert layers_file.LayerWatch(parameters, 0, 10**9).every == 0
    watch = layers_file.LayerWatch(parameters, 1, 10**6)
    assert 10**6 / watch.every * len(parameters) <= layers_file.MOST_ROWS


def test_history_is_drawn_and_told(digits: Splits, tmp_path: Path) -> None:
    run = fit(small(), digits, out=tmp_path / "run", watch_every=1, **{**SETTINGS, "report": True})
    history = load_history(tmp_path / "run")
    assert history.to_dict() == run.history.to_dict() == load_run(tmp_path / "run").history.to_dict()
    json.dumps(history.to_dict(), allow_nan=False)
    titles = [chart.title for chart in history.charts()]
    assert titles == ["Loss", "Accuracy", "Gradient norms", "Updates relative to weights"]
    assert [s.name for s in history.charts()[2].series] == [
        f"{n}.weight" for n in ("conv1", "conv2", "fc1", "fc2", "fc3")
    ]
    assert all(chart.y_log for chart in history.charts()[2:])
    assert max(map(len, str(history).splitlines())) <= 80
    page = (tmp_path / "run" / "report.html").read_text()
    for title in (*titles, "Calibration", "Why the surest mistakes"):
        assert title in page
    opened = re.sub(r"<details>.*?</details>", "", page)
    layers = opened.partition("What the layers make of one picture</h2>")[2].partition("</section>")[0]
    assert 0 < layers.count("<image") <= 1 + 8 * len({(8, 8), (4, 4), (2, 2)})
    assert page.count("<image") > opened.count("<image")


@pytest.mark.parametrize(("classes", "seed"), [(2, 0), (3, 1), (10, 2)])
def test_calibration_is_scikit_learns(classes: int, seed: int) -> None:
    from sklearn.calibration import calibration_curve

    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(classes) * 0.5, 500)
    labels = random.integers(0, classes, 500)
    found = Calibration.of(probabilities, labels, 10)
    sure, right = probabilities.max(1), probabilities.argmax(1) == labels
    accuracy, confidence = calibration_curve(right, sure, n_bins=10)
    filled = found.count > 0
    np.testing.assert_allclose(found.accuracy[filled], accuracy, rtol=1e-12)
    np.testing.assert_allclose(found.confidence[filled], confidence, rtol=1e-12)
    assert found.count.sum() == 500
    gaps = found.count[filled] / 500 * np.abs(accuracy - confidence)
    assert found.error == pytest.approx(gaps.sum())
    assert found.brier == pytest.approx(((probabilities - np.eye(classes)[labels]) ** 2).sum() / 500)


@pytest.mark.parametrize(
    ("probabilities", "labels", "counts", "error", "largest", "brier"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], [0, 1], [0, 0, 0, 0, 2], 0.0, 0.0, 0.0),
        ([[1.0, 0.0], [1.0, 0.0]], [0, 1], [0, 0, 0, 0, 2], 0.5, 0.5, 1.0),
        ([[0.0, 1.0]], [0], [0, 0, 0, 0, 1], 1.0, 1.0, 2.0),
        ([[0.6, 0.4], [0.7, 0.3]], [0, 1], [0, 0, 1, 1, 0], 0.55, 0.7, 0.65),  # 0.6 ends the third bin
        ([[0.5, 0.5], [0.5, 0.5]], [0, 1], [0, 0, 2, 0, 0], 0.0, 0.0, 0.5),
    ],
)
def test_calibration_by_hand(
    probabilities: list, labels: list, counts: list, error: float, largest: float, brier: float
) -> None:
    found = Calibration.of(np.array(probabilities), np.array(labels), 5)
    assert found.count.tolist() == counts
    assert (found.error, found.largest_error, found.brier) == pytest.approx((error, largest, brier), abs=1e-12)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["bins"][0]["accuracy"] is None
    assert found.picture().series[0].y == tuple(a for a in found.accuracy if not np.isnan(a))


def test_a_predictor_that_is_as_often_right_as_it_is_sure_is_calibrated() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(4) * 0.7, 40_000)
    labels = (random.random(len(probabilities))[:, None] > probabilities.cumsum(1)).sum(1)
    assert Calibration.of(probabilities, labels).error < 0.01
    sharper = probabilities**3 / (probabilities**3).sum(1, keepdims=True)
    assert Calibration.of(sharper, labels).error > 0.15


def test_classes_are_scikit_learns() -> None:
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    random = np.random.default_rng(0)
    truth, taken = random.integers(0, 4, 200), random.integers(0, 5, 200)  # class 4 never occurs
    taken[taken == 3] = 2  # class 3 is never predicted
    confusion = confusion_matrix(truth, taken, labels=range(5))
    nothing = Calibration.of(np.full((1, 5), 0.2), np.array([0]))
    evaluation = Evaluation(0.0, 0.0, confusion, tuple("abcde"), (), nothing)
    expected = precision_recall_fscore_support(truth, taken, labels=range(5), zero_division=np.nan)
    for row, precision, recall, f1, count in zip(evaluation.per_class(), *expected, strict=True):
        for got, want in ((row["precision"], precision), (row["recall"], recall), (row["f1"], f1)):
            assert got == pytest.approx(want) if got is not None else np.isnan(want)
        assert row["count"] == count
    assert "—" in str(evaluation)


def test_the_page_of_an_evaluation(digits: Splits, tmp_path: Path) -> None:
    from pellucid.train.report import evaluation_page

    run = fit(small(), digits, out=tmp_path / "run", **{**SETTINGS, "epochs": 1})
    assert run.test is not None
    made = evaluation_page(run.test, digits.test, run.net, run.preprocessing)
    page = made.to_dict()
    parts = {part["title"]: part["parts"][0] for part in page["parts"] if part["kind"] == "page"}
    assert parts["Which class is taken for which"]["rows"][0][0] == digits.classes[0]
    worst = run.test.most_wrong[0]
    assert parts["Most wrong pictures"]["tiles"][0]["caption"].startswith(
        f"{worst['probability']:.0%} {worst['prediction']}"
    )
    assert len(parts["Most wrong pictures"]["tiles"]) == len(run.test.most_wrong)
    _, *why = next(part.parts for part in made.parts if getattr(part, "title", "") == "Why the surest mistakes")
    assert [w.title for w in why] == [
        f"{wrong['label']}, taken for {wrong['prediction']} ({wrong['probability']:.0%})"
        for wrong in run.test.most_wrong[: len(why)]
    ]
    image = digits.test.image(worst["index"])
    for tile, name in zip(why[0].tiles[1:], (worst["prediction"], worst["label"]), strict=True):
        assert tile.caption == f"for {name}"
        found = pl.attribute(run.net, run.preprocessing.normalize(image[None])[0], name)
        assert np.array_equal(tile.image, replace(found, pixels=image).overlay().pixels().transpose(2, 0, 1))
    assert max(map(len, str(run.test).splitlines())) <= 80
