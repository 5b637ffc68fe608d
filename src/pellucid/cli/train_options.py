"""Options of commands that train: what to learn from, which network, how to learn; and the network and data they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli.options import optimizer_names
from pellucid.questions.kinds import data_names, model_names
from pellucid.questions.measured import say

if TYPE_CHECKING:
    from pellucid.data import SplitRecord, Splits
    from pellucid.nn import Module
    from pellucid.train import TrainConfig
    from pellucid.train.starting import Origin

Data = Annotated[
    str,
    typer.Option(help="digits, fashion-mnist, or a folder (or .zip) of class folders.", autocompletion=data_names),
]
Model = Annotated[
    str,
    typer.Option(
        help="Which network, see `pellucid models`, or an ONNX file; default lenet, or that of --from.",
        autocompletion=model_names,
    ),
]
Pretrained = Annotated[
    bool, typer.Option("--pretrained", help="Start from the weights published for the model; the head is new.")
]
Start = Annotated[
    str, typer.Option("--from", help="Start from the weights of this run; with other classes the head is new.")
]
Freeze = Annotated[
    str, typer.Option(help="What not to train: backbone (all but the head), or paths of layers with commas between.")
]
RateOf = Annotated[
    list[str] | None,
    typer.Option(metavar="PREFIX=FACTOR", help="Learning rate of the layers below a path; may be repeated."),
]
RateDecay = Annotated[
    float, typer.Option(help="Each layer learns this many times as fast as the next one; 1: all alike.")
]
BatchSize = Annotated[int, typer.Option(help="Pictures per step.")]
OptimizerName = Annotated[
    str, typer.Option(help="sgd, momentum, nesterov, rmsprop, adam or adamw.", autocompletion=optimizer_names)
]
WeightDecay = Annotated[float, typer.Option(help="Pull of every weight towards 0.")]
LabelSmoothing = Annotated[float, typer.Option(help="Share of the target spread over all classes.")]
Flip = Annotated[bool, typer.Option("--flip", help="Mirror pictures at random.")]
Shift = Annotated[int, typer.Option(help="Move pictures at random by up to this many pixels.")]
Rotation = Annotated[
    float | None,
    typer.Option(help="Turn pictures at random by up to this many degrees; default 5, or 0 with --freeze."),
]
Seed = Annotated[int, typer.Option(help="Same seed, same run.")]
ImageSize = Annotated[
    int,
    typer.Option(
        help="Scale and crop a folder's pictures to this size; 0 keeps theirs, or takes what the first weights want."
    ),
]
Channels = Annotated[
    int,
    typer.Option(help="Read a folder's pictures in colour (3) or grey (1); 0: as the first weights want, else colour."),
]
OnBadImage = Annotated[str, typer.Option(help="Unreadable pictures: error or skip.")]
Download = Annotated[bool, typer.Option("--download", help="Allow fetching fashion-mnist (30 MB).")]


def origin_of(model: str, pretrained: bool, start: str) -> Origin:
    """The network to begin with: a run's, a model with published weights, or a new one."""
    from pellucid.train import TrainError
    from pellucid.train.starting import Origin, origin_of_published, origin_of_run

    if pretrained and start:
        raise TrainError("--pretrained and --from both give weights to start from; choose one")
    if start:
        return origin_of_run(start, model)
    model = model or "lenet"
    return origin_of_published(model) if pretrained else Origin({"model": model})


_OPTIONS = {
    "batch_size": "batch",
    "learning_rate": "lr",
    "start_from": "start",
    "learning_rates": "lr_of",
    "learning_rate_decay": "lr_decay",
}
"""Settings whose options have other names."""


def given(context: typer.Context, settings: dict[str, Any]) -> dict[str, Any]:
    """Those of `settings` that somebody wrote on the command line."""
    sources = {name: context.get_parameter_source(_OPTIONS.get(name, name)) for name in settings}
    return {name: settings[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def factors_of(texts: list[str]) -> dict[str, float]:
    """The factors of learning rates that PREFIX=FACTOR says."""
    factors: dict[str, float] = {}
    for text in texts:
        prefix, equals, number = text.partition("=")
        try:
            factors[prefix.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise typer.BadParameter(f"expected PREFIX=FACTOR, got {text!r}", param_hint="--lr-of")
    return factors


def network_and_data(
    origin: Origin, config: TrainConfig, download: bool, pretrained: bool, record: SplitRecord | None = None
) -> tuple[Module, Splits]:
    """The pictures that the settings name, split as a `record` says if there is one, and a network for them."""
    from pellucid import models
    from pellucid.data import load

    options = {} if record is None else record.options
    splits = load(
        config.data,
        image_size=options.get("image_size", config.image_size) or None,
        channels=options.get("channels", config.channels),
        on_bad_image=config.on_bad_image,
        download=download,
        record=record,
    )
    say([*splits.notes, *(f"skipped {line}" for line in splits.train.skipped)])
    channels, *size = splits.shape
    sizes = {"num_classes": len(splits.classes), "in_channels": channels, "image_size": max(size)}
    built: dict[str, Any] = {**origin.options, **sizes}
    return models.build(**built, pretrained=pretrained), splits
