"""How data was split, as plain data: which pictures are in which part, so that the very same parts can be had again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.listing import Listing, is_there, listing, shown, some
from pellucid.data.numbered import NumberArrays
from pellucid.data.sample import Array, ArrayDataset, Parts, PictureFiles, Some
from pellucid.pictures import Answer, Grid, Page
from pellucid.plain import PlainError, read
from pellucid.text import amount

OPTIONS: dict[str, Any] = {
    "seed": int,
    "image_size": int | None,
    "size": list[int],
    "channels": int,
    "on_bad_image": str,
    "targets": list[str],
}
AT_ONCE = 256  # pictures
LOOKS = 32  # files
Files = Mapping[str, Mapping[str, str]]
"""Of one part: by class and file the `checksum` of what is in the file."""


@dataclass(frozen=True)
class PartRecord:
    """One part: how many pictures it has, a digest of them in order with their classes, and the files, if it is of files."""

    count: int
    digest: str
    files: Files | None = None

    @classmethod
    def of(cls, dataset: Any, targets: Array | None = None) -> PartRecord:
        """What `dataset` holds. Inputs of data sets that are not Pellucid's own are not looked at, their labels are.

        Of one that has no labels `targets` (N, ...) are what is learned of it.
        """
        names, checksums = _contents(dataset, np.arange(len(dataset)))
        known, classes = _learned(dataset, targets)
        lines = json.dumps([known, names, checksums, classes])
        digest = hashlib.blake2b(lines.encode(), digest_size=16).hexdigest()
        if names is None or checksums is None:
            return cls(len(dataset), digest)
        files: dict[str, dict[str, str]] = {}
        for name, checksum, label in zip(names, checksums, classes, strict=True):
            files.setdefault(label, {})[name] = checksum
        return cls(len(dataset), digest, files)


@dataclass(frozen=True)
class SplitRecord(Answer):
    """Where data came from, with which options of `load`, what is in each part, and what was left out.

    `test` is the part that results are reported on: "test", or another where the data has no test pictures of its own.
    """

    source: str
    options: Mapping[str, Any]
    parts: Mapping[str, PartRecord]
    test: str
    skipped: Sequence[str] = ()
    notes: Sequence[str] = field(default=())
    places: Sequence[str] = ()
    """Where files lay: as seen from the folder that the record is kept in, and as a whole path."""

    @classmethod
    def of(cls, splits: Parts, targets: Callable[[Any], Array] | None = None) -> SplitRecord:
        """That of data as it is loaded; `targets` gives those of a part without labels."""
        parts = {
            name: PartRecord.of(part, None if targets is None else targets(part))
            for name, part in splits.parts().items()
        }
        return cls(
            splits.source, dict(splits.options), parts, splits.test_part, tuple(splits.train.skipped), splits.notes
        )

    @property
    def digest(self) -> str:
        """One for all parts: it is another as soon as a picture is added, removed, changed, or moved between classes or parts."""
        lines = json.dumps({name: part.digest for name, part in self.parts.items()}, sort_keys=True)
        return hashlib.blake2b(lines.encode(), digest_size=16).hexdigest()

    def placed(self) -> dict[str, tuple[str, str, str]]:
        """{file: (part, class, checksum)} of data in files; empty for other data."""
        return {
            file: (part, label, checksum)
            for part, record in self.parts.items()
            for label, files in (record.files or {}).items()
            for file, checksum in files.items()
        }

    def placed_from(self, folder: Path) -> SplitRecord:
        """The same, to be kept in `folder`: with the places where its files lie, if they lie anywhere."""
        path = Path(self.source)
        if not self.source or not is_there(path):
            return self
        whole = os.path.abspath(path)
        places = (os.path.relpath(whole, os.path.abspath(folder)), whole)
        return replace(self, places=tuple(place for place in places if shown(place) == place))

    def found_from(self, folder: Path) -> str:
        """Where the data is now that was recorded in `folder`: the first of its places where something is, by its old name if it can.

        Raises `DataError` that names the places where it was looked for.
        """
        if not self.places and not self.placed():
            return self.source
        tried: dict[str, None] = {}
        for place in (*(folder / place for place in self.places), self.source):
            if is_there(place):
                as_named = is_there(self.source) and Path(place).samefile(self.source)
                return self.source if as_named else os.path.normpath(place)
            tried[os.path.abspath(place)] = None
        raise DataError(
            f"{shown(str(folder))}: its data is no longer where it was: {' and '.join(map(shown, tried))} "
            f"{'is' if len(tried) == 1 else 'are'} not there. Say where it is now, with --data (in Python: data=)"
        )

    def is_of(self, path: Path) -> bool:
        """Whether the files at `path`, a folder or a table, are those of the record, as a look at some of them says."""
        placed = self.placed()
        if not placed or not is_there(path):
            return False
        files, root = sorted(placed), path.parent if path.suffix.lower() == ".csv" else path
        there = listing(root) if root.is_dir() or root.suffix.lower() == ".zip" else None
        if there is None:
            return False
        names = set(there.names)
        looked_at = files[:: max(1, len(files) // LOOKS)]
        same = [name for name in looked_at if name in names and _checksum_of(there, name) == placed[name][2]]
        return len(same) > len(looked_at) / 2

    def changes(self, now: SplitRecord) -> tuple[str, ...]:
        """What is different in `now`, in words; empty where every part has the same pictures."""
        if self.digest == now.digest:
            return ()
        before, after = self.placed(), now.placed()
        if not before or not after:
            both = {name: (self.parts.get(name), now.parts.get(name)) for name in {**self.parts, **now.parts}}
            return tuple(_part_change(name, *records) for name, records in both.items() if records[0] != records[1])
        common = [file for file in before if file in after]
        found = (
            ("gone", [file for file in before if file not in after]),
            ("new", [file for file in after if file not in before]),
            ("of other content", [f for f in common if before[f][2] != after[f][2]]),
            (
                "with other numbers" if "targets" in self.options else "of another class",
                [f for f in common if before[f][1] != after[f][1]],
            ),
            ("in another part", [f for f in common if before[f][0] != after[f][0]]),
        )
        return tuple(
            some(files, f"{'picture is' if len(files) == 1 else 'pictures are'} {what}")
            for what, files in found
            if files
        ) or ("the order of the pictures is another",)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "digest": self.digest}

    def __str__(self) -> str:
        return "\n".join([str(self.grid()), *self._words()])

    def grid(self) -> Grid:
        """How many pictures each part has."""
        return Grid(["part", "pictures"], [[name, f"{part.count:,}"] for name, part in self.parts.items()], "lr")

    def picture(self) -> Page:
        """The parts, and what was left out."""
        return Page(f"Pictures of {self.source or 'data in memory'}", (self.grid(), *self._words()))

    def _words(self) -> list[str]:
        return [*self.notes, *(f"skipped {line}" for line in self.skipped)]

    @classmethod
    def from_dict(cls, plain: Any) -> SplitRecord:
        """The inverse of `to_dict`; raises `DataError` for anything else."""
        try:
            entries = dict(read(dict[str, Any], plain))
            digest = entries.pop("digest", None)
            record = read(cls, entries)
            for name in OPTIONS.keys() & record.options.keys():
                read(OPTIONS[name], record.options[name])
        except PlainError as error:
            raise DataError(f"not a record of how data was split ({error})") from error
        if (
            not {"train", "validation"} <= set(record.parts)
            or record.test not in record.parts
            or record.digest != digest
        ):
            raise DataError("a record of how data was split is damaged; it does not fit its own digest")
        return record


def checksum(raw: bytes) -> str:
    """16 hexadecimal digits that tell what is in a file or picture."""
    return hashlib.blake2b(raw, digest_size=8).hexdigest()


def _checksum_of(files: Listing, name: str) -> str:
    """The checksum of a file; "" for one that cannot be read."""
    try:
        return checksum(files.read(name))
    except (DataError, OSError):
        return ""


def _part_change(name: str, before: PartRecord | None, after: PartRecord | None) -> str:
    if before is None or after is None:
        return f"the part {name} is {'new' if before is None else 'gone'}"
    if before.count != after.count:
        return f"{name} had {amount(before.count, 'picture')}, now {after.count}"
    return f"{name} has other pictures, classes or labels"


def _learned(dataset: Any, targets: Array | None) -> tuple[list[str], list[str]]:
    """The classes of a data set, and the name of each example's; without labels nothing, and what tells its target."""
    if hasattr(dataset, "labels"):
        return list(dataset.classes), [dataset.classes[label] for label in dataset.labels]
    if hasattr(dataset, "quantities"):
        return list(map(str, dataset.quantities)), [",".join(map(repr, row)) for row in dataset.targets.tolist()]
    return [], [] if targets is None else [checksum(np.ascontiguousarray(row).tobytes()) for row in targets]


def _contents(dataset: Any, indices: Array) -> tuple[list[str] | None, list[str] | None]:
    """Names and checksums of the pictures at `indices`: names of files only, checksums where pictures are at hand."""
    if isinstance(dataset, Some):
        return _contents(dataset.parent, dataset.indices[indices])
    if isinstance(dataset, PictureFiles):
        return [dataset.files[i] for i in indices], [dataset.checksums[i] for i in indices]
    if not isinstance(dataset, ArrayDataset | NumberArrays):
        return None, None
    parts = (dataset.images(indices[i : i + AT_ONCE]) for i in range(0, len(indices), AT_ONCE))
    return None, [checksum(np.ascontiguousarray(image).tobytes()) for part in parts for image in part]
