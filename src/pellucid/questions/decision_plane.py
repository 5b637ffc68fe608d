"""`decision-plane`: which class a network gives each place of a plane, before and after it learns from points."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.design import NETWORK_TEXT
from pellucid.questions.kinds import Executor, model_names
from pellucid.questions.question import Option, question


def points_names() -> list[str]:
    """Sets of points by name."""
    from pellucid.data.points import SETS

    return list(SETS)


@question("decision-plane", "pellucid.studies:decision_plane", pictures="page", group="learn", page="training")
def decision_plane(
    data: Annotated[
        str,
        Option(
            "Points: circles, xor, spirals or gaussians, also with settings ('circles noise=0.2'), or a CSV file with x, y and "
            "a class on each line.",
            choices=points_names,
            place=True,
            kind="data",
        ),
    ] = "circles",
    network: Annotated[str, Option(NETWORK_TEXT, choices=model_names)] = "Linear 4, Tanh, Linear 2, Tanh",
    epochs: Annotated[
        int, Option("Times to go through the points; 0 shows the plane of the weights to begin with.")
    ] = 0,
    seed: Annotated[int, Option("Same seed, same weights to begin with.", low=0)] = 0,
    learning_rate: Annotated[float, Option("Length of a step.", low=0)] = 0.03,
    batch_size: Annotated[int, Option("Points that a step sees.", low=1)] = 10,
    optimizer: Annotated[str, Option("How steps are made of gradients, as `pellucid train` has it.")] = "adam",
    side: Annotated[int, Option("Places along a side of the plane.")] = 40,
    executor: Executor = "auto",
) -> Any:
    """Show which class a network gives each place of a plane.

    Points of two or more classes, and a network that learns to tell them apart; the training is that of `pellucid train`.

    Example: pellucid decision-plane

    Example: pellucid decision-plane "xor noise=0.2" --network "Linear 8, Tanh" --epochs 20 --out xor.html
    """
    from pellucid.studies import decision_plane as study

    return study(
        data,
        network,
        epochs,
        seed=seed,
        learning_rate=learning_rate,
        batch_size=batch_size,
        optimizer=optimizer,
        side=side,
        executor=executor,
    )
