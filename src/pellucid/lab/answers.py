"""Questions as addresses: /api/v1/NAME?parameter=... asks what `pellucid NAME` and `pl.` ask, and gives the same answer."""

from __future__ import annotations

import dataclasses
import re
import shlex
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pellucid.errors import PellucidError, suggest
from pellucid.examples import example_of
from pellucid.lab.holdings import Library, Said
from pellucid.lab.table import as_table
from pellucid.lab.uploads import OWN
from pellucid.lab.wire import Problem, by_names
from pellucid.pictures import Picture
from pellucid.plain import to_json
from pellucid.questions import Question, all_questions
from pellucid.questions.kinds import EDIT, INPUTS, named_values
from pellucid.questions.kinds import FIGURE as FIGURE_OPTION
from pellucid.questions.question import QuestionParameter

MOST_NUMBER, MOST_TEXT, MOST_VALUES = 100_000, 4000, 200
"""How large a whole number may be that is asked for, how long a text, how many values of one parameter."""
NETWORK, PICTURE = "model", "picture"
"""What a network and a picture are called in an address."""
ENDINGS = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
    "drawn": "application/json",
}
"""The files that an answer's picture can be had as, and their media types; `drawn` is the answer as .json with its picture as a part of a page."""
_LEFT_OUT = ("show", "files", "download")
"""Kinds of parameters that an address does not have."""
OTHERS, CHANGED, FIGURE = "input", "edit", "figure"
"""What is said of inputs beside the picture, of numbers that are others in the network, and of the one figure that is wanted."""

_PICTURES = ("image", "images", "file")
"""Kinds of parameters that name a picture."""
_NAMED = ("source", "detector", "file", "data", "inputs")
"""Kinds of texts that name what the question opens itself."""

_SENT = re.compile("[0-9a-f]{20}")
"""The name of what was sent."""

Query = Sequence[tuple[str, str]]


def addresses() -> list[dict[str, Any]]:
    """Every question with its parameters: what /api/v1 lists."""
    return [
        {
            "address": f"/api/v1/{question.name}",
            "says": question.summary,
            "group": question.group,
            "long": question.long,
            "pictures": list(question.pictures),
            "parameters": [
                {
                    "name": _name(p),
                    "type": _type(p),
                    "says": p.option.help,
                    "required": p.required,
                    "default": None if p.required else p.default,
                    "choices": [] if p.option.choices is None else p.option.choices(),
                }
                for p in _parameters(question)
            ],
        }
        for question in all_questions().values()
    ]


def answer(name: str, query: Query, library: Library) -> dict[str, Any]:
    """The answer to a question: its plain data, its picture, and the command that prints the same. Raises `Problem`."""
    return _answered(name, query, library)[0]


def _answered(name: str, query: Query, library: Library) -> tuple[dict[str, Any], Picture]:
    """An answer as plain data, and its picture itself."""
    questions = all_questions()
    if name not in questions:
        raise Problem(404, "No such question", f"{name:.60}{suggest(name, questions)}", remedy="See /api/v1")
    question = questions[name]
    given = _given(question, query)
    try:
        number = given.get(FIGURE)
        found = question.ask(**_asked(question, given, library))
        if any(p.option.kind == "data" and _SENT.fullmatch(str(given.get(_name(p)))) for p in question.parameters):
            found = _told_by_names(found)
        if number is not None:
            found = found.figure(number)
        options, picture = library.options(given.get(NETWORK, "")), found.picture()
        told = {
            "question": name,
            "asked": given,
            "answer": found.to_dict(),
            "picture": picture.to_dict(),
            "text": str(found),
            "command": command(question, given, options),
            "python": python(question, given, options),
        }
        return told, picture
    except PellucidError as error:
        raise problem_of(error, question) from error


