"""Lowering of what is no elementwise arithmetic: convolutions, products, pooling; and reference kernels for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.executors.passes.fuse import Fused
from pellucid.executors.plan import winograd
from pellucid.executors.plan.buffers import (
    BLOCK,
    BLOCKED,
    CHANNELS_LAST,
    LAYOUTS,
    NOWHERE,
    PLAIN,
    Buffer,
    View,
    image_layout,
    place_of,
    view_of,
)
from pellucid.executors.plan.chains import TYPES
from pellucid.executors.plan.steps import Step
from pellucid.graph import Tensor
from pellucid.ops.convolution import Conv2d, Conv2dWeight, ConvTranspose2d
from pellucid.ops.linear import Matmul
from pellucid.ops.pooling import AveragePool2d, AveragePool2dGradient, MaxPool2d, MaxPool2dGradient
from pellucid.ops.window import Window

if TYPE_CHECKING:
    from pellucid.executors.plan.lower import Lowering

_OTHER_LAYOUTS = ((CHANNELS_LAST, CHANNELS_LAST), (PLAIN, CHANNELS_LAST), (PLAIN, BLOCKED), (PLAIN, PLAIN))
_FORWARD, _BACKWARD_DATA, _BACKWARD_WEIGHTS = range(3)
_WORTH_NARROWING = 1 << 20
"""Multiplications from which on a product is worth bringing its matrices into bfloat16."""
_MAX, _MAX_GRADIENT, _AVERAGE, _AVERAGE_GRADIENT = range(4)


def lower(to: Lowering, node: Tensor) -> bool:
    """Add the steps for `node`; False if there is no kernel for it."""
    if (
        node.dtype != "float32"
        or any(i.dtype != "float32" for i in node.inputs)
        or 0 in (node.size, *(i.size for i in node.inputs))
    ):
        return False
    op = node.op.framed if isinstance(node.op, Fused) else node.op
    if isinstance(op, Conv2d | ConvTranspose2d | Conv2dWeight):
        return winograd.lower(to, node, op) or _convolution(to, node, op)
    if isinstance(op, Matmul):
        return _product(to, node)
    if isinstance(op, MaxPool2d | AveragePool2d | MaxPool2dGradient | AveragePool2dGradient):
        return _pool(to, node, op)
    return False


def fall_back(to: Lowering, node: Tensor) -> None:
    """Run the op's reference kernel, on plain arrays."""
    views = [to.whole(i, PLAIN) for i in node.inputs]
    result = to.buffer(node, dtype=node.dtype)
    op = node.op

    def run(context: Any) -> None:
        arrays = [context.array(v) for v in views]
        op.require(node, to.names[node], *arrays)
        with np.errstate(all="ignore"):
            context.array(view_of(result))[...] = op.reference(*arrays)

    to.fallbacks.add(type(op).__name__)
    fixed = node in to.fixed
    to.add(
        Step(
            to.names[node],
            f"reference {op.kind}",
            [v.buffer for v in views],
            [result],
            op.cost(node).flops,
            run=run,
            constant=fixed,
        )
    )
    to.made(node, result)


