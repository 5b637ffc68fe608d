"""The answers that a copy of the lab holds: asked once, packed, and found again by what was asked."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from pellucid.lab.answers import Query, addresses
from pellucid.lab.desk import Desk, Told
from pellucid.lab.kept import Asked
from pellucid.lab.rooms import OF_THE_PAGE, Room
from pellucid.lab.tours import deck, links_in
from pellucid.lab.views import view_addresses
from pellucid.plain import to_json

PACK = 2**20
"""Bytes of answers that are fetched together, before they are packed."""
FILES = ("svg", "png", "csv")
"""What a room's first figure can be kept as."""
API = "/api/v1/"


@dataclass
class HeldRoom:
    """What a copy holds of a room: for each name what was asked, the pack that has its answer and the place in it."""

    room: Room
    found: dict[str, list[list[Any]]] = field(default_factory=dict[str, list[list[Any]]])
    packs: list[bytes] = field(default_factory=list[bytes])
    count: int = 0
    refused: int = 0

    def index(self) -> dict[str, Any]:
        """Plain data by which the page finds answers."""
        names = {name.partition(".")[0] for name in self.found}
        usual = {name: words for name, words in _usual().items() if name in names}
        return {"count": self.count, "scales": list(self.room.scales), "usual": usual, "found": self.found}


def hold(room: Room, first: Query, desk: Desk) -> Iterator[HeldRoom]:
    """Asks for all that a copy holds of a room, whose page begins with `first`: gives itself again and again while it grows."""
    held, seen = HeldRoom(room), set[str]()
    waiting: list[str] = []
    last: list[Any] = ["", Told(500, "", b"")]

    def told(name: str, query: Query) -> Told:
        address = _address(name, query)
        if last[0] != address:
            last[:] = address, desk.ask(address).whole()
        return last[1]

    def pack() -> None:
        if waiting:
            held.packs.append(gzip.compress(f"[{','.join(waiting)}]".encode(), 6, mtime=0))
            waiting.clear()

    for name, query in _asked(room, first, lambda name, query: told(name, query).json()):
        if (address := _address(name, query)) in seen:
            continue
        seen.add(address)
        answer = told(name, query)
        if answer.status >= 400:
            held.refused += 1
            continue
        held.found.setdefault(name, []).append([[list(pair) for pair in query], len(held.packs), len(waiting)])
        waiting.append(_stored(answer))
        held.count += 1
        if sum(map(len, waiting)) > PACK:
            pack()
        yield held
    pack()
    yield held


def _address(name: str, query: Query) -> str:
    return f"{API}{name}?{urlencode(list(query))}"


def _stored(answer: Told) -> str:
    """An answer as JSON text: a text, or of what is none its bytes."""
    if answer.kind.startswith("image/png"):
        return to_json({"base64": base64.b64encode(answer.body).decode()})
    return to_json(answer.body.decode())


def _asked(room: Room, first: Query, ask: Any) -> Iterator[Asked]:
    """What is asked for a room: the first answers of its page, presets, tour and text, then what the room says itself."""
    bases = (
        [first, *(query for query in _presets(room) if query != first)] if first or room.question else [*_presets(room)]
    )
    if room.question:
        yield from ((room.question, base) for base in bases)
        yield from ((f"{room.question}.{ending}", bases[0]) for ending in FILES)
    for given in [*bases, *(query for query in _links(room))]:
        yield from room.queries(given).items()
    if room.keeps is not None:
        yield from room.keeps(bases, ask)
    elif not room.question:
        yield from _drawn(room, bases)


def _presets(room: Room) -> Iterator[Query]:
    """What a room's first question can be made to ask by its page's own examples, by the tour, and by the links in its text."""
    if room.first:
        yield room.first
    for link in _links(room):
        if query := tuple(pair for pair in link if "." not in pair[0]):
            yield query


def _links(room: Room) -> Iterator[Query]:
    """What those links say, for all that the page asks."""
    links = [step.state for step in deck()] + links_in(room)
    texts = [text for name, _, text in (link.partition("?") for link in links) if name == room.name]
    facts = [one for fact in room.facts().values() if isinstance(fact, list) for one in cast(list[Any], fact)]
    texts += [one["query"] for one in facts if isinstance(one, dict) and "query" in one]
    for text in texts:
        own = [(key, value) for key, value in parse_qsl(text) if key == "question_" or not key.endswith("_")]
        if query := tuple(pair for pair in own if pair[0] not in OF_THE_PAGE):
            yield query


def _drawn(room: Room, bases: Sequence[Query]) -> Iterator[Asked]:
    """Of rooms that ask any question, or the one that their page knows."""
    yield "networks", ()
    known = [one["address"].rpartition("/")[2] for one in room.facts().get("questions", ())]
    for base in bases:
        name = dict(base).get("question_", known[0] if known else "")
        if name:
            yield f"{name}.drawn", tuple(pair for pair in base if pair[0] != "question_")


def _usual() -> dict[str, dict[str, str]]:
    """What counts as said where nothing is, for each name: the parameters' defaults as an address has them."""
    found: dict[str, dict[str, str]] = {}
    for one in [*addresses(), *view_addresses()]:
        name = one["address"].removeprefix(API)
        defaults = {p["name"]: p["default"] for p in one["parameters"] if p["default"] not in (None, "")}
        found[name] = {key: _text(value) for key, value in defaults.items() if isinstance(value, str | int | float)}
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
