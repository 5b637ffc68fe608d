"""Selective search: compiled and in Python the same, regions that are what they say, the same boxes for the same seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import pellucid as pl
from pellucid.cli import app
from pellucid.data import DataError
from pellucid.detect.boxes import overlaps
from pellucid.detect.proposals import segmentation
from pellucid.detect.proposals.kept import proposals_for
from pellucid.detect.proposals.merging import Measures, merge, merged, regions_of, slopes_of
from pellucid.detect.proposals.origin import origin_of, searched
from pellucid.detect.proposals.segmentation import edges_of, joined, segment


def drawn(height: int = 60, width: int = 80) -> np.ndarray:
    """A disk and a square on noise."""
    image = np.random.default_rng(0).integers(90, 110, (3, height, width))
    rows, columns = np.mgrid[:height, :width]
    image[:, (rows - 20) ** 2 + (columns - 25) ** 2 < 15**2] = np.array([[220], [40], [30]])
    image[:, 25:55, 50:75] = np.array([[20], [60], [200]])[:, :, None]
    return image.astype(np.uint8)


PICTURES = {
    "shapes": drawn(),
    "noise": np.random.default_rng(1).integers(0, 256, (3, 33, 41), np.uint8),
    "one color": np.full((3, 30, 40), 7, np.uint8),
    "a row": np.random.default_rng(2).integers(0, 256, (3, 1, 50), np.uint8),
    "a pixel": np.zeros((3, 1, 1), np.uint8),
    "stripes, all alike": np.tile(np.array([0, 200], np.uint8).repeat(4), (3, 16, 6)),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("scale", (5, 60))
def test_compiled_is_as_specified(name: str, scale: int) -> None:
    image = PICTURES[name]
    size = (image.shape[1], image.shape[2])
    edges = edges_of(image)
    labels = segment(edges, size, scale, scale // 2)
    assert np.array_equal(labels, joined(edges, size, scale, scale // 2))
    regions = regions_of(image.astype(np.float32), labels, slopes_of(image), (edges.ones, edges.others))
    for measures in (Measures(), Measures(color=False), Measures(texture=False, fill=False)):
        ours, wanted = merge(regions, measures), merged(regions, measures)
        for part in ("merges", "likenesses", "boxes", "sizes"):
            assert np.array_equal(getattr(ours, part), getattr(wanted, part)), (measures, part)
        assert len(ours.merges) == labels.max()


def test_parts_are_even_and_large() -> None:
    image = PICTURES["shapes"]
    labels = segment(edges_of(segmentation.blurred(image, 0.1)), (60, 80), 100, 20)
    assert np.bincount(labels.reshape(-1)).min() >= 20
    disk, square = labels[20, 25], labels[40, 60]
    assert disk != square
    assert abs(int((labels == square).sum()) - 30 * 25) < 60


def test_regions_are_around_what_is_drawn() -> None:
    image = PICTURES["shapes"]
    found = pl.detect.selective_search(image)
    wanted = np.array([[11, 6, 39, 34], [50, 25, 74, 54]], float)
    best = overlaps(wanted, found.boxes)
    assert best.max(1).min() > 0.8
    shape = np.zeros((60, 80), bool)
    shape[25:55, 50:75] = True
    masks = [found.mask(k) for k in np.flatnonzero(best[1] > 0.8)]
    assert max((mask & shape).sum() / (mask | shape).sum() for mask in masks) > 0.8
    for number in range(len(found)):
        rows, columns = np.nonzero(found.mask(number))
        assert [columns.min(), rows.min(), columns.max(), rows.max()] == found.boxes[number].tolist()
    assert len(np.unique(found.boxes, axis=0)) == len(found)
    tree = found.hierarchies[0]
    assert len(np.unique(tree.regions(5))) == min(5, tree.tree.count)
    assert sorted(tree.tree.leaves(len(tree.tree.boxes) - 1)) == list(range(tree.tree.count))


def test_a_seed_says_the_order_and_a_number_how_many() -> None:
    image = PICTURES["shapes"]
    one, again, other = (pl.detect.selective_search(image, seed=s) for s in (0, 0, 1))
    assert np.array_equal(one.boxes, again.boxes)
    assert not np.array_equal(one.boxes, other.boxes)
    assert {*map(tuple, one.boxes.tolist())} == {*map(tuple, other.boxes.tolist())}
    assert np.array_equal(pl.detect.selective_search(image, 3).boxes, one.boxes[:3])


def test_a_larger_search_finds_smaller_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has fewer than 20 pixels where it is searched is not found; each size of search is kept by itself."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    image = np.random.default_rng(0).integers(90, 110, (3, 160, 240), np.uint8)
    image[:, 60:84, 100:124] = 220
    wanted = np.array([[100.0, 60, 123, 83]])
    for longest, there in ((240, True), (160, False), (500, True)):
        for _ in range(2):
            found = proposals_for(image, 2000, longest=longest)
            assert (overlaps(wanted, found).max() > 0.9) == there
            assert np.array_equal(found, pl.detect.selective_search(image, 2000, longest=longest).boxes)
    assert len(list((tmp_path / "pellucid" / "proposals").iterdir())) == 3
    with pytest.raises(pl.detect.BoxError, match="64 pixels or more, got 63"):
        pl.detect.selective_search(image, longest=63)


@pytest.mark.parametrize("shape", ((3, 700, 300), (3, 40, 1200), (3, 1, 1), (3, 5, 700), (3, 19, 19)))
def test_boxes_lie_on_the_picture(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    image[:, :, shape[2] // 2 :] //= 4
    found = pl.detect.selective_search(image)
    assert len(found)
    x1, y1, x2, y2 = found.boxes.T
    assert x1.min() >= 0 <= y1.min()
    assert x2.max() <= shape[2] - 1
    assert y2.max() <= shape[1] - 1
    assert (x1 <= x2).all() and (y1 <= y2).all()
    assert found.mask(0).shape == shape[1:]


def test_without_the_compiled_code_all_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = pl.detect.selective_search(PICTURES["noise"])
    for module in ("segmentation", "merging"):
        monkeypatch.setattr(f"pellucid.detect.proposals.{module}.compiled", lambda: None)
    found = pl.detect.selective_search(PICTURES["noise"])
    assert np.array_equal(found.boxes, wanted.boxes)
    assert np.array_equal(found.sources, wanted.sources)


@pytest.mark.parametrize(
    ("image", "most", "words"),
    (
        (np.zeros((3, 4, 4)), 5, "uint8"),
        (np.zeros((1, 4, 4), np.uint8), 5, r"\(3, H, W\)"),
        (np.zeros((3, 0, 4), np.uint8), 5, r"\(3, 0, 4\)"),
        (np.zeros((3, 4, 4), np.uint8), 0, "1 or more"),
    ),
)
def test_what_is_no_picture(image: np.ndarray, most: int, words: str) -> None:
    with pytest.raises(pl.detect.BoxError, match=words):
        pl.detect.selective_search(image, most)


def test_recall_counts_objects_that_are_found() -> None:
    objects = pl.detect.Objects(
        np.array([[0, 0, 9, 9], [20, 20, 29, 29], [40, 40, 49, 49]], float),
        np.zeros(3, int),
        np.array([False, False, True]),
    )
    pictures = pl.detect.PicturesWithBoxes(
        "two",
        ("a",),
        ("one", "none"),
        (objects, pl.detect.Objects.none()),
        ((60, 60), (9, 9)),
        lambda k: np.zeros((3, 60, 60), np.uint8),
    )
    proposals = np.array([[0, 0, 9, 4], [20, 20, 29, 23], [40, 40, 49, 49], [20, 21, 29, 29]], float)
    found = pl.detect.recall(pictures, lambda image: proposals, (1, 2, 3, 4))
    assert found.found.tolist() == [0.5, 0.5, 0.5, 1.0]
    assert (found.objects, found.pictures) == (2, 2)
    with pytest.raises(DataError, match="no object"):
        pl.detect.recall(pictures.chosen([1], "empty"), lambda image: proposals)


@pytest.mark.parametrize("name", ("shapes", "noise", "stripes, all alike"))
def test_a_proposal_knows_the_merges_around_it(name: str) -> None:
    image = PICTURES[name]
    found = pl.detect.selective_search(image)
    assert len(found)
    for number in range(len(found)):
        origin = origin_of(found, number)
        assert np.array_equal(origin.region.mask, found.mask(number))
        assert len(origin.parts) in (0, 2) and (origin.likeness is None) == (not origin.parts)
        if origin.parts:
            one, other = origin.parts
            assert np.array_equal(one.mask | other.mask, origin.region.mask) and not (one.mask & other.mask).any()
            assert np.isclose(one.share + other.share, origin.region.share)
            assert origin.likeness is not None and 0 <= origin.likeness <= origin.measures
        if origin.into is not None:
            assert origin.into.mask[origin.region.mask].all() and origin.into.share > origin.region.share
        else:
            assert origin.region.mask.all()
        assert len(origin.picture().tiles) == 1 + len(origin.parts) + (origin.into is not None)
        again = searched(image, found.boxes[number])
        assert again is not None and again.plain() == origin.plain()
    assert searched(image, found.boxes[0] + 0.5) is None


def test_both_names_are_one_command() -> None:
    """`pellucid proposals` and `pellucid detect proposals` take the same and say the same."""
    from typer.main import get_command

    group: Any = get_command(app)
    one, other = group.commands["proposals"], group.commands["detect"].commands["proposals"]
    assert [(p.name, p.opts, p.default) for p in one.params] == [(p.name, p.opts, p.default) for p in other.params]
    words = ["digits[143]", "--most", "3", "--search-size", "64", "--seed", "2", "--json"]
    asked = [CliRunner().invoke(app, [*names, *words]).stdout for names in (["proposals"], ["detect", "proposals"])]
    assert asked[0] == asked[1] and len(json.loads(asked[0])["boxes"]) <= 3
