"""Folders in the layout of PASCAL VOC: Annotations/*.xml, JPEGImages/, ImageSets/Main/*.txt; or XML files beside the pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from pellucid.data import DataError
from pellucid.data.listing import Listing, is_image_name, listing, shown, some
from pellucid.detect.boxes import from_voc
from pellucid.detect.pictures_with_boxes import BoxData
from pellucid.detect.reading.annotation import Marked, read_annotation
from pellucid.detect.reading.gathering import ToldPicture, gather
from pellucid.progress import progress, tell

PARTS = ("train", "val", "trainval", "test")


def read_voc_folder(path: Path, on_bad_box: str = "error") -> BoxData:
    """Pictures with boxes in a folder or .zip, with the parts that its ImageSets name."""
    there = listing(path)
    root = _root(path, there)
    annotations = [name for name in there.names if _is_annotation(name, root)]
    pictures: dict[str, list[str]] = defaultdict(list)
    for name in there.names:
        if is_image_name(name):
            pictures[PurePosixPath(name).stem].append(name)
    found: list[ToldPicture] = []
    with progress("reading annotations"):
        for number, name in enumerate(annotations, 1):
            annotation = read_annotation(there.read(name), name)
            stem = PurePosixPath(name).stem
            file = _picture(pictures.get(stem) or pictures.get(PurePosixPath(annotation.file).stem, []), name)
            raw: Callable[[], bytes] | None = None if file is None else partial(there.read, file)
            found.append(ToldPicture(stem, name, annotation.size, tuple(map(_from_one, annotation.objects)), raw))
            tell(number, len(annotations))
    parts = {
        part: _names(there.read(file), file)
        for part in PARTS
        if (file := f"{root}ImageSets/Main/{part}.txt") in set(there.names)
    }
    without = sorted(set(pictures) - {one.name for one in found})
    notes = [*there.notes, *([some(without, "pictures without an annotation, left out")] if without else [])]
    return gather(shown(path.stem), found, parts, on_bad_box, notes)


def _root(path: Path, there: Listing) -> str:
    """The folder that Annotations lies in, "" or ending in "/"; that of the XML files where there is no such folder."""
    files = [PurePosixPath(name) for name in there.names if name.lower().endswith(".xml")]
    roots = {f"{p.parent.parent}/" for p in files if p.parent.name == "Annotations"}
    if not roots:
        roots = {f"{p.parent}/" for p in files}
    if not roots:
        raise DataError(f"{shown(str(path))}: has no annotations (.xml files) in it, as folders of PASCAL VOC have")
    if len(roots) > 1:
        raise DataError(
            f"{shown(str(path))}: has annotations in {len(roots)} places; name one of them: {', '.join(sorted(roots)[:5])}"
        )
    root = roots.pop()
    return "" if root == "./" else root


def _is_annotation(name: str, root: str) -> bool:
    folder = str(PurePosixPath(name).parent)
    return name.lower().endswith(".xml") and f"{folder}/" in (f"{root}Annotations/", root or "./")


def _picture(files: list[str], annotation: str) -> str | None:
    """Which of the pictures of one name is meant: that in JPEGImages, else that beside the annotation, else the only one."""
    folder = PurePosixPath(annotation).parent
    for wanted in (folder.parent / "JPEGImages", folder):
        for file in files:
            if PurePosixPath(file).parent == wanted:
                return file
    return files[0] if len(files) == 1 else None


def _from_one(mark: Marked) -> Marked:
    """A box that counts pixels from 1 as one that counts from 0."""
    x1, y1, x2, y2 = (float(from_voc(side)) for side in mark.box)  # type: ignore[arg-type]
    return replace(mark, box=(x1, y1, x2, y2))


def _names(raw: bytes, file: str) -> list[str]:
    try:
        return [line.split()[0] for line in raw.decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(file)}: is no text in UTF-8 ({error.reason} at byte {error.start})") from error
