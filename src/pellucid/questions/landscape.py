"""`landscape`: the loss around a network's weights."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.errors import unknown
from pellucid.questions.kinds import Executor, Network, Show, data_names
from pellucid.questions.question import Option, question


def part_names() -> list[str]:
    """Parts of data by name."""
    return ["train", "validation", "test"]


@question(
    "landscape", "pellucid.explain:loss_landscape", pictures="heat map, chart", group="look inside", page="insight"
)
def landscape(
    subject: Network,
    show: Show,
    data: Annotated[
        str, Option("Pictures to compute the loss on; default the run's own.", choices=data_names, kind="data")
    ] = "",
    split: Annotated[str, Option("Which of them: train, validation or test.", choices=part_names)] = "test",
    size: Annotated[int, Option("Points along a side, odd.")] = 17,
    span: Annotated[float, Option("How far to go; 1 changes every filter by as much as it has.")] = 1.0,
    directions: Annotated[int, Option("1 for a line, 2 for a surface.")] = 2,
    limit: Annotated[int, Option("Pictures to compute the loss on, at most.")] = 1000,
    seed: Annotated[int, Option("Same seed, same directions.")] = 0,
    executor: Executor = "auto",
) -> Any:
    """Draw the loss around a network's weights.

    Along random directions, scaled filter by filter. The grid is refined step by step; --out has the last whole one, and Ctrl-C ends with it.

    Example: pellucid landscape runs/digits-lenet --size 17 --out landscape.html
    """
    from pellucid.explain import loss_landscape
    from pellucid.questions.measured import parts_of

    subject.require_preprocessing()
    if split not in part_names():
        raise unknown("split", split, part_names())
    return loss_landscape(
        subject.net,
        getattr(parts_of(subject, data), split),
        size=size,
        span=span,
        directions=directions,
        limit=limit,
        seed=seed,
        executor=executor,
        show=show,
    )
