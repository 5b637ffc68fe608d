"""What a detector finds on pictures, and the files that keep it."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from pellucid.data import DataError
from pellucid.data.listing import is_there, read_file, shown, some
from pellucid.detect.boxes import TOO_FAR, BoxError, are_far, as_boxes, from_voc, told
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes, require_pictures
from pellucid.detect.reading.annotation import number
from pellucid.detect.reading.box_table import rows_of
from pellucid.errors import suggest
from pellucid.plain import Array
from pellucid.whole_numbers import whole_numbers

COLUMNS = ("file", "x1", "y1", "x2", "y2", "class", "score")
_RESULT = re.compile(r"comp\d+_det_(\w+?)_(.+)\.txt")
"""How the development kit calls its files of results: competition, part, class."""


@dataclass(frozen=True)
class Detections:
    """What was found on one picture: `boxes` float64 (N, 4) as in `boxes`, `labels` int64 (N,), `scores` float64 (N,)."""

    boxes: Array
    labels: Array
    scores: Array

    def __post_init__(self) -> None:
        """Lists are taken too. Raises `BoxError` for labels that are no whole numbers, and for what does not fit together."""
        boxes, scores = np.asarray(self.boxes, np.float64), np.asarray(self.scores, np.float64)
        boxes = boxes if boxes.size else np.zeros((0, 4))
        labels = whole_numbers("detections", "labels", self.labels, BoxError)
        if boxes.shape != (labels.size, 4) or not labels.shape == scores.shape == (len(boxes),):
            raise BoxError(
                f"detections: wants boxes (N, 4), N labels and N scores, got {boxes.shape}, {labels.shape} and {scores.shape}"
            )
        for name, array in (("boxes", boxes), ("labels", labels), ("scores", scores)):
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def of(cls, boxes: Array, labels: Array, scores: Array, what: str = "detections") -> Detections:
        """These, looked at; raises `BoxError` where they do not fit together or are not finite."""
        checked = as_boxes(boxes, what)
        try:
            given, sure = np.asarray(labels), np.asarray(scores, np.float64)
            numbers = given.astype(np.int64)
        except (TypeError, ValueError, OverflowError) as error:
            raise BoxError(f"{what}: labels are the numbers of classes, scores are numbers ({error})") from error
        if numbers.shape != (len(checked),) or sure.shape != (len(checked),) or not np.isfinite(sure).all():
            raise BoxError(
                f"{what}: {len(checked)} boxes want as many labels and finite scores, got {numbers.shape}, {sure.shape}"
            )
        if (odd := given[given != numbers]).size:
            raise BoxError(f"{what}: labels are the numbers of classes, whole ones, got {odd[0]}")
        return cls(checked, numbers, sure)


def require_fitting(detections: Sequence[Detections], pictures: PicturesWithBoxes) -> None:
    """Raise `DataError` where there is not one of `detections` for each of `pictures`, or one has a class that there is not, or a score or a
    box that makes no sense."""
    require_pictures(pictures)
    if len(detections) != len(pictures):
        raise DataError(f"{pictures.name}: {len(pictures)} pictures want as many detections, got {len(detections)}")
    classes = len(pictures.classes)
    for name, found in zip(pictures.names, detections, strict=True):
        if not isinstance(found, Detections):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DataError(f"{name}: wants Detections, got a {type(found).__name__}")
        if (odd := found.labels[(found.labels < 0) | (found.labels >= classes)]).size:
            raise DataError(f"{name}: a detection has the class {odd[0]}, and they are 0 to {classes - 1}")
        if not np.isfinite(found.scores).all():
            raise DataError(f"{name}: a detection has a score that is no finite number")
        if not np.isfinite(found.boxes).all():
            raise DataError(f"{name}: a detection has a box whose sides are no finite numbers")
        if (far := found.boxes[are_far(found.boxes)]).size:
            raise DataError(f"{name}: a detection has the box {told(far[0])}; {TOO_FAR}")
        if (turned := found.boxes[(found.boxes[:, 2:] < found.boxes[:, :2]).any(1)]).size:
            raise DataError(f"{name}: a detection has the box {told(turned[0])}, which has no extent")


def read_detections(source: str | Path, pictures: PicturesWithBoxes) -> tuple[list[Detections], tuple[str, ...]]:
    """What a file or folder of results says of each of `pictures`, and notes on what it says of others.

    A .csv table file,x1,y1,x2,y2,class,score (pixels count from 0), or a folder of the files that VOC's development kit takes,
    comp3_det_test_car.txt with lines NAME SCORE X1 Y1 X2 Y2 (pixels count from 1). Raises `DataError`.
    """
    path = Path(source)
    if not is_there(path):
        raise DataError(f"{shown(str(source))}: there is no such file or folder of detections")
    places = {name: place for place, name in enumerate(pictures.names)}
    numbers = {name: number for number, name in enumerate(pictures.classes)}
    rows: dict[int, list[tuple[Array, int, float]]] = defaultdict(list)
    unknown: dict[str, None] = {}
    called: dict[str, str] = {}
    for where, names, label, box, score in _folder(path, places) if path.is_dir() else _table(path):
        if label not in numbers:
            known = ", ".join(pictures.classes)
            raise DataError(f"{where}: {pictures.name} has no class {label!r}{suggest(label, numbers)}; it has {known}")
        if not (all(map(math.isfinite, (*box, score))) and (box[2:] >= box[:2]).all()):
            raise DataError(f"{where}: wants a box of four finite numbers, x1 to x2 and y1 to y2, and a finite score")
        if are_far(box):
            raise DataError(f"{where}: the box is {told(box)}; {TOO_FAR}")
        name = next((one for one in names if one in places), None)
        if name is not None:
            if called.setdefault(name, names[0]) != names[0]:
                raise DataError(
                    f"{where}: {shown(names[0])} and {shown(called[name])} are both taken for the picture {shown(name)} of "
                    f"{pictures.name}; leave out what is of another picture, and write a name in one way"
                )
            rows[places[name]].append((box, numbers[label], score))
        else:
            unknown[names[-1]] = None
    found = [_together(rows.get(place, [])) for place in range(len(pictures))]
    return found, ((some(list(unknown), f"pictures are not in {pictures.name}, left out"),) if unknown else ())


Row = tuple[str, tuple[str, ...], str, Array, float]
"""Where it stands, what its picture may be called, its class, box and score."""


def _together(rows: list[tuple[Array, int, float]]) -> Detections:
    if not rows:
        return Detections(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    boxes, labels, scores = zip(*rows, strict=True)
    return Detections(np.stack(boxes), np.array(labels, np.int64), np.array(scores, np.float64))


def _table(path: Path) -> Iterator[Row]:
    for line, cells in rows_of(path, COLUMNS):
        file = PurePosixPath(cells[0].replace("\\", "/"))
        short = file.with_suffix("") if file.name else file
        names = str(file), str(short), file.name, short.name
        yield (
            f"{shown(str(path))}: line {line}",
            names,
            cells[5],
            np.array([*map(number, cells[1:5])]),
            number(cells[6]),
        )


def _folder(path: Path, known: Container[str]) -> Iterator[Row]:
    """The lines of the development kit's files; a `known` picture's name may have spaces, and another's that do not end in a number."""
    files: Mapping[Path, re.Match[str]] = {p: m for p in sorted(path.iterdir()) if (m := _RESULT.fullmatch(p.name))}
    if not files:
        raise DataError(
            f"{shown(str(path))}: has no results as VOC's development kit writes them, comp3_det_test_car.txt and the like"
        )
    if len({(m[0].partition("_")[0], m[1]) for m in files.values()}) > 1:
        raise DataError(f"{shown(str(path))}: has results of several competitions or parts; keep one in a folder")
    for file, match in files.items():
        try:
            lines = read_file(file).decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(f"{shown(str(file))}: is no text in UTF-8 ({error.reason})") from error
        for count, line in enumerate(lines, 1):
            cells = line.strip().rsplit(maxsplit=5)
            where = f"{shown(str(file))}: line {count}"
            words = cells[0].split() if cells else []
            if cells and (
                len(cells) != 6 or (words[1:] and cells[0] not in known and math.isfinite(number(words[-1])))
            ):
                raise DataError(f"{where}: wants NAME SCORE X1 Y1 X2 Y2, got {len(line.split())} words")
            if cells:
                names = cells[0], PurePosixPath(cells[0]).name
                yield where, names, match[2], from_voc(np.array([*map(number, cells[2:])])), number(cells[1])
