"""What data is made of: samples, data sets of them, and the splits they come in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.shown import ShownExamples, examples_of, tables
from pellucid.pictures import Drawn, Page, Tile, Tiles
from pellucid.pictures.tiles import drawable
from pellucid.plain import Array
from pellucid.seeds import require_seed
from pellucid.whole_numbers import whole_numbers


@dataclass(frozen=True)
class Sample(Drawn):
    """One picture: `image` is uint8 (C, H, W), `label` an index into the data set's classes."""

    image: Array
    label: int
    name: str

    def __str__(self) -> str:
        return f"{self.name}: {self.image.dtype} {'x'.join(map(str, self.image.shape))}, label {self.label}"

    def picture(self) -> Page:
        """The picture, as far as one can be drawn."""
        image = drawable(self.image)
        return Page(str(self), () if image is None else (Tiles("", (Tile(image),), 1),))


class Inputs(Protocol):
    """What a network is shown: `images` gives an array with a row for each index, pictures or other numbers."""

    name: str

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def images(self, indices: Array) -> Array:
        """What is at `indices` (N,): (N, *shape)."""
        ...


class Labeled(Inputs, Protocol):
    """Inputs with classes: `labels` are int64 (N,)."""

    classes: tuple[str, ...]
    labels: Array


class Normalizing(Protocol):
    """What makes the rows of a data set a network's input, float32."""

    def normalize(self, images: Array) -> Array: ...


def require_classes(name: str, labels: Array, classes: Sequence[str]) -> None:
    """Raise `DataError` where a label of the data set called `name` is none of its classes."""
    wrong = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if wrong.size:
        raise DataError(
            f"{name}: label {labels[wrong[0]]} at position {wrong[0]} is no class: there are {len(classes)}, numbered "
            f"from 0 ({wrong.size} of {len(labels)} labels are none); correct them, or leave those pictures out"
        )


class Dataset(Protocol):
    """Samples by position. `skipped` lists unreadable files that were left out, with the reason.

    `labels` int64 (N,) and `images` give many at once, `label` and `image` one.
    """

    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    skipped: tuple[str, ...]
    labels: Array

    def __len__(self) -> int: ...

    def images(self, indices: Array) -> Array:
        """The pictures at `indices` (N,), uint8 (N, C, H, W)."""
        ...

    def __getitem__(self, index: int) -> Sample: ...

    def image(self, index: int) -> Array:
        """The picture alone, uint8 (C, H, W)."""
        ...

    def label(self, index: int) -> int:
        """The label alone."""
        ...


class ArrayDataset(ShownExamples):
    """Pictures held in memory: images uint8 (N, C, H, W), labels (N,)."""

    skipped: tuple[str, ...] = ()

    def __init__(
        self, images: Array, labels: Sequence[int] | Array, classes: Sequence[str], name: str = "arrays"
    ) -> None:
        images, numbers = np.asarray(images), whole_numbers(name, "labels", labels, DataError)
        if images.ndim != 4 or images.dtype != np.uint8:
            raise DataError(f"{name}: images must be uint8 of shape (N, C, H, W), got {images.dtype} {images.shape}")
        if numbers.shape != images.shape[:1]:
            raise DataError(f"{name}: {len(images)} images need {len(images)} labels, got shape {numbers.shape}")
        if len(images) == 0:
            raise DataError(f"{name}: there is no image in it")
        require_classes(name, numbers, classes)
        self._images, self.labels = images, numbers
        self.classes, self.name = tuple(classes), name
        self.shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Sample:
        return Sample(self._images[index], int(self.labels[index]), f"{self.name}[{index}]")

    def images(self, indices: Array) -> Array:
        return self._images.take(indices, 0)

    def image(self, index: int) -> Array:
        return self._images[index]

    def label(self, index: int) -> int:
        return int(self.labels[index])


class PictureFiles(ShownExamples):
    """Pictures in files. `kept` uint8 (K, C, H, W) are the first K of them, decoded; the rest is decoded when asked for.

    `folder` is where the files are, or the archive.

    `checksums` tell what was in the files when they were first read.
    """

    def __init__(
        self,
        files: list[str],
        checksums: list[str],
        decode: Callable[[str], Array],
        kept: Array,
        name: str,
        skipped: tuple[str, ...] = (),
        folder: Path = Path(),
    ) -> None:
        self.folder = folder
        self.files, self.checksums, self.name, self.skipped = files, checksums, name, skipped
        self.shape = (int(kept.shape[1]), int(kept.shape[2]), int(kept.shape[3]))
        self._decode, self._kept = decode, kept

    def __len__(self) -> int:
        return len(self.files)

    def images(self, indices: Array) -> Array:
        is_kept = indices < len(self._kept)
        if is_kept.all():
            return self._kept.take(indices, 0)
        images = np.empty((len(indices), *self.shape), np.uint8)
        images[is_kept] = self._kept[indices[is_kept]]
        for place in np.flatnonzero(~is_kept):
            images[place] = self.image(int(indices[place]))
        return images

    def image(self, index: int) -> Array:
        return self._kept[index] if index < len(self._kept) else self._decode(self.files[index])


class FolderDataset(PictureFiles):
    """Pictures in files with the classes that they are of."""

    def __init__(
        self,
        files: list[str],
        labels: Array,
        checksums: list[str],
        decode: Callable[[str], Array],
        classes: tuple[str, ...],
        kept: Array,
        name: str,
        skipped: tuple[str, ...] = (),
        folder: Path = Path(),
    ) -> None:
        super().__init__(files, checksums, decode, kept, name, skipped, folder)
        self.labels, self.classes = labels, classes

    def label(self, index: int) -> int:
        return int(self.labels[index])

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.image(index), self.label(index), self.files[index])


