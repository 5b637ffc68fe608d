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

    return list(METHODS)


def attribute(
    what: What,
    image: Annotated[Path, typer.Argument(help="A picture file.")],
    method: Annotated[str, typer.Option(help="The method.", autocompletion=method_names)] = "grad-cam",
    target: Annotated[
        str, typer.Option(help="The class whose score is explained, by name or number; the highest unless given.")
    ] = "",
    layer: Annotated[str, typer.Option(help="For Grad-CAM: the layer to read off; chosen unless given.")] = "",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="An option of the method, as steps=100; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the noise that a method draws.")] = 0,
    out: Out = None,
    preprocessing: PreprocessingName = "",
    executor: Executor = "auto",
    as_json: Json = False,
) -> None:
    """Show which places of a picture a network's score for a class comes from.

    Example: pellucid attribute efficientnet-lite0 photo.jpg --target "tabby" --out map.png
    """
    from pellucid.explain import attribute as attribute_picture
    from pellucid.opening import open_model

    opened = open_model(what, pretrained=True, preprocessing=preprocessing)
    pixels = opened.read(image)
    picture = opened.require_preprocessing().normalize(pixels)
    found = attribute_picture(
        opened.net, picture, class_asked(target, opened.classes), method=method, classes=opened.classes, layer=layer or None, executor=executor,
        seed=seed, progress=True, **dict(map(_parsed, setting or [])),
    )  # fmt: skip
    show(replace(found, pixels=pixels), as_json, out)


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
