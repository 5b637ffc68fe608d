"""Detectors beside each other on the same pictures: the lecture's table, measured on one's own."""

from pellucid.detect.comparison.comparing import compare
from pellucid.detect.comparison.table import ComparedSystem, DetectionComparison, Difference

__all__ = ["ComparedSystem", "DetectionComparison", "Difference", "compare"]
