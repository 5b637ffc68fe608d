"""Segments: cuts that are minimal, masks that are what they say, and what segDPM and segDeepM say of boxes and segments."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import pellucid as pl
from drawn_boxes import drawn
from pellucid.cli import app
from pellucid.detect.boxes import overlaps
from pellucid.detect.config import SEGMENT_SOURCES
from pellucid.detect.segments import SOURCES, VOID, found, least_pixels, segdpm_features, segments_of
from pellucid.detect.segments.counting import counted, sums_of
from pellucid.detect.segments.cuts import Cuts
from pellucid.detect.segments.deepm_features import borders, names_of, segdeepm_features
from pellucid.detect.segments.mini_cpmc import ALIKE, pieces, ranked
from pellucid.detect.segments.parts import SuperPixels, distinct, parts_of
from pellucid.detect.segments.segment_set import SegmentSet, tight_boxes


@pytest.fixture(autouse=True)
def kept_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def shapes(seed: int = 0) -> np.ndarray:
    return np.ascontiguousarray(drawn(seed)[0].transpose(2, 0, 1))


def small_parts(seed: int, count: int = 7) -> SuperPixels:
    """Parts of no picture: random neighbors and numbers."""
    numbers = np.random.default_rng(seed)
    pairs = np.array([p for p in itertools.combinations(range(count), 2) if numbers.random() < 0.5]).reshape(-1, 2)
    ties = numbers.random(len(pairs)) * 3
    areas = numbers.integers(1, 9, count).astype(float)
    return SuperPixels(np.arange(count)[None], areas, numbers.normal(size=(count, 3)), pairs, np.ones(len(pairs)), ties)


def test_cuts_are_the_best_of_all() -> None:
    parts, numbers = small_parts(0), np.random.default_rng(100)
    ones, others = parts.pairs.T
    count = 40
    ties = numbers.random((count, len(parts.pairs))) * 3
    gains = numbers.normal(size=(count, 7)) * 2
    gains[-1] = 0
    seeds, background = np.zeros((count, 7), bool), np.zeros((count, 7), bool)
    seeds[np.arange(count), np.arange(count) % 5] = True
    background[:, 5:] = True
    ours = Cuts(parts, seeds, background, ties).foreground(gains)
    every = np.array([[*free, False, False] for free in itertools.product((False, True), repeat=5)])
    for own, seed, tie, gain in zip(ours, seeds, ties, gains, strict=True):

        def value(foreground: np.ndarray, gain: np.ndarray = gain, tie: np.ndarray = tie) -> float:
            return float(gain[foreground].sum() - tie[foreground[ones] != foreground[others]].sum())

        assert own[seed].all() and not own[5:].any()
        assert value(own) == pytest.approx(max(map(value, every[every[:, seed].all(1)])), abs=1e-5)


def test_foreground_grows_with_the_bias() -> None:
    parts, numbers = small_parts(3, 30), np.random.default_rng(5)
    gains = numbers.normal(size=(2, 30)) * 30
    seeds, background = np.arange(30) == np.array([[4], [7]]), np.broadcast_to(np.arange(30) >= 27, (2, 30))
    cuts = Cuts(parts, seeds, background, np.stack([parts.ties, 3 * parts.ties]))
    found = [cuts.foreground(gains + bias) for bias in np.linspace(-90, 90, 30)]
    assert len({one.tobytes() for one in found}) > 10
    for smaller, larger in itertools.pairwise(found):
        assert (larger | ~smaller).all()
    everything = Cuts(parts, ~background, background, cuts.ties).foreground(gains)
    assert np.array_equal(everything, ~background)


@pytest.mark.parametrize("source", SOURCES)
def test_segments_are_around_what_is_drawn(source: str) -> None:
    image, objects = shapes(), np.array([box for _, box in drawn(0)[1]], float)
    segments = segments_of(image, source)
    assert segments.source == source and segments.masks.dtype == bool and segments.masks.shape[1:] == (96, 96)
    assert overlaps(objects, segments.boxes).max(1).min() > 0.85
    assert segments.least == least_pixels((96, 96)) == round(1500 * 96 * 96 / (500 * 375))
    sizes = segments.masks.sum((1, 2))
    assert sizes.min() >= segments.least
    flat = segments.masks.reshape(len(segments), -1).astype(float)
    shared = flat @ flat.T
    alike = shared / (sizes[:, None] + sizes[None] - shared)
    assert (alike - np.eye(len(segments))).max() < ALIKE
    for mask, box in zip(segments.masks, segments.boxes, strict=True):
        rows, columns = np.nonzero(mask)
        assert [columns.min(), rows.min(), columns.max(), rows.max()] == box.tolist()
    assert np.array_equal(segments_of(image, source, most=3).masks, segments.masks[:3])
    assert source in str(segments) and "74 of these pixels at least" in str(segments)
    json.dumps(segments.to_dict())


ODD = {
    "one color": np.full((3, 40, 50), 7, np.uint8),
    "noise": np.random.default_rng(1).integers(0, 256, (3, 50, 60), np.uint8),
    "a row": np.random.default_rng(2).integers(0, 256, (3, 1, 50), np.uint8),
    "a pixel": np.zeros((3, 1, 1), np.uint8),
    "two colors": np.tile(np.array([0, 200], np.uint8).repeat(20), (3, 30, 1)),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", ODD)
def test_any_picture_has_segments_or_none(name: str, source: str) -> None:
    image = ODD[name]
    segments = segments_of(image, source)
    assert segments.masks.shape[1:] == image.shape[1:] and segments.potentials.shape == (len(segments), 0)
    segments.picture().html()
    assert segdpm_features(np.zeros((2, 4)), segments.masks, image.shape).shape == (2, len(segments), 6)
    again = SOURCES[source](image, segments.least, 100, 0)
    assert again.flags.c_contiguous  # a mask in one piece, as it is packed
    assert np.array_equal(again, segments.masks)


def test_large_pictures_are_searched_smaller() -> None:
    image = np.full((3, 900, 600), 110, np.uint8)
    image[:, 180:540, 90:330] = np.array([200, 40, 30], np.uint8)[:, None, None]
    segments = segments_of(image, most=20)
    assert segments.masks.shape[1:] == (500, 333) and segments.least == 1332
    wanted = np.array([90, 180, 329, 539], float)
    best = int(overlaps(wanted[None], segments.boxes)[0].argmax())
    assert np.abs(segments.boxes[best] - wanted).max() <= 6
    mask = segments.mask(best)
    rows, columns = np.nonzero(mask)
    assert mask.shape == (900, 600)
    assert np.abs([columns.min(), rows.min(), columns.max(), rows.max()] - segments.boxes[best]).max() <= 2


def test_segments_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[int]()
    mini = found.SOURCES["mini-cpmc"]

    def counting(*arguments: Any) -> np.ndarray:
        made.append(1)
        return mini(*arguments)

    monkeypatch.setattr(found, "SOURCES", {**found.SOURCES, "mini-cpmc": counting})
    first = segments_of(shapes(71))
    assert np.array_equal(segments_of(shapes(71), most=100).masks, first.masks) and len(made) == 1
    segments_of(shapes(72))
    segments_of(shapes(71), seed=1)
    assert len(made) == 3
    packed = found._packed(first.masks)
    assert np.array_equal(found._unpacked(packed, (96, 96)), first.masks)
    none = first.masks[:0]
    assert np.array_equal(found._unpacked(found._packed(none), (96, 96)), none)
    for broken in (
        packed[:-3],
        packed[5:],
        packed[:0],
        found._packed(np.zeros((found.MOST_SEGMENTS + 1, 96, 96), bool)),
    ):
        assert found._unpacked(broken, (96, 96)) is None


@pytest.mark.parametrize(
    ("image", "how", "words"),
    (
        (np.zeros((3, 8, 8)), {}, "uint8"),
        (np.zeros((8, 8), np.uint8), {}, r"\(8, 8\)"),
        (np.zeros((3, 0, 8), np.uint8), {}, r"\(3, 0, 8\)"),
        (np.zeros((3, 8, 8), np.uint8), {"source": "cpmc"}, "did you mean 'mini-cpmc'"),
        (np.zeros((3, 8, 8), np.uint8), {"most": 0}, "from 1 to 200, got 0"),
        (np.zeros((3, 8, 8), np.uint8), {"most": 201}, "from 1 to 200, got 201"),
        (np.zeros((3, 8, 8), np.uint8), {"seed": -1}, "whole number"),
    ),
)
def test_what_is_no_picture(image: np.ndarray, how: dict[str, Any], words: str) -> None:
    with pytest.raises(pl.errors.PellucidError, match=words):
        segments_of(image, **how)


def test_settings_know_the_sources() -> None:
    assert tuple(SOURCES) == SEGMENT_SOURCES
    for wrong in ({"segments": 0}, {"segments": 201}, {"segment_source": "cpmc"}):
        with pytest.raises(pl.errors.PellucidError, match=next(iter(wrong))):
            pl.detect.DetectionConfig.of(wrong)


def test_parts_add_up() -> None:
    parts = parts_of(shapes())
    assert parts.areas.sum() == 96 * 96 and len(parts) == parts.labels.max() + 1
    apart = (parts.labels[:, 1:] != parts.labels[:, :-1]).sum() + (parts.labels[1:] != parts.labels[:-1]).sum()
    assert parts.lengths.sum() == apart and (parts.ties <= parts.lengths).all() and (parts.ties >= 0).all()
    assert (parts.pairs[:, 0] < parts.pairs[:, 1]).all() and len(np.unique(parts.pairs, axis=0)) == len(parts.pairs)


def test_pieces_hang_together() -> None:
    pairs = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]])
    parts = SuperPixels(
        np.arange(6)[None], np.array([5.0, 1, 5, 5, 1, 1]), np.zeros((6, 3)), pairs, np.ones(5), np.ones(5)
    )
    there = np.array([[1, 0, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1]], bool)
    first, second, third = [1, 0, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1]
    last = [0, 0, 0, 1, 1, 1]
    assert pieces(parts, there, 1).astype(int).tolist() == [first, second, third, last]
    assert pieces(parts, there, 5).astype(int).tolist() == [first, second, last]
    assert pieces(parts, there, 6).astype(int).tolist() == [second, last]
    assert pieces(parts, there[1:2], 1).shape == pieces(parts, there, 99).shape == (0, 6)


def test_the_plainest_and_unlike_come_first() -> None:
    parts = parts_of(shapes())
    members = np.unique(np.random.default_rng(0).random((40, len(parts))) < 0.5, axis=0)
    order = ranked(parts, members, 99)
    assert len(set(order)) == len(order) <= 40 and ranked(parts, members, 7) == order[:7]
    whole = np.concatenate([members[:1], members[:1], np.ones((1, len(parts)), bool)])
    assert sorted(ranked(parts, whole, 9)) in ([0, 2], [1, 2])


def test_copies_go() -> None:
    areas = np.array([10.0, 10.0, 1.0, 30.0])
    members = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]], bool)
    assert distinct(members, areas, 1, 0.95, 9) == [0, 2, 3, 4]
    assert distinct(members, areas, 1, 0.96, 9) == [0, 1, 2, 3, 4]
    assert distinct(members, areas, 10, 0.95, 9) == [0, 3, 4]
    assert distinct(members, areas, 1, 0.95, 2) == [0, 2]


def masks_and_boxes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random masks (an empty one, a full one and a single pixel among them) on 20 x 30 pixels, and boxes, some partly outside."""
    numbers = np.random.default_rng(seed)
    masks = numbers.random((6, 20, 30)) < numbers.random((6, 1, 1))
    masks[3], masks[4], masks[5] = False, True, False
    masks[5, 7, 11] = True
    corners = numbers.integers(0, [[30, 20]], (40, 2)), numbers.integers(0, [[30, 20]], (40, 2))
    boxes = np.concatenate([np.minimum(*corners), np.maximum(*corners)], 1).astype(float)
    return masks, np.concatenate(
        [boxes, [[0, 0, 29, 19], [4, 4, 4, 4], [-5, -3, 8, 9], [20, 10, 44, 30], [50, 40, 60, 60]]]
    )