def _convolution(to: Lowering, node: Tensor, op: Conv2d | ConvTranspose2d | Conv2dWeight) -> bool:
    from pellucid.executors.compiled import _native

    if isinstance(op, Conv2d):
        direction, x, weight, y = _FORWARD, node.inputs[0], node.inputs[1], node
    elif isinstance(op, ConvTranspose2d):
        direction, x, weight, y = _BACKWARD_DATA, node, node.inputs[1], node.inputs[0]
    else:
        direction, x, weight, y = _BACKWARD_WEIGHTS, node.inputs[0], node, node.inputs[1]
    if direction == _BACKWARD_WEIGHTS and _own_weight_gradient(to, node, x, y, op):
        return True
    fused = node.op if isinstance(node.op, Fused) else Fused(op)
    name = to.names[node]
    kernel = weight.shape[2], weight.shape[3]

    dtypes = [to.precision, to.precision]
    if direction != _BACKWARD_WEIGHTS:
        dtypes[0 if direction == _BACKWARD_DATA else 1] = to.dtype(node)

    def make(layouts: tuple[str, str]) -> Any:
        numbers = tuple(map(LAYOUTS.index, layouts))
        return _native.Convolution(
            name, direction, (x.shape[0], x.shape[1], y.shape[1], op.groups), x.shape[2:], y.shape[2:], kernel, op.stride, op.padding,
            op.dilation, numbers, tuple(TYPES[d] for d in dtypes), (fused.bias, fused.residual, fused.relu),
            fused.ceiling, to.threads_for(node.op.cost(node).flops),
        )  # fmt: skip

    wanted = image_layout(x.shape[1]), image_layout(y.shape[1])
    found = _best_layouts(
        make, [wanted, *(other for other in _OTHER_LAYOUTS if BLOCKED not in other or wanted[1] == BLOCKED)]
    )
    if found is None:
        return False
    layouts, made = found
    fixed = node in to.fixed
    scratch = to.scratch(f"{name} scratch", made.scratch_bytes)
    places: dict[str, View] = {}
    for number, (end, t) in enumerate((("x", x), ("y", y))):
        if t is not node:
            places[end] = to.whole(t, layouts[number], dtypes[number])
    reads = [v.buffer for v in places.values()]
    writes = [scratch]
    if direction == _BACKWARD_WEIGHTS:
        plain = view_of(to.buffer(node))
        places["weight"] = view_of(to.scratch(f"{name} ordered", made.weight_bytes)) if made.weight_bytes else plain
        writes.append(places["weight"].buffer)
        result = plain
    else:
        plain = to.whole(weight, PLAIN)
        places["weight"] = plain
        if made.weight_bytes:
            places["weight"] = view_of(to.scratch(f"{to.names[weight]} ordered", made.weight_bytes))
            _reorder(to, f"{to.names[weight]} order", made, plain, places["weight"], weight in to.fixed)
        reads.append(places["weight"].buffer)
        result = view_of(_image(to, node, layouts[0] if direction == _BACKWARD_DATA else layouts[1]))
        places["x" if direction == _BACKWARD_DATA else "y"] = result
        writes.append(result.buffer)
    rest = list(node.inputs[2:])
    bias = to.whole(rest.pop(0), PLAIN) if fused.bias else None
    residual = to.whole(rest.pop(0), layouts[1], dtypes[1]) if fused.residual else None
    reads += [v.buffer for v in (bias, residual) if v is not None]

    def add(program: Any) -> None:
        program.add_convolution(
            made,
            places["x"].place,
            places["weight"].place,
            places["y"].place,
            place_of(bias),
            place_of(residual),
            scratch.place,
        )

    to.add(
        Step(name, fused.kind, reads, writes, node.op.cost(node).flops, made.implementation, add=add, constant=fixed)
    )
    if direction == _BACKWARD_WEIGHTS and made.weight_bytes:
        _reorder(to, f"{name} order", made, places["weight"], plain, fixed)
    to.made(node, result.buffer)
    return True


def _best_layouts(
    make: Callable[[tuple[str, str]], Any], candidates: Sequence[tuple[str, str]]
) -> tuple[tuple[str, str], Any] | None:
    """Layouts of a convolution's two images for which oneDNN has a kernel made for this processor, and the convolution.

    Where blocks of channels are not filled, kernels exist for some pairs of layouts only; a generic one is the last
    resort, being a hundred times slower.
    """
    from pellucid.executors.compiled import _native

    fallback = None
    for layouts in dict.fromkeys(candidates):
        try:
            made = make(layouts)
        except _native.StepError:
            continue
        if not made.implementation.startswith(("ref", "gemm")):
            return layouts, made
        if fallback is None or fallback[1].implementation.startswith("ref"):
            fallback = layouts, made
    return fallback


def _own_weight_gradient(to: Lowering, node: Tensor, x: Tensor, y: Tensor, op: Any) -> bool:
    """The weight's gradient by our own kernel, where blocks of channels fill each group."""
    from pellucid.executors.compiled import _native

    per_group = x.shape[1] // op.groups, y.shape[1] // op.groups
    if to.precision != "float32" or per_group[0] % BLOCK or per_group[1] % BLOCK or not _native.has_wide_kernels():
        return False
    sources = [to.whole(t, BLOCKED) for t in (x, y)]
    result = view_of(to.buffer(node))
    name = to.names[node]
    channels = x.shape[0], op.groups, per_group[0] // BLOCK, per_group[1] // BLOCK
    sizes = x.shape[2:], y.shape[2:], node.shape[2:]

    def add(program: Any) -> None:
        program.add_weight_gradient(
            name, channels, *sizes, op.stride, op.padding, op.dilation, TYPES[to.precision],
            *(v.place for v in sources), result.place,
        )  # fmt: skip

    reads = [v.buffer for v in sources]
    flops = node.op.cost(node).flops
    to.add(Step(name, op.kind, reads, [result.buffer], flops, "blocks", add=add, constant=node in to.fixed))
    to.made(node, result.buffer)
    return True


