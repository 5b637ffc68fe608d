"""`attribute`: which places of a picture a score, or another number that a network gives, comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pellucid.questions.kinds import Executor, Image, Network, Target, class_asked
from pellucid.questions.question import Option, QuestionError, question


def method_names() -> list[str]:
    """Methods of attribution by name."""
    from pellucid.explain import METHODS

    return [*METHODS, "all"]


def option_names() -> list[str]:
    """Options of any of the methods by name."""
    from pellucid.explain import METHODS

    return sorted({option for method in METHODS.values() for option in method.options})


@question(
    "attribute",
    "pellucid.explain:attribute",
    "pellucid.explain:compare_methods",
    "pellucid.explain:randomization_check",
    pictures="overlay, page, chart, maps",
    group="look inside",
    page="attribution",
)
def attribute(
    subject: Network,
    image: Image,
    method: Annotated[str, Option("The method, or all.", choices=method_names)] = "grad-cam",
    target: Target = "",
    layer: Annotated[str, Option("For Grad-CAM: the layer to read off; chosen unless given.")] = "",
    setting: Annotated[
        list[str] | None,
        Option(
            "An option of the method, as steps=100, or a value for an input of an ONNX file, as sr=16000; may be repeated.",
            "set",
            choices=option_names,
            kind="settings",
        ),
    ] = None,
    compare: Annotated[bool, Option("Measure how faithful the methods are, and rank them.")] = False,
    randomize: Annotated[
        bool, Option("Check the method: how its map changes as layers lose what they learned.")
    ] = False,
    of: Annotated[
        str, Option("Of several inputs the one whose places are asked about; the picture unless given.")
    ] = "",
    seed: Annotated[int, Option("Of the noise that a method draws.")] = 0,
    executor: Executor = "auto",
) -> Any:
    """Show which places of a picture a score comes from.

    Or any other number that a network gives.

    Example: pellucid attribute efficientnet-lite0 photo.jpg --target "tabby" --out map.png

    Example: pellucid attribute runs/digits-lenet three.png --compare --out methods.html

    Example: pellucid attribute runs/digits-lenet three.png --target "out0[3]" --method saliency
    """
    from pellucid.explain import attribute as attribute_image
    from pellucid.explain import compare_methods, randomization_check
    from pellucid.explain.attribution.method import require_options

    if compare and randomize:
        raise QuestionError("--compare randomizes too; give it or --randomize")
    every = method == "all" or compare
    if every and (setting or layer or randomize):
        raise QuestionError("--set, --layer and --randomize are for one method; name it with --method")
    asked = class_asked(target, subject.classes)
    shared: dict[str, Any] = {"of": of, "executor": executor, "seed": seed}
    if every:
        compared = compare_methods(subject.net, image.values, asked, measure=compare, **shared)
        return compared if of else compared.on(image)
    options = _options(layer, setting or [])
    require_options(method, options)  # one that it has not may be called like a parameter
    if randomize:
        return randomization_check(subject.net, image.values, asked, method=method, **shared, **options)
    found = attribute_image(subject.net, image.values, asked, method=method, **shared, **options)
    return found if of else found.on(image)


def _options(layer: str, setting: Sequence[str]) -> dict[str, Any]:
    """The method's options as they were said, each once."""
    options: dict[str, Any] = {"layer": layer} if layer else {}
    for text in setting:
        name, value = _parsed(text)
        if name in options:
            raise QuestionError(f"--set: {name} is given twice, {options[name]} and {value}; give it once")
        options[name] = value
    return options


def _parsed(text: str) -> tuple[str, Any]:
    """`"steps=100"` -> `("steps", 100)`; numbers and yes or no."""
    name, _, value = text.partition("=")
    words = {"yes": True, "no": False}
    if value in words:
        return name, words[value]
    try:
        return name, int(value) if value.lstrip("-").isdigit() else float(value)
    except ValueError:
        raise QuestionError(f"--set: expected name=number, yes or no, got {text!r}") from None
