"""`data`: what is in a folder of pictures."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import data_names
from pellucid.questions.question import Option, question


@question("data", "pellucid.data:data_report", pictures="page", group="look inside", page="data")
def data(
    source: Annotated[
        str, Option("A folder or .zip of pictures, or data by name.", choices=data_names, place=True, kind="data")
    ] = "digits",
    distance: Annotated[int, Option("Bits of 128 in which hashes of near duplicates differ at most.", low=0)] = 6,
    examples: Annotated[int, Option("Pictures of each class to draw.", low=0)] = 4,
) -> Any:
    """Look at data: classes, sizes, duplicates, bad files.

    Pictures that lie in several parts come first: what is learned and tested with the same picture is not tested.

    Example: pellucid data digits

    Example: pellucid data digits --out digits.html
    """
    from pellucid.data import data_report

    return data_report(source, distance=distance, examples=examples)
