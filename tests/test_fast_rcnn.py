"""Fast R-CNN: boxes as offsets, suppression, what a step sees, where backbones are cut, and training that can go on."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pellucid as pl
from cut_off import cut_off, same_detector
from drawn_boxes import drawn, pictures_with_boxes, voc_folder
from dropped_boxes import explained_dropped
from pellucid.cli import app
from pellucid.detect.box_coding import decode, encode
from pellucid.detect.boxes import overlaps
from pellucid.detect.canvas import Canvas, canvas_for, mirrored
from pellucid.detect.canvas import drawn as on_canvas
from pellucid.detect.fast_rcnn.detector import FastRCNNDetector, network
from pellucid.detect.fast_rcnn.network import BackboneError, FastRCNN, channels_of, fixed_parameters, maps_of
from pellucid.detect.fast_rcnn.sampling import Candidates, Normalization, sample
from pellucid.detect.fast_rcnn.training import FastRCNNTraining
from pellucid.detect.files import read_file, write
from pellucid.detect.suppression import suppress
from pellucid.executors import run
from pellucid.scopes import inference_mode

SMALL: dict[str, Any] = {"backbone": "resnet18", "image_size": 64, "width": 16, "proposals": 40, "batch_size": 2}


@pytest.fixture(autouse=True)
def kept_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def boxes(count: int, seed: int = 0) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(0, 90, (count, 2, 2))
    return np.sort(corners, 1).reshape(count, 4)


def test_offsets_turn_boxes_into_their_goals() -> None:
    ones, goals = boxes(50), boxes(50, 1)
    wide = ((goals[:, 2:] - goals[:, :2]) > 2).all(1) & ((ones[:, 2:] - ones[:, :2]) > 2).all(1)
    assert np.allclose(decode(ones, encode(ones, goals))[wide], goals[wide])
    assert np.allclose(decode(ones, np.zeros((50, 4)))[wide], ones[wide])
    assert encode(np.array([[0.0, 0, 10, 20]]), np.array([[5.0, 0, 15, 20]])).tolist() == [[0.5, 0, 0, 0]]
    point = np.array([[3.0, 3, 3, 3]])
    assert np.isfinite(encode(point, point)).all()
    assert np.isfinite(decode(point, np.full((1, 4), 1e6))).all()


def test_suppression_keeps_the_surest() -> None:
    there = np.array([[0, 0, 9, 9], [0, 0, 9, 8], [20, 20, 29, 29], [0, 0, 9, 9], [1, 1, 2, 2]], float)
    scores = np.array([0.5, 0.9, 0.1, 0.5, 0.8])
    assert suppress(there, scores, 0.5).tolist() == [1, -1, -1, 1, -1]
    assert suppress(there, scores, 0.5, of_the_other=True).tolist() == [1, -1, -1, 1, 1]
    assert suppress(there[:0], scores[:0]).tolist() == []
    many, sure = boxes(60), np.random.default_rng(2).random(60)
    by = suppress(many, sure, 0.3)
    stays = np.flatnonzero(by < 0)
    shared = overlaps(many[stays], many[stays])
    assert (shared - np.eye(len(stays)) <= 0.3).all()
    for gone in np.flatnonzero(by >= 0):
        assert sure[by[gone]] >= sure[gone]
        assert overlaps(many[gone : gone + 1], many[by[gone] : by[gone] + 1])[0, 0] > 0.3


@pytest.mark.parametrize("size", ((375, 500), (500, 375), (300, 300), (40, 900), (1, 1), (3000, 4000)))
def test_a_canvas_shows_the_whole_picture(size: tuple[int, int]) -> None:
    canvas = canvas_for(*size, 512)
    assert all(side % 32 == 0 for side in canvas.size)
    whole = canvas.onto(np.array([[0.0, 0, size[1], size[0]]]))[0]
    assert whole[2] <= canvas.size[1] + 1e-9 and whole[3] <= canvas.size[0] + 1e-9
    assert np.allclose(canvas.back(canvas.onto(boxes(5))), boxes(5))
    image = np.random.default_rng(0).integers(0, 256, (3, *size), np.uint8)
    way = pl.data.usual_preprocessing("imagenet", (3, 32, 32)) if hasattr(pl.data, "usual_preprocessing") else None
    if way is not None:
        assert on_canvas(image, canvas, way).shape == (3, *canvas.size)


def test_a_mirror_turns_boxes_and_offsets() -> None:
    ones, goals = boxes(20), boxes(20, 1)
    turned = encode(mirrored(ones, 91), mirrored(goals, 91))
    assert np.allclose(turned, encode(ones, goals) * [-1, 1, 1, 1])
    assert np.allclose(mirrored(mirrored(ones, 91), 91), ones)


def test_a_step_sees_a_quarter_of_objects() -> None:
    objects = pl.detect.Objects(np.array([[10.0, 10, 40, 40]]), np.array([1]), np.zeros(1, bool))
    proposals = np.concatenate([np.array([[10.0 + k / 4, 10, 40 + k / 4, 40] for k in range(200)]), boxes(100)])
    candidates = Candidates.of(objects, proposals)
    assert candidates.overlaps[0] == 1
    seen = sample(candidates, np.random.default_rng(0))
    assert len(seen.labels) == 64
    assert (seen.labels == 2).sum() == 16 and set(seen.labels) == {0, 2}
    shared = overlaps(seen.boxes, objects.boxes)[:, 0]
    assert (shared[seen.labels > 0] >= 0.5).all()
    assert ((shared[seen.labels == 0] >= 0.1) & (shared[seen.labels == 0] < 0.5)).all()
    assert np.allclose(decode(seen.boxes, seen.offsets)[seen.labels > 0], objects.boxes[0])
    nothing = Candidates.of(pl.detect.Objects.none(), proposals)
    assert set(sample(nothing, np.random.default_rng(0)).labels) == {0}
    far = np.array([[60.0, 60, 69, 69]] * 200)  # which touch no object
    both = Candidates.of(objects, np.concatenate([proposals, far]))
    for share, touches_none in ((0.1, False), (0.0, True)):
        seen = sample(both, np.random.default_rng(0), background=share)
        assert (overlaps(seen.boxes, objects.boxes) == 0).any() == touches_none
    two = pl.detect.Objects(np.array([[10.0, 10, 40, 40], [60, 60, 80, 80]]), np.array([1, 0]), np.zeros(2, bool))
    few = np.array([[60.0 + k, 60, 80 + k, 80] for k in range(5)])  # on the second object
    both = Candidates.of(two, np.concatenate([proposals[:80], few]))
    share = (both.labels[both.overlaps >= 0.5] == 0).mean()
    for even in (False, True):
        every = [sample(both, np.random.default_rng(k), balanced=even).labels[:16] for k in range(200)]
        first = np.mean([labels[:2] == 1 for labels in every])
        assert abs(first - (0.5 if even else share)) < 0.06 and share < 0.2
        assert all(len(labels) == 16 and (labels > 0).all() for labels in every)
    alone = sample(Candidates.of(objects, np.zeros((0, 4))), np.random.default_rng(0))
    assert alone.labels.tolist() == [2]
    way = Normalization.of([candidates], 3)
    on = candidates.overlaps >= 0.5
    assert np.allclose(way.mean[1], candidates.offsets[on].mean(0))
    assert (way.deviation > 0).all() and way.mean.shape == (3, 4)


CUTS = {
    "alexnet": 256, "vgg11": 512, "googlenet": 832, "resnet18": 256, "densenet121": 1024, "mobilenet_v1": 512,
    "mobilenet_v2": 96, "squeezenet1_1": 512, "efficientnet_lite0": 112, "zfnet": 256,
}  # fmt: skip


@pytest.mark.parametrize("name", CUTS)
def test_regions_are_pooled_of_the_last_maps_of_stride_16(name: str) -> None:
    net = pl.models.build(name)
    with inference_mode():
        graph = net.graph((1, 3, 224, 224))
    maps = maps_of(graph.inputs[0], graph.outputs[0])
    assert maps.shape[1] == CUTS[name]
    assert maps.shape[2] in (13, 14)


@pytest.mark.parametrize("size", ((64, 64), (64, 96), (96, 64), (192, 256)))
@pytest.mark.parametrize("name", ("resnet18", "mobilenet_v2", "efficientnet_lite0"))
def test_small_canvases_are_cut_at_the_same_maps(name: str, size: tuple[int, int]) -> None:
    x = pl.input((1, 3, *size))
    with inference_mode():
        maps = maps_of(x, pl.models.build(name)(x))
    assert maps.shape == (1, CUTS[name], size[0] // 16, size[1] // 16)


def test_a_network_without_such_maps_is_no_backbone() -> None:
    net = pl.nn.Sequential(pl.nn.Conv2d(3, 4, 3, padding=1), pl.nn.GlobalAvgPool2d(), pl.nn.Flatten())
    with pytest.raises(BackboneError, match="stride of 16"):
        channels_of(net)


FIXED = {
    "resnet18": {"conv1", "layer1"},
    "vgg11": {"features.0", "features.3", "features.6"},
    "alexnet": {"features.0"},
}


@pytest.mark.parametrize("name", FIXED)
def test_the_first_layers_stay_with_their_biases(name: str) -> None:
    backbone = pl.models.build(name)
    net = FastRCNN(backbone, channels_of(backbone), 3, 16)
    fixed = fixed_parameters(net, pl.input((1, 3, 224, 224), name="images"))
    learning = {n for n, p in backbone.named_parameters().items() if p not in fixed}
    assert learning and not any(n.startswith(tuple(FIXED[name])) for n in learning)
    later = {"resnet18": "layer2.0.conv1.weight", "vgg11": "features.11.bias", "alexnet": "features.3.bias"}[name]
    assert later in learning and not any("bn" in n for n in learning)


@pytest.mark.parametrize("executor", ("reference", "native", "torch"))
def test_heads_see_the_largest_of_each_bin(executor: str) -> None:
    net = FastRCNN(pl.models.build("resnet18"), 256, 3, 16)
    net.initialize(0)
    images = np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)
    regions = np.array([[0, 0, 95, 63], [20, 10, 60, 50]], np.float32)
    with inference_mode():
        x = pl.input(images.shape, name="x")
        there = pl.input((2, 4), name="boxes")
        maps = net.maps(x)
        pooled = net.pooled(maps, there, *ops_of(np.zeros(2, np.int64)))
        outputs = [maps, pooled, *net.heads(pooled)]
    given = {"x": images, "boxes": regions}
    found, wanted = (run(outputs, given, executor=e) for e in (executor, "reference"))
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-3, atol=1e-3)
    assert np.allclose(found[1][0, :, 0, 0], found[0][0, :, :1, :1].max((1, 2)))


@pytest.mark.parametrize(
    ("backbone", "executor"),
    (("resnet18", "native"), ("efficientnet_lite0", "native"), ("efficientnet_lite0", "torch")),
)
def test_steps_are_the_same_for_every_executor(backbone: str, executor: str) -> None:
    ours, theirs = (stepped(backbone, one) for one in (executor, "reference"))
    for name, value in theirs.items():
        assert np.allclose(ours[name], value, rtol=0, atol=1e-3 * float(np.abs(value).max())), name


@cache
def stepped(backbone: str, executor: str) -> dict[str, np.ndarray]:
    """What two steps add up of slopes, in a network whose batch norms stay as they are."""
    settings = {**SMALL, "backbone": backbone, "executor": executor, "weight_decay": 0.0}
    training = FastRCNNTraining(pictures_with_boxes(2), pl.detect.DetectionConfig(**settings))
    numbers, before = np.random.default_rng(0), dict[str, np.ndarray]()
    for name, parameter in training.net.named_parameters().items():
        if name.startswith("backbone") and parameter.ndim == 1:
            parameter.value = (np.asarray(parameter.value) * numbers.uniform(0.8, 1.2, parameter.shape)).astype(
                np.float32
            )
            before[name] = parameter.value.copy()
    for number in range(2):
        training.step(next(iter(training.steps(number))), number, number)
    after = training.net.state_dict()
    assert all(np.array_equal(after[name], value) for name, value in before.items())
    return {p.name: np.array(p.value) for (p,) in training.stepper.state}


def ops_of(*values: Any) -> Any:
    from pellucid.graph import as_tensors

    return as_tensors(*values)


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


def test_training_finds_shapes(tmp_path: Path) -> None:
    run = pl.detect.train(
        pictures_with_boxes(16),
        validation=pictures_with_boxes(6, 100),
        out=tmp_path / "run",
        epochs=12,
        image_size=128,
        batch_size=4,
        width=128,
        proposals=150,
        learning_rate=0.004,
    )
    assert run.evaluation is not None
    assert run.evaluation.mean > 0.5
    rows = rows_of(run.folder)
    assert len(rows) == 12
    assert float(rows[-1]["loss_of_classes"]) < 0.6 * float(rows[0]["loss_of_classes"])
    assert "<svg" in (run.folder / "report.html").read_text()
    again = pl.detect.load_detector(run.folder)
    image = np.ascontiguousarray(drawn(100)[0].transpose(2, 0, 1))
    ours, theirs = run.detect(image, 0.2), again.detect(image, 0.2)
    assert len(ours)
    assert np.array_equal(ours.boxes, theirs.boxes) and np.array_equal(ours.scores, theirs.scores)
    assert (ours.boxes[:, :2] >= 0).all() and (ours.boxes[:, 2:] <= 95).all()
    for detector in (again, pl.detect.load_detector(run.folder, rounds=2)):
        explained(detector, image, detector.detect(image, 0.2))
        explained_dropped(detector, image, 0.05, adds_up)


def adds_up(why: Any) -> None:
    assert np.isclose(sum(t.product for t in why.terms) + why.others + why.bias, why.logit, atol=1e-4)


def explained(detector: Any, image: np.ndarray, found: Any) -> None:
    """Every box's terms add up, its score is the softmax's, it is where `detect` puts it; what it dropped overlaps it and is less sure."""
    for number in range(len(found)):
        why = pl.detect.explain(detector, image, number, 0.2)
        assert np.array_equal(why.box, found.boxes[number]) and why.label == found.labels[number]
        shares = np.exp(why.logits - why.logits.max())
        assert np.isclose(shares[1 + why.label] / shares.sum(), why.score, atol=1e-4)
        assert np.allclose(np.clip(decode(why.region[None], why.offsets[None]), 0, 95)[0], why.box, atol=1e-3)
        assert np.isclose(why.score_of_box, detector.scored_at(image, why.box[None]).scores[0, why.label])
        moved = detector.config.rounds > 1
        assert np.array_equal(why.region, why.proposal) != moved and ("was moved before" in str(why)) == moved
        assert why.bins.shape == (7, 7) and why.pixels.shape == image.shape[1:]
        for gone in why.dropped:
            assert gone.score <= why.score and gone.overlap > 0.3
            assert np.isclose(overlaps(gone.box[None], why.box[None])[0, 0], gone.overlap)
        adds_up(why)
    with pytest.raises(pl.detect.DetectorError, match=r"there is no box 99"):
        pl.detect.explain(detector, image, 99)


def test_a_run_that_was_cut_off_ends_in_the_same_bytes(tmp_path: Path) -> None:
    there = pictures_with_boxes(5)
    whole = pl.detect.train(there, out=tmp_path / "whole", epochs=3, **SMALL)
    with cut_off(FastRCNNTraining, 5):
        pl.detect.train(there, out=tmp_path / "cut", epochs=3, **SMALL)
    with pytest.raises(pl.detect.DetectorError, match="its own settings"):
        pl.detect.train(there, out=tmp_path / "cut", resume=True, epochs=9)
    pl.detect.train(there, out=tmp_path / "cut", resume=True)
    assert same_detector(tmp_path / "cut", whole.folder)
    losses = [[row["loss_of_classes"] for row in rows_of(tmp_path / name)] for name in ("cut", "whole")]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("settings", "words"),
    (
        ({"epoch": 3}, "no setting 'epoch'.*epochs"),
        ({"epochs": 0}, "epochs must be 1"),
        ({"image_size": 10}, "64 to 4096"),
        ({"image_size": 500}, "a multiple of 32, got 500; 480 and 512 are the next"),
        ({"learning_rate": -1.0}, "positive"),
        ({"schedule": "cosin"}, "unknown schedule"),
        ({"scale": 1.0}, r"\[0, 1\)"),
        ({"search_size": 63}, "64 to 4096"),
        ({"background": 0.5}, r"background must lie in \[0, 0.5\)"),
        ({"epochs": "many"}, "epochs"),
        ({"epochs": 2.5}, "epochs: must be a whole number, got 2.5"),
        ({"flip": None}, "flip: must not be None"),
        ({"backbone": "nothing"}, "nothing"),
    ),
)
def test_settings_that_make_no_sense(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(pl.errors.PellucidError, match=words):
        pl.detect.train(pictures_with_boxes(2), out=tmp_path / "run", **{**SMALL, **settings})


@pytest.mark.parametrize(
    ("settings", "words"),
    (
        ({"epochs": 2.5}, "epochs: must be a whole number, got 2.5"),
        ({"epochs": True}, "epochs: must be a whole number, got True"),
        ({"anchor_sizes": 48.0}, "anchor_sizes: must be a list"),
    ),
)
def test_settings_of_another_type_are_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(pl.detect.DetectorError, match=words):
        pl.detect.DetectionConfig(**settings)
    plain = pl.detect.DetectionConfig(batch_size=2.0, epochs=np.int64(3), flip=1, anchor_sizes=[48, 96])  # type: ignore[arg-type]
    assert plain == pl.detect.DetectionConfig(batch_size=2, epochs=3, flip=True, anchor_sizes=(48.0, 96.0))
    assert type(plain.batch_size) is type(plain.epochs) is int


def test_data_that_teaches_nothing(tmp_path: Path) -> None:
    empty = pl.detect.PicturesWithBoxes(
        "empty", ("a",), ("one",), (pl.detect.Objects.none(),), ((9, 9),), lambda k: np.zeros((3, 9, 9), np.uint8)
    )
    with pytest.raises(pl.data.DataError, match="no object to learn from"):
        pl.detect.train(empty, out=tmp_path / "run")
    other = pl.detect.PicturesWithBoxes("other", ("a", "b"), (), (), (), lambda k: np.zeros((3, 9, 9), np.uint8))
    with pytest.raises(pl.data.DataError, match="has the classes a, b"):
        pl.detect.train(pictures_with_boxes(2), validation=other, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def ask(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["detect", *words])
    error = str(done.exception) if isinstance(done.exception, pl.errors.PellucidError) else done.stderr
    return done.exit_code, done.stdout, error


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    voc_folder(tmp_path / "shapes", {"train": range(4), "val": range(50, 52)})
    given = {name: value for name, value in {**SMALL, "epochs": 1}.items() if name != "backbone"}
    small = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
    code, out, error = ask("train", "--data", "shapes", "--out", "run", "--backbone", "resnet18", *small, "--json")
    assert code == 0, error
    told = json.loads(out)
    assert told["classes"] == ["blue square", "red disk"]
    assert told["evaluation"]["pictures"] == 2
    Image.fromarray(drawn(7)[0]).save("photo.png")
    code, out, error = ask("predict", "run", "photo.png", "--threshold", "0", "--json", "--out", "page.html")
    assert code == 0, error
    (found,) = json.loads(out)["pictures"]
    assert {one["class"] for one in found["objects"]} <= {"blue square", "red disk"}
    assert "photo.png" in Path("page.html").read_text()
    code, out, error = ask("explain", "run", "photo.png", "--threshold", "0", "--json", "--out", "why.html")
    assert code == 0, error
    assert json.loads(out)["box"] == found["objects"][0]["box"]
    code, out, error = ask("evaluate", "run", "--data", "shapes", "--json")
    assert code == 0, error
    assert json.loads(out) == told["evaluation"] | {"part": "val"}
    for words, message in (
        (["predict", "nowhere", "photo.png"], "no such file"),
        (["predict", "photo.png", "photo.png"], "file of no detector"),
        (["predict", "run", "photo.png", "--threshold", "2"], "from 0 to 1"),
        (["train", "--data", "shapes", "--out", "run"], "not empty"),
        (["train", "--data", "shapes", "--system", "fast-rccn"], "fast-rcnn"),
        (["train", "--data", "shapes", "--out", "x", "--set", "epochs"], "NAME=VALUE"),
        (
            ["train", "--data", "shapes", "--out", "x", "--set", "epochs=1", "--set", "epochs = 2"],
            "epochs is given twice, 1 and 2; give it once",
        ),
    ):
        code, _, error = ask(*words)
        assert code != 0 and message in error, (words, error)


@cache
def built() -> Any:
    config = pl.detect.DetectionConfig(backbone="resnet18", image_size=64, width=24, proposals=20)
    net, preprocessing = network(config, 2)
    net.initialize(1)
    return FastRCNNDetector(net, ("a", "b"), preprocessing, config)


IMAGE = np.random.default_rng(3).integers(0, 256, (3, 96, 96), np.uint8)


@pytest.mark.parametrize("size", ((64, 64), (24, 32), (31, 97), (192, 192), (7, 350), (1, 1)))
def test_what_pixels_add_keeps_its_sum_on_the_picture(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = canvas_for(*size, 64)
    rows, columns = canvas.taken(*size)
    adds = np.random.default_rng(0).normal(size=canvas.size)
    adds[rows:], adds[:, columns:] = 0, 0
    here = canvas.parted(adds, *size)
    assert here.shape == size and np.isclose(here.sum(), adds.sum(), atol=1e-9)
    upper, part = size[0] * (rows // 2) // rows, adds[: rows // 2].sum()
    assert np.isclose(here[:upper].sum(), part, atol=2 * np.abs(here).max() * size[1])
    if size == (64, 64):
        assert canvas.size == (56, 56) or np.allclose(here, adds)
    image, detector = np.random.default_rng(3).integers(0, 256, (3, *size), np.uint8), built()
    way: dict[str, Any] = {"at": (0.0, 0, size[1] - 1, size[0] - 1), "kind": "a"}
    why = pl.detect.explain(detector, image, **way)
    monkeypatch.setattr(Canvas, "parted", lambda canvas, values, *size: values)
    whole = pl.detect.explain(detector, image, **way)
    assert why.pixels.shape == size and np.abs(whole.pixels).max() > 0
    assert np.isclose(why.pixels.sum(), whole.pixels.sum(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("ranks", "exact"),
    (
        ({"fc1": 24, "fc2": 24}, True),
        ({"fc2": 24}, True),
        ({"fc1": 3}, False),
        (None, False),
    ),
)
def test_layers_as_products_of_two(ranks: dict[str, int] | None, exact: bool, tmp_path: Path) -> None:
    """With all singular values nothing changes, with some of them the nearest matrix of that rank; a file gives it back."""
    whole = built()
    made = whole.truncated(ranks)
    regions = boxes(30) * 0.5
    ours, theirs = made.scored_at(IMAGE, regions), whole.scored_at(IMAGE, regions)
    assert np.allclose(ours.scores, theirs.scores, atol=1e-5) == exact
    assert not exact or np.allclose(ours.boxes, theirs.boxes, atol=1e-3)
    wanted = {"fc1": 6, "fc2": 1} if ranks is None else ranks
    state, before = made.net.state_dict(), whole.net.state_dict()
    for name, place in {"fc1": 0, "fc2": 3}.items():
        if name in wanted:
            assert state[f"head.{place}.0.weight"].shape[0] == wanted[name]
            weight = before[f"head.{place}.weight"].astype(np.float64)
            product = state[f"head.{place}.1.weight"] @ state[f"head.{place}.0.weight"]
            lost = np.linalg.svd(weight, compute_uv=False)[wanted[name] :]
            assert np.isclose(np.linalg.norm(weight - product), np.linalg.norm(lost), atol=1e-5)
            assert np.array_equal(state[f"head.{place}.1.bias"], before[f"head.{place}.bias"])
        else:
            assert np.array_equal(state[f"head.{place}.weight"], before[f"head.{place}.weight"])
    pl.detect.save_detector(made, tmp_path / "detector.safetensors")
    again = pl.detect.load_detector(tmp_path)
    assert np.array_equal(again.scored_at(IMAGE, regions).scores, ours.scores)
    assert again.settings() == made.settings()
    if ranks is None:
        found = again.detect(IMAGE, 0.2)
        explained(again, IMAGE, pl.detect.Detections(found.boxes[:1], found.labels[:1], found.scores[:1]))


def test_a_truncated_layer_is_truncated_again() -> None:
    whole = built()
    once = whole.truncated({"fc1": 5})
    twice = whole.truncated({"fc1": 10}).truncated({"fc1": 5, "fc2": 24})
    regions = boxes(30) * 0.5
    assert np.allclose(twice.scored_at(IMAGE, regions).scores, once.scored_at(IMAGE, regions).scores, atol=1e-5)


def test_a_detector_is_kept_smaller(tmp_path: Path) -> None:
    made = pl.detect.compress(built(), tmp_path / "new", {"fc1": 4, "fc2": 2})
    assert [(one.name, one.rank) for one in made.layers] == [("fc1", 4), ("fc2", 2)]
    assert made.layers[0].products == (256 * 49 * 24, 4 * (256 * 49 + 24))
    assert 0 < made.layers[1].share < 1 and made.before > 0 and made.after > 0
    code, out, error = ask(
        "compress", str(tmp_path / "new"), "--rank", "fc1=3", "--out", str(tmp_path / "other"), "--json"
    )
    assert code == 0, error
    assert json.loads(out)["layers"][0]["rank"] == 3
    assert pl.detect.load_detector(tmp_path / "other").settings()["ranks"] == {"fc1": 3, "fc2": 2}
    for ranks, words in (
        ({"fc3": 4}, "no layer 'fc3'"),
        ({"fc1": 0}, "from 1 to 24, got 0"),
        ({"fc2": 25}, "from 1 to 24, got 25"),
    ):
        with pytest.raises(pl.detect.DetectorError, match=words):
            pl.detect.compress(built(), tmp_path / "wrong", ranks)
    assert not (tmp_path / "wrong").exists()
    for words, message in (
        (["compress", str(tmp_path / "new"), "--rank", "fc1", "--out", "x"], "NAME=VALUE"),
        (["compress", str(tmp_path / "new"), "--rank", "fc1=many", "--out", "x"], "rank.fc1"),
        (["compress", str(tmp_path / "new"), "--out", str(tmp_path / "other")], "not empty"),
    ):
        code, _, error = ask(*words)
        assert code != 0 and message in error, (words, error)
    other, (arrays, told) = (
        tmp_path / "other" / "detector.safetensors",
        read_file(tmp_path / "other" / "detector.safetensors"),
    )
    for wrong in ({"fc1": 10**9}, {"fc9": 3}, {"fc1": 4, "fc2": 2}, [3]):
        write(other, arrays, {**told, "ranks": wrong})
        with pytest.raises(pl.detect.DetectorError):
            pl.detect.load_detector(other)
