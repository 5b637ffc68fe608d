"""The tour through the rooms and the text of each, which are data: words with links that set what is looked at."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from pellucid.lab.rooms import BY_NAME, ROOMS, Room
from pellucid.screen import markup

AT = "tour_"
"""What a link calls the step of the tour that it is, counted from 1."""
_LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")


@dataclass(frozen=True)
class Step:
    """A step of a tour: the room and its state as a link has them, what is said, and what is pointed at (a CSS selector)."""

    state: str
    text: str
    focus: str

    @property
    def room(self) -> str:
        """The room's name."""
        return self.state.partition("?")[0]

    def link(self, number: int) -> str:
        """Its address from the lab's own."""
        return f"{self.state}{'&' if '?' in self.state else '?'}{urlencode({AT: number})}"


@functools.cache
def deck() -> tuple[Step, ...]:
    """The tour in the order of the lecture, through the rooms that there are."""
    steps = (Step(one["state"], one["text"], one["focus"]) for one in _read("deck"))
    return tuple(step for step in steps if step.room in BY_NAME)


@functools.cache
def guides() -> dict[str, list[str]]:
    """The paragraphs that stand above each room."""
    return _read("guides")


def _read(name: str) -> Any:
    return json.loads((files("pellucid.lab") / "static" / "tours" / f"{name}.json").read_text("utf-8"))


def guide_of(room: Room) -> str:
    """A room's text as HTML."""
    return "".join(f"<p>{_linked(text, room.name)}</p>" for text in guides().get(room.name, ()))


def strip_of(room: Room, at: str | None) -> str:
    """The tour's steps in a room as HTML, all but the one that is `at` hidden; "" for a room without."""
    steps = deck()
    parts: list[str] = []
    for number, step in enumerate(steps, 1):
        if step.room != room.name:
            continue
        back = f'<a rel="prev" href="{markup(steps[number - 2].link(number - 1))}">Back</a>' if number > 1 else ""
        on = f'<a rel="next" href="{markup(steps[number].link(number + 1))}">Next</a>' if number < len(steps) else ""
        hidden = "" if at == str(number) else " hidden"
        parts.append(
            f'<div data-step="{number}" data-focus="{markup(step.focus)}"{hidden}><span class="count">{number} of {len(steps)}</span>'
            f"<p>{_linked(step.text, room.name)}</p>"
            f'<span class="row">{back}{on}<button type="button" aria-keyshortcuts="Escape" title="Leave the tour (Esc)">Leave</button></span></div>'
        )
    return "".join(parts)


def start() -> str:
    """The address of the tour's first step."""
    return deck()[0].link(1)


def links_in(room: Room) -> list[str]:
    """Where the links in a room's text lead, each a room and its state."""
    found = [place for text in guides().get(room.name, ()) for _, place in _LINK.findall(text)]
    return [f"{room.name}{place}" if place.startswith("?") else place for place in found]


def _linked(text: str, room: str) -> str:
    """Words as HTML: `[words](?state)` is a link to a state of this room, `[words](room?state)` of another."""
    parts: list[str] = []
    end = 0
    for found in _LINK.finditer(text):
        words, place = found.groups()
        href = f"{room}{place}" if place.startswith("?") else place
        parts += [markup(text[end : found.start()]), f'<a href="{markup(href)}">{markup(words)}</a>']
        end = found.end()
    return "".join([*parts, markup(text[end:])])


def rail_of(room: Room) -> str:
    """The list of rooms as HTML, `room` marked."""
    rows: list[str] = []
    for number, one in enumerate(ROOMS, 1):
        here = ' aria-current="page"' if one is room else ""
        takes = f' data-takes="{" ".join(one.takes)}"' if one.takes else ""
        count = f'<span class="place" aria-hidden="true">{number}</span>' if one.name != "ask" else ""
        rows.append(
            f'<li><a href="{one.name}"{here}{takes} title="{markup(one.title)}">{count}{markup(one.short or one.title)}</a></li>'
        )
    return "".join(rows)
