"""segDeepM: potentials that never saw what they speak of, segments that are chosen, and the whole of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from cut_off import cut_off, same_detector
from drawn_boxes import drawn, pictures_with_boxes
from dropped_boxes import explained_dropped
from pellucid.detect.boxes import overlaps
from pellucid.detect.config import DetectionConfig
from pellucid.detect.files import write
from pellucid.detect.rcnn.classifiers import Mine
from pellucid.detect.rcnn.features import backbone_of
from pellucid.detect.rcnn.regression import RIDGE
from pellucid.detect.segdeepm.classifiers import LatentMachines
from pellucid.detect.segdeepm.detector import SegDeepMDetector, around_of
from pellucid.detect.segdeepm.seen import OWNED, Seen, share_of_largest
from pellucid.detect.segdeepm.training import SegDeepMTraining
from pellucid.detect.segments import segments_of
from pellucid.detect.segments.potentials import Potentials, folds_of, goals, looks_of, with_bias

SMALL: dict[str, Any] = {
    "system": "segdeepm", "backbone": "squeezenet1_1", "crop_size": 32, "context": 3, "proposals": 40, "segments": 10,
    "fine_tune": 0, "fine_tune_batch": 8, "rounds": 2,
}  # fmt: skip


@pytest.fixture(autouse=True)
def kept_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def few(image: np.ndarray) -> Any:
    return segments_of(image, most=10)


@pytest.fixture(scope="module")
def backbone() -> Any:
    return backbone_of(DetectionConfig(backbone="resnet18", crop_size=32, context=3))


def test_potentials_of_a_picture_never_saw_it(backbone: Any) -> None:
    pictures = pictures_with_boxes(7)
    _, spoken = Potentials.fit(pictures, few, backbone, seed=3)
    fold = folds_of(7, 3)
    changed = 4
    objects = list(pictures.objects)
    objects[changed] = replace(objects[changed], labels=1 - objects[changed].labels)
    _, again = Potentials.fit(replace(pictures, objects=tuple(objects)), few, backbone, seed=3)
    for number in range(7):
        same = np.array_equal(again[number], spoken[number])
        assert same == (fold[number] == fold[changed]), number


def test_potentials_are_a_ridge_regression_of_the_others(backbone: Any) -> None:
    pictures = pictures_with_boxes(6)
    made, spoken = Potentials.fit(pictures, few, backbone)
    there = [few(pictures.read(k)) for k in range(6)]
    seen = [with_bias(looks_of(backbone, pictures.read(k), there[k]), made.scale) for k in range(6)]
    wanted = [goals(there[k], pictures.objects[k], 2) for k in range(6)]
    fold = np.array(folds_of(6, 0))

    def learned(chosen: list[int]) -> np.ndarray:
        x, y = (np.concatenate([of[k] for k in chosen]) for of in (seen, wanted))
        return np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y)

    for k in range(6):
        weights = learned(np.flatnonzero(fold != fold[k]).tolist())
        assert np.allclose(spoken[k], np.clip(seen[k] @ weights, -1, 1), atol=1e-6)
    assert np.allclose(made.weights, learned(list(range(6))), atol=1e-6)
    assert np.allclose(made.of(pictures.read(0), there[0]), np.clip(seen[0] @ made.weights, -1, 1), atol=1e-6)
    alone, silent = Potentials.fit(pictures_with_boxes(1), few, backbone)
    assert (silent[0] == 0).all() and len(silent[0]) and (alone.weights != 0).any()


def test_goals_are_overlaps_with_the_best_object() -> None:
    segments = few(pictures_with_boxes(1).read(0))
    boxes = np.array([[4, 4, 30, 30], [50, 20, 80, 60], [6, 6, 33, 29]], float)
    found = goals(segments, pl.detect.Objects(boxes, np.array([1, 0, 1]), np.array([False, False, True])), 3)
    shared = overlaps(segments.boxes, boxes)
    assert np.array_equal(found, np.stack([shared[:, 1], shared[:, [0, 2]].max(1), np.zeros(len(segments))], 1))
    assert goals(segments, pl.detect.Objects.none(), 3).any() == 0


def test_what_is_around_a_segment_is_not_seen(backbone: Any) -> None:
    image = pictures_with_boxes(1).read(0)
    segments = few(image).chosen([0, 1])
    looks = looks_of(backbone, image, segments)
    mask = segments.mask(0)
    other = np.where(mask, image, 255 - image).astype(np.uint8)
    again = looks_of(backbone, other, replace(segments, image=other))
    assert np.array_equal(again[0], looks[0]) and not np.array_equal(again[1], looks[1])
    assert looks_of(backbone, image, segments.chosen([])).shape == (0, 512)


def few_seen(seed: int = 0) -> tuple[Seen, np.ndarray]:
    """What 4 segments, of which 3 count, say of 9 regions of a picture, for 3 classes."""
    numbers = np.random.default_rng(seed)
    image = pictures_with_boxes(1).read(0)
    potentials = np.array([[0.1, 0.9, 0.2], [0.3, 0.2, 0.1], [0.0, 0.0, -0.4], [0.2, 0.8, 0.7]])
    segments = segments_of(image, most=4).with_potentials(potentials, ("a", "b", "c"))
    corners = np.sort(numbers.integers(0, 96, (9, 2, 2)), axis=1).reshape(9, 4).astype(float)
    return Seen.of(segments, corners, 0.5), corners


def test_the_surest_segments_count_each_for_its_class() -> None:
    seen, regions = few_seen()
    assert len(seen.segments) == OWNED == 3 and seen.owners.tolist() == [1, 1, 0]
    assert seen.segments.potentials[:, 1].tolist() == [0.9, 0.8, 0.2]
    assert seen.allowed.astype(int).tolist() == [[0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert seen.features.shape == (9, 4, 24)
    assert [seen.candidates(k).tolist() for k in range(3)] == [[2, 2, 2], [0, 1, 0], [3, 3, 3]]
    none = Seen.of(seen.segments.chosen([]), regions, 0.5)
    assert none.allowed.tolist() == [[True, True, True]] and none.features.shape == (9, 1, 24)
    assert share_of_largest(np.array([[0, 0, 9, 4], [0, 0, 1, 1]], float), (10, 20)) == 0.25
    assert share_of_largest(np.zeros((0, 4)), (10, 20)) == 1.0


def test_the_best_allowed_segment_is_chosen() -> None:
    seen, _ = few_seen()
    numbers = np.random.default_rng(1)
    machines = LatentMachines(numbers.normal(size=(3, 10 + 24)), numbers.normal(size=3), np.array([0.5, 2.0]))
    vectors, around = numbers.normal(size=(9, 4)), numbers.normal(size=(9, 6))
    together = machines.together(vectors, around)
    assert np.allclose(together, np.concatenate([vectors / 2, around * 2], 1))
    scores, which = machines.scores(together, seen)
    for region in range(9):
        for label in range(3):
            of_region = machines.weights[label, :10] @ together[region] + machines.biases[label]
            each = {
                k: machines.weights[label, 10:] @ seen.features[region, k]
                for k in np.flatnonzero(seen.allowed[:, label])
            }
            assert np.isclose(scores[region, label], of_region + max(each.values()))
            assert each[which[region, label]] == max(each.values())
    rows = np.array([2, 5, 7])
    examples = machines.example(1, together, seen, rows)
    assert examples.shape == (3, 10 + 3 * 24) and examples.dtype == np.float16
    chosen = machines.chosen(1, examples)
    assert seen.candidates(1)[chosen].tolist() == which[rows, 1].tolist()
    whole = machines.with_chosen(examples, chosen)
    assert np.allclose(whole @ machines.weights[1] + machines.biases[1], scores[rows, 1], atol=0.05)
    nearest = machines.nearest(examples)
    assert (seen.features[rows][:, [0, 1], 20].argmax(1) == nearest).all()


def test_machines_learn_which_segment_speaks() -> None:
    """Objects and background differ in one number of one candidate alone, which another candidate hides from those that choose badly."""
    numbers = np.random.default_rng(0)
    machines = LatentMachines.untaught(1, 2)
    said = machines.said

    def examples(count: int, good: bool) -> np.ndarray:
        made = numbers.normal(size=(count, 2 + OWNED * said)) * 0.1
        made[:, 2 + (OWNED - 1) * said + 3] = 6.0 if good else 0.0
        made[:, 2 + 20] = 5.0  # the first candidate overlaps most
        return made.astype(np.float16)

    mine = Mine(examples(30, True))
    mine.add(examples(80, False), np.stack([np.zeros(80, np.int64), np.arange(80)], 1))
    first = machines.nearest(mine.positives)
    assert (first == 0).all()
    machines.fit(0, mine, first, 0)
    machines.weights[0, 2 + 3] = 1.0  # it has seen once that this speaks
    again = machines.chosen(0, mine.positives)
    assert (again == OWNED - 1).all()
    machines.fit(0, mine, again, 0)
    scores = machines.with_chosen(mine.positives, again) @ machines.weights[0] + machines.biases[0]
    assert (scores > 0).mean() == 1.0 and machines.weights[0, 2 + 3] > 0


def test_training_finds_shapes(tmp_path: Path) -> None:
    run = pl.detect.train(
        pictures_with_boxes(12),
        system="segdeepm",
        validation=pictures_with_boxes(4, 100),
        out=tmp_path / "run",
        backbone="efficientnet-lite0",
        crop_size=48,
        context=5,
        proposals=40,
        segments=15,
        fine_tune=0,
    )
    assert run.evaluation is not None and run.evaluation.mean > 0.8
    told = "segments: mini-cpmc, up to 15 of a picture, of which 3 count"
    assert told in str(run) and told in run.evaluation.to_dict()["notes"]
    again = pl.detect.load_detector(run.folder)
    image = np.ascontiguousarray(drawn(100)[0].transpose(2, 0, 1))
    ours, theirs = run.detect(image, -0.5), again.detect(image, -0.5)
    assert len(ours) >= 2
    assert np.array_equal(ours.boxes, theirs.boxes) and np.array_equal(ours.scores, theirs.scores)
    found = pl.detect.find(again, [("one", image)])
    assert told in str(found) and told in found.to_dict()["notes"] and told in found.picture().html()
    explained(again, image, ours)
    explained_dropped(again, image, -1.0, adds_up)


def adds_up(why: Any) -> None:
    parts = (why.appearance, why.context, why.segment)
    assert np.isclose(sum(part.total for part in parts) + why.bias, why.score, atol=1e-4)


def explained(detector: Any, image: np.ndarray, found: Any) -> None:
    """A box's terms add up to its score, and the segment that was chosen is the best of those that may be."""
    for number in range(min(2, len(found))):
        why = pl.detect.explain(detector, image, number, -0.5)
        assert np.array_equal(why.box, found.boxes[number]) and why.score == found.scores[number]
        adds_up(why)
        assert np.isclose(why.margins[why.label], why.score, atol=1e-4)
        assert np.isclose(why.candidates[why.chosen].score, why.score, atol=1e-4)
        allowed = [c for c in why.candidates if c.choose]
        assert why.candidates[why.chosen] in allowed
        assert max(c.score for c in allowed) == why.candidates[why.chosen].score
        for candidate in allowed:
            assert candidate.owner in ("", detector.classes[why.label])
        assert len(why.segment.terms) == 21 + 2 and why.source == "mini-cpmc"
        for look in (why.seen, why.around):
            assert look.crop.shape == (3, 48, 48) and np.isclose(look.pixels.sum(), look.crop_pixels.sum(), atol=1e-6)
        assert "mini-cpmc" in str(why) and "chosen" in str(why)
        json.dumps(why.to_dict())
        why.picture().html()


