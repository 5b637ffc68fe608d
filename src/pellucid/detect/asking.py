"""A detector and a picture by their names: what it finds there, and why one of the boxes is where it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.data import read_image
from pellucid.detect.detector import Detector
from pellucid.detect.explaining import explain
from pellucid.detect.files import load_detector
from pellucid.detect.finding import FoundObjects, find

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
    return find(_opened(detector), [(_called(file), read_image(file)) for file in files], threshold)


def explain_box(
    detector: str | Path | Detector, image: str | Path, box: int = 0, threshold: float | None = None
) -> BoxExplanation | ProposedBoxExplanation | RegionExplanation | SegmentExplanation | PartsExplanation:
    """Why box `box` of those that `find_objects` gives, the surest being 0, is there, and of its class. Raises `DetectorError`, `DataError`."""
    return explain(_opened(detector), read_image(image), box, threshold, _called(image))


def _opened(detector: str | Path | Detector) -> Detector:
    return detector if isinstance(detector, Detector) else load_detector(detector)


def _called(file: str | Path) -> str:
    """A picture's name: that of a file without its folder."""
    return Path(file).name if Path(file).exists() else str(file)
