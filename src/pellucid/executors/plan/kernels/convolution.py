"""Convolutions and their gradients: Winograd's way where it pays, a kernel of our own for weights' gradients, else oneDNN."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.executors.compiled import _native
from pellucid.executors.passes.fuse import Fused
from pellucid.executors.plan.buffers import (
    BLOCK,
    BLOCKED,
    CHANNELS_LAST,
    PLAIN,
    TYPES,
    View,
    image_layout,
    place_of,
    view_of,
)
from pellucid.executors.plan.builder import Builder
from pellucid.executors.plan.kernels import winograd
from pellucid.executors.plan.kernels.family import Family, first_fast, of_floats
from pellucid.executors.plan.kernels.roles import Convolution, Roles, roles
from pellucid.executors.plan.steps import Step
from pellucid.graph import Tensor
from pellucid.ops.convolution import Conv2d, Conv2dWeight, ConvTranspose2d

Direction = _native.Direction
Layouts = tuple[str, str]
_WIDTHS = (3, 5, 7)
"""Of filters of single channels that our own kernel is written for."""
_OTHER_LAYOUTS = ((CHANNELS_LAST, CHANNELS_LAST), (PLAIN, CHANNELS_LAST), (PLAIN, BLOCKED), (PLAIN, PLAIN))


def _convolution(to: Builder, node: Tensor, op: Convolution) -> bool:
    ends = roles(node, op)
    if _slips_through(op, ends):  # which oneDNN's making of a kernel ends the process over
        return False
    ways = (winograd.lower, _blocks, _depthwise, _direct)
    return any(way(to, node, op, ends) for way in ways)


def _slips_through(op: Convolution, ends: Roles) -> bool:
    """Whether an image is so small that it lies between two of the places that a dilated window reads."""
    for axis in (0, 1):
        size, taps = ends.x.shape[2 + axis], ends.weight.shape[2 + axis]
        stride, padding, dilation = op.stride[axis], op.padding[axis], op.dilation[axis]
        for start in (i * stride - padding for i in range(ends.y.shape[2 + axis]) if size < dilation):
            read = any(0 <= start + u * dilation < size for u in range(taps))
            if start < 0 and start + (taps - 1) * dilation >= size and not read:
                return True
    return False


def _blocks(to: Builder, node: Tensor, op: Convolution, ends: Roles) -> bool:
    """The weight's gradient by our own kernel, where blocks of channels fill each group."""
    x, y = ends.x, ends.y
    per_group = x.shape[1] // op.groups, y.shape[1] // op.groups
    fills = to.precision == "float32" and not per_group[0] % BLOCK and not per_group[1] % BLOCK
    if ends.direction != Direction.backward_weights or not fills or not _native.has_wide_kernels():
        return False
    image, slope = to.whole(x, BLOCKED), to.whole(y, BLOCKED)
    result, name = view_of(to.buffer(node)), to.names[node]
    channels = x.shape[0], op.groups, per_group[0] // BLOCK, per_group[1] // BLOCK

    def add(program: _native.Program) -> None:
        program.add_weight_gradient(
            name, channels, x.shape[2:], y.shape[2:], node.shape[2:], op.stride, op.padding, op.dilation, image.place, slope.place,
            result.place,
        )  # fmt: skip

    reads, flops = [image.buffer, slope.buffer], node.op.cost(node).flops
    to.add(Step(name, op.kind, reads, [result.buffer], flops, "blocks", add=add, constant=node in to.fixed))
    to.made(node, result.buffer)
    return True


