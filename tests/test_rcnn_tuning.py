"""Fine-tuning of R-CNN's network, regions that are scored again where they were moved, and what can be left out of it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import pellucid as pl
from cut_off import cut_off, same_detector
from drawn_boxes import drawn, pictures_with_boxes
from pellucid import nn, ops
from pellucid.detect.boxes import overlaps
from pellucid.detect.config import DetectionConfig
from pellucid.detect.detector import Scored
from pellucid.detect.localization import localized
from pellucid.detect.proposals.kept import proposals_of
from pellucid.detect.rcnn.features import Backbone, backbone_of
from pellucid.detect.rcnn.fine_tuning import FineTuning, Pool, fine_tuned, tuning_of
from pellucid.detect.rcnn.last_layer import regressed, require_fitting, scores_of
from pellucid.detect.rcnn.training import RCNNTraining
from pellucid.executors import compile

TINY = "Conv2d 8 5 stride=2, BatchNorm2d, ReLU, Conv2d 16 3 stride=2, ReLU, Conv2d 32 3 stride=2, ReLU, GlobalAvgPool2d, Flatten"
SMALL: dict[str, Any] = {
    "backbone": TINY, "crop_size": 32, "context": 3, "proposals": 40, "fine_tune": 4, "fine_tune_batch": 8,
}  # fmt: skip


@pytest.fixture(autouse=True)
def kept_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def tuning(count: int = 3, **settings: Any) -> FineTuning:
    pictures, config = pictures_with_boxes(count), DetectionConfig(**{**SMALL, **settings})
    found = proposals_of(pictures, config.proposals)
    regions = [np.concatenate([o.boxes, p]) for o, p in zip(pictures.objects, found, strict=True)]
    return FineTuning(backbone_of(config, len(pictures.classes)), pictures, regions)


def test_a_step_draws_a_quarter_of_regions_on_objects() -> None:
    pictures = pictures_with_boxes(3)
    regions = [np.concatenate([o.boxes, o.boxes + 5.0, [[0.0, 0, 4, 4]]]) for o in pictures.objects]
    pool = Pool.of(pictures, regions)
    for keys, wanted in ((pool.on, True), (pool.off, False)):
        for picture, region in keys.tolist():
            shared = overlaps(regions[picture][region][None], pictures.objects[picture].boxes)
            assert (shared.max() >= 0.5) == wanted
    assert len(pool.on) + len(pool.off) == sum(map(len, regions))
    keys, labels = pool.drawn(np.random.default_rng(0), 128)
    assert len(keys) == 128 and (labels > 0).sum() == 32 and (labels[32:] == 0).all()
    of_object = {(p, r): label for (p, r), label in zip(pool.on.tolist(), pool.labels.tolist(), strict=True)}
    for (picture, region), label in zip(keys[:32].tolist(), labels[:32].tolist(), strict=True):
        best = overlaps(regions[picture][region][None], pictures.objects[picture].boxes).argmax()
        assert label == of_object[picture, region] == pictures.objects[picture].labels[best] + 1
    nothing = pictures_with_boxes(1).chosen([0], "none")
    empty = pl.detect.PicturesWithBoxes(
        "empty", nothing.classes, ("a",), (pl.detect.Objects.none(),), ((96, 96),), nothing.read
    )
    assert set(Pool.of(empty, [regions[0]]).drawn(np.random.default_rng(0), 8)[1].tolist()) == {0}
    assert len(Pool.of(pictures, [o.boxes for o in pictures.objects]).drawn(np.random.default_rng(0), 8)[0]) == 2


TRAINED = {  # from which stride on, and which parts of the network learn then
    ("resnet18", 0): {"conv1", "layer1", "layer2", "layer3", "layer4", "fc"},
    ("resnet18", 16): {"layer3", "layer4", "fc"},
    ("resnet18", 32): {"layer4", "fc"},
    ("resnet18", 64): {"fc"},
    ("alexnet", 64): {"classifier"},
    ("vgg11", 1): {"features", "classifier"},
    ("squeezenet1_1", 1000): {"classifier"},
}


@pytest.mark.parametrize(("name", "start"), TRAINED)
def test_layers_learn_from_a_stride_on(name: str, start: int) -> None:
    net = pl.models.build(name, num_classes=3)
    found = tuning_of(net, 224, DetectionConfig(backbone=name, fine_tune=1, fine_tune_from=start))
    names = {p: path for path, p in net.named_parameters().items()}
    assert {names[p].partition(".")[0] for p in found.parameters} == TRAINED[name, start]
    assert not any(".bn" in names[p] or "running" in names[p] or "downsample.1" in names[p] for p in found.parameters)
    fast = {names[p].rpartition(".")[2]: f for p, f in zip(found.parameters, found.factors, strict=True) if f > 1}
    assert fast == {"weight": 10.0, "bias": 20.0}
    assert found.frozen == names.keys() - set(found.parameters)


def test_biases_below_the_stride_stay() -> None:
    net = pl.models.build("vgg11", num_classes=3)
    found = tuning_of(net, 224, DetectionConfig(backbone="vgg11", fine_tune=1, fine_tune_from=16))
    names = {p: path for path, p in net.named_parameters().items()}
    kept = {names[p] for p in found.frozen}
    assert {"features.0.weight", "features.0.bias", "features.8.bias"} <= kept
    assert not any(name.startswith("classifier") for name in kept)


def test_regions_of_many_pictures_are_cut_out_in_their_order() -> None:
    made = tuning()
    keys = np.array([[2, 0], [0, 1], [2, 5], [1, 3], [0, 1]])
    for (picture, region), ours in zip(keys.tolist(), made.crops(keys), strict=True):
        box = made.regions[picture][region][None]
        assert np.array_equal(ours, made.backbone.crops(made.pictures.read(picture), box)[0])


@pytest.mark.parametrize("start", (0, 8))
def test_steps_change_what_learns_and_nothing_else(start: int) -> None:
    made = tuning(fine_tune_from=start)
    before = made.backbone.net.state_dict()
    assert abs(before["output.weight"].std() - 0.01) < 2e-3 and (before["output.bias"] == 0).all()
    losses = [made.step(number)["loss_of_regions"] for number in range(4)]
    assert made.done and np.isfinite(losses).all() and abs(losses[0] - np.log(3)) < 0.6
    after = made.backbone.net.state_dict()
    names = {p: path for path, p in made.backbone.net.named_parameters().items()}
    learned = {names[p] for p in made.tuning.parameters}
    assert ("conv1.weight" in learned) == (start == 0) and "conv3.weight" in learned
    assert {name for name in before if not np.array_equal(before[name], after[name])} == learned
    with pytest.raises(AssertionError):
        made.step(4)


def log_softmax(scores: np.ndarray) -> np.ndarray:
    rest = scores - scores.max(1, keepdims=True)
    return rest - np.log(np.exp(rest).sum(1, keepdims=True))


LABELS = {"all": (0, 1, 2, 3), "no background": (1, 2, 3), "some": (0, 3), "two": (1, 2)}


@pytest.mark.parametrize("there", LABELS)
def test_a_last_layer_is_fitted_by_logistic_regression(there: str) -> None:
    numbers, own = np.random.default_rng(0), np.array(LABELS[there])
    labels = own[np.arange(90) % len(own)]
    vectors = (numbers.normal(size=(90, 5)) + np.eye(5)[labels]).astype(np.float32)
    weights, biases = regressed(vectors, labels, 4)
    scale = 20 / np.linalg.norm(vectors.astype(float), axis=1).mean()
    machine = LogisticRegression(C=6 / 90, max_iter=1000).fit(vectors * scale, labels)
    scores = vectors @ weights.T + biases
    assert np.abs(log_softmax(scores[:, own]) - machine.predict_log_proba(vectors * scale)).max() < 1e-3
    absent = np.setdiff1d(np.arange(4), own)
    assert (weights[absent] == 0).all() and (biases[absent] == biases[own].min()).all()


def test_a_fit_that_ends_before_the_best_is_a_beginning_too() -> None:
    numbers = np.random.default_rng(0)
    vectors = np.maximum(numbers.normal(size=(60, 300)) * numbers.lognormal(0, 3, size=300), 0)
    weights, _ = regressed(vectors, numbers.integers(0, 21, 60), 21)
    assert np.isfinite(weights).all() and weights.any()


def test_one_class_alone_teaches_a_last_layer_nothing() -> None:
    weights, biases = regressed(np.ones((5, 3), np.float32), np.full(5, 2), 4)
    assert not weights.any() and not biases.any()


@pytest.mark.parametrize("name", (TINY, "resnet18", "squeezenet1_1"))
def test_a_network_begins_with_the_layer_that_was_fitted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tuning(backbone=name, fine_tune_begin="fitted", learning_rate=1e-12, weights="random")
    assert set(made.tuning.factors) == {1.0}
    laid: list[tuple[np.ndarray, np.ndarray]] = []

    def kept(*given: Any) -> tuple[np.ndarray, np.ndarray]:
        laid.append(regressed(*given))
        return laid[0]

    monkeypatch.setattr("pellucid.detect.rcnn.last_layer.regressed", kept)
    told = made.step(0)
    made.step(1)
    ((weights, biases),) = laid
    keys, labels = made.pool.drawn(np.random.default_rng(1), 60)
    squares = made.crops(keys)
    vectors, _ = made.backbone.described_squares(60, lambda first, end: squares[first:end])
    images, scores = scores_of(made.backbone.net, made.backbone.side, 60)
    found = np.array(compile([scores], inputs=[images])({"images": squares})[0]).reshape(60, -1)
    assert np.abs(log_softmax(found) - log_softmax(vectors @ weights.T + biases)).max() < 0.02
    assert min((found.argmax(1) == labels).mean(), told["recognized"]) >= (0.7 if "squeezenet" in name else 0.85)


class Squashed(nn.Module):
    """A network whose scores are no linear function of what its last layer sees."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.output = nn.Conv2d(3, 8, 3), nn.Linear(8, 3)

    def forward(self, images: pl.Tensor) -> pl.Tensor:
        return ops.tanh(self.output(ops.flatten(ops.global_average_pool2d(self.features(images)))))


