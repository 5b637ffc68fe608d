"""A table of pictures with numbers to predict: a CSV file beside the pictures. Nothing in it is believed."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.folder import Reading, cache_bytes, decode_all, require_one_size
from pellucid.data.image import read_image
from pellucid.data.listing import read_file, shown, some
from pellucid.data.numbered import NumberFiles, NumberSplits, NumberSubset, Quantity, named, quantity, split_numbers
from pellucid.data.record import SplitRecord
from pellucid.data.sample import Array, Measured
from pellucid.data.size import Size, as_options
from pellucid.files import reason_of
from pellucid.progress import long

MOST_BYTES = 200 * 2**20
MOST_SAID = 20
"""Lines with mistakes that one error names."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


@dataclass(frozen=True)
class Table:
    """The rows of a table: by picture file the line that it stands on and its numbers."""

    path: Path
    quantities: tuple[Quantity, ...]
    rows: Mapping[str, tuple[int, tuple[float, ...]]]

    def where(self, file: str) -> str:
        """The line of a picture, in words."""
        return f"line {self.rows[file][0]}: {shown(file)}"


def find_table(path: Path | str) -> Path:
    """A table, or the only one in a folder."""
    path = Path(path)
    if not path.is_dir():
        return path
    found = sorted(p for p in path.iterdir() if p.suffix.lower() == ".csv" and not p.name.startswith("."))
    if len(found) != 1:
        names = ", ".join(shown(p.name) for p in found[:5]) or "none"
        raise DataError(
            f"{shown(str(path))}: pictures with numbers need one table beside them (file,value), found {names}; name it"
        )
    return found[0]


@long
def load_numbers(
    path: Path | str,
    image_size: Size | None = None,
    channels: int = 3,
    seed: int = 0,
    on_bad_image: str = "error",
    cache_mb: float | None = None,
    record: SplitRecord | None = None,
) -> NumberSplits:
    """Pictures with numbers to predict, from a CSV file beside them (or its folder), cut 70:15:15 by `seed`.

    Its first line is `file,age [years],height [m]`: then a picture's file and its numbers on each line. With a
    `record` the parts are those written down there, as far as the pictures are still there.
    """
    if record is not None:
        seed, on_bad_image = record.options.get("seed", seed), record.options.get("on_bad_image", on_bad_image)
    reading = Reading(image_size, channels, on_bad_image, cache_mb)
    table = read_table(find_table(path))
    options = {
        "seed": seed,
        **as_options(image_size),
        "channels": channels,
        "on_bad_image": on_bad_image,
        "targets": list(map(str, table.quantities)),
    }
    source = str(table.path)
    if record is None:
        whole = _read(table, {"": list(table.rows)}, reading)[""]
        train, validation, test = split_numbers(whole, seed)
        return NumberSplits(train, validation, test, source, options)
    placed = record.placed()
    wanted = {
        part: [file for file in table.rows if file in placed and placed[file][0] == part] for part in record.parts
    }
    for part, files in wanted.items():
        if not files:
            raise DataError(
                f"{table.path}: of the {record.parts[part].count} {part} pictures of the record none is there"
            )
    parts = _read(table, wanted, reading)
    splits = NumberSplits(parts["train"], parts["validation"], parts[record.test], source, options)
    new = [file for file in table.rows if file not in placed and not _was_skipped(file, record)]
    have = "picture has" if len(new) == 1 else "pictures have"
    notes = [some(new, f"{have} come since the data was split, left out")] if new else []
    changes = record.changes(SplitRecord.of(splits))
    return replace(splits, notes=(*notes, *(f"since the data was split {change}" for change in changes)))


@long
def numbers_to_measure(
    path: Path | str,
    image_size: Size | None = None,
    channels: int = 3,
    on_bad_image: str = "error",
    cache_mb: float | None = None,
) -> Measured:
    """All pictures of a table, to measure a network on that has not learned from them."""
    table = read_table(find_table(path))
    read = _read(table, {"": list(table.rows)}, Reading(image_size, channels, on_bad_image, cache_mb))
    return Measured(NumberSubset(read[""], range(len(read[""])), table.path.name), "all")


def lines_of(path: Path) -> Any:
    """The lines of a CSV file as `csv.reader` gives them; raises `DataError` for what is no text."""
    try:
        text = read_file(path, limit=MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{shown(str(path))}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(str(path))}: is no text in UTF-8 ({error.reason} at byte {error.start})") from error
    return csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)


