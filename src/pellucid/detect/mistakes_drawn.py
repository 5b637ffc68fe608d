"""The surest mistakes of each kind over their pictures: the box, and the object that it is held against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid.data import DataError
from pellucid.detect.asked import drawn_box
from pellucid.detect.boxes import within
from pellucid.detect.mistakes import KINDS, Mistake
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.pictures import Overlay
from pellucid.plain import Array
from pellucid.text import amount

EACH = 4
"""Mistakes of a kind that are drawn, the surest."""


def drawn(wrong: Sequence[Mistake], truth: PicturesWithBoxes) -> tuple[dict[str, tuple[Overlay, ...]], str]:
    """Of each kind the surest of `wrong` (these come first) over its part of the picture; and why some could not be drawn, or ""."""
    shown: dict[str, tuple[Overlay, ...]] = {}
    faults: list[str] = []
    for kind in KINDS:
        overlays: list[Overlay] = []
        for mistake in [m for m in wrong if m.kind == kind][:EACH]:
            try:
                overlays.append(_overlay(mistake, truth))
            except DataError as error:
                faults.append(str(error))
        shown[kind] = tuple(overlays)
    return shown, f"{amount(len(faults), 'mistake')} could not be drawn: {faults[0]}" if faults else ""


def _overlay(mistake: Mistake, truth: PicturesWithBoxes) -> Overlay:
    """The box and the object that it is held against, with what is around them."""
    image, size = truth.read(mistake.picture), truth.sizes[mistake.picture]
    if image.shape[1:] != size[::-1]:
        raise DataError(
            f"{mistake.name}: is {image.shape[2]} x {image.shape[1]} pixels large, not {size[0]} x {size[1]} as its boxes say"
        )
    told, note = f"{mistake.taken_for} {mistake.score:.2f}", f"{mistake.name}: overlaps no object"
    there, labels = [mistake.box], [told]
    if mistake.nearest is not None:
        there, labels = [mistake.nearest, mistake.box], ["", told]
        note = f"{mistake.name}: overlaps the marked {mistake.nearest_class} (pale) by {mistake.overlap:.2f}"
    boxes = within(np.stack(there), *size)
    left, top, right, bottom = _around(boxes, size)
    frames = zip(boxes - [left, top, left, top], labels, strict=True)
    part = np.ascontiguousarray(image[:, top:bottom, left:right])
    return Overlay(
        told, part, boxes=tuple(drawn_box(box, label, 1.0 if label else 0.4) for box, label in frames), note=note
    )


def _around(boxes: Array, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom (ends excluded) of what is shown: boxes and half as much on each side, 4 to 3 where there is room."""
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0) + 1.0
    center, wide = (low + high) / 2, np.maximum(2.0 * (high - low), 48.0)
    wide = np.maximum(wide, wide[::-1] * [4 / 3, 3 / 4])
    limits = np.array(size, np.float64)
    wide = np.minimum(wide, limits)
    start = np.clip(center - wide / 2, 0.0, limits - wide)
    left, top = np.floor(start).astype(int).tolist()
    right, bottom = np.ceil(start + wide).astype(int).tolist()
    return left, top, min(right, size[0]), min(bottom, size[1])
