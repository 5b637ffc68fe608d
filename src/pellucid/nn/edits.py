"""Edits of a network's numbers: plain data, made on a copy that shares everything else with the network."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pellucid.errors import MOST_LISTED, PellucidError, suggest
from pellucid.memory import fitting
from pellucid.nn.module import Module, parameter_places
from pellucid.nn.required import require_net
from pellucid.op import Array
from pellucid.parameter import Parameter
from pellucid.plain import PlainError, parse_json

MOST_EDITS, MOST_TEXT = 1000, 100_000
"""Edits in a list, and characters of one."""
_OPERATIONS = ("set", "scale", "restore")
_RESTORED = "original"
_FORMS = "NAME[INDEX]=NUMBER, NAME[INDEX]*=FACTOR or NAME[INDEX]=original, as in conv1.weight[3]=0"


class EditError(PellucidError, ValueError):
    """An edit that cannot be read, or that a network cannot take; the message names its parameter."""


@dataclass(frozen=True)
class Edit:
    """A change of one parameter, or of a part of it: `Edit("conv1.weight[3]", "set", 0)`, as text `conv1.weight[3]=0`.

    `at` is a parameter's name, behind it an index as NumPy takes it, of whole numbers and slices; what is left out is all.
    `set` gives a number, or lists of them that fill the part; `scale` (`*=`) multiplies by one; `restore` (`=original`)
    takes back what earlier edits did to the part.
    """

    at: str
    operation: str = "set"
    value: Any = None

    def __post_init__(self) -> None:
        if self.operation not in _OPERATIONS:
            raise EditError(f"{self.at}: an edit is to {', '.join(_OPERATIONS)}, not {self.operation!r:.40}")
        if self.operation == "restore":
            if self.value is not None:
                raise EditError(f"{self.at}: what is restored takes no value, got {self.value!r:.40}")
            return
        numbers = self.numbers
        if numbers.dtype.kind not in "biuf" or (self.operation == "scale" and numbers.ndim):
            wanted = "a factor" if self.operation == "scale" else "a number, or lists of numbers"
            raise EditError(f"{self.at}: wants {wanted}, got {self.value!r:.60}")

    @classmethod
    def parse(cls, text: str) -> Edit:
        """The edit that a text such as `conv1.weight[3]=0` says."""
        at, equals, value = text.rpartition("=")
        scaled = at.endswith("*")
        at, value = at.removesuffix("*").strip(), value.strip()
        if not (equals and at and value) or len(text) > MOST_TEXT:
            raise EditError(f"an edit is {_FORMS}; got {text!r:.80}")
        if value == _RESTORED and not scaled:
            return cls(at, "restore")
        return cls(at, "scale" if scaled else "set", _number(at, value))

    def __str__(self) -> str:
        if self.operation == "restore":
            return f"{self.at}={_RESTORED}"
        return f"{self.at}{'*=' if self.operation == 'scale' else '='}{json.dumps(self.numbers.tolist())}"

    @cached_property
    def numbers(self) -> Array:
        """The value as an array."""
        try:
            return np.asarray(self.value)
        except ValueError:  # lists of unequal lengths
            return np.asarray(None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"at": self.at, "operation": self.operation, "value": self.value}


@runtime_checkable
class HasFixed(Protocol):
    """A network with numbers that are no parameters, as those of a file that are whole."""

    def fixed_names(self) -> Sequence[str]:
        """What they are called."""
        ...

    def fixed_value(self, name: str) -> tuple[Array, tuple[int, int] | None]:
        """The numbers called so, and of whole ones the least and the largest that there may be."""
        ...

    def with_fixed(self, values: Mapping[str, Array]) -> Module:
        """The network with others in their place, that shares its parameters."""
        ...


def as_edits(edits: Sequence[Edit | str]) -> tuple[Edit, ...]:
    """Edits that are given as such or as texts."""
    if isinstance(edits, str) or len(edits) > MOST_EDITS:
        raise EditError(f"edits: wants a list of at most {MOST_EDITS}, got {edits!r:.60}")
    return tuple(edit if isinstance(edit, Edit) else Edit.parse(edit) for edit in edits)


def edited(net: Module, edits: Sequence[Edit | str]) -> Module:
    """`net` with other numbers, as `edits` say one after another: `edited(net, ["conv1.weight[3]=0", "fc.bias*=2"])`.

    The network itself stays as it is. What is given shares with it all that is not edited, so that editing costs no more
    memory than the parameters that are. Of an ONNX file whatever it states may be edited, whole numbers too. Raises
    `EditError` for a name, an index or a value that does not fit.
    """
    require_net(net)
    asked = as_edits(edits)
    if not asked:
        return net
    net.named_parameters()  # gives them their names, which copies take along
    fixed = net.fixed_names() if isinstance(net, HasFixed) else ()
    names = {*fixed, *dict(parameter_places(net))}
    parts = [(edit, *_split(edit.at, names, net)) for edit in asked]
    if isinstance(net, HasFixed):
        stated = _Sheet(net.fixed_value)
        for edit, name, index in parts:
            if name in fixed:
                stated.take(edit, name, index)
        if stated.changed:
            net = net.with_fixed(stated.changed)
    places = dict(parameter_places(net))
    first = {parameter: name for name, parameter in reversed(places.items())}
    sheet = _Sheet(lambda name: (places[name].value, None))
    for edit, name, index in parts:
        if name not in fixed:
            sheet.take(edit, first[places[name]], index)
    return _copied(net, sheet.changed)


def fitting_edits(net: Module, edits: Sequence[Edit | str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of edits that were made for another network those that `net` can take, and of each of the others why it cannot."""
    asked = as_edits(edits)
    taken: list[str] = []
    others: list[str] = []
    for edit in asked:
        try:
            edited(net, [edit])
        except EditError as error:
            others.append(f"{edit} is left out: {error}")
        else:
            taken.append(str(edit))
    return tuple(taken), tuple(others)


