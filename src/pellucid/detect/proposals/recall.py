"""How many of the objects on pictures proposals find, by how many proposals are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.data import DataError
from pellucid.detect.average_precision import require_overlap
from pellucid.detect.boxes import as_boxes, overlaps
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes, require_pictures
from pellucid.pictures import Answer, Chart, Series
from pellucid.plain import Array
from pellucid.progress import progress
from pellucid.whole_numbers import one_or_several, whole

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
    pictures: PicturesWithBoxes, propose: Callable[[Array], Any], counts: Sequence[int] = COUNTS, overlap: float = 0.5
) -> Recall:
    """What boxes (N, 4) that `propose` gives for a picture uint8 (3, H, W), the likeliest first, find; difficult objects do not count.

    It may also give an answer that has them as its `boxes`, as `selective_search` does. Raises `DataError`, `BoxError`.
    """
    require_pictures(pictures)
    require_overlap(overlap)
    counts = tuple(whole("recall", "each of counts", count, 1, DataError) for count in one_or_several(counts))
    if not counts:
        raise DataError("recall: wants how many proposals to look at, got no counts")
    hits: list[Array] = []
    with progress("proposals") as tell:
        for number, objects in enumerate(pictures.objects):
            wanted = objects.boxes[~objects.difficult]
            if len(wanted):
                proposed = propose(pictures.read(number))
                boxes = proposed if isinstance(proposed, Sequence) else getattr(proposed, "boxes", proposed)
                shared = overlaps(wanted, as_boxes(boxes, "proposals")) >= overlap
                hits.append(np.stack([shared[:, :count].any(1) for count in counts], 1))
            tell(number + 1, len(pictures))
    if not hits:
        raise DataError(f"{pictures.name}: has no object to be found")
    found = np.concatenate(hits)
    return Recall(counts, found.mean(0), len(found), len(pictures), overlap)
