"""Targets: a class, a place in an output or a region of it, however it is written; and what is said of what there is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.explain import ScoreError, Target
from pellucid.inference.target import default_output, find_target, named_outputs

CLASSES = ("cat", "dog", "7")
OUTPUTS: dict[str, pl.Tensor] = {
    "boxes": pl.input((1, 10, 4), name="inner/boxes"), "scores": pl.input((1, 3)), "mask": pl.input((1, 2, 6, 8)),
    "steps": pl.input((5, 1, 4)), "total": pl.input(()), "count": pl.input((1, 1), "int64"), "3": pl.input((1, 9)),
}  # fmt: skip
VALUES = np.random.default_rng(0).standard_normal((1, 2, 6, 8))

WRITTEN: list[tuple[Any, str]] = [
    ("cat", "scores[0]"),
    ("7", "scores[2]"),
    ("1", "scores[1]"),
    (-1, "scores[2]"),
    ("-1", "scores[2]"),
    ("[1]", "scores[1]"),
    (2, "scores[2]"),
    ("scores[0,1]", "scores[1]"),
    (" scores [ 1 ] ", "scores[1]"),
    ("boxes[3]", "boxes[3,0:4]"),
    ("boxes[-1, -1]", "boxes[9,3]"),
    ("boxes[0,9,3]", "boxes[9,3]"),
    ("inner/boxes[9,3]", "boxes[9,3]"),
    ("mask[1, 2:4, 5:]", "mask[1,2:4,5:8]"),
    ("mask[1,-2:,:]", "mask[1,4:6,0:8]"),
    ("mask", "mask[0:2,0:6,0:8]"),
    ("mask[]", "mask[0:2,0:6,0:8]"),
    ("steps[4,0,2]", "steps[4,0,2]"),
    ("steps[-1]", "steps[4,0,0:4]"),
    ("total", "total[]"),
    ("3[4]", "3[4]"),
    (("mask", 1, slice(2, 4)), "mask[1,2:4,0:8]"),
    ((np.int64(1),), "scores[1]"),
    (Target("mask", (1, (2, 4), slice(None))), "mask[1,2:4,0:8]"),
]


@pytest.mark.parametrize(("asked", "wanted"), WRITTEN, ids=str)
def test_however_it_is_written(asked: Any, wanted: str) -> None:
    """What is found is written as it can be asked for again."""
    found = find_target(OUTPUTS, asked, CLASSES)
    assert str(found) == wanted
    assert find_target(OUTPUTS, found, CLASSES) == find_target(OUTPUTS, str(found), CLASSES) == found


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("cats", r"no class is named 'cats' \(did you mean 'cat'\?\), nor an output; outputs: boxes \(1, 10, 4\), scores"),
        ("score[1]", r"no output is called 'score' \(did you mean 'scores'\?\); outputs: boxes"),
        (3, "class 3 is not one of the 3, 0 to 2"),
        ("scores[-4]", "class -4 is not one of the 3, 0 to 2"),
        ("mask[2,0,0]", r"mask: wants a place within \[0..1, 0..5, 0..7\], got mask\[2,0,0\]"),
        ("mask[1,0,0,0]", r"mask: wants a place within \[0..0, 0..1, 0..5, 0..7\], got mask\[1,0,0,0\]"),
        ("mask[0,0,0,0,0]", r"mask: has 3 axes, \[0..1, 0..5, 0..7\], got 5"),
        ("mask[0,2:9]", r"wants a region within \[0..1, 0..5, 0..7\] that is not empty, got mask\[0,2:9\]"),
        ("mask[0,3:3]", "that is not empty"),
        ("mask[0,1:5:2]", "'1:5:2' is neither a number nor a part of an axis such as 10:20"),
        ("mask[a]", "'a' is neither a number"),
        ("mask[dog]", "mask: 'dog' is one of 3 classes, its axis has 2 places"),
        (("mask", 1, 1, "dog"), "mask: 'dog' is one of 3 classes, its axis has 8 places"),
        ("scores[dgo]", r"'dgo' is neither a number, .*, nor a class \(did you mean 'dog'"),
        ("count", "'count' is of int64, which has no gradient"),
        (("mask", slice(0, 4, 2)), "a number, or a slice without a step"),
        (("mask", 1.5), "a number, or a slice without a step, for each axis, got 1.5"),
        (None, "nothing says what is to be explained"),
    ],
    ids=str,
)  # fmt: skip
def test_what_there_is_not(asked: Any, words: str) -> None:
    with pytest.raises(ScoreError, match=words):
        find_target(OUTPUTS, asked, CLASSES)


MAPS = {"map": pl.input((1, 2, 6, 8))}
BOXES = {"rec": pl.input((1, 5, 3))}


@pytest.mark.parametrize(
    ("outputs", "classes", "asked", "wanted"),
    [
        (MAPS, ("cat", "dog"), "dog", "map[1,0:6,0:8]"),
        ({"map": pl.input((1, 6, 8, 3))}, CLASSES, "dog", "map[0:6,0:8,1]"),
        (MAPS, (), 1, "map[1,0:6,0:8]"),
        ({"out0": pl.input((1, 4)), "out1": pl.input((1, 3))}, CLASSES, "cat", "out1[0]"),
        ({"out0": pl.input((1, 4)), "out1": pl.input((1, 3))}, (), 0, "out0[0]"),
        ({"out": pl.input((1, 3, 1, 1))}, CLASSES, "dog", "out[1,0,0]"),
        ({"vector": pl.input((7,))}, (), 6, "vector[6]"),
        (BOXES, CLASSES, "rec[4,dog]", "rec[4,1]"),
        (BOXES, CLASSES, " rec [0, 4, dog ]", "rec[4,1]"),
        (BOXES, CLASSES, "[1:3,cat]", "rec[1:3,0]"),
        (BOXES, ("a", "b", "7"), "rec[:,b]", "rec[0:5,1]"),
        (BOXES, CLASSES, ("rec", -1, "dog"), "rec[4,1]"),
        (BOXES, ("ear, spike", "ear", "3 x"), "rec[2,ear, spike]", "rec[2,0]"),
        (BOXES, ("ear, spike", "ear", "3 x"), "rec[2,3 x]", "rec[2,2]"),
        (MAPS, ("cat", "dog"), "map[dog,2:4]", "map[1,2:4,0:8]"),
    ],
)
def test_which_output_has_the_classes(outputs: dict[str, pl.Tensor], classes: Any, asked: Any, wanted: str) -> None:
    assert str(find_target(outputs, asked, classes)) == wanted


def test_a_class_of_which_no_output_has_a_score() -> None:
    with pytest.raises(
        ScoreError, match=r"the class 'cat' is one of 3, but no output has so many scores; outputs: map"
    ):
        find_target(MAPS, "cat", CLASSES)
    with pytest.raises(ScoreError, match="no output is floating"):
        default_output({"count": OUTPUTS["count"]})


def test_where_no_output_is_floating_what_it_is_made_of_is_named() -> None:
    scores = pl.ops.relu(pl.input((1, 3), name="x"))
    with pytest.raises(ScoreError, match=rf"as an output, too: {scores.name}$"):
        default_output({"class": pl.ops.argmax(scores, 1), "again": pl.ops.cast(pl.ops.argmax(scores, 1), "bool")})


def test_unless_asked_it_is_the_highest() -> None:
    scores = np.array([[0.5, 2.0, 1.0]])
    found = find_target(OUTPUTS, None, CLASSES, {"scores": scores}.__getitem__)
    assert (str(found), found.class_number, found.why) == ("scores[1]", 1, "the highest")
    found = find_target(MAPS, None, (), lambda name: VALUES)
    assert found.index == np.unravel_index(VALUES[0].argmax(), (2, 6, 8))
    assert (found.class_number, found.why) == (None, "the largest element")
    with pytest.raises(ScoreError, match="not numbers"):
        find_target(MAPS, None, (), lambda name: VALUES * np.nan)


def test_what_it_is_worth_and_the_gradient_with_regard_to_its_output() -> None:
    region, place = (find_target(MAPS, text) for text in ("map[1,2:4]", "map[1,2,3]"))
    np.testing.assert_allclose(region.of(VALUES), [VALUES[0, 1, 2:4].sum()])
    np.testing.assert_allclose(place.of(np.concatenate([VALUES, -VALUES])), [VALUES[0, 1, 2, 3], -VALUES[0, 1, 2, 3]])
    upstream = region.upstream(MAPS["map"])
    assert (upstream.shape, upstream.dtype, upstream.sum()) == ((1, 2, 6, 8), np.float32, 16)
    assert (upstream * VALUES).sum() == pytest.approx(region.of(VALUES)[0])
    steps = find_target(OUTPUTS, "steps[4,0,2]")
    assert steps.of(np.arange(20.0).reshape(5, 1, 4)).tolist() == [18]
    assert find_target(OUTPUTS, "total").of(np.array(2.5)).tolist() == [2.5]
    assert place.index == (1, 2, 3)
    with pytest.raises(ScoreError, match=r"map\[1,2:4,0:8\]: is a sum over a region"):
        _ = region.index


def test_what_it_is_called() -> None:
    assert find_target(OUTPUTS, "cat", CLASSES).words == "class 0 (cat) of scores"
    assert find_target({"out0": pl.input((1, 3))}, 2).words == "class 2"
    assert find_target({"out0": pl.input((1, 3, 1, 1))}, 1, CLASSES).words == "class 1 (dog)"
    assert find_target(MAPS, (1, 2, 3)).words == "map[1,2,3]"
    assert find_target(MAPS, 1).words == "the sum of map[1,0:6,0:8]"
    assert find_target(MAPS, "dog", ("cat", "dog")).words == "the sum of map[1,0:6,0:8] (dog)"


def test_names_of_outputs() -> None:
    class Heads(nn.Module):
        def __init__(self, *names: str) -> None:
            super().__init__()
            self.output_names = names
            self.left, self.right = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 3, 3)

        def forward(self, x: pl.Tensor) -> Any:
            return self.left(x), self.right(x)

    for net, names in ((Heads(), ["out0", "out1"]), (Heads("a", "b"), ["a", "b"])):
        outputs = named_outputs(net, net.graph((1, 1, 8, 8)))
        assert list(outputs) == names
        assert str(find_target(outputs, "right[2]")) == f"{names[1]}[2,0:6,0:6]"
