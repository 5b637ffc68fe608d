"""What a call gave for the settings of a dataclass, as the types that its fields say: nothing in it is believed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import numpy as np

from pellucid.plain import PlainError, read

T = TypeVar("T")


def argument(kind: type[T], value: Any, name: str, raises: type[Exception]) -> T:
    """`value_given` of a call's argument; `raises` is the error of whoever is called."""
    try:
        return value_given(kind, value, name)
    except PlainError as error:
        raise raises(str(error)) from error


def value_given(kind: type[T], value: Any, name: str) -> T:
    """A value as a `kind`, also where it came from Python: NumPy's numbers and paths are what they say, a whole float is a
    whole number where one is wanted, and 1 and 0 are true and false there. Raises `PlainError`, which says the `name`.
    """
    parts = get_args(kind)
    value = _plain(kind, value, name)
    if get_origin(kind) is tuple and parts[1:] != (...,) and (not isinstance(value, list) or len(value) != len(parts)):
        shown = value if not isinstance(value, list) else tuple(cast(Any, value))
        raise PlainError(f"{name} must be {'two' if len(parts) == 2 else len(parts)} numbers, got {shown!r:.60}")
    return read(kind, value, name)


def settings_given(kind: type[Any], given: Mapping[str, Any], any_size: bool = False) -> dict[str, Any]:
    """Settings of the dataclass `kind` as plain values of its fields' types, see `value_given`; a name that it lacks stays as it is.

    None is the default of what is empty by default. Of `any_size` whole numbers may be larger than a file holds. Raises `PlainError`.
    """
    kinds = _kinds(kind)
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in kinds:
            found[name] = value
            continue
        hint, default = kinds[name]
        if value is None:
            if default not in ("", {}):
                raise PlainError(f"{name}: must not be None; leave it out for its default, {default!r}")
            value = default
        found[name] = value if any_size and hint is int and type(value) is int else value_given(hint, value, name)
    return found


def settle(settings: Any, raises: type[Exception], prefix: str = "", any_size: bool = True) -> None:
    """Bring the fields of a frozen dataclass to their types, see `settings_given`; `raises` is the error, whose words begin with `prefix`."""
    try:
        for name, value in settings_given(type(settings), vars(settings), any_size).items():
            object.__setattr__(settings, name, value)
    except PlainError as error:
        raise raises(f"{prefix}{error}") from error


@cache
def _kinds(kind: type[Any]) -> dict[str, tuple[Any, Any]]:
    """Each field's type, and its default."""
    hints = get_type_hints(kind)
    return {
        each.name: (
            hints[each.name],
            each.default if each.default_factory is dataclasses.MISSING else each.default_factory(),
        )
        for each in dataclasses.fields(kind)
    }


def _plain(kind: Any, value: Any, name: str) -> Any:
    """Plain data of what is no such yet; what is wrong in it, `read` says."""
    if isinstance(value, np.ndarray):
        value = cast(Any, value).tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, os.PathLike):
        value = os.fspath(cast("os.PathLike[str]", value))
    inner = next((part for part in reversed(get_args(kind)) if part is not ...), Any)
    if isinstance(value, Mapping):
        entries = cast(Mapping[Any, Any], value)
        return {_plain(str, key, name): _plain(inner, entry, name) for key, entry in entries.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, entry, name) for entry in cast(Sequence[Any], value)]
    if isinstance(value, str):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise PlainError(
                f"{name}: {value!r} is not UTF-8, so a run cannot note it; give the file or folder another name"
            )
        return str.__str__(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is bool and type(value) is int and value in (0, 1):
        return bool(value)
    return value if isinstance(value, bool) or not isinstance(value, int) else int(value)
