"""Training of models of parts: the objective and its slope, how classes begin, what windows see, and runs that can go on."""

from __future__ import annotations

import csv
import re
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
from pellucid.detect.dpm import histograms as hog
from pellucid.detect.dpm.beginning import facing, groups_of, placed, root_size, warped, with_parts
from pellucid.detect.dpm.boxes_of_filters import moved, predictor_of, turned
from pellucid.detect.dpm.context import ContextMachine, arrays_of, best_of, context_of, machines_of, taught
from pellucid.detect.dpm.detector import DPMDetector
from pellucid.detect.dpm.learning import Ways, weights_of
from pellucid.detect.dpm.mixture import MirroredPair, by_component, described, model_of
from pellucid.detect.dpm.objective import LatentObjective, Penalized
from pellucid.detect.dpm.pyramid import pixels_of, pyramid
from pellucid.detect.dpm.rescoring import RescoredDPMDetector
from pellucid.detect.dpm.scanning import Scanner
from pellucid.detect.dpm.searching import around, on_object, one_at_a_place
from pellucid.detect.dpm.training import DPMTraining, threshold_of

SMALL: dict[str, Any] = {"parts": 3, "relabelings": 1, "minings": 2, "negatives": 8, "last_negatives": 8, "cost": 0.01}


def objective(seed: int = 0, offsets: bool = False) -> tuple[LatentObjective, np.ndarray]:
    """Of two pairs with 5 and 4 weights; examples are seen in one to four ways."""
    numbers = np.random.default_rng(seed)
    sizes, examples = (5, 4), 12
    owners = [np.concatenate([np.arange(k, examples, 2), numbers.integers(0, examples, 9)]) for k in range(2)]
    features = [numbers.normal(0, 1, (len(own), size)) for own, size in zip(owners, sizes, strict=True)]
    penalties = np.array([1, 1, 1, 10, 0, 1, 1, 10, 0.0])
    penalized = Penalized(sizes, penalties, [(None, None)] * 3 + [(0.001, None), (None, None)] + [(None, None)] * 4)
    added = [numbers.normal(0, 0.3, len(own)) for own in owners] if offsets else None
    signs = np.where(np.arange(examples) < 5, 1.0, -1.0)
    made = LatentObjective(penalized, features, owners, signs, np.where(signs > 0, 2.0, 1.0), 0.3, added)
    return made, numbers.normal(0, 0.7, sum(sizes))


@pytest.mark.parametrize("offsets", (False, True))
@pytest.mark.parametrize("seed", range(6))
def test_the_slope_of_the_objective_is_that_of_differences(seed: int, offsets: bool) -> None:
    made, weights = objective(seed, offsets)
    slope = made(weights)[1]
    for k in range(len(weights)):
        step = np.zeros(len(weights))
        step[k] = 1e-6
        difference = (made(weights + step)[0] - made(weights - step)[0]) / 2e-6
        assert np.isclose(slope[k], difference, rtol=1e-5, atol=1e-5), k


@pytest.mark.parametrize("seed", range(3))
def test_the_objective_is_what_it_says(seed: int) -> None:
    made, weights = objective(seed)
    parts = made.penalized.split(weights)
    norms = [
        0.5 * (p[:3] @ p[:3] + 10 * p[3] ** 2) if len(p) == 5 else 0.5 * (p[:2] @ p[:2] + 10 * p[2] ** 2) for p in parts
    ]
    hinges = 0.0
    for example in range(12):
        ways = [
            float(f @ w)
            for features, owners, w in zip(made.features, np.split(made.owners, made.ends), parts, strict=True)
            for f in features[owners == example]
        ]
        positive = example < 5
        hinges += (2 if positive else 1) * max(0.0, 1 - max(ways) if positive else 1 + max(ways))
    soft = np.log(np.exp(1000 * (np.array(norms) - max(norms))).sum()) / 1000 + max(norms)
    assert np.isclose(made(weights)[0], soft + 0.3 * hinges)
    found = made.least(weights)
    assert made(found)[0] < made(weights)[0] and found[3] >= 0.001
    for _ in range(20):  # nothing near is smaller
        near = found + np.random.default_rng(seed).normal(0, 1e-2, len(found))
        near[3] = max(near[3], 0.001)
        assert made(near)[0] >= made(found)[0] - 1e-6


