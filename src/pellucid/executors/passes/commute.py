"""ReLU after max pooling instead of before: the same value, on a quarter of the elements.

max(relu(a), relu(b)) = relu(max(a, b)), and where the maximum is not positive no gradient passes either way.
"""

from __future__ import annotations

from pellucid.graph import Tensor, apply
from pellucid.ops.activation import Relu, masked_by, relu_mask
from pellucid.ops.comparison import Cast, Less
from pellucid.ops.elementwise import Multiply
from pellucid.ops.pooling import MaxPool2d, MaxPool2dGradient
from pellucid.ops.reduction import Sum
from pellucid.walks import Outputs, rewrite, users


def commute(outputs: Outputs) -> Outputs:
    """Move ReLUs behind the max poolings that alone read them, forward and backward."""
    readers = users(outputs)
    moved = {n for n in readers if isinstance(n.op, Relu) and _movable(n, readers)}

    def rule(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor | None:
        if isinstance(node.op, MaxPool2d) and node.inputs[0] in moved:
            (before,) = inputs[0].inputs
            return apply(Relu(), apply(node.op, before, name=node.name), name=node.inputs[0].name)
        gradient = node.inputs[0] if isinstance(node.op, Multiply) else None
        if gradient is not None and isinstance(gradient.op, MaxPool2dGradient) and gradient.inputs[0] in moved:
            relu, upstream = inputs[0].inputs
            (before,) = relu.inputs
            forward = MaxPool2d(gradient.op.window)
            masked = relu_mask(upstream, apply(Relu(), apply(forward, before)), name="less")
            return apply(gradient.op, before, masked, name=gradient.name)
        return None

    return rewrite(outputs, rule)


def _movable(relu: Tensor, readers: dict[Tensor, list[Tensor]]) -> bool:
    if any(r is relu for r in readers[relu]):
        return False
    pools = [r for r in readers[relu] if isinstance(r.op, MaxPool2d)]
    for reader in readers[relu]:
        if isinstance(reader.op, MaxPool2d):
            continue
        if isinstance(reader.op, MaxPool2dGradient) and reader.inputs[0] is relu and reader.inputs[1] is not relu:
            if any(masked_by(user) is not relu or user.inputs[0] is not reader for user in readers[reader]):
                return False
        elif not (isinstance(reader.op, Less) and _only_masks(reader, readers)):
            return False
    return bool(pools)


def _only_masks(less: Tensor, readers: dict[Tensor, list[Tensor]]) -> bool:
    casts = readers[less]
    products = [p for cast in casts for p in readers[cast]]
    return all(isinstance(c.op, Cast) for c in casts) and all(
        isinstance(p.op, Multiply) and isinstance(p.inputs[0].op, MaxPool2dGradient) for p in products
    )


def sum_before_unpooling(outputs: Outputs) -> Outputs:
    """Sum gradients per channel before max pooling's gradient spreads them.

    Each window passes its gradient to one element, so the sum (a bias's gradient) stays the same.
    """

    def rule(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor | None:
        if isinstance(node.op, Sum) and isinstance(inputs[0].op, MaxPool2dGradient) and {2, 3} <= set(node.op.axes):
            return node.made_of(node.op, (inputs[0].inputs[1],))
        return None

    return rewrite(outputs, rule)
