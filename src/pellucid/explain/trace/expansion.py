"""Writes an element of a node as a sum: through additions and what only moves elements, down to what is kept."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pellucid.explain.trace.terms import Block, Column, Index, Terms
from pellucid.graph import Constant, Parameter, Tensor, constant
from pellucid.inference.values import Values
from pellucid.nn.score_kind import given_to_log_softmax
from pellucid.op import Array, Op, Products, Term, broadcast_index
from pellucid.ops.comparison import Where
from pellucid.ops.elementwise import Add, Divide, Multiply, Negative, Subtract
from pellucid.ops.reduction import Sum
from pellucid.ops.shape import Move

LOG_SUM_EXP = "log-sum-exp"
"""What the logarithm of the sum of e^x over all classes is called."""
MOST_OPENED = 4096
"""Elements of a sum, and of the sums in it, that are themselves written as sums; of more, each is one term."""


class Expansion:
    """Writes elements as sums of products of elements of the nodes in `stops`, parameters and inputs."""

    def __init__(self, values: Values, names: Mapping[Tensor, str], stops: frozenset[Tensor]) -> None:
        self.values, self.names, self.stops = values, names, stops
        self._room = MOST_OPENED

    def terms(self, node: Tensor, index: Index) -> Terms:
        """The terms of an element, which itself may be of a node in `stops`."""
        return Terms(self.of(node, index, top=True))

    def of(self, node: Tensor, index: Index, top: bool = False) -> list[Block]:
        """The terms of an element; of one of `stops` only where it is at the `top` the sum that makes it."""
        start = node
        node, index = self.resolved(node, index)
        top = top and node is start
        if not node.inputs or (node in self.stops and not top):
            return [Block(*_one(self.column(node, index)))]
        op = node.op
        places = [broadcast_index(index, i.shape) for i in node.inputs] if op.elementwise else []
        if isinstance(op, Subtract) and (found := given_to_log_softmax(node)) is not None:
            return [
                *self.of(found[0], places[0]),
                Block(*_one(self.log_sum_exp(node, places, found[0]))).negated(),
            ]
        if isinstance(op, Where) and not top and any(isinstance(i.op, Constant) for i in node.inputs[1:]):
            return self.picked(node, places)
        if isinstance(op, Add | Subtract):
            first, second = (self.of(i, at) for i, at in zip(node.inputs, places, strict=True))
            return [*first, *(second if isinstance(op, Add) else (b.negated() for b in second))]
        if isinstance(op, Negative):
            return [b.negated() for b in self.of(node.inputs[0], places[0])]
        if isinstance(op, Multiply | Divide) and (scaled := self.scaled(node, places)) is not None:
            return scaled
        if isinstance(op, Sum) and self.opens_all(node):
            return self.summed(node, op, index)
        if isinstance(op, Divide):
            above, below = (self.resolved(i, at) for i, at in zip(node.inputs, places, strict=True))
            return [Block(*_one(self.column(*above))).times(self.column(*below, inverse=True))]
        if op.elementwise and not isinstance(op, Multiply) and type(op).terms is Op.terms and not top:
            return [Block(*_one(self.column(node, index)))]
        arrays = [self.values.of(i) for i in node.inputs]
        terms = op.terms(node, index, *arrays)
        if isinstance(terms, Products) and len(terms):
            return self.products(node, terms, arrays)
        return [self.single(node, term) for term in terms]

    def scaled(self, node: Tensor, places: list[Index]) -> list[Block] | None:
        """The terms of a value that is itself a sum, each times a factor."""
        divides = isinstance(node.op, Divide)
        for number in (0,) if divides else (0, 1):
            value, by = node.inputs[number], node.inputs[1 - number]
            inner, place = self.resolved(value, places[number])
            if not self.opens(inner):
                continue
            if not divides and isinstance(by.op, Constant) and (self.values.of(by) == 1).all():
                return self.of(inner, place)
            factor = self.column(*self.resolved(by, places[1 - number]), inverse=divides)
            if divides and not factor.values[0]:
                return None
            return [block.times(factor) for block in self.of(inner, place)]
        return None

    def picked(self, node: Tensor, places: list[Index]) -> list[Block]:
        """The terms of what is chosen of a constant and something else; none where it is a 0."""
        number = 1 if self.values.of(node.inputs[0])[places[0]] else 2
        chosen, place = node.inputs[number], places[number]
        if isinstance(chosen.op, Constant) and self.values.of(chosen)[place] == 0:
            return []
        return self.of(chosen, place)

    def log_sum_exp(self, node: Tensor, places: list[Index], x: Tensor) -> Column:
        """What a logarithm of a softmax takes away from x: the logarithm of the sum of e^x, as a factor of one term."""
        value = np.array([self.values.of(node.inputs[1])[places[1]]], np.float64)
        if node.inputs[0] is not x:  # the largest of x was taken away before
            value += np.float64(self.values.of(x)[places[0]]) - self.values.of(node.inputs[0])[places[0]]
        return Column(node.inputs[1], f"{LOG_SUM_EXP}({self.name(x)})", np.zeros((1, 0), int), value)

    def opens(self, node: Tensor) -> bool:
        """Whether elements of a node are written as sums of elements of other nodes."""
        return node not in self.stops and (
            isinstance(node.op, Add | Subtract | Multiply | Divide | Negative | Sum | Where)
        )

    def opens_all(self, node: Tensor) -> bool:
        """Whether to write what the sum `node` adds up as sums too: where that makes not too many terms."""
        x = node.inputs[0]
        return x.size // node.size <= self._room and self.opens(self.resolved(x, (0,) * x.ndim)[0])

    def summed(self, node: Tensor, op: Sum, index: Index) -> list[Block]:
        """The terms of all that a sum adds up."""
        x = node.inputs[0]
        places, room = op.region(index, x.shape), self._room
        self._room //= len(places)
        blocks = [block for place in places for block in self.of(x, place)]
        self._room = room
        return blocks

    def resolved(self, node: Tensor, index: Index) -> tuple[Tensor, Index]:
        """The element that stands there, behind all that only moves elements."""
        while isinstance(node.op, Move) and node not in self.stops:
            source = node.op.source(node, index)
            if source is None:
                break
            node, index = node.inputs[source[0]], source[1]
        return node, index

    def products(self, node: Tensor, terms: Products, arrays: list[Array]) -> list[Block]:
        """Many terms at once, each of their factors an element of one node; or one by one where it is of several."""
        columns: list[Column] = []
        for number, places in enumerate(terms.places):
            source, array = node.inputs[number], arrays[number]
            found = self.all_resolved(source, places)
            if found is None:
                return [self.single(node, term) for term in terms]
            inner, at = found
            values = array[tuple(places.T)].astype(np.float64)
            columns.append(Column(inner, self.name(inner), at[:, int(has_batch(inner)) :], values))
        return [Block(terms.values, tuple(columns))]

    def all_resolved(self, node: Tensor, places: Array) -> tuple[Tensor, Array] | None:
        """`resolved` for many elements of a node; None where they may be of several nodes."""
        while isinstance(node.op, Move) and node not in self.stops:
            if not node.op.uniform:
                return None
            source = node.op.source(node, tuple(places.T))
            assert source is not None
            node, axes = node.inputs[0], source[1]
            places = np.stack(np.broadcast_arrays(*axes, places[:, 0])[:-1], axis=1)
        return node, places

    def single(self, node: Tensor, term: Term) -> Block:
        """One term."""
        columns = [self.column(*self.resolved(node.inputs[number], at)) for number, at in term.factors]
        if term.share != 1:
            share = constant(term.share, name="share")
            columns.append(Column(share, "share", np.zeros((1, 0), int), np.array([term.share])))
        return Block(np.array([term.value]), tuple(columns))

    def column(self, node: Tensor, index: Index, inverse: bool = False) -> Column:
        """An element as a factor of one term."""
        values = np.array([self.values.of(node)[index]], np.float64)
        places = np.array([without_batch(node, index)], int).reshape(1, -1)
        return Column(node, self.name(node), places, values, inverse)

    def name(self, node: Tensor) -> str:
        """What a node is called."""
        return self.names.get(node, node.name)


def _one(column: Column) -> tuple[Array, tuple[Column]]:
    """What a block has of one term with one factor."""
    return column.values, (column,)


def without_batch(node: Tensor, index: Index) -> Index:
    """The index as users give it: without the batch axis, which has one picture."""
    return index[1:] if has_batch(node) else index


def has_batch(node: Tensor) -> bool:
    """Whether the first axis is that of the batch."""
    return node.ndim > 0 and node.shape[0] == 1 and not isinstance(node, Parameter)
