"""A convolution followed by fixed scales and shifts per channel (batch norm at inference) is one convolution."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.graph import Parameter, Tensor, apply
from pellucid.ops.convolution import Conv2d
from pellucid.ops.elementwise import Add, Divide, Multiply, Subtract
from pellucid.ops.shape import Reshape
from pellucid.scopes import root_scope
from pellucid.walks import Outputs, constant_nodes, rewrite, users

_STEPS = (Add, Subtract, Multiply, Divide)


def fold_norm(outputs: Outputs, changing: Sequence[Parameter] = ()) -> Outputs:
    """Fold scales and shifts by values that never change into a convolution's weight and one bias.

    Parameters in `changing` are not such values.
    """
    readers = users(outputs)
    fixed = constant_nodes(outputs, changing)

    def continues(node: Tensor) -> bool:
        """Whether the only reader of `node` goes on with a fixed value per channel."""
        return len(readers[node]) == 1 and readers[node][0] is not node and _step(readers[node][0], fixed) is not None

    def rule(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor | None:
        if _step(node, fixed) is None or continues(node):
            return None
        rewritten = dict(zip(node.inputs, inputs, strict=True))
        steps: list[Tensor] = []
        value = node
        while (step := _step(value, fixed)) is not None and len(readers[step]) == 1:
            steps.append(value)
            value = step
        if not isinstance(value.op, Conv2d) or not any(isinstance(s.op, Multiply | Divide) for s in steps):
            return None
        if value.inputs[1] not in fixed:
            return None
        x, weight = _chain_start(rewritten, steps, node).inputs
        return _folded(value.op, x, weight, list(reversed(steps)), node)

    return rewrite(outputs, rule)


def _step(node: Tensor, fixed: set[Tensor]) -> Tensor | None:
    """The value that `node` scales or shifts by something fixed, of shape (1, C, 1, 1)."""
    if not isinstance(node.op, _STEPS) or node.ndim != 4:
        return None
    a, b = node.inputs
    per_channel = (1, node.shape[1], 1, 1)
    if b in fixed and b.shape == per_channel and a.shape == node.shape and a not in fixed:
        return a
    commutes = isinstance(node.op, Add | Multiply)
    return (
        b if commutes and a in fixed and a.shape == per_channel and b.shape == node.shape and b not in fixed else None
    )


def _chain_start(rewritten: dict[Tensor, Tensor], steps: list[Tensor], node: Tensor) -> Tensor:
    """The rewritten convolution below the rewritten inputs of the last step."""
    value = node
    place = None
    for step in steps:
        a, b = step.inputs
        going_on = a if a.shape == step.shape else b
        place = rewritten[going_on] if place is None else place.inputs[0 if going_on is a else 1]
        value = going_on
    assert place is not None and isinstance(value.op, Conv2d)
    return place


def _folded(op: Conv2d, x: Tensor, weight: Tensor, steps: list[Tensor], node: Tensor) -> Tensor:
    channels = node.shape[1]
    shift: Tensor | None = None
    with root_scope():
        for step in steps:
            a, b = step.inputs
            other = b if b.shape != step.shape else a
            if shift is not None and isinstance(step.op, Add | Subtract):
                shift = apply(step.op, shift, other)
            elif isinstance(step.op, Add | Subtract):
                shift = other if isinstance(step.op, Add) else 0.0 - other
            else:
                weight = apply(step.op, weight, apply(Reshape((channels, 1, 1, 1)), other))
                shift = None if shift is None else apply(step.op, shift, other)
        convolved = apply(op, x, weight, name=node.name)
        return convolved if shift is None else apply(Add(), convolved, shift, name=node.name)
