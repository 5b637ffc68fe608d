"""What is in a folder of pictures: classes and parts, sizes, what cannot be read, what is there twice, what looks wrong."""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.image import facts_of, read_image
from pellucid.data.layout import arrange
from pellucid.data.likeness import BITS, SIDE, brightness, groups_of, near_pairs, same
from pellucid.data.listing import is_folder, is_image_name, is_there, listing, shown
from pellucid.data.record import checksum
from pellucid.data.sample import Array, Parts
from pellucid.pictures import Answer, Grid, Page, Tile, Tiles
from pellucid.progress import long, progress, tell
from pellucid.text import amount, text_table

NEAR = 6
"""Bits in which the hashes of near duplicates differ, at most, unless another distance is asked for."""
MOST_SAID, MOST_DRAWN = 12, 24
FEW = 5
"""Pictures of a class that are too few to learn from, or a tenth of the usual number if that is more."""


@dataclass(frozen=True)
class _Seen:
    """One picture: where it belongs, what its file says, its checksum and brightness; or why it is unreadable."""

    name: str
    part: str
    label: str
    facts: tuple[str, str, int, int] = ("", "", 0, 0)
    checksum: str = ""
    fields: Array | None = None
    error: str = ""


@dataclass(frozen=True)
class DataReport(Answer):
    """What is in `source`. `counts` has for each part and class its pictures; parts are called "" where there are none.

    `exact` and `near` are groups of names: of the same bytes, and of hashes that differ in at most `distance` of 128 bits;
    `leaks` those groups that lie in several parts, the first thing that is told.
    """

    source: str
    counts: dict[str, dict[str, int]]
    sizes: dict[str, int]
    formats: dict[str, int]
    modes: dict[str, int]
    unreadable: tuple[str, ...]
    exact: tuple[tuple[str, ...], ...]
    near: tuple[tuple[str, ...], ...]
    leaks: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...]
    notes: tuple[str, ...]
    distance: int
    examples: tuple[Tile, ...] = field(default=(), repr=False)
    doubles: tuple[Tile, ...] = field(default=(), repr=False)

    @property
    def count(self) -> int:
        """How many pictures are readable."""
        return sum(sum(classes.values()) for classes in self.counts.values())

    def to_dict(self) -> dict[str, Any]:
        groups = {name: [list(group) for group in getattr(self, name)] for name in ("exact", "near", "leaks")}
        said = {name: list(getattr(self, name)) for name in ("unreadable", "remarks", "notes")}
        tables = {name: dict(getattr(self, name)) for name in ("counts", "sizes", "formats", "modes")}
        return {"source": self.source, "pictures": self.count, **tables, **groups, **said, "distance": self.distance}

    def _table(self) -> tuple[list[str], list[list[str]]]:
        labels = sorted({label for classes in self.counts.values() for label in classes})
        rows = [[shown(label) or "(none)", *(f"{c.get(label, 0):,}" for c in self.counts.values())] for label in labels]
        rows.append(["all", *(f"{sum(c.values()):,}" for c in self.counts.values())])
        return ["class", *(part or "pictures" for part in self.counts)], rows

    def _said(self) -> list[tuple[str, Sequence[str]]]:
        """What stands under which title, what matters most first."""
        near = f"near duplicates (at most {self.distance} of {BITS} bits of their hashes differ)"
        told: list[tuple[str, Sequence[str]]] = [
            ("in several parts, so that a test is no test", [_joined(group) for group in self.leaks]),
            ("remarkable", self.remarks),
            ("unreadable", self.unreadable),
            ("exact duplicates", [_joined(group) for group in self.exact]),
            (near, [_joined(group) for group in self.near]),
            ("left out", self.notes),
        ]
        return [(f"{title}: {len(lines)}", lines) for title, lines in told if lines]

    def _spread(self) -> str:
        spread = {"sizes": self.sizes, "formats": self.formats, "colors": self.modes}
        return "\n".join(
            f"{title}: {', '.join(f'{name} {count:,}' for name, count in [*counts.items()][:8])}"
            + (f" and {len(counts) - 8} more" if len(counts) > 8 else "")
            for title, counts in spread.items()
            if counts
        )

    def __str__(self) -> str:
        titles, rows = self._table()
        parts = [
            f"{self.source}: {amount(self.count, 'picture')}",
            text_table(titles, rows, "l" + "r" * (len(titles) - 1)),
        ]
        parts.append(self._spread())
        for title, lines in self._said():
            more = [f"  and {len(lines) - MOST_SAID} more"] if len(lines) > MOST_SAID else []
            parts.append("\n".join([title, *(f"  {line}" for line in lines[:MOST_SAID]), *more]))
        return "\n\n".join(parts)

    def picture(self) -> Page:
        """Counts, examples of every class, duplicates beside each other, and all that is said."""
        titles, rows = self._table()
        leaks = [[_joined(group)] for group in self.leaks]
        parts: list[Any] = [f"{amount(self.count, 'picture')}."]
        parts += [Grid(["In several parts, so that a test is no test"], leaks[:200], "l")] if leaks else []
        parts += [Grid(titles, rows, "l" + "r" * (len(titles) - 1))]
        parts += self._spread().splitlines()
        if self.examples:
            parts.append(Tiles("Examples of each class", self.examples))
        if self.doubles:
            parts.append(Tiles("Duplicates: pictures of a group have its number", self.doubles))
        for title, lines in self._said()[bool(leaks) :]:
            parts.append(Grid([title], [[line] for line in lines[:200]], "l"))
        return Page(f"Pictures in {self.source}", tuple(parts))


