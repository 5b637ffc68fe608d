"""segDPM: what segments say of windows, what they count, detectors with them, and training on own models and on given ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from cut_off import cut_off, same_detector
from drawn_boxes import drawn, pictures_with_boxes
from dropped_boxes import explained_dropped
from part_models import part_model, told
from pellucid.detect.dpm.mixture import MirroredPair, described, model_of
from pellucid.detect.dpm.opening import load_dpm
from pellucid.detect.dpm.pyramid import pyramid
from pellucid.detect.dpm.scanning import Scanner
from pellucid.detect.segdpm.detector import SegDPMDetector
from pellucid.detect.segdpm.seen import MOST, SCALE, SegmentWeights, of_class, seen
from pellucid.detect.segdpm.speaking import Speaking
from pellucid.detect.segdpm.training import SegDPMTraining
from pellucid.detect.segments.segment_set import SegmentSet

NETWORK: dict[str, Any] = {"backbone": "resnet18", "crop_size": 32, "context": 2, "segments": 12}
SMALL: dict[str, Any] = {
    **NETWORK, "parts": 2, "relabelings": 1, "minings": 1, "negatives": 4, "last_negatives": 4, "cost": 0.01,
}  # fmt: skip


@pytest.fixture(autouse=True)
def kept_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def segments(count: int = 9, seed: int = 0) -> SegmentSet:
    numbers = np.random.default_rng(seed)
    masks = np.zeros((count, 40, 60), bool)
    for mask in masks:
        y, x = numbers.integers(0, 25), numbers.integers(0, 40)
        mask[y : y + 14, x : x + 18] = numbers.random((14, 18))[: 40 - y, : 60 - x] < 0.8
    image = np.zeros((3, 40, 60), np.uint8)
    return SegmentSet(image, masks, "mini-cpmc", 20, 0, numbers.uniform(-1, 1, (count, 2)), ("a", "b"))


def windows(count: int = 50, seed: int = 1) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(-8, 68, (count, 2, 2)) * [1, 0.7]
    return np.sort(corners, 1).reshape(count, 4)


def test_a_class_has_the_segments_that_look_like_it_most() -> None:
    found = segments(30)
    for label in range(2):
        own = of_class(found, label)
        potentials = found.potentials
        assert len(own) == MOST and (potentials[own].argmax(1) == label).all()
        assert (np.diff(potentials[own, label]) <= 0).all()
        others = [k for k in range(30) if potentials[k].argmax() == label and k not in own]
        assert not others or potentials[others, label].max() <= potentials[own, label].min()
    assert of_class(found.chosen([]), 0).tolist() == []


@pytest.mark.parametrize("seed", range(5))
def test_the_best_segment_is_chosen_and_no_score_grows_by_more_than_is_said(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    found, boxes = segments(), windows()
    counts = SegmentWeights(numbers.normal(0, 0.5, (2, 6)), numbers.normal(0, 0.1, 2))
    for label in range(2):
        own = of_class(found, label)
        said = seen(found, own, boxes)
        assert said.shape == (50, len(own) + 1, 6)
        assert np.allclose(said[:, -1], SCALE * np.array([0, 0, 0, 0, 0, -0.7]))
        assert np.allclose(said[:, :-1, 0] + said[:, :-1, 1], SCALE) and not said[:, :-1, 5].any()
        value, which = counts.best(label, said)
        for k in range(50):
            each = [float(row @ counts.weights[label]) + 10 * counts.biases[label] for row in said[k]]
            assert np.isclose(value[k], max(each)) and np.isclose(each[which[k]], max(each))
        assert value.max() <= counts.most(label) + 1e-9
        alone = counts.best(label, seen(found, np.zeros(0, np.int64), boxes))
        assert np.allclose(alone[0], -0.7 * SCALE * counts.weights[label, 5] + 10 * counts.biases[label])
    assert SegmentWeights.none(2).most(0) == 0 and seen(found, own, boxes[:0]).shape[0] == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("segdpm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        return pl.detect.train(
            pictures_with_boxes(8), validation=pictures_with_boxes(5, 100), system="segdpm", out=folder / "run", **SMALL
        )


def test_segments_raise_what_filters_found(run: Any) -> None:
    detector = run.detector
    assert isinstance(detector, SegDPMDetector) and run.evaluation.mean > 0.5
    rows = {(row["class"], row["stage"]): row for row in run.metrics}
    for label in range(2):
        assert rows[label, 8.0]["objective"] < rows[label, 8.0]["objective_before"]
        assert rows[label, 8.0]["positives"] > 2
    assert np.abs(detector.counts.weights).max() > 0.001
    image = np.ascontiguousarray(drawn(100)[0].transpose(2, 0, 1))
    found, scored = detector.detect(image), detector.scored(image)
    assert len(found)
    for label, there in enumerate(detector.windows(image)):
        added = detector.added(image, label, there)
        scores = scored.scores[np.isfinite(scored.scores[:, label]), label]
        assert set(np.round(scores, 9)) <= set(np.round(there.scores + added, 9))


def test_terms_of_filters_and_of_the_segment_add_up(run: Any, tmp_path: Path) -> None:
    image = np.ascontiguousarray(drawn(101)[0].transpose(2, 0, 1))
    found = run.detect(image)
    for number in range(min(3, len(found))):
        why = pl.detect.explain(run.detector, image, number)
        assert isinstance(why, pl.detect.PartsExplanation) and why.segment is not None
        assert why.score == found.scores[number] and np.array_equal(why.box, found.boxes[number])
        assert np.isclose(why.of_filters + why.segment.total, why.score, rtol=0, atol=1e-4)
        assert np.isclose(sum(t.product for t in why.segment.terms) + why.segment.bias, why.segment.total)
        data = json.loads(why.to_json())["segment"]
        assert data["source"] == "mini-cpmc" and data["segments"] == len(run.detector.segments(image))
        assert "mini-cpmc" in str(why) and data["terms"][0]["unit"] == "seg-in"
        assert "each value is times 7" in str(why) and data["scale"] == SCALE
        if why.segment.mask is not None:
            assert why.segment.mask.shape == image.shape[1:] and why.segment.mask.any()
        page = why.picture().html()
        assert "What the segment adds" in page and "What the filters give the window" in page


@pytest.mark.parametrize("flipped", (False, True))
def test_what_is_learned_of_is_what_windows_score(flipped: bool) -> None:
    """A window's score with the best segment is its numbers, those of the segment behind them, times all weights; and no segment does better."""
    numbers, image = np.random.default_rng(5), blocks()
    found = SegmentSet(image, np.concatenate([segments(3).masks, segments(2, 7).masks]), "mini-cpmc", 20)
    pair = MirroredPair(
        numbers.normal(0, 0.1, (3, 4, 32)), numbers.normal(0, 0.1, (2, 2, 2, 32)), np.array([[0, 1], [5, 3]]),
        np.tile([0.1, 0.02, 0.1, -0.03], (2, 1)), numbers.normal(0, 0.1, 3), 0.03, numbers.normal(0, 0.3, 6),
    )  # fmt: skip
    assert np.array_equal(pair.with_vector(pair.vector).segment, pair.segment)
    assert len(pair.bounds) == len(pair.penalties) == len(pair.vector) and (pair.penalties[-6:] == 1).all()
    corner = np.array([10.0, 5.0])
    speaking = Speaking(found, SegmentWeights(pair.segment[None, None], np.zeros(1)), 0, corner)
    scanner, levels = Scanner(model_of("a", [pair], 3)), pyramid(image[:, 5:, 10:], 8, 3)
    looked = 0
    for number in levels:
        for placed, scores in scanner.scored(levels, number):
            if placed.number != int(flipped):
                continue
            windows = placed.windows(scores, np.isfinite(scores))
            added = speaking(placed, scores)[np.isfinite(scores)]
            said, which = speaking.of(windows)
            whole = described(pair, flipped, windows.places, levels[number], levels.get(number - 3), said)
            assert np.allclose(whole @ pair.vector, windows.scores + added, atol=1e-4)
            on_picture = windows.boxes[:, 0] + np.concatenate([corner, corner])
            each = seen(found, np.arange(5), on_picture) @ pair.segment
            assert np.allclose(each.max(1), added) and np.array_equal(each.argmax(1), which)
            looked += len(windows)
    assert looked > 20


