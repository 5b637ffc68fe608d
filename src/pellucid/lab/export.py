"""A static copy of the lab: its pages, their files and the answers that they can need, for any web server or as one file."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from pellucid.data.samples import PHOTOS
from pellucid.errors import suggest
from pellucid.files import reason_of, write_atomically
from pellucid.lab.app import static_files
from pellucid.lab.copies import HeldRoom, hold
from pellucid.lab.desk import desk
from pellucid.lab.document import Document, one_file
from pellucid.lab.holdings import Library
from pellucid.lab.place import LabError
from pellucid.lab.rooms import BY_NAME, ROOMS, Room
from pellucid.lab.runs.links import link_to, run_of
from pellucid.lab.server import first_address
from pellucid.lab.wire import Problem
from pellucid.plain import to_json
from pellucid.progress import progress
from pellucid.text import human_bytes

ENDING = ".html"
MARK, STATIC = "answers", "static"
"""The folder by which a copy is known for one, with a folder for each of its rooms; and that of the pages' own files."""


@dataclass(frozen=True)
class Copied:
    """What was written: where, how many files and bytes, and how many answers of each room."""

    place: Path
    files: int
    nbytes: int
    answers: dict[str, int]

    def __str__(self) -> str:
        rooms = "\n".join(f"  {name}: {count:,} answers" for name, count in self.answers.items())
        files = f"{self.files} files, " if self.files > 1 else ""
        return f"{self.place}: {files}{human_bytes(self.nbytes)}\n{rooms}"


@dataclass(frozen=True)
class Copy:
    """Pages of rooms, the first of which is begun with, and what is held of each."""

    pages: dict[str, Document]
    held: dict[str, HeldRoom]

    def as_folder(self) -> dict[str, bytes]:
        """The files of a folder by their paths."""
        first = next(iter(self.pages))
        parts = {f"{STATIC}/{name}": raw for name, (raw, _) in static_files().items()}
        for name, page in self.pages.items():
            parts[f"{name}/index.html"] = page.in_folder(name).html.encode()
            parts[f"{MARK}/{name}/index.json"] = to_json(self.held[name].index()).encode()
            parts.update({f"{MARK}/{name}/{k}.pack": pack for k, pack in enumerate(self.held[name].packs)})
        there = f'<meta http-equiv="refresh" content="0; url={first}/"><a href="{first}/">Pellucid lab</a>'
        html = f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Pellucid lab</title>{there}</html>\n'
        return {**parts, "index.html": html.encode()}

    def as_file(self, name: str) -> dict[str, bytes]:
        """One HTML, by its name."""
        texts: dict[str, str] = {}
        for room, one in self.held.items():
            texts[f"{room}-index"] = to_json(one.index()).replace("<", "\\u003c")
            texts.update({f"{room}-{k}": base64.b64encode(pack).decode() for k, pack in enumerate(one.packs)})
        return {name: one_file(self.pages, texts).encode()}


def export(
    subject: str = "",
    out: Path | str = "lab",
    *,
    rooms: Collection[str] = (),
    single_file: bool = False,
    overwrite: bool = False,
    preprocessing: str = "",
    set: Sequence[str] = (),
) -> Copied:
    """Write a copy of the lab about `subject`, a network or a formula: a folder, or with `single_file` one HTML.

    `rooms` are those that are copied, all unless named. What is there already is refused unless `overwrite`. Raises `LabError`.
    """
    place = Path(out)
    _require_free(place, single_file, overwrite)
    copy = gather(subject, rooms, preprocessing, set)
    parts = copy.as_file(place.name) if single_file else copy.as_folder()
    root = place.parent if single_file else place
    for name, raw in parts.items():
        write_atomically(root / name, raw, folders=True)
    if not single_file:
        _clear(place, parts)
    counts = {name: one.count for name, one in copy.held.items()}
    return Copied(place, len(parts), sum(map(len, parts.values())), counts)


