"""`compare`: what differs between two networks, or two executors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pellucid.questions.kinds import INPUTS, SET, Preprocessing, Size, model_names, named_values, picture_names
from pellucid.questions.question import Option, QuestionError, question

if TYPE_CHECKING:
    from pellucid.opening import Opened

_WHAT = "A run's folder, a checkpoint, an ONNX file, or a model's name."


@question("compare", "pellucid.explain:compare", pictures="page", group="compare", page="insight")
def compare(
    a: Annotated[str, Option(_WHAT, choices=model_names, place=True, kind="source")],
    b: Annotated[str, Option("What to compare it with; the same again for two executors.", place=True, kind="source")],
    image: Annotated[
        Path | None,
        Option(
            "A picture, as a file or name, or an array (.npy), to run both on; random numbers unless given.",
            choices=picture_names,
            place=True,
            kind="file",
        ),
    ] = None,
    inputs: Annotated[list[str] | None, INPUTS] = None,
    set: Annotated[list[str] | None, SET] = None,
    tolerance: Annotated[
        float, Option("Largest difference of activations that counts as none, over the layer's largest value.")
    ] = 1e-4,
    executors: Annotated[
        str, Option("Who computes the first and the second: native,reference; one name for both.")
    ] = "auto",
    image_size: Annotated[int, Option("For a model: pixels of the picture's side.")] = 0,
    size: Size = "",
    channels: Annotated[int, Option("For a model: channels of the picture.")] = 0,
    classes: Annotated[int, Option("For a model: number of classes.")] = 0,
    pretrained: Annotated[bool, Option("For a model: the weights published for it, not random ones.")] = False,
    preprocessing: Preprocessing = "",
    seed: Annotated[int, Option("Of random numbers: the picture, and weights that nothing gives.")] = 0,
) -> Any:
    """Say where two networks, or two executors, differ.

    In layers, in weights, and where their activations part.

    Example: pellucid compare runs/first runs/second photo.jpg

    Example: pellucid compare resnet18 resnet18 --image-size 64 --executors native,reference
    """
    from pellucid.explain import compare as compare_networks
    from pellucid.opening import OpeningError, open_model

    first_executor, _, second_executor = executors.partition(",")
    values = named_values(set or ())
    if values and not any(what.lower().endswith(".onnx") for what in (a, b)):
        raise QuestionError(f"--set: gives inputs of ONNX files their values; {a} and {b} are none")

    def opened(what: str) -> Opened:
        sized = not Path(what).exists()
        found = open_model(
            what,
            num_classes=classes * sized,
            in_channels=channels * sized,
            image_size=size or image_size * sized,
            pretrained=pretrained,
            set=values if what.lower().endswith(".onnx") else None,
        )
        found.net.initialize(seed, keep_given=True)
        return found

    first = opened(a)
    second = first if a == b else opened(b)
    if [*first.shapes().values()] != [*second.shapes().values()]:
        sizes = " and ".join(", ".join("x".join(map(str, s)) for s in o.shapes().values()) for o in (first, second))
        raise OpeningError(f"{a} and {b}: take {sizes}; make them one with --image-size and --channels, or --size")
    return compare_networks(
        first.net,
        second.net,
        None if image is None and not inputs else _read(first, second, image, inputs or (), preprocessing),
        shape=first.shapes(),
        tolerance=tolerance,
        executors=(first_executor, second_executor or first_executor),
        seed=seed,
    )


def _read(first: Opened, second: Opened, image: Path | None, inputs: Sequence[str], preprocessing: str) -> Any:
    """The example as the first of the two that knows how pictures become its input takes it."""
    from pellucid.data import usual_preprocessing
    from pellucid.examples import example_of

    known = first if first.preprocessing is not None or second.preprocessing is None else second
    if preprocessing and known.preprocessing is not None:
        raise QuestionError(f"--preprocessing: {known.source} says it itself")
    if preprocessing:
        usual = usual_preprocessing(preprocessing, first.shape, first.layout)
        known.net.card = replace(known.net.card, preprocessing=usual)
    return example_of(known, image, inputs).values
