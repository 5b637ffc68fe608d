"""How many of the objects on pictures proposals find, by how many proposals are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.data import DataError
from pellucid.detect.boxes import as_boxes, overlaps
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.pictures import Answer, Chart, Series
from pellucid.plain import Array
from pellucid.progress import progress

COUNTS = (10, 30, 100, 300, 500, 1000, 2000)


@dataclass(frozen=True)
class Recall(Answer):
    """The share of `objects` that one of the first `counts` proposals overlaps by `overlap` or more: `found` (N,)."""

    counts: tuple[int, ...]
    found: Array
    objects: int
    pictures: int
    overlap: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "counts": list(self.counts),
            "recall": self.found.tolist(),
            "objects": self.objects,
            "pictures": self.pictures,
            "overlap": self.overlap,
        }

    def __str__(self) -> str:
        lines = [f"  {count:>6,}  {share:.1%}" for count, share in zip(self.counts, self.found.tolist(), strict=True)]
        head = f"recall at an overlap of {self.overlap:g}: {self.objects:,} objects on {self.pictures:,} pictures"
        return "\n".join([head, "  proposals", *lines])

    def picture(self) -> Chart:
        """Recall by the number of proposals."""
        series = Series("", [float(count) for count in self.counts], self.found.tolist(), "line")
        return Chart(
            "Objects found by proposals", "proposals", "recall", (series,), str(self).splitlines()[0], x_log=True
        )


def recall(
    pictures: PicturesWithBoxes, propose: Callable[[Array], Array], counts: Sequence[int] = COUNTS, overlap: float = 0.5
) -> Recall:
    """What boxes that `propose` gives for a picture uint8 (3, H, W), the likeliest first, find; difficult objects do not count."""
    hits: list[Array] = []
    with progress("proposals") as tell:
        for number, objects in enumerate(pictures.objects):
            wanted = objects.boxes[~objects.difficult]
            if len(wanted):
                shared = overlaps(wanted, as_boxes(propose(pictures.read(number)), "proposals")) >= overlap
                hits.append(np.stack([shared[:, :count].any(1) for count in counts], 1))
            tell(number + 1, len(pictures))
    if not hits:
        raise DataError(f"{pictures.name}: has no object to be found")
    found = np.concatenate(hits)
    return Recall(tuple(counts), found.mean(0), len(found), len(pictures), overlap)
