"""Max and average pooling and their gradients; a max pooling remembers which elements won if a gradient will ask."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pellucid.executors.compiled import _native
from pellucid.executors.plan.buffers import BLOCK, BLOCKED, CHANNELS_LAST, NOWHERE, PLAIN, TYPES, Buffer, image_layout
from pellucid.executors.plan.builder import Builder
from pellucid.executors.plan.kernels.family import Family, Lowering, of_floats
from pellucid.executors.plan.steps import Step
from pellucid.graph import Tensor
from pellucid.ops.pooling import AveragePool2d, AveragePool2dGradient, MaxPool2d, MaxPool2dGradient
from pellucid.ops.window import Window

_KIND = _native.Pooling


def _max(to: Builder, node: Tensor, op: MaxPool2d) -> None:
    _add_max(to, node.inputs[0], op.window, node, to.names[node])


def _max_gradient(to: Builder, node: Tensor, op: MaxPool2dGradient) -> None:
    x, g = node.inputs
    name, window = to.names[node], op.window
    if (x, window) not in to.winners:
        forward = Tensor(MaxPool2d(window), (x,), g.shape, g.dtype, f"{name} winners")
        _add_max(to, x, window, forward, f"{name} winners")
    layout, winners = to.winners[x, window]
    _add_pool(to, name, _KIND.max_gradient, window, layout, node, g, g, node, winners)


def _average(to: Builder, node: Tensor, op: AveragePool2d) -> None:
    (x,) = node.inputs
    layout = _pooling_layout(to, x)
    _add_pool(to, to.names[node], _KIND.average, op.window, layout, x, node, x, node, None, op.count_padding)


def _average_gradient(to: Builder, node: Tensor, op: AveragePool2dGradient) -> None:
    (g,) = node.inputs
    layout = _pooling_layout(to, g)
    _add_pool(to, to.names[node], _KIND.average_gradient, op.window, layout, node, g, g, node, None, op.count_padding)


def _pooling(add: Callable[[Builder, Tensor, Any], None]) -> Lowering:
    """The lowering for windows that the kernels take."""

    def lower(to: Builder, node: Tensor, op: Any) -> bool:
        window: Window = op.window
        able = window.dilation == (1, 1) and window.kernel[0] * window.kernel[1] <= _native.MOST_POSITIONS
        if able:
            add(to, node, op)
        return able

    return of_floats(lower)


def _add_max(to: Builder, x: Tensor, window: Window, node: Tensor, name: str) -> None:
    """Max pooling of x; remembers the winners if a gradient will ask for them."""
    layout = _pooling_layout(to, x)
    wanted = any(
        isinstance(u.op, MaxPool2dGradient) and u.inputs[0] is x and u.op.window == window for u in to.readers[x]
    )
    winners = to.scratch(f"{name} winners", math.prod(node.shape)) if wanted else None
    if winners is not None:
        to.winners[x, window] = (layout, winners)
    _add_pool(to, name, _KIND.max, window, layout, x, node, x, node, winners)


def _add_pool(
    to: Builder, name: str, kind: _native.Pooling, window: Window, layout: str, image: Tensor, pooled: Tensor, source: Tensor,
    node: Tensor, winners: Buffer | None, count_padding: bool = True,
) -> None:  # fmt: skip
    """A pooling step from `source` to `node`; `image` is the larger of the two, `pooled` the other."""
    view = to.whole(source, layout, to.dtype(source))
    result = to.image(node, layout, view.buffer.dtype)
    n, c, height, width = image.shape
    outer, inner = {PLAIN: (n * c, 1), CHANNELS_LAST: (n, c), BLOCKED: (n * c // BLOCK, BLOCK)}[layout]
    sizes = (outer, height, width, inner, pooled.shape[2], pooled.shape[3])
    reads, writes = [view.buffer], [result]
    if winners is not None:
        (reads if kind == _KIND.max_gradient else writes).append(winners)

    def add(program: _native.Program) -> None:
        where = NOWHERE if winners is None else winners.place
        program.add_pool(
            name, kind, sizes, window.kernel, window.stride, window.padding, count_padding, TYPES[result.dtype], view.place,
            result.place, where, winners is not None,
        )  # fmt: skip

    to.add(Step(name, node.op.kind, reads, writes, node.op.cost(node).flops, add=add, constant=node in to.fixed))
    to.made(node, result)


def _pooling_layout(to: Builder, x: Tensor) -> str:
    """The layout in which x lies, if it lies whole in one; else as convolutions would want it."""
    view = to.values.get(x)
    if view is not None:
        for layout in (BLOCKED, CHANNELS_LAST, PLAIN):
            if view.is_whole(layout) and (layout != BLOCKED or view.blocked):
                return layout
    return image_layout(x.shape[1])


LOWERINGS: Family = {
    MaxPool2d: _pooling(_max),
    MaxPool2dGradient: _pooling(_max_gradient),
    AveragePool2d: _pooling(_average),
    AveragePool2dGradient: _pooling(_average_gradient),
}
