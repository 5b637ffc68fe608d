"""Whether a detector is kept at a place: light, for it is asked of whatever is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pellucid.data.listing import is_file, is_folder
from pellucid.detect.errors import DetectorError
from pellucid.errors import WeightsError
from pellucid.interop.safetensors_file import safe_arrays, safe_header
from pellucid.plain import Array, PlainError, parse_json, read

FORMAT = 1
DETECTOR = "detector.safetensors"
"""What the file is called in a run's folder."""
PROPOSING = "faster-rcnn"
"""The system whose network proposes regions itself."""
MODELS = ".mat"
"""How the file of a model of parts ends."""


def read_header(path: Path) -> dict[str, Any]:
    """The plain data that `write` wrote, without the arrays. Raises `DetectorError` for a file of another kind, or a damaged one."""
    if not is_file(path):
        raise DetectorError(f"{path}: there is no such file; train a detector with `pellucid detect train`")
    try:
        told = read(dict[str, Any], parse_json(safe_header(path).metadata.get("pellucid", "")), "pellucid")
    except (WeightsError, PlainError, ValueError) as error:
        raise DetectorError(f"{path}: is the file of no detector ({error})") from error
    if told.get("format") != FORMAT or "system" not in told:
        raise DetectorError(f"{path}: is the file of no detector")
    return told


def read_file(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """All that a detector's file holds. Raises `DetectorError` for a file of another kind, or a damaged one."""
    told = read_header(path)
    try:
        return {name: array for name, (array, _) in safe_arrays(path, safe_header(path)).items()}, told
    except (WeightsError, ValueError) as error:
        raise DetectorError(f"{path}: is the file of no detector ({error})") from error


def is_detector(source: str | Path) -> bool:
    """Whether a detector can be opened there: a run's folder, models of parts, or a file whose header says so."""
    path = Path(source)
    if path.suffix != Path(DETECTOR).suffix or not is_file(path):
        return is_file(path / DETECTOR) or has_models(path)
    try:
        return "classes" in read_header(path)  # what a training keeps to go on has none
    except DetectorError:
        return False


def proposes(source: str | Path) -> bool:
    """Whether the detector there has a network that proposes where an object may be."""
    path = Path(source)
    if has_models(path):
        return False
    return read_header(detector_file(path))["system"] == PROPOSING


def detector_file(path: Path) -> Path:
    """The file that a detector would be kept in: within a run's folder, else the path itself."""
    return path / DETECTOR if is_folder(path) else path


def has_models(source: str | Path) -> bool:
    """Whether a path is that of such models: a .mat file, an archive or within one, or a folder with .mat files."""
    path = Path(source)
    if is_folder(path):
        return any(path.glob(f"*{MODELS}")) or any(path.glob(f"*/*{MODELS}"))
    return path.suffix.lower() == MODELS or archive_of(path) is not None


def archive_of(path: Path) -> Path | None:
    """The archive that a path is, or lies in."""
    return next((one for one in (path, *path.parents) if one.suffix.lower() == ".zip" and is_file(one)), None)
