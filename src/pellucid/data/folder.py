"""Pictures in folders, one folder per class; or the same inside of a .zip file, read in place."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.image import SUFFIXES, image_size, read_image
from pellucid.data.sample import Array, Dataset, Sample, Splits, split

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
MAX_FILE_BYTES = 100 * 2**20


class FolderDataset:
    """Pictures decoded when first asked for, and kept as long as they fit into `cache_bytes`."""

    def __init__(
        self,
        files: list[tuple[str, int]],
        read: Callable[[str], bytes],
        classes: tuple[str, ...],
        shape: tuple[int, int, int],
        name: str,
        cache_bytes: int = 2**30,
        skipped: tuple[str, ...] = (),
    ) -> None:
        self.files, self.classes, self.shape, self.name, self.skipped = files, classes, shape, name, skipped
        self._read = read
        self._cache: dict[int, Array] = {}
        self._room = cache_bytes // int(np.prod(shape))

    def __len__(self) -> int:
        return len(self.files)

    def image(self, index: int) -> Array:
        if index in self._cache:
            return self._cache[index]
        path, _ = self.files[index]
        picture = read_image(self._read(path), self.shape[0], (self.shape[1], self.shape[2]), path)
        if len(self._cache) < self._room:
            self._cache[index] = picture
        return picture

    def label(self, index: int) -> int:
        return self.files[index][1]

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.image(index), self.files[index][1], self.files[index][0])


def folder(
    path: Path,
    image_size: int | None = None,
    channels: int = 3,
    seed: int = 0,
    on_bad_image: str = "error",
    cache_bytes: int = 2**30,
    tell: Callable[[int, int], None] | None = None,
) -> Splits:
    """Splits from `root/{train,val,test}/class/*.jpg`, or from `root/class/*.jpg` cut 70:15:15 by `seed`.

    Where only some of the splits are there, the others are cut from the training pictures. Without `image_size` all
    pictures must have one size. Every picture is looked at once; unreadable ones are an error that lists them all, or
    with `on_bad_image="skip"` are left out and listed in `skipped`.
    `tell(done, total)` is called with each.
    """
    if on_bad_image not in ("error", "skip"):
        raise DataError(f"on_bad_image must be 'error' or 'skip', got {on_bad_image!r}")
    if image_size is not None and image_size < 1:
        raise DataError(f"image_size must be at least 1, got {image_size}")
    names, read = _listing(path)
    found = _classes_by_split(path, names)
    classes = tuple(sorted({label for parts in found.values() for label, _ in parts}))
    if len(classes) < 2:
        raise DataError(
            f"{path}: found one class only ({', '.join(classes)}); training needs two folders of pictures or more"
        )
    readable, sizes, bad = _check(found, read, tell)
    if bad and on_bad_image == "error":
        shown = "\n  ".join(bad[:20]) + (f"\n  and {len(bad) - 20} more" if len(bad) > 20 else "")
        raise DataError(
            f"{path}: {len(bad)} unreadable pictures:\n  {shown}\nRemove them, or leave them out with on_bad_image='skip' (--on-bad-image skip)"
        )
    if not any(readable.values()):
        raise DataError(f"{path}: no readable picture in it")
    if image_size is None:
        if len(sizes) > 1:
            some = ", ".join(f"{h}x{w}" for h, w in sorted(sizes)[:4])
            raise DataError(
                f"{path}: pictures have {len(sizes)} sizes ({some}, ...); give image_size (--image-size 64)"
            )
        size = next(iter(sizes))
    else:
        size = (image_size, image_size)
    numbers = {label: number for number, label in enumerate(classes)}

    def dataset(split_name: str) -> FolderDataset:
        files = [(name, numbers[label]) for label, name in readable[split_name]]
        title = f"{path.name}/{split_name}" if split_name else path.name
        return FolderDataset(files, read, classes, (channels, *size), title, cache_bytes, tuple(bad))

    return _complete({name: dataset(name) for name in readable if readable[name]}, str(path), seed)


def _complete(parts: dict[str, FolderDataset], source: str, seed: int) -> Splits:
    if "" in parts:
        train, validation, test = split(parts[""], (0.7, 0.15, 0.15), ("train", "validation", "test"), seed)
        return Splits(train, validation, test, source)
    if "train" not in parts:
        raise DataError(f"{source}: has {', '.join(parts)} but no train folder")
    train: Dataset = parts["train"]
    validation: Dataset | None = parts.get("validation")
    test: Dataset | None = parts.get("test")
    if validation is None:
        train, validation = split(train, (0.9, 0.1), ("train", "validation"), seed)
    return Splits(train, validation, validation if test is None else test, source)


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


def _check(
    found: dict[str, list[tuple[str, str]]],
    read: Callable[[str], bytes],
    tell: Callable[[int, int], None] | None,
) -> tuple[dict[str, list[tuple[str, str]]], set[tuple[int, int]], list[str]]:
    """Decode every picture once: what is readable, the sizes there are, and what is wrong with the others."""
    readable: dict[str, list[tuple[str, str]]] = {}
    sizes: set[tuple[int, int]] = set()
    bad: list[str] = []
    total, looked_at = sum(map(len, found.values())), 0
    for name, files in found.items():
        readable[name] = []
        for label, file in files:
            looked_at += 1
            if tell is not None:
                tell(looked_at, total)
            try:
                raw = read(file)
                if not raw:
                    raise DataError(f"{file}: the file is empty")
                size = image_size(raw, file)
                read_image(raw, 1, (8, 8), file)  # decodes everything, keeps little
            except DataError as error:
                bad.append(str(error))
                continue
            sizes.add(size)
            readable[name].append((label, file))
    return readable, sizes, bad
