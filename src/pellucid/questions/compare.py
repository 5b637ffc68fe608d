"""`compare`: what differs between two networks, two pictures for one, or two executors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pellucid.questions.kinds import (
    EDIT,
    INPUTS,
    SET,
    Preprocessing,
    Size,
    Target,
    class_asked,
    model_names,
    named_values,
    picture_names,
)
from pellucid.questions.question import Option, QuestionError, question

if TYPE_CHECKING:
    from pellucid.explain import Trace
    from pellucid.opening import Opened

_WHAT = "A run's folder, a checkpoint, an ONNX file, or a model's name."


@question(
    "compare",
    "pellucid.explain:compare",
    "pellucid.explain:compare_maps",
    pictures="page",
    group="compare",
    page="insight",
)
def compare(
    a: Annotated[str, Option(_WHAT, choices=model_names, place=True, kind="source")],
    b: Annotated[
        str,
        Option("What to compare it with; the same again for two pictures or executors.", place=True, kind="source"),
    ],
    image: Annotated[
        Path | None,
        Option(
            "A picture, as a file or name, or an array (.npy), to run both on; random numbers unless given.",
            choices=picture_names,
            place=True,
            kind="file",
        ),
    ] = None,
    second: Annotated[
        Path | None,
        Option(
            "Another picture, to run the second on; the same one unless given.",
            choices=picture_names,
            place=True,
            kind="file",
        ),
    ] = None,
    layer: Annotated[str, Option("Compare this layer alone, map by map.")] = "",
    gradient: Annotated[bool, Option("Of a layer: the gradients of the scores there, not the values.")] = False,
    target: Target = "",
    inputs: Annotated[list[str] | None, INPUTS] = None,
    set: Annotated[list[str] | None, SET] = None,
    edit: Annotated[list[str] | None, EDIT] = None,
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

    In layers, in weights, and where their activations part: on one picture, or each on its own. Checkpoints are named by
    their files. Edits are made in both; what the second cannot take is left out there, and said.

    Example: pellucid compare runs/first runs/second photo.jpg

    Example: pellucid compare runs/first/last.safetensors runs/first/best.safetensors photo.jpg --layer conv2 --out maps.html

    Example: pellucid compare runs/first runs/first cat.jpg dog.jpg

    Example: pellucid compare runs/first runs/second photo.jpg --edit "conv1.weight[3]=0"

    Example: pellucid compare resnet18 resnet18 --image-size 64 --executors native,reference
    """
    from pellucid.examples import example_of
    from pellucid.explain import compare as compare_networks
    from pellucid.explain import compare_maps
    from pellucid.inference.fed import random_example
    from pellucid.nn.edits import fitting_edits
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

    first = opened(a).edited(edit or ())
    second_network, notes = first, tuple[str, ...]()
    if a != b:
        second_network = opened(b)
        taken, left_out = fitting_edits(second_network.net, edit or ())
        second_network, notes = second_network.edited(taken), tuple(f"in the second network {one}" for one in left_out)
    if [*first.shapes().values()] != [*second_network.shapes().values()]:
        networks = (first, second_network)
        sizes = " and ".join(", ".join("x".join(map(str, s)) for s in o.shapes().values()) for o in networks)
        raise OpeningError(f"{a} and {b}: take {sizes}; make them one with --image-size and --channels, or --size")
    if second is not None and image is None:
        raise QuestionError(f"second: {second} is for the second network; name a picture for the first too")
    reader = _reader(first, second_network, preprocessing)
    example = None if image is None and not inputs else example_of(reader, image, inputs or ()).values
    other = None if second is None else example_of(reader, second).values
    ends = first_executor, second_executor or first_executor
    if layer:
        if example is None:
            example = random_example(first.net, first.shapes(), seed)
        traces = _traces((first, second_network), (example, other), ends, target)
        return replace(compare_maps(*traces, layer, gradient=gradient, tolerance=tolerance), notes=notes)
    if gradient or target:
        raise QuestionError("--gradient and --target are for one layer's maps: name it with --layer")
    found = compare_networks(
        first.net,
        second_network.net,
        example,
        second=other,
        shape=first.shapes(),
        tolerance=tolerance,
        executors=ends,
        seed=seed,
    )
    return replace(found, notes=notes)


def _traces(
    opened: tuple[Opened, Opened], examples: tuple[Any, Any], executors: tuple[str, str], target: str
) -> tuple[Trace, Trace]:
    """Both networks traced, each on its own example, or the second on the first's."""
    from pellucid.explain import trace

    (first, second), (example, other) = opened, examples
    a = trace(first.net, example, class_asked(target, first.classes), executor=executors[0])
    given = a.fed.called_as(second.net) if other is None else other
    return a, trace(second.net, given, class_asked(target, second.classes), executor=executors[1])


def _reader(first: Opened, second: Opened, preprocessing: str) -> Opened:
    """The first of the two that knows how pictures become its input."""
    from pellucid.data import usual_preprocessing

    known = first if first.preprocessing is not None or second.preprocessing is None else second
    if preprocessing and known.preprocessing is not None:
        raise QuestionError(f"--preprocessing: {known.source} says it itself")
    if preprocessing:
        usual = usual_preprocessing(preprocessing, first.shape, first.layout)
        known.net.card = replace(known.net.card, preprocessing=usual)
    return known