def blocks(size: tuple[int, int] = (80, 120)) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 255, (3, size[0] // 8, size[1] // 8), np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2)


def test_segments_are_learned_together_with_filters(run: Any) -> None:
    detector = run.detector
    assert detector.counts.joint and detector.counts.weights.shape == (2, 1, 6) and not detector.counts.biases.any()
    assert "learned together with filters" in str(run) and "learned together" in run.evaluation.to_dict()["notes"][1]
    image = np.ascontiguousarray(drawn(103)[0].transpose(2, 0, 1))
    levels = detector.levels(image)[8, 10]
    for label in range(2):
        every = detector.scanners[label].windows(levels, -np.inf)
        whole = every.scores + detector.added(image, label, every)
        for threshold in (-1.0, 0.0):
            (found,) = [detector.windows(image, threshold)[label]]
            scores = np.sort(found.scores + detector.added(image, label, found))
            assert np.allclose(scores, np.sort(whole[whole >= threshold]), atol=1e-9)
        stages = [row["stage"] for row in run.metrics if row["class"] == label and row["stage"] == 8]
        assert len(stages) == 1


def test_a_joint_training_that_was_cut_off_ends_in_the_same_bytes(tmp_path: Path) -> None:
    there, settings = pictures_with_boxes(3), {**SMALL, "parts": 0, "relabelings": 2}
    whole = pl.detect.train(there, system="segdpm", out=tmp_path / "whole", **settings)
    assert [row["stage"] for row in whole.metrics][-5:] == [7.0, 8.0, 8.0, 8.0, 8.0]
    steps = len(whole.metrics) - 1 + len(there)  # a step for each picture whose segments are looked at
    for cut in (steps - 3, steps - 1):
        with cut_off(SegDPMTraining, cut):
            pl.detect.train(there, system="segdpm", out=tmp_path / f"cut{cut}", **settings)
        pl.detect.train(there, out=tmp_path / f"cut{cut}", resume=True)
        assert same_detector(tmp_path / f"cut{cut}", whole.folder)


def test_a_run_of_another_way_to_learn_is_told_so() -> None:
    training = SegDPMTraining(pictures_with_boxes(1), pl.detect.DetectionConfig.of({**SMALL}))
    arrays = training.arrays()
    training.take(arrays)
    with pytest.raises(pl.detect.DetectorError, match="learned on top of finished models"):
        training.take({**arrays, "counts.0": np.zeros(7)})


def test_boxes_that_were_dropped_are_explained(run: Any) -> None:
    image = np.ascontiguousarray(drawn(101)[0].transpose(2, 0, 1))

    def adds_up(why: Any) -> None:
        assert np.isclose(why.of_filters + why.segment.total, why.score, rtol=0, atol=1e-4)

    explained_dropped(run.detector, image, -0.9, adds_up)


def test_a_detector_is_kept_whole(run: Any) -> None:
    again = pl.detect.load_detector(run.folder)
    assert isinstance(again, SegDPMDetector)
    image = np.ascontiguousarray(drawn(102)[0].transpose(2, 0, 1))
    ours, theirs = run.detect(image, -1.0), again.detect(image, -1.0)
    assert len(ours) and np.array_equal(ours.boxes, theirs.boxes) and np.array_equal(ours.scores, theirs.scores)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Models of parts of others, of the classes that are drawn."""
    folder = tmp_path / "models"
    folder.mkdir()
    for seed, name in enumerate(("blue square", "red disk")):
        part_model(folder / f"{seed}_final.mat", told(name, seed))
    return folder


def test_given_models_keep_their_filters(models: Path, tmp_path: Path) -> None:
    there = pictures_with_boxes(4)
    settings = {**NETWORK, "negatives": 2, "models": str(models)}
    whole = pl.detect.train(there, system="segdpm", out=tmp_path / "whole", **settings)
    assert [row["stage"] for row in whole.metrics] == [7.0, 8.0, 8.0]
    assert not whole.detector.counts.joint and "on top of finished models" in whole.detector.notes[1]
    for ours, theirs in zip(whole.detector.models, load_dpm(models).models, strict=True):
        assert ours.name == theirs.name
        assert np.array_equal(ours.components[0].root.filter, theirs.components[0].root.filter)
    for cut in (2, 5):  # between pictures whose segments are looked at, and between classes
        with cut_off(SegDPMTraining, cut):
            pl.detect.train(there, system="segdpm", out=tmp_path / f"cut{cut}", **settings)
        pl.detect.train(there, out=tmp_path / f"cut{cut}", resume=True)
        assert same_detector(tmp_path / f"cut{cut}", whole.folder)


def test_a_class_without_a_given_model_is_named(models: Path, tmp_path: Path) -> None:
    (models / "1_final.mat").unlink()
    with pytest.raises(pl.detect.DetectorError, match="there is no model of 'red disk'"):
        pl.detect.train(pictures_with_boxes(2), system="segdpm", out=tmp_path / "run", models=str(models), **NETWORK)


def test_the_models_of_a_run_are_given_too(tmp_path: Path) -> None:
    there = pictures_with_boxes(4)
    own = {name: value for name, value in SMALL.items() if name not in NETWORK}
    parts = pl.detect.train(there, system="dpm", out=tmp_path / "dpm", context_rescoring=True, **own)
    run = pl.detect.train(
        there, system="segdpm", out=tmp_path / "run", models=str(tmp_path / "dpm"), negatives=2, **NETWORK
    )
    for source in (tmp_path / "dpm", tmp_path / "dpm" / "detector.safetensors"):
        models = load_dpm(source).models
        for theirs, ours, learned in zip(models, run.detector.models, parts.detector.models, strict=True):
            assert theirs.name == ours.name == learned.name and theirs.threshold == learned.threshold
            for one, two in zip(theirs.components, ours.components, strict=True):
                assert np.array_equal(one.root.filter, two.root.filter)
    assert load_dpm(tmp_path / "dpm", classes=["red disk"]).classes == ("red disk",)
    with pytest.raises(pl.detect.DetectorError, match="is a segdpm; wants models of parts, which a run of dpm has"):
        load_dpm(tmp_path / "run")
    (tmp_path / "dpm" / "detector.safetensors").write_bytes(b"nothing")
    with pytest.raises(pl.detect.DetectorError, match="is the file of no detector"):
        load_dpm(tmp_path / "dpm")