def test_a_second_network_learns_what_is_around_regions(tmp_path: Path) -> None:
    """It learns the classes of regions from regions of twice their size, and what it says of those is scaled by itself."""
    there = pictures_with_boxes(3)
    how = {**SMALL, "fine_tune": 2, "proposals": 20}
    shared, own = (
        pl.detect.train(there, out=tmp_path / name, context_network=name, **how) for name in ("shared", "own")
    )
    assert len(own.metrics) == len(shared.metrics) + 2
    assert [row["loss_of_regions_around"] > 0 for row in own.metrics if "loss_of_regions_around" in row] == [True] * 2
    for run, words, key in (
        (shared, "fine-tune a second one", "the same network"),
        (own, "a network of its own", "a network of its own"),
    ):
        detector = pl.detect.load_detector(run.folder)
        assert isinstance(detector, SegDeepMDetector) and words in detector.notes[1]
        why = pl.detect.explain(detector, there.read(0), threshold=-50)
        assert words in str(why) and key in why.to_dict()["context_network"] and words in why.picture().html()
        adds_up(why)
        image, regions = there.read(1), there.objects[1].boxes
        vectors = detector.around.described(image, regions)[0]
        other = detector.backbone.described(image, regions)[0]
        assert detector.around.crop.context == 0.5 and not np.allclose(vectors, other)
    ours, theirs = own.detector, shared.detector
    assert isinstance(ours, SegDeepMDetector) and isinstance(theirs, SegDeepMDetector)
    first, second = ours.backbone.net.state_dict(), ours.around.net.state_dict()
    assert first.keys() == second.keys() and not all(np.array_equal(first[n], second[n]) for n in first)
    assert all(np.array_equal(first[n], a) for n, a in theirs.backbone.net.state_dict().items())
    assert ours.latent.scales[0] == theirs.latent.scales[0] and ours.latent.scales[1] != theirs.latent.scales[1]
    looks = [
        np.linalg.norm(ours.around.vectors(there.read(k), there.objects[k].boxes).astype(float), axis=1)
        for k in range(3)
    ]
    assert 10 < np.concatenate(looks).mean() * ours.latent.scales[1] < 40
    for wrong, words in (
        ({"context_network": "mine"}, "unknown context_network 'mine'"),
        ({"context_network": "own", "fine_tune": 0}, "without fine_tune both would be the same"),
    ):
        with pytest.raises(pl.PellucidError, match=words):
            DetectionConfig.of(wrong)


