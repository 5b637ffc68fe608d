"""Points of a plane in classes: sets to try a small network on, and points of one's own, from a table or as plain text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from pellucid.data.arrays import LabeledArrays
from pellucid.data.errors import DataError
from pellucid.data.listing import is_there, read_file, shown
from pellucid.data.sample import Array, Splits, generator, split
from pellucid.errors import suggest
from pellucid.given import argument

REACH = 5.0
"""Points of the sets lie between -REACH and REACH, but for noise."""
CLASSES = ("blue", "orange")
PAINTS = (*CLASSES, "third")
"""Classes that are painted; they come last, so that none takes the number of another when it is begun with."""
COUNT, NOISE = 500, 0.1
MOST_POINTS, MOST_BYTES, MOST_CLASSES, MOST_SIZE = 20_000, 4 * 2**20, 50, 1e6
FRACTIONS, FEW = (0.7, 0.15, 0.15), 7
"""Shares to train on, to choose by and to report on; with fewer points of a class than FEW none is held out."""
PAINTED = "points"
"""The word before points that are written out: `points 0.5,-1,blue; 1.2,3,orange`."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)

_Random = np.random.Generator


def _circles(random: _Random, count: int, noise: float) -> tuple[Array, Array]:
    """A disc of one class within a ring of the other."""
    inside = np.arange(count) < count // 2
    radius = np.where(inside, random.uniform(0, 0.5, count), random.uniform(0.7, 1, count)) * REACH
    angle = random.uniform(0, 2 * np.pi, count)
    points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], 1)
    seen = points + random.uniform(-REACH, REACH, (count, 2)) * noise
    return points, (np.hypot(*seen.T) >= REACH / 2).astype(np.int64)


def _xor(random: _Random, count: int, noise: float) -> tuple[Array, Array]:
    """Four squares, opposite ones of one class: the product of the coordinates has the class's sign."""
    points = random.uniform(-REACH, REACH, (count, 2))
    points += np.where(points > 0, 0.3, -0.3)
    seen = points + random.uniform(-REACH, REACH, (count, 2)) * noise
    return points, (seen[:, 0] * seen[:, 1] < 0).astype(np.int64)


