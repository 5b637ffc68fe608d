"""`explain`: where one number comes from."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import Executor, Image, Network, Target
from pellucid.questions.question import Option, QuestionError, question
from pellucid.questions.trace import Loss, trace


@question("explain", "pellucid.explain:trace", pictures="page", group="look inside", page="explain")
def explain(
    subject: Network,
    image: Image,
    at: Annotated[str, Option("The number to explain: a layer and a place in it, conv2[5,3,2].")] = "",
    why_gradient: Annotated[bool, Option("Explain the score's gradient there, not the value.")] = False,
    target: Target = "",
    loss: Loss = "",
    executor: Executor = "auto",
) -> Any:
    """Show where one number comes from, term by term.

    Without --at, every layer's output.

    Example: pellucid explain efficientnet-lite0 photo.jpg --at "_fc[281]"

    Example: pellucid explain runs/digits-lenet three.png --target 3 --loss cross_entropy --at loss
    """
    from pellucid.explain import parse_place

    if why_gradient and not at:
        raise QuestionError("--why-gradient needs --at with the place whose gradient is asked for")
    traced = trace(subject, image, target, loss, executor)
    if not at:
        return traced
    layer, place = parse_place(at, traced)
    return traced[layer].why_gradient(place) if why_gradient else traced[layer][place]