def inside_of(box: np.ndarray) -> np.ndarray:
    """The pixels of a box, cut at the picture's edges (one outside of it lies on its edge)."""
    x1, y1, x2, y2 = np.clip(box, 0, [29, 19, 29, 19]).astype(int)
    found = np.zeros((20, 30), bool)
    found[y1 : y2 + 1, x1 : x2 + 1] = True
    return found


@pytest.mark.parametrize("seed", range(3))
def test_sums_count_pixels(seed: int) -> None:
    masks, _ = masks_and_boxes(seed)
    sums = sums_of(masks)
    assert sums.shape == (6, 21, 31) and (sums[:, -1, -1] == masks.sum((1, 2))).all()
    spans = ((0, 20, 0, 30), (3, 3, 2, 9), (7, 9, 5, 6))
    top, bottom, left, right = np.array(spans).T
    wanted = [[mask[a:b, c:d].sum() for mask in masks] for a, b, c, d in spans]
    assert np.array_equal(counted(sums, (top, bottom), (left, right)), wanted)


@pytest.mark.parametrize("seed", range(3))
def test_what_segdpm_says_is_counted(seed: int) -> None:
    masks, boxes = masks_and_boxes(seed)
    ours = segdpm_features(boxes, masks, (3, 20, 30))
    assert ours.shape == (len(boxes), len(masks), 6)
    cut_boxes = np.clip(boxes, 0, [29, 19, 29, 19])
    for b, m in itertools.product(range(len(boxes)), range(len(masks))):
        box, mask = inside_of(boxes[b]), masks[m]
        others = max(1, int((~mask).sum()))
        tight = tight_boxes(mask[None])
        shared = overlaps(cut_boxes[b : b + 1], tight)[0, 0] if mask.any() else 0.0
        wanted = [
            (box & mask).sum() / max(1, mask.sum()),
            1 - (box & mask).sum() / max(1, mask.sum()),
            (box & ~mask).sum() / others,
            (~box & ~mask).sum() / others,
            shared - 0.7,
            0.0,
        ]
        assert np.allclose(ours[b, m], wanted), (b, m)
    assert np.allclose(ours[:, :, 0] + ours[:, :, 1], 1)
    some = masks.any((1, 2)) & ~masks.all((1, 2))
    assert np.allclose((ours[:, :, 2] + ours[:, :, 3])[:, some], 1)
    assert VOID.tolist() == [0, 0, 0, 0, 0, -0.7]


