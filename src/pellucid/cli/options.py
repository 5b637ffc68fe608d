"""What commands share: options, the names that a shell completes, JSON. Nothing is imported before it is asked."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from pellucid.plain import to_json

if TYPE_CHECKING:
    from pellucid.pictures import Picture


class Answer(Protocol):
    """What a command finds out: text for people, plain data for programs, and something to look at."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        ...

    def picture(self) -> Picture:
        """The answer drawn."""
        ...


def print_json(value: Any) -> None:
    """A result as JSON on stdout."""
    print(to_json(value, 2))


def command(*words: str | Path) -> str:
    """A command of pellucid's as a shell reads it, whatever is in the names of files."""
    texts = [f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word) for word in words]
    return shlex.join(["pellucid", *texts])


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="Also draw the result into this file: .svg, .html, .json or .png.")
]


def show(answer: Answer, as_json: bool, out: Path | None = None) -> None:
    """An answer on stdout, and drawn into the file `out` where one is wanted."""
    if out is not None:
        answer.picture().save(out)
    if as_json:
        print_json(answer.to_dict())
    else:
        print(answer)


def named_numbers(assignments: Sequence[str]) -> dict[str, float]:
    """`["w=2", "x=-1"]` -> `{"w": 2.0, "x": -1.0}`; raises `ExpressionError` for anything else."""
    from pellucid.formulas.expression import ExpressionError

    numbers: dict[str, float] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        try:
            numbers[name.strip()] = float(text)
        except ValueError:
            equals = ""
        if not equals or not name.strip().isidentifier():
            raise ExpressionError(f"expected name=number, got {assignment!r}")
    return numbers


def class_asked(target: str, classes: Sequence[str]) -> int | str | None:
    """The class that `--target` names: a number, unless a class is called like it; None where it says nothing."""
    number = target.isascii() and target.isdecimal() and len(target) < 10 and target not in classes
    return int(target) if number else target or None


def model_names() -> list[str]:
    """Models by name."""
    from pellucid.nn import models

    return models.names()


What = Annotated[
    str,
    typer.Argument(
        help="A run's folder, a checkpoint, an ONNX file, or a model with published weights.",
        autocompletion=model_names,
    ),
]


Target = Annotated[
    str, typer.Option(help="The class whose score counts, by name or number; the highest score's unless given.")
]


def executor_names() -> list[str]:
    """Executors by name."""
    from pellucid.executors import CHOICES

    return list(CHOICES)


def precision_names() -> list[str]:
    """Element types to compute in."""
    from pellucid.executors import PRECISIONS

    return list(PRECISIONS)


Executor = Annotated[
    str,
    typer.Option(
        help="Who computes: native, reference or torch; auto takes native where it is built.",
        autocompletion=executor_names,
    ),
]
Precision = Annotated[
    str, typer.Option(help="float32, or bfloat16 (native: half the memory traffic).", autocompletion=precision_names)
]


def _some_threads(threads: int) -> int:
    if threads:
        from pellucid.executors import MOST_THREADS

        if threads > MOST_THREADS:
            raise typer.BadParameter(f"at most {MOST_THREADS}, as each takes memory of its own; got {threads}")
    return threads


Threads = Annotated[
    int,
    typer.Option(min=0, callback=_some_threads, help="Threads that compute, 1024 at most; 0 takes every processor."),
]


def preprocessing_names() -> list[str]:
    """Usual preprocessings by name."""
    from pellucid.data import PREPROCESSINGS

    return list(PREPROCESSINGS)


PreprocessingName = Annotated[
    str,
    typer.Option(
        "--preprocessing",
        help="For a network that does not say it itself, what its input is: unit (0 to 1), symmetric (-1 to 1) or imagenet (torchvision's).",
        autocompletion=preprocessing_names,
    ),
]


def pass_names() -> list[str]:
    """Passes by name."""
    from pellucid.executors.passes import SWITCHES

    return list(SWITCHES)


def loss_names() -> list[str]:
    """Losses that a trace may go on to, by name."""
    from pellucid.inference.losses import LOSSES

    return list(LOSSES)


def optimizer_names() -> list[str]:
    """Optimisers by name."""
    from pellucid.train.optimizers import names

    return names()


def schedule_names() -> list[str]:
    """Schedules by name."""
    from pellucid.train.schedules import SCHEDULES

    return sorted(SCHEDULES)


def data_names() -> list[str]:
    """Kinds of data by name."""
    from pellucid.data import NAMES

    return list(NAMES)
