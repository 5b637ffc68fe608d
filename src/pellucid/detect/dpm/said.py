"""What a segment adds to the score of a window, in segDPM: part of why a box is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pellucid.detect.asked import ScoreTerm, rows_of
from pellucid.detect.boxes import told
from pellucid.plain import Array


@dataclass(frozen=True)
class SegmentSaid:
    """Of `segments` that a `source` found on the picture the one that speaks most for the window, `number`, or none of its class (None):
    `terms` and `bias` are added to what filters say.

    `box` is around it, `mask` bool (H, W) its pixels, `potential`, -1 to 1, how much it looks like the class.
    """

    source: str
    segments: int
    number: int | None
    terms: tuple[ScoreTerm, ...]
    bias: float
    box: Array | None = None
    mask: Array | None = None
    potential: float = 0.0
    scale: float = 1.0
    """What each value was multiplied by, to be as large as what histograms say."""

    @property
    def total(self) -> float:
        """What it adds."""
        return sum(t.product for t in self.terms) + self.bias

    @property
    def words(self) -> str:
        """Which it is, in a line."""
        if self.box is None:
            return f"no segment (of {self.segments} of {self.source}) speaks for it more than none: {self.total:+.3f}{self._scaled}"
        return (
            f"segment {self.number} (of {self.segments} of {self.source}), {told(self.box)}, which looks like the class by a potential of "
            f"{self.potential:.2f}, adds {self.total:+.3f}{self._scaled}"
        )

    @property
    def _scaled(self) -> str:
        return "" if self.scale == 1 else f"; each value is times {self.scale:g}"

    def rows(self) -> list[list[str]]:
        """Its terms as rows of a table."""
        found = rows_of(self.terms, 0.0, self.bias, self.total)
        return [row for row in found if row[0] != "all others"]

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        chosen = {} if self.box is None else {"box": self.box.tolist(), "potential": self.potential}
        return {
            "source": self.source,
            "segments": self.segments,
            **({} if self.number is None else {"number": self.number}),
            **chosen,
            "scale": self.scale,
            "terms": [t.plain() for t in self.terms],
            "bias": self.bias,
            "adds": self.total,
        }