def name_of(dataset: Any, index: int) -> str:
    """What a picture of a data set is called, as every command takes it: `digits[143]`, `photos/cat/3.jpg`."""
    if isinstance(dataset, Some):
        return name_of(dataset.parent, int(dataset.indices[index]))
    if isinstance(dataset, PictureFiles):
        return str(dataset.folder / dataset.files[index])
    return f"{dataset.name}[{index}]"


class Some(ShownExamples):
    """Some examples of another data set, in a given order."""

    def __init__(self, parent: Any, indices: Sequence[int] | Array, name: str) -> None:
        if len(indices) == 0:
            raise DataError(f"{name}: there is no image in it")
        if np.asarray(indices).dtype == bool:
            raise DataError(
                f"{name}: wants the positions of examples, got bools; of a mask they are np.flatnonzero(mask)"
            )
        self.parent, self.indices = parent, whole_numbers(name, "positions", indices, DataError)
        if (odd := self.indices[(self.indices < -len(parent)) | (self.indices >= len(parent))]).size:
            raise DataError(f"{name}: position {odd[0]} lies outside of {parent.name} with {len(parent)} examples")
        self.shape, self.name, self.skipped = parent.shape, name, parent.skipped

    def __len__(self) -> int:
        return len(self.indices)

    def images(self, indices: Array) -> Array:
        return self.parent.images(self.indices[indices])

    def image(self, index: int) -> Array:
        return self.parent.image(int(self.indices[index]))


class Subset(Some):
    """Some samples of another data set with classes, in a given order."""

    def __init__(self, parent: Dataset, indices: Sequence[int] | Array, name: str) -> None:
        super().__init__(parent, indices, name)
        self.labels, self.classes = parent.labels[self.indices], parent.classes

    def __getitem__(self, index: int) -> Sample:
        return self.parent[int(self.indices[index])]

    def label(self, index: int) -> int:
        return int(self.labels[index])


@dataclass(frozen=True)
class Parts(Drawn):
    """Data to train on, to choose by, and to report on, whatever there is to learn of it.

    `source` and `options` say how to load it again, `notes` what was left out of it and why. Where there are no pictures
    for a test, `test` is the same data set as `validation`.
    """

    train: Any
    validation: Any
    test: Any
    source: str = ""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.train.shape

    @property
    def test_part(self) -> str:
        """What `test` is: "test", or "validation" or "train" where it is the same data set as one of these."""
        return "validation" if self.test is self.validation else "train" if self.test is self.train else "test"

    def __str__(self) -> str:
        words = (f"{name}: {len(part):,}" for name, part in self.parts().items())
        return "\n".join([f"{self.source or 'data in memory'} ({', '.join(words)})", str(self.train), *self.notes])

    def picture(self) -> Page:
        """How many examples each part has of what, some of those to train on, and what was left out."""
        shown = (*self.notes, *examples_of(self.train), *tables(self.parts()))
        return Page(self.source or "Data in memory", shown)

    def parts(self) -> dict[str, Any]:
        """The data sets by name, each once."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in named.items() if name != "test" or self.test_part == "test"}


@dataclass(frozen=True)
class Splits(Parts):
    """Pictures with classes, to train on, to choose by, and to report on."""

    train: Dataset
    validation: Dataset
    test: Dataset

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.train.shape


@dataclass(frozen=True)
class Measured:
    """Pictures to measure a network on: which part of the data they are ("all" where it has none), and what was left out."""

    dataset: Any
    part: str
    notes: tuple[str, ...] = ()


def require_part(dataset: object) -> None:
    """Raise `DataError` for what is no data set of pictures, as all parts of the data together."""
    if isinstance(dataset, Parts):
        raise DataError("dataset is one part of the data, .train, .validation or .test; got all parts together")
    if not hasattr(dataset, "images"):
        raise DataError(f"dataset is pictures, as pl.load(...).test has them, got {type(dataset).__name__}")


def require_images(dataset: Inputs) -> None:
    """Raise `DataError` for a data set without pictures."""
    if len(dataset) == 0:
        raise DataError(f"{dataset.name}: there is no picture in it")


def split(dataset: Dataset, fractions: tuple[float, ...], names: tuple[str, ...], seed: int = 0) -> tuple[Subset, ...]:
    """Parts with the given fractions of every class, chosen by a counter-based shuffle keyed by `seed`.

    Raises `DataError` where a part would be empty.
    """
    parts: list[list[Array]] = [[] for _ in names]
    for label in range(len(dataset.classes)):
        members = np.flatnonzero(dataset.labels == label)
        order = generator(seed, 1, label).permutation(members)
        edges = np.round(np.cumsum([0.0, *fractions]) * len(order)).astype(int)
        for part, start, stop in zip(parts, edges[:-1], edges[1:], strict=True):
            part.append(order[start:stop])
    for part, name in zip(parts, names, strict=True):
        if not any(map(len, part)):
            raise DataError(
                f"{dataset.name}: {len(dataset)} pictures of {len(dataset.classes)} classes are too few to cut a {name} part from; "
                "give about 7 or more of every class, or say yourself which are for what, in folders train/class/ and "
                "validation/class/ (and test/class/)"
            )
    return tuple(
        Subset(dataset, np.sort(np.concatenate(part)), f"{dataset.name}/{name}")
        for part, name in zip(parts, names, strict=True)
    )


def generator(seed: int, *key: int) -> np.random.Generator:
    """A counter-based generator: the same seed and key give the same numbers, whatever was drawn before."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((require_seed(seed), *key))))