def test_boxes_of_a_large_picture_lie_on_small_masks() -> None:
    masks, boxes = masks_and_boxes(0)
    large = np.concatenate([boxes[:, :2] * [4, 3], (boxes[:, 2:] + 1) * [4, 3] - 1], 1)
    potentials = np.zeros((6, 2))
    assert np.allclose(segdpm_features(large, masks, (60, 120)), segdpm_features(boxes, masks, (20, 30)))
    ours = segdeepm_features(large, masks, potentials, (60, 120), 0.5)
    assert np.allclose(ours, segdeepm_features(boxes, masks, potentials, (20, 30), 0.5))


def test_cells_tile_a_box() -> None:
    ends = borders(np.array([0.0, 4, 10, 5, 3]), np.array([2.0, 4, 21, 9, 4]))
    assert ends.tolist() == [[0, 2, 2, 3], [4, 5, 5, 5], [10, 15, 18, 22], [5, 7, 9, 10], [3, 4, 5, 5]]


@pytest.mark.parametrize("seed", range(3))
def test_what_segdeepm_says_is_counted(seed: int) -> None:
    masks, boxes = masks_and_boxes(seed)
    numbers = np.random.default_rng(seed)
    potentials = numbers.uniform(-1, 1, (6, 3))
    largest = 0.6
    ours = segdeepm_features(boxes, masks, potentials, (3, 20, 30), largest) / 7
    assert ours.shape == (len(boxes), 7, 24) and len(names_of(("a", "b", "c"))) == 24
    area = largest * 600
    for b, m in itertools.product(range(len(boxes)), range(7)):
        mask = masks[m] if m < 6 else np.zeros((20, 30), bool)
        x1, y1, x2, y2 = np.clip(boxes[b], 0, [29, 19, 29, 19])
        rows = [int(np.floor(y1 + k * (y2 - y1) / 3 + 0.5)) for k in range(4)]
        columns = [int(np.floor(x1 + k * (x2 - x1) / 3 + 0.5)) for k in range(4)]
        segment_in, others_in = [], []
        for y, x in itertools.product(range(3), range(3)):
            row = slice(rows[y] + (y > 0), rows[y + 1] + 1)
            column = slice(columns[x] + (x > 0), columns[x + 1] + 1)
            segment_in.append(mask[row, column].sum() / max(1, mask.sum()))
            others_in.append((~mask[row, column]).sum())
        n = (~mask).sum()
        inside = inside_of(boxes[b])
        out = ((~mask & ~inside).sum() / n - (1 - area / n)) / (area / n) if n else 1.0
        tight = tight_boxes(mask[None])
        shared = overlaps(np.array([[x1, y1, x2, y2]]), tight)[0, 0] if mask.any() else 0.0
        looks = 1 / (1 + np.exp(-potentials[m])) if m < 6 else np.zeros(3)
        wanted = [
            *segment_in, 1 - sum(segment_in), *(np.array(others_in) / area - 1 / 9), out, shared - 0.7, *looks,
        ]  # fmt: skip
        assert np.allclose(ours[b, m], wanted), (b, m)
    assert np.allclose(ours[:, :, :10].sum(2), 1)
    assert np.allclose(ours[:, 6, 20], -0.7) and (ours[:, 6, 21:] == 0).all() and (ours[:, 6, :9] == 0).all()


def test_the_command(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Image.fromarray(drawn(3)[0]).save("photo.png")
    done = CliRunner().invoke(app, ["detect", "segments", "photo.png", "--most", "3", "--json", "--out", "page.html"])
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["source"] == "mini-cpmc" and len(told["segments"]) == 3 and told["least_pixels"] == 74
    assert "<svg" in (tmp_path / "page.html").read_text()
    done = CliRunner().invoke(app, ["detect", "segments", "photo.png", "--source", "cpmc"])
    assert done.exit_code != 0 and "unknown source of segments" in str(done.exception)


def test_a_set_says_what_it_looks_like() -> None:
    segments = segments_of(shapes(), most=4).with_potentials(np.arange(8).reshape(4, 2) / 8, ("disk", "square"))
    assert isinstance(segments, SegmentSet) and "square by a potential of 0.12" in segments.said(0)
    assert segments.chosen([2, 0]).potentials[:, 1].tolist() == [5 / 8, 1 / 8]
    alone = SegmentSet(segments.image, segments.masks, "drawn", 1)
    assert alone.potentials.shape == (4, 0) and len(alone.chosen([3, 1])) == 2