def read_table(path: Path) -> Table:
    """The rows of a CSV file; raises `DataError` that names the lines which make no sense, or whose picture is not there."""
    name, lines = shown(str(path)), lines_of(path)
    rows: dict[str, tuple[int, tuple[float, ...]]] = {}
    wrong: list[str] = []
    try:
        quantities = _header(name, next(lines, []))
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            try:
                file, values = _row(path.parent, cells, len(quantities))
                if file in rows:
                    raise DataError(f"{shown(file)} stands on line {rows[file][0]} already")
                rows[file] = (lines.line_num, values)
            except DataError as error:
                wrong.append(f"line {lines.line_num}: {error}")
    except csv.Error as error:
        raise DataError(f"{name}: line {lines.line_num}: is no line of a CSV file ({error})") from error
    if wrong:
        more = f"\n  and {len(wrong) - MOST_SAID} more" if len(wrong) > MOST_SAID else ""
        listed = "\n  ".join(wrong[:MOST_SAID])
        raise DataError(f"{name}: {len(wrong)} lines make no sense:\n  {listed}{more}\nCorrect them, or leave them out")
    if not rows:
        raise DataError(f"{name}: there is no picture in it")
    return Table(path, quantities, rows)


def _header(name: str, cells: list[str]) -> tuple[Quantity, ...]:
    if len(cells) < 2 or cells[0].strip().lower() != "file":
        got = shown(",".join(cells))[:80]
        raise DataError(f"{name}: its first line must be file,NAME with the name of each number, got {got!r}")
    return named([quantity(cell) for cell in cells[1:]], len(cells) - 1, name)


def _row(folder: Path, cells: list[str], count: int) -> tuple[str, tuple[float, ...]]:
    if len(cells) != count + 1:
        raise DataError(f"has {len(cells)} cells, expected {count + 1}")
    file = inside(folder, cells[0].strip())
    return file, tuple(_number(cell.strip()) for cell in cells[1:])


def _number(cell: str) -> float:
    value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
    if not math.isfinite(value):
        raise DataError(f"{shown(cell[:40])!r} is no finite number")
    return value


def inside(folder: Path, file: str) -> str:
    """The name of a file below `folder`, with `/` between folders; nothing leads out of it, links neither. Raises `DataError`."""
    place = name_below(file, "names no file below the table's folder")
    path = folder / place
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{shown(place)} leads out of the table's folder")
        if not path.is_file():
            raise DataError(f"{shown(place)}: there is no such file")
    except (OSError, RuntimeError) as error:
        raise DataError(f"{shown(place)[:80]}: cannot be looked at ({reason_of(error)})") from error
    return place


def name_below(file: str, wrong: str) -> str:
    """The name of a file below a folder, with `/` between folders. Raises `DataError`, in the words `wrong`, for what may lead elsewhere."""
    place = PurePosixPath(file.replace("\\", "/"))
    if not place.parts or "\0" in file or place.is_absolute() or ".." in place.parts or ":" in place.parts[0]:
        raise DataError(f"{shown(file[:80])!r} {wrong}")
    return str(place)


def _read(table: Table, wanted: Mapping[str, list[str]], reading: Reading) -> dict[str, NumberSubset]:
    """The pictures of each part, with their numbers; all are files of one data set."""
    folder = table.path.parent
    size = reading.size

    def decode(file: str, raw: bytes | None = None) -> Array:
        return read_image(read_file(folder / file, file) if raw is None else raw, reading.channels, size, shown(file))

    found = {part: [("", file) for file in files] for part, files in wanted.items()}
    decoded = decode_all(found, lambda file: read_file(folder / file, file), decode, cache_bytes(reading.cache_mb))
    require_one_size(shown(str(table.path)), decoded, reading.on_bad_image)
    files = [file for _, _, file in decoded.readable]
    targets = np.array([table.rows[file][1] for file in files], np.float64)
    name = table.path.stem
    whole = NumberFiles(
        files, targets, decoded.checksums, decode, table.quantities, decoded.kept, name, tuple(decoded.bad), folder
    )
    places = np.array([part for part, _, _ in decoded.readable])
    return {
        part: NumberSubset(whole, np.flatnonzero(places == part), f"{name}/{part}" if part else name) for part in wanted
    }


def _was_skipped(file: str, record: SplitRecord) -> bool:
    return any(line.startswith(f"{shown(file)}: ") for line in record.skipped)
