"""What a view of a network is: the parameters that it takes, and reading what was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pellucid.errors import suggest
from pellucid.lab.answers import Query, command, python
from pellucid.lab.holdings import Library, Said
from pellucid.lab.traces import Looked, Traces
from pellucid.lab.wire import Problem, whole
from pellucid.questions import all_questions

MOST_TEXT, MOST_NUMBER = 2000, 9_999_999
"""Characters of a parameter, and the largest number that one is."""
WHAT = ("value", "gradient")


@dataclass(frozen=True)
class ViewParameter:
    """A parameter of a view."""

    says: str
    default: Any = ""
    required: bool = False
    choices: tuple[str, ...] = ()


MODEL = ViewParameter("A network that /api/v1/networks lists.", required=True)
PICTURE = ViewParameter("A picture at hand, or the name of one that was sent.", required=True)
TARGET = ViewParameter("Whose score is asked about: a class, by name or number; the highest unless given.")
LAYER = ViewParameter("A layer of the overview.", required=True)
MAP = ViewParameter("The number of a map.", 0)
CELL = ViewParameter("A row and a column, such as 3,4.", "0,0")
VALUES = ViewParameter("The values, or the score's gradient with regard to them.", "value", choices=WHAT)
INPUT = ViewParameter(
    "Of a network with several inputs, NAME=WHAT for one beside the picture: a number, numbers as in [[1, 2], [3, 4]], "
    "random:SEED, or the name of an array that was sent; once for each.",
    (),
)
EDITS = ViewParameter(
    "The network with other numbers: conv1.weight[3]=0, fc.bias*=2, conv1.weight[3]=original; once for each, one after another.",
    (),
)
LOOK = {"model": MODEL, "picture": PICTURE, "target": TARGET, "input": INPUT, "edit": EDITS}


@dataclass(frozen=True)
class HeldNetworks:
    """What views look at: a library, and the traces of its networks that are kept."""

    holdings: Library
    traces: Traces

    def look(self, given: Mapping[str, Any]) -> Looked:
        """The trace that was asked about."""
        return self.traces.of(*_asked(given))

    def begun(self, given: Mapping[str, Any]) -> Looked:
        """The same, whose trace need not be there yet."""
        return self.traces.begun(*_asked(given))


def _asked(given: Mapping[str, Any]) -> tuple[Any, ...]:
    return *(given[name] for name in LOOK), given.get("reader", "")


@dataclass(frozen=True)
class View:
    """A view: what it says, the function that gives it, and the parameters it takes."""

    says: str
    give: Callable[[HeldNetworks, dict[str, Any]], dict[str, Any]]
    takes: Mapping[str, ViewParameter] = field(default_factory=dict[str, ViewParameter])

    def read(self, name: str, query: Query) -> dict[str, Any]:
        """What was asked, with what is usual where nothing is said. Raises `Problem`."""
        given = {key: place.default for key, place in self.takes.items()}
        seen: set[str] = set()
        for key, text in query:
            if key not in self.takes:
                raise Problem(
                    400,
                    "No such parameter",
                    f"{key:.60}{suggest(key, self.takes)}",
                    key,
                    f"{name} takes {', '.join(self.takes)}",
                )
            many = isinstance(given[key], tuple)
            if (key in seen and not many) or len(text) > MOST_TEXT:
                raise Problem(400, "Twice, or too long", f"{key} is given once, in at most {MOST_TEXT} characters", key)
            seen.add(key)
            given[key] = (
                (*given[key], text) if many else whole(key, text, MOST_NUMBER) if isinstance(given[key], int) else text
            )
            if (choices := self.takes[key].choices) and text not in choices:
                raise Problem(400, "No such choice", f"{key} is {' or '.join(choices)}, not {text!r:.40}", key)
        if sum(map(len, given.get("edit", ()))) > MOST_TEXT:
            raise Problem(400, "Too many edits", f"edits have at most {MOST_TEXT} characters together", "edit")
        for key, place in self.takes.items():
            if place.required and not given[key]:
                raise Problem(400, "A parameter is missing", f"{name} wants {key}: {place.says}", key)
        return given


def cell_of(text: str) -> tuple[int, int]:
    """A row and a column from `3,4`. Raises `Problem`."""
    try:
        row, column = map(int, text.split(","))
    except ValueError:
        raise Problem(400, "No cell", f"cell wants a row and a column such as 3,4, got {text!r:.40}", "cell") from None
    return row, column


def again(name: str, given: dict[str, Any], options: Mapping[str, Said]) -> dict[str, Any]:
    """How a question is asked again: by its address, on the command line and in Python."""
    question = all_questions()[name]
    asked = {key: value for key, value in given.items() if value not in ("", False, None, ())}
    several = {key: value if isinstance(value, tuple) else (value,) for key, value in asked.items()}
    pairs = [[key, "true" if one is True else str(one)] for key, values in several.items() for one in values]
    return {
        "question": name,
        "pairs": pairs,
        "command": command(question, asked, options),
        "python": python(question, asked, options),
    }
