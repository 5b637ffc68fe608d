"""`activation`: activation functions with their derivatives."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import named_numbers
from pellucid.questions.question import Option, QuestionError, question


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
            "Activation functions, and settings of a single one: slope=0.2. All of them unless given.",
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
    """
    from pellucid.explain import activation_curve, compare_activations

    asked = [name for name in names or () if "=" not in name]
    settings = named_numbers([name for name in names or () if "=" in name])
    if len(asked) == 1:
        return activation_curve(asked[0], low, high, points, **settings)
    if settings:
        raise QuestionError("settings belong to one function; name one")
    return compare_activations(asked, low, high, points)