def _told_by_names(value: Any) -> Any:
    """An answer that calls the tables that were sent by their names, not by the files that they lie in."""
    if isinstance(value, str):
        return by_names(value)
    if type(value) in (list, tuple):
        return type(value)(map(_told_by_names, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {each.name: getattr(value, each.name) for each in dataclasses.fields(value) if each.init}
        return dataclasses.replace(value, **{name: _told_by_names(part) for name, part in parts.items()})
    return value


def require_sense(name: str, query: Query, library: Library) -> None:
    """Raise `Problem` for what cannot be asked, before it is worked on: names that are unknown, values of the wrong type."""
    questions = all_questions()
    if name not in questions:
        raise Problem(404, "No such question", f"{name:.60}{suggest(name, questions)}", remedy="See /api/v1")
    question = questions[name]
    given = _given(question, query)
    for p in question.parameters:
        if _name(p) not in given:
            continue
        if p.option.kind == "detector":
            library.detector_source(given[_name(p)])
        elif p.option.kind in _NAMED:
            _known(p, given[_name(p)], library)


def drawn(name: str, ending: str, query: Query, library: Library) -> tuple[bytes, str]:
    """The picture of an answer as a file that ends in `ending`, and the file's media type. Raises `Problem`."""
    if ending not in ENDINGS:
        raise Problem(404, "No such kind of file", ending[:20], remedy=f"There are {', '.join(ENDINGS)}")
    found, picture = _answered(name, query, library)
    if ending == "json":
        return to_json(found, 1).encode(), ENDINGS[ending]
    if ending == "drawn":
        figures = _figures(name, found, picture, library)
        return to_json({**found, "part": picture.part(), "figures": figures}).encode(), ENDINGS[ending]
    return written(picture, ending)


def written(picture: Picture, ending: str) -> tuple[bytes, str]:
    """A picture as a file that ends in `ending`, svg, png, pdf, csv or html, and the file's media type. Raises `Problem`."""
    if ending == "csv":
        return as_table(picture).encode(), ENDINGS[ending]
    try:
        return picture.writers()[f".{ending}"](), ENDINGS[ending]
    except PellucidError as error:
        raise problem_of(error) from error


def _figures(name: str, found: Mapping[str, Any], picture: Picture, library: Library) -> list[dict[str, str]]:
    """Of an answer that is drawn as several figures each one's title, and how it is asked for alone."""
    question, given, figures = all_questions()[name], found["asked"], picture.figures()
    if len(figures) < 2:
        return []
    options = library.options(given.get(NETWORK, ""))
    each = [{**given, FIGURE: number} for number in range(len(figures))]
    return [
        {
            "title": one.title or one.kind,
            "command": command(question, own, options),
            "python": python(question, own, options),
        }
        for one, own in zip(figures, each, strict=True)
    ]


def problem_of(error: PellucidError, question: Question | None = None) -> Problem:
    """A typed error as it is sent."""
    own = "" if question is None else question.name
    return Problem(422, type(error).__name__, str(error), str(getattr(error, "where", "")) or own)


def command(question: Question, given: Mapping[str, Any], options: Mapping[str, Said] | None = None) -> str:
    """The command that prints the answer; `options` are those that its network is opened with."""
    words: list[str] = []
    places: list[str] = []
    for p in _parameters(question):
        value = given.get(_name(p))
        if value is None or (not p.required and value == p.default):
            continue
        value = _as_named(value, p.option.kind)
        values: Sequence[Any] = cast(Sequence[Any], value) if isinstance(value, list | tuple) else [value]
        option = f"--{(p.option.name or p.name).replace('_', '-')}"
        for one in values:
            text = f"{one:.17g}" if isinstance(one, float) else str(one)
            if isinstance(one, bool):
                words.append(option)
            elif p.option.place:
                places.append(text)
            else:
                words += [option, text]
    for name, said in (options or {}).items():
        for text in (said,) if isinstance(said, str) else said:
            words += [f"--{name}", text]
    signed = any(text.startswith("-") for text in places)  # which would be read as an option
    asked = [*words, "--", *places] if signed else [*places, *words]
    return shlex.join(["pellucid", question.name, *asked])


def python(question: Question, given: Mapping[str, Any], options: Mapping[str, Said] | None = None) -> str:
    """The lines of Python that give the answer; `options` are those that its network is opened with."""
    plain = {n: said if isinstance(said, str) else named_values(said) for n, said in (options or {}).items()}
    more = "".join(f", {name}={said!r}" for name, said in plain.items())
    if question.of_kind("network") and given.get(CHANGED):
        more += f", edits={list(given[CHANGED])!r}"
    names = {_name(p): p for p in _parameters(question)}
    lines = ["import pellucid as pl", "from pellucid.questions import all_questions", ""]
    words: list[str] = []
    figure = f".figure({given[FIGURE]})" if FIGURE in given else ""
    for key, value in given.items():
        if key == FIGURE:
            continue
        if names[key].option.kind == "network":
            lines.append(f"opened = pl.open_model({value!r}, pretrained=True{more})")
            words.append(f"{names[key].name}=opened")
        elif names[key].option.kind in ("image", "images"):
            others = [str(one) for one in given.get(OTHERS, ())]
            known = f", {others!r}" if others else ""
            lines.insert(1, "from pellucid.examples import example_of")
            each = value if isinstance(value, list) else [value]
            read = ", ".join(f"example_of(opened, {_as_file(one)!r}{known})" for one in each)
            words.append(f"{names[key].name}={f'[{read}]' if names[key].option.kind == 'images' else read}")
        elif (key == OTHERS and _examples(question)) or (key == CHANGED and question.of_kind("network")):
            continue
        else:
            words.append(f"{names[key].name}={_as_named(value, names[key].option.kind)!r}")
    lines.append(f"answer = all_questions()[{question.name!r}].ask({', '.join(words)}){figure}")
    return "\n".join([*lines, "print(answer)"])


def _as_file(name: str) -> str:
    """A picture's name; that of the reader's own file for one that was sent, which has only its bytes' hash for a name."""
    return name if {":", "["} & {*name} else f"{OWN}.png"


def _as_named(value: Any, kind: str) -> Any:
    """A value as a command names it: what was sent, which has only its bytes' hash for a name, is the reader's own file."""
    if kind in _PICTURES:
        return [_as_file(one) for one in value] if isinstance(value, list) else _as_file(value)
    return "POINTS.csv" if kind == "data" and _SENT.fullmatch(value) else value


def _parameters(question: Question) -> list[QuestionParameter]:
    """What an address takes: the question's own, of one about an example what other inputs are given, of a network its edits, of one
    whose answer is a page of figures which of these."""
    own = [p for p in question.parameters if p.option.kind not in _LEFT_OUT]
    if _examples(question):
        own.append(QuestionParameter("inputs", list[str], INPUTS, None))
    if question.of_kind("network"):
        own.append(QuestionParameter(CHANGED, list[str], EDIT, None))
    if "page" in question.pictures:
        own.append(QuestionParameter(FIGURE, int | None, FIGURE_OPTION, None))
    return own


def _examples(question: Question) -> str:
    """The name of the parameter that is an example for the question's network, or several; "" where there is none."""
    return question.of_kind("image") or question.of_kind("images")


def _name(parameter: QuestionParameter) -> str:
    kind = "image" if parameter.option.kind == "file" and parameter.name == "image" else parameter.option.kind
    return {"network": NETWORK, "image": PICTURE, "images": PICTURE, "inputs": OTHERS}.get(kind, parameter.name)


def _given(question: Question, query: Query) -> dict[str, Any]:
    """What was asked, each value of the type that its parameter has."""
    known = {_name(p): p for p in _parameters(question)}
    values: dict[str, list[str]] = {}
    for key, text in query:
        if key not in known:
            raise Problem(
                400,
                "No such parameter",
                f"{key:.60}{suggest(key, known)}",
                key,
                f"{question.name} takes {', '.join(known)}",
            )
        if len(text) > MOST_TEXT:
            raise Problem(400, "Too long", f"{key} has {len(text)} characters, at most {MOST_TEXT} are read", key)
        values.setdefault(key, []).append(text)
    given: dict[str, Any] = {}
    for key, p in known.items():
        if key in values:
            given[key] = _typed(p, key, values[key])
        elif p.required:
            raise Problem(400, "A parameter is missing", f"{question.name} wants {key}: {p.option.help}", key)
    return given


def _typed(parameter: QuestionParameter, key: str, texts: list[str]) -> Any:
    kinds = kinds_of(parameter.type)
    if list in kinds:
        if len(texts) > MOST_VALUES:
            raise Problem(400, "Too many values", f"{key} takes at most {MOST_VALUES}, got {len(texts)}", key)
        return texts
    if len(texts) > 1:
        raise Problem(400, "Twice", f"{key} is given {len(texts)} times", key, "Give it once")
    (text,) = texts
    for kind, read in _READERS.items():
        if kind in kinds:
            try:
                value = read(text)
            except ValueError:
                raise Problem(400, "No number", f"{key} wants {_WORDS[kind]}, got {text!r:.60}", key) from None
            low = parameter.option.low
            if low is not None and not value >= low:
                raise Problem(400, "Too small", f"{key} wants at least {low:g}, got {text:.60}", key)
            return value
    return text


def _type(parameter: QuestionParameter) -> str:
    """What its value is: a network, a detector, a picture, several texts, true or false, a whole number, a number, a text."""
    kinds = kinds_of(parameter.type)
    if list not in kinds and (kind := parameter.option.kind) in ("network", "image", "file", "source", "detector"):
        return "detector" if kind == "detector" else NETWORK if kind in ("network", "source") else PICTURE
    names = {list: "texts", bool: "true or false", int: "whole number", float: "number"}
    return next((name for kind, name in names.items() if kind in kinds), "text")


def kinds_of(kind: Any) -> tuple[Any, ...]:
    """The types that a parameter may have, `list` for `list[str]`."""
    parts = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    return tuple(typing.get_origin(part) or part for part in parts)


def _bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


def _int(text: str) -> int:
    if not abs(number := int(text)) <= MOST_NUMBER:
        raise Problem(400, "Too large", f"a whole number has at most {MOST_NUMBER:,} here, got {text:.40}")
    return number


_READERS: dict[Any, Callable[[str], Any]] = {bool: _bool, int: _int, float: float}
_WORDS = {bool: "true or false", int: "a whole number", float: "a number"}


def _known(parameter: QuestionParameter, value: Any, library: Library) -> Any:
    """What a parameter names, where that is something to open: only what the library has may be named. Raises `Problem`."""
    kind, key = parameter.option.kind, _name(parameter)
    if kind == "source":
        return [library.source(one, key) for one in value] if isinstance(value, list) else library.source(value, key)
    if kind == "detector":
        return library.detector(value)
    if kind == "file":
        found = library.picture(value, key)
        return Path(found) if Path in kinds_of(parameter.type) else str(found)
    if kind == "inputs":
        return library.inputs(value)
    return library.data_named(value, key) if kind == "data" and value else value


def _asked(question: Question, given: Mapping[str, Any], library: Library) -> dict[str, Any]:
    """As the question takes it: the network opened, the picture read."""
    asked: dict[str, Any] = {}
    for p in _parameters(question):
        if _name(p) in given and _name(p) != FIGURE:
            asked[p.name if p.option.kind in _NAMED else _name(p)] = _known(p, given[_name(p)], library)
    if network := question.of_kind("network"):
        named = _examples(question)
        files = asked.pop(PICTURE) if named else ()
        paths = [library.picture(file) for file in ([files] if isinstance(files, str) else files)]
        others = asked.pop("inputs", ()) if named else ()
        opened = asked[network] = library.edited(asked.pop(NETWORK), asked.pop(CHANGED, ()))
        if named:
            read = [example_of(opened, path, others) for path in paths]
            asked[named] = read if question.of_kind("images") else read[0]
    if show := question.of_kind("show"):
        asked[show] = lambda better: None
    return asked
