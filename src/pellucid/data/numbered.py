"""Examples with numbers to predict: the numbers' names and units, arrays and picture files with them, and their parts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pellucid.data.errors import DataError
from pellucid.data.sample import Array, Inputs, Parts, PictureFiles, Some, generator
from pellucid.data.shown import ShownExamples
from pellucid.text import amount

FRACTIONS = (0.7, 0.15, 0.15)
MOST_TARGETS = 10_000


@dataclass(frozen=True)
class Quantity:
    """What a number is: its name, and the unit that it is counted in, if any."""

    name: str
    unit: str = ""

    def __post_init__(self) -> None:
        for word in (self.name, self.unit):
            if word != word.strip() or not word.isprintable():
                raise DataError(f"the name or unit of a target is {word!r}; leave out spaces around it, and line ends")
        if not self.name:
            raise DataError("a target has no name; give each one")

    def __str__(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    def words(self, value: float) -> str:
        """A number with its unit."""
        return f"{value:.4g} {self.unit}".rstrip()


class Numbered(Inputs, Protocol):
    """Inputs with numbers to predict: `targets` float64 (N, M), one column for each of the `quantities`."""

    targets: Array
    quantities: tuple[Quantity, ...]
    skipped: tuple[str, ...]

    def image(self, index: int) -> Array:
        """One input alone."""
        ...


class NumberArrays(ShownExamples):
    """Inputs in memory, (N, F) or pictures (N, C, H, W), with numbers to predict, (N,) or (N, M)."""

    skipped: tuple[str, ...] = ()

    def __init__(
        self,
        inputs: npt.ArrayLike,
        targets: npt.ArrayLike,
        quantities: Sequence[str | Quantity] = (),
        name: str = "arrays",
    ) -> None:
        self._inputs = _numeric(f"{name}: inputs", inputs)
        numbers = _numeric(f"{name}: targets", targets).astype(np.float64)
        if self._inputs.ndim < 2:
            raise DataError(f"{name}: inputs must be of shape (N, F) or (N, C, H, W), got {self._inputs.shape}")
        if numbers.ndim not in (1, 2) or len(numbers) != len(self._inputs):
            raise DataError(
                f"{name}: {len(self._inputs)} inputs need targets (N,) or (N, M) of as many rows, got {numbers.shape}"
            )
        if not self._inputs.size or not numbers.size:
            raise DataError(f"{name}: there is no example in it, got {self._inputs.shape} and {numbers.shape}")
        self.targets = numbers.reshape(len(numbers), -1)
        self.quantities = named(quantities, self.targets.shape[1], name)
        self.name, self.shape = name, tuple(self._inputs.shape[1:])

    def __len__(self) -> int:
        return len(self.targets)

    def images(self, indices: Array) -> Array:
        return self._inputs.take(indices, 0)

    def image(self, index: int) -> Array:
        return self._inputs[index]


class NumberFiles(PictureFiles):
    """Pictures in files with numbers to predict."""

    def __init__(
        self,
        files: list[str],
        targets: Array,
        checksums: list[str],
        decode: Callable[[str], Array],
        quantities: tuple[Quantity, ...],
        kept: Array,
        name: str,
        skipped: tuple[str, ...] = (),
        folder: Path = Path(),
    ) -> None:
        super().__init__(files, checksums, decode, kept, name, skipped, folder)
        self.targets, self.quantities = targets, quantities


class NumberSubset(Some):
    """Some examples of another data set with numbers to predict."""

    def __init__(self, parent: Numbered, indices: Sequence[int] | Array, name: str) -> None:
        super().__init__(parent, indices, name)
        self.targets, self.quantities = parent.targets[self.indices], parent.quantities


@dataclass(frozen=True)
class NumberSplits(Parts):
    """Examples with numbers to predict, to train on, to choose by, and to report on."""

    train: Numbered
    validation: Numbered
    test: Numbered

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What is to be predicted."""
        return self.train.quantities


def numbers(
    inputs: npt.ArrayLike,
    targets: npt.ArrayLike,
    quantities: Sequence[str | Quantity] = (),
    seed: int = 0,
    name: str = "arrays",
) -> NumberSplits:
    """Inputs (N, F) or (N, C, H, W) with numbers to predict, (N,) or (N, M), cut 70:15:15 by `seed`.

    Pictures are uint8, other inputs any numbers. `quantities` names the targets: `["age [years]", "height [m]"]`.
    """
    whole = NumberArrays(inputs, targets, quantities, name)
    train, validation, test = split_numbers(whole, seed)
    return NumberSplits(train, validation, test, name, {"seed": seed, "targets": list(map(str, whole.quantities))})


def split_numbers(
    dataset: Numbered,
    seed: int,
    names: Sequence[str] = ("train", "validation", "test"),
    fractions: Sequence[float] = FRACTIONS,
) -> tuple[NumberSubset, ...]:
    """Parts in the proportion of `fractions`, chosen by a counter-based shuffle keyed by `seed`."""
    order = generator(seed, 4).permutation(len(dataset))
    edges = np.round(np.cumsum([0.0, *fractions]) * len(order)).astype(int)
    cut = [np.sort(order[start:stop]) for start, stop in itertools.pairwise(edges)]
    for part, what in zip(cut, names, strict=True):
        if not len(part):
            have = amount(len(dataset), "example") + (" is" if len(dataset) == 1 else " are")
            raise DataError(f"{dataset.name}: {have} too few to cut a {what} part from; give 6 or more")
    return tuple(NumberSubset(dataset, part, f"{dataset.name}/{what}") for part, what in zip(cut, names, strict=True))


def named(quantities: Sequence[str | Quantity], count: int, where: str) -> tuple[Quantity, ...]:
    """Each of `count` targets' quantity; without names they are numbered. Raises `DataError` where two have one name."""
    if not quantities:
        quantities = ["target"] if count == 1 else [f"target {number + 1}" for number in range(count)]
    found = tuple(quantity(each) if isinstance(each, str) else each for each in quantities)
    if len(found) != count:
        raise DataError(f"{where}: {count} targets need as many names, got {len(found)}: {', '.join(map(str, found))}")
    if count > MOST_TARGETS:
        raise DataError(f"{where}: has {count} targets, {MOST_TARGETS} at most can be predicted")
    known: set[str] = set()
    for each in found:
        if each.name in known:
            raise DataError(f"{where}: two targets are called {each.name!r}; give each a name of its own")
        known.add(each.name)
    return found


def quantity(text: str) -> Quantity:
    """`height [m]` -> the name height and the unit m."""
    name, bracket, rest = text.strip().partition("[")
    if bracket and rest.endswith("]") and name.strip():
        return Quantity(name.strip(), rest[:-1].strip())
    return Quantity(text.strip())


def _numeric(what: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """Values as an array of finite numbers."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of several lengths
        raise DataError(f"{what} must be one array of numbers ({error})") from error
    if array.dtype.kind not in "buif":
        raise DataError(f"{what} must be numbers, got {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        place = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise DataError(f"{what} must be finite, got {array[place]} at position {place}; leave such rows out")
    return array
