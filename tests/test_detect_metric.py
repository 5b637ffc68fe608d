"""Average precision by VOC's protocol: cases by hand, and another way to compute it, at random."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import pellucid as pl
from pellucid.cli import app
from pellucid.data import DataError
from pellucid.detect import BoxError, Detections, Objects, PicturesWithBoxes, average_precision, match
from pellucid.detect.average_precision import RIGHT, UNCOUNTED, WRONG
from pellucid.detect.boxes import areas, as_boxes, clipped, from_corners_and_sizes, from_voc, intersections, overlaps
from pellucid.detect.suppression import KEPT, suppress
from test_detect_data import voc

A, B, FAR = [0.0, 0, 9, 9], [20.0, 0, 29, 9], [50.0, 50, 60, 60]
HALF = [0.0, 0, 9, 4]
"""Half of A: an overlap of exactly 0.5."""


def objects(*boxes: list[float], difficult: tuple[int, ...] = (), labels: tuple[int, ...] = ()) -> Objects:
    marked = np.isin(np.arange(len(boxes)), difficult)
    return Objects(as_boxes(list(boxes)), np.array(labels or [0] * len(boxes), np.int64), marked)


def found(*pairs: tuple[list[float], float], label: int = 0) -> Detections:
    return Detections.of(
        as_boxes([box for box, _ in pairs]), np.full(len(pairs), label), np.array([score for _, score in pairs])
    )


CASES = {
    "right": (objects(A), found((A, 0.9)), [RIGHT], 1, 1.0, 1.0),
    "an overlap of exactly a half is enough": (objects(A), found((HALF, 0.9)), [RIGHT], 1, 1.0, 1.0),
    "less is not": (objects(A), found(([0.0, 0, 9, 3.9], 0.9)), [WRONG], 1, 0.0, 0.0),
    "a second box is wrong": (objects(A), found((A, 0.9), (A, 0.8)), [RIGHT, WRONG], 1, 1.0, 1.0),
    "the surer of two takes the object": (objects(A), found((HALF, 0.8), (A, 0.9)), [RIGHT, WRONG], 1, 1.0, 1.0),
    "no second best object": (objects(A, [0.0, 0, 9, 7]), found((A, 0.9), (A, 0.8)), [RIGHT, WRONG], 2, 6 / 11, 0.5),
    "difficult counts neither way": (objects(A, difficult=(0,)), found((A, 0.9)), [UNCOUNTED], 0, 0.0, 0.0),
    "difficult is never taken": (
        objects(A, B, difficult=(0,)), found((A, 0.9), (A, 0.8), (B, 0.7)), [UNCOUNTED, UNCOUNTED, RIGHT], 1, 1.0, 1.0
    ),
    "wrong first": (objects(A), found((FAR, 0.9), (A, 0.8)), [WRONG, RIGHT], 1, 0.5, 0.5),
    "half of the objects": (objects(A, B), found((A, 0.9)), [RIGHT], 2, 6 / 11, 0.5),
    "nothing found": (objects(A), found(), [], 1, 0.0, 0.0),
    "nothing there": (objects(), found((A, 0.9)), [WRONG], 0, 0.0, 0.0),
    "another class": (objects(A), found((A, 0.9), label=1), [], 1, 0.0, 0.0),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_cases_by_hand(name: str) -> None:
    there, detections, verdicts, positives, points, area = CASES[name]
    matched = match([detections], [there], 0)
    assert matched.verdicts.tolist() == verdicts
    assert matched.positives == positives
    curve = matched.curve()
    assert average_precision(*curve, "voc2007") == pytest.approx(points)
    assert average_precision(*curve, "voc2010") == pytest.approx(area)


def test_recall_of_three_tenths_reaches_the_third_point() -> None:
    recall = np.arange(1, 11) / 10
    for k in range(10):
        precision = np.where(np.arange(10) == k, 1.0, 0.0)
        assert average_precision(recall, precision, "voc2007") == pytest.approx((k + 2) / 11)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Detections], list[Objects]]:
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    detections, there = [], []
    for _ in range(draw(st.integers(1, 4))):
        boxes = random.integers(0, 12, (int(random.integers(0, 5)), 2)).astype(float)
        boxes = np.concatenate([boxes, boxes + random.integers(4, 9, boxes.shape)], 1)
        there.append(Objects(boxes, random.integers(0, 2, len(boxes)), random.random(len(boxes)) < 0.3))
        near = np.repeat(boxes, 2, 0) + random.integers(-2, 3, (2 * len(boxes), 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
        scores = random.integers(0, 50, len(near)) / 7 + random.random(len(near)) * 1e-3
        detections.append(Detections.of(near, random.integers(0, 2, len(near)), scores))
    return detections, there


def iou(a: list[float], b: list[float]) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0]) + 1
    high = min(a[3], b[3]) - max(a[1], b[1]) + 1
    shared = wide * high if wide > 0 and high > 0 else 0.0
    return shared / ((a[2] - a[0] + 1) * (a[3] - a[1] + 1) + (b[2] - b[0] + 1) * (b[3] - b[1] + 1) - shared)


def plain_average(detections: list[Detections], there: list[Objects], label: int, points: bool) -> tuple[int, float]:
    """Another way, one detection after the other: `VOCevaldet` in words."""
    pooled = [
        (float(s), k, b.tolist())
        for k, d in enumerate(detections)
        for b, c, s in zip(d.boxes, d.labels, d.scores, strict=True)
        if c == label
    ]
    pooled.sort(key=lambda row: -row[0])
    truth = [
        [[b.tolist(), bool(h), False] for b, c, h in zip(o.boxes, o.labels, o.difficult, strict=True) if c == label]
        for o in there
    ]
    positives = sum(not hard for rows in truth for _, hard, _ in rows)
    right = wrong = 0
    curve: list[tuple[float, float]] = []
    for _, k, box in pooled:
        best = max(truth[k], key=lambda row: iou(box, row[0]), default=None)
        if best is None or iou(box, best[0]) < 0.5:
            wrong += 1
        elif best[1]:
            continue
        elif best[2]:
            wrong += 1
        else:
            best[2] = True
            right += 1
        curve.append((right / positives if positives else 0.0, right / (right + wrong)))
    if points:
        steps = [max((p for r, p in curve if r >= k / 10 - 1e-9), default=0.0) for k in range(11)]
        return positives, sum(steps) / 11
    levels = sorted({r for r, _ in curve if r > 0})
    area = sum((r - low) * max(p for q, p in curve if q >= r) for low, r in zip([0.0, *levels], levels, strict=False))
    return positives, area


@given(scenes())
def test_it_is_what_another_way_gives(scene: tuple[list[Detections], list[Objects]]) -> None:
    detections, there = scene
    for label in (0, 1):
        matched = match(detections, there, label)
        for metric in ("voc2007", "voc2010"):
            positives, wanted = plain_average(detections, there, label, metric == "voc2007")
            assert matched.positives == positives
            assert average_precision(*matched.curve(), metric) == pytest.approx(wanted, abs=1e-12)


def test_weights_count_pictures_several_times() -> None:
    """The curve of pictures that count 2, 0 and 1 times is that of a set which has them so often."""
    there = [objects(A, B), objects(A), objects(B, FAR)]
    detections = [found((A, 0.9), (FAR, 0.7)), found((A, 0.8)), found((B, 0.6), (A, 0.5), (FAR, 0.4))]
    for metric in ("voc2007", "voc2010"):
        weighted = average_precision(*match(detections, there, 0).curve(np.array([2.0, 0, 1])), metric)
        many = [detections[k] for k in (0, 0, 2)], [there[k] for k in (0, 0, 2)]
        assert weighted == pytest.approx(average_precision(*match(*many, 0).curve(), metric))


def pictures(*there: Objects, classes: tuple[str, ...] = ("cat", "dog")) -> PicturesWithBoxes:
    names = tuple(f"p{k}" for k in range(len(there)))
    return PicturesWithBoxes("drawn", classes, names, there, ((100, 100),) * len(there), lambda k: np.zeros((3, 1, 1)))


def test_mistakes_are_of_four_kinds() -> None:
    there = pictures(
        objects(A, B, FAR, labels=(0, 0, 1)), objects(A), objects(A), objects([30.0, 0, 39, 9], [80.0, 80, 90, 90])
    )
    shifted = [6.0, 0, 15, 9]
    detections = [
        found((A, 0.9), (A, 0.8), (FAR, 0.7)),
        found((shifted, 0.6)),
        found(([80.0, 80, 90, 90], 0.5)),
        found(),
    ]
    (cat, dog) = pl.detect.evaluate(detections, there).classes
    assert cat.mistakes == {"duplicate": 1, "place": 1, "other class": 1, "background": 1}
    assert (cat.objects, cat.detections, dog.detections) == (6, 5, 0)


LEFT, TAKEN = [[0.0, 0, 9, 2], [0.0, 0, 9, 0]]
"""0.3 and exactly 0.1 of A."""
MISTAKES = {
    "in the wrong place": ({"cat": A}, "cat", LEFT, "localization", "cat", 0.3),
    "a tenth is near enough": ({"cat": A}, "cat", TAKEN, "localization", "cat", 0.1),
    "less is background": ({"cat": A}, "cat", [0.0, 0, 8, 0], "background", "cat", 0.09),
    "on nothing": ({"cat": A}, "cat", FAR, "background", "", 0.0),
    "animals are alike": ({"dog": A}, "cat", A, "similar", "dog", 1.0),
    "and people": ({"person": LEFT}, "cat", A, "similar", "person", 0.3),
    "vehicles": ({"bus": A}, "car", LEFT, "similar", "bus", 0.3),
    "what flies": ({"bird": A}, "aeroplane", LEFT, "similar", "bird", 0.3),
    "furniture": ({"sofa": A}, "chair", LEFT, "similar", "sofa", 0.3),
    "an animal is no vehicle": ({"cat": A}, "car", LEFT, "other", "cat", 0.3),
    "what VOC does not know has no like": ({"cat": A}, "robot", A, "other", "cat", 1.0),
    "its own class goes first": ({"cat": LEFT, "dog": A}, "cat", A, "localization", "cat", 0.3),
    "then similar ones": ({"bus": A, "dog": TAKEN}, "cat", A, "similar", "dog", 0.1),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_of_the_kinds_of_the_paper(name: str) -> None:
    there, taken_for, box, kind, nearest, shared = MISTAKES[name]
    classes = tuple(sorted({*there, taken_for}))
    labels = tuple(classes.index(one) for one in there)
    mark = objects(*there.values(), labels=labels)
    more = objects([80.0, 80, 90, 90], labels=(classes.index(taken_for),))
    truth = pictures(mark, more, classes=classes)
    (wrong,) = pl.detect.mistakes([found((box, 0.9), label=classes.index(taken_for)), found()], truth)
    assert (wrong.kind, wrong.taken_for, wrong.nearest_class, wrong.name) == (kind, taken_for, nearest, "p0")
    assert wrong.overlap == pytest.approx(shared)
    assert (wrong.nearest is None) == (not nearest)


def test_mistakes_of_groups_of_your_own_and_only_among_the_surest() -> None:
    truth = pictures(objects(A, B, labels=(0, 1)), classes=("fox", "wolf"))
    ones = [found((B, 0.9), (A, 0.8), (FAR, 0.7))]
    assert [m.kind for m in pl.detect.mistakes(ones, truth)] == ["other"]
    assert [m.kind for m in pl.detect.mistakes(ones, truth, similar=(("wolf", "fox"),))] == ["similar"]
    both = pictures(objects(A, B, labels=(0, 0)), classes=("fox", "wolf"))
    twice = [m.kind for m in pl.detect.mistakes([found((A, 0.9), (A, 0.8), (FAR, 0.7))], both)]
    assert twice == ["duplicate"]
    assert pl.detect.mistakes([found((LEFT, 0.9))], truth, overlap=0.3) == []
    assert [
        m.score for m in pl.detect.mistakes([found((LEFT, 0.5)), found((FAR, 0.7))], pictures(objects(A), objects(A)))
    ] == [0.7, 0.5]


def test_the_page_shows_the_surest_mistakes_over_their_pictures() -> None:
    """As many of a kind as fit, around the box and its object; what has another size than its boxes say is named."""
    there = objects(A, B, FAR, labels=(0, 1, 0))
    image = np.random.default_rng(0).integers(0, 256, (3, 100, 100), np.uint8)
    truth = dataclasses.replace(pictures(there), read=lambda k: image)
    ones = [found((LEFT, 0.9), ([-5.0, 90, 40, 130], 0.8))]
    result = pl.detect.evaluate(ones, truth)
    assert [m.kind for m in result.mistakes] == ["localization", "background"]
    (wrong,) = result.shown["localization"]
    assert [box.label for box in wrong.boxes] == ["", "cat 0.90"]
    (top, bottom), (left, right) = wrong.boxes[1].rows, wrong.boxes[1].columns
    assert (left, top, right, bottom) == (0, 0, 10, 3)
    assert np.array_equal(wrong.image, image[:, : wrong.image.shape[1], : wrong.image.shape[2]])
    (empty,) = result.shown["background"]
    assert np.array_equal(empty.image[:, -1], image[:, -1, : empty.image.shape[2]])
    told = result.to_dict()
    assert told["surest_mistakes"][0]["object"] == {"class": "cat", "box": A}
    assert told["classes"][0]["kinds_of_mistakes"]["localization"] == 1
    assert "A box in the wrong place" in result.picture().html()
    small = pl.detect.evaluate(ones, pictures(there))
    assert small.notes == ("2 mistakes could not be drawn: p0: is 1 x 1 pixels large, not 100 x 100 as its boxes say",)


def test_curves_have_the_points_that_are_seen() -> None:
    random = np.random.default_rng(0)
    corners = random.integers(0, 80, (3000, 2)).astype(float)
    many = Detections(np.concatenate([corners, corners + 9], 1), random.integers(0, 12, 3000), random.random(3000))
    names = tuple(f"class {k:02}" for k in range(12))
    truth = pictures(Objects(many.boxes[:600], many.labels[:600], np.zeros(600, bool)), classes=names)
    result = pl.detect.evaluate([many], truth)
    charts = result.curves()
    assert [len(chart.series) for chart in charts] == [5, 5, 2]
    for one, series in zip(result.classes, [s for chart in charts for s in chart.series], strict=True):
        assert series.name.startswith(one.name)
        assert len(series.x) <= 400
        highest = {r: one.precision[one.recall == r].max() for r in np.unique(one.recall)}
        drawn = {x: max(y for x2, y in zip(series.x, series.y, strict=True) if x2 == x) for x in series.x}
        assert drawn == pytest.approx(highest)


def test_an_evaluation_tells_and_draws(tmp_path: Path) -> None:
    there = pictures(objects(A, B), objects(A), classes=("cat", "a class with none"))
    result = pl.detect.evaluate([found((A, 0.9), (B, 0.1)), found((A, 0.5), (FAR, 0.05))], there, part="val")
    assert result.mean == 1.0
    assert result.classes[1].average_precision is None
    low, high = result.interval
    assert 0 < low <= high <= 1
    assert (
        result.interval == pl.detect.evaluate([found((A, 0.9), (B, 0.1)), found((A, 0.5), (FAR, 0.05))], there).interval
    )
    assert "mean average precision 100.0%" in str(result)
    assert max(map(len, str(result).splitlines())) <= 100
    result.save(tmp_path / "page.html")
    assert "Precision over recall" in (tmp_path / "page.html").read_text()
    for call, words in (
        (lambda: pl.detect.evaluate([found()], there), "2 pictures want as many detections, got 1"),
        (lambda: pl.detect.evaluate([found()] * 2, there, "coco"), "metric is one of voc2007, voc2010"),
        (lambda: pl.detect.evaluate([found()] * 2, there, overlap=1.5), "overlap lies above 0"),
    ):
        with pytest.raises(DataError, match=words):
            call()
    nothing = pl.detect.evaluate([found()], pictures(objects()))
    assert np.isnan(nothing.mean)
    json.loads(nothing.to_json())


def test_boxes() -> None:
    boxes = as_boxes([A, HALF, FAR])
    assert areas(boxes).tolist() == [100, 50, 121]
    assert intersections(boxes[:1], boxes).tolist() == [[100, 50, 0]]
    assert overlaps(boxes[:1], boxes).tolist() == [[1, 0.5, 0]]
    assert from_voc(as_boxes([[1.0, 1, 10, 10]])).tolist() == [A]
    assert from_corners_and_sizes(np.array([[0.0, 0, 10, 10]])).tolist() == [A]
    assert clipped(as_boxes([[-5.0, 2, 200, 5]]), 100, 4).tolist() == [[0, 2, 99, 3]]
    assert as_boxes([]).shape == (0, 4)
    for wrong in (
        [[1, 2, 3]],
        [[1, 2, 0, 4]],
        [[1, 2, np.nan, 4]],
        [[1, 2, np.inf, 4]],
        [[-1e200, 0, 1e200, 9]],
        [[0, 0, 1e17, 9]],
    ):
        with pytest.raises(BoxError):
            as_boxes(wrong)
    with pytest.raises(BoxError, match="as many labels and finite scores"):
        Detections.of(boxes, np.zeros(3), np.array([1, np.nan, 0]))
    assert Detections.of(boxes, np.array([0.0, 1, 2]), np.zeros(3)).labels.dtype == np.int64
    for labels, words in (
        ([0, 0.7, 1], "whole ones, got 0.7"),
        (["cat"] * 3, "numbers of classes"),
        ([0, 1], "as many labels"),
    ):
        with pytest.raises(BoxError, match=words):
            Detections.of(boxes, np.array(labels), np.zeros(3))


def test_what_cannot_be_measured() -> None:
    one = objects(A)
    right = found((A, 0.9))
    beyond = Detections(right.boxes, np.array([7]), right.scores)
    unsure = Detections(right.boxes, right.labels, np.array([np.nan]))
    for detections, draws, words in (
        (beyond, 1, "has the class 7, and they are 0 to 1"),
        (unsure, 1, "no finite number"),
        (Detections(np.full((1, 4), np.nan), right.labels, right.scores), 1, "sides are no finite numbers"),
        (Detections(np.array([[0.0, 0, np.inf, 9]]), right.labels, right.scores), 1, "sides are no finite numbers"),
        (right, 0, "draws must be 1 or more, got 0"),
    ):
        with pytest.raises(DataError, match=words):
            pl.detect.evaluate([detections], pictures(one), draws=draws)
    assert match([Detections(np.full((1, 4), np.nan), right.labels, right.scores)], [one], 0).verdicts.tolist() == [
        WRONG
    ]
    told = pl.detect.evaluate([right], pictures(objects(A, difficult=(0,))))
    assert str(told).startswith("no mean average precision: no object is to be found on 1 pictures")
    assert "nan" not in str(told)
    assert suppress(np.array([A, [20.0, 20, 19, 19]]), np.array([1.0, 0.5]), of_the_other=True).tolist() == [KEPT, KEPT]
    whole = pictures(one)
    assert pl.detect.recall(whole, lambda _: [A], counts=(1,)).found.tolist() == [1.0]
    assert pl.detect.recall(whole, lambda _: [], counts=(1,)).found.tolist() == [0.0]
    with pytest.raises(BoxError, match="proposals: wants a row"):
        pl.detect.recall(whole, lambda _: [1, 2, 3])


THERE, SEEN = objects(A, B), found((A, 0.9), (B, 0.8))
MEASURES = {
    "evaluate": lambda **how: pl.detect.evaluate([SEEN], pictures(THERE), **how),
    "mistakes": lambda **how: pl.detect.mistakes([SEEN], pictures(THERE), **how),
    "recall": lambda **how: pl.detect.recall(pictures(THERE), lambda _: [A], **how),
    "match": lambda **how: match([SEEN], [THERE], 0, **how),
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("overlap", [np.nan, 0.0, -1.0, 1.5, 50, "0.5", None, [0.5]])
def test_an_overlap_that_no_box_can_have_is_refused(name: str, overlap: Any) -> None:
    with pytest.raises(DataError, match="overlap"):
        MEASURES[name](overlap=overlap)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"draws": 1.5}, "draws must be a whole number, got 1.5"),
        ({"draws": "9"}, "draws must be a whole number, got '9'"),
        ({"metric": "VOC2007"}, "metric is one of voc2007, voc2010, not 'VOC2007'"),
        ({"classes": "a"}, r"classes is a list of names, got 'a'; \['a'\] is one"),
        ({"classes": ["cat", "cat"]}, "the class 'cat' is to be measured 2 times; name it once"),
    ],
)
def test_how_to_measure_is_looked_at(how: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        pl.detect.evaluate([SEEN], pictures(THERE), **how)


def test_a_curve_is_measured_by_a_protocol_that_there_is() -> None:
    with pytest.raises(DataError, match="metric is one of voc2007, voc2010, not 'voc2012'"):
        average_precision(np.array([1.0]), np.array([1.0]), "voc2012")


@pytest.mark.parametrize("name", ["evaluate", "mistakes"])
def test_what_was_found_fits_the_pictures(name: str) -> None:
    measure: Any = getattr(pl.detect, name)
    turned = Detections(np.array([[9.0, 9, 0, 0]]), np.array([0]), np.array([0.5]))
    for there, words in (
        ([], "1 pictures want as many detections, got 0"),
        ([SEEN, SEEN], "1 pictures want as many detections, got 2"),
        ([(SEEN.boxes, SEEN.labels, SEEN.scores)], "wants Detections, got a tuple"),
        ([Detections(SEEN.boxes, SEEN.labels + 7, SEEN.scores)], "has the class 7"),
        ([Detections(SEEN.boxes, SEEN.labels, SEEN.scores * np.nan)], "no finite number"),
        ([Detections(SEEN.boxes * 1e200, SEEN.labels, SEEN.scores)], "pixels are counted up to 9007199254740992"),
        ([turned], "a detection has the box x 9 to 0, y 9 to 0, which has no extent"),
    ):
        with pytest.raises(DataError, match=words):
            measure(there, pictures(THERE))
    with pytest.raises(DataError, match="objects of 1 pictures want as many detections, got 2"):
        match([SEEN, SEEN], [THERE], 0)


def test_all_parts_together_are_no_pictures() -> None:
    data: Any = pl.detect.BoxData(pictures(THERE), {})
    asked: tuple[Any, ...] = (
        lambda: pl.detect.evaluate([SEEN], data),
        lambda: pl.detect.mistakes([SEEN], data),
        lambda: pl.detect.recall(data, lambda _: [A]),
    )
    for ask in asked:
        with pytest.raises(DataError, match="wants PicturesWithBoxes, got a BoxData; its `whole`, or one of"):
            ask()


@pytest.mark.parametrize("counts", [(), (0,), (-1,), (1.5,), ("1",), "10"])
def test_recall_looks_at_one_proposal_or_more(counts: Any) -> None:
    with pytest.raises(DataError, match="recall: "):
        pl.detect.recall(pictures(THERE), lambda _: [A], counts)


def test_recall_takes_what_finds_proposals() -> None:
    image = np.full((3, 64, 64), 99, np.uint8)
    image[:, 10:40, 20:50] = 200
    box = objects([20.0, 10, 49, 39])
    there = dataclasses.replace(pictures(box), sizes=((64, 64),), read=lambda _: image)
    assert pl.detect.recall(there, pl.detect.selective_search, [500]).found.tolist() == [1.0]
    assert pl.detect.recall(there, pl.detect.selective_search, 500).counts == (500,)
    with pytest.raises(BoxError, match=r"proposals: wants a row x1, y1, x2, y2 of numbers for each box"):
        pl.detect.recall(there, lambda _: ["a box"])


FOUND = "file,x1,y1,x2,y2,class,score\ntwo.png,0,0,9,9,cat,0.5\nthree.png,30,10,39,29,cat,0.9\n"


def ask(*words: str) -> tuple[int, str]:
    """What the command prints, or what it raises."""
    done = CliRunner().invoke(app, ["detect", "evaluate", *words])
    return done.exit_code, done.stdout if done.exception is None else str(done.exception)


def test_the_command(tmp_path: Path) -> None:
    root, table = voc(tmp_path / "data"), tmp_path / "found.csv"
    table.write_text(FOUND)
    code, text = ask(str(table), "--data", str(root), "--json")
    told = json.loads(text)
    assert (code, told["part"], told["mean_average_precision"]) == (0, "test", 1.0)
    code, text = ask(str(table), "--data", str(root), "--part", "all", "--out", str(tmp_path / "page.html"))
    assert code == 0
    assert (tmp_path / "page.html").is_file()
    kit = tmp_path / "kit"
    kit.mkdir()
    (kit / "comp3_det_test_cat.txt").write_text("two 0.5 1 1 10 10\nthree 0.9 31 11 40 30\n")
    (kit / "comp3_det_test_großer Hund.txt").write_text("")
    code, same = ask(str(kit), "--data", str(root), "--json")
    assert json.loads(same) == told
    for name, text, words in (
        ("a.csv", FOUND.replace("cat,0.5", "cow,0.5"), "no class 'cow'"),
        (
            "far.csv",
            FOUND.replace("0,0,9,9", "0,0,9e99,9"),
            "line 2: the box is x 0 to 9e+99, y 0 to 9; pixels are counted",
        ),
        ("b.csv", FOUND.replace("0.5", "nan"), "line 2: wants a box of four finite numbers"),
        ("c.csv", FOUND.replace("score", "sure"), "first line must be file,x1,y1,x2,y2,class,score"),
    ):
        (tmp_path / name).write_text(text)
        assert words in ask(str(tmp_path / name), "--data", str(root))[1]
    assert "no such file or folder of detections" in ask(str(tmp_path / "none"), "--data", str(root))[1]
    assert "has no results as VOC" in ask(str(root), "--data", str(root))[1]
    (tmp_path / "other.csv").write_text(FOUND + "elsewhere.png,0,0,9,9,cat,0.5\n")
    assert "pictures are not in" in ask(str(tmp_path / "other.csv"), "--data", str(root))[1]
