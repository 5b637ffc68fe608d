"""`pellucid explain` and `trace`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.options import (
    Executor,
    Json,
    Out,
    PreprocessingName,
    Target,
    What,
    class_asked,
    loss_names,
    named_numbers,
    print_json,
    show,
)


def explain(
    what: What,
    image: Annotated[Path, typer.Argument(help="A picture file.")],
    at: Annotated[str, typer.Option(help="The number to explain: a layer and a place in it, conv2[5,3,4].")] = "",
    why_gradient: Annotated[
        bool, typer.Option("--why-gradient", help="Explain the score's gradient there, not the value.")
    ] = False,
    target: Target = "",
    loss: Annotated[
        str,
        typer.Option(help="Go on to this loss, --target being the true class.", autocompletion=loss_names),
    ] = "",
    preprocessing: PreprocessingName = "",
    executor: Executor = "auto",
    as_json: Json = False,
    out: Out = None,
) -> None:
    """Show every layer's output for a picture; or where one number comes from, term by term.

    Example: pellucid explain runs/digits-lenet three.png

    Example: pellucid explain efficientnet-lite0 photo.jpg --at "_fc[281]"

    Example: pellucid explain runs/digits-lenet three.png --target 3 --loss cross_entropy --at loss
    """
    from pellucid.explain import parse_place
    from pellucid.explain import trace as trace_picture
    from pellucid.opening import open_model

    if why_gradient and not at:
        raise typer.BadParameter("needs --at with the place whose gradient is asked for", param_hint="--why-gradient")
    layer, place = parse_place(at) if at else ("", ())
    opened = open_model(what, pretrained=True, preprocessing=preprocessing)
    picture = opened.input(image).values
    chosen = class_asked(target, opened.classes)
    traced = trace_picture(opened.net, picture, chosen, classes=opened.classes, loss=loss or None, executor=executor)
    answer = traced
    if at:
        answer = traced[layer].why_gradient(place) if why_gradient else traced[layer][place]
    show(answer, as_json, out)


def receptive_field(
    what: What,
    images: Annotated[list[Path], typer.Argument(help="Picture files; the effective field is the mean over them.")],
    at: Annotated[str, typer.Option(help="A layer, conv2 (its middle), or a place in it, conv2[5,3,4].")],
    preprocessing: PreprocessingName = "",
    executor: Executor = "auto",
    as_json: Json = False,
    out: Out = None,
) -> None:
    """What an element of a layer sees of the picture: in theory, and in effect by its gradient.

    Example: pellucid receptive-field runs/digits-lenet three.png --at "conv2[5,1,1]" --out field.svg
    """
    import numpy as np

    from pellucid.explain import parse_place
    from pellucid.explain import receptive_field as find
    from pellucid.opening import open_model

    layer, place = parse_place(at)
    opened = open_model(what, pretrained=True, preprocessing=preprocessing)
    inputs = [opened.input(image) for image in images]
    pictures = np.stack([image.values for image in inputs])
    show(find(opened.net, pictures, layer, place or None, shown=inputs[0].pixels, executor=executor), as_json, out)


def walk_back(
    what: What,
    image: Annotated[Path, typer.Argument(help="A picture file.")],
    target: Annotated[
        str, typer.Option(help="The class whose score is walked back, by name or number; the highest unless given.")
    ] = "",
    count: Annotated[int, typer.Option(min=1, help="How many paths to show.")] = 5,
    biases: Annotated[
        bool, typer.Option(help="Whether paths that end at a bias count, or only those to pixels.")
    ] = True,
    preprocessing: PreprocessingName = "",
    executor: Executor = "auto",
    as_json: Json = False,
    out: Out = None,
) -> None:
    """Walk from a class score back to pixels: the strongest paths, and the share of the score that each carries.

    Example: pellucid walk-back runs/digits-lenet three.png --target 3 --out paths.html
    """
    from pellucid.explain import trace as trace_picture
    from pellucid.explain import walk_back as walk
    from pellucid.opening import open_model

    opened = open_model(what, pretrained=True, preprocessing=preprocessing)
    read = opened.input(image)
    traced = trace_picture(
        opened.net, read.values, class_asked(target, opened.classes), classes=opened.classes, executor=executor
    )
    answer = walk(traced, count, biases=biases, shown=read.pixels)
    show(answer, as_json, out)


def trace(
    expression: Annotated[str, typer.Argument(help="A formula, for example 'w*x + b'.")],
    values: Annotated[list[str] | None, typer.Argument(help="A value for each name: w=2 x=-1.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Also draw the graph into this file.")] = None,
    as_json: Json = False,
) -> None:
    """Compute a formula forward and backward, gate by gate, and show every number.

    Example: pellucid trace "1/(1+exp(-(w0*x0+w1*x1+w2)))" w0=2 x0=-1 w1=-3 x1=-2 w2=-3
    """
    from pellucid.explain import trace_expression
    from pellucid.files import write_atomically
    from pellucid.formulas.expression import expression as parse

    traced = trace_expression(parse(expression, **named_numbers(values or [])))
    if svg is not None:
        write_atomically(svg, traced.svg().encode())
    if as_json:
        print_json(traced.to_dict())
    else:
        print(traced)
