"""`proposals`: where on a picture an object may be."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import PICTURE, picture_names
from pellucid.questions.question import Option, question


@question(
    "proposals",
    "pellucid.detect:selective_search",
    "pellucid.detect:network_proposals",
    pictures="page",
    group="learn",
    page="detection",
)
def proposals(
    image: Annotated[str, Option(f"{PICTURE}.", choices=picture_names, place=True, kind="file")],
    run: Annotated[
        str | None,
        Option(
            "A run of faster-rcnn, whose network proposes instead; shows its anchors and how sure it is.",
            kind="detector",
        ),
    ] = None,
    most: Annotated[int, Option("How many proposals at most.", low=1)] = 2000,
    seed: Annotated[int, Option("Of the numbers that order them; a network needs none.", low=0)] = 0,
    search_size: Annotated[
        int,
        Option("Pixels of the longer side of the picture as it is searched; more find smaller objects.", low=64),
    ] = 500,
) -> Any:
    """Find where on a picture an object may be.

    Regions of even color are merged pair by pair, the most alike first; a box around every region that comes up is a proposal.
    With --run a Faster R-CNN proposes: anchors, how sure it is of each, which were kept and which dropped. `pellucid detect
    proposals` is the same command.

    Example: pellucid proposals sample:flower --most 500 --out proposals.html

    Example: pellucid proposals photo.jpg --run runs/faster --most 50
    """
    from pellucid import detect
    from pellucid.detect.asking import opened

    if run is None:
        return detect.selective_search(image, most, seed, search_size)
    return detect.network_proposals(opened(run), image, most=most)
