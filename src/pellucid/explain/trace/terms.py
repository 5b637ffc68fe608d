"""The terms of a sum: each a product of elements of nodes. Kept as arrays, for a sum may have tens of thousands."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.graph import Tensor
from pellucid.op import Array

Index = tuple[int, ...]


@dataclass(frozen=True)
class Factor:
    """An element of a node that a term is a product of, or (`inverse`) a quotient by."""

    name: str
    index: Index
    value: float
    inverse: bool = False

    def __str__(self) -> str:
        place = f"[{','.join(map(str, self.index))}]" if self.index else ""
        return f"{'1 / ' if self.inverse else ''}{self.name}{place}"


@dataclass(frozen=True)
class Summand:
    """One term: its value, and the elements that it is made of."""

    value: float
    factors: tuple[Factor, ...]


@dataclass(frozen=True, eq=False)
class Column:
    """One factor of each of n terms: elements of `node`, called `name`, at `places` (n, axes)."""

    node: Tensor
    name: str
    places: Array
    values: Array
    inverse: bool = False


@dataclass(frozen=True, eq=False)
class Block:
    """n terms of one form: the products of one element from each column, with their `values` (n,)."""

    values: Array
    columns: tuple[Column, ...] = ()

    def negated(self) -> Block:
        """The terms with the other sign, which is written before the first factor."""
        columns = self.columns
        if columns:
            first = columns[0]
            name = first.name[1:] if first.name.startswith("-") else f"-{first.name}"
            columns = (replace(first, name=name, values=-first.values), *columns[1:])
        return Block(-self.values, columns)

    def times(self, factor: Column) -> Block:
        """The terms, each times one element (or by it, where it is `inverse`)."""
        count, value = len(self.values), factor.values[0]
        places, values = np.repeat(factor.places, count, axis=0), np.repeat(factor.values, count)
        amount = 1 / value if factor.inverse else value
        return Block(self.values * amount, (*self.columns, replace(factor, places=places, values=values)))


class Terms(Sequence[Summand]):
    """Terms in order; one is put together when it is asked for. `values` are those of all."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = tuple(blocks)
        self.values = np.concatenate([np.zeros(0), *(b.values for b in self.blocks)])
        self._ends = list(itertools.accumulate(len(b.values) for b in self.blocks))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[k] for k in range(*number.indices(len(self)))]
        block, k = self.place(number)
        factors = tuple(
            Factor(c.name, tuple(map(int, c.places[k])), float(c.values[k]), c.inverse) for c in block.columns
        )
        return Summand(float(block.values[k]), factors)

    def place(self, number: int) -> tuple[Block, int]:
        """The block that a term is in, and its number there."""
        place = range(len(self))[number]
        at = int(np.searchsorted(self._ends, place, side="right"))
        return self.blocks[at], place - (self._ends[at - 1] if at else 0)

    def __iter__(self) -> Iterator[Summand]:
        return (self[k] for k in range(len(self)))

    def strongest(self, count: int) -> list[int]:
        """The numbers of the terms of the largest absolute value, strongest first."""
        return [int(k) for k in np.argsort(-np.abs(self.values), kind="stable")[:count]]
