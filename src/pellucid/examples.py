"""What is named as an example for a network: pictures through its preprocessing, arrays (.npy), numbers, and random ones."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data import ImageInput, read_array
from pellucid.data.listing import is_there
from pellucid.errors import listed, suggest
from pellucid.files import write_atomically
from pellucid.inference.fed import random_example, run_network
from pellucid.op import Array
from pellucid.opening import Opened, OpeningError
from pellucid.plain import PlainError, parse_json
from pellucid.text import amount, text_table
from pellucid.train.arrays import examples_for

ARRAYS = ".npy"
RANDOM = "random"
"""What random numbers are called, `random:3` those of the seed 3."""


def example_of(opened: Opened, file: Path | str | None, named: Sequence[str] = ()) -> ImageInput:
    """An example for a network, from a file for the picture, or what stands for one, and `NAME=FILE` for other inputs.

    A file that ends in .npy has the array as the network takes it; others are pictures, which the network's preprocessing
    makes into its input. In the place of a file may stand a number, or numbers as in `[[1, 2], [3, 4]]`. `random:3` are
    normal numbers drawn from the seed 3, for whole ones zeros: in the place of `file` for every input that is not named.
    Of a network that was trained on rows of numbers these are a row as its data has it.
    """
    specs = opened.net.input_specs()
    main = opened.main.name
    files = _files(opened, named)
    if file is not None:
        if main in files:
            raise OpeningError(f"{opened.source}: the input {main!r} is {file} or {files[main]}? Give it once")
        files = {main: str(file), **files}
        if is_random(str(file)):
            files = {**{s.name: str(file) for s in specs}, **files}
    if not files:
        wanted = ", ".join(map(str, specs))
        raise OpeningError(
            f"{opened.source}: nothing is given for what it takes: {wanted}; name a file, or --input NAME=FILE"
        )
    shown: ImageInput | None = None
    values: dict[str, Any] = {}
    for name, source in files.items():
        if source.lower().endswith(ARRAYS):
            values[name] = read_array(source)
        elif is_random(source):
            values[name] = _drawn(opened, name, source)
        elif not is_there(source) and (numbers := numbers_in(source)) is not None:
            floating = any(s.name == name and s.dtype.startswith("float") for s in specs)
            values[name] = numbers.astype(np.float64) if floating else numbers
        else:
            read = _picture(opened, name, source)
            values[name] = read.values
            shown = read if name == main else shown
    if opened.standardization is not None and not is_random(files[main]):
        row = _rows(opened, files[main], values[main])
        if len(row) != 1:
            raise OpeningError(f"{opened.source}: an example is one row of numbers, {files[main]} has {len(row)}")
        values[main] = opened.standardization.normalize(row)
    alone = list(values) == [main] and len(specs) <= 1
    drawn = (None, None) if shown is None else (shown.pixels, shown.original)
    given = dict.fromkeys(files.values())
    return ImageInput(drawn[0], values[main] if alone else values, ", ".join(given), drawn[1])


def rows_of(opened: Opened, source: str) -> Array:
    """Rows (N, ...) of numbers for a network that was trained on such: an array (.npy), or as in `[[1, 2], [3, 4]]`."""
    values = read_array(source) if source.lower().endswith(ARRAYS) else numbers_in(source)
    if values is None:
        opened.require_preprocessing()  # which says what it takes
    return _rows(opened, source, values)


def _rows(opened: Opened, source: str, values: Any) -> Array:
    """Rows as the data has them, also where there is one alone. Raises `DataError` for others."""
    found = np.asarray(values)
    return examples_for(
        f"{opened.source}: {source}", found[None] if found.shape == opened.shape else found, opened.shape
    )


def _files(opened: Opened, named: Sequence[str]) -> dict[str, str]:
    """`["age=age.npy"]` -> `{"age": "age.npy"}`."""
    known = [s.name for s in opened.net.input_specs()]
    files: dict[str, str] = {}
    for text in named:
        name, equals, source = text.partition("=")
        if not (equals and source):
            raise OpeningError(f"--input: expected NAME=FILE, got {text!r}; the inputs are {', '.join(known)}")
        if name in files:
            raise OpeningError(f"--input: {name!r} is given twice, {files[name]} and {source}")
        if name not in known and known:
            raise OpeningError(f"--input: no input is called {name!r}{suggest(name, known)}; {listed(name, known)}")
        files[name] = source
    return files


def is_random(source: str) -> bool:
    """Whether random numbers are called so, and no file is."""
    return source.partition(":")[0] == RANDOM and not is_there(source)


def _drawn(opened: Opened, name: str, source: str) -> Array:
    """Random numbers for one input, the same as with all others drawn from that seed."""
    seed = source.partition(":")[2] or "0"
    if not (seed.isascii() and seed.isdecimal()):
        raise OpeningError(f"{source}: {RANDOM}:SEED wants a whole number from 0 for the seed, as in {RANDOM}:3")
    found = random_example(opened.net, opened.shapes(), int(seed))
    return found[name if name in found else next(iter(found))]


def numbers_in(text: str) -> Array | None:
    """A number, or numbers as JSON has them; None for anything else. Raises `OpeningError` for lists that make no array."""
    for read in (int, float, parse_json):
        try:
            array = np.asarray(read(text))
        except PlainError:
            return None
        except ValueError as error:
            if read is parse_json:
                raise OpeningError(f"{text:.60}: its rows are not of one length, so that it is no array") from error
        else:
            return array if array.dtype.kind in "biuf" else None
    return None


def _picture(opened: Opened, name: str, source: str) -> ImageInput:
    """A picture file for one of the inputs: the one that the preprocessing is for."""
    if name != opened.main.name or not opened.takes_pictures:
        shape = next((s for s in opened.net.input_specs() if s.name == name), name)
        raise OpeningError(
            f"{opened.source}: {source} cannot be the input {shape}; give it as an array, a {ARRAYS} file"
        )
    return opened.input(source)


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a network gives for one example: `arrays` by the names of its outputs, with the batch axis."""

    source: str
    arrays: Mapping[str, Array]

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON: shapes, and how the values are spread; None where there are none."""
        return {"image": self.source, "outputs": [_spread(name, values) for name, values in self.arrays.items()]}

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        rows = [
            [
                told["name"],
                told["dtype"],
                "x".join(map(str, told["shape"])) or "a number",
                *("" if told[k] is None else f"{told[k]:z.5g}" for k in ("min", "max", "mean")),
            ]
            for told in self.plain()["outputs"]
        ]
        return ["output", "type", "shape", "min", "max", "mean"], rows

    def __str__(self) -> str:
        return f"{self.source}\n{text_table(*self._cells(), 'lllrrr')}"

    def write(self, path: Path) -> None:
        """Put the arrays into a file of NumPy: .npz has them by name, .npy has the only one."""
        if path.suffix.lower() == ARRAYS:
            if len(self.arrays) != 1:
                raise OpeningError(
                    f"{path}: the network gives {amount(len(self.arrays), 'output')} ({', '.join(self.arrays)}); name a .npz file"
                )
            write_atomically(path, _saved(next(iter(self.arrays.values()))), folders=True)
            return
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, values in self.arrays.items():
                archive.writestr(f"{name.replace('/', '_')}{ARRAYS}", _saved(values))
        write_atomically(path, file.getvalue(), folders=True)


def _saved(values: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def _spread(name: str, values: Array) -> dict[str, Any]:
    some = values.size > 0
    facts = {"min": np.min, "max": np.max, "mean": np.mean}
    with np.errstate(invalid="ignore", over="ignore"):  # the mean of both infinities is no number
        spread = {fact: float(of(values)) if some else None for fact, of in facts.items()}
    return {"name": name, "dtype": str(values.dtype), "shape": list(values.shape), **spread}


def outputs_for(opened: Opened, example: ImageInput, executor: str = "auto") -> Outputs:
    """What a network gives for an example."""
    return Outputs(example.source, run_network(opened.net, example.values, executor))
