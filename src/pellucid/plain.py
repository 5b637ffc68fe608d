"""Plain data (what JSON holds) as text, and back as the typed values that it should be: nothing in it is believed."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import math
import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

from pellucid.errors import PellucidError, suggest

T = TypeVar("T")
Array = npt.NDArray[Any]
SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""How numbers that JSON has no word for are written, as text; null stands for what is not there."""
MOST_BYTES = 2**28
"""Of one array that is read."""
_ELEMENTS = (
    "bool",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    "float16",
    "float32",
    "float64",
)
_WHOLE = range(-(2**63), 2**63)
_DEEPEST = 50
_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


class PlainError(PellucidError, ValueError):
    """Plain data is not what it should be: the message says where in it, what was expected and what came."""


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON that every reader takes: NaN and the infinities become the texts of `SPECIAL`."""
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_spelled(value), indent=indent, allow_nan=False)


def _spelled(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {name: _spelled(inner) for name, inner in cast(Mapping[str, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_spelled(inner) for inner in cast(Sequence[Any], value)]
    return value


def plain(value: Any) -> Any:
    """What a value holds as plain data that `read` takes back without a loss: dataclasses, arrays, sequences, numbers.

    An array is its element type, its shape, and its bytes in order (little-endian, the last axis runs fastest) as base64.
    """
    if isinstance(value, np.ndarray):
        array = cast(npt.NDArray[Any], value)
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        text = base64.b64encode(data.tobytes()).decode()
        return {"dtype": array.dtype.name, "shape": list(array.shape), "base64": text}
    if isinstance(value, np.generic):
        return value.item()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in cast(Mapping[str, Any], value).items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in cast(Sequence[Any], value)]
    return value


def parse_json(text: str | bytes) -> Any:
    """The plain data in JSON text; raises `PlainError`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlainError(f"not JSON ({error})") from error


def read(kind: type[T] | types.UnionType, value: Any, where: str = "") -> T:
    """Plain data as a `kind`: a dataclass, or any type that its fields may have. Raises `PlainError`.

    Every field is looked at: its type, the length of tuples, names that are unknown or missing. What a dataclass checks
    itself when it is made (ranges) counts too. Numbers may be the texts of `SPECIAL` where a float is wanted.
    """
    return _read(kind, value, where, 0)


