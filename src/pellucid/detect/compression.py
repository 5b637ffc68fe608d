"""A detector with smaller layers in place of large ones, kept in a folder, and what that saves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.detect.detector import Detector
from pellucid.detect.errors import DetectorError
from pellucid.detect.fast_rcnn.detector import FastRCNNDetector
from pellucid.detect.fast_rcnn.truncation import TruncatedLayer, truncate, usual_ranks
from pellucid.detect.files import load_detector, save_detector
from pellucid.detect.recognizing import DETECTOR
from pellucid.pictures import Answer, Grid
from pellucid.progress import long, progress, tell
from pellucid.text import human_count
from pellucid.train.run_folder import RunFolder

TIMES = 5
"""Looks at a picture of which the quickest counts, before and after in turn."""


@dataclass(frozen=True)
class Compression(Answer):
    """A detector that was kept in `folder` with `layers` truncated: seconds to look at `regions` of a picture, before and after."""

    folder: Path
    detector: Detector
    layers: tuple[TruncatedLayer, ...]
    regions: int
    before: float
    after: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "run": str(self.folder),
            "layers": [asdict(one) | {"products": list(one.products)} for one in self.layers],
            "regions": self.regions,
            "seconds": {"before": self.before, "after": self.after},
        }

    def grid(self) -> Grid:
        """The layers as a table."""
        rows = [
            [
                one.name,
                f"{one.inputs:,} to {one.outputs:,}",
                f"{one.rank:,}",
                f"{one.share:.1%}",
                *map(human_count, one.products),
            ]
            for one in self.layers
        ]
        return Grid(["layer", "numbers", "rank", "squares kept", "products before", "after"], rows, "lrrrrr")

    def __str__(self) -> str:
        ratio = self.before / self.after
        return "\n".join(
            [
                f"{self.folder / DETECTOR}: a picture with {self.regions:,} regions, proposals apart, took "
                f"{1000 * self.before:.0f} ms and takes {1000 * self.after:.0f} ms now ({ratio:.2f} times as fast)",
                str(self.grid()),
                f"How well it does is told by `pellucid detect evaluate {self.folder} --data ...`.",
            ]
        )

    def picture(self) -> Grid:
        """The layers as a table."""
        return self.grid()


@long
def compress(detector: Detector | str | Path, out: str | Path, ranks: Mapping[str, int] | None = None) -> Compression:
    """Keep a Fast R-CNN (or Faster R-CNN) in the folder `out` with its layers fc1 and fc2 as products of two smaller ones, and time both.

    `ranks` are the numbers between the two by layer, a quarter of fc1's outputs and a sixteenth of fc2's unless given (Girshick
    2015, section 3.1). Raises `DetectorError`.
    """
    whole = detector if isinstance(detector, Detector) else load_detector(detector)
    if not isinstance(whole, FastRCNNDetector):
        raise DetectorError(f"{whole.system}: has no layers above regions to truncate; fast-rcnn and faster-rcnn have")
    folder = Path(out)
    RunFolder(folder).require_new()
    with progress("truncating"):
        made = whole.truncated({})
        layers = truncate(made.net, usual_ranks(whole.net) if ranks is None else ranks)
    before, after = _seconds(whole, made)
    folder.mkdir(parents=True, exist_ok=True)
    save_detector(made, folder / DETECTOR)
    return Compression(folder, made, layers, whole.config.proposals, before, after)


def _seconds(whole: FastRCNNDetector, made: FastRCNNDetector) -> tuple[float, float]:
    """The least that each takes for a picture of noise with as many regions as it looks at."""
    numbers = np.random.default_rng(0)
    longest = whole.config.image_size
    height, width = max(1, 3 * longest // 4), longest
    image = numbers.integers(0, 256, (3, height, width), np.uint8)
    corners = numbers.uniform(0, 1, (whole.config.proposals, 2, 2)) * [width - 1, height - 1]
    regions = np.sort(corners, 1).reshape(-1, 4)

    def look(one: FastRCNNDetector) -> float:
        began = time.perf_counter()
        one.scored_at(image, regions)
        return time.perf_counter() - began

    times: tuple[list[float], list[float]] = ([], [])
    with progress("timing"):
        for number in range(TIMES + 1):
            for one, kept in zip((whole, made), times, strict=True):
                kept.append(look(one))
            tell(number + 1, TIMES + 1)
    before, after = (min(kept[1:]) for kept in times)  # the first compiles
    return before, after