def test_scores_that_are_not_of_one_layer_cannot_be_fitted() -> None:
    net = Squashed()
    net.initialize(0)
    backbone = Backbone(net, backbone_of(DetectionConfig(**SMALL)).preprocessing, DetectionConfig(**SMALL))
    before = net.state_dict()
    with pytest.raises(pl.detect.DetectorError, match="set fine_tune_begin=random, or choose another backbone"):
        require_fitting(backbone, 3)
    assert all(np.array_equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize("batch", (8, 12))
def test_a_step_in_parts_is_the_step_of_the_whole(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    weights: list[np.ndarray] = []
    for pixels in (10**9, 5 * 32 * 32):
        monkeypatch.setattr("pellucid.detect.rcnn.fine_tuning.PIXELS", pixels)
        made = tuning(fine_tune_batch=batch, fine_tune=2, learning_rate=0.01)
        for number in range(2):
            made.step(number)
        weights.append(made.backbone.net.state_dict()["conv3.weight"])
    assert np.allclose(*weights, rtol=1e-4, atol=1e-6)


def test_what_was_tuned_describes_regions_anew() -> None:
    config = DetectionConfig(**SMALL)
    made = tuning()
    image, boxes = made.pictures.read(0), made.regions[0][:3]
    before = made.backbone.vectors(image, boxes)
    renewed = fine_tuned(backbone_of(config, 2), made.pictures, made.regions)
    after = renewed.vectors(image, boxes)
    assert not np.array_equal(before, after)
    assert np.allclose(after, renewed.described(image, boxes)[0], rtol=2e-3, atol=1e-3)
    assert np.array_equal(after, fine_tuned(backbone_of(config, 2), made.pictures, made.regions).vectors(image, boxes))


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


def test_a_tuned_network_finds_shapes(tmp_path: Path) -> None:
    run = pl.detect.train(
        pictures_with_boxes(10), system="rcnn", validation=pictures_with_boxes(4, 100), out=tmp_path / "run",
        **{**SMALL, "fine_tune": 200, "fine_tune_batch": 32, "learning_rate": 0.02},
    )  # fmt: skip
    assert run.evaluation is not None and run.evaluation.mean > 0.8
    rows = rows_of(run.folder)
    assert [row["stage"] for row in rows] == [str(k + 1) for k in range(13)]
    assert float(rows[9]["loss_of_regions"]) < 0.6 * float(rows[0]["loss_of_regions"])
    assert float(rows[9]["recognized"]) > 0.75 and rows[10]["loss_of_regions"] == ""
    report = (run.folder / "report.html").read_text()
    assert "Losses" in report and "Its stages" in report
    again = pl.detect.load_detector(run.folder)
    image = np.ascontiguousarray(drawn(100)[0].transpose(2, 0, 1))
    ours, theirs = run.detect(image, -0.5), again.detect(image, -0.5)
    assert len(ours) and np.array_equal(ours.boxes, theirs.boxes) and np.array_equal(ours.scores, theirs.scores)
    twice = pl.detect.load_detector(run.folder, rounds=2)
    for detector in (again, twice):
        adding_up(detector, image)


def adding_up(detector: Any, image: np.ndarray) -> None:
    """Terms of every box add up to its score, which its region has, and which a step along the pixels' slopes changes by their sum."""
    found = detector.detect(image, -0.5)
    assert len(found)
    for number in range(len(found)):
        why = pl.detect.explain(detector, image, number, -0.5)
        assert np.array_equal(why.box, found.boxes[number]) and why.score == found.scores[number]
        assert np.isclose(sum(t.product for t in why.terms) + why.others + why.bias, why.score, atol=1e-4)
        alone = detector.scored_at(image, why.region[None])
        assert np.isclose(alone.scores[0, why.label], why.score, atol=1e-4)
        assert np.allclose(alone.boxes[0, why.label], why.box, atol=1e-3)
        assert np.isclose(why.pixels.sum(), why.crop_pixels.sum(), atol=1e-6)
        assert why.was_moved == (detector.config.rounds > 1)
        assert ("was moved before" in str(why)) == why.was_moved
        assert "proposal" in why.to_dict() and why.picture().html()


@pytest.mark.parametrize(
    ("taken", "begin"), [(n, "random") for n in (2, 4, 5, 8, 11, 14)] + [(1, "fitted"), (4, "fitted")]
)
def test_a_run_that_was_cut_off_ends_in_the_same_bytes(taken: int, begin: str, tmp_path: Path) -> None:
    there = pictures_with_boxes(3)
    given: dict[str, Any] = {"system": "rcnn", **SMALL, "fine_tune": 6, "learning_rate": 0.01, "fine_tune_begin": begin}
    whole = pl.detect.train(there, out=tmp_path / "whole", **given)
    with cut_off(RCNNTraining, taken, every=1):
        pl.detect.train(there, out=tmp_path / "cut", **given)
    assert not (tmp_path / "cut" / "detector.safetensors").exists()
    pl.detect.train(there, out=tmp_path / "cut", resume=True)
    assert same_detector(tmp_path / "cut", whole.folder)
    losses = [[row["loss_of_regions"] for row in rows_of(tmp_path / kind)] for kind in ("cut", "whole")]
    assert losses[0] == losses[1]


def test_a_rate_that_is_too_high_is_said(tmp_path: Path) -> None:
    given: dict[str, Any] = {**SMALL, "fine_tune": 20, "learning_rate": 1e9, "clip_norm": 0.0}
    with pytest.raises(pl.errors.PellucidError, match=r"training diverged in stage \d+: .*try a lower learning rate"):
        pl.detect.train(pictures_with_boxes(2), system="rcnn", out=tmp_path / "run", **given)
    assert not (tmp_path / "run" / "detector.safetensors").exists()


LEFT_OUT: dict[str, dict[str, Any]] = {
    "box regression": {"regression": False},
    "crop padding": {"context": 0},
    "fine-tuning": {"fine_tune": 0},
    "all of them": {"regression": False, "context": 0, "fine_tune": 0},
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_can_be_left_out(name: str, tmp_path: Path) -> None:
    given = LEFT_OUT[name]
    run = pl.detect.train(pictures_with_boxes(2), system="rcnn", out=tmp_path / "run", **{**SMALL, **given})
    detector: Any = pl.detect.load_detector(run.folder)
    image = pictures_with_boxes(1).read(0)
    scored = detector.scored(image)
    assert np.array_equal(scored.boxes[:, 0], scored.regions) == ("regression" in given)
    square = detector.backbone.crops(image, np.array([[20.0, 20, 51, 51]]))[0]
    whole = detector.backbone.preprocessing.normalize(image[None])[0, :, 20:52, 20:52]
    assert np.allclose(square, whole, atol=1e-5) == ("context" in given)
    tuned = "fine-tuning" not in name and name != "all of them"
    assert len(detector.backbone.net.state_dict()["output.bias"]) == (3 if tuned else 10)
    assert len(rows_of(run.folder)) == (7 if tuned else 3)


class Moving:
    """Scores a region by where it lies; class 0 moves it right by 10, class 1 down by 5."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def scored_at(self, image: np.ndarray, regions: np.ndarray) -> Scored:
        self.seen.append(regions)
        scores = np.stack([regions[:, 0], -regions[:, 1]], 1)
        return Scored(regions, scores, regions[:, None] + np.array([[10, 0, 10, 0], [0, 5, 0, 5]]))


@pytest.mark.parametrize("rounds", (1, 2, 3))
def test_the_surest_boxes_of_each_class_are_scored_where_they_were_moved(rounds: int) -> None:
    regions = np.array([[float(k), 7 * k, k + 20, 7 * k + 20] for k in range(6)])
    detector = Moving()
    found = localized(detector, np.zeros((3, 9, 9), np.uint8), regions, rounds, keep=2)
    assert len(detector.seen) == rounds
    if rounds == 1:
        assert np.array_equal(found.regions, regions) and np.array_equal(found.proposals, regions)
        return
    for label, (best, step) in enumerate((([5, 4], [10, 0, 10, 0]), ([0, 1], [0, 5, 0, 5]))):
        own = found.scores[:, label] > -np.inf
        wanted = regions[best] + (rounds - 1) * np.array(step)
        order = np.argsort(-found.scores[own, label])
        assert np.array_equal(found.regions[own][order], wanted)
        assert np.array_equal(found.proposals[own][order], regions[best])
        assert np.array_equal(found.boxes[own, label][order], wanted + step)
    assert ((found.scores > -np.inf).sum(1) == 1).all()


def test_boxes_that_two_classes_share_are_cut_out_once() -> None:
    class Still(Moving):
        def scored_at(self, image: np.ndarray, regions: np.ndarray) -> Scored:
            scored = super().scored_at(image, regions)
            return Scored(regions, scored.scores, regions[:, None].repeat(2, 1))

    detector = Still()
    found = localized(detector, np.zeros((3, 9, 9), np.uint8), np.array([[0.0, 0, 5, 5], [1, 1, 6, 6]]), 2)
    assert [len(there) for there in detector.seen] == [2, 2] and len(found.regions) == 4
    nothing = localized(Moving(), np.zeros((3, 9, 9), np.uint8), np.zeros((0, 4)), 2)
    assert len(nothing.regions) == 0 and nothing.boxes.shape == (0, 2, 4)


@pytest.mark.parametrize(
    ("settings", "words"),
    (
        ({"fine_tune": -1}, "fine_tune must be 0 or more"),
        ({"fine_tune": 1.5}, "fine_tune"),
        ({"fine_tune_from": -2}, "fine_tune_from must be 0 or more"),
        ({"fine_tune_batch": 3}, "fine_tune_batch must be 4 or more"),
        ({"fine_tune_begin": "fited"}, "unknown fine_tune_begin 'fited'.*fitted"),
        ({"rounds": 0}, "rounds must be 1 or more"),
        ({"rounds": 11}, "from 1 to 10"),
        ({"rounds": 2, "regression": False}, "which regression=false leaves out"),
    ),
)
def test_settings_that_make_no_sense(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(pl.errors.PellucidError, match=words):
        pl.detect.train(pictures_with_boxes(2), system="rcnn", out=tmp_path / "run", **{**SMALL, **settings})
