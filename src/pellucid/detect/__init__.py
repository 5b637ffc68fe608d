"""Detection: pictures with boxes, what detectors find on them, and how well, by the protocol of PASCAL VOC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.detect.average_precision import Matches, average_precision, match
from pellucid.detect.boxes import BoxError
from pellucid.detect.mistakes import Mistake, mistakes
from pellucid.lazily import lazy_names

if TYPE_CHECKING:
    from pellucid.detect.asking import explain_box, find_objects
    from pellucid.detect.comparison import ComparedSystem, DetectionComparison, Difference, compare
    from pellucid.detect.compression import Compression, compress
    from pellucid.detect.config import DetectionConfig
    from pellucid.detect.detections import Detections, read_detections
    from pellucid.detect.detector import Detector
    from pellucid.detect.dpm.detector import DPMDetector
    from pellucid.detect.dpm.explaining import PartsExplanation
    from pellucid.detect.dpm.opening import load_dpm
    from pellucid.detect.errors import DetectorError
    from pellucid.detect.evaluation import ClassPrecision, DetectionEvaluation, evaluate
    from pellucid.detect.explaining import explain
    from pellucid.detect.fast_rcnn.explaining import BoxExplanation
    from pellucid.detect.faster_rcnn.answer import NetworkProposals, network_proposals
    from pellucid.detect.faster_rcnn.explaining import ProposedBoxExplanation
    from pellucid.detect.files import load_detector, save_detector
    from pellucid.detect.finding import FoundObjects, find, find_all, settings_of
    from pellucid.detect.history import DetectionHistory, detection_history
    from pellucid.detect.pictures_with_boxes import BoxData, Objects, PicturesWithBoxes
    from pellucid.detect.proposals import Proposals, Recall, recall, selective_search
    from pellucid.detect.rcnn.explaining import RegionExplanation
    from pellucid.detect.reading import load
    from pellucid.detect.recognizing import is_detector
    from pellucid.detect.run import DetectionRun, train
    from pellucid.detect.segdeepm.explaining import SegmentExplanation
    from pellucid.detect.segments import SegmentSet, segments_of

_LAZY = {
    "BoxData": "pictures_with_boxes",
    "BoxExplanation": "fast_rcnn.explaining",
    "ClassPrecision": "evaluation",
    "ComparedSystem": "comparison",
    "Compression": "compression",
    "DPMDetector": "dpm.detector",
    "DetectionComparison": "comparison",
    "DetectionConfig": "config",
    "DetectionEvaluation": "evaluation",
    "DetectionHistory": "history",
    "DetectionRun": "run",
    "Detections": "detections",
    "Detector": "detector",
    "DetectorError": "errors",
    "Difference": "comparison",
    "FoundObjects": "finding",
    "NetworkProposals": "faster_rcnn.answer",
    "Objects": "pictures_with_boxes",
    "PartsExplanation": "dpm.explaining",
    "PicturesWithBoxes": "pictures_with_boxes",
    "Proposals": "proposals",
    "ProposedBoxExplanation": "faster_rcnn.explaining",
    "Recall": "proposals",
    "RegionExplanation": "rcnn.explaining",
    "SegmentExplanation": "segdeepm.explaining",
    "SegmentSet": "segments",
    "compare": "comparison",
    "compress": "compression",
    "detection_history": "history",
    "evaluate": "evaluation",
    "explain": "explaining",
    "explain_box": "asking",
    "find": "finding",
    "find_all": "finding",
    "find_objects": "asking",
    "is_detector": "recognizing",
    "load": "reading",
    "load_detector": "files",
    "load_dpm": "dpm.opening",
    "network_proposals": "faster_rcnn.answer",
    "read_detections": "detections",
    "recall": "proposals",
    "save_detector": "files",
    "segments_of": "segments",
    "selective_search": "proposals",
    "settings_of": "finding",
    "train": "run",
}
"""Where each of these names is: only what is asked for is imported, since networks and training take long to."""

__all__ = [
    "BoxData",
    "BoxError",
    "BoxExplanation",
    "ClassPrecision",
    "ComparedSystem",
    "Compression",
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
    "Mistake",
    "NetworkProposals",
    "Objects",
    "PartsExplanation",
    "PicturesWithBoxes",
    "Proposals",
    "ProposedBoxExplanation",
    "Recall",
    "RegionExplanation",
    "SegmentExplanation",
    "SegmentSet",
    "average_precision",
    "compare",
    "compress",
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
    "mistakes",
    "network_proposals",
    "read_detections",
    "recall",
    "save_detector",
    "segments_of",
    "selective_search",
    "settings_of",
    "train",
]


__getattr__ = lazy_names(__name__, _LAZY)


def __dir__() -> list[str]:
    return sorted(__all__)