def _clear(place: Path, parts: Collection[str]) -> None:
    """Remove what a copy that was here had and this one has not; what is of no copy stays. Raises `LabError`."""
    rooms = [room for room in (place / MARK).iterdir() if room.is_dir()]
    own = [
        *(place / STATIC).rglob("*"),
        *(place / MARK).rglob("*"),
        *(place / room.name / "index.html" for room in rooms),
    ]
    files = [path for path in own if path.is_file() and path.relative_to(place).as_posix() not in parts]
    try:
        for old in files:
            old.unlink()
        for folder in sorted({path.parent for path in files}, reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise LabError(f"{place}: what is left of an older copy cannot be removed ({reason_of(error)})") from error


def gather(subject: str, rooms: Collection[str] = (), preprocessing: str = "", set: Sequence[str] = ()) -> Copy:
    """The pages of `rooms`, all unless named, and what a copy holds of each. Raises `LabError`."""
    network, first = first_address(subject)
    begun, _, query = first.lstrip("/").partition("?")
    chosen = _chosen(rooms, begun)
    looks = {begun: tuple(parse_qsl(query))}
    if begun == "detection":
        looks[begun] += (("picture_", next(iter(PHOTOS))),)
    run = run_of(network)
    if run is not None:
        looks["training"] = tuple(link_to(run))
    documents: dict[str, Document] = {}
    held: dict[str, HeldRoom] = {}
    library = Library(
        network, "runs" if run is None else run.parent, preprocessing=preprocessing, set=set
    )  # that knows the run by its name
    with desk(library) as asked, progress("copying the lab") as tell:
        for number, room in enumerate(chosen):
            look = looks.get(room.name, ())
            documents[room.name] = Document(asked.ask(f"/{room.name}?{urlencode(look)}").whole().body.decode())
            try:
                for found in hold(room, tuple(room.query(look)), asked):
                    held[room.name] = found
                    tell(number, len(chosen))
            except Problem as problem:
                told = ". ".join(filter(None, (problem.detail or problem.title, problem.remedy)))
                raise LabError(f"the room {room.title!r} cannot be copied: {told}") from problem
    pages = {
        name: one.among(documents).knowing(
            carrier="copy", copy={"room": name, "count": held[name].count, "look": [*looks.get(name, ())]}
        )
        for name, one in documents.items()
    }
    return Copy(pages, held)


def _chosen(names: Collection[str], first: str) -> list[Room]:
    """The rooms by these names, the one to begin with first: one file shows it unless its address says otherwise."""
    for name in names:
        if name not in BY_NAME:
            raise LabError(f"{name}: is no room{suggest(name, BY_NAME)}; there are {', '.join(BY_NAME)}")
    return sorted((room for room in ROOMS if not names or room.name in names), key=lambda room: room.name != first)


def _require_free(place: Path, single_file: bool, overwrite: bool) -> None:
    """Raise `LabError` where a copy cannot be written, or may not: to gather one takes minutes."""
    try:
        _require_allowed(place, single_file, overwrite)
        above = place.parent if single_file else place
        while not above.exists():
            above = above.parent
        Path(tempfile.mkdtemp(dir=above)).rmdir()
    except LabError:  # which is an OSError too
        raise
    except OSError as error:
        raise LabError(f"{place}: cannot be written ({reason_of(error)}); name another place") from error


def _require_allowed(place: Path, single_file: bool, overwrite: bool) -> None:
    if single_file and place.suffix.lower() != ENDING:
        raise LabError(f"{place}: one file is an HTML; give it a name that ends in {ENDING}")
    if single_file and place.is_dir():
        raise LabError(f"{place}: is a folder; name a file")
    if not single_file and place.exists() and not place.is_dir():
        raise LabError(f"{place}: is a file; name a folder, or say --single-file for one HTML")
    there = place.exists() if single_file else place.is_dir() and any(place.iterdir())
    if there and not overwrite:
        raise LabError(f"{place}: is there already; name another place, or say --overwrite")
    if there and not single_file and not (place / MARK).is_dir():
        raise LabError(
            f"{place}: has files in it that are no copy of the lab; --overwrite would mix them, name another place"
        )