def pair_of(seed: int = 0, root: tuple[int, int] = (4, 5), parts: int = 2) -> MirroredPair:
    numbers = np.random.default_rng(seed)
    anchors = np.stack([numbers.integers(0, 2 * root[1] - 3, parts), numbers.integers(0, 2 * root[0] - 3, parts)], 1)
    prices = numbers.normal(0.05, 0.02, (parts, 4))
    weights = (numbers.normal(0, 0.1, (*root, 32)), numbers.normal(0, 0.1, (parts, 3, 3, 32)))
    return MirroredPair(*weights, anchors, prices, numbers.normal(0, 0.1, 3) * (parts > 0), 0.03)


def test_what_a_window_sees_times_the_weights_is_its_score() -> None:
    pairs = [pair_of(0), pair_of(1, (5, 3)), pair_of(2, (3, 3), 0)]
    image = np.random.default_rng(0).integers(0, 256, (3, 90, 110), np.uint8)
    levels = pyramid(image, 8, 3)
    assert np.allclose(weights_of([p.with_vector(p.vector) for p in pairs]), weights_of(pairs))
    for pair in pairs:
        model = model_of("x", [pair], 3)
        windows = Scanner(model).windows(levels, -np.inf)
        best = np.argsort(-windows.scores)[:40]
        seen = 0
        for component, number, rows in by_component(windows):
            rows = np.intersect1d(rows, best)
            there = described(pair, component == 1, windows.places[rows], levels[number], levels.get(number - 3))
            assert np.allclose(there @ pair.vector, windows.scores[rows], rtol=0, atol=1e-4)
            seen += len(rows)
        assert seen == 40 and {0, 1} == set(windows.components[best].tolist())


def test_a_mirror_shows_the_other_component() -> None:
    pair = pair_of(3)
    one, other = pair.components()
    assert np.allclose(other.root.filter, hog.mirrored(one.root.filter))
    for left, right in zip(one.parts, other.parts, strict=True):
        assert left.anchor[0] + right.anchor[0] == 2 * 5 - 3 and left.anchor[1] == right.anchor[1]
        assert left.deformation is not None and right.deformation is not None
        assert np.allclose(right.deformation, left.deformation * [1, -1, 1, 1])


def test_a_place_is_left_to_one_component() -> None:
    levels = pyramid(np.random.default_rng(1).integers(0, 256, (3, 80, 90), np.uint8), 8, 3)
    scanner = Scanner(model_of("x", [pair_of(0), pair_of(1, (5, 3))], 3))
    for number in levels:
        scored = scanner.scored(levels, number)
        alone = one_at_a_place(scored)
        for row, column in np.ndindex(4, 4):
            at = [s[row, column] if row < s.shape[0] and column < s.shape[1] else -np.inf for _, s in scored]
            kept = [s[row, column] if row < s.shape[0] and column < s.shape[1] else -np.inf for _, s in alone]
            if at and np.isfinite(max(at)):
                assert max(kept) == max(at) and np.isfinite(kept).sum() == 1


def test_objects_are_divided_by_shape() -> None:
    numbers = np.random.default_rng(0)
    wide, tall = numbers.uniform(1.8, 2.2, 15), numbers.uniform(0.4, 0.6, 15)
    sizes = np.stack([np.full(30, 80.0), 80 * np.concatenate([wide, tall])], 1)
    one, other = groups_of(sizes, 2)
    assert one.tolist() == list(range(15, 30)) and other.tolist() == list(range(15))
    assert len(groups_of(sizes, 9)) == 3 and len(groups_of(sizes[:9], 3)) == 1  # ten objects each, at least
    assert root_size(np.array([[90.0, 50.0]] * 10)) == (6, 11)
    assert root_size(np.array([[180.0, 100.0]] * 10)) == (7, 12)  # 5000 pixels at most
    assert root_size(np.array([[64.0, 64.0]] * 10)) == (8, 8)
    assert root_size(np.array([[40.0, 40.0]] * 4 + [[64.0, 64.0]] * 16)) == (8, 8)  # what 20 of 100 are smaller than
    assert root_size(np.array([[32.0, 32.0]] * 10)) == (4, 4)  # small ones throughout


