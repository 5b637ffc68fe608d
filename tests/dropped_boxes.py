"""What is asked of every system about boxes that it dropped: by their number, by their place, and where there is nothing near."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import pellucid as pl
from pellucid.detect.asked import ask
from pellucid.detect.boxes import areas, intersections, overlaps


def share(detector: pl.detect.Detector, one: Any, gone: Any) -> float:
    """By how much a box suppresses another, by the definition."""
    ones, others = np.array([one], float), np.array([gone], float)
    if detector.of_the_other:
        return float((intersections(ones, others) / areas(others))[0, 0])
    return float(overlaps(ones, others)[0, 0])


def of_head(why: Any) -> Any:
    """What all explanations have in common; that of Faster R-CNN keeps it apart."""
    return getattr(why, "head", why)


def explained_dropped(
    detector: pl.detect.Detector, image: np.ndarray, threshold: float, adds_up: Callable[[Any], None]
) -> None:
    """Suppressed boxes name what suppressed them; a place gives the nearest box; unsure ones, and places where nothing is, are told apart."""
    (told,) = pl.detect.find(detector, [("one", image)], threshold).to_dict()["pictures"]
    gone, kept = told["dropped"], told["objects"]
    assert gone and kept
    assert all(a["score"] >= b["score"] for a, b in pairwise(gone))
    for one in gone:
        assert one["step"] == "suppressed" and one["score"] >= threshold
        rival = kept[one["by"]]
        assert rival["class"] == one["class"] and rival["score"] >= one["score"]
        assert np.isclose(share(detector, rival["box"], one["box"]), one["overlap"])
        assert one["overlap"] > detector.overlap
    for number in sorted({0, len(gone) - 1}):
        one = gone[number]
        winner = ask(detector, image, one["by"], threshold, "one")
        assert one["score"] in [d.score for d in winner.dropped if d.number == number]
        found = ask(detector, image, 0, threshold, "one", dropped=number)
        assert found.box.tolist() == one["box"] and found.score == one["score"] and found.number == number
    suppressed(detector, image, threshold, len(gone) - 1, told, adds_up)
    by_its_place(detector, image, threshold, gone[0], "suppressed")
    by_its_place(detector, image, threshold, kept[0], "kept")
    higher = (gone[0]["score"] + kept[0]["score"]) / 2
    if gone[0]["score"] < higher:
        by_its_place(detector, image, higher, gone[0], "below the threshold")
    nothing_is_near(detector, image, threshold, adds_up)


def suppressed(
    detector: pl.detect.Detector,
    image: np.ndarray,
    threshold: float,
    number: int,
    told: Any,
    adds_up: Callable[[Any], None],
) -> None:
    """A box that another suppressed is explained as one that was kept is, and says which other, and why."""
    one, why = told["dropped"][number], pl.detect.explain(detector, image, threshold=threshold, dropped=number)
    head, rival = of_head(why), told["objects"][one["by"]]
    assert head.box.tolist() == one["box"] and head.score == one["score"] and head.number == number
    assert detector.classes[head.label] == one["class"]
    adds_up(why)
    fallen = json.loads(why.to_json())["fallen"]
    assert fallen["step"] == "suppressed" and fallen["number"] == number
    assert fallen["by"] == {
        "number": one["by"], "box": rival["box"], "score": rival["score"], "overlap": one["overlap"],
    }  # fmt: skip
    assert f"why dropped: suppressed by box {one['by']}" in str(why) and "of its class that" not in str(why)
    page = why.picture().html()
    assert "Why this box was dropped: suppressed" in page and "Suppressed by this box" not in page


def by_its_place(detector: pl.detect.Detector, image: np.ndarray, threshold: float, one: Any, step: str) -> None:
    """A box is found again by where it is and its class."""
    found = ask(detector, image, 0, threshold, "one", at=one["box"], kind=one["class"])
    assert found.fallen is not None and found.fallen.nearest is not None
    assert found.box.tolist() == one["box"] and np.isclose(found.fallen.nearest.overlap, 1.0)
    assert found.score == one["score"] and found.fallen.step == found.fallen.fate.step == step
    assert ("why kept: " in found.fallen.lines()[0]) == (step == "kept")


def nothing_is_near(
    detector: pl.detect.Detector, image: np.ndarray, threshold: float, adds_up: Callable[[Any], None]
) -> None:
    """A thin line was never proposed, and what comes nearest to it is told all the same."""
    at = [4.0, 48.0, 91.0, 49.0]
    why = pl.detect.explain(detector, image, threshold=threshold, at=at, kind=detector.classes[0])
    head, fallen = of_head(why), json.loads(why.to_json())["fallen"]
    assert fallen["step"] == "never proposed" and not fallen["asked"]["proposed"]
    assert fallen["asked"]["overlap"] < 0.5 and fallen["asked"]["proposal_overlap"] < 0.5
    assert np.isclose(overlaps(head.box[None], np.array([at]))[0, 0], fallen["asked"]["overlap"])
    assert "never proposed" in str(why) and "never proposed" in why.picture().html()
    adds_up(why)
