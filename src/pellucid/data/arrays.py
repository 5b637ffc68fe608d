"""Arrays as people have them (NumPy, PyTorch, pandas, Pillow, lists) as what data sets are made of: inputs and classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.sample import Array, ArrayDataset, require_classes

PICTURE_MODES = ("1", "L", "LA", "I", "F")
"""Those of Pillow that are gray; `I;16` and its like too."""


class LabeledArrays(ArrayDataset):
    """Inputs in memory that are no pictures of bytes, finite numbers (N, ...), with classes: labels (N,)."""

    def __init__(self, inputs: Array, labels: Array, classes: Sequence[str], name: str = "arrays") -> None:
        require_classes(name, labels, classes)
        self._images, self.labels = inputs, labels
        self.classes, self.name = tuple(classes), name
        self.shape = cast(Any, tuple(inputs.shape[1:]))


def values_of(what: str, given: Any) -> Array:
    """An array (N, ...) of finite numbers: of arrays, tensors, tables, and lists of these or of Pillow's pictures.

    `what` names them in a `DataError`, which says at which position something is wrong.
    """
    values = array_of(what, given)
    if values.dtype == object:
        values = _numbers(what, values)
    if values.dtype.kind not in "buif":
        raise DataError(f"{what} must be numbers, got {values.dtype}")
    if values.ndim < 2:
        raise DataError(f"{what} must have a row or picture for each example, (N, ...), got {values.shape}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        place = tuple(int(k) for k in np.argwhere(~np.isfinite(values))[0])
        raise DataError(f"{what} must be finite, got {values[place]} at position {place}; leave such examples out")
    return values.astype(np.float32) if values.dtype.kind == "b" else values


def targets_of(what: str, given: Any, count: int) -> Array:
    """What is to be learned of `count` examples, (N,) or (N, M): numbers, or names as strings."""
    values = _array(what, given)
    if values.ndim == 2 and values.shape[1] == 1 and values.dtype.kind != "f":
        values = values[:, 0]
    if values.ndim not in (1, 2) or len(values) != count:
        raise DataError(f"{what}: {count} inputs need as many targets, (N,) or (N, M), got {values.shape}")
    if values.dtype == object:
        names = any(isinstance(value, str) for value in values.flat)
        for place, value in enumerate(values.flat):
            if not isinstance(value, str if names else int | float | np.number | np.bool):
                raise DataError(f"{what}: {value!r} at position {place} is no class; name every one, or number all")
        values = np.array(values.tolist())
    if values.dtype.kind not in "buifU":
        raise DataError(f"{what} must be numbers or names, got {values.dtype}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        place = int(np.argwhere(~np.isfinite(values))[0][0])
        raise DataError(f"{what} must be finite, got {values[place]} at position {place}; leave such examples out")
    return values


def pixels_of(what: str, values: Array) -> Array:
    """Pictures (N, C, H, W) of whole numbers from 0 to 255 as bytes; raises `DataError` for others."""
    if values.dtype == np.uint8:
        return values
    if not are_pixels(values):
        raise DataError(
            f"{what}: the network takes pixels, whole numbers from 0 to 255, got {values.dtype} from {values.min():g} "
            f"to {values.max():g}; bring them to that scale first, (255 * x).round() where they end at 1"
        )
    return values.astype(np.uint8)


def are_pixels(values: Array) -> bool:
    """Whether all are whole numbers from 0 to 255."""
    whole = values.dtype.kind in "iu" or bool((values == np.floor(values)).all())
    return whole and int(values.min(initial=0)) >= 0 and int(values.max(initial=0)) <= 255


def in_shape(values: Array, shape: tuple[int, ...]) -> Array | None:
    """Examples (N, ...) as (N, *shape): as they are, with channels last, without the axis of one channel, or as flat rows.

    None where they are none of these.
    """
    own = values.shape[1:]
    if own == shape:
        return values
    if len(shape) == 3 and own == (*shape[1:], shape[0]):
        return np.moveaxis(values, -1, 1)
    if (1, *own) == shape or (len(own) == 1 and own[0] == np.prod(shape)):
        return values.reshape(len(values), *shape)
    return None


def classes_in(targets: Array) -> tuple[str, ...]:
    """The names of the classes that occur, in their order."""
    return tuple(map(str, np.unique(targets).tolist()))


def labels_for(what: str, targets: Array, classes: Sequence[str]) -> Array:
    """The number of each target's class, int64 (N,): of names, or of numbers where no class is called like them."""
    place = {name: number for number, name in enumerate(classes)}
    found, inverse = np.unique(targets, return_inverse=True)
    names = [str(value) for value in found.tolist()]
    if all(name in place for name in names):
        return np.array([place[name] for name in names], np.int64)[inverse]
    if targets.dtype.kind in "iu":
        labels = targets.astype(np.int64)
        require_classes(what, labels, classes)
        return labels
    odd = next(name for name in names if name not in place)
    at = int(np.flatnonzero(targets == found[names.index(odd)])[0])
    some = ", ".join(classes[:8]) + (f" and {len(classes) - 8} more" if len(classes) > 8 else "")
    raise DataError(f"{what}: {odd!r} at position {at} is no class; there are: {some}")


def array_of(what: str, given: Any) -> Array:
    """An array, a tensor, a table, or a list of these or of Pillow's pictures, as an array."""
    return _stacked(what, given) if isinstance(given, list | tuple) else _array(what, given)


def _array(what: str, given: Any) -> Array:
    if hasattr(given, "detach"):  # a tensor of PyTorch's that keeps its gradient, or is on another device
        given = given.detach().cpu()
    if isinstance(given, np.ndarray) and type(given) is not np.ndarray and np.ma.is_masked(given):
        raise DataError(
            f"{what}: some numbers are masked; fill them, as array.filled(0) does, or leave such examples out"
        )
    try:
        return np.asarray(given)
    except ValueError as error:  # rows of several lengths
        raise DataError(f"{what} must be one array ({error})") from error


def _stacked(what: str, given: Sequence[Any]) -> Array:
    """A list as an array; its pictures in color where any is."""
    if given and all(hasattr(each, "getbands") for each in given):
        gray = all(each.mode in PICTURE_MODES or each.mode.startswith("I;16") for each in given)
        given = [_pixels(each, "L" if gray else "RGB") for each in given]
    arrays = [_array(what, each) for each in given]
    for place, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise DataError(
                f"{what}: the first is of shape {arrays[0].shape}, that at position {place} of {array.shape}; "
                "bring them to one size first"
            )
    return np.stack(arrays) if arrays else np.empty((0, 0))


def _pixels(picture: Any, mode: str) -> Array:
    from pellucid.data.pixels import eight_bit

    return np.asarray(eight_bit(picture, b"").convert(mode))


def _numbers(what: str, values: Array) -> Array:
    """An array of objects as numbers."""
    try:
        return values.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"{what} must be numbers ({error})") from error
