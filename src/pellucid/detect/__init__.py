"""Detection: pictures with boxes, what detectors find on them, and how well, by the protocol of PASCAL VOC."""

from pellucid.detect.asking import explain_box, find_objects
from pellucid.detect.average_precision import Matches, average_precision, match
from pellucid.detect.boxes import BoxError
from pellucid.detect.comparison import ComparedSystem, DetectionComparison, Difference, compare
from pellucid.detect.config import DetectionConfig, DetectorError
from pellucid.detect.detections import Detections, read_detections
from pellucid.detect.detector import Detector
from pellucid.detect.dpm.detector import DPMDetector
from pellucid.detect.dpm.explaining import PartsExplanation
from pellucid.detect.dpm.opening import load_dpm
from pellucid.detect.evaluation import ClassPrecision, DetectionEvaluation, evaluate
from pellucid.detect.explaining import explain
from pellucid.detect.fast_rcnn.explaining import BoxExplanation
from pellucid.detect.files import load_detector, save_detector
from pellucid.detect.finding import FoundObjects, find, find_all, is_detector, settings_of
from pellucid.detect.history import DetectionHistory, detection_history
from pellucid.detect.pictures_with_boxes import BoxData, Objects, PicturesWithBoxes
from pellucid.detect.proposals import Proposals, Recall, recall, selective_search
from pellucid.detect.rcnn.explaining import RegionExplanation
from pellucid.detect.reading import load
from pellucid.detect.run import DetectionRun, train

__all__ = [
    "BoxData",
    "BoxError",
    "BoxExplanation",
    "ClassPrecision",
    "ComparedSystem",
    "DPMDetector",
    "DetectionComparison",
    "DetectionConfig",
    "DetectionEvaluation",
    "DetectionHistory",
    "DetectionRun",
    "Detections",
    "Detector",
    "DetectorError",
    "Difference",
    "FoundObjects",
    "Matches",
    "Objects",
    "PartsExplanation",
    "PicturesWithBoxes",
    "Proposals",
    "Recall",
    "RegionExplanation",
    "average_precision",
    "compare",
    "detection_history",
    "evaluate",
    "explain",
    "explain_box",
    "find",
    "find_all",
    "find_objects",
    "is_detector",
    "load",
    "load_detector",
    "load_dpm",
    "match",
    "read_detections",
    "recall",
    "save_detector",
    "selective_search",
    "settings_of",
    "train",
]
