"""Pictures by name, wherever a picture file is taken: `sample:china`, `digits[143]`, `fashion-mnist[7]`, `photos.zip/cat/3.jpg`."""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from pellucid.data.digits import all_digits, brought, digits
from pellucid.data.errors import DataError
from pellucid.data.idx import fashion_mnist, idx, is_idx_folder
from pellucid.data.listing import listing, shown
from pellucid.data.sample import Array, Splits, Subset
from pellucid.pictures import Answer, Grid, Page, Tile, Tiles

PHOTOS = {"sample:china": "china.jpg", "sample:flower": "flower.jpg"}
"""Photographs that scikit-learn brings, by name: its files."""
DATA: Mapping[str, Callable[[], Any]] = {
    "digits": all_digits,
    "digits/train": lambda: digits().train,
    "digits/validation": lambda: digits().validation,
    "digits/test": lambda: digits().test,
    "fashion-mnist": lambda: fashion_mnist().test,
    "fashion-mnist/train": lambda: _to_learn_from(fashion_mnist()),
    "fashion-mnist/test": lambda: fashion_mnist().test,
}
"""Data sets whose pictures have numbers, as in `digits[143]`."""
_NUMBERED = re.compile(r"(.+)\[(\d{1,9})\]")


@dataclass(frozen=True)
class NamedPictures:
    """Pictures that are at hand: `names` says what they are called, `example` is one of the names."""

    names: str
    example: str
    pictures: int
    size: str
    about: str
    missing: str = ""
    """Why they are not on this machine."""


@dataclass(frozen=True)
class Samples(Answer):
    """The pictures that can be named in the place of a file."""

    rows: tuple[NamedPictures, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"samples": [asdict(row) for row in self.rows]}

    def grid(self) -> Grid:
        """A row for each photograph and each data set."""
        rows = [[row.names, f"{row.pictures:,}", row.size, row.missing or row.about] for row in self.rows]
        return Grid(["name", "pictures", "size", "what"], rows, "lrll")

    def __str__(self) -> str:
        return f"{self.grid()}\n{NOTE}"

    def picture(self) -> Page:
        """The table, and one picture of each."""
        there = [row for row in self.rows if not row.missing]
        tiles = tuple(Tile(_pixels(named_picture(row.example)), row.example) for row in there)
        return Page("Pictures by name", (self.grid(), NOTE, Tiles("One of each", tiles, 4)))


NOTE = "Of a run: test[0], validation[0], train[0] and the files it learned from. In a shell: 'digits[143]'."


def samples() -> Samples:
    """The pictures that can be named in the place of a file: `pl.data.read_image("sample:china")`."""
    photos = [
        NamedPictures(
            "sample:china", "sample:china", 1, "640x427", "photograph of a temple (from scikit-learn, CC BY 2.0)"
        ),
        NamedPictures(
            "sample:flower", "sample:flower", 1, "640x427", "photograph of a dahlia (from scikit-learn, CC BY 2.0)"
        ),
    ]
    numbers = "handwritten digits, gray (scikit-learn)"
    clothes = "clothes, gray: the test pictures, or fashion-mnist/train[0..59999]"
    try:
        fashion_mnist()
        missing = ""
    except DataError:
        missing = "not on this machine: Debian's dataset-fashion-mnist, or --download"
    return Samples(
        (
            *photos,
            NamedPictures("digits[0..1796]", "digits[143]", 1797, "8x8", numbers),
            NamedPictures("fashion-mnist[0..9999]", "fashion-mnist[7]", 10_000, "28x28", clothes, missing),
        )
    )


def named_picture(name: str) -> bytes | None:
    """What a file would hold that is called like a picture with a name; None where nothing can be called so.

    Raises `DataError` for a name that is near one, or whose number is too large.
    """
    if name.startswith("sample:"):
        if name not in PHOTOS:
            raise DataError(
                f"{shown(name)}: there is no such sample{_near(name, PHOTOS)}; there are: {', '.join(PHOTOS)}"
            )
        return brought("images", PHOTOS[name]).read_bytes()
    if f"sample:{name}" in PHOTOS or name in DATA:
        what = f"{name}[143]" if name in DATA else f"sample:{name}"
        raise DataError(f"{name}: there is no such file; did you mean {what!r}?")
    numbered = _NUMBERED.fullmatch(name)
    if numbered is None:
        return _in_archive(Path(name))
    base, number = numbered[1], int(numbered[2])
    dataset = _dataset(base)
    if number >= len(dataset):
        raise DataError(f"{shown(name)}: {shown(base)} has pictures 0 to {len(dataset) - 1}")
    return _png(dataset.image(number))


def _dataset(base: str) -> Any:
    if base in DATA:
        return DATA[base]()
    folder = Path(base)
    if is_idx_folder(folder):
        return idx(folder).test
    if folder.name in ("train", "test") and is_idx_folder(folder.parent):
        splits = idx(folder.parent)
        return splits.test if folder.name == "test" else _to_learn_from(splits)
    raise DataError(
        f"{shown(base)}: there is neither a file nor a data set called so{_near(base, DATA)}; "
        f"pictures have numbers in {', '.join(DATA)}, and in a run's train, validation and test"
    )


def _to_learn_from(splits: Splits) -> Any:
    """All pictures to learn from, before some of them were kept for validation."""
    return cast(Subset, splits.train).parent


def _near(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _in_archive(path: Path) -> bytes | None:
    """What the member of a .zip is that `path` leads to."""
    for above in path.parents:
        if above.suffix.lower() == ".zip" and above.is_file():
            files = listing(above)
            name = path.relative_to(above).as_posix()
            if name not in files.names:
                raise DataError(f"{shown(str(path))}: there is no such picture in {shown(str(above))}")
            return files.read(name)
    return None


def _png(pixels: Array) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)).save(file, "png")
    return file.getvalue()


def _pixels(data: bytes | None) -> Array:
    from pellucid.data.image import read_image

    assert data is not None
    return read_image(data)
