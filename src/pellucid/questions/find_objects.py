"""`find-objects`: what a detector finds on a picture."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import DETECTOR, PICTURE, THRESHOLD, picture_names
from pellucid.questions.question import Option, question


@question(
    "find-objects", "pellucid.detect:find_objects", pictures="overlay, page", group="look inside", page="detection"
)
def find_objects(
    detector: Annotated[str, DETECTOR],
    image: Annotated[str, Option(f"{PICTURE}.", choices=picture_names, place=True, kind="file")],
    threshold: Annotated[float | None, THRESHOLD] = None,
) -> Any:
    """Find objects on a picture with a detector.

    Boxes with their classes and scores, the surest first: what `pellucid detect predict` says of several pictures.

    Example: pellucid find-objects runs/first photo.jpg --threshold 0.1 --out found.html
    """
    from pellucid.detect import find_objects as find

    return find(detector, image, threshold)
