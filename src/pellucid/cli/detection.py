"""`pellucid detect`: what detectors find, and how well."""
# pyright: reportUntypedFunctionDecorator=false

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pellucid.cli.asking import command_of
from pellucid.cli.comparing import compare
from pellucid.cli.helping import Command, Commands
from pellucid.cli.options import FigureNumber, Json, Out, drawing, show
from pellucid.questions import all_questions

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DETECTORS = "A run of `pellucid detect train`, or its detector.safetensors; models of parts (.mat), or a folder or .zip of some."


def metric_names() -> list[str]:
    """Protocols by name."""
    from pellucid.detect.average_precision import METRICS

    return list(METRICS)


def bad_box_names() -> list[str]:
    """What may be done with boxes that make no sense."""
    from pellucid.detect.reading.gathering import ON_BAD_BOX

    return list(ON_BAD_BOX)


Rounds = Annotated[
    int,
    typer.Option(
        min=0,
        help="R-CNN and Fast R-CNN: times that regions are scored and moved, from the second on where they were moved; as trained unless given.",
    ),
]


@app.callback()
def root() -> None:
    """Find objects on pictures, and measure detectors.

    Example: pellucid detect proposals photo.jpg
    """


def evaluate(
    detections: Annotated[
        Path,
        typer.Argument(
            help="A run of `pellucid detect train`, models of parts (.mat); or what was found: a .csv table file,x1,y1,x2,y2,class,score, "
            "or a folder of VOC's comp3_det_PART_CLASS.txt."
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(help="Pictures with boxes: a folder or .zip of PASCAL VOC, COCO's .json, or a .csv table."),
    ],
    part: Annotated[str, typer.Option(help="Which part of the data: test, else val, else all unless given.")] = "",
    metric: Annotated[
        str,
        typer.Option(help="voc2007 (11 points) or voc2010 (area under the curve).", autocompletion=metric_names),
    ] = "voc2007",
    overlap: Annotated[float, typer.Option(help="Intersection over union that a right box has at least.")] = 0.5,
    on_bad_box: Annotated[
        str, typer.Option(help="Boxes that make no sense: error or skip.", autocompletion=bad_box_names)
    ] = "error",
    seed: Annotated[int, typer.Option(min=0, help="Of the draws that the interval comes of.")] = 0,
    rounds: Rounds = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Measure detections by the protocol of PASCAL VOC.

    Average precision of every class, the mean with its interval, and the kinds of mistakes.

    Example: pellucid detect evaluate found.csv --data VOC2007/ --part val --out page.html
    """
    from pellucid import detect
    from pellucid.detect.comparison.entries import learned_of
    from pellucid.detect.finding import known_there
    from pellucid.detect.run_folder import seen_again

    source = detect.load(data, on_bad_box)
    for note in source.notes:
        print(f"pellucid: {data}: {note}", file=sys.stderr)
    name, pictures = source.part(part)
    classes: tuple[str, ...] = ()
    if detect.is_detector(detections):
        detector = detect.load_detector(detections, rounds)
        classes = known_there(detector, pictures)
        if len(classes) < max(len(detector.classes), len(pictures.classes)):
            print(f"pellucid: measured on the classes that both have: {', '.join(classes)}", file=sys.stderr)
        learned = learned_of(detections if detections.is_dir() else detections.parent)
        notes = (*detector.notes, *seen_again(learned.pictures if learned else (), pictures))
        found = detect.find_all(detector, pictures)
    elif rounds:
        raise detect.DetectorError(
            f"{detections}: holds what was found already; rounds are of a detector that is asked"
        )
    else:
        found, notes = detect.read_detections(detections, pictures)
    measured = detect.evaluate(found, pictures, metric, overlap, part=name, notes=notes, seed=seed, classes=classes)
    show(measured, as_json, out)


def system_names() -> list[str]:
    """Systems that can be trained."""
    from pellucid.detect.run import SYSTEMS

    return list(SYSTEMS)


def train(
    data: Annotated[
        Path, typer.Option(help="Pictures with boxes: a folder or .zip of PASCAL VOC, COCO's .json, or a .csv table.")
    ],
    system: Annotated[
        str | None,
        typer.Option(
            help="Which detector: fast-rcnn unless given, faster-rcnn, rcnn, rcnn-star, dpm, segdpm or segdeepm; --resume takes the run's own.",
            autocompletion=system_names,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/DATA-SYSTEM unless given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, by its own settings.")] = False,
    on_bad_box: Annotated[
        str, typer.Option(help="Boxes that make no sense: error or skip.", autocompletion=bad_box_names)
    ] = "error",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, NAME=VALUE, as epochs=20; may be given again.")
    ] = None,
    backbone: Annotated[str, typer.Option(help="The network that looks at pictures or regions, by name.")] = "",
    fine_tune: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="R-CNN: steps in which the network learns from regions first; 0 none; 400 for rcnn-star unless given.",
        ),
    ] = None,
    rounds: Rounds = 0,
    as_json: Json = False,
) -> None:
    """Train a detector on pictures with boxes.

    Learns from the part train, else trainval, and measures on val, else test (after trainval test alone).
    Ctrl-C keeps what has been learned, and --resume goes on.

    Example: pellucid detect train --data VOC2007/ --out runs/first

    Example: pellucid detect train --system rcnn --data VOC2007/ --fine-tune 400 --out runs/rcnn
    """
    from pellucid import detect

    options = {"backbone": backbone or None, "fine_tune": fine_tune, "rounds": rounds or None}
    given: dict[str, Any] = {
        **detect.settings_of(settings or []),
        **{name: value for name, value in options.items() if value is not None},
    }
    show(detect.train(data, system=system, out=out, resume=resume, on_bad_box=on_bad_box, **given), as_json)


def predict(
    detector: Annotated[str, typer.Argument(help=DETECTORS)],
    images: Annotated[list[str], typer.Argument(help="Pictures: files, or some at hand as sample:china.")],
    threshold: Annotated[
        float | None,
        typer.Option(
            help="The score from which on a box is shown; 0.5 of a share, 0 of a margin (R-CNN), a DPM's own unless given."
        ),
    ] = None,
    rounds: Rounds = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Find objects on pictures.

    Example: pellucid detect predict runs/first photo.jpg --out page.html
    """
    from pellucid import detect
    from pellucid.data import read_image

    opened = detect.load_detector(detector, rounds)
    pictures = [(name, read_image(name)) for name in images]
    show(detect.find(opened, pictures, threshold), as_json, out)


def explain(
    detector: Annotated[str, typer.Argument(help=DETECTORS)],
    image: Annotated[str, typer.Argument(help="A picture: a file, or one at hand as sample:china.")],
    box: Annotated[int, typer.Option(min=0, help="Which box, counted from 0, the surest first.")] = 0,
    threshold: Annotated[
        float | None, typer.Option(help="The score from which on a box counts, as for predict.")
    ] = None,
    dropped: Annotated[
        int | None,
        typer.Option(
            min=0, help="One of the boxes that were dropped instead, counted from 0, as predict --json lists them."
        ),
    ] = None,
    at: Annotated[
        str,
        typer.Option(help="The box of --class that is nearest to x1,y1,x2,y2 (pixels) instead, whatever became of it."),
    ] = "",
    kind: Annotated[str, typer.Option("--class", help="The class of the box that --at asks for, by name.")] = "",
    rounds: Rounds = 0,
    figure: FigureNumber = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Why a box is where it is, of the class that it is, and which others it took the place of; or why one was dropped.

    The terms that are printed add up to the score before the softmax; the page shows bins and pixels. Of a box that was dropped it is said
    which step dropped it: a score below the threshold, a surer box that overlaps it, or that nothing near was looked at.

    Example: pellucid detect explain runs/first photo.jpg --box 0 --out why.html

    Example: pellucid detect explain runs/first photo.jpg --dropped 3

    Example: pellucid detect explain runs/first photo.jpg --at 12,20,80,90 --class dog
    """
    from pellucid import detect
    from pellucid.detect.asking import place_of

    place = place_of(at)
    opened = detect.load_detector(detector, rounds)
    why = detect.explain(opened, image, box, threshold, dropped=dropped, at=place, kind=kind)
    show(why, as_json, out, figure)


def compress(
    detector: Annotated[
        str, typer.Argument(help="A run of `pellucid detect train --system fast-rcnn`, or its detector.safetensors.")
    ],
    out: Annotated[Path, typer.Option(help="The folder that the smaller detector is kept in.")],
    rank: Annotated[
        str,
        typer.Option(
            help="How many numbers are between the two, NAME=COUNT,...; a quarter of fc1's and a sixteenth of fc2's outputs unless given."
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Make the large layers of a Fast R-CNN products of two smaller ones, by their singular values.

    Prints how long a picture took before and takes now; the new folder is asked like any run.

    Example: pellucid detect compress runs/first --rank fc1=256,fc2=128 --out runs/smaller
    """
    from pellucid import detect
    from pellucid.plain import read

    ranks = read(dict[str, int], detect.settings_of(rank.split(",")), "rank") if rank else None
    show(detect.compress(detector, out, ranks), as_json)


def source_names() -> list[str]:
    """What finds segments, by name."""
    from pellucid.detect.segments import SOURCES

    return list(SOURCES)


def segments(
    image: Annotated[str, typer.Argument(help="A picture: a file, or one at hand as sample:china.")],
    source: Annotated[
        str, typer.Option(help="What finds them: mini-cpmc or selective-search.", autocompletion=source_names)
    ] = "mini-cpmc",
    most: Annotated[int, typer.Option(min=1, help="How many segments at most, up to 200.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of selective search; minimum cuts need none.")] = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Which pixels of a picture may be an object: segments by minimum cuts, or the regions of selective search.

    For each of 5 x 5 seeds everything from the least to the most is foreground that parts from the background where colors change.

    Example: pellucid detect segments photo.jpg --out segments.html
    """
    from pellucid import detect

    show(detect.segments_of(image, source, seed, most), as_json, out)


for name, command in {
    "train": train,
    "predict": predict,
    "explain": explain,
    "compress": compress,
    "proposals": command_of(all_questions()["proposals"]),
    "segments": segments,
    "evaluate": evaluate,
    "compare": compare,
}.items():
    app.command(name, cls=Command, rich_help_panel="Detect")(drawing(command))
