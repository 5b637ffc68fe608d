"""`pellucid attribute`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pellucid.cli.options import Executor, Json, Out, PreprocessingName, What, class_asked, show


def method_names() -> list[str]:
    """Methods of attribution by name."""
    from pellucid.explain import METHODS

    return [*METHODS, "all"]


def attribute(
    what: What,
    image: Annotated[Path, typer.Argument(help="A picture file.")],
    method: Annotated[str, typer.Option(help="The method, or all.", autocompletion=method_names)] = "grad-cam",
    target: Annotated[
        str, typer.Option(help="The class whose score is explained, by name or number; the highest unless given.")
    ] = "",
    layer: Annotated[str, typer.Option(help="For Grad-CAM: the layer to read off; chosen unless given.")] = "",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="An option of the method, as steps=100; may be repeated.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Measure how faithful the methods are, and rank them;")
    ] = False,
    randomise: Annotated[
        bool,
        typer.Option("--randomise", help="Check the method: how its map changes as layers lose what they learned."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the noise that a method draws.")] = 0,
    out: Out = None,
    preprocessing: PreprocessingName = "",
    executor: Executor = "auto",
    as_json: Json = False,
) -> None:
    """Show which places of a picture a network's score for a class comes from.

    Example: pellucid attribute efficientnet-lite0 photo.jpg --target "tabby" --out map.png

    Example: pellucid attribute runs/digits three.png --compare --out methods.html
    """
    from pellucid.explain import attribute as attribute_picture
    from pellucid.explain import compare_methods, randomisation_check
    from pellucid.opening import open_model

    if compare and randomise:
        raise typer.BadParameter("--compare randomises too; give one of them", param_hint="--randomise")
    every = method == "all" or compare
    if every and (setting or layer or randomise):
        raise typer.BadParameter("--set, --layer and --randomise are for one method", param_hint="--method")
    opened = open_model(what, pretrained=True, preprocessing=preprocessing)
    read = opened.input(image)
    asked = class_asked(target, opened.classes)
    shared: dict[str, Any] = {"classes": opened.classes, "executor": executor, "seed": seed}
    if every:
        compared = compare_methods(opened.net, read.values, asked, measure=compare, **shared)
        show(compared.with_pixels(read.pixels), as_json, out)
        return
    options: dict[str, Any] = {**({"layer": layer} if layer else {}), **dict(map(_parsed, setting or []))}
    if randomise:
        show(randomisation_check(opened.net, read.values, asked, method=method, **shared, **options), as_json, out)
        return
    found = attribute_picture(opened.net, read.values, asked, method=method, **shared, **options)
    show(replace(found, pixels=read.pixels), as_json, out)


def _parsed(text: str) -> tuple[str, Any]:
    """`"steps=100"` -> `("steps", 100)`; numbers and yes or no."""
    name, _, value = text.partition("=")
    words = {"yes": True, "no": False}
    if value in words:
        return name, words[value]
    try:
        return name, int(value) if value.lstrip("-").isdigit() else float(value)
    except ValueError:
        raise typer.BadParameter(f"expected name=number, yes or no, got {text!r}", param_hint="--set") from None
