"""A loss and metrics of one's own in training: what is learned, what is shown, and what a run needs to go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import pellucid as pl
from pellucid import nn, ops
from pellucid.cli import app
from pellucid.data import ArrayDataset, Splits
from pellucid.errors import PellucidError
from pellucid.graph import Tensor
from pellucid.inference.losses import LOSSES
from pellucid.train.aim import Functions
from pellucid.train.classification import Classification
from pellucid.train.known_metrics import find_metric

DRAWN = np.random.default_rng(0)
SETTINGS: dict[str, Any] = {"epochs": 2, "batch_size": 8, "report": False}
ROWS = DRAWN.normal(size=(60, 4)).astype(np.float32)
NUMBERS = ROWS @ np.array([1.0, -2.0, 0.5, 3.0])


def part(count: int, seed: int) -> ArrayDataset:
    images = np.random.default_rng(seed).integers(0, 256, (count, 1, 4, 4), np.uint8)
    return ArrayDataset(images, np.arange(count) % 3, ("a", "b", "c"), f"part{seed}")


DATA = Splits(part(30, 0), part(13, 1), part(9, 2))


def classifier(outputs: int = 3) -> nn.Module:
    return nn.Sequential(flat=nn.Flatten(), fc=nn.Linear(16, outputs))


def predictor() -> nn.Module:
    return nn.Sequential(fc=nn.Linear(4, 1))


def twice(output: Tensor, labels: Tensor) -> Tensor:
    return ops.cross_entropy(output, labels) * 2.0


def each(output: Tensor, labels: Tensor) -> Tensor:
    return ops.cross_entropy(output, labels, reduction="none") * 2.0


def sureness(probabilities: np.ndarray, labels: np.ndarray) -> float:
    assert probabilities.shape == (len(labels), 3)
    return float(probabilities.max(1).mean())


@pytest.mark.parametrize("executor", ["native", "reference"])
@pytest.mark.parametrize("loss", [twice, each])
def test_both_curves_are_the_own_loss(tmp_path: Path, loss: Callable[..., Tensor], executor: str) -> None:
    """At a rate that changes nothing both are twice the plain loss, over batches of unequal size too."""
    still = {**SETTINGS, "epochs": 1, "learning_rate": 1e-30, "optimizer": "sgd", "executor": executor}
    plain = pl.fit(classifier(), DATA, out=tmp_path / "plain", **still)
    own = pl.fit(classifier(), DATA, out=tmp_path / "own", loss=loss, **still)
    for name in ("loss", "validation_loss"):
        assert own.metrics[0][name] == pytest.approx(2 * plain.metrics[0][name], rel=1e-5)
    assert own.metrics[0]["accuracy"] == plain.metrics[0]["accuracy"]
    assert own.test.loss == pytest.approx(plain.test.loss, rel=1e-6)  # of classes still the cross-entropy
    assert own.test.to_dict()["trained_loss"] == pytest.approx(2 * plain.test.loss, rel=1e-5)
    assert 'loss = "own"' in (tmp_path / "own/config.toml").read_text()


def test_it_is_what_is_learned(tmp_path: Path) -> None:
    """The same function as the one that has a name changes the weights to the same bytes; twice the rate is twice the loss."""
    runs = [
        pl.fit(
            predictor(), (ROWS, NUMBERS), out=tmp_path / str(n), loss=loss, optimizer="sgd", learning_rate=r, **SETTINGS
        )
        for n, (loss, r) in enumerate(
            [
                ("absolute", 0.02),
                (ops.absolute_error, 0.02),
                (lambda o, t: ops.absolute_error(o, t) * 2.0, 0.01),
                ("squared", 0.02),
            ]
        )
    ]
    first, same, double, other = (run.predict(ROWS) for run in runs)
    assert first.tobytes() == same.tobytes()
    np.testing.assert_allclose(double, first, rtol=1e-5, atol=1e-5)
    assert np.abs(other - first).max() > 1e-3
    for key in ("loss", "validation_loss"):
        assert runs[1].metrics[-1][key] == pytest.approx(runs[0].metrics[-1][key], rel=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses_of_classes_by_name(tmp_path: Path, name: str) -> None:
    run = pl.fit(classifier(), DATA, out=tmp_path / "run", loss=name, **SETTINGS)
    assert run.config.loss == name
    again = pl.load_run(run.folder, net=classifier()).evaluate(DATA.validation)
    best = max(run.metrics, key=lambda row: row["best"] * row["epoch"])
    lost = again.loss if name == "cross_entropy" else again.added.loss
    assert lost == pytest.approx(best["validation_loss"], rel=1e-5)


CLASSES: list[tuple[dict[str, Any], str]] = [
    ({"loss": "hinje"}, "unknown loss 'hinje'.*hinge"),
    ({"loss": "absolute"}, "unknown loss 'absolute'.*absolute_error"),
    ({"loss": 3}, "loss must be a name or a function.*got int"),
    ({"loss": "own"}, "function of the run's own.*give it"),
    ({"loss": lambda o, t: 1.0}, "must give a tensor of the graph.*got float"),
    ({"loss": lambda o, t: o}, r"must give a scalar.*got float32 \(8, 3\)"),
    ({"loss": lambda o, t: ops.argmax(o, 1)}, "must give a scalar.*got int64"),
    ({"loss": lambda o, t: ops.mean(ops.cast(ops.argmax(o, 1), "float32"))}, "no gradient"),
    ({"loss": lambda o, t: ops.mean(ops.cast(t, "float32"))}, "no gradient"),
    ({"loss": "hinge", "label_smoothing": 0.1}, "label_smoothing and class_weights are for cross-entropy"),
    ({"loss": twice, "class_weights": "balanced"}, "label_smoothing and class_weights are for cross-entropy"),
    ({"metrics": "top5,f2"}, "unknown metric 'f2'.*f1"),
    ({"metrics": ["rmse"]}, "unknown metric 'rmse'"),
    ({"metrics": {"f1": sureness}}, "'f1' is measured by Pellucid"),
    ({"metrics": {"accuracy": sureness}}, "'accuracy' is measured by Pellucid"),
    ({"metrics": {"step": sureness}}, "'step' is measured by Pellucid"),
    ({"metrics": "f1,top5,f1"}, "'f1' is named twice"),
    ({"metrics": {"a,b": sureness}}, "no name of a column"),
    ({"metrics": {"validation_loss": sureness}}, "'validation_loss' begins with validation_, .*another name"),
    ({"metrics": {"validation_mine": sureness}}, "'validation_mine' begins with validation_"),
    ({"metrics": {"a": 3}}, "must be a function.*got int"),
    ({"metrics": 3}, "metrics must be names.*got int"),
    ({"metrics": {"vector": lambda o, t: o[0]}}, r"'vector' must give one number, got float64 \(3,\)"),
]


@pytest.mark.parametrize(("settings", "message"), CLASSES)
def test_what_is_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(PellucidError, match=message):
        pl.fit(classifier(), DATA, out=tmp_path / "run", **{**SETTINGS, **settings})


@pytest.mark.parametrize(
    ("given", "names"), [([], ""), ({}, ""), (None, None), (["f1", "top5"], "f1,top5"), ("f1", "f1")]
)
def test_names_of_metrics(given: Any, names: str | None) -> None:
    assert Functions.taken_from({"metrics": given}, None)[0] == {"metrics": names}


@pytest.mark.parametrize("settings", [{"loss": "hinge"}, {"loss": "focal"}, {"metrics": "top5"}])
def test_what_is_refused_for_numbers(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(PellucidError, match=r"unknown (loss|metric)"):
        pl.fit(predictor(), (ROWS, NUMBERS), out=tmp_path / "run", **{**SETTINGS, **settings})


def test_metrics_stand_wherever_numbers_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics: list[Any] = ["top2", "f1", "balanced-accuracy", sureness]
    run = pl.fit(classifier(), DATA, out=tmp_path / "run", metrics=metrics, **{**SETTINGS, "report": True})
    names = ["top2", "f1", "balanced-accuracy", "sureness"]
    columns = (run.folder / "metrics.csv").read_text().splitlines()[0].split(",")
    assert columns[-5:] == ["step", *(f"validation_{name}" for name in names)]
    assert list(run.metrics[0])[-4:] == columns[-4:]
    assert list(json.loads((run.folder / "test.json").read_text())["metrics"]) == names
    assert run.test.metrics["sureness"] == pytest.approx(
        sureness(run.predict(DATA.test.images(np.arange(9))), np.zeros(9))
    )
    assert {chart.title for chart in run.history.charts()} >= {*names}
    assert "sureness" in str(run.history) and "balanced-accuracy" in (run.folder / "report.html").read_text()
    assert "sureness 0." in "".join(capsys.readouterr())
    loaded = pl.load_run(run.folder, net=classifier())  # knows those that have names
    assert loaded.metrics == run.metrics
    assert loaded.evaluate(DATA.test).metrics == {name: run.test.metrics[name] for name in names[:3]}


def test_metrics_of_numbers(tmp_path: Path) -> None:
    spread = {"widest": lambda outputs, targets: np.abs(outputs - targets).max()}
    for number, metrics in enumerate(("mae,rmse", spread)):
        run = pl.fit(predictor(), (ROWS, NUMBERS), out=tmp_path / str(number), metrics=metrics, **SETTINGS)
        errors = run.test.predicted - run.test.truth
        wanted = {"mae": np.abs(errors).mean(), "rmse": np.sqrt((errors**2).mean()), "widest": np.abs(errors).max()}
        assert run.test.metrics == pytest.approx({name: wanted[name] for name in run.test.metrics})
        assert len(run.test.metrics) == 2 - number


NAN = np.nan
KNOWN = [
    ("top1", 2 / 4),
    ("top2", 3 / 4),
    ("top3", 1.0),
    ("top99", 1.0),
    ("f1", (2 * 1 / 2 + 2 * 1 / 4 + 0) / 3),
    ("balanced-accuracy", (1 / 1 + 1 / 2 + 0) / 3),
]


@pytest.mark.parametrize(("name", "value"), KNOWN)
def test_known_metrics(name: str, value: float) -> None:
    """Of four pictures a, b, b, c taken for a, b, c, b; sklearn gives the same."""
    given = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5], [0.4, 0.5, 0.1]])
    metric = find_metric(Classification(("a", "b", "c")), name)
    assert metric is not None
    assert metric(given, np.array([0, 1, 1, 2])) == pytest.approx(value)
    assert metric(np.full((2, 3), NAN), np.array([0, 1])) == 0  # what is no answer is not right


@pytest.mark.parametrize("frozen", [{}, {"accumulate": 2}, {"mixup": 0.4}])
def test_a_run_goes_on_with_its_functions_alone(tmp_path: Path, frozen: dict[str, Any]) -> None:
    given: dict[str, Any] = {"loss": each, "metrics": {"sureness": sureness}}
    whole = pl.fit(classifier(), DATA, out=tmp_path / "whole", **SETTINGS, **given, **frozen)
    start: dict[str, Any] = {**SETTINGS, "epochs": 2, "schedule": "cosine", "checkpoint_every": 1, **frozen}

    class Stop(pl.train.Callback):
        def on_epoch(self, report: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pl.fit(classifier(), DATA, out=tmp_path / "run", callbacks=[Stop()], **start, **given)
    for part, message in (
        ({"metrics": given["metrics"]}, "function of the run's own.*give it"),
        ({"loss": each}, "unknown metric 'sureness'.*given anew"),
        ({"loss": "hinge", "metrics": given["metrics"]}, "loss was 'own', is 'hinge'"),
        ({"loss": each, "metrics": ["f1"]}, "metrics was 'sureness', is 'f1'"),
    ):
        with pytest.raises(PellucidError, match=message):
            pl.fit(classifier(), DATA, out=tmp_path / "run", resume=True, **part)
    run = pl.fit(classifier(), DATA, out=tmp_path / "run", resume=True, report=False, **given)
    timeless = [[{k: v for k, v in row.items() if k != "seconds"} for row in each.metrics] for each in (run, whole)]
    assert timeless[0] == timeless[1]
    weights = (each.net.state_dict() for each in (run, whole))
    assert len({tuple(value.tobytes() for value in each.values()) for each in weights}) == 1


def test_folds_have_them_too(tmp_path: Path) -> None:
    found = pl.cross_validate(
        classifier(), DATA, folds=2, out=tmp_path / "cv", epochs=1, loss=twice, metrics=["f1", sureness]
    )
    assert found.measures == ("loss", "accuracy", "f1", "sureness")
    assert found.mean("loss") > np.log(3)  # twice a cross-entropy


def test_a_config_with_a_function(tmp_path: Path) -> None:
    config = pl.train.TrainConfig(epochs=1, batch_size=8)
    run = pl.fit(classifier(), DATA, config=config, out=tmp_path / "run", loss=twice, report=False)
    assert run.config.loss == "own"


def test_on_the_command_line(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    done = CliRunner().invoke(
        app, ["train", "--epochs", "1", "--loss", "hinge", "--metrics", "top5,f1", "--out", out, "--json"]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert list(found["test"]["metrics"]) == ["top5", "f1"]
    assert 0.5 < found["test"]["metrics"]["f1"] <= found["test"]["metrics"]["top5"] <= 1


def test_without_them_nothing_is_noted(tmp_path: Path) -> None:
    run = pl.fit(classifier(), DATA, out=tmp_path / "run", **SETTINGS)
    noted = (run.folder / "config.toml").read_text()
    assert "loss =" not in noted and "metrics" not in noted
    assert not {"metrics", "trained_loss"} & {*json.loads((run.folder / "test.json").read_text())}
    numbers = pl.fit(predictor(), (ROWS, NUMBERS), out=tmp_path / "numbers", **SETTINGS)
    assert 'loss = "squared"' in (numbers.folder / "config.toml").read_text()
