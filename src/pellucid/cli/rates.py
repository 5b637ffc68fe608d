"""`pellucid find-rate`."""

from __future__ import annotations

from typing import Annotated

import typer

from pellucid.cli.options import Executor, Json, Out, Precision, Threads, show
from pellucid.cli.train_options import (
    BatchSize,
    Channels,
    Data,
    Download,
    Flip,
    Freeze,
    ImageSize,
    LabelSmoothing,
    Model,
    OnBadImage,
    OptimizerName,
    Pretrained,
    RateDecay,
    RateOf,
    Rotation,
    Seed,
    Shift,
    Start,
    WeightDecay,
    factors_of,
    network_and_data,
    origin_of,
)


def find_rate(
    data: Data = "digits",
    model: Model = "",
    pretrained: Pretrained = False,
    start: Start = "",
    freeze: Freeze = "",
    lr_of: RateOf = None,
    lr_decay: RateDecay = 1.0,
    lowest: Annotated[float, typer.Option(help="Learning rate of the first step.")] = 1e-6,
    highest: Annotated[float, typer.Option(help="Learning rate of the last step, if the loss does not explode.")] = 1.0,
    steps: Annotated[int, typer.Option(help="Steps, each at a rate higher by the same factor.")] = 100,
    batch: BatchSize = 32,
    optimizer: OptimizerName = "adam",
    weight_decay: WeightDecay = 0.0,
    label_smoothing: LabelSmoothing = 0.05,
    flip: Flip = False,
    shift: Shift = 0,
    rotation: Rotation = None,
    seed: Seed = 0,
    executor: Executor = "auto",
    precision: Precision = "float32",
    threads: Threads = 0,
    image_size: ImageSize = 0,
    channels: Channels = 0,
    on_bad_image: OnBadImage = "error",
    download: Download = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Find a learning rate: train for some steps while the rate grows, and see where the loss falls and where it explodes.

    The options are those of `pellucid train`, which then takes the rate as --lr.

    Example: pellucid find-rate --data photos/ --image-size 64 --model resnet18 --optimizer momentum --out rate.svg
    """
    from pellucid.train import TrainConfig, find_learning_rate

    origin = origin_of(model, pretrained, start)
    image_size, channels = origin.picture(image_size, channels)
    config = TrainConfig(
        batch_size=batch,
        optimizer=optimizer,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        seed=seed,
        executor=executor,
        precision=precision,
        threads=threads,
        flip=flip,
        shift=shift,
        rotation=rotation if rotation is not None else 0.0 if freeze else 5.0,
        data=data,
        image_size=image_size,
        channels=channels,
        on_bad_image=on_bad_image,
        model=origin.options["model"],
        start_from=start,
        freeze=freeze,
        learning_rates=factors_of(lr_of or []),
        learning_rate_decay=lr_decay,
    )
    net, splits = network_and_data(origin, config, download, pretrained)
    show(find_learning_rate(net, splits, config, lowest=lowest, highest=highest, steps=steps), as_json, out)