def test_all_are_turned_to_face_one_way() -> None:
    numbers = np.random.default_rng(0)
    shape = numbers.uniform(0, 0.4, (4, 6, 32))
    cells = np.stack([shape + numbers.normal(0, 0.02, shape.shape) for _ in range(12)])
    turn = numbers.random(12) < 0.5
    cells[turn] = np.stack([hog.mirrored(c) for c in cells])[turn]
    found = facing(cells, np.random.default_rng(1))
    assert (found == turn).all() or (found == ~turn).all()


def test_a_box_is_warped_to_its_root() -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 64, 80), np.uint8)
    cells = warped(image, np.array([16.0, 8.0, 55.0, 47.0]), (5, 5))  # 8 pixels a cell already
    assert np.allclose(cells, hog.histograms(image[:, 0:56, 8:64].astype(float), 8), atol=1e-6)
    assert warped(image, np.array([-20.0, -9.0, 99.0, 90.0]), (6, 7)).shape == (6, 7, 32)


@pytest.mark.parametrize(("shape", "count", "side"), (((8, 10), 4, 3), ((6, 6), 1, 6), ((16, 12), 8, 4)))
def test_parts_are_put_where_most_is(shape: tuple[int, int], count: int, side: int) -> None:
    numbers = np.random.default_rng(0)
    energy = np.zeros(shape)
    energy[:side, -side:] = 5
    energy += numbers.random(shape) * 0.1
    places = placed(energy, count, side, numbers)
    assert places.shape == (count, 2) and [shape[1] - side, 0] in places.tolist()
    assert (places >= 0).all() and (places + side <= shape[::-1]).all()
    assert len(placed(energy[:side, :side], 5, side, numbers)) == 1  # no part covers what others do alone
    pair = with_parts(MirroredPair.of_root(numbers.normal(0, 1, (6, 6, 32)), 0.1), count, side, numbers)
    small = with_parts(MirroredPair.of_root(numbers.normal(0, 1, (3, 4, 32)), 0.1), 8, 6, numbers)
    assert small.parts.shape[1:3] == (4, 4) and len(np.unique(small.anchors, axis=0)) == len(small.parts) < 8
    assert np.allclose((pair.parts**2).sum((1, 2, 3)), 0.01) and (pair.prices == [0.01, 0, 0.01, 0]).all()


def test_boxes_are_learned_from_where_filters_went() -> None:
    numbers = np.random.default_rng(0)
    windows = np.array([[10.0, 20, 60, 90]]) + numbers.uniform(-5, 5, (200, 4))
    wide = windows[:, 2:] - windows[:, :2]
    corners = windows[:, None, :2] + numbers.uniform(0, 0.7, (200, 3, 2)) * wide[:, None]
    filters = np.concatenate([corners, corners + 0.3 * wide[:, None]], 2)
    truth = numbers.normal(0, 0.1, (4, 7))
    objects = moved(windows, filters, truth)

    def mirror(boxes: np.ndarray) -> np.ndarray:
        return np.stack([100 - boxes[..., 2], boxes[..., 1], 100 - boxes[..., 0], boxes[..., 3]], -1)

    assert np.allclose(moved(mirror(windows), mirror(filters), turned(truth)), mirror(objects))
    turn = numbers.random(200) < 0.5
    for each in (windows, filters, objects):
        each[turn] = mirror(each)[turn]
    found = predictor_of(windows, filters, objects, turn)
    assert np.allclose(found, truth, atol=0.02)


def test_levels_may_be_left_out() -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 70, 90), np.uint8)
    for interval in (3, 10, 20):
        whole = pyramid(image, 8, interval)
        assert {n: level.pixels for n, level in whole.items()} == pixels_of((70, 90), 8, interval)
        some = pyramid(image, 8, interval, {2, interval + 1, interval + 2})
        assert set(some) == {2, interval + 1, interval + 2} & set(whole)
        for number, level in some.items():
            assert np.array_equal(level.cells, whole[number].cells) and level.octave == whole[number].octave
    assert pixels_of((39, 90)) == {}


