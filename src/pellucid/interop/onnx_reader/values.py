"""Arrays of an ONNX file: its element types as ours, and data outside of the file, which never leaves its folder."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from pellucid.files import reason_of
from pellucid.interop.errors import OnnxError, require_onnx
from pellucid.op import Array

_FLOATS = {"FLOAT": "float32", "DOUBLE": "float64", "FLOAT16": "float32", "BFLOAT16": "float32"}
INTEGERS = {
    f"{prefix}INT{bits}": (0, 2**bits - 1) if prefix else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for prefix in ("", "U")
    for bits in (2, 4, 8, 16, 32, 64)
}
"""Integer types by ONNX's names, with their smallest and largest value; all are computed with as int64."""


def dtype_of(what: str, element: str) -> str:
    """Our element type for ONNX's `element`, or an `OnnxError`: half floats widen to float32, integers to int64."""
    if element in _FLOATS:
        return _FLOATS[element]
    if element in INTEGERS:
        return "int64"
    if element == "BOOL":
        return "bool"
    raise OnnxError(f"{what}: elements of type {element} cannot be computed with; floats, integers and bool can")


def element_name(number: int) -> str:
    """ONNX's name of an element type: 1 -> FLOAT."""
    names: dict[int, str] = {v: k for k, v in require_onnx().TensorProto.DataType.items()}
    if number not in names:
        raise OnnxError(f"element type number {number} is not one that ONNX defines")
    return names[number]


def numpy_type(element: str) -> Any:
    """NumPy's element type for ONNX's `element`."""
    onnx = require_onnx()
    return onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.DataType.Value(element))


def widened(what: str, array: Array, element: str) -> Array:
    """An array of ONNX type `element` in the type that we compute with."""
    dtype = dtype_of(what, element)
    if element == "UINT64" and array.size and int(array.max()) >= 2**63:
        raise OnnxError(f"{what}: holds {array.max()}; whole numbers are computed with as int64, up to 2^63 - 1")
    return np.asarray(array, order="C").astype(dtype, copy=False)


def read_tensor(tensor: Any, folder: Path | None, numbers: bytes | None = None) -> tuple[Array, str]:
    """The values of a TensorProto, widened to a type we compute with, and ONNX's name of its element type.

    `numbers` are the bytes of its float32 values where it has none itself.
    """
    what = f"tensor {tensor.name!r}"
    element = element_name(tensor.data_type)
    dtype_of(what, element)
    external = tensor.data_location == require_onnx().TensorProto.EXTERNAL
    if external:
        _check_location(what, tensor, folder)
    if any(d < 0 for d in tensor.dims):
        raise OnnxError(f"{what}: dimensions must not be negative, got {tuple(tensor.dims)}")
    try:
        if numbers is None:
            array = require_onnx().numpy_helper.to_array(tensor, str(folder or ""))
        else:
            array = np.frombuffer(numbers, "<f4").reshape(tuple(tensor.dims))
    except (ValueError, TypeError, OSError, OverflowError, require_onnx().checker.ValidationError) as error:
        raise OnnxError(f"{what} {tuple(tensor.dims)} of type {element}: its data cannot be read: {error}") from error
    if array.shape != tuple(tensor.dims):
        raise OnnxError(f"{what}: expected shape {tuple(tensor.dims)}, its data has {array.shape}")
    return widened(what, array, element), element


def _check_location(what: str, tensor: Any, folder: Path | None) -> None:
    """Raise unless the tensor's data lies in a plain file inside of `folder`, which is long enough."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise OnnxError(f"{what}: its data lies in another file, {location!r}; open the model from its own folder")
    outside = PurePosixPath(location).is_absolute() or PureWindowsPath(location).is_absolute()
    parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
    if not location or outside or ".." in parts or PureWindowsPath(location).drive:
        raise OnnxError(f"{what}: its data must lie in the model's folder, got location {location!r}")
    root = folder.resolve()
    path = root / location
    try:
        is_linked, is_there = path.resolve() != path, path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, with a zero byte, or links that lead to themselves
        raise OnnxError(f"{what}: {location!r:.80} is no place that data can lie in ({reason_of(error)})") from error
    if is_linked:
        raise OnnxError(f"{what}: {location!r:.80} leads out of the model's folder through a link; copy the file there")
    if not is_there:
        raise OnnxError(f"{what}: its data file {location!r:.80} is missing; it belongs beside the model")
    numbers = {key: entries.get(key, "0") for key in ("offset", "length")}
    if not all(value.isascii() and value.isdigit() and len(value) < 20 for value in numbers.values()):
        raise OnnxError(f"{what}: offset and length of external data must be whole numbers, got {numbers}")
    element = element_name(tensor.data_type)
    narrow = {f"{prefix}INT{bits}": bits for prefix in ("", "U") for bits in (2, 4)}
    bits = narrow.get(element, 8 * np.dtype(numpy_type(element)).itemsize)
    needed = -(-math.prod(tensor.dims) * bits // 8)
    length = int(numbers["length"]) if "length" in entries else needed
    if length != needed or int(numbers["offset"]) + needed > path.stat().st_size:
        raise OnnxError(
            f"{what}: needs {needed} bytes from {numbers['offset']} of {location!r}, which has {path.stat().st_size} (length given: {length})"
        )
