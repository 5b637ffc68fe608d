"""Pictures with the objects on them: what detectors learn from and are measured on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pellucid.data import DataError
from pellucid.detect.boxes import BoxError, as_boxes
from pellucid.errors import suggest
from pellucid.plain import Array
from pellucid.whole_numbers import whole_numbers


@dataclass(frozen=True)
class Objects:
    """The objects on a picture: `boxes` float64 (N, 4) as in `boxes`, `labels` int64 (N,), and which are `difficult`, bool (N,).

    What is difficult (or one box for a crowd) need not be found: finding it counts neither for nor against a detector.
    """

    boxes: Array
    labels: Array
    difficult: Array

    def __post_init__(self) -> None:
        """Lists are taken too. Raises `BoxError` for boxes that are none, and for what does not fit together."""
        boxes = as_boxes(self.boxes, "objects")
        labels = whole_numbers("objects", "labels", self.labels, BoxError)
        difficult = np.asarray(self.difficult, bool)
        if labels.shape != (len(boxes),) or difficult.shape != (len(boxes),):
            raise BoxError(
                f"objects: {len(boxes)} boxes want as many labels and marks of what is difficult, got {labels.shape} and {difficult.shape}"
            )
        for name, array in (("boxes", boxes), ("labels", labels), ("difficult", difficult)):
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def none(cls) -> Objects:
        """Those of a picture without any."""
        return cls(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, bool))


@dataclass(frozen=True)
class PicturesWithBoxes:
    """Pictures by position: `names` as files of theirs are called, without folders and endings; `objects` of each.

    `sizes` are (width, height). `read(position)` decodes one, uint8 (3, H, W). Raises `DataError` where a picture is not there.
    """

    name: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    objects: tuple[Objects, ...]
    sizes: tuple[tuple[int, int], ...]
    read: Callable[[int], Array] = field(repr=False, compare=False)
    missing: frozenset[str] = frozenset()
    """Names of pictures whose file is not there."""

    def __post_init__(self) -> None:
        """Raises `DataError` where there is not one of each for each picture, and for an object of a class that there is not."""
        if not len(self.names) == len(self.objects) == len(self.sizes):
            raise DataError(
                f"{self.name}: wants a name, objects and a size of each picture, got {len(self.names)} names, "
                f"objects of {len(self.objects)} and {len(self.sizes)} sizes"
            )
        for name, objects in zip(self.names, self.objects, strict=True):
            if (odd := objects.labels[(objects.labels < 0) | (objects.labels >= len(self.classes))]).size:
                raise DataError(
                    f"{self.name}: {name} has an object of class {odd[0]}; there are {len(self.classes)}, numbered from 0"
                )

    def __len__(self) -> int:
        return len(self.names)

    def chosen(self, positions: list[int], name: str) -> PicturesWithBoxes:
        """Some of the pictures, in a given order."""
        return PicturesWithBoxes(
            name,
            self.classes,
            tuple(self.names[k] for k in positions),
            tuple(self.objects[k] for k in positions),
            tuple(self.sizes[k] for k in positions),
            lambda k: self.read(positions[k]),
            self.missing,
        )

    def of_classes(self, classes: Sequence[str]) -> PicturesWithBoxes:
        """All pictures, with the objects of some classes alone. Raises `DataError` for a class that there is not."""
        for name in classes:
            if name not in self.classes:
                raise DataError(f"{self.name}: has no class {name!r}{suggest(name, self.classes)}")
        numbers = np.array([classes.index(name) if name in classes else -1 for name in self.classes], np.int64)
        objects = tuple(
            Objects(o.boxes[own], numbers[o.labels[own]], o.difficult[own])
            for o in self.objects
            for own in [numbers[o.labels] >= 0]
        )
        return replace(self, classes=tuple(classes), objects=objects)

    def counts(self) -> dict[str, int]:
        """Objects of each class that are not difficult."""
        labels = [o.labels[~o.difficult] for o in self.objects]
        found = np.bincount(np.concatenate([*labels, np.zeros(0, np.int64)]), minlength=len(self.classes))
        return dict(zip(self.classes, found.tolist(), strict=True))


def require_pictures(pictures: PicturesWithBoxes) -> None:
    """Raise `DataError` for what is no pictures with boxes, such as all parts of a source together."""
    if not isinstance(pictures, PicturesWithBoxes):  # pyright: ignore[reportUnnecessaryIsInstance]
        remedy = "; its `whole`, or one of its `parts`, is some" if isinstance(pictures, BoxData) else ""
        raise DataError(f"wants PicturesWithBoxes, got a {type(pictures).__name__}{remedy}")


def joined(parts: Sequence[PicturesWithBoxes], classes: Sequence[str]) -> PicturesWithBoxes:
    """All pictures of several parts as one, with `classes`. Raises `DataError` for a class of theirs that is not among these."""
    numbered: list[Objects] = []
    for part in parts:
        numbers = np.array([classes.index(name) if name in classes else -1 for name in part.classes], np.int64)
        for objects in part.objects:
            labels = numbers[objects.labels]
            for label in objects.labels[labels < 0][:1].tolist():
                name = part.classes[label]
                raise DataError(f"{part.name}: has the class {name!r}, which is not among {', '.join(classes)}")
            numbered.append(replace(objects, labels=labels))
    places = [(part, k) for part in parts for k in range(len(part))]
    return PicturesWithBoxes(
        " + ".join(dict.fromkeys(part.name for part in parts)),
        tuple(classes),
        tuple(part.names[k] for part, k in places),
        tuple(numbered),
        tuple(part.sizes[k] for part, k in places),
        lambda k: places[k][0].read(places[k][1]),
        frozenset[str]().union(*(part.missing for part in parts)),
    )


@dataclass(frozen=True)
class BoxData:
    """All pictures of a source, `whole`, and the `parts` that it names (train, val, trainval, test), as far as it does.

    `notes` say what was left out or changed, and why.
    """

    whole: PicturesWithBoxes
    parts: Mapping[str, PicturesWithBoxes]
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, sorted."""
        return self.whole.classes

    def part(self, name: str = "") -> tuple[str, PicturesWithBoxes]:
        """The pictures to measure on and what part they are: test, else val, else all; or the part that is named."""
        if name == "all":
            return name, self.whole
        if name and name not in self.parts:
            there = ", ".join([*self.parts, "all"])
            raise DataError(f"{self.whole.name}: has no part {name!r}; there are: {there}")
        for one in (name,) if name else ("test", "val"):
            if one in self.parts:
                return one, self.parts[one]
        return "all", self.whole