def test_the_best_window_on_an_object_shares_enough_with_it() -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 150, 170), np.uint8)
    model = model_of("x", [pair_of(0, (4, 4))], 5)
    for box in ([50.0, 40, 110, 100], [0.0, 0, 49, 49], [100.0, 80, 169, 149]):
        there = around(image, np.array(box), [(4, 4)])
        found = on_object(model, there)
        assert len(found)
        assert (there.shares(found.boxes[:, 0]) >= 0.7).all()
        assert all(number in there.levels and number - 5 in there.levels for number in found.levels.tolist())


def test_what_is_easy_is_forgotten_first() -> None:
    pairs = [pair_of(0), pair_of(1, (5, 3))]
    levels = pyramid(np.random.default_rng(1).integers(0, 256, (3, 80, 90), np.uint8), 8, 3)
    windows = Scanner(model_of("x", pairs, 3)).windows(levels, 0.0)
    ways = Ways.none(pairs)
    for _ in range(2):  # the same again adds nothing
        ways.add(pairs, 7, windows, levels, 3)
        assert sum(map(len, ways.features)) == len(windows)
    assert ways.count == len(
        {(n, *p[0].tolist()) for n, p in zip(windows.levels.tolist(), windows.places, strict=True)}
    )
    scores = np.linspace(-3, 0, ways.count)
    before, room = ways.bytes, ways.bytes // 2
    ways.forget(scores, room)
    assert ways.bytes <= room < before and ways.bytes == sum(f.nbytes for f in ways.features)
    owners = np.concatenate(ways.owners)
    assert set(owners.tolist()) == set(range(ways.count))
    many = ways.count
    ways.forget(np.zeros(many), 0)  # what is not easy stays
    assert ways.count == many
    ways.add(pairs, 7, windows, levels, 3)
    assert sum(map(len, ways.features)) == len(windows)


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


def test_training_finds_shapes(tmp_path: Path) -> None:
    run = pl.detect.train(
        pictures_with_boxes(16), system="dpm", validation=pictures_with_boxes(8, 100), out=tmp_path / "run", **SMALL
    )
    assert run.evaluation is not None and run.evaluation.mean > 0.6
    rows = rows_of(run.folder)
    assert len(rows) == 2 * 4 and [row["stage"] for row in rows[:4]] == ["1.0", "2.0", "4.0", "5.0"]
    for row in rows:
        assert float(row["objective"]) < float(row["objective_before"]) and float(row["positives"]) > 3
    again = pl.detect.load_detector(run.folder)
    image = np.ascontiguousarray(drawn(100)[0].transpose(2, 0, 1))
    ours, theirs = run.detect(image), again.detect(image)
    assert len(ours)
    assert np.array_equal(ours.boxes, theirs.boxes) and np.array_equal(ours.scores, theirs.scores)
    why = pl.detect.explain(again, image, 0)
    assert isinstance(why, pl.detect.PartsExplanation) and len(why.terms) == 4
    assert np.isclose(sum(term.total for term in why.terms), why.score, rtol=0, atol=1e-4)
    assert "<svg" in (run.folder / "report.html").read_text()


TINY = {**SMALL, "parts": 2, "minings": 1, "negatives": 4, "last_negatives": 4}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    there, more = pictures_with_boxes(5), pictures_with_boxes(5, 100)
    out = tmp_path_factory.mktemp("run") / "whole"
    return pl.detect.train(there, system="dpm", validation=more, out=out, **TINY).folder


def test_a_report_shows_what_detect_finds(whole: Path) -> None:
    detector, there = pl.detect.load_detector(whole), pictures_with_boxes(5, 100)
    found = [detector.detect(there.read(number)) for number in range(5)]
    assert any((one.scores < 0).any() for one in found)  # a model's own threshold lies below 0
    notes = ["nothing was found" if not (n := len(one)) else f"{n} object{'s' * (n > 1)}" for one in found]
    assert re.findall(r"\d+ objects?\b|nothing was found", (whole / "report.html").read_text()) == notes


