"""R-CNN: crops as the authors cut them, features that are kept, classifiers and what they learn from, regressions, and the whole of it."""

from __future__ import annotations

import csv
import json
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
from pellucid.data import usual_preprocessing
from pellucid.detect.box_coding import decode
from pellucid.detect.boxes import overlaps
from pellucid.detect.config import DetectionConfig
from pellucid.detect.files import write
from pellucid.detect.rcnn.classifiers import Machines, Mine, hard, scale_for
from pellucid.detect.rcnn.crops import CropSettings, crop_of, cut_out, enlarged, onto_picture, squares_of
from pellucid.detect.rcnn.detector import RCNNDetector
from pellucid.detect.rcnn.features import Backbone, backbone_of
from pellucid.detect.rcnn.regression import RIDGE, Whitening, learned, ridge, with_one
from pellucid.detect.rcnn.training import RCNNTraining
from pellucid.detect.run import SYSTEMS

WAY = usual_preprocessing("imagenet", (3, 32, 32))
SMALL: dict[str, Any] = {"system": "rcnn", "backbone": "resnet18", "crop_size": 32, "context": 3, "proposals": 40}


@pytest.fixture(autouse=True)
def kept_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, height, width)).astype(np.uint8)


CROPS = {  # box on a picture of 60 x 80, and where it lies on a square of 64 with 8 pixels of context
    "inside": ((20, 20, 49, 43), (16, 49, 15, 56, 0, 0, 64, 64)),
    "a corner": ((0, 0, 29, 29), (0, 36, 0, 36, 8, 8, 56, 56)),
    "the other corner": ((50, 30, 79, 59), (25, 60, 45, 80, 0, 0, 55, 55)),
    "the whole picture": ((0, 0, 79, 59), (0, 60, 0, 80, 8, 8, 47, 48)),
    "one pixel": ((10, 10, 10, 10), (10, 12, 10, 12, 0, 0, 64, 64)),
}


@pytest.mark.parametrize("name", CROPS)
def test_a_crop_is_where_the_authors_cut_it(name: str) -> None:
    box, wanted = CROPS[name]
    crop = crop_of(np.array(box, float), (60, 80), 64, 8)
    assert (crop.top, crop.bottom, crop.left, crop.right, crop.y, crop.x, crop.height, crop.width) == wanted


ENLARGED = {  # box on a picture of 60 x 80, by which share of its size on each side, and what comes of it
    "to twice its size": ((20, 20, 49, 43), 0.5, (5, 8, 64, 55)),
    "odd sides are rounded from 0": ((10, 10, 14, 14), 0.5, (8, 8, 17, 17)),
    "cut at the edges": ((0, 30, 29, 59), 0.5, (0, 15, 44, 59)),
    "by a quarter": ((20, 20, 39, 27), 0.25, (15, 18, 44, 29)),
    "a part of it lies in the picture": ((82, 10, 101, 19), 0.5, (72, 5, 79, 24)),
    "outside of the picture": ((200, 10, 250, 40), 0.5, (175, -6, 276, 56)),
    "not at all": ((3.4, 7.7, 61.2, 33.3), 0.0, (3.4, 7.7, 61.2, 33.3)),
}


@pytest.mark.parametrize("name", ENLARGED)
def test_context_is_cut_out_around_a_box(name: str) -> None:
    box, share, wanted = ENLARGED[name]
    size, given = (60, 80), np.array([box], float)
    if share:
        assert enlarged(given, size, share).tolist() == [list(wanted)]
    ours, theirs = (crop_of(b, size, 64, 8, c) for b, c in ((given[0], share), (np.array(wanted, float), 0.0)))
    assert ours == theirs
    assert ours.is_empty == (name == "outside of the picture")


