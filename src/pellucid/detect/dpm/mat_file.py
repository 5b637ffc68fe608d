"""MATLAB's files of version 5 as plain data: numbers, words, cells and structures, nothing else, within limits."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.detect.errors import DetectorError
from pellucid.plain import Array

MOST_BYTES = 2**26
"""Of a file, and of all that it unpacks to."""
DEEPEST = 32
"""Structures and cells in one another."""
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
    16: "u1",
    17: "u2",
}
_CELL, _STRUCTURE, _WORDS, _NUMBERS = 1, 2, 4, range(6, 16)

Value = Any
"""An array of numbers float64, a word, a list of values (cells, structures), or a structure by the names of its fields."""


def read_mat(path: str | Path) -> dict[str, Value]:
    """The variables of a file by name; arrays keep the shape that MATLAB gave them. Raises `DetectorError`."""
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise DetectorError(f"{file}: cannot be read ({error.strerror})") from error
    return parse_mat(data, str(file))


def parse_mat(data: bytes, name: str) -> dict[str, Value]:
    """What `read_mat` gives, for a file's bytes."""
    if len(data) > MOST_BYTES:
        raise DetectorError(f"{name}: has more than {MOST_BYTES >> 20} MiB, which no model of parts does")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if data[:8] == b"\x89HDF\r\n\x1a\n" or b"MATLAB 7.3" in data[:32]:
        raise DetectorError(f"{name}: is a file of MATLAB's version 7.3; save it with save(..., '-v7')")
    if order is None:
        raise DetectorError(f"{name}: is no file of MATLAB's version 5 to 7")
    try:
        return _Reader(order, name).variables(data)
    except (struct.error, zlib.error) as error:
        raise DetectorError(f"{name}: is damaged ({error})") from error


@dataclass
class _Bytes:
    """Bytes and how far they have been read."""

    data: bytes
    at: int = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at


class _Reader:
    def __init__(self, order: str, name: str) -> None:
        self.order, self.name = order, name
        self.unpacked = 0

    def wrong(self, words: str) -> DetectorError:
        return DetectorError(f"{self.name}: is damaged ({words})")

    def variables(self, data: bytes) -> dict[str, Value]:
        stream, found = _Bytes(data, _HEADER), dict[str, Value]()
        while stream.left >= 8:
            kind, size = struct.unpack_from(self.order + "II", stream.data, stream.at)
            body = data[stream.at + 8 : stream.at + 8 + size]
            stream.at += 8 + size
            if kind == _COMPRESSED:
                unpacker = zlib.decompressobj()
                body = unpacker.decompress(body, MOST_BYTES - self.unpacked + 1)
                self.unpacked += len(body)
                if self.unpacked > MOST_BYTES:
                    raise DetectorError(f"{self.name}: unpacks to more than {MOST_BYTES >> 20} MiB")
                kind, body = struct.unpack_from(self.order + "I", body)[0], body[8:]
            if kind == _MATRIX:
                name, value = self.matrix(_Bytes(body), 0)
                found[name] = value
        return found

    def element(self, stream: _Bytes) -> tuple[int, bytes]:
        """The type and bytes of the next element."""
        (kind,) = struct.unpack_from(self.order + "I", stream.data, stream.at)
        if kind >> 16:  # four bytes at most stand in the tag itself
            size, kind, start = kind >> 16, kind & 0xFFFF, stream.at + 4
            after = stream.at + 8
            if size > 4:
                raise self.wrong(f"an element of {size} bytes stands where 4 have room")
        else:
            (size,) = struct.unpack_from(self.order + "I", stream.data, stream.at + 4)
            start = stream.at + 8
            after = start + (size + 7) // 8 * 8
        if start + size > len(stream.data):
            raise self.wrong(f"an element of {size} bytes ends behind the file's {len(stream.data)}")
        stream.at = after
        return kind, stream.data[start : start + size]

    def numbers(self, stream: _Bytes) -> Array:
        kind, data = self.element(stream)
        if kind not in _TYPES:
            raise self.wrong(f"numbers of a type {kind} that there is not")
        dtype = np.dtype(self.order + _TYPES[kind])
        if len(data) % dtype.itemsize:
            raise self.wrong(f"{len(data)} bytes are not whole numbers of {dtype.itemsize}")
        return np.frombuffer(data, dtype)

    def words(self, stream: _Bytes) -> str:
        return self.element(stream)[1].rstrip(b"\0").decode("latin-1")

    def matrix(self, stream: _Bytes, depth: int) -> tuple[str, Value]:
        """A variable's name and value; the stream stands behind the tag."""
        if not stream.left:
            return "", np.zeros((0, 0))
        if depth > DEEPEST:
            raise self.wrong(f"more than {DEEPEST} structures and cells in one another")
        flags, shape = self.numbers(stream), tuple(self.numbers(stream).tolist())
        if not len(flags) or len(shape) > 8 or any(side < 0 for side in shape):
            raise self.wrong(f"an array of shape {shape}")
        name, kind, count = self.words(stream), int(flags[0]) & 0xFF, 1
        for side in shape:
            count *= side
        if kind in _NUMBERS:
            values = self.numbers(stream)
            if len(values) != count:
                raise self.wrong(f"{name or 'an array'} of shape {shape} has {len(values)} numbers")
            return name, values.astype(np.float64).reshape(shape, order="F")
        if kind == _WORDS:
            codes = self.numbers(stream)
            return name, "".join(map(chr, codes.astype(np.uint16).tolist()))
        if kind == _CELL:
            return name, [self.inner(stream, depth) for _ in range(self.counted(stream, count))]
        if kind == _STRUCTURE:
            return name, self.structures(stream, count, depth)
        raise self.wrong(f"{name or 'a value'} is of kind {kind}; there may be numbers, words, cells and structures")

    def counted(self, stream: _Bytes, count: int) -> int:
        """A count of values that each take 8 bytes or more."""
        if count * 8 > stream.left:
            raise self.wrong(f"{count} values in {stream.left} bytes")
        return count

    def inner(self, stream: _Bytes, depth: int) -> Value:
        kind, data = self.element(stream)
        if kind != _MATRIX:
            raise self.wrong(f"an element of type {kind} where a value is expected")
        return self.matrix(_Bytes(data), depth + 1)[1]

    def structures(self, stream: _Bytes, count: int, depth: int) -> Value:
        widths = self.numbers(stream)
        names = self.element(stream)[1]
        width = int(widths[0]) if len(widths) else 0
        if not 0 < width <= 256 or not names:
            raise self.wrong("a structure without fields")
        fields = [
            names[at : at + width].split(b"\0")[0].decode("latin-1") for at in range(0, len(names) - width + 1, width)
        ]
        self.counted(stream, count * len(fields))
        found = [{field: self.inner(stream, depth) for field in fields} for _ in range(count)]
        return found[0] if count == 1 else found