@pytest.mark.parametrize("stop", (3, 6))
def test_a_run_that_was_cut_off_ends_in_the_same_bytes(tmp_path: Path, whole: Path, stop: int) -> None:
    there = pictures_with_boxes(5)
    with cut_off(DPMTraining, stop):
        pl.detect.train(there, system="dpm", out=tmp_path / "cut", **TINY)
    assert not (tmp_path / "cut" / "detector.safetensors").exists()
    pl.detect.train(there, out=tmp_path / "cut", resume=True)
    assert same_detector(tmp_path / "cut", whole)
    for one, other in zip(rows_of(tmp_path / "cut"), rows_of(whole), strict=True):
        assert {**one, "seconds": ""} == {**other, "seconds": ""}


def test_classes_that_nothing_is_learned_of_are_never_found(tmp_path: Path) -> None:
    there = pictures_with_boxes(3)
    more = replace(there, classes=("blue square", "red disk", "unseen"))
    run = pl.detect.train(more, system="dpm", out=tmp_path / "run", context_rescoring=True, **TINY)
    assert run.detector.classes == more.classes
    found = run.detect(there.read(0), -5.0)
    assert len(found) and 2 not in found.labels
    tiny = [pl.detect.Objects(np.array([[3.0, 3, 12, 12]]), np.array([0]), np.zeros(1, bool)) for _ in there.names]
    with pytest.raises(pl.detect.DetectorError, match="every object is difficult or smaller than 16 x 16 pixels"):
        pl.detect.train(replace(there, objects=tuple(tiny)), system="dpm", out=tmp_path / "none", **SMALL)


