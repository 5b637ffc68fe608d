"""Asking a detector: objects on pictures, as words, plain data, and boxes over the pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from pellucid.detect.boxes import told
from pellucid.detect.detections import Detections
from pellucid.detect.detector import SHARE, Detector, Scale, kept_of, require_detector
from pellucid.detect.errors import DetectorError
from pellucid.detect.fate import Sifted
from pellucid.detect.looking import GivenPicture
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes, require_pictures
from pellucid.pictures import Answer, Box, Overlay, Page
from pellucid.plain import Array
from pellucid.progress import long, progress, tell
from pellucid.text import amount


@dataclass(frozen=True)
class FoundObjects(Answer):
    """What a `system` finds on pictures with a score of `threshold` or more: `names`, `images` uint8 (3, H, W), `detections`.

    `threshold` is None where each class has its own.
    """

    system: str
    classes: tuple[str, ...]
    threshold: float | None
    names: tuple[str, ...]
    images: tuple[Array, ...]
    detections: tuple[Detections, ...]
    scale: Scale = SHARE
    notes: tuple[str, ...] = ()
    """What is to be said with it, such as which segments were used."""
    sifted: tuple[Sifted, ...] = ()
    """What became of all boxes of each picture that had the threshold's score: those that were dropped, too."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; boxes count pixels from 0, the last row and column inside. Those `dropped` are numbered as `explain` takes them."""
        dropped = [{"dropped": one.plain(self.classes)} for one in self.sifted] or [{} for _ in self.names]
        return {
            "system": self.system,
            **({} if self.threshold is None else {"threshold": self.threshold}),
            **({"notes": list(self.notes)} if self.notes else {}),
            "pictures": [
                {
                    "picture": name,
                    "width": image.shape[2],
                    "height": image.shape[1],
                    "objects": [
                        {"class": self.classes[label], "score": score, "box": box}
                        for box, label, score in zip(
                            found.boxes.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True
                        )
                    ],
                    **gone,
                }
                for name, image, found, gone in zip(self.names, self.images, self.detections, dropped, strict=True)
            ],
        }

    def __str__(self) -> str:
        lines: list[str] = []
        dropped = [len(one.dropped) for one in self.sifted] or [0] * len(self.names)
        for name, found, gone in zip(self.names, self.detections, dropped, strict=True):
            others = f", {amount(gone, 'box')} dropped" if gone else ""
            lines.append(f"{name}: {amount(len(found), 'object') if len(found) else 'nothing was found'}{others}")
            lines += [
                f"  {self.classes[label]} {self.scale.told(score)}  {told(box)}"
                for box, label, score in zip(found.boxes, found.labels.tolist(), found.scores.tolist(), strict=True)
            ]
        return "\n".join([*lines, *self.notes])

    def picture(self) -> Page | Overlay:
        """Boxes over the pictures."""
        drawn = tuple(
            overlay(name, image, found, self.classes, self.scale)
            for name, image, found in zip(self.names, self.images, self.detections, strict=True)
        )
        return drawn[0] if len(drawn) == 1 and not self.notes else Page("What was found", (*drawn, *self.notes))


@long
def find(
    detector: Detector, pictures: Sequence[tuple[str, GivenPicture]], threshold: float | None = None
) -> FoundObjects:
    """Objects on pictures, each with its name, as `detect` takes them: uint8 (3, H, W), or files. Raises `DetectorError`, `DataError`."""
    require_detector(detector)
    threshold = detector.required(threshold)
    names, given = _named(pictures)
    images: list[Array] = []
    found: list[Detections] = []
    sifted: list[Sifted] = []
    with progress("detecting"):
        for one in given:
            images.append(image := detector.checked(one))
            choices = detector.choices(image, threshold)
            found.append(kept_of(choices))
            sifted.append(Sifted.of(detector, choices))
            tell(len(found), len(given))
    return FoundObjects(
        detector.system, detector.classes, threshold, names, tuple(images), tuple(found), detector.scale, detector.notes,
        tuple(sifted),
    )  # fmt: skip


def _named(pictures: Sequence[tuple[str, GivenPicture]]) -> tuple[tuple[str, ...], tuple[GivenPicture, ...]]:
    """Names, and pictures. Raises `DetectorError` for what is no pairs of both."""
    pairs: list[Any] = [*pictures]  # whatever a caller has
    for one in pairs:
        if not (isinstance(one, tuple | list) and len(cast(Sequence[Any], one)) == 2 and isinstance(one[0], str)):
            got = type(cast(Any, one)).__name__
            raise DetectorError(
                f"wants each picture with its name, (name, picture), got a {got}; find_objects takes files alone"
            )
    if not pairs:
        raise DetectorError("no picture was given")
    names, given = zip(*pairs, strict=True)
    return names, given


@long
def find_all(detector: Detector, pictures: PicturesWithBoxes) -> list[Detections]:
    """What a detector finds on each of many pictures, unsure boxes too: what `evaluate` measures.

    Classes are numbered as those of `pictures`; boxes of others are left out. Raises `DetectorError` where the detector knows none of these.
    """
    require_detector(detector)
    require_pictures(pictures)
    known_there(detector, pictures)
    found: list[Detections] = []
    with progress("detecting"):
        for number in range(len(pictures)):
            there = detector.detect(pictures.read(number), detector.counted)
            found.append(numbered_as(pictures.classes, there, detector.classes))
            tell(number + 1, len(pictures))
    return found


def known_there(detector: Detector, pictures: PicturesWithBoxes) -> tuple[str, ...]:
    """The classes of pictures that a detector knows. Raises `DetectorError` where there are none."""
    shared = tuple(name for name in pictures.classes if name in detector.classes)
    if not shared:
        known, there = ", ".join(detector.classes), ", ".join(pictures.classes)
        raise DetectorError(f"{pictures.name}: has the classes {there}; the detector knows {known}")
    return shared


def numbered_as(there: Sequence[str], found: Detections, classes: Sequence[str]) -> Detections:
    """What was found, by the numbers that `there` gives to `classes`, without what is of others."""
    numbers = np.array([there.index(name) if name in there else -1 for name in classes], np.int64)
    labels = numbers[found.labels]
    own = labels >= 0
    return Detections(found.boxes[own], labels[own], found.scores[own])


def overlay(name: str, image: Array, found: Detections, classes: Sequence[str], scale: Scale = SHARE) -> Overlay:
    """A picture with boxes, their classes and scores."""
    boxes = tuple(
        Box(
            (int(y1), int(y2) + 1),
            (int(x1), int(x2) + 1),
            f"{classes[label]} {score:.2f}",
            scale.strength(score),
            score,
        )
        for (x1, y1, x2, y2), label, score in zip(
            found.boxes.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True
        )
    )
    return Overlay(name, image, boxes=boxes, note=amount(len(boxes), "object") if boxes else "nothing was found")


def settings_of(assignments: Sequence[str]) -> dict[str, Any]:
    """Settings written NAME=VALUE, values as in JSON; a word stands for itself. Raises `DetectorError`."""
    found: dict[str, Any] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise DetectorError(f"a setting is written NAME=VALUE, got {text!r:.60}")
        name, value = name.strip(), value.strip()
        if name in found:
            raise DetectorError(f"{name} is given twice, {found[name]} and {value}; give it once")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
