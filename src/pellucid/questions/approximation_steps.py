"""`approximation-steps`: a network for a function, piece by piece."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.approximate import intervals_of, method_names
from pellucid.questions.question import Option, question


@question(
    "approximation-steps", "pellucid.studies:approximation_steps", pictures="page", group="learn", page="approximation"
)
def approximation_steps(
    formula: Annotated[
        str,
        Option(
            "A formula of x, for example 'sin(3*x)+x^2'; or numbers that a drawn function goes through, '0,1,0.5'.",
            place=True,
        ),
    ],
    domain: Annotated[str, Option("From,to for x.")] = "-1,1",
    units: Annotated[int, Option("Hidden units; of the lattice, minima.", low=1)] = 8,
    method: Annotated[
        str,
        Option("relu (interpolation), sigmoid (steps), lattice (maxima of minima) or train.", choices=method_names),
    ] = "relu",
    step: Annotated[int, Option("Pieces that are added; -1 takes all.")] = -1,
    tolerance: Annotated[
        float, Option("Of the lattice: how far above the formula a minimum may stay, times two.")
    ] = 0.1,
    seed: Annotated[int, Option("For train: same seed, same network.")] = 0,
) -> Any:
    """Add up the pieces of a network one by one.

    A network of so many hidden units, close to a formula: its pieces, what they make together, or the steps of Stone's theorem.

    Example: pellucid approximation-steps "sin(3*x)+x^2" --domain -2,2 --units 8 --step 3

    Example: pellucid approximation-steps "abs(x)" --method lattice --units 3 --out stone.html
    """
    from pellucid.studies import approximation_steps as take_apart

    return take_apart(formula, intervals_of(domain), units, method, step, tolerance=tolerance, seed=seed)
