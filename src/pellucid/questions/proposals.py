"""`proposals`: where on a picture an object may be."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import PICTURE, picture_names
from pellucid.questions.question import Option, question


@question("proposals", "pellucid.detect:selective_search", pictures="page", group="learn", page="detection")
def proposals(
    image: Annotated[str, Option(f"{PICTURE}.", choices=picture_names, place=True, kind="file")],
    most: Annotated[int, Option("How many proposals at most.", low=1)] = 2000,
    seed: Annotated[int, Option("Of the numbers that order them.", low=0)] = 0,
) -> Any:
    """Find where on a picture an object may be.

    Regions of even color are merged pair by pair, the most alike first; a box around every region that comes up is a proposal.

    Example: pellucid proposals sample:flower --most 500 --out proposals.html
    """
    from pathlib import Path

    from pellucid.data import read_image
    from pellucid.detect import selective_search

    return selective_search(read_image(Path(image)), most, seed)
