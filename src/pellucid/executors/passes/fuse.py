"""Convolutions and products together with what is done around them: a frame around the image; bias, another tensor, ReLU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.graph import Tensor, apply, input
from pellucid.op import Array, Cost, Op, Shape, traffic
from pellucid.ops.activation import Relu
from pellucid.ops.comparison import Clip
from pellucid.ops.convolution import Conv2d, Conv2dWeight, ConvTranspose2d
from pellucid.ops.elementwise import Add
from pellucid.ops.indexing import Pad, Slice
from pellucid.ops.linear import Matmul
from pellucid.ops.pooling import MaxPool2d
from pellucid.ops.shape import Reshape
from pellucid.ops.window import Pair
from pellucid.walks import Outputs, rewrite, users


@dataclass(frozen=True)
class Fused(Op, registered=False):
    """y = min(relu(core(a, b) + bias + residual), ceiling), each part where wanted

    The bias is one number per channel or column. A convolution, the slope of its weight and max pooling may see more `around`
    the image (rows above and below, columns left and right) than their own padding; a transposed convolution leaves that out.
    """

    core: Op
    bias: bool = False
    residual: bool = False
    relu: bool = False
    ceiling: float = math.inf
    around: tuple[Pair, Pair] = ((0, 0), (0, 0))

    @property
    def kind(self) -> str:
        relu = "relu" if self.ceiling == math.inf else f"relu{self.ceiling:g}"
        parts = [self.core.kind, "bias" * self.bias, "residual" * self.residual, relu * self.relu]
        return "+".join(p for p in parts if p)

    @property
    def attributes(self) -> dict[str, Any]:
        """Those of the core with the padding above and to the left; the kind says the rest."""
        return self.framed.attributes

    @property
    def framed(self) -> Op:
        """The core with what lies around as its own padding: above and to the left; the other sides follow from the sizes."""
        extra = self.around[0][0], self.around[1][0]
        if isinstance(self.core, Conv2d | ConvTranspose2d | Conv2dWeight):
            return replace(self.core, padding=_plus(self.core.padding, extra))
        if isinstance(self.core, MaxPool2d):
            return MaxPool2d(replace(self.core.window, padding=_plus(self.core.window.padding, extra)))
        return self.core

    def shape(self, *inputs: Tensor) -> Shape:
        x, *other = inputs[:2]
        rows, columns = map(sum, self.around)
        if isinstance(self.core, ConvTranspose2d):
            n, c, h, width = self.core.shape(x, *other)
            return n, c, h - rows, width - columns
        if rows or columns:
            n, c, h, width = x.shape
            x = input((n, c, h + rows, width + columns), x.dtype, x.name)
        return self.core.shape(x, *other)

    def reference(self, *arrays: Array) -> Array:
        x, *other = arrays[:2]
        rest = list(arrays[2:])
        cuts = isinstance(self.core, ConvTranspose2d)
        if not cuts and self.around != ((0, 0), (0, 0)):
            x = np.pad(x, ((0, 0), (0, 0), *self.around), constant_values=_frame_of(self.core))
        y = np.asarray(self.core.reference(x, *other))
        if cuts:
            rows, columns = (slice(a, n - b) for (a, b), n in zip(self.around, y.shape[2:], strict=True))
            y = y[:, :, rows, columns]
        if self.bias:
            bias = rest.pop(0)
            y = y + (bias.reshape(1, -1, 1, 1) if isinstance(self.core, Conv2d) else bias)
        if self.residual:
            y = y + rest.pop(0)
        return np.clip(y, 0, self.ceiling) if self.relu else y

    def cost(self, node: Tensor) -> Cost:
        core = node.made_of(self.core, node.inputs[:2])
        extra = self.bias + self.residual + self.relu
        return Cost(self.core.cost(core).flops + extra * node.size, traffic(node))


def fuse(outputs: Outputs) -> Outputs:
    """Take frames around images, bias, residual and ReLU into the convolution, pooling or product whose result nobody else reads."""
    readers = users(outputs)

    def alone(node: Tensor) -> bool:
        return len(readers[node]) == 1

    def rule(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor | None:
        if isinstance(node.op, Add):
            for position, core in enumerate(node.inputs):
                if alone(core) and (fused := _added(inputs[position], inputs[1 - position], node)) is not None:
                    return fused
        elif isinstance(node.op, Relu):
            return _rectified(inputs[0], node, math.inf) if alone(node.inputs[0]) else None
        elif isinstance(node.op, Clip) and node.op.low == 0 < node.op.high:
            return _rectified(inputs[0], node, node.op.high) if alone(node.inputs[0]) else None
        elif isinstance(node.op, Conv2d | Conv2dWeight | MaxPool2d) and _is_frame(
            x := node.inputs[0], _frame_of(node.op)
        ):
            return _framed(node.op, inputs, node) if all(_takes_frame(r, x) for r in readers[x]) else None
        elif isinstance(node.op, Slice) and isinstance(node.inputs[0].op, ConvTranspose2d):
            return _cut(node.op, inputs[0], node) if alone(node.inputs[0]) else None
        return None

    return rewrite(outputs, rule)


def _plus(a: Pair, b: Pair) -> Pair:
    return a[0] + b[0], a[1] + b[1]


def _frame_of(op: Op) -> float:
    """What an op takes for the elements beside the image."""
    return -math.inf if isinstance(op, MaxPool2d) else 0.0


def _is_frame(node: Tensor, value: float) -> bool:
    """Whether it is an image with `value` around each channel."""
    op = node.op
    return (
        isinstance(op, Pad) and node.ndim == 4 and op.value == value and (*op.before[:2], *op.after[:2]) == (0, 0, 0, 0)
    )


def _takes_frame(reader: Tensor, frame: Tensor) -> bool:
    """Whether a reader of a frame can do without; the slope of a weight where the frame is within reach of its windows."""
    if isinstance(reader.op, Conv2dWeight):
        return reader.inputs[0] is frame and _reached(reader.op, reader.op.kernel, _around(frame))
    return isinstance(reader.op, Conv2d | MaxPool2d) and _is_frame(frame, _frame_of(reader.op))


def _around(frame: Tensor) -> tuple[Pair, Pair]:
    op = frame.op
    assert isinstance(op, Pad)
    (top, left), (bottom, right) = op.before[2:], op.after[2:]
    return (top, bottom), (left, right)


def _reached(op: Conv2dWeight | ConvTranspose2d, kernel: Sequence[int], around: tuple[Pair, Pair]) -> bool:
    """Whether windows at the edge see no less than one element inside of what lies `around`."""
    return all(
        p + max(sides) <= (k - 1) * d for p, k, d, sides in zip(op.padding, kernel, op.dilation, around, strict=True)
    )


def _framed(op: Op, inputs: tuple[Tensor, ...], node: Tensor) -> Tensor:
    pad, *other = inputs
    return apply(Fused(op, around=_around(pad)), pad.inputs[0], *other, name=node.name)


def _cut(op: Slice, core: Tensor, node: Tensor) -> Tensor | None:
    """The transposed convolution that does not make what a slice leaves out around its images."""
    whole = op.starts[:2] == (0, 0) and op.stops[:2] == core.shape[:2] and set(op.steps) == {1}
    if not whole or not isinstance(core.op, ConvTranspose2d):
        return None
    (top, left), (bottom, right) = (
        op.starts[2:],
        (n - stop for n, stop in zip(core.shape[2:], op.stops[2:], strict=True)),
    )
    around = (top, bottom), (left, right)
    cut = Fused(core.op, around=around)
    return apply(cut, *core.inputs, name=node.name) if _reached(core.op, core.inputs[1].shape[2:], around) else None


def _rectified(core: Tensor, node: Tensor, ceiling: float) -> Tensor | None:
    op = _fusable(core)
    return (
        None if op is None or op.relu else apply(replace(op, relu=True, ceiling=ceiling), *core.inputs, name=node.name)
    )


def _fusable(core: Tensor) -> Fused | None:
    """The op of a convolution or product with what it has taken in."""
    op = core.op if isinstance(core.op, Fused) else Fused(core.op)
    return op if isinstance(op.core, Conv2d | Matmul) else None


def _added(core: Tensor, other: Tensor, node: Tensor) -> Tensor | None:
    op = _fusable(core)
    if op is None or core.shape != node.shape:
        return None
    if op.relu or op.residual:
        return None
    channels = node.shape[1] if isinstance(op.core, Conv2d) else node.shape[-1]
    per_channel = (1, channels, 1, 1) if isinstance(op.core, Conv2d) else (channels,)
    if other.shape == per_channel and not op.bias:
        bias = other if other.ndim == 1 else apply(Reshape((channels,)), other)
        return apply(replace(op, bias=True), *core.inputs, bias, name=node.name)
    if other.shape == node.shape and isinstance(op.core, Conv2d):
        return apply(replace(op, residual=True), *core.inputs, other, name=node.name)
    return None
