"""`pellucid models`, `samples`, `inspect` and `doctor`."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pellucid.cli.options import (
    Executor,
    Json,
    Out,
    Precision,
    Set,
    Size,
    Threads,
    draw,
    pass_names,
    print_json,
    set_values,
    show,
    with_notes,
)
from pellucid.questions.kinds import model_names
from pellucid.text import WIDEST


def list_models(as_json: Json = False, out: Out = None) -> None:
    """List the networks that can be built by name.

    With their parameters at their usual size, and whether weights are there for them.

    Example: pellucid models
    """
    from pellucid import models

    show(models.catalog(), as_json, out)


def inspect(
    what: Annotated[
        str,
        typer.Argument(
            help="A run's folder, a checkpoint, an ONNX file, a model's name, or a file of weights.",
            autocompletion=model_names,
        ),
    ],
    image_size: Annotated[int, typer.Option(help="For a model: pixels of the picture's side.")] = 0,
    channels: Annotated[int, typer.Option(help="For a model: channels of the picture.")] = 0,
    classes: Annotated[int, typer.Option(help="For a model: number of classes.")] = 0,
    weights: Annotated[str, typer.Option(help="For a model: a file of weights that must fit it.")] = "",
    size: Size = "",
    set: Set = None,
    batch: Annotated[int, typer.Option(min=1, help="Pictures at once.")] = 1,
    timed: Annotated[bool, typer.Option("--time", help="Measure the time that each layer takes in inference.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what the native executor's passes and plan are.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="The plan, with the time that each step takes.")] = False,
    training: Annotated[bool, typer.Option("--train", help="The plan of a training step, not of inference.")] = False,
    after: Annotated[
        list[str] | None,
        typer.Option(help="The whole graph after this pass; may be repeated.", autocompletion=pass_names),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="The plan without this pass; may be repeated.", autocompletion=pass_names),
    ] = None,
    executor: Executor = "auto",
    precision: Precision = "float32",
    threads: Threads = 0,
    as_json: Json = False,
    out: Out = None,
) -> None:
    """List a network's layers: shapes, parameters, costs.

    With multiply-adds, memory, receptive fields and, measured, time; or the plan that computes it.

    A file of weights alone (.pt, .pth, .bin, .safetensors) is listed: names, shapes, element types.

    Example: pellucid inspect resnet18 --image-size 224

    Example: pellucid inspect resnet18 --size 240x320

    Example: pellucid inspect resnet18 --out resnet18.png --width 1920

    Example: pellucid inspect resnet18 --time --out resnet18.html

    Example: pellucid inspect voice.onnx --set sr=16000

    Example: pellucid inspect weights.pth --json

    Example: pellucid inspect lenet --train --batch 64 --profile --out plan.html
    """
    from pellucid.explain import time_layers
    from pellucid.explain.networks.computing import computing
    from pellucid.inspection import plan as plan_of
    from pellucid.interop.listing import holds_weights, list_weights
    from pellucid.opening import open_model
    from pellucid.pictures import Page

    if holds_weights(Path(what)):
        show(list_weights(what), as_json, out)
        return
    asked: dict[str, Any] = {"num_classes": classes, "in_channels": channels, "image_size": size or image_size}
    subject = with_notes(open_model(what, **asked, weights=weights, set=set_values(set)))
    if plan or profile or training or after or without:
        if timed:
            raise typer.BadParameter(
                "a plan has no such table of layers; --profile times its steps", param_hint="--time"
            )
        if executor not in ("auto", "native"):
            raise typer.BadParameter(f"only the native executor makes plans, not {executor!r}", param_hint="--executor")
        report = plan_of(subject, batch, training, profile, precision, threads, without or ())
        shown = [report.after(name) for name in after] if after else [report]
        pages = Page("After passes", tuple(record.picture() for record in shown)) if len(shown) > 1 else shown[0]
        draw(pages, out)
        if as_json:
            print_json({"batch": batch, "training": training, "precision": precision, **report.to_dict(after or ())})
        else:
            size = ", ".join("x".join(map(str, shape)) for shape in subject.shapes(batch).values())
            print(f"{what}: {'a training step' if training else 'inference'} on {size}, {precision}\n")
            print(*shown, sep="\n\n")
        return
    shapes = subject.shapes(batch)
    setting: dict[str, Any] = {"executor": executor, "precision": precision, "threads": threads}
    summary = time_layers(subject.net, shapes, **setting) if timed else subject.net.summary(shapes)
    draw(replace(summary, name=Path(what).name or what), out)
    who = computing(subject.net, shapes, **setting)
    if as_json:
        takes = {"layout": subject.layout, "pictures": list(subject.shape)} if subject.takes_pictures else {}
        print_json({**summary.to_dict(), **takes, **who.plain()})
        return
    print(summary.text(shutil.get_terminal_size((WIDEST, 24)).columns))
    if subject.takes_pictures:
        print(f"takes pictures as {subject.layout}, {'x'.join(map(str, (batch, *subject.input_shape)))}")
    print(who)


def samples(as_json: Json = False, out: Out = None) -> None:
    """List pictures that can be named in the place of files.

    Photographs and the pictures of data sets that are at hand; every command that takes a picture takes their names.

    Example: pellucid samples --out samples.html

    Example: pellucid attribute efficientnet-lite0 sample:flower --out map.png
    """
    from pellucid.data import samples as at_hand

    show(at_hand(), as_json, out)


def doctor(as_json: Json = False, out: Out = None) -> None:
    """Say what this machine offers: versions, executors, CPU.

    Example: pellucid doctor --json
    """
    from pellucid.doctor import examine

    show(examine(), as_json, out)
