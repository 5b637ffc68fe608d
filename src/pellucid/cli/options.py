"""What commands share: options, the names that a shell completes, JSON. Nothing is imported before it is asked."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from pellucid.plain import to_json
from pellucid.questions.kinds import EDIT, EXECUTOR, FIGURE, INPUTS, NETWORK, PREPROCESSING, SET, SIZE, named_values
from pellucid.questions.question import Option, QuestionError

if TYPE_CHECKING:
    from pellucid.opening import Opened
    from pellucid.pictures import Answer, Picture


def print_json(value: Any) -> None:
    """A result as JSON on stdout."""
    print(to_json(value, 2))


def command(*words: str | Path) -> str:
    """A command of pellucid's as a shell reads it, whatever is in the names of files."""
    texts = [f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word) for word in words]
    return shlex.join(["pellucid", *texts])


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Also draw the result into this file: .svg, .png, .pdf, .html or .json."),
]
Width = Annotated[
    int,
    typer.Option("--width", min=0, help="Of --out: pixels from left to right; 0 takes 1280 for a .png, else as drawn."),
]
_width: ContextVar[int] = ContextVar("width", default=0)


def drawing(command: Callable[..., None]) -> Callable[..., None]:
    """A command that draws into a file (`out: Out`) with `--width` beside it, which `draw` heeds; others as they are."""
    hints = get_type_hints(command, include_extras=True)
    if hints.get("out") != Out:
        return command

    @wraps(command)
    def called(**given: Any) -> None:
        width = given.pop("width")
        if given["out"] is not None:  # before anything is computed
            from pellucid.pictures.picture import checked_width, ending_of

            ending_of(given["out"])
            checked_width(width)
        token = _width.set(width)
        try:
            command(**given)
        finally:
            _width.reset(token)

    own = inspect.signature(command).parameters.values()
    parameters = [each.replace(annotation=hints[each.name], kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
    place = next(k for k, each in enumerate(parameters) if each.name == "out") + 1
    parameters.insert(place, inspect.Parameter("width", inspect.Parameter.KEYWORD_ONLY, default=0, annotation=Width))
    vars(called)["__signature__"] = inspect.Signature(parameters)
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    return called


def draw(drawn: Answer | Picture, out: Path | None) -> None:
    """Draw an answer, or a picture, into the file `out` where one is wanted, as wide as `--width` says."""
    if out is not None:
        drawn.save(out, _width.get())


def show(answer: Answer, as_json: bool, out: Path | None = None, figure: int | None = None) -> None:
    """An answer, or one `figure` of it, on stdout, and drawn into the file `out` where one is wanted."""
    if figure is not None:
        answer = answer.figure(figure)
    draw(answer, out)
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


def _known_way(way: str) -> str:
    if way not in ("", "error", "skip"):
        raise typer.BadParameter(f"must be error or skip, got {way!r}")
    return way


OnBadImage = Annotated[
    str,
    typer.Option(
        "--on-bad-image",
        callback=_known_way,
        help="Unreadable pictures: error (all are named) or skip; as its run was told unless given.",
    ),
]
WeightsOf = Annotated[
    str,
    typer.Option(
        "--weights", metavar="FILE", help="For a model's name: the file of weights (.pth, .safetensors) that it has."
    ),
]
Executor = Annotated[str, typed(EXECUTOR)]
FigureNumber = Annotated[int | None, typed(FIGURE, ["--figure"])]
Inputs = Annotated[list[str] | None, typed(INPUTS, ["--input"])]
PreprocessingName = Annotated[str, typed(PREPROCESSING, ["--preprocessing"])]


Set = Annotated[list[str] | None, typed(SET, ["--set"])]
Size = Annotated[str, typed(SIZE, ["--size"])]
Edits = Annotated[list[str] | None, typed(EDIT, ["--edit"])]


def with_notes(opened: Opened) -> Opened:
    """What was opened, with a word on stderr about what was taken because nobody said it."""
    for note in opened.notes:
        print(f"pellucid: {opened.source}: {note}", file=sys.stderr)
    return opened


def opened_as(
    what: str,
    weights: str,
    size: str,
    preprocessing: str,
    assignments: Sequence[str] | None,
    edits: Sequence[str] | None,
) -> Opened:
    """The network that a command is about, as its options say: with weights of a file, else with those published for it."""
    from pellucid.opening import open_model

    return with_notes(
        open_model(
            what,
            pretrained=not weights,
            weights=weights,
            image_size=size,
            preprocessing=preprocessing,
            set=set_values(assignments),
            edits=edits or (),
        )
    )


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