@pytest.mark.parametrize("box", [*(box for box, _ in CROPS.values()), (-30, -10, 20, 70), (3.4, 7.7, 61.2, 33.3)])
@pytest.mark.parametrize("side", (32, 227))
def test_what_is_outside_the_picture_is_the_mean(box: tuple[float, ...], side: int) -> None:
    import torch

    image = photo(60, 80)
    crop = crop_of(np.array(box, float), (60, 80), side, side // 14)
    square = cut_out(image, crop, side, WAY)
    inside = np.zeros((side, side), bool)
    inside[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width] = True
    assert (square[:, ~inside] == 0).all()
    part = torch.from_numpy(image[:, crop.top : crop.bottom, crop.left : crop.right].astype(np.float32))[None]
    warped = torch.nn.functional.interpolate(part, (crop.height, crop.width), mode="bilinear", antialias=False)[0]
    wanted = WAY.normalize(warped.numpy())
    assert np.allclose(square[:, inside].reshape(wanted.shape), wanted, atol=2e-4)
    adds = np.random.default_rng(1).normal(size=(side, side))
    assert np.isclose(onto_picture(adds, crop, (60, 80)).sum(), adds[inside].sum())


@pytest.mark.parametrize(
    "how", [CropSettings(32, 3), CropSettings(65, 0), CropSettings(48, 16, 0.5), CropSettings(227)]
)
def test_all_regions_at_once_are_as_one_by_one(how: CropSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    image, outside = photo(60, 80), [(200, 10, 250, 40), (-90, -90, -50, -50), (3.4, 7.7, 61.2, 33.3)]
    boxes = np.array([*(box for box, _ in CROPS.values()), *outside], float)
    way = usual_preprocessing("imagenet", (3, 32, 32))
    found = squares_of(image, boxes, how, way)
    for box, square in zip(boxes, found, strict=True):
        crop = crop_of(box, (60, 80), how.side, how.padding, how.context)
        assert np.allclose(square, cut_out(image, crop, how.side, way), rtol=1e-5, atol=2e-6)
    assert squares_of(image, boxes[:0], how, way).shape == (0, 3, how.side, how.side)
    turned = np.asfortranarray(image)
    assert np.array_equal(squares_of(turned, boxes, how, way), found)
    monkeypatch.setattr("pellucid.detect.rcnn.crops.compiled", lambda: None)
    assert np.allclose(squares_of(image, boxes, how, way), found, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("box", ((200, 10, 250, 40), (-90, -90, -50, -50), (10, 300, 20, 400)))
def test_a_region_outside_the_picture_is_the_mean(box: tuple[float, ...]) -> None:
    crop = crop_of(np.array(box, float), (60, 80), 32, 3)
    assert crop.is_empty
    assert (cut_out(photo(60, 80), crop, 32, WAY) == 0).all()
    assert (onto_picture(np.ones((32, 32)), crop, (60, 80)) == 0).all()


SHAPES = {  # the vector before the last layer, and the last maps as far as 10,000 numbers allow
    "alexnet": (4096, 9216), "resnet18": (512, 512 * 4), "squeezenet1_1": (512, 512 * 9), "googlenet": (1024, 1024 * 4),
    "mobilenet_v2": (1280, 1280 * 4), "efficientnet-lite0": (1280, 1280 * 4),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_any_backbone_describes_regions(name: str) -> None:
    config = DetectionConfig(backbone=name, crop_size=64)
    net = pl.models.build(name.replace("-", "_"))
    _, vectors, maps = Backbone(net, WAY, config).outputs(2)
    assert (vectors.shape, maps.shape) == ((2, SHAPES[name][0]), (2, SHAPES[name][1]))


def test_features_are_kept_by_what_they_are_of(monkeypatch: pytest.MonkeyPatch) -> None:
    config = DetectionConfig(backbone="resnet18", crop_size=32, context=2)
    backbone = backbone_of(config)
    image, boxes = photo(40, 50, 7), np.array([[2.0, 3, 20, 30], [5, 5, 40, 20]])
    computed = list[int]()
    described = Backbone.described

    def counted(self: Backbone, image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        computed.append(len(boxes))
        return described(self, image, boxes)

    monkeypatch.setattr(Backbone, "described", counted)
    first = backbone.vectors(image, boxes)
    assert first.dtype == np.float16 and np.array_equal(first, backbone_of(config).vectors(image, boxes))
    assert np.allclose(first.astype(float), described(backbone, image, boxes)[0], rtol=2e-3, atol=1e-3)
    assert computed == [2]
    others = (
        (image, boxes[:1], config),
        (photo(40, 50, 8), boxes, config),
        (image, boxes, DetectionConfig(backbone="resnet18", crop_size=32, context=3)),
        (image, boxes, DetectionConfig(backbone="resnet18", crop_size=48, context=2)),
        (image, boxes, DetectionConfig(backbone="resnet18", crop_size=32, context=2, seed=1)),
    )
    for number, (other, there, how) in enumerate(others):
        backbone_of(how).vectors(other, there)
        assert len(computed) == 2 + number
    around = Backbone(backbone.net, backbone.preprocessing, config, CropSettings(32, 2, 0.5))
    assert not np.allclose(around.vectors(image, boxes), first)
    assert np.array_equal(around.vectors(image, boxes), around.vectors(image, boxes)) and len(computed) == 7


def points(count: int, numbers: int, center: float, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, numbers)) + center).astype(np.float16)


def test_mining_takes_each_region_once() -> None:
    mine = Mine(points(5, 8, 1.0, 0))
    keys = np.stack([np.zeros(40, np.int64), np.arange(40)], 1)
    assert mine.add(points(40, 8, -1.0, 1), keys) == 40
    assert mine.add(points(40, 8, -1.0, 1), keys) == 0
    assert mine.add(points(50, 8, -1.0, 2), np.stack([np.arange(50) % 2, np.arange(50)], 1)) == 30
    assert mine.add(points(2, 8, -1.0, 3), np.array([[7, 7], [7, 7]])) == 1
    assert len({*map(tuple, mine.keys.tolist())}) == len(mine.keys) == len(mine.negatives) == len(mine) == 71
    assert mine.is_due
    machines = Machines.untaught(2, 8, scale_for([mine.positives, mine.negatives]))
    machines.fit(0, mine, 0)
    assert not mine.is_due and mine.added == 0
    assert (machines.scores(mine.negatives)[:, 0] >= -1.2).all() and len(mine.keys) == len(mine.negatives) < 71
    assert (machines.scores(mine.positives)[:, 0] > machines.scores(points(40, 8, -1.0, 1))[:, 0].max()).all()
    assert (machines.scores(mine.negatives)[:, 1] == -1).all()


def test_hard_regions_are_background_that_is_not_sure() -> None:
    scores, background = np.array([-2, -1.0001, -1.0, 0.5, 0.5]), np.array([True, True, True, True, False])
    mine = Mine(np.zeros((1, 2)))
    assert hard(mine, scores, background).tolist() == [True, True, True, True, False]
    mine.fitted = True
    assert hard(mine, scores, background).tolist() == [False, False, True, True, False]


def test_features_are_scaled_to_a_norm_of_20() -> None:
    there = [points(30, 6, 3.0, 0), points(10, 6, 1.0, 1)]
    scale = scale_for(there)
    assert np.isclose(np.linalg.norm(np.concatenate(there).astype(float) * scale, axis=1).mean(), 20)
    assert scale_for([np.zeros((3, 4))]) == scale_for([]) == 1


def test_whitened_offsets_come_back() -> None:
    numbers = np.random.default_rng(0)
    offsets = numbers.normal(size=(200, 4)) @ (numbers.normal(size=(4, 4)) + 3 * np.eye(4)) + 3
    whitening = Whitening.of(offsets)
    white = whitening.white(offsets)
    assert np.allclose(whitening.colored(white), offsets)
    assert np.allclose(white.mean(0), 0, atol=1e-12) and np.allclose(white.T @ white / 200, np.eye(4), atol=2e-2)
    alone = Whitening.of(offsets[:1])
    assert np.allclose(alone.colored(alone.white(offsets)), offsets)


@pytest.mark.parametrize("shape", ((30, 8), (8, 30)))
def test_ridge_is_where_its_slope_is_none(shape: tuple[int, int]) -> None:
    numbers = np.random.default_rng(0)
    x, y = numbers.normal(size=shape), numbers.normal(size=(shape[0], 4))
    weights = ridge(x, y, 3.0)
    assert weights.shape == (shape[1], 4)
    assert np.allclose(x.T @ (x @ weights - y) + 3.0 * weights, 0, atol=1e-10)


def test_regression_predicts_whitened_offsets_and_undoes_it() -> None:
    numbers = np.random.default_rng(0)
    maps, offsets = numbers.normal(size=(300, 5)), numbers.normal(size=(300, 4)) * 0.1
    offsets[:, 0] += 0.2 * maps[:, 1]
    weights = learned(maps, offsets, 7.0)
    given, whitening = with_one(maps, 7.0), Whitening.of(offsets)
    white = given @ np.linalg.solve(given.T @ given + RIDGE * np.eye(6), given.T @ whitening.white(offsets))
    assert np.allclose(given @ weights, whitening.colored(white))
    assert (learned(maps[:0], offsets[:0], 7.0) == 0).all()


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


def test_training_finds_shapes(tmp_path: Path) -> None:
    run = pl.detect.train(
        pictures_with_boxes(12),
        system="rcnn",
        validation=pictures_with_boxes(4, 100),
        out=tmp_path / "run",
        crop_size=48,
        context=5,
        proposals=60,
    )
    assert run.evaluation is not None
    assert run.evaluation.mean > 0.8
    assert "3 stages" in str(run) and [row["stage"] for row in rows_of(run.folder)] == ["1", "2", "3"]
    assert "<svg" in (run.folder / "report.html").read_text()
    again = pl.detect.load_detector(run.folder)
    image = np.ascontiguousarray(drawn(100)[0].transpose(2, 0, 1))
    ours, theirs = run.detect(image, -0.5), again.detect(image, -0.5)
    assert len(ours) >= 2
    assert np.array_equal(ours.boxes, theirs.boxes) and np.array_equal(ours.scores, theirs.scores)
    assert (ours.boxes[:, :2] >= 0).all() and (ours.boxes[:, 2:] <= 95).all()
    explained(again, image, ours)
    for rounds in (1, 2):
        explained_dropped(pl.detect.load_detector(run.folder, rounds), image, -1.0, adds_up)
    words = str(pl.detect.find(again, [("one", image)]))
    assert "+" in words and "%" not in words


def adds_up(why: Any) -> None:
    assert np.isclose(sum(t.product for t in why.terms) + why.others + why.bias, why.score, atol=1e-4)


def explained(detector: Any, image: np.ndarray, found: Any) -> None:
    """Every box's terms add up to its score, it is where `detect` puts it, and its pixels' shares are those of the crop."""
    for number in range(len(found)):
        why = pl.detect.explain(detector, image, number, -0.5)
        assert np.array_equal(why.box, found.boxes[number]) and why.label == found.labels[number]
        assert why.score == found.scores[number]
        adds_up(why)
        assert np.isclose(why.margins[why.label], why.score, atol=1e-4)
        assert np.allclose(np.clip(decode(why.region[None], why.offsets[None]), 0, 95)[0], why.box, atol=1e-3)
        assert np.isclose(detector.scored_at(image, why.box[None]).scores[0, why.label], why.score_of_box, atol=1e-4)
        assert why.crop.shape == (3, 48, 48) and why.pixels.shape == image.shape[1:]
        assert np.isclose(why.pixels.sum(), why.crop_pixels.sum(), atol=1e-6)
        for gone in why.dropped:
            assert gone.score <= why.score and gone.overlap > 0.3
            assert np.isclose(overlaps(gone.box[None], why.box[None])[0, 0], gone.overlap)
        json.dumps(why.to_dict())
    with pytest.raises(pl.detect.DetectorError, match=r"there is no box 99"):
        pl.detect.explain(detector, image, 99)
    with pytest.raises(
        pl.detect.DetectorError, match=rf"has 0 boxes.*the surest has \{detector.scale.told(found.scores[0])}$"
    ):
        pl.detect.explain(detector, image, 0, 50.0)


@pytest.mark.parametrize("taken", (2, 6, 9, 14))
def test_a_run_that_was_cut_off_ends_in_the_same_bytes(taken: int, tmp_path: Path) -> None:
    there = pictures_with_boxes(5)
    whole = pl.detect.train(there, out=tmp_path / "whole", **SMALL)
    with cut_off(RCNNTraining, taken, every=1):
        pl.detect.train(there, out=tmp_path / "cut", **SMALL)
    assert not (tmp_path / "cut" / "detector.safetensors").exists()
    with pytest.raises(pl.detect.DetectorError, match="is a run of rcnn"):
        pl.detect.train(there, out=tmp_path / "cut", resume=True, system="fast-rcnn")
    pl.detect.train(there, out=tmp_path / "cut", resume=True)
    assert same_detector(tmp_path / "cut", whole.folder)


def test_without_regression_boxes_stay_where_proposals_are(tmp_path: Path) -> None:
    run = pl.detect.train(pictures_with_boxes(3), out=tmp_path / "run", regression=False, **SMALL)
    image = pictures_with_boxes(1).read(0)
    scored = run.detector.scored(image)
    assert np.allclose(scored.boxes, scored.regions[:, None])


def test_what_cannot_be_learned(tmp_path: Path) -> None:
    whole = pl.detect.Objects(np.array([[0.0, 0, 39, 39]]), np.array([0]), np.zeros(1, bool))
    even = np.full((3, 40, 40), 90, np.uint8)
    one = pl.detect.PicturesWithBoxes("even", ("all", "never"), ("one",), (whole,), ((40, 40),), lambda k: even)
    with pytest.raises(pl.detect.DetectorError, match="no region is background to the class 'all'"):
        pl.detect.train(one, out=tmp_path / "run", **SMALL)
    three = pictures_with_boxes(3)
    more = pl.detect.PicturesWithBoxes(
        "more", (*three.classes, "never"), three.names, three.objects, three.sizes, three.read
    )
    run = pl.detect.train(more, out=tmp_path / "more", **SMALL)
    assert 2 not in run.detect(three.read(0)).labels


@pytest.mark.parametrize(
    ("settings", "words"),
    (
        ({"crop_size": 8}, "32 to 1024"),
        ({"context": 16}, "a crop_size of more than 32"),
        ({"context": -1}, "0 or more"),
        ({"backbone": "nothing"}, "nothing"),
    ),
)
def test_settings_that_make_no_sense(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(pl.errors.PellucidError, match=words):
        pl.detect.train(pictures_with_boxes(2), out=tmp_path / "run", **{**SMALL, **settings})


@pytest.mark.parametrize(
    ("crop", "words"),
    (
        (CropSettings(32, 16), "a crop_size of more than 32"),
        (CropSettings(2000), "up to 1024"),
        (CropSettings(64, 3, -0.5), "enlarged by -0.5"),
        (CropSettings(64, 3, float("nan")), "wants 0 to 10"),
    ),
)
def test_crops_that_make_no_sense(crop: CropSettings, words: str) -> None:
    with pytest.raises(pl.detect.DetectorError, match=words):
        Backbone(pl.models.build("resnet18"), WAY, DetectionConfig(backbone="resnet18"), crop)


@pytest.mark.parametrize(
    ("told", "words"),
    (
        ({"classes": None}, "classes: must be a list"),
        ({"classes": [1]}, "must be text"),
        ({"classes": ["a", "b"]}, "of 2 classes"),
        ({"config": 3}, "config: must be names"),
        ({"config": {"epoch": 1}}, "no setting 'epoch'"),
        ({"preprocessing": {}}, "image_size"),
        ({"system": "yolo"}, "unknown system"),
        ({"system": ["rcnn"]}, "unknown system"),
        ({"config": {"backbone": "resnet18"}, "size": [5000, 5000]}, "up to 1024"),
        ({"config": {"backbone": "alexnet", "crop_size": 64}}, "do not fit an R-CNN on alexnet"),
    ),
)
def test_files_of_no_detector(told: dict[str, Any], words: str, tmp_path: Path) -> None:
    backbone = Backbone(pl.models.build("resnet18"), WAY, DetectionConfig(backbone="resnet18", crop_size=64))
    backbone.net.initialize(0)
    made = RCNNDetector(backbone, ("a",), Machines.untaught(1, 512, 1.0), np.zeros((1, 2049, 4)), 1.0)
    good = {"system": "rcnn", **made.settings()}
    write(tmp_path / "good.safetensors", made.arrays(), good)
    assert pl.detect.load_detector(tmp_path / "good.safetensors").classes == ("a",)
    size = {"preprocessing": {**WAY.to_dict(), "image_size": told["size"]}} if "size" in told else {}
    write(tmp_path / "bad.safetensors", made.arrays(), {**good, **told, **size})
    with pytest.raises(pl.errors.PellucidError, match=words):
        pl.detect.load_detector(tmp_path / "bad.safetensors")


def test_the_stronger_network_is_a_setting() -> None:
    assert SYSTEMS["rcnn-star"].settings["backbone"] == "efficientnet-lite2"
    assert SYSTEMS["rcnn-star"].settings["fine_tune"] > 0
    assert SYSTEMS["rcnn"].settings["crop_size"] == 128 and "fine_tune" not in SYSTEMS["rcnn"].settings


def ask(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["detect", *words])
    error = str(done.exception) if isinstance(done.exception, pl.errors.PellucidError) else done.stderr
    return done.exit_code, done.stdout, error


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    voc_folder(tmp_path / "shapes", {"train": range(4), "val": range(50, 52)})
    small = [word for name in ("crop_size", "context", "proposals") for word in ("--set", f"{name}={SMALL[name]}")]
    tiny = "Conv2d 8 5 stride=2, ReLU, Conv2d 16 3 stride=2, ReLU, GlobalAvgPool2d, Flatten"
    begin = ("train", "--data", "shapes", "--backbone", tiny, *small, "--json")
    tuned = ("--fine-tune", "2", "--set", "fine_tune_batch=8")
    code, out, error = ask(*begin, "--system", "rcnn-star", *tuned, "--out", "run")
    assert code == 0, error
    told = json.loads(out)
    assert told["system"] == "rcnn-star" and told["config"]["backbone"] == tiny
    assert told["config"]["fine_tune"] == 2 and "loss_of_regions" in told["epochs"][0]
    Image.fromarray(drawn(7)[0]).save("photo.png")
    code, out, error = ask("predict", "run", "photo.png", "--threshold", "-1.5", "--json", "--out", "page.html")
    assert code == 0, error
    (found,) = json.loads(out)["pictures"]
    assert found["objects"] and min(one["score"] for one in found["objects"]) >= -1.5
    code, out, error = ask("explain", "run", "photo.png", "--threshold", "-1.5", "--json", "--out", "why.html")
    assert code == 0, error
    assert json.loads(out)["box"] == found["objects"][0]["box"]
    code, out, error = ask("evaluate", "run", "--data", "shapes", "--json")
    assert code == 0, error
    assert json.loads(out) == told["evaluation"] | {"part": "val"}
    code, twice, error = ask("predict", "run", "photo.png", "--threshold", "-1.5", "--json", "--rounds", "2")
    assert code == 0 and json.loads(twice)["pictures"] != [found], error
    code, out, error = ask("explain", "run", "photo.png", "--threshold", "-1.5", "--json", "--rounds", "2")
    assert code == 0 and json.loads(out)["box"] == json.loads(twice)["pictures"][0]["objects"][0]["box"], error
    Path("found.csv").write_text("file,x1,y1,x2,y2,class,score\n")
    for words, message in (
        (("predict", "run", "photo.png", "--threshold", "nan"), "must be a number"),
        (("predict", "run", "photo.png", "--rounds", "11"), "from 1 to 10"),
        (("evaluate", "found.csv", "--data", "shapes", "--rounds", "2"), "holds what was found already"),
    ):
        code, _, error = ask(*words)
        assert code != 0 and message in error, (words, error)
