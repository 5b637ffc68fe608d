"""Pictures in folders, one folder per class; or the same inside of a .zip file, read in place."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.image import SUFFIXES, read_image
from pellucid.data.record import SplitRecord, some
from pellucid.data.sample import Array, FolderDataset, Splits, Subset, split

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
ORDER = ("", *dict.fromkeys(SPLITS.values()))  # "" where there are no splits yet; those to train on come first
MAX_FILE_BYTES = 100 * 2**20


def folder(
    path: Path,
    image_size: int | None = None,
    channels: int = 3,
    seed: int = 0,
    on_bad_image: str = "error",
    cache_mb: float | None = None,
    tell: Callable[[int, int], None] | None = None,
    record: SplitRecord | None = None,
) -> Splits:
    """Splits from `root/{train,val,test}/class/*.jpg`, or from `root/class/*.jpg` cut 70:15:15 by `seed`.

    Where only some of the splits are there, the others are cut from the training pictures. Without `image_size` all
    pictures must have one size. Every picture is decoded once, and the decoded ones are kept in `cache_mb` MiB of memory
    (default: the environment's PELLUCID_CACHE_MB, else 1024), those to train on first; what does not fit is decoded
    again whenever it is asked for. Unreadable pictures are an error that lists them all, or with `on_bad_image="skip"`
    are left out and listed in `skipped`. `tell(done, total)` is called with each. With a `record` the parts are those
    written down there, as far as the files are still there; what has changed is in the notes.
    """
    if on_bad_image not in ("error", "skip"):
        raise DataError(f"on_bad_image must be 'error' or 'skip', got {on_bad_image!r}")
    if image_size is not None and image_size < 1:
        raise DataError(f"image_size must be at least 1, got {image_size}")
    room = cache_bytes(cache_mb)
    names, read = _listing(path)
    found = _classes_by_split(path, names) if record is None else _recorded(path, names, record)
    classes = tuple(sorted({label for parts in found.values() for label, _ in parts}))
    if len(classes) < 2:
        raise DataError(
            f"{path}: found one class only ({', '.join(classes)}); training needs two folders of pictures or more"
        )

    size = None if image_size is None else (image_size, image_size)

    def decode(file: str, raw: bytes | None = None) -> Array:
        return read_image(read(file) if raw is None else raw, channels, size, file)

    decoded = _decode_all(found, read, decode, room, tell)
    if decoded.bad and on_bad_image == "error":
        bad = decoded.bad
        shown = "\n  ".join(bad[:20]) + (f"\n  and {len(bad) - 20} more" if len(bad) > 20 else "")
        raise DataError(
            f"{path}: {len(bad)} unreadable pictures:\n  {shown}\nRemove them, or leave them out with on_bad_image='skip' (--on-bad-image skip)"
        )
    if not decoded.sizes:
        raise DataError(f"{path}: no readable picture in it")
    if len(decoded.sizes) > 1:
        some = ", ".join(f"{h}x{w}" for h, w in sorted(decoded.sizes)[:4])
        raise DataError(
            f"{path}: pictures have {len(decoded.sizes)} sizes ({some}, ...); give image_size (--image-size 64)"
        )
    numbers = {label: number for number, label in enumerate(classes)}
    labels = np.array([numbers[label] for _, label, _ in decoded.readable], np.int64)
    files = [file for _, _, file in decoded.readable]
    whole = FolderDataset(
        files, labels, decoded.checksums, decode, classes, decoded.kept, path.name, tuple(decoded.bad)
    )
    splits = np.array([name for name, _, _ in decoded.readable])
    parts = {
        name: Subset(whole, np.flatnonzero(splits == name), f"{path.name}/{name}" if name else path.name)
        for name in found
        if name in splits
    }
    options = {"image_size": image_size, "channels": channels, "seed": seed, "on_bad_image": on_bad_image}
    if record is None:
        return replace(_complete(parts, str(path), seed), options=options)
    splits = replace(Splits(*_as_recorded(path, parts, record), str(path)), options=options)
    return replace(splits, notes=tuple(_since(names, splits, record)))


def _complete(parts: dict[str, Subset], source: str, seed: int) -> Splits:
    if "" in parts:
        train, validation, test = split(parts[""], (0.7, 0.15, 0.15), ("train", "validation", "test"), seed)
        return Splits(train, validation, test, source)
    if "train" not in parts:
        raise DataError(f"{source}: has {', '.join(parts)} but no train folder")
    train, validation, test = parts["train"], parts.get("validation"), parts.get("test")
    if validation is None:
        train, validation = split(train, (0.9, 0.1), ("train", "validation"), seed)
    return Splits(train, validation, validation if test is None else test, source)


def _recorded(path: Path, names: list[str], record: SplitRecord) -> dict[str, list[tuple[str, str]]]:
    """The files of a record that are still there, as `_classes_by_split` gives them."""
    there = set(names)
    found: dict[str, list[tuple[str, str]]] = {}
    for file, (part, label, _) in record.placed().items():
        if file in there:
            found.setdefault(part, []).append((label, file))
    if not found:
        raise DataError(f"{path}: none of the pictures is there that the record names")
    return found


def _as_recorded(path: Path, parts: dict[str, Subset], record: SplitRecord) -> tuple[Subset, Subset, Subset]:
    for name in record.parts:
        if name not in parts:
            raise DataError(f"{path}: of the {record.parts[name].count} {name} pictures of the record none is there")
    return parts["train"], parts["validation"], parts[record.test]


def _since(names: list[str], splits: Splits, record: SplitRecord) -> list[str]:
    """What has changed since the record was made, in words; pictures that came since are in no part."""
    known = {*record.placed(), *(line.partition(": ")[0] for line in record.skipped)}
    new = [file for file in names if file not in known and file.lower().endswith(SUFFIXES)]
    said = [f"{some(new, 'new since the data was split')}; left out"] if new else []
    return said + [f"since the data was split {change}" for change in record.changes(SplitRecord.of(splits))]


def cache_bytes(cache_mb: float | None = None) -> int:
    """The memory that decoded pictures may take: `cache_mb` MiB, or PELLUCID_CACHE_MB, or 1024 MiB."""
    given = os.environ.get("PELLUCID_CACHE_MB", "1024") if cache_mb is None else cache_mb
    try:
        megabytes = float(given)
    except ValueError:
        megabytes = -1.0
    if not 0 <= megabytes < math.inf:
        raise DataError(f"cache_mb (or PELLUCID_CACHE_MB) must be a number of MiB, 0 or more, got {given!r}")
    return int(megabytes * 2**20)


def _listing(path: Path) -> tuple[list[str], Callable[[str], bytes]]:
    if path.is_dir():
        files = sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())

        def read_file(name: str) -> bytes:
            target = path / name
            if target.stat().st_size > MAX_FILE_BYTES:
                raise DataError(f"{name}: larger than {MAX_FILE_BYTES >> 20} MiB")
            return target.read_bytes()

        return files, read_file
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: neither a folder nor a readable .zip file ({error})") from error

    def read_member(name: str) -> bytes:
        try:
            info = archive.getinfo(name)
            if info.file_size > MAX_FILE_BYTES:
                raise DataError(f"{name}: larger than {MAX_FILE_BYTES >> 20} MiB")
            return archive.read(info)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise DataError(f"{name}: damaged in {path.name} ({error})") from error

    return sorted(n for n in archive.namelist() if not n.endswith("/")), read_member


def _classes_by_split(path: Path, names: list[str]) -> dict[str, list[tuple[str, str]]]:
    """{split: [(class, file)]}; a split called "" means that there is one level only."""
    pictures = [PurePosixPath(n) for n in names if n.lower().endswith(SUFFIXES)]
    pictures = [p for p in pictures if not any(part.startswith((".", "__MACOSX")) for part in p.parts)]
    if not pictures:
        raise DataError(f"{path}: no picture ({', '.join(SUFFIXES)}) in it; expected {path.name}/class/*.jpg")
    root: tuple[str, ...] = pictures[0].parts[:-1]
    for picture in pictures:
        root = root[: next((i for i, (a, b) in enumerate(zip(root, picture.parts, strict=False)) if a != b), len(root))]
    shared = len(root)
    found: dict[str, list[tuple[str, str]]] = {}
    for picture in pictures:
        below = picture.parts[shared:]
        # "train" may be the only split there is, and then is part of what all share
        if len(below) >= 3 and below[0].lower() in SPLITS:
            found.setdefault(SPLITS[below[0].lower()], []).append((below[1], str(picture)))
        elif len(below) >= 2:
            part = SPLITS.get(str(root[-1]).lower(), "") if len(root) > 0 else ""
            found.setdefault(part, []).append((below[0], str(picture)))
    if not found:
        raise DataError(
            f"{path}: pictures lie in one folder only; expected {path.name}/class/*.jpg with two classes or more"
        )
    return found


@dataclass
class _Decoded:
    """What decoding every picture of a folder gave."""

    kept: Array
    readable: list[tuple[str, str, str]]
    """(split, class, file) of every readable picture; the first of them are `kept`."""
    checksums: list[int]
    """CRC-32 of what is in each of their files."""
    sizes: set[tuple[int, int]]
    bad: list[str]
    """What is wrong with the others."""


def _decode_all(
    found: dict[str, list[tuple[str, str]]],
    read: Callable[[str], bytes],
    decode: Callable[[str, bytes], Array],
    room: int,
    tell: Callable[[int, int], None] | None,
) -> _Decoded:
    """Decode every picture once, those to train on first, and keep as many as `room` bytes hold."""
    everything = [(name, label, file) for name in ORDER for label, file in found.get(name, [])]
    result = _Decoded(np.empty((0, 0, 0, 0), np.uint8), [], [], set(), [])
    for number, (name, label, file) in enumerate(everything):
        if tell is not None:
            tell(number + 1, len(everything))
        try:
            raw = read(file)
            picture = decode(file, raw)
        except DataError as error:
            result.bad.append(str(error))
            continue
        if not result.sizes:
            capacity = min(len(everything) - number, room // picture.size)
            result.kept = np.empty((capacity, *picture.shape), np.uint8)
        result.sizes.add((picture.shape[1], picture.shape[2]))
        if len(result.readable) < len(result.kept) and len(result.sizes) == 1:
            result.kept[len(result.readable)] = picture
        result.readable.append((name, label, file))
        result.checksums.append(zlib.crc32(raw))
    result.kept = result.kept[: len(result.readable)]
    return result
