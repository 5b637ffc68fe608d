"""`approximate`: a network that is close to a function everywhere."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.question import Option, QuestionError, question


def method_names() -> list[str]:
    """Constructions by name."""
    from pellucid.studies import METHODS

    return list(METHODS)


@question("approximate", "pellucid.studies:approximate", pictures="page", group="learn", page="approximation")
def approximate(
    formula: Annotated[
        str,
        Option(
            "A formula of x, or of x and y, for example 'sin(3*x)+x^2'; or numbers that a drawn function goes through, '0,1,0.5'.",
            place=True,
        ),
    ],
    domain: Annotated[str, Option("From,to for x; for x and y from,to,from,to.")] = "-1,1",
    tolerance: Annotated[float, Option("Largest error that is allowed anywhere.")] = 0.01,
    method: Annotated[
        str,
        Option("relu (interpolation), sigmoid (steps), lattice (maxima of minima) or train.", choices=method_names),
    ] = "relu",
    lipschitz: Annotated[
        float | None, Option("A Lipschitz constant of the formula, if you know a better one than is found.")
    ] = None,
    max_units: Annotated[int, Option("Hidden units, at most.")] = 20_000,
    seed: Annotated[int, Option("For train: same seed, same network.")] = 0,
) -> Any:
    """Make a network that is close to a formula everywhere.

    It has one hidden layer; how close it is, is measured.

    Example: pellucid approximate "sin(3*x)+x^2" --domain -2,2 --tolerance 0.01

    Example: pellucid approximate 0,0.5,1,0.25 --tolerance 0.02

    Example: pellucid approximate "sin(3*x)*cos(2*y)" --domain -1,1,-1,1 --tolerance 0.1 --method lattice --out lattice.html
    """
    from pellucid.studies import approximate as make

    return make(formula, intervals_of(domain), tolerance, method, lipschitz=lipschitz, max_units=max_units, seed=seed)


def intervals_of(text: str) -> list[tuple[float, float]]:
    """`"-1,1"` -> `[(-1, 1)]`."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 4):
        raise QuestionError(f"--domain: expected from,to or from,to,from,to, got {text!r}")
    return list(zip(numbers[::2], numbers[1::2], strict=True))
