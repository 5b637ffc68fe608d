"""What commands share: options, the names that a shell completes, JSON. Nothing is imported before it is asked."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.plain import to_json
from pellucid.questions.kinds import EXECUTOR, INPUTS, NETWORK, PREPROCESSING, SET, SIZE, named_values
from pellucid.questions.question import Option, QuestionError

if TYPE_CHECKING:
    from pellucid.opening import Opened
    from pellucid.pictures import Answer


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
        answer.save(out)
    if as_json:
        print_json(answer.to_dict())
    else:
        print(answer)


def typed(option: Option, names: Sequence[str] = ()) -> Any:
    """An option of a question as typer has it, called by `names`."""
    if option.place:
        return typer.Argument(help=option.help, min=option.low, autocompletion=option.choices)
    return typer.Option(*names, help=option.help, min=option.low, autocompletion=option.choices)


What = Annotated[str, typed(NETWORK)]
Executor = Annotated[str, typed(EXECUTOR)]
Inputs = Annotated[list[str] | None, typed(INPUTS, ["--input"])]
PreprocessingName = Annotated[str, typed(PREPROCESSING, ["--preprocessing"])]


Set = Annotated[list[str] | None, typed(SET, ["--set"])]
Size = Annotated[str, typed(SIZE, ["--size"])]


def with_notes(opened: Opened) -> Opened:
    """What was opened, with a word on stderr about what was taken because nobody said it."""
    for note in opened.notes:
        print(f"pellucid: {opened.source}: {note}", file=sys.stderr)
    return opened


def set_values(assignments: Sequence[str] | None) -> dict[str, Any]:
    """What `--set` says: values of inputs by name."""
    try:
        return named_values(assignments or ())
    except QuestionError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from error


def precision_names() -> list[str]:
    """Element types to compute in."""
    from pellucid.executors import PRECISIONS

    return list(PRECISIONS)


Precision = Annotated[
    str, typer.Option(help="float32, or bfloat16 (native: half the memory traffic).", autocompletion=precision_names)
]


def some_threads(threads: int) -> int:
    """The number, if so many threads may compute."""
    if threads:
        from pellucid.executors import MOST_THREADS

        if threads > MOST_THREADS:
            raise typer.BadParameter(f"at most {MOST_THREADS}, as each takes memory of its own; got {threads}")
    return threads


Threads = Annotated[
    int,
    typer.Option(min=0, callback=some_threads, help="Threads that compute, 1024 at most; 0 takes every processor."),
]


def pass_names() -> list[str]:
    """Passes by name."""
    from pellucid.executors.passes import SWITCHES

    return list(SWITCHES)


def optimizer_names() -> list[str]:
    """Optimizers by name."""
    from pellucid.train.optimizers import names

    return names()


def schedule_names() -> list[str]:
    """Schedules by name."""
    from pellucid.train.schedules import SCHEDULES

    return sorted(SCHEDULES)
