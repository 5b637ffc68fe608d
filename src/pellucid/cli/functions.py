"""`pellucid activation`."""

from __future__ import annotations

from typing import Annotated

import typer

from pellucid.cli.options import Json, Out, named_numbers, show


def _names() -> list[str]:
    from pellucid.explain import activation_names

    return activation_names()


def activation(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Activation functions, and settings of a single one: slope=0.2. All of them unless given.",
            autocompletion=_names,
        ),
    ] = None,
    low: Annotated[float, typer.Option(help="Where the interval shown starts.")] = -6.0,
    high: Annotated[float, typer.Option(help="Where it ends.")] = 6.0,
    points: Annotated[int, typer.Option(help="Places in it.")] = 241,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Show an activation function with its derivative, and where it saturates; or several, side by side.

    Example: pellucid activation gelu --out gelu.svg

    Example: pellucid activation leaky-relu slope=0.2 --json

    Example: pellucid activation sigmoid tanh relu --out three.html
    """
    from pellucid.explain import activation_curve, compare_activations

    asked = [name for name in names or () if "=" not in name]
    settings = named_numbers([name for name in names or () if "=" in name])
    if len(asked) == 1:
        show(activation_curve(asked[0], low, high, points, **settings), as_json, out)
        return
    if settings:
        raise typer.BadParameter("settings belong to one function; name one", param_hint="NAMES")
    show(compare_activations(asked, low, high, points), as_json, out)
