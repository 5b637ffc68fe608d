"""Changes that damage or malice makes to files: to their bytes, and to the plain data in them. All follow from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, settings

VALUES = (
    None, True, False, 0, 1, -1, 7, 60_000, 2**31, 2**63, -(2**63), 10**400, 0.0, -0.5, 1e308, float("nan"), float("inf"),
    "", "x", "0", "\u202e", "\x1b[2J", "\ud800", "a" * 5000, [], {}, [[]], [1, 2], [60_000, 60_000], {"a": 1}, [None] * 300,
)  # fmt: skip
"""What any value of plain data may be replaced by."""
BYTES = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"[" * 40,
    b"\xff" * 8,
    b"\0" * 8,
    (2**40).to_bytes(8, "little"),
    b"1e999",
    b"..",
)


def searched(count: int) -> settings:
    """Look at `count` examples, always the same; with the profile "soak" at twenty times as many at random."""
    soak = settings.get_current_profile_name() == "soak"
    return settings(
        max_examples=count * 20 if soak else count,
        derandomize=not soak,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in plain data."""
    yield way
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in inside:
        yield from places(inner, (*way, name))


def replaced(value: Any, way: tuple[Any, ...], new: Any) -> Any:
    """Plain data with another value at one place."""
    if not way:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = replaced(value[way[0]], way[1:], new)
    return copy


def changed_plain(value: Any, dice: random.Random) -> Any:
    """Plain data with one value replaced, removed, added, renamed or nested deep."""
    way = dice.choice(list(places(value)))
    old = value
    for step in way:
        old = old[step]
    match dice.randrange(6):
        case 0 if isinstance(old, dict) and old:
            name = dice.choice(list(old))
            return replaced(value, way, {n: v for n, v in old.items() if n != name})
        case 1 if isinstance(old, dict):
            return replaced(value, way, {**old, "surprise": dice.choice(VALUES)})
        case 2 if isinstance(old, list) and old:
            return replaced(value, way, old[: dice.randrange(len(old))])
        case 3 if isinstance(old, list):
            return replaced(value, way, [*old, *old, dice.choice(VALUES)])
        case 4 if isinstance(old, int | float) and not isinstance(old, bool):
            return replaced(value, way, dice.choice([-old, old + 1, old * 10**6, old * 0.5, str(old)]))
    return replaced(value, way, dice.choice(VALUES))


def changed_json(text: str, dice: random.Random) -> str:
    """JSON text of changed plain data; now and then with a hundred thousand brackets, or cut off."""
    made = json.dumps(changed_plain(json.loads(text), dice))
    match dice.randrange(30):
        case 0:
            return made[: dice.randrange(len(made))]
        case 1:
            return "[" * 100_000 + made
    return made


def changed_bytes(content: bytes, dice: random.Random) -> bytes:
    """A file with a few places overwritten, taken out, doubled or filled in, or cut off."""
    made = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(made) + 1)
        match dice.randrange(6):
            case 0:
                made[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                new = dice.choice(BYTES)
                made[at : at + len(new)] = new
            case 2:
                made[at:at] = dice.choice(BYTES)
            case 3:
                del made[at : at + dice.randint(1, 16)]
            case 4:
                made[at:at] = made[at : at + dice.randint(1, 64)]
            case _:
                if made and at < len(made):
                    made[at] ^= 1 << dice.randrange(8)
    return bytes(made[: dice.randrange(len(made) + 1)] if dice.randrange(10) == 0 else made)
