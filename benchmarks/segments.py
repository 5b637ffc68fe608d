"""Objects found by the boxes around segments, of each source, on the pictures of a PASCAL VOC folder, and how long a picture takes.

    python benchmarks/segments.py VOC_FOLDER [--part val] [--pictures 50] [--overlap 0.5]

Prints the share of objects that the box around one of the first 20, 50, 100 and 200 segments overlaps by that much, and the median
seconds of processors for a picture; nothing is read from what was kept.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from pellucid import detect
from pellucid.detect.proposals.selective_search import small
from pellucid.detect.segments import SOURCES, SegmentSet, least_pixels

COUNTS = (20, 50, 100, 200)


def timed(source: str, seconds: list[float]) -> Callable[[Any], Any]:
    """Boxes around a source's segments of a picture, its seconds noted."""

    def found(image: Any) -> Any:
        began = time.process_time()
        searched = small(image)
        least = least_pixels(searched.shape[1:])
        masks = SOURCES[source](searched, least, COUNTS[-1], 0)
        seconds.append(time.process_time() - began)
        return SegmentSet(image, masks, source, least).boxes

    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--part", default="val")
    parser.add_argument("--pictures", type=int, default=50)
    parser.add_argument("--overlap", type=float, default=0.5)
    args = parser.parse_args()
    _, pictures = detect.load(args.data).part(args.part)
    pictures = pictures.chosen(list(range(min(args.pictures, len(pictures)))), pictures.name)
    print(" ".join([f"{'source':>17}", *(f"{count:>6}" for count in COUNTS), f"{'seconds':>8}"]))
    for source in SOURCES:
        seconds: list[float] = []
        found = detect.recall(pictures, timed(source, seconds), COUNTS, args.overlap)
        shares = [f"{share:>6.3f}" for share in found.found.tolist()]
        print(" ".join([f"{source:>17}", *shares, f"{statistics.median(seconds):>8.2f}"]), flush=True)
    print(f"{found.objects} objects on {found.pictures} pictures, overlap {args.overlap}")


if __name__ == "__main__":
    main()
