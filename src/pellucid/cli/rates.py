"""`pellucid find-rate`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pellucid.cli.options import Json, Out, Set, show
from pellucid.cli.train_options import Download, Weights, begun_with, network_and_data, takes_settings


@takes_settings(
    "epochs",
    "learning_rate",
    "schedule",
    "patience",
    "checkpoint_every",
    "watch_every",
    "cache_features",
    "drop_last",
)
def find_rate(
    settings: dict[str, Any],
    lowest: Annotated[float, typer.Option(help="Learning rate of the first step.")] = 1e-6,
    highest: Annotated[float, typer.Option(help="Learning rate of the last step, if the loss does not explode.")] = 1.0,
    steps: Annotated[int, typer.Option(help="Steps, each at a rate higher by the same factor.")] = 100,
    weights: Weights = "",
    set: Set = None,
    download: Download = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Find a learning rate: where the loss falls fastest.

    It trains for some steps while the rate grows, and shows where the loss falls and where it explodes.

    The options are those of `pellucid train`, which then takes the rate as --lr.

    Example: pellucid find-rate --data photos/ --image-size 64 --model resnet18 --optimizer momentum --out rate.svg
    """
    from pellucid.train import find_learning_rate

    origin, config = begun_with(settings, weights, set)
    net, splits = network_and_data(origin, config, download, settings["pretrained"])
    show(find_learning_rate(net, splits, config, lowest=lowest, highest=highest, steps=steps), as_json, out)
