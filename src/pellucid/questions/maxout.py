"""`maxout`: the largest of linear pieces, and where each wins."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import numbers_of
from pellucid.questions.question import Option, question


@question(
    "maxout", "pellucid.explain:maxout_unit", pictures="chart, heat map", group="learn", page="activation-functions"
)
def maxout(
    pieces: Annotated[
        list[str] | None,
        Option(
            "A piece, w,b for one input or w0,w1,b for two; repeated for each. -0.5,0 and 1,0 unless given.",
            name="piece",
        ),
    ] = None,
    at: Annotated[str, Option("The place looked at, x or x0,x1; 0 unless given.")] = "",
    box: Annotated[
        str, Option("What is shown: from,to for one input, four numbers for two; -4 to 4 unless given.")
    ] = "",
) -> Any:
    """Look at a maxout unit: which piece wins where.

    Of one input the curve with its corners, of two the regions of the plane.

    Example: pellucid maxout --piece -1,-1 --piece 0,0 --piece 2,-3 --at 1.5

    Example: pellucid maxout --piece 1,0,0 --piece -1,0,0 --piece 0,1,-1 --piece 0,-1,-1 --out regions.svg
    """
    from pellucid.explain import maxout_unit

    given = [numbers_of("--piece", piece) for piece in pieces or ["-0.5,0", "1,0"]]
    ends = numbers_of("--box", box) if box else []
    return maxout_unit(
        given,
        numbers_of("--at", at) if at else None,
        [ends[k : k + 2] for k in range(0, len(ends), 2)] or None,
    )
