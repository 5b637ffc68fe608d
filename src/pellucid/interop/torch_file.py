"""PyTorch's two file formats, zip (since 1.6) and the one before it: what `torch.save` wrote, without PyTorch or unpickling."""

from __future__ import annotations

import math
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

from pellucid.errors import WeightsError
from pellucid.interop.pickled import Builder, Name, damaged, expect, read_pickle
from pellucid.op import Array, Shape

LEGACY_START = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
"""The pickled magic number with which files in the old format begin."""

ZIP_START = b"PK\x03\x04"

REMEDY = "load it in PyTorch and write the weights alone: torch.save(model.state_dict(), path)"

COPIED_BYTES = 2**26
"""Bytes that may be copied, beyond 8 times the file's size, for tensors that show stored elements more than once."""

_ELEMENTS = {
    "torch.FloatStorage": "float32",
    "torch.DoubleStorage": "float64",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
    "torch.storage.UntypedStorage": "",
    "torch.UntypedStorage": "",
}
_UNTYPED = {f"torch.{name}": name for name in ("uint16", "uint32", "uint64")}
_WIDTHS = {
    name: 1 if not name else np.dtype("uint16" if name == "bfloat16" else name).itemsize
    for name in (*_ELEMENTS.values(), *_UNTYPED.values())
}
"""Bytes of an element of each type."""
_MOST_AXES = 32


@dataclass(frozen=True)
class Storage:
    """`count` elements that lie one behind the other in the file; of the element type "" they are bytes."""

    key: str
    element: str
    count: int

    @property
    def nbytes(self) -> int:
        """Bytes that they take."""
        return self.count * _WIDTHS[self.element]


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor's elements stand in a storage: `offset` and `strides` count elements."""

    storage: Storage
    element: str
    offset: int
    shape: Shape
    strides: Shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


class TorchFile:
    """An open file of `torch.save`: `value` is what was saved, with a `StoredTensor` for every tensor in it."""

    def __init__(self, file: BinaryIO) -> None:
        self.size = os.fstat(file.fileno()).st_size
        file.seek(0)
        zipped = file.read(len(ZIP_START)) == ZIP_START
        file.seek(0)
        self._content = _Zip(file, self.size) if zipped else _Legacy(file, self.size)
        self.value = self._content.value
        self._stored: dict[str, Array] = {}
        self._made: dict[StoredTensor, Array] = {}
        self._copied = 0

    def array(self, tensor: StoredTensor) -> Array:
        """The tensor's elements: half and bfloat16 as float32, integers as int64, the rest without a copy if it can be."""
        if tensor not in self._made:
            self._made[tensor] = self._read(tensor)
        return self._made[tensor]

    def _read(self, tensor: StoredTensor) -> Array:
        storage, width = tensor.storage, _WIDTHS[tensor.element]
        short = tensor.element == "bfloat16"
        element = np.dtype(self._content.order + np.dtype("u2" if short else tensor.element).str[1:])
        if not tensor.size:
            return computable(np.empty(tensor.shape, element), short)
        last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
        if (last + 1) * width > storage.nbytes:
            raise WeightsError(f"a tensor of shape {tensor.shape} reaches beyond its storage of {storage.nbytes} bytes")
        if storage.key not in self._stored:
            self._stored[storage.key] = self._content.read(storage)
        stored = self._stored[storage.key]
        if len(stored) != storage.nbytes:
            raise WeightsError(f"storage {storage.key!r} has {len(stored)} bytes, expected {storage.nbytes}")
        elements = stored[tensor.offset * width : (last + 1) * width].view(element)
        steps = [s * width for s in tensor.strides]
        seen = np.lib.stride_tricks.as_strided(elements, tensor.shape, steps)
        if not seen.flags.c_contiguous or element.itemsize < 4 or element.byteorder == ">" or element == np.int32:
            self._spend(tensor, 8 * tensor.size)
        return computable(seen, short)

    def _spend(self, tensor: StoredTensor, count: int) -> None:
        """Keep what is copied within what the file's own size justifies."""
        self._copied += count
        if self._copied > 8 * self.size + COPIED_BYTES:
            raise WeightsError(
                f"a tensor of shape {tensor.shape} shows the {tensor.storage.count} elements of its storage over and over; "
                f"copies of more than {COPIED_BYTES >> 20} MiB are not made of so small a file"
            )