def _spirals(random: _Random, count: int, noise: float) -> tuple[Array, Array]:
    """Two arms wound about each other."""
    labels = (np.arange(count) >= count // 2).astype(np.int64)
    share = np.concatenate([np.arange(n) / n for n in (count // 2, count - count // 2)])
    angle = 1.75 * share * 2 * np.pi + np.pi * labels
    points = np.stack([np.sin(angle), np.cos(angle)], 1) * (share * REACH)[:, None]
    return points + random.uniform(-1, 1, (count, 2)) * noise, labels


def _gaussians(random: _Random, count: int, noise: float) -> tuple[Array, Array]:
    """Two clouds about (2, 2) and (-2, -2), whose spread grows with the noise."""
    labels = (np.arange(count) >= count // 2).astype(np.int64)
    spread = np.sqrt(0.5 + 7 * noise)
    return (2 - 4 * labels)[:, None] + random.normal(0, spread, (count, 2)), labels


SETS: Mapping[str, Callable[[_Random, int, float], tuple[Array, Array]]] = {
    "circles": _circles,
    "xor": _xor,
    "spirals": _spirals,
    "gaussians": _gaussians,
}
"""Sets of points by name."""
_SETTINGS: Mapping[str, tuple[type[int] | type[float], float, float]] = {
    "count": (int, 20, MOST_POINTS),
    "noise": (float, 0, 1),
    "seed": (int, 0, 2**31 - 1),
}


class Points(LabeledArrays):
    """Points (N, 2) with classes."""


def points(kind: str = "circles", count: int = COUNT, noise: float = NOISE, seed: int = 0, held_out: int = 0) -> Splits:
    """A set of points: "circles", "xor", "spirals" or "gaussians", half of them of each class but for chance.

    `noise` from 0 to 1 mixes the classes where they meet; the same `seed` gives the same points, and `held_out` chooses
    which of them are for validation and test (15 % each). `pl.load("circles noise=0.2 seed=3")` gives the same.
    """
    if kind not in SETS:
        raise DataError(f"no points called {kind!r}{suggest(kind, SETS)}; there are {', '.join(SETS)}")
    settings = {"count": count, "noise": noise, "seed": seed}
    for name, value in settings.items():
        wanted, low, high = _SETTINGS[name]
        value = settings[name] = argument(wanted, value, f"{kind}: {name}", DataError)
        if not low <= value <= high:
            raise DataError(f"{kind}: {name} must be from {low} to {high:,}, got {value}")
    count, noise, seed = int(settings["count"]), settings["noise"], int(settings["seed"])
    values, labels = SETS[kind](generator(seed, list(SETS).index(kind)), count, noise)
    usual = {"count": COUNT, "noise": NOISE, "seed": 0}
    said = [
        f"{name}={value:g}" if name == "noise" else f"{name}={value}"
        for name, value in settings.items()
        if value != usual[name]
    ]
    return _parts(Points(values, labels, CLASSES, kind), " ".join([kind, *said]), held_out)


def painted(rows: Iterable[tuple[float, float, str]], source: str = PAINTED, held_out: int = 0) -> Splits:
    """Points of one's own, x, y and class; with too few of a class to hold some out, all are for everything, which a note says."""
    listed = list(rows)
    name = PAINTED if source.startswith(f"{PAINTED} ") else source
    if not 2 <= len(listed) <= MOST_POINTS:
        raise DataError(f"{shown(name)}: wants 2 to {MOST_POINTS:,} points, got {len(listed)}")
    classes = sorted(
        {label for _, _, label in listed}, key=lambda label: (PAINTS.index(label) if label in PAINTS else -1, label)
    )
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise DataError(
            f"{shown(name)}: wants points of 2 to {MOST_CLASSES} classes, got {len(classes)}: {', '.join(map(shown, classes[:5]))}"
        )
    values = np.array([[x, y] for x, y, _ in listed])
    return _parts(Points(values, np.array([classes.index(c) for _, _, c in listed]), classes, name), source, held_out)


def named_points(source: str, held_out: int = 0) -> Splits | None:
    """What a text says of points, `circles noise=0.2` or `points x,y,class; ...`; None where it speaks of none."""
    kind, *words = source.split() or [""]
    if kind == PAINTED and words:
        return painted(_rows(source[source.index(kind) + len(kind) :].replace(";", "\n"), PAINTED), source, held_out)
    if kind not in SETS:
        return None
    given: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in _SETTINGS or name in given:
            raise DataError(
                f"{kind}: {word!r:.60} is no setting; they are count, noise and seed, as in '{kind} noise=0.2 seed=3'"
            )
        made = _SETTINGS[name][0]
        if not _NUMBER.fullmatch(value) or (made is int and not value.isdecimal()):
            raise DataError(f"{kind}: {name} wants a {'whole number' if made is int else 'number'}, got {value!r:.40}")
        given[name] = made(value)
    return points(kind, **given, held_out=held_out)


def read_points(path: Path | str, held_out: int = 0, name: str = "") -> Splits:
    """The points of a CSV file: x, y and a class on each line; a first line without numbers names the columns.

    It is called by its path, or by `name`.
    """
    name = name or str(path)
    raw = read_file(Path(path), name, MOST_BYTES)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(name)}: is no text in UTF-8 ({error.reason} at byte {error.start})") from error
    return painted(_rows(text, name), name, held_out)


def as_text(splits: Splits) -> str:
    """Points as they are written out, `points 0.5,-1,blue; ...`, of which `named_points` reads the same; "" where it cannot.

    It cannot where the name of a class has a comma or a semicolon.
    """
    rows = _written(splits)
    text = f"{PAINTED} {'; '.join(map(','.join, rows))}"
    try:
        again = named_points(text)
    except DataError:
        return ""
    return text if again is not None and sorted(_written(again)) == sorted(rows) else ""


def _written(splits: Splits) -> list[tuple[str, str, str]]:
    """Each point in the shortest digits that are read as the same number, and its class."""
    rows: list[tuple[str, str, str]] = []
    for part in splits.parts().values() if splits.train is not splits.validation else [splits.train]:
        values = part.images(np.arange(len(part)))
        rows += [(_digits(x), _digits(y), part.classes[k]) for (x, y), k in zip(values, part.labels, strict=True)]
    return rows


def _digits(value: np.floating[Any]) -> str:
    return str(value).removesuffix(".0")


def is_table_of_points(path: Path | str) -> bool:
    """Whether a CSV file begins as points do: two numbers and a class, at most after a line of names."""
    path = Path(path)
    if not str(path).lower().endswith(".csv") or not is_there(path) or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(4096).decode("utf-8-sig", "replace").splitlines()[:5]
    return any(len(row) == 3 and _is_number(row[0]) and _is_number(row[1]) for row in csv.reader(head))


def are_points(source: str) -> bool:
    """Whether `pl.load` gives points for a source; nothing is read but the beginning of a table."""
    kind, *words = source.split() or [""]
    return is_table_of_points(source) or ((kind in SETS or (kind == PAINTED and bool(words))) and not is_there(source))


def short_name(source: str) -> str:
    """What data is called in short, as in the name of a run: `circles` of `circles noise=0.2`, else a file's name without its ending."""
    first = (source.split() or [""])[0]
    return first if first in SETS or (first == PAINTED and first != source) else Path(source).stem


def _rows(text: str, name: str) -> Iterable[tuple[float, float, str]]:
    try:
        rows = [
            (n, row)
            for n, row in enumerate(csv.reader(io.StringIO(text, newline=None)), 1)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise DataError(f"{shown(name)}: is no table ({error})") from error
    if rows and len(rows[0][1]) == 3 and not any(map(_is_number, rows[0][1][:2])):
        rows = rows[1:]  # the names of the columns
    if len(rows) > MOST_POINTS:
        raise DataError(f"{shown(name)}: has {len(rows):,} points, at most {MOST_POINTS:,} are read")
    for number, row in rows:
        cells = [cell.strip() for cell in row]
        if len(cells) != 3 or not cells[2] or not (_is_number(cells[0]) and _is_number(cells[1])):
            raise DataError(
                f"{shown(name)}: line {number}: wants x, y and a class, as in 0.5,-1.2,blue; got {', '.join(row)!r:.60}"
            )
        x, y = float(cells[0]), float(cells[1])
        if max(abs(x), abs(y)) > MOST_SIZE:
            raise DataError(
                f"{shown(name)}: line {number}: x and y are at most {MOST_SIZE:,.0f} in size, got {x:g}, {y:g}"
            )
        yield x, y, cells[2]


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text.strip()) is not None


def _parts(whole: Points, source: str, held_out: int) -> Splits:
    counts = np.bincount(whole.labels, minlength=len(whole.classes))
    if counts.min() < FEW:
        few = whole.classes[int(counts.argmin())]
        note = f"{shown(whole.name)}: only {counts.min()} points of {shown(few)}, too few to hold some out: all are trained on and measured on"
        return Splits(cast(Any, whole), cast(Any, whole), cast(Any, whole), source, {"seed": held_out}, (note,))
    train, validation, test = split(cast(Any, whole), FRACTIONS, ("train", "validation", "test"), held_out)
    return Splits(train, validation, test, source, {"seed": held_out})
