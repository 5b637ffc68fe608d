"""Files of safetensors: what the header says is looked at before a number is read, and each number is copied once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pellucid.errors import WeightsError
from pellucid.memory import machine_memory
from pellucid.op import Array
from pellucid.plain import parse_json, read
from pellucid.text import human_bytes

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "BOOL": "?",
    **{f"I{8 * n}": f"<i{n}" for n in (1, 2, 4, 8)},
    **{f"U{8 * n}": f"<u{n}" for n in (1, 2, 4, 8)},
}
_MOST_AXES = 32


@dataclass(frozen=True)
class SafeTensor:
    """One array: `data_offsets` says which bytes after the header are its own."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


@dataclass(frozen=True)
class SafeHeader:
    """The arrays of a file by name; `start` is the byte at which their numbers begin."""

    start: int
    tensors: dict[str, SafeTensor]
    metadata: dict[str, str] = field(default_factory=dict[str, str])


def safe_header(path: Path) -> SafeHeader:
    """The header of a file, found to fit its size (the safetensors package checks that); raises `WeightsError`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"), path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            entries = parse_json(file.read(length))
        metadata = read(dict[str, str] | None, entries.pop("__metadata__", None), "__metadata__")
        return SafeHeader(8 + length, read(dict[str, SafeTensor], entries), metadata or {})
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        raise WeightsError(f"it is no readable safetensors file ({error}); it may be damaged or cut off") from error


def safe_arrays(path: Path, header: SafeHeader | None = None) -> dict[str, tuple[Array, str]]:
    """Every array with the name of its element type; those of BF16 are the bits as uint16. Raises `WeightsError`."""
    header = header or safe_header(path)
    for name, tensor in header.tensors.items():
        if tensor.dtype not in _DTYPES:
            raise WeightsError(f"{name!r} has the element type {tensor.dtype}; there are: {', '.join(_DTYPES)}")
        if len(tensor.shape) > _MOST_AXES or min(tensor.shape, default=0) < 0:
            raise WeightsError(f"{name!r} has {len(tensor.shape)} axes; at most {_MOST_AXES}, none negative, are read")
    wanted = sum(math.prod(t.shape) * np.dtype(_DTYPES[t.dtype]).itemsize for t in header.tensors.values())
    if wanted > machine_memory():
        raise WeightsError(
            f"its arrays take {human_bytes(wanted)}, this machine has {human_bytes(machine_memory())} of memory"
        )
    found: dict[str, tuple[Array, str]] = {}
    try:
        with path.open("rb") as file:
            for name, tensor in header.tensors.items():
                file.seek(header.start + tensor.data_offsets[0])
                array = np.fromfile(file, _DTYPES[tensor.dtype], math.prod(tensor.shape))
                found[name] = array.reshape(tensor.shape), tensor.dtype
    except (OSError, ValueError, MemoryError) as error:
        raise WeightsError(f"its arrays cannot be read ({error})") from error
    return found
