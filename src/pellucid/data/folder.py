"""Pictures in folders, one folder per class; or the same inside of a .zip file, read in place."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.image import read_image
from pellucid.data.layout import PARTS, Layout, arrange
from pellucid.data.listing import Listing, is_image_name, listing, shown, some
from pellucid.data.record import SplitRecord, checksum
from pellucid.data.sample import Array, Dataset, FolderDataset, Measured, Splits, Subset, split
from pellucid.data.size import Size, as_options, sides
from pellucid.errors import suggest
from pellucid.progress import progress, tell
from pellucid.real_numbers import is_real
from pellucid.text import amount, first_names

ORDER = ("", *dict.fromkeys(PARTS.values()))  # "" where there are no parts yet; those to train on come first


@dataclass(frozen=True)
class Reading:
    """How pictures in files are read: side and channels, what to do with unreadable ones, memory to keep decoded ones in."""

    image_size: Size | None = None
    channels: int = 3
    on_bad_image: str = "error"
    cache_mb: float | None = None

    def __post_init__(self) -> None:
        if self.on_bad_image not in ("error", "skip"):
            raise DataError(f"on_bad_image must be 'error' or 'skip', got {self.on_bad_image!r}")
        if self.image_size is not None and not sides(self.image_size):
            raise DataError(f"image_size must be at least 1, got {self.image_size}")
        cache_bytes(self.cache_mb)

    @property
    def size(self) -> tuple[int, int] | None:
        """Rows and columns of the pictures; None for those that they have."""
        return sides(self.image_size)


def folder(
    path: Path,
    image_size: Size | None = None,
    channels: int = 3,
    seed: int = 0,
    on_bad_image: str = "error",
    cache_mb: float | None = None,
    record: SplitRecord | None = None,
) -> Splits:
    """Splits from `root/{train,val,test}/class/*.jpg`, or from `root/class/*.jpg` cut 70:15:15 by `seed`.

    Named parts win over whatever lies beside them; what is left out is in the notes. Validation pictures are cut from
    those to train on where there are none; without a test part `test` is `validation`. Without an image size all
    pictures must have one size. Every picture is decoded once, and the decoded ones are kept in `cache_mb` MiB of memory
    (default: the environment's PELLUCID_CACHE_MB, else 1024), those to train on first; what does not fit is decoded
    again whenever it is asked for. Unreadable pictures are an error that lists them all, or with `on_bad_image="skip"`
    are left out and listed in `skipped`. With a `record` the parts are those written down there, as
    far as the files are still there; what has changed is in the notes.
    """
    reading = Reading(image_size, channels, on_bad_image, cache_mb)
    options = {"seed": seed, **as_options(image_size), "channels": channels, "on_bad_image": on_bad_image}
    files = listing(path)
    if record is None:
        layout = arrange(path, files)
        parts = _read(path, files, layout, reading, _require_two(path, layout))
        return Splits(*_complete(parts, path, seed), str(path), options, layout.notes)
    layout = _recorded(path, files, record)
    parts = _read(path, files, layout, reading, _require_two(path, layout))
    for name in record.parts:
        if name not in parts:
            raise DataError(f"{path}: of the {record.parts[name].count} {name} pictures of the record none is there")
    three = parts["train"], parts["validation"], parts[record.test]
    splits = Splits(*three, str(path), options)
    return replace(splits, notes=_since(path, files, splits, record))


def measured_folder(path: Path, reading: Reading, classes: tuple[str, ...] = ()) -> Measured:
    """The test part of a folder or archive; without one its validation, else its train part; all where there are no parts.

    Its classes are those in the folder, or the `classes` of a network, of which it may have some only.
    """
    files = listing(path)
    layout = arrange(path, files, classes)
    part = next(name for name in ("test", "validation", "train", "") if name in layout.found)
    if classes:
        _require_known(path, layout.found[part], classes)
    read = _read(path, files, layout, reading, classes or _classes(layout), part)
    return Measured(read[part], part or "all", layout.notes)


def _require_known(path: Path, members: list[tuple[str, str]], classes: tuple[str, ...]) -> None:
    """Raise `DataError` for pictures in folders that are called like none of the `classes`."""
    strange = Counter(label for label, _ in members if label not in classes)
    if strange:
        counts = ", ".join(
            f"{shown(name)} ({amount(count, 'picture')}){suggest(name, classes)}" for name, count in strange.items()
        )
        raise DataError(
            f"{shown(str(path))}: has folders that are no classes of the network: {counts}; it knows the classes "
            f"{first_names(classes)}. Rename these folders, or move them away"
        )


def _classes(layout: Layout) -> tuple[str, ...]:
    """The names of all class folders, sorted."""
    return tuple(sorted({label for members in layout.found.values() for label, _ in members}))


def _require_two(path: Path, layout: Layout) -> tuple[str, ...]:
    """The classes to learn; raises `DataError` where there is but one."""
    classes = _classes(layout)
    if len(classes) < 2:
        found = f"found one class only ({', '.join(classes)})"
        left_out = "".join(f"\n  {note}" for note in layout.notes)
        raise DataError(
            f"{shown(str(path))}: {found}; training needs two folders of pictures or more: put pictures of something else "
            f"into a second folder beside it{left_out}"
        )
    return classes


def _read(
    path: Path,
    files: Listing,
    layout: Layout,
    reading: Reading,
    classes: tuple[str, ...],
    only: str | None = None,
) -> dict[str, Subset]:
    """The parts by name, or `only` one of them; all have the same `classes`."""
    wanted = {name: members for name, members in layout.found.items() if only in (None, name)}
    size = reading.size

    def decode(file: str, raw: bytes | None = None) -> Array:
        return read_image(files.read(file) if raw is None else raw, reading.channels, size, shown(file))

    with progress("reading pictures"):
        decoded = decode_all(wanted, files.read, decode, cache_bytes(reading.cache_mb))
    _require_readable(path, decoded, wanted, reading.on_bad_image)
    numbers = {label: number for number, label in enumerate(classes)}
    labels = np.array([numbers[label] for _, label, _ in decoded.readable], np.int64)
    whole = FolderDataset(
        [file for _, _, file in decoded.readable],
        labels,
        decoded.checksums,
        decode,
        classes,
        decoded.kept,
        path.name,
        tuple(decoded.bad),
        path,
    )
    places = np.array([name for name, _, _ in decoded.readable])
    return {
        name: Subset(whole, np.flatnonzero(places == name), f"{path.name}/{name}" if name else path.name)
        for name in wanted
    }


def require_one_size(source: str, decoded: Decoded, on_bad_image: str) -> None:
    """Raise `DataError` unless the pictures of a `source` could be read, and are all of one size."""
    bad = decoded.bad
    if bad and on_bad_image == "error":
        lines = "\n  ".join(bad[:20]) + (f"\n  and {len(bad) - 20} more" if len(bad) > 20 else "")
        raise DataError(
            f"{source}: {len(bad)} unreadable pictures:\n  {lines}\nRemove them, or leave them out with on_bad_image='skip' (--on-bad-image skip)"
        )
    if not decoded.sizes:
        raise DataError(f"{source}: no readable picture in it")
    if len(decoded.sizes) > 1:
        several = ", ".join(f"{h}x{w}" for h, w in sorted(decoded.sizes)[:4])
        raise DataError(
            f"{source}: pictures have {len(decoded.sizes)} sizes ({several}, ...); give image_size (--image-size 64, or --size 48x64)"
        )


def _require_readable(
    path: Path, decoded: Decoded, wanted: dict[str, list[tuple[str, str]]], on_bad_image: str
) -> None:
    """Raise `DataError` unless pictures could be read, as many as are needed and all of one size."""
    source = shown(str(path))
    require_one_size(source, decoded, on_bad_image)
    readable = {(part, label) for part, label, _ in decoded.readable}
    for part, members in wanted.items():
        needed = {label for label, _ in members} if part in ("", "train") else set[str]()
        for label in sorted(needed - {label for name, label in readable if name == part}):
            raise DataError(f"{source}: no picture of the class {shown(label)} is readable; remove its folder")
        if all(name != part for name, _ in readable):
            raise DataError(f"{source}: no picture of the part {part} is readable; remove its folder")


def _complete(parts: dict[str, Subset], path: Path, seed: int) -> tuple[Dataset, Dataset, Dataset]:
    """Training, validation and test pictures of the parts that there are."""
    if "" in parts:
        train, validation, test = split(parts[""], (0.7, 0.15, 0.15), ("train", "validation", "test"), seed)
        return train, validation, test
    if "train" not in parts:
        raise DataError(f"{shown(str(path))}: has {', '.join(parts)} but no train folder")
    train, validation, test = parts["train"], parts.get("validation"), parts.get("test")
    if validation is None:
        train, validation = split(train, (0.9, 0.1), ("train", "validation"), seed)
    return train, validation, validation if test is None else test


def _recorded(path: Path, files: Listing, record: SplitRecord) -> Layout:
    """The files of a record that are still there, as they were arranged then."""
    there = set(files.names)
    found: dict[str, list[tuple[str, str]]] = {}
    for file, (part, label, _) in record.placed().items():
        if file in there:
            found.setdefault(part, []).append((label, file))
    if not found:
        raise DataError(f"{shown(str(path))}: none of the pictures is there that the record names")
    return Layout(found, ())


def _since(path: Path, files: Listing, splits: Splits, record: SplitRecord) -> tuple[str, ...]:
    """What has changed since the record was made, in words; pictures that came since are in no part."""
    known = record.placed()
    try:
        labeled = [file for members in arrange(path, files).found.values() for _, file in members]
    except DataError:  # what has come makes no sense of the whole
        labeled = [name for name in files.names if is_image_name(name)]
    unknown = [name for name in labeled if name not in known]
    new = [name for name in unknown if not any(line.startswith(f"{shown(name)}: ") for line in record.skipped)]
    have = "picture has" if len(new) == 1 else "pictures have"
    said = [some(new, f"{have} come since the data was split, left out")] if new else []
    return (*said, *(f"since the data was split {change}" for change in record.changes(SplitRecord.of(splits))))


def cache_bytes(cache_mb: float | None = None) -> int:
    """The memory that decoded pictures may take: `cache_mb` MiB, or PELLUCID_CACHE_MB, or 1024 MiB."""
    given = os.environ.get("PELLUCID_CACHE_MB", "1024") if cache_mb is None else cache_mb
    try:
        megabytes = float(given) if isinstance(given, str) or is_real(given) else -1.0
    except ValueError:
        megabytes = -1.0
    if not 0 <= megabytes < math.inf:
        raise DataError(f"cache_mb (or PELLUCID_CACHE_MB) must be a number of MiB, 0 or more, got {given!r}")
    return int(megabytes * 2**20)


@dataclass
class Decoded:
    """What decoding every picture of a folder gave."""

    kept: Array
    readable: list[tuple[str, str, str]]
    """(split, class, file) of every readable picture; the first of them are `kept`."""
    checksums: list[str]
    """Of what is in each of their files."""
    sizes: set[tuple[int, int]]
    bad: list[str]
    """What is wrong with the others."""


def decode_all(
    found: dict[str, list[tuple[str, str]]],
    read: Callable[[str], bytes],
    decode: Callable[[str, bytes], Array],
    room: int,
) -> Decoded:
    """Decode every picture once, those to train on first, and keep as many as `room` bytes hold."""
    everything = [(name, label, file) for name in ORDER for label, file in found.get(name, [])]
    result = Decoded(np.empty((0, 0, 0, 0), np.uint8), [], [], set(), [])
    for number, (name, label, file) in enumerate(everything):
        tell(number + 1, len(everything))
        try:
            raw = read(file)
            image = decode(file, raw)
        except DataError as error:
            result.bad.append(str(error))
            continue
        except OSError as error:
            result.bad.append(f"{shown(file)}: cannot be read ({error.strerror})")
            continue
        if not result.sizes:
            capacity = min(len(everything) - number, room // image.size)
            result.kept = np.empty((capacity, *image.shape), np.uint8)
        result.sizes.add((image.shape[1], image.shape[2]))
        if len(result.readable) < len(result.kept) and len(result.sizes) == 1:
            result.kept[len(result.readable)] = image
        result.readable.append((name, label, file))
        result.checksums.append(checksum(raw))
    result.kept = result.kept[: len(result.readable)]
    return result
