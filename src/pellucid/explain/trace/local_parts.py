"""What a value is made of, one node down: its parts as coefficients times elements of the node's inputs.

The rule of paths from a score to pixels. Of all the values at once it gives the strongest path's size, of one element its
parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pellucid.explain.trace.terms import Index
from pellucid.graph import Graph, Input, Tensor
from pellucid.inference.values import Values
from pellucid.op import Array, Products, broadcast_index
from pellucid.ops.comparison import Maximum, Minimum, Where
from pellucid.ops.convolution import Conv2d, ConvTranspose2d
from pellucid.ops.elementwise import Add, Divide, Multiply, Negative, Subtract
from pellucid.ops.linear import Matmul
from pellucid.ops.pooling import AveragePool2d, MaxPool2d, MaxPool2dSelect
from pellucid.ops.reduction import Sum
from pellucid.ops.shape import Move
from pellucid.ops.window import Window
from pellucid.progress import tell

RULE = (
    "A sum's parts are its terms. An activation f(x) has two: f(0), which stands by itself, and x times the gain (f(x) - f(0)) / x. "
    "A product of two values that both depend on the input is half of the one, times the other, and half of the other, times the "
    "one; what is divided by counts as a fixed number. Anything else stands by itself, as biases do. In a ReLU network a path's part "
    "is its pixel times all weights on the way, and the paths' parts add up to the score."
)
"""How a score is shared among paths; in ReLU networks the z-rule of Bach et al. 2015 (layer-wise relevance propagation)."""


@dataclass(frozen=True, eq=False)
class LocalParts:
    """LocalParts of one element: `coefficients` (n,) times the elements of `source` at `places` (n, axes)."""

    source: Tensor
    places: Array
    coefficients: Array


class PartRule:
    """The rule on the values of a graph: `strongest` of all elements of a node, `parts` of one.

    Without `biases` only paths to the picture count.
    """

    def __init__(self, graph: Graph, values: Values, biases: bool = True) -> None:
        self.values, self.biases = values, biases
        self.seeing = set(graph.inputs)
        for node in graph.nodes:
            if any(i in self.seeing for i in node.inputs):
                self.seeing.add(node)
        self._strongest: dict[Tensor, Array] = {}
        moving = [n for n in graph.nodes if n in self.seeing and n.dtype.startswith("float")]
        work = [n.op.cost(n).flops for n in moving]
        for number, node in enumerate(moving):
            self._strongest[node] = self._largest(node)
            tell(*(max(1, flops // 1_000_000) for flops in (sum(work[: number + 1]), sum(work))))

    def strongest(self, node: Tensor) -> Array:
        """For each element the absolute value of the largest product along one path down to an end."""
        known = self._strongest.get(node)
        return self._end(node) if known is None else known

    def _end(self, node: Tensor) -> Array:
        """`strongest` of a node whose elements are ends."""
        counts = self.biases or isinstance(node.op, Input)
        return np.abs(self.values.of(node)) if counts else np.zeros(node.shape, node.dtype)

    def opens(self, node: Tensor) -> bool:
        """Whether elements of a node have parts, rather than being ends."""
        if isinstance(node.op, Divide) and node.inputs[0] not in self.seeing:
            return False  # nothing is shared among what is divided by
        return (node in self.seeing and not isinstance(node.op, Input) and isinstance(node.op, _OPENED)) or self._curve(
            node
        )

    def alone(self, node: Tensor, index: Index) -> float:
        """The part of an element that stands by itself: an activation's f(0)."""
        return float(_still(node)) if self.biases and self._curve(node) else 0.0

    def parts(self, node: Tensor, index: Index) -> Iterator[LocalParts]:
        """The parts of one element of a node that `opens`, but for what stands by itself."""
        op, of = node.op, self.values.of
        if op.elementwise:
            places = [broadcast_index(index, i.shape) for i in node.inputs]
            picks = [np.asarray(of(i)[at]) for i, at in zip(node.inputs, places, strict=True)]
            factors = self._factors(node, picks, lambda: np.asarray(of(node)[index]))
            for source, at, factor in zip(node.inputs, places, factors, strict=True):
                if factor is not None:
                    yield LocalParts(source, np.array([at], int).reshape(1, -1), np.array([float(factor)]))
        elif isinstance(op, Move):
            source = op.source(node, index)
            if source is not None:
                yield LocalParts(node.inputs[source[0]], np.array([source[1]], int).reshape(1, -1), np.ones(1))
        elif isinstance(op, MaxPool2d):
            yield LocalParts(node.inputs[0], np.array([op.winner(index, of(node.inputs[0]))]), np.ones(1))
        elif isinstance(op, AveragePool2d):
            terms = op.terms(node, index, of(node.inputs[0]))
            yield LocalParts(
                node.inputs[0], np.array([t.factors[0][1] for t in terms]), np.array([t.share for t in terms])
            )
        elif isinstance(op, Sum):
            places = np.array(op.region(index, node.inputs[0].shape), int).reshape(-1, node.inputs[0].ndim)
            yield LocalParts(node.inputs[0], places, np.ones(len(places)))
        else:
            yield from self._products(node, op.terms(node, index, *map(of, node.inputs)))

    def _products(self, node: Tensor, terms: object) -> Iterator[LocalParts]:
        assert isinstance(terms, Products)
        moving = [k for k, i in enumerate(node.inputs) if i in self.seeing]
        for number in moving:
            other = 1 - number
            factors = self.values.of(node.inputs[other])[tuple(terms.places[other].T)].astype(np.float64)
            yield LocalParts(node.inputs[number], terms.places[number], factors / len(moving))

    def _curve(self, node: Tensor) -> bool:
        """Whether a node applies one function, with a value at 0, to each element of one input that depends on the picture."""
        alone = node.op.elementwise and len(node.inputs) == 1 and node in self.seeing
        return alone and not isinstance(node.op, Negative) and bool(np.isfinite(_still(node)))

    def _factors(self, node: Tensor, inputs: list[Array], output: Callable[[], Array]) -> list[Array | None]:
        """For each input of an elementwise node what it is multiplied by; None for one that has no part of its own."""
        op = node.op
        one = np.ones(())
        if isinstance(op, Add):
            return [one, one]
        if isinstance(op, Subtract):
            return [one, -one]
        if isinstance(op, Negative):
            return [-one]
        if isinstance(op, Multiply):
            moves = [i in self.seeing for i in node.inputs]
            share = 0.5 if all(moves) else 1.0
            return [share * inputs[1 - k] if moves[k] else None for k in (0, 1)]
        if isinstance(op, Divide):
            return [1 / inputs[1] if node.inputs[0] in self.seeing else None, None]
        if isinstance(op, Maximum | Minimum | Where):
            first = 1 if isinstance(op, Where) else 0
            a, b = inputs[first:]
            won = inputs[0] if isinstance(op, Where) else a >= b if isinstance(op, Maximum) else a <= b
            return [*([None] * first), np.where(won, 1.0, 0.0), np.where(won, 0.0, 1.0)]
        x = inputs[0]
        rise = output() - _still(node)
        with np.errstate(invalid="ignore"):  # infinities divided by each other are no number
            return [np.divide(rise, x, out=np.zeros(np.shape(x)), where=x != 0)]

    def _largest(self, node: Tensor) -> Array:
        """`strongest` of a node whose inputs' is known."""
        if isinstance(node.op, Input) or not self.opens(node):
            return self._end(node)
        op, below = node.op, [self.strongest(i) for i in node.inputs]
        if op.elementwise:
            factors = self._factors(node, [self.values.of(i) for i in node.inputs], lambda: self.values.of(node))
            pairs = zip(below, factors, strict=True)
            sizes = [sized(size, factor) for size, factor in pairs if factor is not None]
            if self.biases and self._curve(node):
                sizes.append(np.abs(_still(node)))
            return np.broadcast_to(np.maximum.reduce(np.broadcast_arrays(*sizes)), node.shape)
        if isinstance(op, Move):
            return np.abs(op.reference(*below))
        if isinstance(op, MaxPool2d):
            return MaxPool2dSelect(op.window).reference(self.values.of(node.inputs[0]), below[0])
        if isinstance(op, AveragePool2d):
            size = node.inputs[0].shape[2], node.inputs[0].shape[3]
            return MaxPool2d(op.window).reference(below[0]) * op.shares(size, below[0].dtype)
        if isinstance(op, Sum):
            return np.max(below[0], axis=op.axes, keepdims=op.keepdims)
        moving = [k for k, i in enumerate(node.inputs) if i in self.seeing]
        sizes = [
            _largest_products(
                node, [below[k] if k == n else np.abs(self.values.of(i)) for k, i in enumerate(node.inputs)]
            )
            for n in moving
        ]
        return np.maximum.reduce(sizes) / len(moving)


