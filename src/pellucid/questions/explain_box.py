"""`explain-box`: why a detector's box is where it is."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import DETECTOR, PICTURE, THRESHOLD, picture_names
from pellucid.questions.question import Option, question


@question("explain-box", "pellucid.detect:explain_box", pictures="page", group="look inside", page="detection")
def explain_box(
    detector: Annotated[str, DETECTOR],
    image: Annotated[str, Option(f"{PICTURE}.", choices=picture_names, place=True, kind="file")],
    box: Annotated[int, Option("Which box, counted from 0, the surest first.", low=0)] = 0,
    threshold: Annotated[float | None, THRESHOLD] = None,
) -> Any:
    """Show why a detector's box is here, and of its class.

    Every stage of the detector for this one box, with terms that add up to its score, and the boxes that it took the place of: what
    `pellucid detect explain` says.

    Example: pellucid explain-box runs/first photo.jpg --box 0 --out why.html
    """
    from pellucid.detect import explain_box as explain

    return explain(detector, image, box, threshold)
