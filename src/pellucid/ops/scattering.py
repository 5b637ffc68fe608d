"""Rows combined with others that are named: products, maxima and minima of what falls together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import DTypeError, ShapeError, unknown
from pellucid.graph import Tensor, apply, as_tensors, constant
from pellucid.op import Array, Cost, Op, OpSample, Shape, Term, traffic
from pellucid.ops.comparison import cast, equal, where
from pellucid.ops.indexing import GatherGradient, gather, pad
from pellucid.ops.ranges import Within
from pellucid.ops.ranking import top_k
from pellucid.ops.shape import flip, reshape

COMBINATIONS = ("mul", "max", "min")


@dataclass(frozen=True)
class Scatter(Op):
    """y[r] = x[r] combined with all updates[k] of which rows[k] = r, by a product, a maximum or a minimum

    Of equal maxima or minima each gets an equal part of the gradient; that of a factor is the product of the others.
    """

    how: str

    def shape(self, *inputs: Tensor) -> Shape:
        x, rows, updates = inputs
        if x.ndim != 2 or rows.ndim != 1 or updates.shape != (rows.size, x.shape[1]):
            raise ShapeError(
                f"scatter: wants x (R, C), rows (K) and updates (K, C), got {x.shape}, {rows.shape} and {updates.shape}"
            )
        return x.shape

    def dtype(self, *inputs: Tensor) -> str:
        x, rows, updates = inputs
        if rows.dtype != "int64" or x.dtype != updates.dtype or x.dtype == "bool":
            raise DTypeError(
                f"scatter: wants numbers of one type and int64 rows, got {x.dtype}, {rows.dtype}, {updates.dtype}"
            )
        return x.dtype

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        Within(0, arrays[0].shape[0]).require_within(name, node.inputs[1].name, arrays[1])

    def reference(self, *arrays: Array) -> Array:
        x, rows, updates = arrays
        y = np.array(x)
        {"mul": np.multiply, "max": np.maximum, "min": np.minimum}[self.how].at(y, rows, updates)
        return y

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, rows, updates = node.inputs
        if self.how == "mul":
            ones = constant(np.ones(x.shape, x.dtype))
            return (
                upstream * apply(self, ones, rows, updates),
                None,
                gather(upstream * x, rows) * _product_of_others(rows, updates),
            )
        won, wins = cast(equal(x, node), x.dtype), cast(equal(updates, gather(node, rows)), x.dtype)
        share = upstream / (won + apply(GatherGradient(0, x.shape[0]), wins, rows))
        return won * share, None, wins * gather(share, rows)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        x, rows, updates = arrays
        row, column = index
        parts = [
            ((0, index), x[index]),
            *(((2, (int(k), column)), updates[k, column]) for k in np.flatnonzero(rows == row)),
        ]
        value = float(self.reference(*arrays)[index])
        if self.how == "mul":
            return [Term(tuple(place for place, _ in parts), value)]
        place, _ = (max if self.how == "max" else min)(parts, key=lambda part: part[1])
        return [Term((place,), value)]

    def cost(self, node: Tensor) -> Cost:
        return Cost(node.inputs[2].size, traffic(node))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        x, rows, updates = tensors
        name = {"mul": "prod", "max": "amax", "min": "amin"}[self.how]
        return x.scatter_reduce(0, rows.unsqueeze(1).expand(updates.shape), updates, name)

    @classmethod
    def samples(cls) -> list[OpSample]:
        x, updates = np.sin(np.arange(8.0) * 1.7 + 0.3).reshape(4, 2), np.cos(np.arange(6.0) * 1.1).reshape(3, 2)
        rows = np.array([2, 0, 2])
        some, more = (
            np.where(np.isin(np.arange(6), zero), 0.0, updates.reshape(-1)).reshape(3, 2) for zero in ([0], [0, 2, 4])
        )
        first = np.where(np.arange(4)[:, None] == 0, 0.0, x)
        cases = [(how, how, x, updates) for how in COMBINATIONS]
        cases += [("mul-one-zero", "mul", first, some), ("mul-two-zeros", "mul", first, more)]
        return [
            OpSample(lambda x, r, u, how=how: scatter(x, r, u, how), (x, rows, u), name) for name, how, x, u in cases
        ]


def _product_of_others(rows: Tensor, updates: Tensor) -> Tensor:
    """For each of updates (K, C) the product of all others of its row, (K, C), without a division: factors may be 0.

    Those of one row are put beside one another; the products of all before each, and of all behind, take as many steps as K has binary digits.
    """
    count = rows.size
    if count == 0:
        return updates
    order = top_k(rows, count, 0, largest=False)[1]
    keys, values = gather(rows, order), gather(updates, order)

    def of_those_before(keys: Tensor, values: Tensor) -> Tensor:
        def moved(x: Tensor, by: int) -> Tensor:
            of_the_same = equal(keys, pad(keys, [(by, 0)], -1)[:count])
            return where(reshape(of_the_same, (count, 1)), pad(x, [(by, 0), (0, 0)])[:count], 1)

        found, reach = moved(values, 1), 1
        while reach < count:
            found, reach = found * moved(found, reach), 2 * reach
        return found

    behind = flip(of_those_before(flip(keys, 0), flip(values, 0)), 0)
    places = top_k(order, count, 0, largest=False)[1]
    return gather(of_those_before(keys, values) * behind, places)


def scatter(x: Any, rows: Any, updates: Any, how: str) -> Tensor:
    """x (R, C) with the rows (K) that are named combined with updates (K, C): mul, max or min"""
    if how not in COMBINATIONS:
        raise unknown("combination of scatter", how, COMBINATIONS)
    (x, updates), (rows,) = as_tensors(x, updates), as_tensors(rows)
    return apply(Scatter(how), x, rows, updates)
