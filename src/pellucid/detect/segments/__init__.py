"""Segments: which pixels of a picture belong together, and what that says of boxes."""

from pellucid.detect.segments.dpm_features import VOID, segdpm_features
from pellucid.detect.segments.found import SOURCES, least_pixels, segments_of
from pellucid.detect.segments.segment_set import SegmentSet

__all__ = ["SOURCES", "VOID", "SegmentSet", "least_pixels", "segdpm_features", "segments_of"]
