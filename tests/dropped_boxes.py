"""What is asked of every system about boxes that it dropped: by their number, by their place, and where there is nothing near."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import pellucid as pl
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
        why = pl.detect.explain(detector, image, threshold=threshold, dropped=number)
        head = of_head(why)
        assert head.box.tolist() == one["box"] and head.score == one["score"] and head.number == number
        assert detector.classes[head.label] == one["class"]
        adds_up(why)
        fallen = json.loads(why.to_json())["fallen"]
        assert fallen["step"] == "suppressed" and fallen["number"] == number
        assert fallen["by"]["number"] == one["by"] and fallen["by"]["box"] == kept[one["by"]]["box"]
        assert fallen["by"]["score"] == kept[one["by"]]["score"] and fallen["by"]["overlap"] == one["overlap"]
        assert f"why dropped: suppressed by box {one['by']}" in str(why) and "in its place went" not in str(why)
        assert "Why this box was dropped: suppressed" in why.picture().html()
        winner = of_head(pl.detect.explain(detector, image, one["by"], threshold))
        assert one["score"] in [d.score for d in winner.dropped if d.number == number]
    by_its_place(detector, image, threshold, gone[0], "suppressed", adds_up)
    by_its_place(detector, image, threshold, kept[0], "kept", adds_up)
    higher = (gone[0]["score"] + kept[0]["score"]) / 2
    if gone[0]["score"] < higher:
        by_its_place(detector, image, higher, gone[0], "below the threshold", adds_up)
    nothing_is_near(detector, image, threshold, adds_up)


def by_its_place(
    detector: pl.detect.Detector,
    image: np.ndarray,
    threshold: float,
    one: Any,
    step: str,
    adds_up: Callable[[Any], None],
) -> None:
    """A box is found again by where it is and its class."""
    why = pl.detect.explain(detector, image, threshold=threshold, at=one["box"], kind=one["class"])
    head, fallen = of_head(why), json.loads(why.to_json())["fallen"]
    assert head.box.tolist() == one["box"] and np.isclose(fallen["asked"]["overlap"], 1.0)
    adds_up(why)
    assert head.score == one["score"] and fallen["step"] == fallen["box_step"] == step
    assert ("why kept: " in str(why)) == (step == "kept")


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
