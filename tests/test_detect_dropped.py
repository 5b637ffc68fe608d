"""Why a box was dropped: every step that may drop one, windows by where they are, and what is asked in a way that makes no sense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pellucid as pl
from drawn_boxes import pictures_with_boxes
from dropped_boxes import explained_dropped
from part_models import part_model, told
from pellucid.cli import app
from pellucid.detect.asked import AskedBox, ask
from pellucid.detect.asking import place_of
from pellucid.detect.boxes import clipped, overlaps
from pellucid.detect.detector import MARGIN, SHARE, Scored
from pellucid.detect.dpm.context import ContextMachine
from pellucid.detect.dpm.nearby import windows_at, windows_near
from pellucid.detect.dpm.rescoring import RescoredDPMDetector
from pellucid.detect.localization import every_round, localized, with_left
from pellucid.detect.proposals.kept import Search
from pellucid.detect.proposals.origin import proposed_by, searched
from pellucid.text import apart

IMAGE = np.random.default_rng(0).integers(0, 255, (3, 96, 96), np.uint8)


@pytest.fixture(autouse=True)
def kept_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


class Fixed(pl.detect.Detector):
    """Thinks of every picture what it is given."""

    system = "fixed"
    classes = ("a", "big b")

    def __init__(self, scored: Scored, of_the_other: bool = False) -> None:
        self.given = scored
        self.of_the_other = of_the_other  # pyright: ignore[reportAttributeAccessIssue]

    def scored(self, image: np.ndarray, threshold: float | None = None) -> Scored:
        return self.given

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    def settings(self) -> dict[str, Any]:
        return {}

    @classmethod
    def made_of(cls, arrays: dict[str, np.ndarray], settings: dict[str, Any]) -> Any:
        raise NotImplementedError


REGIONS = np.array(
    [[0, 0, 9, 9], [1, 0, 10, 9], [50, 50, 59, 59], [0, 0, 9, 9], [70, 10, 79, 19], [20, 70, 29, 79], [2, 1, 7, 8]],
    float,
)
SCORES = np.array([[0.9, 0.0], [0.8, 0.0], [0.3, 0.0], [0.0, 0.7], [0.95, 0.0], [0.85, 0.0], [0.6, 0.1]])
LEFT = np.array([0, 0, 0, 0, 0, 1, 0])


def few(of_the_other: bool = False) -> Fixed:
    boxes = np.repeat(REGIONS[:, None], 2, 1)
    boxes[4, 0] = [96, 10, 95, 19]  # moved out of the picture
    return Fixed(Scored(REGIONS - [0, 0, 1, 1], SCORES, boxes, REGIONS, LEFT), of_the_other)


def of(detector: pl.detect.Detector, threshold: float | None = None, number: int = 0, **how: Any) -> AskedBox:
    return ask(detector, IMAGE, number, threshold, "one", **how)


@pytest.mark.parametrize(
    ("at", "kind", "step", "row", "words"),
    (
        ((0, 0, 9, 9), "a", "kept", 0, "why kept: it was kept: box 0 of those found"),
        ((1, 0, 10, 9), "a", "suppressed", 1, "by box 0, x 0 to 9, y 0 to 9, which overlaps it by 0.82, more than 0.3; that has 90.0%, it has 80.0%"),
        ((51, 50, 60, 59), "a", "below the threshold", 2, "its score, 30.0%, is below the threshold, 50.0%"),
        ((20, 70, 29, 79), "a", "left out", 5, "left in round 1"),
        ((0, 0, 9, 9), "big b", "kept", 3, "box 1 of those found"),
        ((1, 0, 10, 9), "big b", "below the threshold", 1, "its score, 0.0%"),
        ((30, 30, 33, 90), "a", "never proposed", 5, "never proposed: nothing near"),
    ),
)  # fmt: skip
def test_every_step_drops_its_boxes(at: Any, kind: str, step: str, row: int, words: str) -> None:
    found = of(few(), at=at, kind=kind)
    assert found.fallen is not None and found.fallen.step == step and found.row == row
    assert words in " ".join(found.fallen.lines())
    assert found.score == SCORES[row, few().classes.index(kind)]
    plain = json.loads(json.dumps(found.fallen.plain()))
    assert plain["step"] == step and plain["asked"]["box"] == list(at)
    best = overlaps(REGIONS, np.array([at], float)).max()
    assert np.isclose(plain["asked"]["proposal_overlap"], best)
    found.fallen.picture(IMAGE, found.box, found.score).svg()


def test_a_box_outside_the_picture_is_told_apart() -> None:
    detector = few()
    only = Scored(REGIONS[4:5], SCORES[4:5], detector.given.boxes[4:5], REGIONS[4:5])
    found = of(Fixed(only), at=(70, 10, 79, 19), kind="a")
    assert found.fallen is not None and found.fallen.fate.step == found.fallen.step == "outside the picture"
    assert len(Fixed(only).detect(IMAGE)) == 0
    assert "asked for" in found.fallen.picture(IMAGE, found.box, found.score).svg()


def test_the_surest_box_near_a_place_is_told_beside_the_nearest() -> None:
    found = of(few(), at=(1, 0, 10, 9), kind="a")
    assert found.fallen is not None and found.fallen.nearest is not None
    near = found.fallen.nearest
    assert near.surest is not None and near.score == 0.9 and near.fate is not None and near.fate.step == "kept"
    assert "the surest box of the class" in " ".join(found.fallen.lines())
    own = of(few(), at=(0, 0, 9, 9), kind="a").fallen
    assert own is not None and own.nearest is not None and own.nearest.fate is None


def test_those_dropped_are_numbered_by_how_sure_they_are() -> None:
    detector = few()
    told = pl.detect.find(detector, [("one", IMAGE)]).to_dict()["pictures"][0]
    assert [(one["class"], one["score"]) for one in told["objects"]] == [("a", 0.9), ("big b", 0.7)]
    assert [(one["score"], one["by"], one["step"]) for one in told["dropped"]] == [
        (0.8, 0, "suppressed"),
        (0.6, 0, "suppressed"),
    ]
    assert [of(detector, dropped=k).row for k in (0, 1)] == [1, 6]
    kept = of(detector)
    assert kept.fallen is None and [one.number for one in kept.dropped] == [0, 1]
    assert "2 objects, 2 boxes dropped" in str(pl.detect.find(detector, [("one", IMAGE)]))
    covering = of(few(of_the_other=True), dropped=1).fallen
    assert covering is not None and covering.fate.by is not None and covering.fate.by.overlap == 1.0
    assert "which covers 1.00 of it" in covering.fate.words


def test_boxes_beyond_the_limit_and_what_they_suppressed() -> None:
    corners = np.array([[8.0 * k, 8.0 * j] for j in range(12) for k in range(12)])[:102]
    regions = np.concatenate([corners, corners + 5], 1)
    regions = np.concatenate([regions, regions[101:] + np.array([0, 1, 0, 1])])
    scores = np.stack([np.linspace(0.99, 0.6, 103), np.zeros(103)], 1)
    detector = Fixed(Scored(regions, scores, regions[:, None].repeat(2, 1)))
    assert len(detector.detect(IMAGE)) == 100
    found = [of(detector, dropped=k).fallen for k in range(3)]
    assert [one.step for one in found if one] == ["beyond the limit", "beyond the limit", "suppressed"]
    assert found[0] and "100 boxes of its class that nothing suppressed are surer" in found[0].fate.words
    assert found[2] and found[2].fate.by and found[2].fate.by.number is None
    assert "a box that was one too many itself" in found[2].fate.words
    told = pl.detect.find(detector, [("one", IMAGE)]).to_dict()["pictures"][0]["dropped"]
    assert [one["by"] for one in told] == [None] * 3


class Moving:
    """Scores a region by where it begins, and moves it right by 10."""

    def scored_at(self, image: np.ndarray, regions: np.ndarray) -> Scored:
        return Scored(regions, regions[:, :1], regions[:, None] + np.array([[10, 0, 10, 0]]))


@pytest.mark.parametrize("rounds", (1, 2, 3))
def test_regions_that_a_round_did_not_take_on_are_kept_in_mind(rounds: int) -> None:
    regions = np.array([[float(k), 7 * k, k + 20, 7 * k + 20] for k in range(6)])
    every = [*every_round(Moving(), IMAGE, regions, rounds, keep=2)]
    last, whole = localized(Moving(), IMAGE, regions, rounds, keep=2), with_left(every, 0, keep=2)
    assert np.array_equal(whole.regions[: len(last.regions)], last.regions)
    left = whole.left[len(last.regions) :]
    assert left.tolist() == ([1, 1, 1, 1] if rounds > 1 else [])
    assert sorted(whole.regions[len(last.regions) :, 0].tolist()) == ([0, 1, 2, 3] if rounds > 1 else [])
    assert not whole.left[: len(last.regions)].any()


def test_proposals_behind_those_that_are_looked_at() -> None:
    image = pictures_with_boxes(1).read(0)
    first, others = Search(3).beyond(image)
    whole = Search(10_000)(image)
    assert first == 3 and np.array_equal(others, whole[3:]) and np.array_equal(Search(3)(image), whole[:3])
    even = Search(20, search="grid")
    assert len(even(image)) and len(even.beyond(image)[1]) == 0
    assert proposed_by(Search(3), image, whole[5]) is not None  # found, though not looked at
    everything = np.array([0.0, 0, image.shape[2] - 1, image.shape[1] - 1])
    assert searched(image, everything) is not None and proposed_by(even, image, everything) is None
    assert proposed_by(lambda image: whole, image, everything) is None

    class Searching(Fixed):
        def beyond(self, image: np.ndarray) -> tuple[int, np.ndarray]:
            return first, others

    looked = Scored(whole[:3], np.full((3, 2), 0.1), whole[:3, None].repeat(2, 1))
    shared = overlaps(whole, others)
    best = int(np.flatnonzero(shared[:3].max(0) < 0.4)[0])
    found = of(Searching(looked), at=others[best], kind="a").fallen
    assert found is not None and found.nearest is not None and found.nearest.beyond == (3 + best, 1.0)
    assert f"proposal {3 + best} overlaps that by 1.00, but only those before it are looked at" in " ".join(
        found.lines()
    )


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return pl.detect.load_dpm(part_model(tmp_path_factory.mktemp("models") / "box_final.mat"))


def blocks(size: tuple[int, int] = (112, 144)) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 255, (3, size[0] // 8, size[1] // 8), np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2)


@pytest.mark.parametrize("at", ([30, 20, 90, 70], [0, 0, 40, 30], [100, 60, 143, 111], [-30, -22, -2, -2]))
def test_windows_near_a_place_are_found_whatever_they_score(parts: Any, at: list[float]) -> None:
    image, box = blocks(), np.array(at, float)
    scanner, levels = parts.scanners[0], parts.levels(image)[8, 2]
    every = scanner.windows(levels, -np.inf)
    cut = clipped(every.boxes[:, 0], 144, 112)
    there = (cut[:, 2:] >= cut[:, :2]).all(1, keepdims=True)
    shared = overlaps(np.where(there, cut, every.boxes[:, 0]), box[None])[:, 0]
    found = windows_near(scanner, levels, box, image.shape[1:])
    cut = clipped(found.boxes[:, 0], 144, 112)
    there = (cut[:, 2:] >= cut[:, :2]).all(1, keepdims=True)
    ours = overlaps(np.where(there, cut, found.boxes[:, 0]), box[None])[:, 0]
    assert ours.max() == shared.max() and np.isfinite(found.scores).all()
    if (shared >= 0.5).any():
        assert found.scores[ours >= 0.5].max() == every.scores[shared >= 0.5].max()
    for k in range(0, len(found), 9):
        again = windows_at(scanner, levels, found.boxes[k, 0])
        assert found.scores[k] in again.scores and (again.boxes[:, 0] == found.boxes[k, 0]).all()


def adds_up(why: Any) -> None:
    assert np.isclose(why.of_filters, why.score if why.context is None else why.context.before, rtol=0, atol=1e-4)


def test_windows_of_parts_that_were_dropped(parts: Any, tmp_path: Path) -> None:
    explained_dropped(parts, blocks((96, 96)), -0.5, adds_up)
    roots = pl.detect.load_dpm(
        part_model(tmp_path / "root_final.mat", told("box", parts=0))
    )  # parts never lie so far outside
    why = pl.detect.explain(roots, blocks(), at=[-30, -22, -2, -2], kind="box")
    assert why.fallen is not None and why.fallen.fate.step == "outside the picture" and "outside" in str(why)
    assert "Why this box was dropped" in why.picture().html()
    adds_up(why)


def test_windows_that_filters_give_too_little_are_not_scored_anew(parts: Any) -> None:
    nothing = ContextMachine(np.zeros((0, 6)), np.zeros(0), 1.0)
    detector = RescoredDPMDetector(parts.models, [nothing])
    image, steps = blocks(), set[str]()
    for at in ([30, 20, 90, 70], [5, 5, 50, 40], [60, 50, 130, 100], [20, 60, 60, 100], [80, 5, 120, 40]):
        why = pl.detect.explain(detector, image, threshold=0.0, at=at, kind="box")
        assert why.fallen is not None
        steps.add(why.fallen.fate.step)
        adds_up(why)
        if why.fallen.fate.step == "left out":
            assert why.context is None and why.score < detector.floor(0, 0.0)
            assert "its filters give it less than -1.10" in str(why)
    assert "left out" in steps


def test_numbers_that_are_compared_are_told_apart() -> None:
    """A score of 49.96% is not said to be 50.0%, below 50.0%, nor an overlap of 0.3004 to be 0.30, more than 0.3."""
    regions = np.array([[0.0, 0, 99, 9], [53.8, 0, 152.8, 9], [200.0, 0, 299, 9]])
    scores = np.array([[0.91234, 0.0], [0.91233, 0.0], [0.49996, 0.0]])
    detector = Fixed(Scored(regions, scores, np.repeat(regions[:, None], 2, 1)))
    near = of(detector, 0.5, at=tuple(regions[2]), kind="a")
    assert near.fallen is not None
    assert near.fallen.fate.words == "its score, 49.996%, is below the threshold, 50.000%"
    shared = overlaps(regions[:1], regions[1:2])[0, 0]
    assert 0.3 < shared < 0.305
    gone = of(detector, 0.5, dropped=0)
    assert gone.fallen is not None
    words = gone.fallen.fate.words
    assert float(words.split("overlaps it by ")[1].split(",")[0]) > 0.3 and ", more than 0.3; " in words
    assert "that has 91.234%, it has 91.233%" in words
    with pytest.raises(pl.detect.DetectorError, match=r"with a score of 0.91235 or more.*the surest has 91.234%$"):
        of(detector, 0.91235)
    assert MARGIN.told(-0.001, 0.0) == "-0.001" and MARGIN.told(0.5, 0.5) == "+0.50" and SHARE.told(0.5, 0.4) == "50.0%"
    assert (apart(0.4996, 0.5, 2), apart(0.5, 0.5, 2), apart(0.25, 0.5, 2)) == ("0.4996", "0.50", "0.25")


@pytest.mark.parametrize(
    ("how", "words"),
    (
        (
            {"dropped": 2},
            "has 2 boxes that were dropped with a score of 0.5 or more, counted from 0; there is no dropped box 2",
        ),
        ({"dropped": 0, "at": (0, 0, 1, 1)}, "by one of these"),
        ({"number": 1, "dropped": 0}, "by one of these"),
        ({"kind": "a"}, "a class, 'a', is asked for together with a place"),
        ({"at": (0, 0, 1, 1)}, "a place is asked for with a class; fixed knows a, big b"),
        ({"at": (0, 0, 1, 1), "kind": "big  b"}, "there is no class 'big  b' .did you mean 'big b'"),
        ({"at": (0, 0, 1), "kind": "a"}, "wants x1, y1, x2, y2"),
        ({"at": 5, "kind": "a"}, "wants x1, y1, x2, y2"),
        ({"at": "0,0,1,1", "kind": "a"}, "wants x1, y1, x2, y2"),
        ({"at": (5, 0, 1, 1), "kind": "a"}, "x1 to the left of x2"),
        ({"at": (0, 0, float("nan"), 1), "kind": "a"}, "finite"),
    ),
)
def test_what_makes_no_sense_is_refused(how: dict[str, Any], words: str) -> None:
    with pytest.raises(pl.detect.DetectorError, match=words):
        of(few(), **how)


def test_a_picture_on_which_nothing_is_looked_at() -> None:
    nothing = Fixed(Scored(np.zeros((0, 4)), np.zeros((0, 2)), np.zeros((0, 2, 4))))
    with pytest.raises(pl.detect.DetectorError, match="nothing is looked at"):
        of(nothing, at=(0, 0, 1, 1), kind="a")
    assert pl.detect.find(nothing, [("one", IMAGE)]).to_dict()["pictures"][0]["dropped"] == []
    assert MARGIN.told(0.5) == "+0.50" and SHARE.told(0.5) == "50.0%"


@pytest.mark.parametrize("text", ("1,2,3", "a,b,c,d", "1,2,3,4,5", "1;2;3;4"))
def test_a_place_is_four_numbers(text: str) -> None:
    with pytest.raises(pl.detect.DetectorError, match="four numbers, x1,y1,x2,y2"):
        place_of(text)
    assert place_of("") is None and place_of("1, 2,3.5,-4e0") == [1, 2, 3.5, -4]


@pytest.mark.parametrize("words", (["detect", "explain"], ["explain-box"]))
def test_the_command_takes_numbers_and_places(words: list[str], tmp_path: Path) -> None:
    model, photo = part_model(tmp_path / "box_final.mat"), tmp_path / "photo.png"
    Image.fromarray(blocks().transpose(1, 2, 0)).save(photo)

    def asked(*how: str) -> Any:
        return CliRunner().invoke(app, [*words, str(model), str(photo), *how, "--json"])

    found = CliRunner().invoke(app, ["detect", "predict", str(model), str(photo), "--json"])
    gone = json.loads(found.stdout)["pictures"][0]["dropped"]
    first = json.loads(asked("--dropped", "0").stdout)
    assert first["box"] == gone[0]["box"] and first["fallen"]["step"] == gone[0]["step"] == "suppressed"
    at = ",".join(f"{value:.17g}" for value in gone[0]["box"])
    again = json.loads(asked("--at", at, "--class", "box").stdout)
    assert again["score"] == first["score"] and again["fallen"]["asked"]["overlap"] == 1.0
    why = pl.explain_box(model, photo, at=gone[0]["box"], kind="box").to_dict()
    assert json.loads(json.dumps(why)) == {**again, "picture": "photo.png"}
    for how, message in ((("--at", "1,2", "--class", "box"), "four numbers"), (("--at", at), "with a class")):
        told = asked(*how)
        assert told.exit_code and message in (told.stderr or str(told.exception))
