"""`pellucid activations`, `filters`, `units`, `maximise` and `embed`: what the layers of a network have learned to see."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.options import (
    Executor,
    Json,
    Out,
    PreprocessingName,
    Target,
    What,
    class_asked,
    data_names,
    show,
)
from pellucid.cli.pictures import measured

if TYPE_CHECKING:
    from pellucid.data import Dataset
    from pellucid.opening import Opened

Data = Annotated[
    str,
    typer.Option(help="Data whose test pictures are looked at; default the run's own.", autocompletion=data_names),
]


def scale_names() -> list[str]:
    """Ways to scale maps."""
    return ["shared", "each"]


def method_names() -> list[str]:
    """Ways to lay out points on a plane."""
    from pellucid.explain.features.embedding import METHODS

    return list(METHODS)


def activations(
    what: What,
    image: Annotated[Path, typer.Argument(help="A picture file.")],
    layer: Annotated[str, typer.Option(help="One layer, with all its maps; every layer unless given.")] = "",
    gradient: Annotated[
        bool, typer.Option("--gradient", help="The score's gradient there; of all layers, both.")
    ] = False,
    scale: Annotated[
        str,
        typer.Option(help="shared: one scale for a layer's maps; each: one for every map.", autocompletion=scale_names),
    ] = "shared",
    limit: Annotated[int, typer.Option(min=1, help="Maps of each layer that are drawn.")] = 16,
    target: Target = "",
    preprocessing: PreprocessingName = "",
    executor: Executor = "auto",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Show what each layer makes of a picture, stage by stage, as one page; or one layer's maps.

    Example: pellucid activations efficientnet-lite0 cat.jpg --gradient --out stages.html

    Example: pellucid activations runs/digits-lenet three.png --layer conv2 --scale each --out conv2.svg
    """
    from pellucid.explain import activation_maps, stages, trace
    from pellucid.opening import open_model

    opened = open_model(what, pretrained=True, preprocessing=preprocessing)
    read = opened.input(image)
    chosen = class_asked(target, opened.classes)
    traced = trace(opened.net, read.values, chosen, classes=opened.classes, executor=executor)
    if layer:
        show(activation_maps(traced, layer, scale, gradient), as_json, out)
    else:
        show(
            stages(traced, gradient=gradient, scale=scale, limit=limit, preprocessing=opened.preprocessing),
            as_json,
            out,
        )


