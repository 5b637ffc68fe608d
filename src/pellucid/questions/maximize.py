"""`maximize`: a picture that excites a unit or a class."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import TARGET, Executor, Network, class_asked
from pellucid.questions.question import Option, QuestionError, question


@question(
    "maximize",
    "pellucid.explain:maximize",
    "pellucid.explain:class_model",
    pictures="page",
    group="look inside",
    page="layers",
)
def maximize(
    subject: Network,
    layer: Annotated[str, Option("The layer whose unit is to be excited.")] = "",
    unit: Annotated[int, Option("Its unit: a channel, or an output of a dense layer.", low=0)] = 0,
    target: Annotated[str, Option(f"Instead of a unit {TARGET}.")] = "",
    steps: Annotated[int, Option("Steps of gradient ascent.", low=1)] = 200,
    rate: Annotated[float, Option("Length of the first step, of half the way from black to white.")] = 0.3,
    jitter: Annotated[float, Option("Shift before each step, as a share of the sides.", low=0)] = 0.06,
    blur: Annotated[float, Option("Blur at every fourth step, as a share of the sides.", low=0)] = 0.003,
    total_variation: Annotated[float, Option("Weight against differences of neighbors.", low=0)] = 0.3,
    l2: Annotated[float, Option("Weight against squared differences from gray.", low=0)] = 0.0,
    seed: Annotated[int, Option("Of the noise at the start, and of the shifts.", low=0)] = 0,
    executor: Executor = "auto",
) -> Any:
    """Make a picture that excites a unit or a class the most.

    Example: pellucid maximize efficientnet-lite0 --target goldfish --out goldfish.png

    Example: pellucid maximize runs/digits-lenet --layer conv2 --unit 5 --out unit5.html
    """
    from pellucid.explain import Ascent, class_model
    from pellucid.explain import maximize as maximize_unit

    if bool(layer) == bool(target):
        raise QuestionError("say either --layer with --unit, or --target")
    shared: dict[str, Any] = {
        "ascent": Ascent(steps, rate, jitter, blur, total_variation, l2),
        "seed": seed,
        "executor": executor,
    }
    chosen = class_asked(target, subject.classes)
    if chosen is None:
        return maximize_unit(subject.net, layer, unit, subject.shape, **shared)
    return class_model(subject.net, chosen, subject.shape, **shared)
