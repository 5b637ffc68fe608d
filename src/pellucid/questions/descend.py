"""`descend`: optimizers race down a function of two variables."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.question import Option, question
from pellucid.questions.surface import Formula, Map, box_of, point_of


def runner_names() -> list[str]:
    """Optimizers by name."""
    from pellucid.train.optimizers import names

    return names()


@question("descend", "pellucid.studies:descend", pictures="page", group="learn", page="descent")
def descend(
    formula: Formula,
    optimizers: Annotated[
        list[str] | None,
        Option(
            "Optimizers, each with settings after commas: momentum,rate=0.02,momentum=0.8. sgd, momentum, rmsprop and adam "
            "unless given.",
            choices=runner_names,
            place=True,
        ),
    ] = None,
    start: Annotated[str, Option("Where they start, x,y.")] = "",
    steps: Annotated[int, Option("Steps that each takes.", low=1)] = 60,
    box: Map = "",
) -> Any:
    """Let optimizers race down a function of two variables.

    From one start, each with a step size of its own. What diverges stays listed, with the step at which it did; what stands
    still is said to be at a minimum, a saddle, or on a plateau.

    Example: pellucid descend valley --start -4,1.5 --out race.html

    Example: pellucid descend "x^2 + 25*y^2" sgd,rate=0.03 sgd,rate=0.041 adam,rate=0.3 --steps 40
    """
    from pellucid.studies import descend as race
    from pellucid.studies.descent.race import FIRST

    return race(formula, point_of("--start", start), optimizers or FIRST, steps, box_of(box))
