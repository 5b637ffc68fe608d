"""A file's large arrays apart from the rest of it: they are read once, to where they stay, while protobuf would copy each three times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pellucid.files import limited

LARGE = 2**14
"""Bytes of an array that is read apart."""
_VARINT, _WIDE, _BYTES, _NARROW = 0, 1, 2, 5
_GRAPH, _INITIALIZER = 7, 5
_TYPE, _RAW = 2, 9
_PLAIN = {1, _TYPE, 8, _RAW, 12}
"""Fields of a tensor that has its numbers in one piece, in the file itself: sizes, type, name, numbers, words."""
_FLOAT32 = 1


class Field(NamedTuple):
    """A field of a message: `head` is its number, kind and length as they are written, `value` that of a whole number."""

    number: int
    kind: int
    head: bytes
    size: int
    value: int


class _Unusual(Exception):
    """The file is not laid out as files are."""


def read_apart(path: Path, limit: int) -> tuple[bytes, dict[int, bytes]]:
    """A file of at most `limit` bytes as `cut` gives it, or in one piece. Raises as `limited` does."""
    with limited(path, limit) as (file, size):
        found = cut(file, size)
        if found is None:
            file.seek(0)
            found = file.read(limit), {}
        return found


def cut(file: BinaryIO, size: int) -> tuple[bytes, dict[int, bytes]] | None:
    """The rest of an ONNX file of `size` bytes, which is such a file itself, and the numbers of its large float32 initializers.

    None where the file is laid out otherwise than files are, or ends too early: who reads it in one piece finds out what it is.
    The format: protobuf.dev/programming-guides/encoding and onnx.proto.
    """
    numbers: dict[int, bytes] = {}
    parts: list[bytes] = []
    graphs = 0
    try:
        for field in _fields(file, size):
            if (field.number, field.kind) != (_GRAPH, _BYTES):
                parts += field.head, _taken(file, field.size)
                continue
            graphs += 1
            parts += _message(_GRAPH, _graph(file, field.size, numbers))
    except _Unusual:
        return None
    return (b"".join(parts), numbers) if graphs == 1 else None


def _graph(file: BinaryIO, size: int, numbers: dict[int, bytes]) -> list[bytes]:
    parts: list[bytes] = []
    initializers = 0
    for field in _fields(file, size):
        is_initializer = (field.number, field.kind) == (_INITIALIZER, _BYTES)
        if is_initializer and field.size >= LARGE:
            parts += _message(_INITIALIZER, _tensor(file, field.size, initializers, numbers))
        else:
            parts += field.head, _taken(file, field.size)
        initializers += is_initializer
    return parts


def _tensor(file: BinaryIO, size: int, which: int, numbers: dict[int, bytes]) -> list[bytes]:
    """The fields of a tensor, without its numbers where these are taken out."""
    fields = [(field, _taken(file, field.size)) for field in _fields(file, size)]
    raw = [data for field, data in fields if (field.number, field.kind) == (_RAW, _BYTES)]
    types = [field.value for field, _ in fields if (field.number, field.kind) == (_TYPE, _VARINT)]
    plain = all(field.number in _PLAIN for field, _ in fields)
    if not plain or types != [_FLOAT32] or len(raw) != 1:
        return [part for field, data in fields for part in (field.head, data)]
    numbers[which] = raw[0]
    return [part for field, data in fields if field.number != _RAW for part in (field.head, data)]


def _fields(file: BinaryIO, size: int) -> Iterator[Field]:
    """The fields of a message of `size` bytes; what is behind the head of each is to be taken before the next."""
    left = size
    while left:
        tag, head = _varint(file)
        number, kind = tag >> 3, tag & 7
        value = length = 0
        if kind in (_VARINT, _BYTES):
            value, more = _varint(file)
            head += more
            length = value if kind == _BYTES else 0
        elif kind in (_WIDE, _NARROW):
            length = 8 if kind == _WIDE else 4
        else:
            raise _Unusual
        left -= len(head) + length
        if left < 0 or not number:
            raise _Unusual
        yield Field(number, kind, head, length, value)


def _varint(file: BinaryIO) -> tuple[int, bytes]:
    value, written = 0, b""
    while len(written) < 10:
        byte = file.read(1)
        if not byte:
            raise _Unusual
        value |= (byte[0] & 0x7F) << 7 * len(written)
        written += byte
        if byte[0] < 0x80:
            return value, written
    raise _Unusual


def _taken(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise _Unusual
    return data


def _message(number: int, parts: list[bytes]) -> list[bytes]:
    """A field that is a message of its own."""
    head, length = bytes([number << 3 | _BYTES]), sum(map(len, parts))
    while length >= 0x80:
        head += bytes([length & 0x7F | 0x80])
        length >>= 7
    return [head + bytes([length]), *parts]
