"""Objects found by proposals: selective search here and OpenCV's, on the pictures of a PASCAL VOC folder.

    python benchmarks/proposals.py VOC_FOLDER [--part val] [--pictures 250]

Wants `pip install opencv-contrib-python-headless`. Prints the recall at an overlap of 0.5 by the number of proposals for
both, OpenCV's in its fast mode without boxes below 20 pixels (as ours), and the ratios; and seconds for a picture.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from pellucid import detect


def opencv(image: Any) -> Any:
    """OpenCV's proposals, the likeliest first."""
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(image[::-1].transpose(1, 2, 0)))
    search.switchToSelectiveSearchFast()
    found = search.process().astype(np.float64)
    found = found[(found[:, 2:] >= 20).all(1)]
    return np.concatenate([found[:, :2], found[:, :2] + found[:, 2:] - 1], 1)


def timed(propose: Callable[[Any], Any], seconds: list[float]) -> Callable[[Any], Any]:
    """`propose` with its seconds noted."""

    def clocked(image: Any) -> Any:
        began = time.perf_counter()
        found = propose(image)
        seconds.append(time.perf_counter() - began)
        return found

    return clocked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--part", default="val")
    parser.add_argument("--pictures", type=int, default=250)
    args = parser.parse_args()
    _, pictures = detect.load(args.data).part(args.part)
    pictures = pictures.chosen(list(range(min(args.pictures, len(pictures)))), pictures.name)
    times: dict[str, list[float]] = {"pellucid": [], "opencv": []}
    ways = {"pellucid": lambda image: detect.selective_search(image, 10_000).boxes, "opencv": opencv}
    found = {name: detect.recall(pictures, timed(way, times[name])) for name, way in ways.items()}
    first = found["pellucid"]
    print(f"{first.objects} objects on {first.pictures} pictures, overlap {first.overlap}")
    print(f"{'proposals':>10} {'pellucid':>9} {'opencv':>9} {'ratio':>7}")
    for count, ours, peer in zip(first.counts, first.found, found["opencv"].found, strict=True):
        print(f"{count:>10,} {ours:>9.3f} {peer:>9.3f} {ours / peer:>7.3f}")
    ours, peer = (statistics.median(times[name]) for name in ways)
    print(f"{'seconds':>10} {ours:>9.3f} {peer:>9.3f} {ours / peer:>7.3f}")


if __name__ == "__main__":
    main()
