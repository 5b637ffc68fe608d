"""Which elements of a network's values are the same for every picture and every weight, and what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pellucid.graph import Constant, Parameter, Tensor
from pellucid.op import Array, Op
from pellucid.ops.comparison import Maximum, Minimum, Where
from pellucid.ops.elementwise import Add, Divide, Multiply, Power, Subtract
from pellucid.ops.indexing import Pad, SliceGradient
from pellucid.ops.shape import Move


@dataclass(frozen=True, eq=False)
class Known:
    """The `values` of a node's elements, which hold `where` that is true."""

    values: Array
    where: Array

    @cached_property
    def whole(self) -> bool:
        """Whether all elements are known."""
        return bool(self.where.all())

    @property
    def zeros(self) -> Array:
        """Which elements are known to be 0."""
        return self.where & (self.values == 0)


class Constants:
    """The elements of a graph's nodes that constants decide alone, worked out when asked for."""

    def __init__(self) -> None:
        self._found: dict[Tensor, Known | None] = {}

    def of(self, node: Tensor) -> Known | None:
        """What is known of a node, None if nothing."""
        waiting = [node]
        while waiting:
            part = waiting[-1]
            below = [i for i in part.inputs if i not in self._found] if part not in self._found else []
            if below:
                waiting += below
                continue
            waiting.pop()
            if part not in self._found:
                self._found[part] = self._known(part)
        return self._found[node]

    def _known(self, node: Tensor) -> Known | None:
        if isinstance(node, Parameter):
            fixed = not node.trainable and not node.dtype.startswith("float")
            return _all(node.value) if fixed else None
        if isinstance(node.op, Constant):
            return _all(node.op.value)
        given = [self._found[i] for i in node.inputs]
        whole = [k.values for k in given if k is not None and k.whole]
        with np.errstate(all="ignore"):
            if given and len(whole) == len(given):
                return _all(node.op.reference(*whole))
            known = None
            if isinstance(node.op, Move) and (any(given) or isinstance(node.op, Pad | SliceGradient)):
                known = _moved(node.op, node, given)
            elif node.op.elementwise and any(given):
                known = _combined(node.op, node, given)
        return known if known is not None and known.where.any() else None


def _all(values: Array) -> Known:
    return Known(values, np.broadcast_to(np.True_, values.shape))


def _moved(op: Move, node: Tensor, given: Sequence[Known | None]) -> Known:
    pairs = list(zip(node.inputs, given, strict=True))
    values = [np.zeros(i.shape, i.dtype) if k is None else k.values for i, k in pairs]
    unknown = [np.ones(i.shape, bool) if k is None else ~k.where for i, k in pairs]
    plain = replace(op, value=0.0) if isinstance(op, Pad) else op
    return Known(op.reference(*values), ~plain.reference(*unknown))


def _combined(op: Op, node: Tensor, given: Sequence[Known | None]) -> Known:
    pairs = list(zip(node.inputs, given, strict=True))
    held = [np.False_ if k is None else k.where for k in given]
    values = [np.ones((1,) * i.ndim, i.dtype) if k is None else np.where(k.where, k.values, 1) for i, k in pairs]
    if isinstance(op, Where):
        where = held[0] & np.where(values[0], held[1], held[2])
    else:
        where = np.logical_and.reduce(np.broadcast_arrays(*held))
        for number, known in enumerate(given):
            where = where | deciding(op, number, known)
    found = op.reference(*(v.astype(i.dtype, copy=False) for v, i in zip(values, node.inputs, strict=True)))
    return Known(np.broadcast_to(found, node.shape), np.broadcast_to(where, node.shape))


def deciding(op: Op, number: int, known: Known | None) -> Array:
    """Where the known elements of input `number` decide the result of an elementwise op, whatever the others are."""
    if known is None:
        return np.zeros((), bool)
    values, decides = known.values, np.zeros((), bool)
    if isinstance(op, Multiply) or (number == 0 and isinstance(op, Divide)) or (number == 1 and isinstance(op, Power)):
        decides = values == 0
    elif isinstance(op, Add | Subtract | Divide):
        decides = np.isinf(values)
    elif isinstance(op, Maximum | Minimum):
        largest = isinstance(op, Maximum)
        decides = values == (largest if values.dtype == bool else np.inf if largest else -np.inf)
    return known.where & decides
