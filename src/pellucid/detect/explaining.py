"""Why a box is here, of this class, and which others it took the place of, or why it was dropped: whatever detector made it."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.detect.asked import ask
from pellucid.detect.detector import Detector, require_detector
from pellucid.detect.dpm.detector import DPMDetector
from pellucid.detect.dpm.explaining import PartsExplanation
from pellucid.detect.dpm.explaining import explain as explain_dpm
from pellucid.detect.errors import DetectorError
from pellucid.detect.fast_rcnn.detector import FastRCNNDetector
from pellucid.detect.fast_rcnn.explaining import BoxExplanation
from pellucid.detect.fast_rcnn.explaining import explain as explain_fast_rcnn
from pellucid.detect.faster_rcnn.detector import FasterRCNNDetector
from pellucid.detect.faster_rcnn.explaining import ProposedBoxExplanation
from pellucid.detect.faster_rcnn.explaining import explain as explain_faster_rcnn
from pellucid.detect.looking import GivenPicture, name_of
from pellucid.detect.rcnn.detector import RCNNDetector
from pellucid.detect.rcnn.explaining import RegionExplanation
from pellucid.detect.rcnn.explaining import explain as explain_rcnn
from pellucid.detect.segdeepm.detector import SegDeepMDetector
from pellucid.detect.segdeepm.explaining import SegmentExplanation
from pellucid.detect.segdeepm.explaining import explain as explain_segdeepm
from pellucid.plain import Array
from pellucid.progress import long, progress


@long
def explain(
    detector: Detector,
    image: GivenPicture,
    number: int = 0,
    threshold: float | None = None,
    name: str = "",
    dropped: int | None = None,
    at: Sequence[float] | Array | None = None,
    kind: str = "",
) -> BoxExplanation | ProposedBoxExplanation | RegionExplanation | SegmentExplanation | PartsExplanation:
    """Where the numbers of box `number` come from, of those that `detect` gives for a picture, the surest being 0.

    A picture is as `detect` takes it, and has a `name`, else that of its file. With `dropped` it is that box of those which it dropped, the
    surest being 0, and with `at` (x1, y1, x2, y2) and `kind`, a class, the one of this class that is nearest to a place; the answer's `fallen`
    says which step dropped it. Raises `DetectorError`, `DataError`.
    """
    require_detector(detector)
    with progress("explaining"):
        asked = ask(detector, detector.checked(image), number, threshold, name or name_of(image), dropped, at, kind)
        if isinstance(detector, FasterRCNNDetector):
            return explain_faster_rcnn(detector, asked)
        if isinstance(detector, FastRCNNDetector):
            return explain_fast_rcnn(detector, asked)
        if isinstance(detector, SegDeepMDetector):
            return explain_segdeepm(detector, asked)
        if isinstance(detector, RCNNDetector):
            return explain_rcnn(detector, asked)
        if isinstance(detector, DPMDetector):
            return explain_dpm(detector, asked)
    raise DetectorError(f"{detector.system}: why its boxes are here cannot be told yet")
