"""`walk-back`: the strongest paths from a score back to pixels."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import Executor, Image, Network, Target
from pellucid.questions.question import Option, question
from pellucid.questions.trace import trace


@question("walk-back", "pellucid.explain:walk_back", pictures="page", group="look inside", page="explain")
def walk_back(
    subject: Network,
    image: Image,
    target: Target = "",
    count: Annotated[int, Option("How many paths to show.", low=1)] = 5,
    biases: Annotated[bool, Option("Also the paths that end at a bias, not at a pixel.", both=True)] = False,
    executor: Executor = "auto",
) -> Any:
    """Follow the strongest paths from a score back to pixels.

    With the share of the score that each path carries.

    Example: pellucid walk-back runs/digits-lenet three.png --target 3 --out paths.html
    """
    from pellucid.explain import walk_back as walk

    return walk(trace(subject, image, target, executor=executor), count, biases=biases, shown=image.pixels)
