"""`pellucid approximate`."""

from __future__ import annotations

from typing import Annotated

import typer

from pellucid.cli.options import Json, Out, show


def method_names() -> list[str]:
    """Constructions by name."""
    from pellucid.studies import METHODS

    return list(METHODS)


def approximate(
    formula: Annotated[str, typer.Argument(help="A formula of x, or of x and y, for example 'sin(3*x)+x^2'.")],
    domain: Annotated[str, typer.Option(help="From,to for x; for x and y from,to,from,to.")] = "-1,1",
    tolerance: Annotated[float, typer.Option(help="Largest error that is allowed anywhere.")] = 0.01,
    method: Annotated[
        str,
        typer.Option(
            help="relu (interpolation), sigmoid (steps), lattice (maxima of minima) or train.",
            autocompletion=method_names,
        ),
    ] = "relu",
    lipschitz: Annotated[
        float | None, typer.Option(help="A Lipschitz constant of the formula, if you know a better one than is found.")
    ] = None,
    max_units: Annotated[int, typer.Option(help="Hidden units, at most.")] = 20_000,
    seed: Annotated[int, typer.Option(help="For train: same seed, same network.")] = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Make a network of one hidden layer that is close to a function everywhere, and measure how close.

    Example: pellucid approximate "sin(3*x)+x^2" --domain -2,2 --tolerance 0.01

    Example: pellucid approximate "sin(3*x)*cos(2*y)" --domain -1,1,-1,1 --tolerance 0.1 --method lattice --out lattice.html
    """
    from pellucid.studies import approximate as make

    found = make(
        formula,
        _intervals(domain),
        tolerance,
        method,
        lipschitz=lipschitz,
        max_units=max_units,
        seed=seed,
        progress=True,
    )
    show(found, as_json, out)


def _intervals(text: str) -> list[tuple[float, float]]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 4):
        raise typer.BadParameter(f"expected from,to or from,to,from,to, got {text!r}", param_hint="--domain")
    return list(zip(numbers[::2], numbers[1::2], strict=True))