@pytest.mark.parametrize(
    ("setting", "words"),
    (
        ({"aspects": 0}, "aspects must be 1 or more, got 0"),
        ({"parts": -1}, "parts must be 0 or more, got -1"),
        ({"cost": float("nan")}, "cost must be a positive number, got nan"),
        ({"minings": 0}, "minings must be 1 or more"),
    ),
)
def test_settings_that_make_no_sense(setting: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(pl.detect.DetectorError, match=words):
        pl.detect.train(pictures_with_boxes(2), system="dpm", out=tmp_path / "run", **setting)
    assert not (tmp_path / "run").exists()


def test_windows_near_objects_are_no_background() -> None:
    there = pictures_with_boxes(3)
    training = DPMTraining(there, pl.detect.DetectionConfig.of(SMALL))
    background = training.background(0)
    assert set(background.order) == {0, 1, 2}
    for picture in background.order:
        objects = there.objects[picture]
        own = objects.boxes[objects.labels == 0]
        windows = background.random(model_of("x", [pair_of(0, (4, 4), 0)], 4), picture, 200, np.random.default_rng(0))
        assert len(windows) > 20
        if len(own):
            cut = np.clip(windows.boxes[:, 0], 0, 95)
            assert overlaps(cut, own).max() < 0.3


def test_context_is_learned_from_what_else_is_there() -> None:
    """Of boxes that look alike those are right that stand beside a sure box of the other class."""
    numbers = np.random.default_rng(0)
    found: list[pl.detect.Detections] = []
    objects: list[pl.detect.Objects] = []
    for k in range(40):
        box, other = np.array([10.0, 10, 40, 40]) + numbers.uniform(0, 4, 4), np.array([60.0, 50, 90, 80])
        beside = k % 2 == 0
        scores = np.array([numbers.uniform(-0.2, 0.2), 1.0 if beside else -0.9])
        found.append(pl.detect.Detections.of(np.stack([box, other]), np.array([0, 1]), scores))
        there = np.stack([box, other]) if beside else np.zeros((0, 4))
        objects.append(pl.detect.Objects(there, np.arange(len(there)), np.zeros(len(there), bool)))
    machines = taught(found, objects, [(100, 90)] * 40, 2, 0)
    for k, d in enumerate(found):
        seen = context_of(d.boxes[:1], d.scores[:1], d.scores, (90, 100))
        assert seen.shape == (1, 7) and np.isclose(seen[0, 0], 1 / (1 + np.exp(-1.5 * d.scores[0])))
        assert np.allclose(seen[0, 1:5], d.boxes[0] / [100, 90, 100, 90]) and seen[0, 0] == seen[0, 5]
        assert (machines[0].scores(seen)[0] > 0) == (k % 2 == 0)
    again = machines_of(arrays_of(machines), 2)
    assert np.array_equal(again[0].support, machines[0].support) and again[0].bias == machines[0].bias
    for right, says in ((np.ones(3, bool), 1.0), (np.zeros(3, bool), -1.0), (np.zeros(0, bool), -1.0)):
        alone = ContextMachine.taught(np.zeros((len(right), 7)), right, 0)
        assert (alone.scores(np.ones((4, 7))) == says).all()
    with pytest.raises(pl.detect.DetectorError, match="do not fit machines of context"):
        machines_of(arrays_of(machines), 3)


def test_a_cubic_machine_says_what_sklearn_says() -> None:
    from sklearn.svm import SVC

    numbers = np.random.default_rng(0)
    seen, right = numbers.random((60, 7)), numbers.random(60) < 0.4
    wanted = SVC(kernel="poly", degree=3, gamma=1.0, coef0=1.0, C=1.0, class_weight={True: 2.0, False: 1.0})
    wanted.fit(seen, right)
    assert np.allclose(ContextMachine.taught(seen, right, 0).scores(seen), wanted.decision_function(seen))


def test_boxes_are_scored_anew_by_context(tmp_path: Path) -> None:
    there = pictures_with_boxes(6)
    run = pl.detect.train(there, system="dpm", out=tmp_path / "run", context_rescoring=True, **{**TINY, "parts": 0})
    assert rows_of(run.folder)[-1]["stage"] == "6.0" and float(rows_of(run.folder)[-1]["boxes"]) > 6
    detector = pl.detect.load_detector(run.folder)
    assert isinstance(detector, RescoredDPMDetector)
    image = there.read(0)
    found, plain = detector.detect(image, -5.0), DPMDetector(detector.models).scored(image, detector.floor(0, None))
    assert len(found) and (np.diff(found.scores) <= 0).all()
    assert np.array_equal(run.detect(image, -5.0).scores, found.scores)
    best = best_of([plain.scores[np.isfinite(plain.scores[:, k]), k] for k in range(2)])
    for number in range(min(3, len(found))):
        why = pl.detect.explain(detector, image, number, -5.0)
        assert isinstance(why, pl.detect.PartsExplanation) and why.context is not None
        assert np.isclose(why.of_filters, why.context.before, rtol=0, atol=1e-4) and why.score == found.scores[number]
        seen = context_of(why.box[None], np.array([why.context.before]), best, (96, 96))
        assert np.allclose(seen[0, :5], why.context.seen[:5])
        assert np.isclose(detector.machines[why.label].scores(why.context.seen[None])[0], why.score)
        assert why.to_dict()["context"]["before"] == why.context.before and "scored anew by context" in str(why)
        assert "scored anew by context" in why.picture().html()

    def adds_up(why: Any) -> None:
        assert np.isclose(why.of_filters, why.score if why.context is None else why.context.before, rtol=0, atol=1e-4)

    explained_dropped(detector, image, -5.0, adds_up)
    (told,) = pl.detect.find(detector, [("one", image)], -5.0).to_dict()["pictures"]
    lowered = list[bool]()
    for number, gone in enumerate(told["dropped"][:4]):
        why = pl.detect.explain(detector, image, dropped=number, threshold=-5.0)
        assert isinstance(why, pl.detect.PartsExplanation) and why.context is not None
        own = detector.machines[why.label].scores(why.context.seen[None])[0]
        assert np.isclose(why.context.margin, own) and why.score == gone["score"]
        lowered.append(bool(why.score < own - 1e-9))
        assert ("took its place by what filters say" in str(why)) == lowered[-1]
    assert any(lowered) and not all(lowered)


def test_what_most_objects_reach_is_shown_and_all_beyond_zero() -> None:
    assert threshold_of([-0.5] * 10 + [1.0] * 90) == -0.5
    assert threshold_of([0.4, 0.9]) == 0
