"""`pellucid approximate`, `why-convolution` and `shift-robustness`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.options import Executor, Json, Out, PreprocessingName, data_names, model_names, show
from pellucid.cli.pictures import measured, say


def method_names() -> list[str]:
    """Constructions by name."""
    from pellucid.studies import METHODS

    return list(METHODS)


def approximate(
    formula: Annotated[str, typer.Argument(help="A formula of x, or of x and y, for example 'sin(3*x)+x^2'.")],
    domain: Annotated[str, typer.Option(help="From,to for x; for x and y from,to,from,to.")] = "-1,1",
    tolerance: Annotated[float, typer.Option(help="Largest error that is allowed anywhere.")] = 0.01,
    method: Annotated[
        str,
        typer.Option(
            help="relu (interpolation), sigmoid (steps), lattice (maxima of minima) or train.",
            autocompletion=method_names,
        ),
    ] = "relu",
    lipschitz: Annotated[
        float | None, typer.Option(help="A Lipschitz constant of the formula, if you know a better one than is found.")
    ] = None,
    max_units: Annotated[int, typer.Option(help="Hidden units, at most.")] = 20_000,
    seed: Annotated[int, typer.Option(help="For train: same seed, same network.")] = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Make a network of one hidden layer that is close to a function everywhere, and measure how close.

    Example: pellucid approximate "sin(3*x)+x^2" --domain -2,2 --tolerance 0.01

    Example: pellucid approximate "sin(3*x)*cos(2*y)" --domain -1,1,-1,1 --tolerance 0.1 --method lattice --out lattice.html
    """
    from pellucid.studies import approximate as make

    found = make(
        formula,
        _intervals(domain),
        tolerance,
        method,
        lipschitz=lipschitz,
        max_units=max_units,
        seed=seed,
    )
    show(found, as_json, out)


def _intervals(text: str) -> list[tuple[float, float]]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 4):
        raise typer.BadParameter(f"expected from,to or from,to,from,to, got {text!r}", param_hint="--domain")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


Shifts = Annotated[str, typer.Option(help="Pixels to shift by, with commas between.")]


def why_convolution(
    data: Annotated[
        str,
        typer.Option(help="digits, fashion-mnist, or a folder (or .zip) of class folders.", autocompletion=data_names),
    ] = "digits",
    epochs: Annotated[int, typer.Option(min=1, help="Times to go through the training pictures.")] = 15,
    shifts: Shifts = "0,1,2,3",
    limit: Annotated[int, typer.Option(help="Train on so many pictures; 0 takes all.")] = 0,
    image_size: Annotated[
        int, typer.Option(help="Scale and crop a folder's pictures to this size; 0 keeps theirs.")
    ] = 0,
    download: Annotated[bool, typer.Option("--download", help="Allow fetching fashion-mnist (30 MB).")] = False,
    seed: Annotated[int, typer.Option(help="Same seed, same study.")] = 0,
    executor: Executor = "auto",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Train fully connected, locally connected and convolutional networks on the same pictures and compare them.

    Parameters, memory, FLOPs, accuracy; and what shifting the test pictures does, with and without pooling.

    Example: pellucid why-convolution --data digits --out why.html

    Example: pellucid why-convolution --data fashion-mnist --limit 10000 --epochs 6
    """
    from pellucid.data import load
    from pellucid.studies import why_convolution as study

    pixels = _pixels(shifts)
    splits = load(data, image_size=image_size or None, download=download)
    say(splits.notes)
    show(study(splits, epochs, pixels, seed, limit=limit, executor=executor), as_json, out)


def shift_robustness(
    what: Annotated[
        str,
        typer.Argument(
            help="A run's folder, a checkpoint, an ONNX file, or a model with published weights.",
            autocompletion=model_names,
        ),
    ],
    data: Annotated[
        str, typer.Option(help="Data to test on; default the run's own test pictures.", autocompletion=data_names)
    ] = "",
    shifts: Shifts = "0,1,2,3",
    preprocessing: PreprocessingName = "",
    executor: Executor = "auto",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Shift test pictures by a few pixels and measure accuracy, answers that stay the same, and how far features move.

    Example: pellucid shift-robustness runs/digits-lenet --shifts 0,1,2 --out shifts.html
    """
    from pellucid.opening import open_model
    from pellucid.studies import shift_robustness as measure
    from pellucid.train.evaluation import require_fitting

    pixels = _pixels(shifts)
    subject = open_model(what, pretrained=True, preprocessing=preprocessing)
    test = measured(subject, data).dataset
    require_fitting(subject.source, subject.classes, subject.shape, test)
    nets = {Path(subject.source).name: subject.net}
    show(measure(nets, test, subject.require_preprocessing(), pixels, executor=executor), as_json, out)


def _pixels(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"expected whole numbers with commas between, got {text!r}", param_hint="--shifts"
        ) from None
