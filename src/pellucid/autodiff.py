"""Reverse-mode differentiation, source to source: the backward pass is ordinary nodes of the same graph."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.errors import DTypeError, GraphError, ShapeError
from pellucid.graph import Parameter, Tensor, constant, tensors_of, topological
from pellucid.ops.indexing import with_slices_joined
from pellucid.ops.shape import broadcast_to
from pellucid.scopes import root_scope, scope
from pellucid.walks import depending


def gradients(output: Tensor, inputs: Sequence[Tensor], upstream: Tensor | None = None) -> list[Tensor]:
    """Gradient of `output` with regard to each of `inputs`, one or several, as new nodes named `grad/...`.

    A tensor `output` counts as the sum of its elements, or as the sum weighted by `upstream` of the same shape. The
    gradient with regard to an input has that input's shape; one that `output` does not depend on gets zeros.
    """
    (output,) = tensors_of("what has gradients", [output])
    one = isinstance(inputs, Tensor)
    inputs = tensors_of("what gradients are with regard to", [inputs] if one else inputs)
    if not output.dtype.startswith("float"):
        raise DTypeError(f"{output.name}: only floating tensors have gradients, this one is {output.dtype}")
    for value in inputs:
        if not value.dtype.startswith("float"):
            raise DTypeError(f"{value.name}: gradients flow to floating tensors only, this one is {value.dtype}")
    if upstream is not None and (upstream.shape, upstream.dtype) != (output.shape, output.dtype):
        raise ShapeError(
            f"upstream of {output.name!r}: expected {output.dtype}{output.shape}, got {upstream.dtype}{upstream.shape}"
        )

    nodes = topological([output])
    on_path = depending(nodes, inputs)

    with root_scope(), scope("grad"):
        arriving: dict[Tensor, list[Tensor]] = {}
        arriving[output] = [broadcast_to(constant(1.0, output.dtype), output.shape) if upstream is None else upstream]
        passed_on: set[Tensor] = set()
        totals: dict[Tensor, Tensor] = {}
        for node in reversed(nodes):
            if node not in on_path or node not in arriving:
                continue
            with scope(node.name):
                total = _sum(arriving.pop(node))
                totals[node] = total
                if not node.inputs or not any(i in on_path for i in node.inputs):
                    continue
                if not node.op.differentiable:
                    continue
                passed_on.add(total)
                for value, downstream in zip(node.inputs, node.op.gradient(node, total), strict=True):
                    if downstream is None or value not in on_path:
                        continue
                    if downstream.shape != value.shape:
                        raise GraphError(
                            f"{node.name}: its gradient rule gives shape {downstream.shape} for input {value.name!r} of shape {value.shape}"
                        )
                    arriving.setdefault(value, []).append(downstream)
        return [_finish(value, totals.get(value), passed_on) for value in inputs]


def _sum(parts: Sequence[Tensor]) -> Tensor:
    total, *rest = with_slices_joined(parts)
    for part in rest:
        total = total + part
    return total


def _finish(value: Tensor, total: Tensor | None, passed_on: set[Tensor]) -> Tensor:
    if total is None:
        return broadcast_to(constant(0.0, value.dtype), value.shape)
    made_here = total.inputs and total not in passed_on and not isinstance(total, Parameter)
    return total.named(f"grad/{value.name}") if made_here else total
