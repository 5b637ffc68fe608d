"""Questions as commands: each parameter becomes an argument or an option, the answer is printed and drawn."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli.options import (
    Edits,
    FigureNumber,
    Inputs,
    Json,
    OnBadImage,
    Out,
    PreprocessingName,
    Set,
    WeightsOf,
    What,
    draw,
    set_values,
    show,
    typed,
    with_notes,
)
from pellucid.questions import Question, QuestionError
from pellucid.questions.kinds import SIZE
from pellucid.questions.measured import say
from pellucid.questions.question import QuestionParameter

if TYPE_CHECKING:
    from pellucid.data import ImageInput
    from pellucid.opening import Opened

_READ: dict[str, Any] = {"image": Path | None, "images": list[Path] | None}
"""What stands on the command line for what is read from files."""


def command_of(question: Question) -> Callable[..., None]:
    """The function that typer makes a command of."""

    def command(**given: Any) -> None:
        out, as_json, figure = given.pop("out"), given.pop("as_json"), given.pop("figure", None)
        try:
            answer = question.ask(**_asked(question, given, out))
        except QuestionError as error:
            raise typer.BadParameter(str(error)) from error
        show(answer, as_json, out, figure)

    taken = [_parameter(p) for p in question.parameters if p.option.kind != "show"]
    names = [p.name for p in question.parameters]
    shared: list[tuple[str, Any, Any]] = [("out", Out, None), ("as_json", Json, False)]
    if question.of_kind("network"):
        own = any(p.name == "size" for p in question.parameters)  # another size than that of pictures
        size = Annotated[str, typed(SIZE, ["--picture-size" if own else "--size"])]
        shared[:0] = [("weights", WeightsOf, ""), ("preprocessing", PreprocessingName, ""), ("picture_size", size, "")]
        shared[3:3] = [] if question.of_kind("settings") else [("set", Set, None)]
        shared.insert(-2, ("edit", Edits, None))
    if question.of_kind("network") and ("data" in names or question.of_kind("images")):
        shared.insert(0, ("on_bad_image", OnBadImage, ""))
    if question.of_kind("image") or question.of_kind("images"):
        shared.insert(0, ("inputs", Inputs, None))
    if "page" in question.pictures:
        shared.insert(0, ("figure", FigureNumber, None))
    taken += [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=d, annotation=a) for n, a, d in shared]
    command.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in taken}
    command.__doc__ = question.help
    return command


def _examples(opened: Opened, files: Sequence[Path | None], inputs: Sequence[str]) -> list[ImageInput]:
    """The examples in files, of which all that are unreadable are named at once, or left out where that was asked for."""
    from pellucid.data import DataError
    from pellucid.examples import example_of

    found: list[ImageInput] = []
    bad: list[str] = []
    for file in files:
        try:
            found.append(example_of(opened, file, inputs))
        except DataError as error:
            bad.append(str(error))
    if bad and (opened.on_bad_image != "skip" or not found):
        raise DataError("\n".join(bad))
    say(f"skipped {line}" for line in bad)
    return found


def _parameter(asked: QuestionParameter) -> inspect.Parameter:
    if asked.option.kind == "network":
        name, annotation = "what", What
    else:
        name, kind = asked.name, _READ.get(asked.option.kind, asked.type)
        switch = kind is bool and asked.default is False
        named = asked.option.name or asked.name.replace("_", "-")
        both = f"/--no-{named}" if asked.option.both else ""
        names = [f"--{named}{both}"] if switch or asked.option.name else []
        annotation = Annotated[kind, typed(asked.option, names)]
    default = None if asked.option.kind in _READ else asked.default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _asked(question: Question, given: dict[str, Any], out: Path | None) -> dict[str, Any]:
    """What was typed as the question takes it: the network opened, pictures read."""
    network, images, show = (question.of_kind(kind) for kind in ("network", "images", "show"))
    if network:
        from pellucid.examples import example_of
        from pellucid.opening import open_model

        fixed = given.pop("set", None) or []
        if settings := question.of_kind("settings"):
            known = [f"{name}=" for name in question.choices_of(settings)]
            fixed = [one for one in given[settings] or [] if not one.startswith(tuple(known))]
            given[settings] = [one for one in given[settings] or [] if one not in fixed]
        opened: Opened = with_notes(
            open_model(
                given.pop("what"),
                pretrained=not (weights := given.pop("weights")),
                weights=weights,
                image_size=given.pop("picture_size"),
                preprocessing=given.pop("preprocessing"),
                set=set_values(fixed),
                edits=given.pop("edit") or (),
            )
        )
        opened = given[network] = replace(opened, on_bad_image=given.pop("on_bad_image", ""))
        inputs = given.pop("inputs", None) or ()
        if image := question.of_kind("image"):
            given[image] = example_of(opened, given[image], inputs)
        if images:
            given[images] = _examples(opened, given[images] or [None], inputs)
    if show:
        given[show] = lambda answer: draw(answer, out)
    return given
