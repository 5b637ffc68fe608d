"""`units`: dead and saturated units, and the pictures that excite one most."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import Executor, Network, TestData
from pellucid.questions.question import Option, QuestionError, question


@question(
    "units",
    "pellucid.explain:unit_statistics",
    "pellucid.explain:most_exciting",
    pictures="page",
    group="look inside",
    page="layers",
)
def units(
    subject: Network,
    data: TestData = "",
    layer: Annotated[str, Option("One layer, unit by unit; every activation function unless given.")] = "",
    unit: Annotated[int | None, Option("One unit of --layer: the pictures that excite it most.", low=0)] = None,
    count: Annotated[int, Option("How many of these pictures.", low=1)] = 9,
    limit: Annotated[int, Option("Pictures to read, evenly spread; 0 reads all.", low=0)] = 0,
    executor: Executor = "auto",
) -> Any:
    """Find dead and saturated units, or what excites one most.

    Over the pictures of a data set, and where in them.

    Example: pellucid units runs/digits-lenet

    Example: pellucid units runs/digits-lenet --layer conv2 --unit 5 --out unit5.html
    """
    from pellucid.explain import most_exciting, unit_statistics
    from pellucid.questions.measured import images_for

    if unit is not None and not layer:
        raise QuestionError("--unit needs --layer, the layer whose unit it is")
    subject.require_preprocessing()
    pictures = images_for(subject, data)
    shared: dict[str, Any] = {"limit": limit, "executor": executor}
    if unit is not None:
        return most_exciting(subject.net, pictures, layer, unit, count, **shared)
    return unit_statistics(subject.net, pictures, layer or None, **shared)
