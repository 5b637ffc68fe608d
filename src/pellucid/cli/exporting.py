"""`pellucid export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pellucid.cli.options import Json, Set, Size, set_values, show
from pellucid.questions.kinds import model_names


def export(
    what: Annotated[
        str,
        typer.Argument(
            help="A run's folder, a checkpoint, an ONNX file, or a model's name.", autocompletion=model_names
        ),
    ],
    out: Annotated[Path, typer.Argument(help="The ONNX file to write; its name ends in .onnx.")],
    batch: Annotated[int, typer.Option(min=0, help="Pictures at once; 0 leaves it open.")] = 0,
    opset: Annotated[
        int, typer.Option(help="Version of ONNX's operator set, 18 to 22; 0 takes an ONNX file's own, or 21.")
    ] = 0,
    image_size: Annotated[int, typer.Option(help="For a model: pixels of the picture's side.")] = 0,
    channels: Annotated[int, typer.Option(help="For a model: channels of the picture.")] = 0,
    classes: Annotated[int, typer.Option(help="For a model: number of classes.")] = 0,
    weights: Annotated[str, typer.Option(help="For a model: a file of weights that must fit it.")] = "",
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="For a model: the weights published for it, not random ones.")
    ] = False,
    size: Size = "",
    set: Set = None,
    as_json: Json = False,
) -> None:
    """Write a network as an ONNX file for other programs.

    ONNX Runtime and others read it; a run's has its classes and preprocessing.

    Example: pellucid export runs/digits-lenet digits.onnx

    Example: pellucid export efficientnet-lite0 lite0.onnx --pretrained

    Example: pellucid export resnet18 resnet18.onnx --image-size 224 --classes 10

    An ONNX file, also one with several inputs and outputs, is written as it is, with names, open axes and operators of its own.

    Example: pellucid export digits.onnx eight.onnx --batch 8

    Example: pellucid export detector.onnx fixed.onnx --size 480x640
    """
    from pellucid.interop import OnnxNetwork, save_onnx
    from pellucid.interop.onnx_reader.any_size import open_at_any_size
    from pellucid.interop.onnx_writer.file import writable
    from pellucid.opening import open_model

    writable(out)
    settings: dict[str, Any] = {"batch": batch or None, "opset": opset or None}
    if Path(what).suffix.lower() == ".onnx" and not (
        classes or channels or image_size or size or weights or pretrained
    ):
        show(save_onnx(open_at_any_size(Path(what), set_values(set)), out, **settings), as_json)
        return
    opened = open_model(
        what,
        num_classes=classes,
        in_channels=channels,
        image_size=size or image_size,
        pretrained=pretrained,
        weights=weights,
        set=set_values(set),
    )
    shape: Any = opened.input_shape
    if isinstance(opened.net, OnnxNetwork):  # whose open axes stay open unless a size is asked for
        asked = channels or image_size
        shape = {name: sizes[1:] for name, sizes in opened.net.input_shapes.items()} if asked else None
    show(save_onnx(opened, out, shape=shape, **settings), as_json)
