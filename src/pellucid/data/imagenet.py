"""The 1000 classes of ImageNet's challenge of 2012, in the order of their usual numbers."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def imagenet_classes() -> tuple[str, ...]:
    """Their names, a different one for each: 0 is "tench", 999 "toilet tissue"."""
    return tuple(Path(__file__).with_name("imagenet_classes.txt").read_text(encoding="utf-8").splitlines())
