"""Objects found by proposals: selective search here and OpenCV's, and a network's, on the pictures of a PASCAL VOC folder.

    python benchmarks/proposals.py VOC_FOLDER [--part val] [--pictures 250] [--run RUN] [--overlap 0.5]

Wants `pip install opencv-contrib-python-headless`. Prints the recall at an overlap of 0.5 by the number of proposals for
both, OpenCV's in its fast mode without boxes below 20 pixels (as ours), and the ratios; and seconds for a picture. With a
run of faster-rcnn its network's proposals are counted too, up to 2,000, with seconds of the whole network.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from pellucid import detect
from pellucid.detect.faster_rcnn.detector import FasterRCNNDetector


def opencv(image: Any) -> Any:
    """OpenCV's proposals, the likeliest first."""
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(image[::-1].transpose(1, 2, 0)))
    search.switchToSelectiveSearchFast()
    found = search.process().astype(np.float64)
    found = found[(found[:, 2:] >= 20).all(1)]
    return np.concatenate([found[:, :2], found[:, :2] + found[:, 2:] - 1], 1)


def network(run: str) -> Callable[[Any], Any]:
    """Up to 2,000 proposals of a run's network."""
    trained = detect.load_detector(run)
    assert isinstance(trained, FasterRCNNDetector), f"{run}: is no run of faster-rcnn"
    config = replace(trained.config, proposals=2000)
    return FasterRCNNDetector(trained.net, trained.classes, trained.preprocessing, config).propose


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
    parser.add_argument("--run")
    parser.add_argument("--overlap", type=float, default=0.5)
    args = parser.parse_args()
    _, pictures = detect.load(args.data).part(args.part)
    pictures = pictures.chosen(list(range(min(args.pictures, len(pictures)))), pictures.name)
    ways = {"pellucid": lambda image: detect.selective_search(image, 10_000).boxes, "opencv": opencv}
    if args.run:
        ways["network"] = network(args.run)
    times: dict[str, list[float]] = {name: [] for name in ways}
    found = {name: detect.recall(pictures, timed(way, times[name]), overlap=args.overlap) for name, way in ways.items()}
    first, others = found["pellucid"], [name for name in ways if name != "pellucid"]
    print(f"{first.objects} objects on {first.pictures} pictures, overlap {first.overlap}")
    print(" ".join([f"{'proposals':>10} {'pellucid':>9}", *(f"{name:>9} {'ratio':>7}" for name in others)]))

    def row(head: str, ours: float, peers: list[float]) -> None:
        print(" ".join([f"{head:>10} {ours:>9.3f}", *(f"{peer:>9.3f} {ours / peer:>7.3f}" for peer in peers)]))

    for place, count in enumerate(first.counts):
        row(f"{count:,}", first.found[place], [found[name].found[place] for name in others])
    seconds = {name: statistics.median(each) for name, each in times.items()}
    row("seconds", seconds["pellucid"], [seconds[name] for name in others])


if __name__ == "__main__":
    main()
