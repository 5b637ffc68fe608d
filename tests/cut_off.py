"""A detector's training that is cut off in the middle of it, and what is left of it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pellucid.detect.training import Training


@contextmanager
def cut_off(training: type[Training], taken: int, every: int = 0) -> Iterator[None]:
    """Within this a training of a kind is interrupted in its step `taken`, counted from 1; it keeps what it has learned `every` so many steps, 0
    as usual."""
    step, steps = training.step, list[int]()

    def failing(self: Training, *arguments: Any) -> Any:
        steps.append(1)
        if len(steps) == taken:
            raise KeyboardInterrupt
        return step(self, *arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "step", failing)
        if every:
            patch.setattr("pellucid.detect.run.EVERY", every)
        yield


def same_detector(one: Path, other: Path) -> bool:
    """Whether two runs have the same detector, byte for byte."""
    first, second = (folder / "detector.safetensors" for folder in (one, other))
    return first.read_bytes() == second.read_bytes()
