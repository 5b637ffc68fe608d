"""`activations`: what each layer makes of a picture."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import Executor, Image, Network, Target
from pellucid.questions.question import Option, question
from pellucid.questions.trace import trace


def scale_names() -> list[str]:
    """Ways to scale maps."""
    return ["shared", "each"]


@question(
    "activations",
    "pellucid.explain:activation_maps",
    "pellucid.explain:stages",
    pictures="page, maps, chart",
    group="look inside",
    page="activations",
)
def activations(
    subject: Network,
    image: Image,
    layer: Annotated[str, Option("One layer, with all its maps; every layer unless given.")] = "",
    gradient: Annotated[bool, Option("The score's gradient there; of all layers, both.")] = False,
    scale: Annotated[
        str, Option("shared: one scale for a layer's maps; each: one for every map.", choices=scale_names)
    ] = "shared",
    limit: Annotated[int, Option("Maps of each layer that are drawn.", low=1)] = 16,
    target: Target = "",
    executor: Executor = "auto",
) -> Any:
    """Show what each layer makes of a picture, map by map.

    Stage by stage, as one page; or all maps of one layer.

    Example: pellucid activations efficientnet-lite0 cat.jpg --gradient --out stages.html

    Example: pellucid activations runs/digits-lenet three.png --layer conv2 --scale each --out conv2.svg
    """
    from pellucid.explain import activation_maps, stages

    traced = trace(subject, image, target, executor=executor)
    if layer:
        return activation_maps(traced, layer, scale, gradient)
    return stages(traced, gradient=gradient, scale=scale, limit=limit)
