"""What the folders mean that pictures lie in: parts (train, validation, test) of classes, or classes alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pellucid.data.errors import DataError
from pellucid.data.listing import SUFFIXES, Listing, is_image_name, other_files, shown
from pellucid.text import amount

PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
Place = tuple[str, ...]
"""Names of folders from the outermost to the innermost."""


@dataclass(frozen=True)
class Layout:
    """{part: [(class, file)]}, the only part being "" where there are classes alone; and what is left out, in words."""

    found: dict[str, list[tuple[str, str]]]
    notes: tuple[str, ...]


def arrange(path: Path, files: Listing, known: Sequence[str] = ()) -> Layout:
    """Parts and classes of the pictures among `files`. Named parts win over classes beside them, wherever they lie.

    The classes that a network `known` to it tells apart, else those of the part to learn from, are what the folders of
    other parts must be called. Raises `DataError` where there is no class, or where there are several places with named parts.
    """
    tree = _Tree([PurePosixPath(name).parts for name in files.names if is_image_name(name)])
    if not tree.pictures:
        others = "".join(f"; {note}" for note in other_files(files.names))
        raise DataError(
            f"{shown(str(path))}: no picture ({', '.join(SUFFIXES)}) in it; expected {path.name}/class/*.jpg{others}"
        )
    level = _level_of_parts(path, tree)
    layout = _classes(path, files, tree) if level is None else _parts(path, files, tree, level, known)
    if not layout.found:
        raise DataError(
            f"{shown(str(path))}: pictures lie in one folder only; expected {path.name}/class/*.jpg with two classes or "
            "more. If it is a class itself, name the folder above it"
        )
    _require_utf8(path, layout)
    return replace(layout, notes=(*files.notes, *layout.notes, *other_files(files.names)))


class _Tree:
    """Folders that have pictures somewhere below them."""

    def __init__(self, images: Sequence[Place]) -> None:
        self.pictures = images
        self._folders: defaultdict[Place, set[str]] = defaultdict(set)
        for image in images:
            for depth in range(len(image) - 1):
                self._folders[image[:depth]].add(image[depth])

    def folders(self, place: Place = ()) -> list[str]:
        """Names of the folders in `place`."""
        return sorted(self._folders.get(place, ()))


def _level_of_parts(path: Path, tree: _Tree) -> Place | None:
    """The outermost folder that has `train` in it, or nothing but parts; None where there is none."""

    def has_parts(place: Place) -> bool:
        inside = tree.folders(place)
        labeled = [name for name in inside if name.lower() in PARTS and tree.folders((*place, name))]
        only = all(name.lower() in PARTS for name in inside)
        return any(PARTS[name.lower()] == "train" for name in labeled) or (bool(labeled) and only)

    level: list[Place] = [()]
    while level:
        found = ["/".join(place) for place in level if has_parts(place)]
        if len(found) > 1:
            raise DataError(
                f"{shown(str(path))}: has parts in {', '.join(found[:5])}; name one of these folders as the data"
            )
        if found:
            return next(place for place in level if has_parts(place))
        level = [(*place, name) for place in level for name in tree.folders(place)]
    return None


def _parts(path: Path, files: Listing, tree: _Tree, level: Place, known: Sequence[str]) -> Layout:
    depth = len(level)
    found: dict[str, list[tuple[str, str]]] = {}
    loose: defaultdict[str, int] = defaultdict(int)
    beside: defaultdict[str, int] = defaultdict(int)
    for image in tree.pictures:
        below = list(image[depth:])
        part = PARTS.get(below[0].lower(), "") if image[:depth] == level and len(below) > 1 else ""
        if not part:
            common = next((i for i, (a, b) in enumerate(zip(image, level, strict=False)) if a != b), depth)
            beside["/".join(image[:-1][: common + 1]) or path.name] += 1
        elif len(below) == 2:
            loose["/".join(image[:-1])] += 1
        else:
            found.setdefault(part, []).append((below[1], "/".join(image)))
    notes = [_left_out(name, count, "beside the parts") for name, count in beside.items()]
    for name, count in loose.items():
        labeled = bool(tree.folders(tuple(name.split("/"))))
        why = "in no class folder" if labeled else f"without classes; {_ask(path, name)}"
        notes.append(_left_out(name, count, why))
    notes += _drop_unknown_classes(path, found, known)
    parts = [(*level, name) for name in tree.folders(level) if name.lower() in PARTS]
    notes += [note for part in parts for note in _imageless(files, tree, part)]
    notes += [
        note for note in _imageless(files, tree, level) if note.partition(":")[0].rpartition("/")[2].lower() in PARTS
    ]
    return Layout(found, tuple(notes))


def _drop_unknown_classes(path: Path, found: dict[str, list[tuple[str, str]]], asked: Sequence[str]) -> list[str]:
    """Take out parts whose folders are no classes of train; raise `DataError` where only some of them are not.

    Classes that are `asked` for stand for those of train; who asks looks at strange ones himself.
    """
    notes: list[str] = []
    known = set(asked) or {label for label, _ in found.get("train", [])}
    for part in [part for part in found if known and part != "train"]:
        strange = sorted({label for label, _ in found[part]} - known)
        if len(strange) == len({label for label, _ in found[part]}) and not (asked and len(found) == 1):
            names = ", ".join(map(shown, strange[:5]))
            place = found[part][0][1].rsplit("/", 2)[0]
            why = f"in folders ({names}) that are no classes of train; {_ask(path, place)}"
            notes.append(_left_out(place, len(found.pop(part)), why))
        elif strange and not asked:
            raise DataError(
                f"{shown(str(path))}: {part} has classes that train has not: {', '.join(map(shown, strange[:8]))}; "
                "move these folders away, or give pictures of them to learn from"
            )
    return notes


def _classes(path: Path, files: Listing, tree: _Tree) -> Layout:
    """Classes alone: in the outermost folder that has more than one folder with pictures in it."""
    level: Place = ()
    while len(inside := tree.folders(level)) == 1 and tree.folders((*level, inside[0])):
        level = (*level, inside[0])
    depth = len(level)
    found = [(p[depth], "/".join(p)) for p in tree.pictures if p[:depth] == level and len(p) > depth + 1]
    loose = len(tree.pictures) - len(found)
    notes = [_left_out("/".join(level) or path.name, loose, "in no class folder")] if loose else []
    return Layout({"": found} if found else {}, (*notes, *_imageless(files, tree, level)))


def _imageless(files: Listing, tree: _Tree, place: Place) -> list[str]:
    """Folders in `place` that have no picture in them, in words."""
    start = "".join(f"{name}/" for name in place)
    inside = [folder[len(start) :] for folder in files.folders if folder.startswith(start)]
    empty = sorted({name for name in inside if "/" not in name} - set(tree.folders(place)))
    return [f"{shown(start + name)}: left out, as there is no picture in it" for name in empty]


def _require_utf8(path: Path, layout: Layout) -> None:
    for label in {label for part in layout.found.values() for label, _ in part}:
        if shown(label) != label:
            raise DataError(
                f"{shown(str(path))}: the name of the class folder '{shown(label)}' is not UTF-8; rename it"
            )


def _left_out(name: str, count: int, why: str) -> str:
    return f"{shown(name)}: {amount(count, 'picture')} left out, {why}"


def _ask(path: Path, name: str) -> str:
    """How to ask a network about pictures in the folder `name`."""
    where = f"`pellucid predict RUN {shown(str(path / name))}`"
    return f"ask about them with {where}" if path.is_dir() else f"unpack them and ask with {where}"
