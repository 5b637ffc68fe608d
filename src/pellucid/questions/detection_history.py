"""`detection-history`: the lecture's chart of systems that find objects."""

from __future__ import annotations

from typing import Any

from pellucid.questions.question import question


@question("detection-history", "pellucid.detect:detection_history", pictures="page", group="learn", page="detection")
def detection_history() -> Any:
    """Show how detection became better, from DPM to Fast R-CNN.

    Mean average precision of six systems on PASCAL VOC 2010, as the lecture has it, with what the papers say of each number.

    Example: pellucid detection-history --out history.svg
    """
    from pellucid.detect import detection_history as tell

    return tell()
