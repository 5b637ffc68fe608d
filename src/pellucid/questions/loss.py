"""`loss`: losses with their derivatives."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import functions_named
from pellucid.questions.question import Option, question


def function_names() -> list[str]:
    """Losses by name."""
    from pellucid.explain import loss_names

    return loss_names()


@question(
    "loss",
    "pellucid.explain:loss_curve",
    "pellucid.explain:compare_losses",
    pictures="chart, page",
    group="learn",
    page="loss",
)
def loss(
    names: Annotated[
        list[str] | None,
        Option(
            "Losses, and their settings: delta=2 of a single one, huber.delta=2 of one of several. All of them unless given.",
            choices=function_names,
            place=True,
        ),
    ] = None,
    low: Annotated[float, Option("Where the interval shown starts.")] = -4.0,
    high: Annotated[float, Option("Where it ends.")] = 4.0,
    points: Annotated[int, Option("Places in it.")] = 161,
) -> Any:
    """Draw a loss and its derivative.

    Losses of numbers are drawn over the error, losses of classes over the margin: how far the right one of two classes is
    ahead. Corners are said, with the derivative that is taken there.

    Example: pellucid loss hinge --out hinge.svg

    Example: pellucid loss huber delta=0.5 --json

    Example: pellucid loss squared-error absolute-error huber huber.delta=2 --out three.html
    """
    from pellucid.explain import compare_losses

    asked, settings = functions_named(names or [])
    compared = compare_losses(asked, low, high, points, settings)
    return compared.curves[0] if len(asked) == 1 else compared
