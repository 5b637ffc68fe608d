"""How a question is declared: a function whose parameters say how they are asked for, and what it gives."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from pellucid.errors import PellucidError
from pellucid.progress import is_long


class QuestionError(PellucidError, ValueError):
    """A question is asked in a way that makes no sense; the message names its options."""


@dataclass(frozen=True)
class Option:
    """What a parameter of a question is: the help text, and of a number its lower end, of a name its choices.

    The command line calls it `--<name>` (its parameter's name unless given); with `place` it has no name but a place. `kind`
    says what is made of what is named: "network" opens it, "image" and "images" read picture files as that network's input,
    "show" takes a function that is called with each better answer while the work goes on, "settings" are `NAME=VALUE` with the
    names that are its choices, beside values for inputs of the network that is opened. Texts that name what the question opens
    itself are a "source" (a network), a "detector", a "file" (a picture), "files" (several), "inputs" (`NAME=WHAT`) or "data";
    "download" allows fetching: where others ask, as in a browser, these may name what is known alone. "edits" are of a
    network's numbers. A switch with `both` has `--no-<name>` too.
    """

    help: str
    name: str = ""
    low: float | None = None
    choices: Callable[[], list[str]] | None = None
    place: bool = False
    kind: str = ""
    both: bool = False


@dataclass(frozen=True)
class QuestionParameter:
    """A parameter of a question: its name, type, `option` and default (`inspect.Parameter.empty` where it must be given)."""

    name: str
    type: Any
    option: Option
    default: Any

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True)
class Question:
    """A question that can be asked of Pellucid: by `pellucid <name>`, by `pl.<function>` and in the documentation.

    `ask` takes the parameters and gives an answer; `functions` are those of Python that it is asked by, as
    "package.module:name"; `pictures` the kinds that its answers are drawn as; `group` where it stands in lists; `page` the
    page of the documentation that explains it.
    """

    name: str
    ask: Callable[..., Any]
    functions: tuple[str, ...]
    pictures: tuple[str, ...]
    group: str
    page: str

    @property
    def help(self) -> str:
        """What it says of itself, with examples."""
        return inspect.getdoc(self.ask) or ""

    @property
    def summary(self) -> str:
        """The first line of that."""
        return self.help.partition("\n")[0]

    @property
    def examples(self) -> list[str]:
        """Commands that ask it."""
        return [line.removeprefix("Example: ") for line in self.help.splitlines() if line.startswith("Example: ")]

    @cached_property
    def parameters(self) -> tuple[QuestionParameter, ...]:
        """What it takes."""
        given = inspect.signature(self.ask).parameters.values()
        hints = _hints(self.ask)
        found: list[QuestionParameter] = []
        for parameter in given:
            kind, *told = typing.get_args(hints[parameter.name])
            (option,) = (t for t in told if isinstance(t, Option))
            found.append(QuestionParameter(parameter.name, kind, option, parameter.default))
        return tuple(found)

    @cached_property
    def long(self) -> bool:
        """Whether the work may take long: one of its functions says so."""
        named = (name.split(":") for name in self.functions)
        return any(is_long(getattr(importlib.import_module(module), name)) for module, name in named)

    def choices_of(self, name: str) -> list[str]:
        """The choices of the parameter called so."""
        choices = next(p.option.choices for p in self.parameters if p.name == name)
        return [] if choices is None else choices()

    def of_kind(self, kind: str) -> str:
        """The name of the parameter of this kind, or ""."""
        return next((p.name for p in self.parameters if p.option.kind == kind), "")


QUESTIONS: dict[str, Question] = {}


def question(
    name: str, *functions: str, pictures: str, group: str, page: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a question by the function that answers it."""

    def declare(ask: Callable[..., Any]) -> Callable[..., Any]:
        QUESTIONS[name] = Question(name, ask, functions, tuple(pictures.split(", ")), group, page)
        return ask

    return declare


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    annotations = {name: hint for name, hint in function.__annotations__.items() if name != "return"}
    names = getattr(function, "__globals__", {})
    shim = SimpleNamespace(__annotations__=annotations)
    return typing.get_type_hints(shim, names, {"Opened": object, "ImageInput": object}, include_extras=True)