def _joined(group: Sequence[str]) -> str:
    return " = ".join(group[:4]) + (f" and {len(group) - 4} more" if len(group) > 4 else "")


@long
def data_report(source: str | Path = "digits", *, distance: int = NEAR, examples: int = 4) -> DataReport:
    """What is in a folder or .zip of pictures, or in data by name: classes, sizes, unreadable files, duplicates, what looks wrong.

    Near duplicates are pictures whose hashes (128 bits) differ in at most `distance`; `examples` of each class are drawn.
    Nothing is left out silently: a folder that could not be trained on is reported too, with the reason.
    """
    path = Path(source)
    if path.suffix.lower() == ".zip" or is_folder(path):
        if not is_there(path):
            raise DataError(f"{shown(str(source))}: there is no such folder or archive")
        seen, picture, notes = _of_files(path)
    else:
        seen, picture, notes = _of_arrays(str(source))
    return _report(shown(str(source)), seen, picture, notes, distance, examples)


Look = Callable[[str], Array]


def _of_files(path: Path) -> tuple[list[_Seen], Look, list[str]]:
    files = listing(path)
    names = [name for name in files.names if is_image_name(name)]
    try:
        layout = arrange(path, files)
        notes = list(layout.notes)
        placed = {name: (part, label) for part, members in layout.found.items() for label, name in members}
    except DataError as error:
        notes = [f"it cannot be trained on: {error}"]
        placed = {name: ("", name.rpartition("/")[0].rpartition("/")[2]) for name in names}

    def look(name: str) -> _Seen:
        part, label = placed[name]
        try:
            raw = files.read(name)
            picture = read_image(raw, 3, (SIDE, SIDE), shown(name))
            return _Seen(shown(name), part, label, facts_of(raw), checksum(raw), brightness(picture))
        except (DataError, OSError) as error:
            return _Seen(shown(name), part, label, error=str(error))

    seen: list[_Seen] = []
    with progress("looking at pictures"), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for one in pool.map(look, placed):
            seen.append(one)
            tell(len(seen), len(placed))
    known = {shown(name): name for name in placed}
    return seen, lambda name: read_image(files.read(known[name]), 3, (SIDE, SIDE), name), notes


def _of_arrays(source: str) -> tuple[list[_Seen], Look, list[str]]:
    from pellucid.data import load

    splits: Parts = load(source)
    for dataset in splits.parts().values():
        if len(dataset.shape) != 3:
            told = "points of a plane" if dataset.shape == (2,) else f"rows of numbers of shape {dataset.shape}"
            raise DataError(
                f"{shown(source)}: wants a folder or .zip of pictures, or pictures by name, got {told}; "
                f"look at points with: pellucid decision-plane {shlex.quote(shown(source))}"
            )
    seen: list[_Seen] = []
    places: dict[str, Callable[[], Array]] = {}
    for part, dataset in splits.parts().items():
        _, height, width = dataset.shape
        mode = "RGB" if dataset.shape[0] == 3 else "L"
        for index in range(len(dataset)):
            image, name = dataset.image(index), f"{part}[{index}]"
            label, digest = dataset.classes[int(dataset.labels[index])], checksum(image.tobytes())
            seen.append(_Seen(name, part, label, ("array", mode, width, height), digest, brightness(_square(image))))
            places[name] = partial(dataset.image, index)
    return seen, lambda name: places[name](), list(splits.notes)