def computable(array: Array, bfloat16: bool = False) -> Array:
    """The array in an element type that Pellucid computes with, row by row: itself if it is so already.

    Half and, given as their 16 bits, bfloat16 become float32, integers int64.
    """
    if bfloat16:
        return (array.astype(np.uint32, order="C") << 16).view(np.float32)
    kind = array.dtype.kind
    wide = np.int64 if kind in "iu" else np.float32 if array.dtype.itemsize == 2 else array.dtype.newbyteorder("=")
    return np.ascontiguousarray(array.astype(wide, copy=False)).reshape(array.shape)


class _Zip:
    """A zip file whose members are stored as they are: `data.pkl`, and `data/0`, `data/1`, ... for the storages."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OverflowError, struct.error) as error:
            raise WeightsError(f"its zip directory is damaged ({error}); the file may be cut off") from error
        self._members = {member.filename: member for member in members}
        if len(self._members) != len(members) or sum(m.compress_size for m in members) > size:
            raise WeightsError("its zip directory is damaged (members are listed twice or are larger than the file)")
        roots = [name.removesuffix("data.pkl") for name in self._members if name.endswith("/data.pkl")]
        if any(name.rpartition("/")[2] == "constants.pkl" for name in self._members):
            raise WeightsError(f"it is a TorchScript archive, which holds a program; {REMEDY}")
        if len(roots) != 1:
            raise WeightsError(f"it is a zip file without PyTorch's data.pkl, not a file of `torch.save`; {REMEDY}")
        self._root = roots[0]
        order = self._bytes("byteorder").strip() if self._root + "byteorder" in self._members else b"little"
        if order not in (b"little", b"big"):
            raise WeightsError(f"its byte order is {order[:20]!r}, expected little or big")
        self.order = "<" if order == b"little" else ">"
        self.value = read_pickle(BytesIO(self._bytes("data.pkl")), _NAMES, self._refer)

    def _refer(self, reference: Any) -> Storage:
        return _storage(reference)

    def read(self, storage: Storage) -> Array:
        """The bytes of a storage."""
        return np.frombuffer(self._bytes(f"data/{storage.key}"), np.uint8)

    def _bytes(self, name: str) -> bytearray:
        """A member, read at once: the directory says how long it is, and that is compared with the file's length first."""
        member = self._members.get(self._root + name)
        if member is None:
            raise WeightsError(f"it has no member {name!r}; the file may be cut off")
        if (
            member.compress_type != zipfile.ZIP_STORED
            or member.flag_bits & 1
            or member.file_size != member.compress_size
        ):
            raise WeightsError(f"its member {name!r} is compressed or encrypted, which `torch.save` never does")
        self._file.seek(min(max(member.header_offset, 0), self._size))
        header = self._file.read(30)
        if member.header_offset < 0 or len(header) < 30 or header[:4] != ZIP_START:
            raise WeightsError(f"its member {name!r} does not start where the directory says; the file is damaged")
        start = member.header_offset + 30 + sum(struct.unpack("<HH", header[26:]))
        if start + member.file_size > self._size:
            raise WeightsError(
                f"its member {name!r} reaches beyond the end of the file; the file is cut off or damaged"
            )
        self._file.seek(start)
        content = bytearray(member.file_size)
        if self._file.readinto(content) != len(content):  # pyright: ignore[reportAttributeAccessIssue]
            raise WeightsError(f"its member {name!r} cannot be read whole")
        if member.CRC and zlib.crc32(content) != member.CRC:  # 0: written without
            raise WeightsError(f"its member {name!r} is damaged (the checksum differs)")
        return content