def _depthwise(to: Builder, node: Tensor, op: Convolution, ends: Roles) -> bool:
    """The same where each channel has a filter of its own, in the layouts that the images have."""
    x, y = ends.x, ends.y
    fills = to.precision == "float32" and op.groups == x.shape[1] == y.shape[1] and not x.shape[1] % BLOCK
    width = node.shape[3] if ends.direction == Direction.backward_weights else 0
    if not fills or width not in _WIDTHS or not _native.has_wide_kernels():
        return False
    image, slope = (to.whole(t, _lies(to, t)) for t in (x, y))
    result, name = view_of(to.buffer(node)), to.names[node]
    last = [view.buffer.layout == CHANNELS_LAST for view in (image, slope)]

    def add(program: _native.Program) -> None:
        program.add_depthwise_gradient(
            name, (x.shape[0], x.shape[1] // BLOCK), x.shape[2:], y.shape[2:], node.shape[2:], op.stride, op.padding, op.dilation, last,
            image.place, slope.place, result.place,
        )  # fmt: skip

    reads, flops = [image.buffer, slope.buffer], node.op.cost(node).flops
    to.add(Step(name, op.kind, reads, [result.buffer], flops, "channels", add=add, constant=node in to.fixed))
    to.made(node, result.buffer)
    return True


def _lies(to: Builder, image: Tensor) -> str:
    """The layout in which an image lies already, of those that have the channels of a pixel side by side."""
    view = to.values.get(image)
    return CHANNELS_LAST if view is not None and view.buffer.layout == CHANNELS_LAST else BLOCKED


def _direct(to: Builder, node: Tensor, op: Convolution, ends: Roles) -> bool:
    """By oneDNN, in the layouts for which it has the best kernel."""
    fused = node.op if isinstance(node.op, Fused) else Fused(op)
    flops = node.op.cost(node).flops
    dtypes = [to.dtype(t) if t is node else to.precision for t in (ends.x, ends.y)]
    found = _best_layouts(to, node, op, ends, fused, dtypes)
    if found is None:
        return False
    layouts, made = found
    name, fixed = to.names[node], node in to.fixed
    scratch = to.scratch(f"{name} scratch", made.scratch_bytes)
    images = {
        end: to.whole(t, layout, dtype)
        for end, t, layout, dtype in zip("xy", (ends.x, ends.y), layouts, dtypes, strict=True)
        if t is not node
    }
    reads, writes = [v.buffer for v in images.values()], [scratch]
    if ends.direction == Direction.backward_weights:
        result = view_of(to.buffer(node))
        weight = view_of(to.scratch(f"{name} ordered", made.weight_bytes)) if made.weight_bytes else result
        writes.append(weight.buffer)
    else:
        weight = _ordered_weight(to, ends.weight, made)
        reads.append(weight.buffer)
        end = "x" if ends.direction == Direction.backward_data else "y"
        result = images[end] = view_of(to.image(node, layouts["xy".index(end)]))
        writes.append(result.buffer)
    rest = list(node.inputs[2:])
    bias = to.whole(rest.pop(0), PLAIN) if fused.bias else None
    residual = to.whole(rest.pop(0), layouts[1], dtypes[1]) if fused.residual else None
    reads += [v.buffer for v in (bias, residual) if v is not None]

    def add(program: _native.Program) -> None:
        program.add_convolution(
            made, images["x"].place, weight.place, images["y"].place, place_of(bias), place_of(residual), scratch.place
        )

    to.add(Step(name, fused.kind, reads, writes, flops, made.implementation, add=add, constant=fixed))
    if ends.direction == Direction.backward_weights and made.weight_bytes:
        _reorder(to, f"{name} order", made, weight, result, fixed)
    to.made(node, result.buffer)
    return True


def _best_layouts(
    to: Builder, node: Tensor, op: Convolution, ends: Roles, fused: Fused, dtypes: Sequence[str]
) -> tuple[Layouts, _native.Convolution] | None:
    """Layouts of a convolution's two images for which oneDNN has a kernel made for this processor, and the convolution.

    Where blocks of channels are not filled, kernels exist for some pairs of layouts only; a generic one is the last
    resort, being a hundred times slower.
    """
    x, y = ends.x.shape, ends.y.shape

    def make(layouts: Layouts) -> _native.Convolution:
        return _native.Convolution(
            to.names[node], ends.direction, (x[0], x[1], y[1], op.groups), x[2:], y[2:], ends.weight.shape[2:4], op.stride,
            op.padding, op.dilation, [_native.Layout[name] for name in layouts], [TYPES[d] for d in dtypes],
            (fused.bias, fused.residual, fused.relu), fused.ceiling, to.threads_for(node.op.cost(node).flops),
        )  # fmt: skip

    wanted = image_layout(x[1]), image_layout(y[1])
    others = (other for other in _OTHER_LAYOUTS if BLOCKED not in other or wanted[1] == BLOCKED)
    read = ends.x if ends.y is node else ends.y
    stays = op.groups == x[1] == y[1] and _lies(to, read) == CHANNELS_LAST  # channels of their own go in any order
    return first_fast(make, dict.fromkeys([*([_OTHER_LAYOUTS[0]] if stays else []), wanted, *others]))


def _ordered_weight(to: Builder, weight: Tensor, made: _native.Convolution) -> View:
    """The weight in the order that oneDNN wants."""
    plain = to.whole(weight, PLAIN)
    if not made.weight_bytes:
        return plain
    ordered = view_of(to.scratch(f"{to.names[weight]} ordered", made.weight_bytes))
    _reorder(to, f"{to.names[weight]} order", made, plain, ordered, weight in to.fixed)
    return ordered


def _reorder(to: Builder, name: str, made: _native.Convolution, source: View, target: View, fixed: bool) -> None:
    def add(program: _native.Program) -> None:
        program.add_weight_reorder(name, made, source.place, target.place)

    to.add(Step(name, "reorder", [source.buffer], [target.buffer], add=add, constant=fixed))


LOWERINGS: Family = dict.fromkeys((Conv2d, ConvTranspose2d, Conv2dWeight), of_floats(_convolution))