def _reorder(to: Lowering, name: str, made: Any, source: View, target: View, fixed: bool) -> None:
    def add(program: Any) -> None:
        program.add_weight_reorder(name, made, source.place, target.place)

    to.add(Step(name, "reorder", [source.buffer], [target.buffer], add=add, constant=fixed))


def _image(to: Lowering, node: Tensor, layout: str, dtype: str | None = None) -> Buffer:
    """A buffer for an image tensor; of one pixel per channel all layouts are the same."""
    return to.buffer(node, PLAIN if node.shape[2] * node.shape[3] == 1 and layout == BLOCKED else layout, dtype)


def _product(to: Lowering, node: Tensor) -> bool:
    from pellucid.executors.compiled import _native

    fused = node.op if isinstance(node.op, Fused) else Fused(node.op)
    work = node.size * node.inputs[0].shape[-1]
    dtype = to.precision if work >= _WORTH_NARROWING else "float32"
    a, b = (_matrix(to, i, dtype) for i in node.inputs[:2])
    result = view_of(to.buffer(node))
    bias = to.whole(node.inputs[2], PLAIN) if fused.bias else None
    rank = node.ndim
    name = to.names[node]
    if _is_row_of(a, node) and _is_weight(b, node) and a.buffer.dtype == "float32" and fused.ceiling == math.inf:
        return _vector_product(to, node, fused, a, b, bias)

    def described(view: View) -> tuple[list[int], list[int], int]:
        array = view.array[(None,) * (rank - view.array.ndim)]
        shape = [
            1 if s == 0 and d < rank - 2 else n for d, (n, s) in enumerate(zip(array.shape, array.strides, strict=True))
        ]
        return shape, [max(s, 1) for s in array.strides], TYPES[view.buffer.dtype]

    try:
        made = _native.Product(
            name,
            described(a),
            described(b),
            described(result),
            (fused.bias, False, fused.relu),
            fused.ceiling,
            to.threads_for(2 * work),
        )
    except _native.StepError:
        return False
    scratch = to.scratch(f"{name} scratch", made.scratch_bytes)
    reads = [v.buffer for v in (a, b, bias) if v is not None]

    def add(program: Any) -> None:
        program.add_product(made, a.place, b.place, result.place, place_of(bias), NOWHERE, scratch.place)

    fixed = node in to.fixed
    to.add(
        Step(
            name,
            fused.kind,
            reads,
            [result.buffer, scratch],
            node.op.cost(node).flops,
            made.implementation,
            add=add,
            constant=fixed,
        )
    )
    to.made(node, result.buffer)
    return True


def _is_row_of(a: View, node: Tensor) -> bool:
    """Whether the product has one row, and `a`'s elements lie side by side."""
    return node.size == node.shape[-1] and a.array.size == a.array.shape[-1] and a.array.strides[-1] == 1


def _is_weight(b: View, node: Tensor) -> bool:
    """Whether `b` is the transpose of a matrix (outputs, inputs) that lies in memory row by row."""
    return b.array.ndim == 2 and b.array.T.flags.c_contiguous and b.array.shape[-1] == node.shape[-1]


def _vector_product(to: Lowering, node: Tensor, fused: Fused, a: View, b: View, bias: View | None) -> bool:
    inputs, outputs = b.array.shape
    name = to.names[node]
    result = to.buffer(node)

    def add(program: Any) -> None:
        program.add_vector_product(
            name, outputs, inputs, b.place, a.place, result.place, place_of(bias), fused.bias, fused.relu
        )

    reads = [v.buffer for v in (a, b, bias) if v is not None]
    flops = node.op.cost(node).flops
    to.add(Step(name, fused.kind, reads, [result], flops, "one row", add=add, constant=node in to.fixed))
    to.made(node, result)
    return True


