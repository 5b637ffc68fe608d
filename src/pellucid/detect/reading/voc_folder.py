"""Folders in the layout of PASCAL VOC: Annotations/*.xml, JPEGImages/, ImageSets/Main/*.txt; or XML files beside the pictures."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
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
ANNOTATIONS = "Annotations"
MASKS = ("SegmentationClass", "SegmentationObject")
"""Folders whose pictures are no photographs."""
UNCLEAR = "annotations do not say whether an object is difficult or not; it counts as one that is not"
_FLAG = re.compile(r"\s+(-1|0|1)$", re.ASCII)
"""What follows a name in the lists of a class: none of it there, only difficult ones, some."""


def read_voc_folder(path: Path, on_bad_box: str = "error") -> BoxData:
    """Pictures with boxes in a folder or .zip, with the parts that its ImageSets name."""
    there = listing(path)
    root = _root(path, there)
    annotations = _annotations(there, root)
    pictures: dict[str, list[str]] = defaultdict(list)
    for name in there.names:
        if is_image_name(name) and PurePosixPath(name).parent.name not in MASKS:
            pictures[_alike(PurePosixPath(name).stem)].append(name)
    found: list[ToldPicture] = []
    used: set[str] = set()
    unclear: list[str] = []
    with progress("reading annotations"):
        for number, name in enumerate(annotations, 1):
            annotation = read_annotation(there.read(name), name)
            stem = PurePosixPath(name).stem
            file = _picture(pictures, name, annotation.file)
            raw: Callable[[], bytes] | None = None if file is None else partial(there.read, file)
            used.update((stem, PurePosixPath(file or stem).stem))
            unclear += [f"{name} ({word:.20})" for word in annotation.unclear]
            objects = tuple(map(_from_one, annotation.objects))
            found.append(ToldPicture(stem, name, annotation.size, objects, raw, file or ""))
            tell(number, len(annotations))
    known = {_alike(one.name): one.name for one in found}
    parts = {
        part: _names(there.read(file), file, known)
        for part in PARTS
        if (file := f"{root}ImageSets/Main/{part}.txt") in set(there.names)
    }
    without = sorted({PurePosixPath(file).stem for files in pictures.values() for file in files} - used)
    told = ((without, "pictures without an annotation, left out"), (unclear, UNCLEAR))
    return gather(shown(path.stem), found, parts, on_bad_box, [*there.notes, *(some(o, w) for o, w in told if o)])


def _root(path: Path, there: Listing) -> str:
    """The folder that Annotations lies in, "" or ending in "/"; that of the XML files where there is no such folder."""
    files = [PurePosixPath(name) for name in there.names if name.lower().endswith(".xml")]
    roots = {f"{p.parent.parent}/" for p in files if p.parent.name == ANNOTATIONS}
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


def _annotations(there: Listing, root: str) -> list[str]:
    """The XML files in Annotations; those in the root where there is no such folder."""
    files = [name for name in there.names if name.lower().endswith(".xml")]
    inside = [name for name in files if PurePosixPath(name).parent == PurePosixPath(root) / ANNOTATIONS]
    return inside or [name for name in files if PurePosixPath(name).parent == PurePosixPath(root)]


def _picture(pictures: Mapping[str, Sequence[str]], annotation: str, told: str) -> str | None:
    """Which picture is meant: of the annotation's name, else of the name `told` in it. Of several that in JPEGImages, else that
    beside the annotation, and there the one that is told; else the only one."""
    folder, told = PurePosixPath(annotation).parent, PurePosixPath(told.replace("\\", "/")).name
    names = PurePosixPath(annotation).stem, PurePosixPath(told).stem, told
    files = next((found for name in names if (found := pictures.get(_alike(name)))), ())
    for wanted in (folder.parent / "JPEGImages", folder):
        if inside := [file for file in files if PurePosixPath(file).parent == wanted]:
            return next((file for file in inside if PurePosixPath(file).name == told), inside[0])
    return files[0] if len(files) == 1 else None


def _alike(name: str) -> str:
    """A name by which it is looked for: systems write the letters of one name in two ways, ä as one sign or as two."""
    return unicodedata.normalize("NFC", name)


def _from_one(mark: Marked) -> Marked:
    """A box that counts pixels from 1 as one that counts from 0."""
    x1, y1, x2, y2 = (float(from_voc(side)) for side in mark.box)  # type: ignore[arg-type]
    return replace(mark, box=(x1, y1, x2, y2))


def _names(raw: bytes, file: str, known: Mapping[str, str]) -> list[str]:
    """A name in each line, that of a `known` picture or another; after it may stand whether an object of a class is there."""
    try:
        lines = [line.strip() for line in raw.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(file)}: is no text in UTF-8 ({error.reason} at byte {error.start})") from error
    names = [line if _alike(line) in known else _FLAG.sub("", line) for line in lines if line]
    return [known.get(_alike(name), name) for name in names]
