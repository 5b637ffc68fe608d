"""What a link says that its room does not hear, in words: the page shows them, so that nothing is silently something else."""

from __future__ import annotations

import math
from typing import Any

from pellucid.errors import suggest
from pellucid.lab.answers import Query
from pellucid.lab.rooms import OF_THE_PAGE, Room
from pellucid.lab.wire import Problem, require_known

_OF_RUNS = {
    "pace_": {"type": "number", "low": 0, "step": "any"},
    "size_": {"type": "number", "low": 0, "step": 1},
}
"""What a page that has settings of runs reads besides."""


def unheard(room: Room, given: Query) -> list[str]:
    """What is wrong with a link, as /api/v1 would say it of a question; what questions are asked, these say themselves."""
    return [
        " ".join(f"{text}." for text in (f"{problem.title}: {problem.detail}", problem.remedy) if text)
        for problem in (*_unknown(room, given), *_no_settings(room, given))
    ]


def _unknown(room: Room, given: Query) -> list[Problem]:
    """Names that nobody reads, and what is given twice where the first alone is read."""
    others = [name for name, _ in room.more if name not in room.follows]
    own = [*room.names, *room.several]
    found, seen = list[Problem](), set[str]()
    for key, _ in given:
        question, dot, _ = key.partition(".")
        takes = [f"{name}.{{...}}" for name in others] if dot else own
        is_known = question in others if dot else not own or key in own or key in OF_THE_PAGE or key.endswith("_")
        if key not in seen and not is_known:
            try:
                require_known([key], takes)
            except Problem as problem:
                found.append(problem)
        elif key in seen and key in room.names:
            found.append(
                Problem(400, "Twice", f"{key} is given more than once", key, "The first is shown: give it once")
            )
        seen.add(key)
    return found


def _no_settings(room: Room, given: Query) -> list[Problem]:
    """Settings of a run that are no numbers, too small, or none of those there are."""
    settings: dict[str, Any] = {one["name"]: one for one in room.facts().get("settings", ())}
    if settings:
        settings |= _OF_RUNS
    found = list[Problem]()
    for key, text in given:
        if (one := settings.get(key)) is None:
            continue
        value = _number(text)
        if one["type"] != "number":
            if text not in one["choices"]:
                there = f"there are {', '.join(one['choices'])}"
                found.append(Problem(400, f"No such {key}", f"{text:.60}{suggest(text, one['choices'])}; {there}", key))
        elif not math.isfinite(value) or value < one["low"] or (one["step"] == 1 and value % 1):
            kind = "a whole number" if one["step"] == 1 else "a number"
            found.append(
                Problem(400, "No number", f"{key} wants {kind} of {one['low']} or more, got {text!r:.60}", key)
            )
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
