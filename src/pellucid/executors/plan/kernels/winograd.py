"""Convolutions of 3x3 and 5x5 by Winograd's minimal filtering (Lavin and Gray 2016), where it takes fewer operations."""

from __future__ import annotations

import math
from typing import Any

from pellucid.executors.compiled import _native
from pellucid.executors.passes.fuse import Fused
from pellucid.executors.plan.buffers import BLOCK, BLOCKED, TYPES, Buffer, place_of, view_of
from pellucid.executors.plan.builder import Builder
from pellucid.executors.plan.kernels.roles import Convolution, Roles
from pellucid.executors.plan.steps import Step
from pellucid.graph import Tensor
from pellucid.op import Shape

Direction = _native.Direction
_TILE_IN, _TILE_OUT, _WEIGHT_PAIR = 70, 60, 5000
"""Cycles to transform one tile of sixteen channels on the way in and out, and the weight of a pair of blocks (measured)."""


def lower(to: Builder, node: Tensor, op: Convolution, ends: Roles) -> bool:
    """Add the steps for a convolution or one of its gradients; False where the direct way is as good."""
    narrow = to.precision == "bfloat16"
    available = _native.winograd_taps(TYPES[to.precision], ends.direction == Direction.backward_weights)
    limited = isinstance(node.op, Fused) and node.op.ceiling != math.inf
    if "winograd" in to.without or limited:
        return False
    x, weight, y = ends.x, ends.weight, ends.y
    taps = weight.shape[2]
    simple = (op.stride, op.dilation, op.groups) == ((1, 1), (1, 1), 1) and weight.shape[3] == taps
    blocks = not x.shape[1] % BLOCK and not y.shape[1] % BLOCK
    if not simple or not blocks or taps not in available or max(op.padding) >= taps:
        return False
    if ends.direction == Direction.backward_weights:
        return _weight_gradient(to, node, op, x, y)
    backward = ends.direction == Direction.backward_data
    source, padding = (y, (taps - 1 - op.padding[0], taps - 1 - op.padding[1])) if backward else (x, op.padding)
    prepared = 0 if weight in to.fixed else _WEIGHT_PAIR
    if to.dtype(node) != to.precision or not _pays(source.shape, node.shape, padding, taps, prepared, narrow):
        return False
    _convolution(to, node, source, weight, padding, backward)
    return True


def _pays(source: Shape, result: Shape, padding: tuple[int, int], taps: int, prepared: int, narrow: bool) -> bool:
    """Whether the transforms cost less than the products that they save, in cycles of one core."""
    batch, in_channels, height, width = source
    _, out_channels, out_height, out_width = result
    per_cycle = BLOCK * (2 if narrow else 1)
    products = batch * in_channels * out_channels / per_cycle
    direct = products * _inside(height, out_height, padding[0], taps) * _inside(width, out_width, padding[1], taps)
    tiles = batch * -(-out_height // 2) * -(-out_width // 2)
    in_blocks, out_blocks = in_channels // BLOCK, out_channels // BLOCK
    positions = (taps + 1) ** 2
    transforms = tiles * (in_blocks * _TILE_IN + out_blocks * _TILE_OUT) + in_blocks * out_blocks * prepared
    return 1.1 * tiles * positions * in_channels * out_channels / per_cycle + transforms * positions / 16 < direct


def _inside(size: int, outputs: int, padding: int, taps: int) -> int:
    """Products along one axis that do not fall into the padding, which the direct way leaves out."""
    return sum(0 <= i + u - padding < size for i in range(outputs) for u in range(taps))


def _sizes(source: Tensor, result: Tensor) -> tuple[tuple[int, int, int], Any, Any]:
    blocks = source.shape[0], source.shape[1] // BLOCK, result.shape[1] // BLOCK
    return blocks, source.shape[2:], result.shape[2:]


def _convolution(
    to: Builder, node: Tensor, source: Tensor, weight: Tensor, padding: tuple[int, int], backward: bool
) -> None:
    fused = node.op if isinstance(node.op, Fused) else Fused(node.op)
    view, name = to.whole(source, BLOCKED, to.precision), to.names[node]
    transformed = _transformed(to, weight, backward)
    result = view_of(to.buffer(node, BLOCKED))
    rest = list(node.inputs[2:])
    bias = to.whole(rest.pop(0), "plain") if fused.bias else None
    residual = to.whole(rest.pop(0), BLOCKED, to.precision) if fused.residual else None

    def add(program: _native.Program) -> None:
        program.add_winograd(
            name, TYPES[to.precision], weight.shape[2], *_sizes(source, node), padding, view.place, transformed.place, result.place,
            place_of(bias), place_of(residual), (fused.bias, fused.residual, fused.relu),
        )  # fmt: skip

    reads = [view.buffer, transformed, *(v.buffer for v in (bias, residual) if v is not None)]
    flops, fixed = node.op.cost(node).flops, node in to.fixed
    to.add(Step(name, fused.kind, reads, [result.buffer], flops, "winograd", add=add, constant=fixed))
    to.made(node, result.buffer)


def _transformed(to: Builder, weight: Tensor, backward: bool) -> Buffer:
    """The weight's transform; made once per step, or once for all where the weight does not change."""
    key = (weight, backward)
    if key not in to.transformed:
        name, dtype = f"{to.names[weight]} positions", TYPES[to.precision]
        out_channels, in_channels, taps, _ = weight.shape
        nbytes = _native.winograd_weight_bytes(dtype, taps, out_channels, in_channels)
        view, buffer = to.whole(weight, "plain"), to.scratch(name, nbytes)

        def add(program: _native.Program) -> None:
            program.add_winograd_weight(
                name, dtype, taps, out_channels, in_channels, backward, view.place, buffer.place
            )

        to.add(Step(name, "winograd weight", [view.buffer], [buffer], add=add, constant=weight in to.fixed))
        to.transformed[key] = buffer
    return to.transformed[key]


def _weight_gradient(to: Builder, node: Tensor, op: Convolution, x: Tensor, y: Tensor) -> bool:
    taps, narrow = node.shape[2], to.precision == "bfloat16"
    shared = y.shape[1] // BLOCK >= to.threads
    if not shared or not _pays(x.shape, y.shape, op.padding, taps, _WEIGHT_PAIR, narrow):
        return False
    image, slope = (to.whole(t, BLOCKED, to.precision) for t in (x, y))
    result, name = view_of(to.buffer(node)), to.names[node]

    def add(program: _native.Program) -> None:
        program.add_winograd_weight_gradient(
            name, TYPES[to.precision], taps, *_sizes(x, y), op.padding, image.place, slope.place, result.place
        )

    reads, flops = [image.buffer, slope.buffer], node.op.cost(node).flops
    to.add(Step(name, op.kind, reads, [result.buffer], flops, "winograd", add=add, constant=node in to.fixed))
    to.made(node, result.buffer)
    return True
