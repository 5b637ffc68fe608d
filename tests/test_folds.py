"""Cross-validation: every example is held out once, a stop costs no fold, and the spread is that of a sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import pellucid as pl
from pellucid import nn
from pellucid.cli import app
from pellucid.data import ArrayDataset, Splits
from pellucid.data.folds import folds_of
from pellucid.errors import PellucidError

SETTINGS = {"epochs": 2, "batch_size": 8}


def part(count: int, seed: int) -> ArrayDataset:
    images = np.random.default_rng(seed).integers(0, 256, (count, 1, 4, 4), np.uint8)
    return ArrayDataset(images, np.arange(count) % 3 % 2, ("a", "b"), f"part{seed}")


DATA = Splits(part(30, 0), part(12, 1), part(9, 2))


def network(outputs: int = 2) -> nn.Module:
    return nn.Sequential(flat=nn.Flatten(), fc=nn.Linear(16, outputs))


@pytest.mark.parametrize("folds", [2, 3, 5, 17])
def test_every_example_is_held_out_once(folds: int) -> None:
    cut = folds_of(DATA, folds, 4)
    held = np.concatenate([each.test.indices for each in cut])
    assert sorted(held) == list(range(51))
    for each in cut:
        parts = each.train.indices, each.validation.indices, each.test.indices
        assert sorted(np.concatenate(parts)) == list(range(51))
        counts = np.bincount(each.test.labels, minlength=2)
        assert abs(counts[0] - 34 / folds) < 1 and abs(counts[1] - 17 / folds) < 1
    whole = cut[0].test.parent
    everything = np.concatenate([p.images(np.arange(len(p))) for p in (DATA.train, DATA.validation, DATA.test)])
    places = np.array([50, 0, 35, 29, 30])
    np.testing.assert_array_equal(whole.images(places), everything[places])
    np.testing.assert_array_equal(whole.image(41), everything[41])
    assert [whole[k].label for k in places] == whole.labels[places].tolist()


@pytest.mark.parametrize("folds", [0, 1, 18])
def test_too_many_or_few_folds(folds: int) -> None:
    with pytest.raises(PellucidError, match=rf"folds must lie in \[2, 17\], .*got {folds}"):
        folds_of(DATA, folds)


def test_folds_are_a_whole_number(tmp_path: Path) -> None:
    with pytest.raises(PellucidError, match=r"folds: must be a whole number, got 2\.5"):
        pl.cross_validate(network(), DATA, folds=2.5, out=tmp_path / "cv", **SETTINGS)  # type: ignore[arg-type]
    found = pl.cross_validate(network(), DATA, folds=2.0, out=tmp_path / "cv", **SETTINGS)  # type: ignore[arg-type]
    assert found.num_folds == len(found.folds) == 2


def test_mean_and_deviation_and_what_is_kept(tmp_path: Path) -> None:
    found = pl.cross_validate(network(), DATA, folds=3, out=tmp_path / "cv", **SETTINGS)
    values = [pl.load_run(tmp_path / "cv" / fold.run, net=network()) for fold in found.folds]
    assert len(values) == 3
    accuracies = [fold.measures["accuracy"] for fold in found.folds]
    assert found.mean("accuracy") == pytest.approx(np.mean(accuracies))
    assert found.std("accuracy") == pytest.approx(np.std(accuracies, ddof=1))
    noted = json.loads((tmp_path / "cv" / "folds.json").read_text())
    assert noted["summary"] == found.to_dict()["summary"]
    again = pl.cross_validate(network(), DATA, folds=3, out=tmp_path / "cv", resume=True, **SETTINGS)
    assert again == found
    for settings, words in (({"folds": 4}, "begun with 3 folds"), ({"weight_decay": 0.1}, "weight_decay was 0.0")):
        with pytest.raises(PellucidError, match=words):
            pl.cross_validate(network(), DATA, out=tmp_path / "cv", resume=True, **{"folds": 3} | SETTINGS | settings)
    with pytest.raises(PellucidError, match="not empty"):
        pl.cross_validate(network(), DATA, folds=3, out=tmp_path / "cv", **SETTINGS)


def test_a_stop_costs_no_fold(tmp_path: Path) -> None:
    whole = pl.cross_validate(network(), DATA, folds=3, out=tmp_path / "whole", **SETTINGS)
    seen: list[int] = []
    with pl.followed(lambda title, *_: seen.append(title == "training"), cancelled=lambda: sum(seen) >= 14):
        cut = pl.cross_validate(network(), DATA, folds=3, out=tmp_path / "cut", **SETTINGS)
    assert 0 < len(cut.folds) < 3
    resumed = pl.cross_validate(network(), DATA, folds=3, out=tmp_path / "cut", resume=True, **SETTINGS)
    assert resumed.folds == whole.folds


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"epochs": 3}, "2 folds of 2 are done.*epochs was 2, is 3"),
        ({"patience": 2}, "patience was 0, is 2"),
        ({"network": nn.Sequential(flat=nn.Flatten(), fc=nn.Linear(16, 8), out=nn.Linear(8, 2))}, "the network is another"),
        ({"network": pl.models.build("mlp", num_classes=2, in_channels=1, image_size=4)}, "the network is another one"),
        ({"data": Splits(part(30, 3), DATA.validation, DATA.test)}, "the data is another one"),
    ],
)  # fmt: skip
def test_folds_that_are_done_are_of_one_kind(tmp_path: Path, other: dict[str, Any], words: str) -> None:
    asked = {"net": network(), "data": DATA, "folds": 2, "out": tmp_path / "cv", **SETTINGS}
    pl.cross_validate(**asked)
    noted = (tmp_path / "cv" / "folds.json").read_bytes()
    net = {"net": other["network"]} if "network" in other else other
    with pytest.raises(PellucidError, match=words):
        pl.cross_validate(**{**asked, **net}, resume=True)
    assert (tmp_path / "cv" / "folds.json").read_bytes() == noted


def test_folds_of_an_earlier_version_are_kept(tmp_path: Path) -> None:
    found = pl.cross_validate(network(), DATA, folds=2, out=tmp_path / "cv", **SETTINGS)
    file = tmp_path / "cv" / "folds.json"
    noted = json.loads(file.read_text())
    file.write_text(json.dumps({name: noted[name] for name in ("config", "num_folds", "folds", "summary")}))
    assert pl.cross_validate(network(), DATA, folds=2, out=tmp_path / "cv", resume=True, **SETTINGS) == found


def test_numbers_are_cross_validated_too(tmp_path: Path) -> None:
    inputs = np.random.default_rng(0).normal(size=(40, 16))
    found = pl.cross_validate(
        nn.Sequential(fc=nn.Linear(16, 1)), (inputs, inputs.sum(1)), folds=4, out=tmp_path / "cv", **SETTINGS
    )
    assert sum(fold.count for fold in found.folds) == 40
    assert found.measures == ("loss", "r2", "mean_absolute_error")


def test_on_the_command_line(tmp_path: Path) -> None:
    options = ["--folds", "2", "--epochs", "1", "--model", "mlp", "--out", str(tmp_path / "cv"), "--json"]
    result = CliRunner().invoke(app, ["train", *options])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert [fold["count"] for fold in answer["folds"]] == [899, 898]
    assert 0 < answer["summary"]["accuracy"]["mean"] <= 1
