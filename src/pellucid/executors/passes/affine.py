"""Scales and shifts one after another are one: (x - m) * k + b = x * k + (b - m * k).

m, k and b are smaller than x (numbers, or one number per channel), so all but one multiplication and one addition per
leaf happen on them. x less its largest element, of a softmax, stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.graph import Tensor, apply, constant, topological
from pellucid.ops.comparison import StopGradient
from pellucid.ops.convolution import Conv2d
from pellucid.ops.elementwise import Add, Divide, Multiply, Negative, Subtract
from pellucid.ops.linear import Matmul
from pellucid.ops.reduction import Max
from pellucid.ops.shape import BroadcastTo
from pellucid.walks import Outputs, rebuilt, users

_MOST_LEAVES = 4


@dataclass(frozen=True)
class _Form:
    """A value as the sum of leaf * scale over `leaves` (None: 1), plus `shift`; `nodes` are what it is made of now."""

    leaves: dict[Tensor, Tensor | None]
    shift: Tensor | None
    nodes: frozenset[Tensor]

    @property
    def work(self) -> int:
        """Operations of the value's size, a multiplication and the addition of its result counted as one."""
        first = next(iter(self.leaves.values()))
        return len(self.leaves) - 1 + (first is not None or self.shift is not None)

    def times(self, by: Tensor | None, node: Tensor, divide: bool = False) -> _Form:
        """The form times (or divided by) `by`; by -1 where `by` is None."""

        def scaled(value: Tensor | None) -> Tensor:
            if by is None:
                return constant(-1.0) if value is None else apply(Negative(), value)
            if divide:
                return apply(Divide(), constant(1.0) if value is None else value, by)
            return by if value is None else apply(Multiply(), value, by)

        shift = None if self.shift is None else scaled(self.shift)
        return _Form({leaf: scaled(scale) for leaf, scale in self.leaves.items()}, shift, self.nodes | {node})

    def plus(self, other: _Form | Tensor, node: Tensor) -> _Form:
        """The sum of two forms, or of a form and a smaller value."""
        if isinstance(other, Tensor):
            return _Form(self.leaves, _sum(self.shift, other), self.nodes | {node})
        leaves = dict(self.leaves)
        for leaf, scale in other.leaves.items():
            again = leaf in leaves
            leaves[leaf] = apply(Add(), _or_one(leaves[leaf]), _or_one(scale)) if again else scale
        return _Form(leaves, _sum(self.shift, other.shift), self.nodes | other.nodes | {node})

    def build(self, node: Tensor, fusable: set[Tensor]) -> Tensor:
        """The nodes that compute the form; the shift goes to a leaf that can take it in."""
        total: Tensor | None = None
        for leaf, scale in sorted(self.leaves.items(), key=lambda item: item[0] not in fusable):
            term = leaf if scale is None else apply(Multiply(), leaf, scale, name=f"{leaf.name}/scaled")
            if total is None and self.shift is not None:
                term = apply(Add(), term, self.shift, name=f"{leaf.name}/shifted")
            total = term if total is None else apply(Add(), total, term)
        assert total is not None and total.shape == node.shape
        return total.instead_of(node)


def affine(outputs: Outputs) -> Outputs:
    """Make scales and shifts that follow one another one, wherever that takes fewer operations."""
    readers = users(outputs)
    new: dict[Tensor, Tensor] = {}
    forms: dict[Tensor, _Form] = {}
    fusable: set[Tensor] = set()
    """Convolutions and products with one reader, which would lose what can be fused into them if they got another."""

    def form_of(node: Tensor, user: Tensor) -> _Form:
        """The form of an input; a leaf, where others read it too and going behind it would take more leaves or fuse less."""
        form = forms.get(node)
        if form is not None and all(r is user for r in readers[node]):
            return form
        if form is not None and len(form.leaves) == 1 and form.leaves.keys().isdisjoint(fusable):
            return form
        return _Form({new[node]: None}, None, frozenset())

    def find(node: Tensor) -> _Form | None:
        op = node.op
        if isinstance(op, Negative):
            return form_of(node.inputs[0], node).times(None, node)
        if not isinstance(op, Add | Subtract | Multiply | Divide):
            return None
        a, b = node.inputs
        if isinstance(op, Subtract) and _is_largest(b):  # what is left may be far smaller, and keeps its digits
            return None
        whole_a, whole_b = a.shape == node.shape, b.shape == node.shape
        small_a, small_b = a.size < node.size, b.size < node.size
        if isinstance(op, Multiply | Divide):
            if whole_a and small_b:
                return form_of(a, node).times(new[b], node, divide=isinstance(op, Divide))
            commutes = whole_b and small_a and isinstance(op, Multiply)
            return form_of(b, node).times(new[a], node) if commutes else None
        if whole_a and whole_b:
            right = form_of(b, node)
            return form_of(a, node).plus(right.times(None, node) if isinstance(op, Subtract) else right, node)
        if whole_a and small_b:
            return form_of(a, node).plus(apply(Negative(), new[b]) if isinstance(op, Subtract) else new[b], node)
        if whole_b and small_a:
            right = form_of(b, node)
            return (right.times(None, node) if isinstance(op, Subtract) else right).plus(new[a], node)
        return None

    for node in topological(outputs):
        form = find(node) if node.dtype == "float32" else None
        if form is not None and len(form.leaves) <= _MOST_LEAVES:
            forms[node] = form
        fewer = node in forms and forms[node].work < _work(forms[node].nodes, readers)
        new[node] = forms[node].build(node, fusable) if fewer else rebuilt(node, tuple(new[i] for i in node.inputs))
        if isinstance(node.op, Conv2d | Matmul) and len(readers[node]) == 1:
            fusable.add(new[node])
    return tuple(new[o] for o in outputs)


def _work(nodes: frozenset[Tensor], readers: dict[Tensor, list[Tensor]]) -> int:
    """Operations that `nodes` take now."""

    def joins_addition(node: Tensor) -> bool:
        (first, *others) = readers[node]
        return isinstance(node.op, Multiply) and not others and first in nodes and isinstance(first.op, Add | Subtract)

    return len(nodes) - sum(map(joins_addition, nodes))


def _is_largest(node: Tensor) -> bool:
    while isinstance(node.op, StopGradient | BroadcastTo):
        (node,) = node.inputs
    return isinstance(node.op, Max)


def _or_one(scale: Tensor | None) -> Tensor:
    return constant(1.0) if scale is None else scale


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return a if b is None else b
    return apply(Add(), a, b)