def _copied(net: Module, values: Mapping[str, Array]) -> Module:
    """A copy that has its own parameters for `values`, by name, and shares the others."""
    memo: dict[int, Any] = {}
    for name, parameter in net.named_parameters().items():
        memo[id(parameter)] = parameter
        if name in values:
            twin = memo[id(parameter)] = Parameter.of(values[name], parameter.name, parameter.trainable)
            twin.value = values[name]  # so that it counts as given
    return copy.deepcopy(net, memo)


@dataclass(frozen=True)
class _Sheet:
    """Numbers by name as edits leave them; `read` gives those that there are, and the ends of whole ones."""

    read: Callable[[str], tuple[Array, tuple[int, int] | None]]
    changed: dict[str, Array] = field(default_factory=dict[str, Array])

    def take(self, edit: Edit, name: str, index: str) -> None:
        """Make one edit."""
        given, ends = self.read(name)
        place = _index(name, given.shape, index)
        array = self.changed.get(name)
        if array is None:
            with fitting(f"{name}: a copy to edit", given.nbytes, "edit a smaller parameter"):
                array = given.copy()
        old = array[place]
        if edit.operation == "restore":
            new = given[place]
        elif edit.operation == "scale":
            with np.errstate(over="ignore", invalid="ignore"):
                new = old * edit.numbers
        else:
            new = _filling(edit, old.shape)
        array[place] = _held(edit, new, array.dtype, ends)
        self.changed[name] = array


def _filling(edit: Edit, shape: tuple[int, ...]) -> Array:
    """The numbers of an edit in the shape of the part that they are given to."""
    try:
        return np.broadcast_to(edit.numbers, shape)
    except ValueError:
        raise EditError(
            f"{edit.at}: is of shape {shape}, which numbers of shape {edit.numbers.shape} do not fill"
        ) from None


def _held(edit: Edit, values: Array, dtype: np.dtype[Any], ends: tuple[int, int] | None) -> Array:
    """The numbers as the element type holds them; raises `EditError` where it cannot."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            held = values.astype(dtype)
        if not np.array_equal(np.isinf(held), np.isinf(values)):
            raise EditError(f"{edit}: {dtype} cannot hold {np.abs(values[np.isfinite(values)]).max():.6g}")
        return held
    low, high = (0, 1) if dtype.kind == "b" else ends or (np.iinfo(dtype).min, np.iinfo(dtype).max)
    whole = np.isfinite(values) & (np.trunc(values) == values)
    if not (whole & (values >= low) & (values <= high)).all():
        raise EditError(f"{edit}: {edit.at} takes whole numbers from {low} to {high}")
    return values.astype(dtype)


def _split(at: str, names: Collection[str], net: Module) -> tuple[str, str]:
    """The name of a parameter and the index behind it. A name is one, whatever is in it."""
    if at in names:
        return at, ""
    found = re.fullmatch(r"(.*?)\s*\[([^\[\]]*)\]", at, re.DOTALL)
    name, index = (found[1], found[2]) if found else (at, "")
    if name not in names:
        below = sorted(n for n in names if n.startswith(f"{name}.")) or sorted(names)
        more = ", ..." if len(below) > MOST_LISTED else ""
        raise EditError(
            f"{type(net).__name__} has no parameter {name!r:.100}{suggest(name, names)}; "
            f"there {'is' if len(below) == 1 else 'are'} {', '.join(below[:MOST_LISTED]) or 'none'}{more}"
        )
    return name, index


_SLICE = re.compile(r"(-?\d{1,9})?\s*:\s*(-?\d{1,9})?\s*(?::\s*(-?[1-9]\d{0,8})?)?")


def _index(name: str, shape: tuple[int, ...], text: str) -> tuple[int | slice, ...]:
    """What is in brackets, as NumPy takes it; raises `EditError` for what is not within the shape."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if len(parts) > len(shape):
        raise EditError(f"{name}: has {len(shape)} axes {shape}, got an index of {len(parts)}: [{text:.60}]")
    found: list[int | slice] = []
    for axis, (part, size) in enumerate(zip(parts, shape, strict=False)):
        where = f"{name}[{text:.60}]: axis {axis}"
        if re.fullmatch(r"-?\d{1,9}", part):
            if not -size <= int(part) < size:
                raise EditError(
                    f"{where} goes from 0 to {size - 1}, there is no {part}" if size else f"{where} is empty"
                )
            found.append(int(part))
        elif match := _SLICE.fullmatch(part):
            some = slice(*(int(number) if number else None for number in match.groups()))
            found.append(some)
            if not range(size)[some]:
                raise EditError(f"{where} goes from 0 to {size - 1}, {part} is none of it")
        else:
            raise EditError(f"{where} wants a whole number or a slice such as 2:5, got {part!r:.40}")
    return tuple(found)


def _number(at: str, text: str) -> Any:
    """A number, or lists of numbers."""
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    try:
        return parse_json(text) if text.startswith("[") else float(text)
    except (PlainError, ValueError):
        raise EditError(f"{at}: wants a number, lists of numbers, or {_RESTORED!r}, got {text!r:.60}") from None
