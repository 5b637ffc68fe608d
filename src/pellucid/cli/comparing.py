"""`pellucid compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.options import Json, Out, PreprocessingName, model_names, show

if TYPE_CHECKING:
    from pellucid.op import Array
    from pellucid.opening import Opened

_WHAT = "A run's folder, a checkpoint, an ONNX file, or a model's name."


def compare(
    a: Annotated[str, typer.Argument(help=_WHAT, autocompletion=model_names)],
    b: Annotated[str, typer.Argument(help="What to compare it with; the same again for two executors.")],
    image: Annotated[
        Path | None, typer.Argument(help="A picture file to run both on; random numbers unless given.")
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(help="Largest difference of activations that counts as none, over the layer's largest value."),
    ] = 1e-4,
    executors: Annotated[
        str, typer.Option(help="Who computes the first and the second: native,reference; one name for both.")
    ] = "auto",
    image_size: Annotated[int, typer.Option(help="For a model: pixels of the picture's side.")] = 0,
    channels: Annotated[int, typer.Option(help="For a model: channels of the picture.")] = 0,
    classes: Annotated[int, typer.Option(help="For a model: number of classes.")] = 0,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="For a model: the weights published for it, not random ones.")
    ] = False,
    preprocessing: PreprocessingName = "",
    seed: Annotated[int, typer.Option(help="Of random numbers: the picture, and weights that nothing gives.")] = 0,
    as_json: Json = False,
    out: Out = None,
) -> None:
    """Say what differs between two networks, or two executors: layers, weights, and where their activations part.

    Example: pellucid compare runs/first runs/second photo.jpg

    Example: pellucid compare resnet18 resnet18 --image-size 64 --executors native,reference
    """
    from pellucid.explain import compare as compare_networks
    from pellucid.opening import OpeningError, open_model

    first_executor, _, second_executor = executors.partition(",")

    def opened(what: str) -> Opened:
        sized = not Path(what).exists()
        found = open_model(
            what,
            num_classes=classes * sized,
            in_channels=channels * sized,
            image_size=image_size * sized,
            pretrained=pretrained,
        )
        found.net.initialize(seed, keep_given=True)
        return found

    first = opened(a)
    second = first if a == b else opened(b)
    if first.shape != second.shape:
        sizes = " and ".join("x".join(map(str, o.shape)) for o in (first, second))
        raise OpeningError(f"{a} and {b}: take pictures {sizes}; make them one with --image-size and --channels")
    answer = compare_networks(
        first.net,
        second.net,
        None if image is None else _read(first, second, image, preprocessing),
        shape=first.shape,
        tolerance=tolerance,
        executors=(first_executor, second_executor or first_executor),
        seed=seed,
    )
    show(answer, as_json, out)


def _read(first: Opened, second: Opened, image: Path, preprocessing: str) -> Array:
    """The picture as the first of the two that knows it takes it."""
    from pellucid.data import usual_preprocessing

    known = first if first.preprocessing is not None or second.preprocessing is None else second
    if preprocessing and known.preprocessing is not None:
        raise typer.BadParameter(f"{known.source} says it itself", param_hint="--preprocessing")
    chosen = usual_preprocessing(preprocessing, first.shape) if preprocessing else known.require_preprocessing()
    return chosen.input(image).values
