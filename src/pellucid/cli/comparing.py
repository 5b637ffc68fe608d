"""`pellucid detect compare`: detectors beside each other on the same pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.options import Json, Out, show


def compare(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            help="Runs of `pellucid detect train`, models of parts (.mat, a folder or .zip of some), or systems by name."
        ),
    ] = None,
    *,
    data: Annotated[
        Path, typer.Option(help="Pictures with boxes: a folder or .zip of PASCAL VOC, COCO's .json, or a .csv table.")
    ],
    train_missing: Annotated[
        bool,
        typer.Option(
            "--train-missing", help="Train systems that there is no run of, or go on with those that were stopped."
        ),
    ] = False,
    systems: Annotated[
        str, typer.Option(help="Systems by name, with commas; all that there are unless some or runs are named.")
    ] = "",
    more: Annotated[
        list[Path] | None,
        typer.Option(help="More pictures to learn from, beside the part train of the data; may be given again."),
    ] = None,
    ablate: Annotated[
        str,
        typer.Option(
            help="Parts of R-CNN with commas, each left out once: proposals, crop, fine-tuning, box-regression."
        ),
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A setting of what is trained, NAME=VALUE or SYSTEM.NAME=VALUE; may be given again."
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where runs and what was found are kept; runs/DATA-compare unless given.")
    ] = None,
    part: Annotated[str, typer.Option(help="Which part to measure on: test, else val, else all unless given.")] = "",
    metric: Annotated[str, typer.Option(help="voc2007 (11 points) or voc2010 (area under the curve).")] = "voc2007",
    overlap: Annotated[float, typer.Option(help="Intersection over union that a right box has at least.")] = 0.5,
    draws: Annotated[int, typer.Option(min=1, help="How often the pictures are drawn anew for the intervals.")] = 1000,
    on_bad_box: Annotated[str, typer.Option(help="Boxes that make no sense: error or skip.")] = "error",
    seed: Annotated[int, typer.Option(min=0, help="Of the draws that the intervals come of.")] = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Compare detectors on the same pictures: the lecture's table, measured.

    Average precision of every class, the mean and differences with their intervals, seconds of a picture and of training, beside the
    lecture's figures. Stopped at any moment, the same command goes on.

    Example: pellucid detect compare runs/first voc-dpm.zip/VOC2007 --data VOC2007/ --out table.html

    Example: pellucid detect compare rcnn fast-rcnn --data VOC2007/ --train-missing --set rcnn.proposals=300
    """
    from pellucid import detect

    show(
        detect.compare(
            what or (),
            data=data,
            systems=[name.strip() for name in systems.split(",") if name.strip()],
            train_missing=train_missing,
            more=more or (),
            ablate=[name.strip() for name in ablate.split(",") if name.strip()],
            settings=detect.settings_of(settings or []),
            folder=folder,
            part=part,
            metric=metric,
            overlap=overlap,
            draws=draws,
            seed=seed,
            on_bad_box=on_bad_box,
        ),
        as_json,
        out,
    )