def filters(
    what: What,
    layer: Annotated[str, typer.Option(help="A convolution; the first one unless given.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Filters, or maps of them, that are drawn.")] = 64,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Show the weights of a convolution: in colour where it sees three channels, else one map for each channel.

    Example: pellucid filters efficientnet-lite0 --out filters.svg
    """
    from pellucid.explain import filters as filters_of
    from pellucid.opening import open_model

    opened = open_model(what, pretrained=True)
    show(filters_of(opened.net, opened.shape, layer, limit), as_json, out)


def units(
    what: What,
    data: Data = "",
    layer: Annotated[str, typer.Option(help="One layer, unit by unit; every activation function unless given.")] = "",
    unit: Annotated[
        int | None, typer.Option(min=0, help="One unit of --layer: the pictures that excite it most.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many of these pictures.")] = 9,
    limit: Annotated[int, typer.Option(min=0, help="Pictures to read, evenly spread; 0 reads all.")] = 0,
    preprocessing: PreprocessingName = "",
    executor: Executor = "auto",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Find dead and saturated units over a data set; or the pictures that excite one unit most, and where in them.

    Example: pellucid units runs/digits-lenet

    Example: pellucid units runs/digits-lenet --layer conv2 --unit 5 --out unit5.html
    """
    from pellucid.explain import most_exciting, unit_statistics
    from pellucid.opening import open_model

    if unit is not None and not layer:
        raise typer.BadParameter("needs --layer, the layer whose unit it is", param_hint="--unit")
    opened = open_model(what, pretrained=True, preprocessing=preprocessing)
    prepared, pictures = opened.require_preprocessing(), _pictures(opened, data)
    if unit is not None:
        found = most_exciting(
            opened.net,
            pictures,
            layer,
            unit,
            count,
            preprocessing=prepared,
            limit=limit,
            executor=executor,
        )
        show(found, as_json, out)
        return
    report = unit_statistics(
        opened.net, pictures, layer or None, preprocessing=prepared, limit=limit, executor=executor
    )
    show(report, as_json, out)


def maximise(
    what: What,
    layer: Annotated[str, typer.Option(help="The layer whose unit is to be excited.")] = "",
    unit: Annotated[int, typer.Option(min=0, help="Its unit: a channel, or an output of a dense layer.")] = 0,
    target: Annotated[str, typer.Option(help="Instead of a unit a class, by name or number.")] = "",
    steps: Annotated[int, typer.Option(min=1, help="Steps of gradient ascent.")] = 200,
    rate: Annotated[float, typer.Option(help="Length of the first step, of half the way from black to white.")] = 0.3,
    jitter: Annotated[float, typer.Option(min=0, help="Shift before each step, as a share of the sides.")] = 0.06,
    blur: Annotated[float, typer.Option(min=0, help="Blur at every fourth step, as a share of the sides.")] = 0.003,
    total_variation: Annotated[float, typer.Option(min=0, help="Weight against differences of neighbours.")] = 0.3,
    l2: Annotated[float, typer.Option(min=0, help="Weight against squared differences from grey.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise at the start, and of the shifts.")] = 0,
    preprocessing: PreprocessingName = "",
    executor: Executor = "auto",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Make a picture that excites one unit, or the score of one class, as strongly as can be.

    Example: pellucid maximise efficientnet-lite0 --target goldfish --out goldfish.png

    Example: pellucid maximise runs/digits-lenet --layer conv2 --unit 5 --out unit5.html
    """
    from pellucid.explain import Ascent, class_model
    from pellucid.explain import maximise as maximise_unit
    from pellucid.opening import open_model

    if bool(layer) == bool(target):
        raise typer.BadParameter("say either --layer with --unit, or --target", param_hint="--layer")
    opened = open_model(what, pretrained=True, preprocessing=preprocessing)
    ascent = Ascent(steps, rate, jitter, blur, total_variation, l2)
    chosen = class_asked(target, opened.classes)
    if chosen is None:
        made = maximise_unit(
            opened.net,
            layer,
            unit,
            opened.shape,
            ascent=ascent,
            preprocessing=opened.preprocessing,
            seed=seed,
            executor=executor,
        )
    else:
        made = class_model(
            opened.net,
            chosen,
            opened.shape,
            classes=opened.classes,
            ascent=ascent,
            preprocessing=opened.preprocessing,
            seed=seed,
            executor=executor,
        )
    show(made, as_json, out)


def embed(
    what: What,
    data: Data = "",
    layer: Annotated[str, typer.Option(help="The layer; what the classifier's last layer reads unless given.")] = "",
    method: Annotated[
        str, typer.Option(help="pca, tsne, or umap (needs its extra).", autocompletion=method_names)
    ] = "pca",
    limit: Annotated[int, typer.Option(min=0, help="Pictures to read, evenly spread; 0 reads all.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="For what is random in a method.")] = 0,
    preprocessing: PreprocessingName = "",
    executor: Executor = "auto",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Lay out what a layer makes of a data set's pictures on a plane, and measure how well it keeps classes apart.

    Example: pellucid embed runs/digits-lenet --method pca --out digits.html
    """
    from pellucid.explain import embed as embed_layer
    from pellucid.opening import open_model

    opened = open_model(what, pretrained=True, preprocessing=preprocessing)
    made = embed_layer(
        opened.net,
        _pictures(opened, data),
        layer or None,
        method,
        preprocessing=opened.require_preprocessing(),
        limit=limit,
        seed=seed,
        executor=executor,
    )
    show(made, as_json, out)


def _pictures(opened: Opened, data: str) -> Dataset:
    """Test pictures of the network's size; their classes may be others than its own."""
    from pellucid.opening import OpeningError

    found = measured(opened, data).dataset
    if found.shape != opened.shape:
        raise OpeningError(f"{opened.source}: wants images {opened.shape}, the data {found.name} has {found.shape}")
    return found
