"""Arrays in files of NumPy (.npy), read without executing anything and no larger than the file says it is."""

from __future__ import annotations

import io
import math
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.lib import format as npy

from pellucid.data.errors import DataError
from pellucid.files import read_limited, reason_of
from pellucid.plain import Array

LARGEST = 1 << 30
"""Bytes of a file."""


def read_array(path: Path | str) -> Array:
    """The array in a .npy file; a `DataError` for a file that is none, holds Python objects, or is larger than 1 GiB."""
    try:
        data = read_limited(Path(path), LARGEST)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({reason_of(error)})") from error
    file = io.BytesIO(data)
    try:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, by_column, dtype = header(file)
    except (
        ValueError,
        SyntaxError,
        TokenError,
        RecursionError,
        MemoryError,
    ) as error:  # as its parser of headers raises
        raise DataError(f"{path}: is no array that numpy.save wrote ({str(error).partition(chr(10))[0]})") from error
    if dtype.hasobject:
        raise DataError(f"{path}: holds Python objects; only numbers are read")
    count, held = math.prod(shape), len(data) - file.tell()
    if min(shape, default=0) < 0 or count * dtype.itemsize != held:
        raise DataError(
            f"{path}: its header says {dtype} {shape}, {count * dtype.itemsize} bytes, but {held} follow; it is damaged"
        )
    flat = np.frombuffer(data, dtype, count, file.tell())
    return flat.reshape(shape, order="F" if by_column else "C")