_OPENED = (
    Add,
    Subtract,
    Negative,
    Multiply,
    Divide,
    Maximum,
    Minimum,
    Where,
    Move,
    MaxPool2d,
    AveragePool2d,
    Sum,
    Conv2d,
    ConvTranspose2d,
    Matmul,
)
_CHUNK = 1 << 16
"""Products that are compared at once: what fits a processor's cache."""


def sized(strongest: Array, factors: Array) -> Array:
    """How strong what is times a factor can be; nothing of infinity is nothing."""
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(strongest * np.abs(factors), nan=0.0, posinf=np.inf)


def _still(node: Tensor) -> Array:
    """An activation of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(node.op.reference(np.zeros((), node.dtype)))


def _largest_products(node: Tensor, arrays: list[Array]) -> Array:
    """The largest instead of the sum of the products that a convolution or matrix product adds up; all are positive."""
    op = node.op
    a, b = arrays
    if isinstance(op, Conv2d):
        kernel = b.shape[2], b.shape[3]
        columns = op.columns(a, kernel, (node.shape[2], node.shape[3]))[0]
        found = [_largest(w, x) for w, x in zip(op.weight_matrices(b), columns, strict=True)]
        return np.concatenate(found).reshape(node.shape)
    if isinstance(op, ConvTranspose2d):
        window = op.window((b.shape[2], b.shape[3]))
        return _scattered(node, op.grouped(a)[0], op.weight_matrices(b), window, a.shape)
    stacked = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    left = np.broadcast_to(a, (*stacked, *a.shape[-2:])).reshape(-1, *a.shape[-2:])
    right = np.broadcast_to(b, (*stacked, *b.shape[-2:])).reshape(-1, *b.shape[-2:])
    return np.stack([_largest(x, y) for x, y in zip(left, right, strict=True)]).reshape(node.shape)


def _largest(left: Array, right: Array) -> Array:
    """max over k of left[i, k] * right[k, j]"""
    found = np.empty((left.shape[0], right.shape[1]), np.result_type(left, right))
    step = max(1, _CHUNK // max(1, left.shape[1]))
    for start in range(0, right.shape[1], step):
        part = np.ascontiguousarray(right[:, start : start + step])
        for i, row in enumerate(left):
            with np.errstate(invalid="ignore"):  # an infinity times zero is no number
                np.max(row[:, None] * part, axis=0, out=found[i, start : start + step])
    return found


def _scattered(node: Tensor, y: Array, weights: Array, window: Window, shape: tuple[int, ...]) -> Array:
    """The largest product that falls on each place of a transposed convolution's output."""
    size = shape[2], shape[3]
    top, left = window.padding
    _, channels, rows, across = node.shape
    padded = np.zeros((1, channels, rows + 2 * top, across + 2 * left), y.dtype)
    columns = [_largest(w.T, part.reshape(len(part), -1)) for w, part in zip(weights, y, strict=True)]
    parts = np.concatenate(columns).reshape(1, channels, -1, *size)
    for number, (_, view) in enumerate(window.shifts(padded, size)):
        np.maximum(view, parts[:, :, number], out=view)
    return padded[:, :, top : top + rows, left : left + across]
