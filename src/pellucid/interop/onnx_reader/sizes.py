"""The sizes that a file leaves open in the shapes of its inputs, and what is given for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pellucid.interop.errors import OnnxError
from pellucid.interop.onnx_reader.model import Value, place_name
from pellucid.op import Shape

ROLES = {"batch": "N", "channels": "C", "height": "H", "width": "W"}
"""What the axes of a picture may be called, whatever the file calls them."""


def shapes_of(inputs: Iterable[Value], dimensions: Mapping[str, int], known: Iterable[Value]) -> dict[str, Shape]:
    """Shapes with numbers for what is open; an `OnnxError` names every axis that has none.

    `dimensions` go by the file's symbols or by place (`x_2`); those of `known` inputs may be named though they are not asked for.
    """
    names = open_names(known)
    if wrong := [f"{n}={v!r}" for n, v in dimensions.items() if n not in names or v < 0]:
        raise OnnxError(
            f"dimensions {', '.join(wrong)} do not fit; symbols of the inputs: {', '.join(sorted(names)) or 'none'}"
        )
    shapes: dict[str, Shape] = {}
    missing: list[str] = []
    inputs = list(inputs)
    counting = {value.shape[0] for value in inputs if value.shape}
    """What the examples of a batch are counted by, which is one size wherever it stands."""
    for value in inputs:
        if value.shape is None:
            raise OnnxError(f"input {value.name!r}: the file states no shape")
        shape: list[int] = []
        for axis, size in enumerate(value.shape):
            given = dimensions.get(place_name(value.name, axis))
            if isinstance(size, str):
                given = dimensions.get(size, given)
                given = given if given is not None else 1 if axis == 0 or size in counting else -1
            found = size if given is None or (isinstance(size, int) and size) else given
            if isinstance(found, str) or found < 0:
                missing.append(f"{size} (axis {axis} of {value.name!r})")
            shape.append(int(found) if isinstance(found, int) else -1)
        shapes[value.name] = tuple(shape)
    if missing:
        raise OnnxError(
            f"symbolic dimensions without a value: {', '.join(missing)}; give them as keywords of load_onnx"
            f"{_how(shapes.values())}, or as --set {missing[0].partition(' ')[0]}=NUMBER (set= in Python)"
        )
    return shapes


def _how(shapes: Iterable[Shape]) -> str:
    return ", those of pictures as height and width" if any(len(shape) == 4 for shape in shapes) else ""


def open_names(inputs: Iterable[Value]) -> list[str]:
    """What dimensions may be called: symbols, and axes that are open or empty by place."""
    found: dict[str, None] = {}
    for value in inputs:
        for axis, size in enumerate(value.shape or ()):
            if isinstance(size, str):
                found[size] = None
            if not size or isinstance(size, str):
                found[place_name(value.name, axis)] = None
    symbols = {d for v in inputs for d in v.shape or () if isinstance(d, str)}
    return sorted(n for n in found if n in symbols) + [n for n in found if n not in symbols]


def by_symbol(inputs: Sequence[Value], dimensions: Mapping[str, int], layout: str) -> dict[str, int]:
    """The dimensions by the file's symbols, with `height` and the like, where it has no such symbol, put to pictures' axes."""
    names = set(open_names(inputs))
    found = {name: size for name, size in dimensions.items() if name in names or name not in ROLES}
    for name, size in dimensions.items():
        if name in found:
            continue
        pictures = [value for value in inputs if value.shape is not None and len(value.shape) == 4]
        if not pictures:
            found[name] = size
        for value in pictures:
            axis = layout.index(ROLES[name])
            assert value.shape is not None
            symbol = value.shape[axis] or place_name(value.name, axis)
            if isinstance(symbol, int) and symbol != size:
                raise OnnxError(
                    f"input {value.name!r} {value.shape}: its {name} is {symbol}, which cannot be made {size}"
                )
            if isinstance(symbol, str) and found.setdefault(symbol, size) != size:
                raise OnnxError(
                    f"{symbol} is one size of {value.name!r} {value.shape}: it cannot be {found[symbol]} and {size}"
                )
    return found


def open_sizes(image: Value, wanted: Mapping[str, int], usual: Mapping[str, int], layout: str) -> dict[str, int]:
    """By the file's names the sizes of an input of pictures that it leaves open: those `wanted` by axis, else the `usual`.

    0 wants nothing. Raises `OnnxError` where one size should be two.
    """
    assert image.shape is not None
    found: dict[str, int] = {}
    for axis, size in enumerate(image.shape):
        name = size or place_name(image.name, axis)
        if isinstance(name, int):
            continue
        value = wanted[layout[axis]] or found.get(name) or usual[layout[axis]]
        if found.setdefault(name, value) != value:
            raise OnnxError(f"its images are {image.shape}, where {name} cannot be {found[name]} and {value}")
    return found
