"""Small factors leave products and sums: (x * s) * y = (x * y) * s, and sum(x * s) = sum(x) * s where s is the same all along.

What a normalization multiplies by is one number per channel; moved to the small side of a sum it costs nothing, and
sums that differed in such a factor alone become one.
"""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.graph import Tensor, apply, constant, topological
from pellucid.op import Shape
from pellucid.ops.elementwise import Divide, Multiply, Negative
from pellucid.ops.reduction import Sum
from pellucid.ops.shape import Reshape
from pellucid.walks import Outputs, rebuilt

Factored = tuple[Tensor, Tensor | None]
"""A value as base * factor, the factor smaller than the value and broadcast to it."""


def factor(outputs: Outputs) -> Outputs:
    """Move factors that are smaller than what they multiply out of products and sums."""
    parts: dict[Tensor, Factored] = {}
    wholes: dict[Tensor, Tensor] = {}

    def whole(node: Tensor) -> Tensor:
        if node not in wholes:
            base, by = parts[node]
            wholes[node] = base if by is None else apply(Multiply(), base, by, name=node.name)
        return wholes[node]

    for node in topological(outputs):
        found = _factored(node, [parts[i] for i in node.inputs]) if node.dtype == "float32" else None
        parts[node] = found or (rebuilt(node, tuple(whole(i) for i in node.inputs)), None)
    return tuple(whole(o) for o in outputs)


def _factored(node: Tensor, inputs: Sequence[Factored]) -> Factored | None:
    """The value of a product, quotient, negative or sum as base * factor; None if there is no factor to move."""
    op = node.op
    if isinstance(op, Negative):
        base, by = inputs[0]
        return base, constant(-1.0, "float32") if by is None else apply(Negative(), by)
    if isinstance(op, Multiply | Divide):
        return _product(node, inputs)
    if isinstance(op, Sum):
        base, by = inputs[0]
        if by is None:
            return None
        shape = (1,) * (base.ndim - by.ndim) + by.shape
        if any(shape[a] != 1 for a in op.axes):
            return None
        left = shape if op.keepdims else tuple(n for a, n in enumerate(shape) if a not in op.axes)
        total = node.made_of(op, (base,))
        return total, _reshaped(by, left if len(left) <= node.ndim else by.shape)
    return None


def _product(node: Tensor, inputs: Sequence[Factored]) -> Factored | None:
    (a, by_a), (b, by_b) = inputs
    whole_a, whole_b = node.inputs[0].size == node.size, node.inputs[1].size == node.size
    if whole_a and whole_b:
        if by_a is None and by_b is None:
            return None
        base = node.made_of(node.op, (a, b))
        if by_b is not None and isinstance(node.op, Divide):
            by_b = apply(Divide(), constant(1.0, "float32"), by_b)
        return base, _times(by_a, by_b)
    if whole_a:
        small = b if by_b is None else apply(Multiply(), b, by_b)
        if isinstance(node.op, Divide):
            small = apply(Divide(), constant(1.0, "float32"), small)
        return a, _times(by_a, small)
    if whole_b and isinstance(node.op, Multiply):
        small = a if by_a is None else apply(Multiply(), a, by_a)
        return b, _times(small, by_b)
    return None


def _times(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return a if b is None else b
    return apply(Multiply(), a, b)


def _reshaped(x: Tensor, shape: Shape) -> Tensor:
    return x if x.shape == shape else apply(Reshape(shape), x)
