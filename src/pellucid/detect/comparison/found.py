"""What a detector finds on many pictures and how long it takes, kept in a file: who is stopped goes on where he was."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.detect.detections import Detections
from pellucid.detect.detector import Detector
from pellucid.detect.errors import DetectorError
from pellucid.detect.files import write
from pellucid.detect.keeping import apart
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.recognizing import read_file
from pellucid.plain import Array, to_json
from pellucid.progress import progress

PATIENCE = 30.0
"""Seconds of work that a process that is killed costs at most, and the picture at hand."""


@dataclass(frozen=True)
class FoundOnPicture:
    """What was found on one picture, in `seconds` without, and `apart` for, proposals and segments."""

    detections: Detections
    seconds: float
    apart: float


def find_timed(detector: Detector, pictures: PicturesWithBoxes, folder: Path, title: str) -> list[FoundOnPicture]:
    """What a detector finds on each picture, unsure boxes too, and how long it takes; kept in `folder` by what both are made of.

    Labels are those of the detector. Raises `DetectorError`.
    """
    file = folder / f"{detector.system}-{digest_of(detector)[:16]}.safetensors"
    known = _read(file) if file.is_file() else {}
    found: list[FoundOnPicture] = []
    new, since = False, time.perf_counter()
    try:
        with progress(f"detecting: {title}") as tell:
            for number in range(len(pictures)):
                image = pictures.read(number)
                name = hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest()
                if name not in known:
                    known[name], new = _timed(detector, image), True
                    if time.perf_counter() - since > PATIENCE:
                        _write(file, detector.system, known)
                        new, since = False, time.perf_counter()
                found.append(known[name])
                tell(number + 1, len(pictures))
    finally:
        if new:
            _write(file, detector.system, known)
    return found


def _timed(detector: Detector, image: Array) -> FoundOnPicture:
    began = time.perf_counter()
    with apart() as others:
        found = detector.detect(image, detector.counted)
    taken = sum(others.values())
    return FoundOnPicture(found, time.perf_counter() - began - taken, taken)


def digest_of(detector: Detector) -> str:
    """Of all that a detector is made of."""
    digest = hashlib.sha256(f"{detector.system} {to_json(detector.settings())}".encode())
    for name, values in sorted(detector.arrays().items()):
        digest.update(f"{name} {values.dtype} {values.shape}".encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _write(file: Path, system: str, known: dict[str, FoundOnPicture]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    every = list(known.values())
    arrays = {
        "boxes": np.concatenate([np.zeros((0, 4)), *(one.detections.boxes for one in every)]),
        "labels": np.concatenate([np.zeros(0, np.int64), *(one.detections.labels for one in every)]),
        "scores": np.concatenate([np.zeros(0), *(one.detections.scores for one in every)]),
        "counts": np.array([len(one.detections) for one in every], np.int64),
        "seconds": np.array([[one.seconds, one.apart] for one in every]).reshape(-1, 2),
    }
    write(file, arrays, {"system": system, "detections": list(known)})


def _read(file: Path) -> dict[str, FoundOnPicture]:
    try:
        arrays, told = read_file(file)
        return dict(_rows(arrays, [str(name) for name in told["detections"]]))
    except (DetectorError, KeyError, ValueError) as error:
        raise DetectorError(f"{file}: holds no detections ({error}); delete it, and they are made anew") from error


def _rows(arrays: dict[str, Array], names: Sequence[str]) -> Iterator[tuple[str, FoundOnPicture]]:
    ends = np.cumsum(arrays["counts"])[:-1]
    parts = [np.split(arrays[name], ends) for name in ("boxes", "labels", "scores")]
    for name, boxes, labels, scores, (seconds, others) in zip(names, *parts, arrays["seconds"].tolist(), strict=True):
        yield name, FoundOnPicture(Detections(boxes, labels, scores), seconds, others)
