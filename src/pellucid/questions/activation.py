"""`activation`: activation functions with their derivatives."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import functions_named
from pellucid.questions.question import Option, question


def function_names() -> list[str]:
    """Activation functions by name."""
    from pellucid.explain import activation_names

    return activation_names()


@question(
    "activation",
    "pellucid.explain:activation_curve",
    "pellucid.explain:compare_activations",
    pictures="chart, page",
    group="learn",
    page="activation-functions",
)
def activation(
    names: Annotated[
        list[str] | None,
        Option(
            "Activation functions, and their settings: slope=0.2 of a single one, elu.alpha=2 of one of several. "
            "All of them unless given.",
            choices=function_names,
            place=True,
        ),
    ] = None,
    low: Annotated[float, Option("Where the interval shown starts.")] = -6.0,
    high: Annotated[float, Option("Where it ends.")] = 6.0,
    points: Annotated[int, Option("Places in it.")] = 241,
) -> Any:
    """Draw an activation function and its derivative.

    It says where the function saturates; several are drawn side by side.

    Example: pellucid activation gelu --out gelu.svg

    Example: pellucid activation leaky-relu slope=0.2 --json

    Example: pellucid activation sigmoid tanh relu --out three.html

    Example: pellucid activation relu elu elu.alpha=2
    """
    from pellucid.explain import compare_activations

    asked, settings = functions_named(names or [])
    compared = compare_activations(asked, low, high, points, settings)
    return compared.curves[0] if len(asked) == 1 else compared