class _Legacy:
    """Five pickles (magic number, version, machine, value, keys of the storages), then the storages one after another."""

    order = "<"

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._storages: dict[str, Storage] = {}
        stream = _Clamped(file, size)
        read_pickle(stream, {})
        version = read_pickle(stream, {})
        machine = read_pickle(stream, {})
        expect(isinstance(machine, dict) and version == 1001, f"format version {version!r}, expected 1001")
        if machine.get("little_endian") is not True:
            raise WeightsError(
                "it was written on a big-endian machine; load it there in PyTorch and save it as safetensors"
            )
        self.value = read_pickle(stream, _NAMES, self._refer)
        keys = read_pickle(stream, {})
        expect(isinstance(keys, list) and all(isinstance(k, str) for k in keys), "the list of storages is missing")
        self._starts = self._find(keys, file.tell(), size)

    def _refer(self, reference: Any) -> Storage:
        expect(isinstance(reference, tuple))
        if len(reference) == 6 and reference[5] is not None:
            raise WeightsError("it shares storages as PyTorch before 0.4 did; load it in PyTorch and save it again")
        storage = _storage(reference[:5])
        if self._storages.setdefault(storage.key, storage) != storage:
            raise damaged(f"storage {storage.key!r} is described in two ways")
        return storage

    def _find(self, keys: list[str], start: int, size: int) -> dict[str, int]:
        """Where each storage's elements start; before them stands their number."""
        starts: dict[str, int] = {}
        for key in keys:
            storage = self._storages.get(key)
            expect(storage is not None and key not in starts, f"storage {key!r} belongs to no tensor")
            assert storage is not None
            self._file.seek(start)
            expect(self._file.read(8) == struct.pack("<q", storage.count), f"storage {key!r} has another length")
            starts[key] = start + 8
            start += 8 + storage.nbytes
            if start > size:
                raise WeightsError(
                    f"storage {key!r} reaches beyond the end of the file; the file is cut off or damaged"
                )
        return starts

    def read(self, storage: Storage) -> Array:
        """The bytes of a storage."""
        expect(storage.key in self._starts, f"storage {storage.key!r} is missing")
        self._file.seek(self._starts[storage.key])
        return np.fromfile(self._file, np.uint8, storage.nbytes)


@dataclass
class _Clamped:
    """A file that never reads, or makes room for, more than there is."""

    file: BinaryIO
    size: int

    def read(self, count: int, /) -> bytes:
        return self.file.read(min(count, self.size - self.file.tell()))

    def readline(self) -> bytes:
        return self.file.readline()

    def tell(self) -> int:
        return self.file.tell()


def _storage(reference: Any) -> Storage:
    """What the persistent id ("storage", type, key, device, number of elements) refers to."""
    expect(isinstance(reference, tuple) and len(reference) == 5 and reference[0] == "storage")
    _, kind, key, _, count = reference
    expect(isinstance(kind, Name) and kind.path in _ELEMENTS and isinstance(key, str), "a storage without a type")
    expect(type(count) is int and 0 <= count < 2**60, "a storage without a length")
    return Storage(key, _ELEMENTS[kind.path], count)


def _tensor(arguments: tuple[Any, ...]) -> StoredTensor:
    storage, offset, shape, strides = [*arguments, *[None] * 4][:4]
    return _shown(storage, offset, shape, strides, storage.element if isinstance(storage, Storage) else "")


def _shown(storage: Any, offset: Any, shape: Any, strides: Any, element: str) -> StoredTensor:
    expect(isinstance(storage, Storage), "a tensor without a storage")
    numbers = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= _MOST_AXES
    expect(numbers and element != "", "a tensor without a shape or type")
    counted = all(type(n) is int and 0 <= n < 2**40 for n in (offset, *shape, *strides))
    expect(counted and math.prod(n or 1 for n in shape) < 2**60, f"a tensor of shape {shape}")
    return StoredTensor(storage, element, offset, shape, strides)


def _typed_tensor(arguments: tuple[Any, ...]) -> StoredTensor:
    """storage, offset, shape, strides, requires_grad, hooks, type: for types that storages have no name for."""
    storage, offset, shape, strides, _, _, kind = [*arguments, *[None] * 7][:7]
    element = _UNTYPED.get(kind.path, "") if isinstance(kind, Name) else ""
    return _shown(storage, offset, shape, strides, element)


def _parameter(arguments: tuple[Any, ...]) -> StoredTensor:
    expect(bool(arguments) and isinstance(arguments[0], StoredTensor), "a parameter without a tensor")
    return arguments[0]


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    expect(len(arguments) == 1 and isinstance(arguments[0], tuple), "a size without numbers")
    return arguments[0]


_NAMES: dict[str, Builder | None] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
    **dict.fromkeys(_ELEMENTS),
    **dict.fromkeys(_UNTYPED),
}
