"""The file of a detector: its numbers as safetensors, and what it is made of again as plain data in the header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.detect.detector import Detector, require_detector
from pellucid.detect.dpm.detector import DPMDetector
from pellucid.detect.dpm.opening import load_dpm
from pellucid.detect.errors import DetectorError
from pellucid.detect.fast_rcnn.detector import FastRCNNDetector
from pellucid.detect.faster_rcnn.detector import FasterRCNNDetector
from pellucid.detect.localization import RegionDetector
from pellucid.detect.rcnn.detector import RCNNDetector, RCNNStarDetector
from pellucid.detect.recognizing import DETECTOR, FORMAT, detector_file, has_models, read_file
from pellucid.detect.segdeepm.detector import SegDeepMDetector
from pellucid.detect.segdpm.detector import SegDPMDetector
from pellucid.errors import PellucidError, unknown
from pellucid.files import write_atomically
from pellucid.plain import Array, to_json

SYSTEMS: Mapping[str, type[Detector]] = {
    made.system: made
    for made in (
        FastRCNNDetector,
        FasterRCNNDetector,
        RCNNDetector,
        RCNNStarDetector,
        SegDeepMDetector,
        DPMDetector,
        SegDPMDetector,
    )
}
"""Detectors that a file keeps, by name."""


def write(path: Path, arrays: Mapping[str, Array], told: Mapping[str, Any]) -> None:
    """Arrays and plain data, whole or not at all. Raises `WriteError`."""
    from safetensors.numpy import save

    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}  # others are written in another order
    write_atomically(path, save(whole, {"pellucid": to_json({"format": FORMAT, **told})}))


def save_detector(detector: Detector, path: Path) -> None:
    """Keep a detector in a file."""
    require_detector(detector)
    write(path, detector.arrays(), {"system": detector.system, **detector.settings()})


def load_detector(source: str | Path, rounds: int = 0) -> Detector:
    """The detector of a run's folder or of a file that `save_detector` wrote, or models that `load_dpm` reads. Raises `DetectorError`.

    With `rounds` an R-CNN or Fast R-CNN scores and moves regions so many times, rather than as it was trained to.
    """
    detector = _loaded(Path(source))
    if rounds:
        if not isinstance(detector, RegionDetector) or not detector.repeats:
            raise DetectorError(
                f"{source}: is {detector.system}, which scores regions once; rounds are R-CNN's and Fast R-CNN's"
            )
        detector.config = replace(detector.config, rounds=rounds)
    return detector


def _loaded(path: Path) -> Detector:
    if has_models(path):
        return load_dpm(path)
    file = detector_file(path)
    arrays, told = read_file(file)
    system = str(told["system"])
    if "epoch" in told:
        raise DetectorError(
            f"{file}: is what training goes on from; the detector is {DETECTOR} beside it, or its folder"
        )
    if system not in SYSTEMS:
        raise unknown("system of detection", system, SYSTEMS)
    try:
        return SYSTEMS[system].made_of(arrays, told)
    except PellucidError as error:
        raise DetectorError(f"{file}: {error}") from error
