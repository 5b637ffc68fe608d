"""`explain-box`: why a detector's box is where it is."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import AT, DETECTOR, DROPPED, KIND, PICTURE, THRESHOLD, picture_names
from pellucid.questions.question import Option, question


@question("explain-box", "pellucid.detect:explain_box", pictures="page", group="look inside", page="detection")
def explain_box(
    detector: Annotated[str, DETECTOR],
    image: Annotated[str, Option(f"{PICTURE}.", choices=picture_names, place=True, kind="file")],
    box: Annotated[int, Option("Which box, counted from 0, the surest first.", low=0)] = 0,
    threshold: Annotated[float | None, THRESHOLD] = None,
    dropped: Annotated[int | None, DROPPED] = None,
    at: Annotated[str, AT] = "",
    kind: Annotated[str, KIND] = "",
) -> Any:
    """Show why a detector's box is here and not another.

    Every stage of the detector for this one box, with terms that add up to its score, and the boxes that it took the place of: what
    `pellucid detect explain` says. Of a box that was dropped, by its number or its place, also which step dropped it.

    Example: pellucid explain-box runs/first photo.jpg --box 0 --out why.html

    Example: pellucid explain-box runs/first photo.jpg --at 12,20,80,90 --class dog
    """
    from pellucid.detect import explain_box as explain

    return explain(detector, image, box, threshold, dropped, at, kind)