def _read(kind: Any, value: Any, where: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise PlainError(f"{where}: is nested more than {_DEEPEST} deep")
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return _any(value, where, depth)
    if origin is np.ndarray:
        return _array(value, where)
    if kind in _NAMES:
        return _simple(kind, value, where)
    if dataclasses.is_dataclass(kind):
        return _dataclass(cast(type[Any], kind), value, where, depth)
    if origin in (Union, types.UnionType):
        (inner,) = (part for part in parts if part is not types.NoneType)
        return None if value is None else _read(inner, value, where, depth)
    if origin in (dict, Mapping):
        return {name: _read(parts[1], v, _inside(where, name), depth + 1) for name, v in _entries(value, where).items()}
    if origin in (list, tuple, Sequence):
        return _sequence(origin, parts, value, where, depth)
    raise TypeError(f"{kind}: not a type that plain data can be read as")


def _any(value: Any, where: str, depth: int) -> Any:
    """Plain data of any kind, still with numbers that a machine holds and a depth that has an end."""
    if isinstance(value, dict):
        return _read(dict[str, Any], value, where, depth)
    if isinstance(value, list):
        return _read(list[Any], value, where, depth)
    return _simple(int, value, where) if type(value) is int else value


def _simple(kind: Any, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, str) and value in SPECIAL:
        return SPECIAL[value]
    fits = type(value) is kind or (kind is float and type(value) is int)
    if not fits or (isinstance(value, int) and value not in _WHOLE):
        raise PlainError(_message(where, _NAMES[kind], value))
    return float(value) if kind is float else value


def _dataclass(kind: type[Any], value: Any, where: str, depth: int) -> Any:
    entries, fields = _entries(value, where), _fields(kind)
    for name in entries:
        if name not in fields:
            raise PlainError(f"{_inside(where, name)}: is not known{suggest(name, fields)}; known: {', '.join(fields)}")
    for name, (_, needed) in fields.items():
        if needed and name not in entries:
            raise PlainError(f"{_inside(where, name)}: is missing")
    read_fields = {n: _read(fields[n][0], v, _inside(where, n), depth + 1) for n, v in entries.items()}
    try:
        return kind(**read_fields)
    except ValueError as error:  # what the class itself refuses
        raise PlainError(f"{where}: {error}" if where else str(error)) from error


@cache
def _fields(kind: type[Any]) -> dict[str, tuple[Any, bool]]:
    """Each field's type, and whether it must be given."""
    hints, missing = get_type_hints(kind), dataclasses.MISSING
    return {
        f.name: (hints[f.name], f.default is missing and f.default_factory is missing)
        for f in dataclasses.fields(kind)
        if f.init
    }


def _entries(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PlainError(_message(where, "names with values", value))
    entries = cast(dict[str, Any], value)
    for name in entries:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PlainError(_message(where, "names that are text", name))
    return entries


@dataclasses.dataclass(frozen=True)
class _Stored:
    """An array as `plain` writes it."""

    dtype: str
    shape: tuple[int, ...]
    base64: str


def _array(value: Any, where: str) -> npt.NDArray[Any]:
    stored = _read(_Stored, value, where, 0)
    if stored.dtype not in _ELEMENTS:
        raise PlainError(f"{where}: element type must be one of {', '.join(_ELEMENTS)}, got {stored.dtype!r:.60}")
    element = np.dtype(stored.dtype)
    if len(stored.shape) > 8 or any(not 0 <= n <= MOST_BYTES for n in stored.shape):
        raise PlainError(f"{where}: must have at most 8 axes of 0 to {MOST_BYTES:,}, got {list(stored.shape[:9])}")
    wanted = math.prod(stored.shape) * element.itemsize
    if wanted > MOST_BYTES:
        raise PlainError(f"{where}: takes {wanted:,} bytes, at most {MOST_BYTES:,} are read")
    if len(stored.base64) != 4 * -(-wanted // 3):
        raise PlainError(f"{where}: wants {4 * -(-wanted // 3)} characters of base64, got {len(stored.base64)}")
    try:
        data = base64.b64decode(stored.base64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PlainError(f"{where}: is not base64 ({error})") from error
    if len(data) != wanted:
        raise PlainError(f"{where}: wants {wanted} bytes, got {len(data)}")
    if stored.dtype == "bool" and data.strip(b"\0\1"):
        raise PlainError(f"{where}: has bytes that are neither true nor false")
    return np.frombuffer(data, element.newbyteorder("<")).reshape(stored.shape).astype(element)


def _sequence(origin: Any, parts: tuple[Any, ...], value: Any, where: str, depth: int) -> Any:
    if not isinstance(value, list | tuple):
        raise PlainError(_message(where, "a list", value))
    items = cast(Sequence[Any], value)
    any_length = origin is not tuple or parts[1:] == (...,)
    kinds = [parts[0]] * len(items) if any_length else list(parts)
    if len(kinds) != len(items):
        raise PlainError(f"{_message(where, f'a list of {len(kinds)}', value)} of {len(items)}")
    made = (_read(k, v, f"{where}[{n}]", depth + 1) for n, (k, v) in enumerate(zip(kinds, items, strict=True)))
    return list(made) if origin is list else tuple(made)


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _message(where: str, wanted: str, value: Any) -> str:
    return f"{where or 'it'}: must be {wanted}, got {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, int) and value not in _WHOLE:
        return "a number too large"
    kinds = {dict: "names with values", list: "a list", types.NoneType: "null"}
    return kinds.get(cast(Any, type(value)), f"{value!r:.60}")
