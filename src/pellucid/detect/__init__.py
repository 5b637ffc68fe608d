"""Detection: pictures with boxes, what detectors find on them, and how well, by the protocol of PASCAL VOC."""

from pellucid.detect.average_precision import Matches, average_precision, match
from pellucid.detect.boxes import BoxError
from pellucid.detect.detections import Detections, read_detections
from pellucid.detect.evaluation import ClassPrecision, DetectionEvaluation, evaluate
from pellucid.detect.history import DetectionHistory, detection_history
from pellucid.detect.pictures_with_boxes import BoxData, Objects, PicturesWithBoxes
from pellucid.detect.proposals import Proposals, Recall, recall, selective_search
from pellucid.detect.reading import load

__all__ = [
    "BoxData",
    "BoxError",
    "ClassPrecision",
    "DetectionEvaluation",
    "DetectionHistory",
    "Detections",
    "Matches",
    "Objects",
    "PicturesWithBoxes",
    "Proposals",
    "Recall",
    "average_precision",
    "detection_history",
    "evaluate",
    "load",
    "match",
    "read_detections",
    "recall",
    "selective_search",
]
