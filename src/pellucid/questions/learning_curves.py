"""`learning-curves`: how runs learned, step by step."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.question import Option, question


@question("learning-curves", "pellucid.train:learning_curves", pictures="page", group="look inside", page="insight")
def learning_curves(
    runs: Annotated[list[str], Option("Folders of runs, drawn over each other.", place=True, kind="source")],
    points: Annotated[int, Option("Points of a curve at most, evenly spread over its steps.", low=1)] = 400,
    until: Annotated[int | None, Option("The last step that is drawn; all unless given.", low=0)] = None,
) -> Any:
    """Show how the loss of runs fell, step by step.

    The loss of every step, of runs that were begun in the lab, and what was measured after each epoch in training and on
    what was held out; the gradient's norm and the learning rate. Several runs are drawn over each other.

    Example: pellucid learning-curves runs/digits-lenet --out curves.html

    Example: pellucid learning-curves runs/digits-lenet --until 20 --json
    """
    from pellucid.train import learning_curves as curves_of

    return curves_of(*runs, points=points, until=until)
