"""Detectors beside each other: intervals against a slow reference, tables, what is kept, and what is left out in words."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

import pellucid as pl
from cut_off import cut_off
from drawn_boxes import pictures_with_boxes, voc_folder
from pellucid.cli import app
from pellucid.detect.average_precision import average_precision, match
from pellucid.detect.comparison.ablation import ablation
from pellucid.detect.comparison.entries import Entry
from pellucid.detect.comparison.working import Measuring, Work
from pellucid.detect.detector import Scored
from pellucid.detect.history import SYSTEMS as LECTURE
from pellucid.detect.keeping import apart, kept
from pellucid.detect.proposals.grid import grid
from pellucid.detect.rcnn.training import RCNNTraining
from pellucid.detect.resampling import draws_of, interval_of, means_of, precisions
from pellucid.detect.run import SYSTEMS
from pellucid.files import write_atomically

SMALL: dict[str, Any] = {
    "backbone": "resnet18", "rcnn.crop_size": 32, "rcnn.context": 4, "proposals": 30,
    "fast-rcnn.image_size": 64, "fast-rcnn.width": 16, "fast-rcnn.epochs": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def kept_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


class Told(pl.detect.Detector):
    """Knows what is on drawn pictures, and says it with some boxes moved by `wrong` pixels."""

    system = "told"
    asked: ClassVar[list[int]] = []

    def __init__(
        self, pictures: pl.detect.PicturesWithBoxes, wrong: float, classes: tuple[str, ...] | None = None
    ) -> None:
        self.pictures, self.wrong, self.classes = pictures, wrong, classes or pictures.classes

    def scored(self, image: np.ndarray, threshold: float | None = None) -> Scored:
        number = next(k for k in range(len(self.pictures)) if np.array_equal(self.pictures.read(k), image))
        self.asked.append(number)
        objects = self.pictures.objects[number]
        numbers = np.random.default_rng(number)
        moved = objects.boxes + self.wrong * (numbers.random((len(objects), 1)) < 0.5)
        scores = np.zeros((len(objects), len(self.classes)))
        for row, label in enumerate(objects.labels.tolist()):
            if (name := self.pictures.classes[label]) in self.classes:
                scores[row, self.classes.index(name)] = 0.5 + 0.5 * numbers.random()
        return Scored(moved, scores, np.repeat(moved[:, None], len(self.classes), 1))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"wrong": np.array([self.wrong])}

    def settings(self) -> dict[str, Any]:
        return {"classes": list(self.classes)}

    @classmethod
    def made_of(cls, arrays: dict[str, np.ndarray], settings: dict[str, Any]) -> Any:
        raise NotImplementedError


class Blue(Told):
    """Takes everything for a blue square."""

    system = "blue"

    def scored(self, image: np.ndarray, threshold: float | None = None) -> Scored:
        number = next(k for k in range(len(self.pictures)) if np.array_equal(self.pictures.read(k), image))
        boxes, label = self.pictures.objects[number].boxes, self.classes.index("blue square")
        scores = 0.9 * np.eye(len(self.classes))[[label] * len(boxes)]
        return Scored(boxes, scores, np.repeat(boxes[:, None], len(self.classes), 1))


class Remarked(Told):
    """The same with something to be said."""

    notes = ("segments: drawn by hand",)


def random_matches(seed: int, pictures: int = 12, most: int = 9, kinds: int = 2) -> list[Any]:
    """Detections and objects at random, some difficult, some pictures with none of either; boxes of few sizes so that many are right."""
    numbers = np.random.default_rng(seed)

    def boxes(count: int) -> np.ndarray:
        low = numbers.integers(0, 4, (count, 2)) * 10.0
        return np.concatenate([low, low + 10 + numbers.integers(0, 4, (count, 2))], 1)

    found: list[pl.detect.Detections] = []
    there: list[pl.detect.Objects] = []
    for _ in range(pictures):
        n, m = numbers.integers(0, most, 2)
        scores = np.round(numbers.random(n), 1)  # many are equal
        found.append(pl.detect.Detections(boxes(n), numbers.integers(0, kinds, n), scores))
        there.append(pl.detect.Objects(boxes(m), numbers.integers(0, kinds, m), numbers.random(m) < 0.2))
    return [match(found, there, label) for label in range(kinds)]


def slowly(matches: list[Any], draws: np.ndarray, metric: str) -> np.ndarray:
    """The mean of every draw, each curve gone through by itself."""
    means: list[float] = []
    for draw in draws.astype(float):
        each = [average_precision(*m.curve(draw), metric) for m in matches if draw @ m.objects > 0]
        means.append(float(np.mean(each)) if each else np.nan)
    return np.array(means)


@pytest.mark.parametrize("metric", ("voc2007", "voc2010"))
@pytest.mark.parametrize(("pictures", "most", "kinds"), ((12, 9, 2), (1, 9, 1), (3, 2, 3), (40, 15, 2), (5, 1, 2)))
def test_draws_give_what_each_would_by_itself(metric: str, pictures: int, most: int, kinds: int) -> None:
    for seed in range(4):
        matches = random_matches(seed, pictures, most, kinds)
        draws = draws_of(pictures, 130, seed)
        assert draws.shape == (130, pictures) and (draws.sum(1) == pictures).all()
        wanted = slowly(matches, draws, metric)
        assert np.allclose(means_of(matches, draws, metric), wanted, rtol=0, atol=1e-12, equal_nan=True)
        whole = np.ones((1, pictures), np.int64)
        for one in matches:
            expected = average_precision(*one.curve(), metric) if one.positives else np.nan
            assert np.allclose(precisions(one, whole, metric), expected, rtol=0, atol=1e-12, equal_nan=True)


def test_intervals_are_quantiles_of_the_draws() -> None:
    there = pictures_with_boxes(12)
    found = pl.detect.find_all(Told(there, 20), there)
    measured = pl.detect.evaluate(found, there, "voc2010", draws=200, seed=3)
    means = slowly([match(found, there.objects, label) for label in (0, 1)], draws_of(12, 200, 3), "voc2010")
    assert np.allclose(measured.interval, np.quantile(means, [0.025, 0.975]))
    assert measured.interval[0] < measured.mean < measured.interval[1]
    assert np.array_equal(draws_of(12, 200, 3)[:50], draws_of(12, 50, 3))
    assert all(map(np.isnan, interval_of(np.full(5, np.nan))))


def compared(tmp_path: Path, *wrong: float, **given: Any) -> pl.detect.DetectionComparison:
    there = pictures_with_boxes(10)
    return pl.detect.compare([Told(there, one) for one in wrong], data=there, folder=tmp_path / "kept", **given)


def test_a_better_detector_is_shown_to_be_better(tmp_path: Path) -> None:
    found = compared(tmp_path, 0, 20, draws=300)
    good, bad = found.systems
    assert good.evaluation.mean == 1 and bad.evaluation.mean < 0.8
    assert (good.name, bad.name) == ("told", "told (2)")
    (difference,) = found.differences
    assert (difference.better, difference.than) == ("told (2)", "told")
    assert np.isclose(difference.difference, bad.evaluation.mean - good.evaluation.mean)
    assert difference.interval[1] < 0 and difference.is_shown and difference.words == "the other way"
    assert compared(tmp_path, 0, 0).differences[0].words == "these pictures cannot tell"
    there = pictures_with_boxes(10)
    draws = draws_of(10, 300)
    means = [
        slowly(
            [match(pl.detect.find_all(Told(there, wrong), there), there.objects, k) for k in (0, 1)], draws, "voc2007"
        )
        for wrong in (20, 0)
    ]
    assert np.allclose(difference.interval, np.quantile(means[0] - means[1], [0.025, 0.975]))


def test_what_a_comparison_tells(tmp_path: Path) -> None:
    found = compared(tmp_path, 0, 20, draws=50)
    told = json.loads(found.to_json())
    assert {"data", "part", "pictures", "classes", "metric", "overlap", "draws", "seed", "systems", "differences", "lecture", "about",
            "left_out", "notes", "ablations", "ablated"} == set(told)  # fmt: skip
    assert set(told["systems"][0]) == {
        "name", "system", "source", "mean_average_precision", "interval", "average_precision", "mistakes", "seconds", "training_seconds",
        "trained", "by_its_authors", "learned", "backbone", "segments", "lecture",
    }  # fmt: skip
    assert set(told["systems"][0]["average_precision"]) == {"blue square", "red disk"}
    assert [one["precision"] for one in told["lecture"]] == [33.4, 40.4, 53.7, 62.9, 67.2, 70.8]
    assert {"better", "than", "difference", "interval", "classes", "shown"} == set(told["differences"][0])
    page = found.picture().html()
    for words in ("VOC 2010", "not public", "not comparable", "70.8", "blue square", "told (2) over told", "bootstrap"):
        assert words in page and words in " ".join(str(found).split()), words
    assert str(found.table()) in str(found)
    many = str(compared(tmp_path, *range(9), draws=5)).splitlines()
    assert next(line for line in many if line.startswith("blue square")).split()[-1] != "square"


def test_each_registered_system_of_the_lecture_has_its_figure() -> None:
    figures = {one.system: one.precision for one in LECTURE}
    assert figures["fast-rcnn"] == 70.8 and figures["rcnn"] == 53.7 and figures["dpm"] == 33.4
    assert {"rcnn", "rcnn-star", "fast-rcnn"} <= set(SYSTEMS) & set(figures)


def test_detectors_of_other_classes_are_left_out_in_words(tmp_path: Path) -> None:
    there = pictures_with_boxes(6)
    cells = Told(there, 0, ("RBC", "WBC"))
    some = Remarked(there, 20, ("red disk", "cat"))
    found = pl.detect.compare([Told(there, 0), cells, some], data=there, folder=tmp_path)
    assert [one.name for one in found.systems] == ["told", "told (3)"]
    assert found.left_out == (("told (2)", "knows RBC, WBC, none of blue square, red disk"),)
    assert "told (3) knows 1 of the 2 classes" in found.notes[0]
    assert found.notes[1:] == ("told (3): segments: drawn by hand.",)
    assert found.differences[0].classes == 1
    assert found.by_class().rows[0][2:] == ["100.0", ""]
    with pytest.raises(pl.detect.DetectorError, match=r"no detector to compare.*knows RBC, WBC"):
        pl.detect.compare([cells], data=there, folder=tmp_path)


def test_objects_of_classes_that_no_detector_knows_are_there_all_the_same(tmp_path: Path) -> None:
    there = pictures_with_boxes(6)
    counts = there.counts()
    found = pl.detect.compare([Blue(there, 0, ("mouse", "blue square"))], data=there, folder=tmp_path, draws=5)
    (blue,) = found.systems
    wrong = [mistake for mistake in blue.evaluation.mistakes if mistake.taken_for == "blue square"]
    assert wrong and {(mistake.kind, mistake.nearest_class) for mistake in wrong} == {("other", "red disk")}
    assert [row[:2] for row in found.by_class().rows[:2]] == [[name, str(count)] for name, count in counts.items()]
    known = pl.detect.evaluate(
        pl.detect.find_all(Blue(there, 0, ("blue square",)), there), there, draws=5, classes=["blue square"]
    )
    assert [(one.name, one.average_precision) for one in known.classes] == [
        ("blue square", blue.evaluation.classes[0].average_precision)
    ]
    assert known.classes[0].kinds == blue.evaluation.classes[0].kinds
    with pytest.raises(pl.data.DataError, match="has no class 'mouse'"):
        pl.detect.evaluate(pl.detect.find_all(Told(there, 0), there), there, classes=["mouse"])
    with pytest.raises(pl.detect.DetectorError, match="the detector knows RBC"):
        pl.detect.find_all(Told(there, 0, ("RBC",)), there)


def test_a_comparison_is_kept_in_a_folder(tmp_path: Path) -> None:
    there = pictures_with_boxes(2)
    (tmp_path / "file").write_text("mine")
    Told.asked.clear()
    with pytest.raises(pl.detect.DetectorError, match="file: is a file; a comparison needs a folder"):
        pl.detect.compare([Told(there, 0)], data=there, folder=tmp_path / "file")
    assert not Told.asked


def test_a_comparison_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compared(tmp_path / "whole", 0, 20)
    scored = Told.scored

    def failing(self: Told, image: np.ndarray, threshold: float | None = None) -> Scored:
        if len(Told.asked) == 14:
            raise KeyboardInterrupt
        return scored(self, image, threshold)

    Told.asked.clear()
    monkeypatch.setattr(Told, "scored", failing)
    with pytest.raises(KeyboardInterrupt):
        compared(tmp_path, 0, 20)
    monkeypatch.setattr(Told, "scored", scored)
    Told.asked.clear()
    again = compared(tmp_path, 0, 20)
    assert Told.asked == [4, 5, 6, 7, 8, 9]
    for one, other in zip(whole.systems, again.systems, strict=True):
        assert one.evaluation.to_dict() == other.evaluation.to_dict()
    assert whole.differences == again.differences
    (file, *_) = (tmp_path / "kept" / "detections").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(pl.detect.DetectorError, match="delete it"):
        compared(tmp_path, 0, 20)


def test_seconds_are_a_detectors_own(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("pellucid.detect.keeping.time.perf_counter", lambda: float(next(clock)))
    inner = lambda: kept("inner", [b"1"], lambda found: True, lambda: np.zeros(1))  # noqa: E731
    with apart() as times:
        kept("outer", [b"2"], lambda found: True, inner)
        kept("outer", [b"2"], lambda found: True, inner)
    assert set(times) == {"outer"} and times["outer"] > 1
    kept("outer", [b"2"], lambda found: True, inner)
    assert len(times) == 1


def test_missing_systems_are_trained_and_gone_on_with(tmp_path: Path) -> None:
    learned, there = pictures_with_boxes(4), pictures_with_boxes(3, 50)
    data = pl.detect.BoxData(there, {"train": learned, "val": there})
    given: dict[str, Any] = {"data": data, "folder": tmp_path, "settings": SMALL, "draws": 20}
    with pytest.raises(pl.detect.DetectorError, match=r"rcnn: it is not trained yet"):
        pl.detect.compare(["rcnn"], **given)
    with cut_off(RCNNTraining, 7):
        pl.detect.compare(["rcnn", "fast-rcnn"], train_missing=True, **given)
    found = pl.detect.compare(["rcnn", "fast-rcnn"], train_missing=True, **given)
    assert [one.name for one in found.systems] == ["rcnn", "fast-rcnn"]
    for one in found.systems:
        assert one.entry.words == "trained on 4 pictures of shapes with 8 objects, backbone resnet18"
        assert one.entry.training_seconds is not None and one.entry.training_seconds > 0 and one.seconds > 0
    again = pl.detect.compare(systems=["rcnn", "fast-rcnn"], **given)
    assert [one.evaluation.to_dict() for one in again.systems] == [one.evaluation.to_dict() for one in found.systems]
    alone = pl.detect.train(
        learned, system="rcnn", out=tmp_path / "alone", backbone="resnet18", crop_size=32, context=4, proposals=30
    )
    name = "detector.safetensors"
    assert (tmp_path / "rcnn" / name).read_bytes() == (alone.folder / name).read_bytes()
    with pytest.raises(pl.detect.DetectorError, match=r"goes on with its own settings"):
        pl.detect.compare(["rcnn"], **{**given, "settings": {**SMALL, "proposals": 31}})
    with pytest.raises(pl.detect.DetectorError, match="learned from other pictures"):
        pl.detect.compare(["rcnn"], more=[pictures_with_boxes(1, 70)], **given)
    seen = pl.detect.compare([alone], data=learned, folder=tmp_path, draws=5)
    assert "learned from 4 of these very pictures" in seen.notes[0]
    assert Entry.of(alone).learned == Entry.of(alone.folder).learned


@pytest.mark.parametrize("whole", (True, False))
def test_a_run_of_other_boxes_is_no_run_of_these(whole: bool, tmp_path: Path) -> None:
    learned, there = pictures_with_boxes(2), pictures_with_boxes(2, 50)
    turned = replace(learned, objects=tuple(replace(o, labels=1 - o.labels) for o in learned.objects))
    given: dict[str, Any] = {"folder": tmp_path, "settings": SMALL, "draws": 5, "train_missing": True}
    with nullcontext() if whole else cut_off(RCNNTraining, 1):
        pl.detect.compare(["rcnn"], data=pl.detect.BoxData(there, {"train": learned, "val": there}), **given)
    other = pl.detect.BoxData(there, {"train": turned, "val": there})
    with pytest.raises(
        pl.detect.DetectorError, match=r"rcnn: learned from other objects .* boxes differ; name another"
    ):
        pl.detect.compare(["rcnn"], data=other, **given)


def test_each_part_of_rcnn_is_left_out_once(tmp_path: Path) -> None:
    data = pl.detect.BoxData(
        pictures_with_boxes(2, 50), {"train": pictures_with_boxes(4), "val": pictures_with_boxes(3, 50)}
    )
    given = {**SMALL, "rcnn.fine_tune": 0, "fine_tune_batch": 16}
    small = {name: value for name, value in given.items() if not name.startswith("fast")}
    parts = ("proposals", "crop", "box-regression")
    found = pl.detect.compare(
        ["rcnn"], data=data, folder=tmp_path, settings=small, train_missing=True, ablate=parts, draws=50
    )
    assert [one.without for one in found.ablations] == ["", *parts]
    assert [one.name for one in found.ablations] == ["rcnn", *(f"rcnn without {part}" for part in parts)]
    configs = [one.entry.detector.settings()["config"] for one in found.ablations]
    for config, (name, value) in zip(
        configs[1:], (("search", "grid"), ("context", 0), ("regression", False)), strict=True
    ):
        assert {key for key in config if config[key] != configs[0][key]} == {name} and config[name] == value
    assert configs[0]["context"] == 4 and sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("rcnn")) == [
        "rcnn", "rcnn-without-box-regression", "rcnn-without-crop", "rcnn-without-proposals",
    ]  # fmt: skip
    assert [(one.better, one.than) for one in found.ablated] == [("rcnn", f"rcnn without {part}") for part in parts]
    for one, other in zip(found.ablated, found.ablations[1:], strict=True):
        assert np.isclose(one.difference, found.systems[0].evaluation.mean - other.evaluation.mean)
    told = found.to_dict()
    assert [one.get("without") for one in told["ablations"]] == [None, *parts]
    for words in ("Each part on and off", "What a part is worth", "rcnn over rcnn without crop"):
        assert words in str(found) and words in found.picture().html()
    with pytest.raises(pl.errors.PellucidError, match="box-regression"):
        pl.detect.compare(["rcnn"], data=data, folder=tmp_path, settings=small, ablate=["boxes-regression"])


def test_fine_tuning_is_there_where_it_is_left_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(Work, "of_run", lambda self, system, name, more, may_train: asked.append((name, dict(more))))
    work = Work(pictures_with_boxes(1), None, tmp_path, {"rcnn.context": 4})
    assert ablation(work, ("fine-tuning", "crop"), Measuring("val", "voc2007", 0.5, 5, 0), False) == ((), ())
    assert asked == [
        ("rcnn-whole", {"fine_tune": 400, "context": 4}),
        ("rcnn", {}),
        ("rcnn-without-crop", {"fine_tune": 400, "context": 0}),
    ]


def test_parts_are_left_out_of_the_run_that_there_is(tmp_path: Path) -> None:
    """Not of one with the usual settings: what differs is the part alone."""
    data = pl.detect.BoxData(
        pictures_with_boxes(2, 50), {"train": pictures_with_boxes(2), "val": pictures_with_boxes(2, 50)}
    )
    given: dict[str, Any] = {"data": data, "folder": tmp_path, "train_missing": True, "draws": 5}
    small = {name: value for name, value in SMALL.items() if not name.startswith("fast")}
    pl.detect.compare(["rcnn"], settings=small, **given)
    for settings in ({}, {"fast-rcnn.epochs": 1}):
        found = pl.detect.compare(["rcnn"], ablate=["box-regression"], settings=settings, **given)
        whole, without = (one.entry.detector.settings()["config"] for one in found.ablations)
        assert {name for name in whole if whole[name] != without[name]} == {"regression"}
    words = "rcnn without box-regression: boxes where the proposals are, regression=false instead of true, all else the same; trained on 2 pic"
    assert words in " ".join(str(found).split()) and words.split(": ")[1] in found.picture().html()
    assert found.to_dict()["ablations"][1]["differs"].endswith("all else the same")
    (tmp_path / "rcnn-without-box-regression").rename(tmp_path / "rcnn-without-crop")
    with pytest.raises(
        pl.detect.DetectorError, match=r"rcnn-without-crop: is to be .* differs in context, regression;"
    ):
        pl.detect.compare(["rcnn"], ablate=["crop"], **given)


@pytest.mark.parametrize(
    ("settings", "part", "words"),
    (
        ({"rcnn.rounds": 2}, "box-regression", "rcnn without box-regression: rounds=2 move boxes by regression"),
        ({"rcnn.context_network": "own", "rcnn.fine_tune": 4}, "fine-tuning", "rcnn without fine-tuning: context_net"),
    ),
)
def test_parts_that_cannot_be_left_out_are_told_before_anything_is_trained(
    settings: dict[str, Any], part: str, words: str, tmp_path: Path
) -> None:
    there = pictures_with_boxes(2)
    data = pl.detect.BoxData(there, {"train": there, "val": there})
    with pytest.raises(pl.detect.DetectorError, match=words):
        pl.detect.compare(
            ["rcnn"], data=data, folder=tmp_path, settings={**SMALL, **settings}, train_missing=True, ablate=[part]
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("height", "width"), ((375, 500), (500, 333), (20, 20), (1, 1), (3, 900)))
@pytest.mark.parametrize("most", (1, 50, 2000))
def test_a_grid_lies_evenly_within_the_picture(height: int, width: int, most: int) -> None:
    found = grid(height, width, most)
    assert 1 <= len(found) <= most and len(np.unique(found, axis=0)) == len(found)
    assert (
        (found[:, :2] >= 0).all()
        and (found[:, 2:] <= [width - 1, height - 1]).all()
        and (found[:, 2:] >= found[:, :2]).all()
    )
    assert found[0].tolist() == [0, 0, width - 1, height - 1]
    if most == 2000 and height > 100:
        covered = np.zeros((height, width))
        for x1, y1, x2, y2 in found[len(found) // 2 :].astype(int):
            covered[y1 : y2 + 1, x1 : x2 + 1] += 1
        assert covered.min() > 0


@pytest.mark.parametrize("place", ("training.safetensors", "config.toml", "data.json"))
def test_a_run_that_is_killed_as_it_begins_is_begun_again(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(path: Path, data: bytes, *arguments: Any, **given: Any) -> None:
        if path.name == place:
            raise KeyboardInterrupt
        write_atomically(path, data, *arguments, **given)

    given: dict[str, Any] = {
        "out": tmp_path / "run",
        "system": "rcnn",
        "backbone": "resnet18",
        "crop_size": 32,
        "context": 4,
        "proposals": 5,
    }
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        for module in ("run", "files"):
            patch.setattr(f"pellucid.detect.{module}.write_atomically", dying)
        pl.detect.train(pictures_with_boxes(2), **given)
    resume = (tmp_path / "run" / "training.safetensors").is_file()
    assert resume == (place != "training.safetensors")
    assert pl.detect.train(pictures_with_boxes(2), **given, resume=resume).status == "finished"


def test_pictures_to_learn_from_are_joined() -> None:
    from pellucid.detect.pictures_with_boxes import joined

    one, other = pictures_with_boxes(2), pictures_with_boxes(2, 30)
    turned = replace(
        other,
        classes=("red disk", "blue square"),
        objects=tuple(replace(o, labels=1 - o.labels) for o in other.objects),
    )
    both = joined([one, turned], one.classes)
    assert both.names == one.names + other.names
    for k, objects in enumerate((*one.objects, *other.objects)):
        assert np.array_equal(both.objects[k].labels, objects.labels)
    assert np.array_equal(both.read(3), other.read(1))
    with pytest.raises(pl.data.DataError, match="has the class 'red disk'"):
        joined([one], ("blue square",))
    difficult = replace(one, objects=tuple(replace(o, difficult=np.ones(len(o), bool)) for o in one.objects))
    with pytest.raises(pl.data.DataError, match="has the class 'red disk'"):
        joined([difficult], ("blue square",))
    unused = replace(one, classes=(*one.classes, "zebra"))
    assert joined([unused], one.classes).counts() == one.counts()


@pytest.mark.parametrize(
    ("given", "words"),
    (
        ({"systems": ["rcn"]}, "rcnn"),
        ({"settings": {"rcn.epochs": 1}}, "rcnn"),
        ({"detectors": ["rcnn"], "settings": {"epoch": 1}}, "epochs"),
        ({"detectors": ["rcnn"], "train_missing": True}, "no part to learn from"),
        ({"detectors": ["nowhere"]}, "no such file"),
        ({"draws": 0}, "draws must be 1"),
        ({"metric": "coco"}, "metric is one of"),
    ),
)
def test_what_cannot_be_compared(given: dict[str, Any], words: str, tmp_path: Path) -> None:
    there = pictures_with_boxes(2)
    with pytest.raises(pl.errors.PellucidError, match=words):
        pl.detect.compare(**{"detectors": [Told(there, 0)], "data": there, "folder": tmp_path, **given})


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    voc_folder(tmp_path / "shapes", {"train": range(3), "val": range(50, 52)})
    small = [
        word for name, value in SMALL.items() if not name.startswith("fast") for word in ("--set", f"{name}={value}")
    ]
    words = [
        "detect",
        "compare",
        "rcnn",
        "--data",
        "shapes",
        "--train-missing",
        *small,
        "--draws",
        "20",
        "--json",
        "--out",
        "t.html",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.exception
    told = json.loads(done.stdout)
    assert [one["name"] for one in told["systems"]] == ["rcnn"] and told["part"] == "val"
    assert "<svg" in Path("t.html").read_text()
    assert (tmp_path / "runs" / "shapes-compare" / "rcnn" / "report.html").is_file()
    done = CliRunner().invoke(app, ["detect", "compare", "--data", "shapes", "--systems", "rcnn"])
    assert done.exit_code == 0 and "not comparable" in done.stdout
