"""`pellucid history`, `find-rate` and `landscape`: what happens in training, and around where it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.options import (
    Executor,
    Json,
    Out,
    Precision,
    PreprocessingName,
    Threads,
    data_names,
    model_names,
    show,
)
from pellucid.cli.pictures import parts_of
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
from pellucid.errors import unknown

if TYPE_CHECKING:
    from pellucid.explain import LossLandscape


def history(
    run: Annotated[str, typer.Argument(help="A run's folder.")],
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Show how a run learned: loss and accuracy by epoch; every layer's gradient norms and how fast its weights changed.

    Example: pellucid history runs/digits-lenet --out history.html
    """
    from pellucid.train import load_history

    show(load_history(run), as_json, out)


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


def landscape(
    what: Annotated[
        str,
        typer.Argument(
            help="A run's folder, a checkpoint, an ONNX file, or a model with published weights.",
            autocompletion=model_names,
        ),
    ],
    data: Annotated[
        str, typer.Option(help="Pictures to compute the loss on; default the run's own.", autocompletion=data_names)
    ] = "",
    split: Annotated[str, typer.Option(help="Which of them: train, validation or test.")] = "test",
    size: Annotated[int, typer.Option(help="Points along a side, odd.")] = 17,
    span: Annotated[float, typer.Option(help="How far to go; 1 changes every filter by as much as it has.")] = 1.0,
    directions: Annotated[int, typer.Option(help="1 for a line, 2 for a surface.")] = 2,
    limit: Annotated[int, typer.Option(help="Pictures to compute the loss on, at most.")] = 1000,
    seed: Annotated[int, typer.Option(help="Same seed, same directions.")] = 0,
    preprocessing: PreprocessingName = "",
    executor: Executor = "auto",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Show the loss around a network's weights, along random directions scaled filter by filter.

    The grid is refined step by step; --out has the last whole one, and Ctrl-C ends with it.

    Example: pellucid landscape runs/digits-lenet --size 17 --out landscape.html
    """
    from pellucid.explain import loss_landscape
    from pellucid.opening import open_model

    subject = open_model(what, pretrained=True, preprocessing=preprocessing)
    known = subject.require_preprocessing()
    splits = parts_of(subject, data)
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    if split not in parts:
        raise unknown("split", split, parts)

    def draw(found: LossLandscape) -> None:
        if out is not None:
            found.picture().save(out)

    found = loss_landscape(
        subject.net,
        parts[split],
        known,
        size=size,
        span=span,
        directions=directions,
        limit=limit,
        seed=seed,
        executor=executor,
        show=draw,
    )
    show(found, as_json)
