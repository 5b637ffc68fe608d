"""What an ONNX file states of its network, as `save_onnx` writes it: classes, preprocessing, what it was trained for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pellucid.data import Preprocessing
from pellucid.plain import parse_json, read


@dataclass(frozen=True)
class Stated:
    """What the metadata says; None where it says nothing."""

    classes: tuple[str, ...] | None
    preprocessing: Preprocessing | None
    task: dict[str, Any] | None


def of_metadata(metadata: Mapping[str, str]) -> Stated:
    """What the metadata of a file says of its network; raises `PlainError`. A `task` in words is another package's."""
    found = {name: parse_json(metadata.get(name, "null")) for name in ("classes", "preprocessing")}
    task = metadata.get("task", "")
    return read(Stated, {**found, "task": parse_json(task) if task.startswith("{") else None})