def test_what_is_learned_of_surroundings_is_what_is_around(tmp_path: Path) -> None:
    """The second network sees the region enlarged, and is told the class of the region itself."""
    config = DetectionConfig.of(
        {k: v for k, v in SMALL.items() if k != "system"} | {"fine_tune": 2, "context_network": "own"}
    )
    training = SegDeepMTraining(pictures_with_boxes(2), config)
    tuning, first = training.context_tuning, training.tuning
    assert tuning is not None and first is not None
    assert np.array_equal(tuning.pool.on, first.pool.on) and np.array_equal(tuning.pool.labels, first.pool.labels)
    keys = np.array([[0, 0], [1, 1]])
    wanted = [
        around_of(training.backbone).crops(training.pictures.read(p), training.regions[p][r : r + 1])[0]
        for p, r in keys
    ]
    assert np.array_equal(tuning.crops(keys), np.stack(wanted))
    assert not np.array_equal(tuning.crops(keys), first.crops(keys))


@pytest.mark.parametrize(
    ("taken", "tuned", "context"),
    (
        (6, 0, "shared"),
        (11, 0, "shared"),
        (10, 2, "shared"),
        (2, 2, "own"),
        (4, 2, "own"),
        (5, 2, "own"),
        (13, 2, "own"),
    ),
)
def test_a_run_that_was_cut_off_ends_in_the_same_bytes(
    taken: int, tuned: int, context: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there = pictures_with_boxes(4)
    how = {**SMALL, "fine_tune": tuned, "context_network": context}
    whole = tmp_path_factory.getbasetemp() / f"whole-{tuned}-{context}"  # one for all places where it is cut off
    if not whole.exists():
        pl.detect.train(there, out=whole, **how)
    with cut_off(SegDeepMTraining, taken, every=3):
        pl.detect.train(there, out=tmp_path / "cut", **how)
    pl.detect.train(there, out=tmp_path / "cut", resume=True)
    assert same_detector(tmp_path / "cut", whole)


def test_files_of_no_segdeepm(tmp_path: Path, backbone: Any) -> None:
    latent = LatentMachines.untaught(1, 2 * 512)
    said = Potentials(backbone, ("a",), np.zeros((513, 1)), 1.0)
    movers = np.zeros((1, backbone.outputs(1)[2].shape[1] + 1, 4))
    made = SegDeepMDetector(backbone, around_of(backbone), said, latent, movers, 1.0)
    told = {"system": "segdeepm", **made.settings()}
    write(tmp_path / "good.safetensors", made.arrays(), told)
    assert pl.detect.load_detector(tmp_path / "good.safetensors").classes == ("a",)
    own = SegDeepMDetector(backbone, around_of(backbone_of(backbone.config)), said, latent, movers, 1.0)
    write(tmp_path / "own.safetensors", own.arrays(), told)
    again: Any = pl.detect.load_detector(tmp_path / "own.safetensors")
    assert again.around.net is not again.backbone.net and "a network of its own" in again.notes[1]
    for name, wrong in {"segdeepm.potentials": np.zeros((3, 1)), "segdeepm.weights": np.zeros((1, 3))}.items():
        write(tmp_path / "bad.safetensors", {**made.arrays(), name: wrong}, told)
        with pytest.raises(pl.detect.DetectorError, match="do not fit a segDeepM on resnet18 of 1 classes: wants"):
            pl.detect.load_detector(tmp_path / "bad.safetensors")
    arrays = made.arrays()
    del arrays["segdeepm.scales"]
    write(tmp_path / "bad.safetensors", arrays, told)
    with pytest.raises(pl.detect.DetectorError, match="scales"):
        pl.detect.load_detector(tmp_path / "bad.safetensors")