def _square(image: Array) -> Array:
    """A picture uint8 (C, H, W) as (C, SIDE, SIDE), by the nearest pixel."""
    rows, columns = (np.arange(SIDE) * size // SIDE for size in image.shape[1:])
    return image[:, rows[:, None], columns]


def _report(
    source: str, seen: Sequence[_Seen], picture: Look, notes: Sequence[str], distance: int, examples: int
) -> DataReport:
    readable = [one for one in seen if not one.error]
    exact = same([one.checksum for one in readable])
    extra = {place for group in exact for place in group[1:]}
    alone = [place for place in range(len(readable)) if place not in extra]
    fields = np.stack([f for k in alone if (f := readable[k].fields) is not None]) if alone else np.empty((0, 81))
    with progress("comparing pictures"):
        pairs = near_pairs(fields, distance)
    near = [[alone[k] for k in group] for group in groups_of(pairs, len(alone))]
    groups = [[readable[k] for k in group] for group in (*exact, *near)]
    leaks = [group for group in groups if len({one.part for one in group}) > 1]
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in readable:
        counts[one.part][one.label] += 1
    tiles = [
        Tile(
            picture(one.name),
            f"{number}: {one.name.rpartition('/')[2]}\n{' '.join(filter(None, (one.part, one.label)))}",
        )
        for number, group in enumerate((leaks or groups)[: MOST_DRAWN // 2], 1)
        for one in group[:4]
    ]
    return DataReport(
        source,
        {part: dict(sorted(classes.items())) for part, classes in counts.items()},
        _common(f"{one.facts[3]}x{one.facts[2]}" for one in readable),
        _common(one.facts[0] for one in readable),
        _common(one.facts[1] for one in readable),
        tuple(one.error for one in seen if one.error),
        tuple(_names(readable, group) for group in exact),
        tuple(_names(readable, group) for group in near),
        tuple(tuple(f"{one.name} ({one.part or 'no part'})" for one in group) for group in leaks),
        tuple(_remarks(readable, groups)),
        tuple(notes),
        distance,
        _examples(readable, picture, examples),
        tuple(tiles),
    )


def _names(seen: Sequence[_Seen], group: Iterable[int]) -> tuple[str, ...]:
    return tuple(seen[place].name for place in group)


def _common(values: Iterable[str]) -> dict[str, int]:
    """How often each is there, the commonest first."""
    return dict(Counter(values).most_common())


def _examples(seen: Sequence[_Seen], picture: Look, count: int) -> tuple[Tile, ...]:
    """Some pictures of each class, evenly spread."""
    classes: defaultdict[str, list[_Seen]] = defaultdict(list)
    for one in seen:
        classes[one.label].append(one)
    most = max(1, min(count, 200 // max(1, len(classes)))) if count else 0
    chosen = [
        (label, members[k])
        for label, members in sorted(classes.items())[:200]
        for k in np.unique(np.linspace(0, len(members) - 1, most).astype(int)).tolist()
    ]
    return tuple(Tile(picture(one.name), shown(label)) for label, one in chosen)


def _remarks(seen: Sequence[_Seen], groups: Sequence[Sequence[_Seen]]) -> list[str]:
    """What looks wrong, in words."""
    found: list[str] = []
    for group in groups:
        if len({one.label for one in group}) > 1:
            found.append(f"in several classes: {_joined([f'{one.name} ({shown(one.label)})' for one in group])}")
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for label in {one.label for one in seen}:
        spellings[re.sub(r"[\W_]+", "", label.casefold())].add(label)
    found += [
        f"classes that may be one: {', '.join(map(shown, sorted(s)))}"
        for _, s in sorted(spellings.items())
        if len(s) > 1
    ]
    sizes = Counter(one.label for one in seen)
    usual = float(np.median([*sizes.values()])) if sizes else 0.0
    for label, count in sorted(sizes.items()):
        if count < max(FEW, usual / 10):
            found.append(f"class {shown(label) or '(none)'} has {amount(count, 'picture')} only")
    parts = {one.part for one in seen}
    for part in sorted(parts - {"", "train"}):
        missing = sorted({one.label for one in seen} - {one.label for one in seen if one.part == part})
        if missing:
            found.append(f"{part} has no picture of {', '.join(map(shown, missing[:8]))}")
    narrow = [one.name for one in seen if max(one.facts[2:]) > 4 * max(1, min(one.facts[2:]))]
    tiny = [one.name for one in seen if max(one.facts[2:]) < 8]
    told = (
        (narrow, "more than four times as long as wide or high, of which the middle is seen"),
        (tiny, "smaller than 8x8"),
    )
    return found + [f"{amount(len(names), 'picture')} {what}: {', '.join(names[:3])}" for names, what in told if names]