def _matrix(to: Lowering, node: Tensor, dtype: str) -> View:
    """A view of `node` whose rows or columns lie side by side; a copy if there is none."""
    view = to.values.get(node)
    if view is None or view.blocked or view.buffer.dtype != dtype:
        return to.whole(node, PLAIN, dtype)
    array = view.array
    rows, columns = array.strides[-2:]
    m, n = array.shape[-2:]
    by_rows = (columns == 1 or n == 1) and (rows >= n or m == 1)
    by_columns = (rows == 1 or m == 1) and (columns >= m or n == 1)
    forwards = all(s >= 0 for s in array.strides)
    return view if forwards and (by_rows or by_columns) else to.whole(node, PLAIN, dtype)


def _pool(to: Lowering, node: Tensor, op: Any) -> bool:
    window: Window = op.window
    if window.dilation != (1, 1) or window.kernel[0] * window.kernel[1] > 255:
        return False
    name = to.names[node]
    if isinstance(op, MaxPool2dGradient):
        x, g = node.inputs
        if (x, window) not in to.winners:
            forward = Tensor(MaxPool2d(window), (x,), g.shape, g.dtype, f"{name} winners")
            _add_max(to, x, window, forward, f"{name} winners")
        layout, winners = to.winners[x, window]
        _add_pool(to, name, _MAX_GRADIENT, window, layout, node, g, g, node, winners)
    elif isinstance(op, AveragePool2dGradient):
        (g,) = node.inputs
        _add_pool(to, name, _AVERAGE_GRADIENT, window, _pooling_layout(to, g), node, g, g, node, None, op.count_padding)
    elif isinstance(op, AveragePool2d):
        (x,) = node.inputs
        _add_pool(to, name, _AVERAGE, window, _pooling_layout(to, x), x, node, x, node, None, op.count_padding)
    else:
        _add_max(to, node.inputs[0], window, node, name)
    return True


def _add_max(to: Lowering, x: Tensor, window: Window, node: Tensor, name: str) -> None:
    """Max pooling of x; remembers the winners if a gradient will ask for them."""
    layout = _pooling_layout(to, x)
    wanted = any(
        isinstance(u.op, MaxPool2dGradient) and u.inputs[0] is x and u.op.window == window for u in to.readers[x]
    )
    winners = to.scratch(f"{name} winners", math.prod(node.shape)) if wanted else None
    if winners is not None:
        to.winners[x, window] = (layout, winners)
    _add_pool(to, name, _MAX, window, layout, x, node, x, node, winners)


def _add_pool(
    to: Lowering, name: str, kind: int, window: Window, layout: str, image: Tensor, pooled: Tensor, source: Tensor,
    node: Tensor, winners: Buffer | None, count_padding: bool = True,
) -> None:  # fmt: skip
    """A pooling step from `source` to `node`; `image` is the larger of the two, `pooled` the other."""
    view = to.whole(source, layout, to.dtype(source))
    result = _image(to, node, layout, view.buffer.dtype)
    n, c, height, width = image.shape
    outer, inner = {PLAIN: (n * c, 1), CHANNELS_LAST: (n, c), BLOCKED: (n * c // BLOCK, BLOCK)}[layout]
    sizes = (outer, height, width, inner, pooled.shape[2], pooled.shape[3])
    reads, writes = [view.buffer], [result]
    if winners is not None:
        (reads if kind == _MAX_GRADIENT else writes).append(winners)

    def add(program: Any) -> None:
        where = NOWHERE if winners is None else winners.place
        program.add_pool(
            name, kind, sizes, window.kernel, window.stride, window.padding, count_padding, TYPES[result.dtype], view.place,
            result.place, where, winners is not None,
        )  # fmt: skip

    to.add(Step(name, node.op.kind, reads, writes, node.op.cost(node).flops, add=add, constant=node in to.fixed))
    to.made(node, result)


def _pooling_layout(to: Lowering, x: Tensor) -> str:
    """The layout in which x lies, if it lies whole in one; else as convolutions would want it."""
    view = to.values.get(x)
    if view is not None:
        for layout in (BLOCKED, CHANNELS_LAST, PLAIN):
            if view.is_whole(layout) and (layout != BLOCKED or view.blocked):
                return layout
    return image_layout(x.shape[1])
