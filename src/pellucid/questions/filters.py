"""`filters`: the weights of a convolution."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import Network
from pellucid.questions.question import Option, question


@question("filters", "pellucid.explain:filters", pictures="maps, heat map, tiles", group="look inside", page="layers")
def filters(
    subject: Network,
    layer: Annotated[str, Option("A convolution; the first one unless given.")] = "",
    limit: Annotated[int, Option("Filters, or maps of them, that are drawn.", low=1)] = 64,
) -> Any:
    """Draw the weights of a convolution.

    In color where it sees three channels, else one map for each channel.

    Example: pellucid filters efficientnet-lite0 --out filters.svg

    Example: pellucid filters runs/digits-lenet --layer conv2
    """
    from pellucid.explain import filters as filters_of

    return filters_of(subject.net, subject.shapes(), layer, limit)
