"""`surface`: a function of two variables as a map."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import numbers_of
from pellucid.questions.question import Option, QuestionError, question


def preset_names() -> list[str]:
    """Functions of two variables by name."""
    from pellucid.studies.descent import PRESETS

    return list(PRESETS)


Formula = Annotated[
    str, Option("A formula of x and y, or one that is known by name.", choices=preset_names, place=True)
]
Map = Annotated[str, Option("The part of the plane that is shown, x from,to and y from,to: -3,3,-2,2.", name="box")]


@question("surface", "pellucid.studies:surface", pictures="heat map", group="learn", page="descent")
def surface(
    formula: Formula,
    at: Annotated[str, Option("The place that is looked at, x,y; where a race starts unless given.")] = "",
    box: Map = "",
) -> Any:
    """Draw a function of two variables as a map.

    With lines of equal height in its data, and the gradient and curvature of one place: minimum, maximum, saddle, plateau or
    slope.

    Example: pellucid surface himmelblau --at 3,2

    Example: pellucid surface "sin(x)*cos(y)" --box -3,3,-3,3 --out waves.svg
    """
    from pellucid.studies import surface as make

    return make(formula, box_of(box), point_of("--at", at))


def box_of(text: str) -> list[list[float]] | None:
    """`"-3,3,-2,2"` -> `[[-3, 3], [-2, 2]]`; None for nothing."""
    if not text:
        return None
    numbers = numbers_of("--box", text)
    if len(numbers) != 4:
        raise QuestionError(f"--box: expected four numbers, x from,to and y from,to, got {text!r}")
    return [numbers[:2], numbers[2:]]


def point_of(option: str, text: str) -> list[float] | None:
    """`"1,2"` -> `[1, 2]`; None for nothing."""
    if not text:
        return None
    numbers = numbers_of(option, text)
    if len(numbers) != 2:
        raise QuestionError(f"{option}: expected two numbers, x,y, got {text!r}")
    return numbers
