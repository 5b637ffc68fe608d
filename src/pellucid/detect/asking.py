"""A detector and a picture by their names: what it finds there, and why one of the boxes is where it is, or was dropped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.detect.detector import Detector
from pellucid.detect.errors import DetectorError
from pellucid.detect.explaining import explain
from pellucid.detect.files import load_detector
from pellucid.detect.finding import FoundObjects, find
from pellucid.detect.looking import name_of

if TYPE_CHECKING:
    from pellucid.detect.dpm.explaining import PartsExplanation
    from pellucid.detect.fast_rcnn.explaining import BoxExplanation
    from pellucid.detect.faster_rcnn.explaining import ProposedBoxExplanation
    from pellucid.detect.rcnn.explaining import RegionExplanation
    from pellucid.detect.segdeepm.explaining import SegmentExplanation


def find_objects(
    detector: str | Path | Detector, images: str | Path | Sequence[str | Path], threshold: float | None = None
) -> FoundObjects:
    """What a detector, or the one of a run or a file, finds on pictures, files or names as sample:china. Raises `DetectorError`, `DataError`."""
    files = [images] if isinstance(images, str | Path) else images
    return find(opened(detector), [(name_of(file), file) for file in files], threshold)


def explain_box(
    detector: str | Path | Detector,
    image: str | Path,
    box: int = 0,
    threshold: float | None = None,
    dropped: int | None = None,
    at: str | Sequence[float] = "",
    kind: str = "",
) -> BoxExplanation | ProposedBoxExplanation | RegionExplanation | SegmentExplanation | PartsExplanation:
    """Why box `box` of those that `find_objects` gives, the surest being 0, is there, and of its class.

    With `dropped` it is that one of those which were dropped; with `at`, x1, y1, x2, y2 as numbers or as text, and `kind`, a class, the one that
    is nearest to a place. Raises `DetectorError`, `DataError`.
    """
    place = place_of(at) if isinstance(at, str) else at
    return explain(opened(detector), image, box, threshold, "", dropped, place, kind)


def place_of(text: str) -> list[float] | None:
    """`"12,20,80,90"` as numbers; None where nothing is said. Raises `DetectorError`."""
    try:
        numbers = [float(part) for part in text.split(",")] if text else None
    except ValueError:
        numbers = []
    if numbers is not None and len(numbers) != 4:
        raise DetectorError(f"the place of a box is four numbers, x1,y1,x2,y2 as in 12,20,80,90; got {text!r:.60}")
    return numbers


def opened(detector: str | Path | Detector) -> Detector:
    """A detector, or the one of a run or a file. Raises `DetectorError`."""
    return detector if isinstance(detector, Detector) else load_detector(detector)
