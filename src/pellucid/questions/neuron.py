"""`neuron`: a neuron of two inputs over the plane of these."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.activation import function_names
from pellucid.questions.kinds import named_numbers, numbers_of
from pellucid.questions.question import Option, question
from pellucid.questions.surface import box_of


@question("neuron", "pellucid.explain:two_input_neuron", pictures="heat map", group="learn", page="neuron")
def neuron(
    weights: Annotated[str, Option("Its two weights, w0,w1.")] = "2,-3",
    bias: Annotated[float, Option("Its bias.")] = -3.0,
    at: Annotated[str, Option("The place whose sum is taken apart, x0,x1.")] = "-1,-2",
    activation: Annotated[str, Option("What is made of the sum.", choices=function_names)] = "sigmoid",
    settings: Annotated[
        list[str] | None, Option("A setting of that: slope=0.2. May be repeated.", name="setting")
    ] = None,
    points: Annotated[
        list[str] | None, Option("An example x0,x1,class with class 0 or 1. May be repeated.", name="point")
    ] = None,
    box: Annotated[str, Option("The part of the plane that is shown, x0 from,to and x1 from,to.")] = "-4,4,-4,4",
) -> Any:
    """Look at a neuron of two inputs over their plane.

    Its sum term by term at one place, the line on which it is 0, and on which side of it examples of two classes lie.

    Example: pellucid neuron --weights 2,-3 --bias -3 --at -1,-2

    Example: pellucid neuron --weights 1,1 --bias -1.5 --activation relu --point 0,0,0 --point 1,1,1 --out and.svg
    """
    from pellucid.explain import two_input_neuron
    from pellucid.formulas.activation_functions import function_called

    own = named_numbers(settings or [])
    function_called(activation, own)  # a setting that it has not may be called like a parameter
    return two_input_neuron(
        numbers_of("--weights", weights),
        bias,
        numbers_of("--at", at),
        activation,
        [numbers_of("--point", point) for point in points or []],
        box_of(box) or (),
        **own,
    )
