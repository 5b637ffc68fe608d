"""Convolutions and products together with what is done around them: a frame around the image; bias, another tensor, ReLU."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.graph import Tensor, apply, input
from pellucid.op import Array, Cost, Op, Shape, traffic
from pellucid.ops.activation import Relu
from pellucid.ops.comparison import Clip
from pellucid.ops.convolution import Conv2d
from pellucid.ops.elementwise import Add
from pellucid.ops.indexing import Pad
from pellucid.ops.linear import Matmul
from pellucid.ops.pooling import MaxPool2d
from pellucid.ops.shape import Reshape
from pellucid.ops.window import Pair
from pellucid.scopes import root_scope
from pellucid.walks import Outputs, rewrite, users


@dataclass(frozen=True)
class Fused(Op, registered=False):
    """y = min(relu(core(a, b) + bias + residual), ceiling), each part where wanted

    The bias is one number per channel or column. A convolution or max pooling may see more `around` the image (rows above
    and below, columns left and right) than its own padding.
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
        if isinstance(self.core, Conv2d):
            return replace(self.core, padding=_plus(self.core.padding, extra))
        if isinstance(self.core, MaxPool2d):
            return MaxPool2d(replace(self.core.window, padding=_plus(self.core.window.padding, extra)))
        return self.core

    def shape(self, *inputs: Tensor) -> Shape:
        x, *weight = inputs[:2]
        if self.around != ((0, 0), (0, 0)):
            n, c, h, width = x.shape
            x = input((n, c, h + sum(self.around[0]), width + sum(self.around[1])), x.dtype, x.name)
        return self.core.shape(x, *weight)

    def reference(self, *arrays: Array) -> Array:
        x, *weight = arrays[:2]
        rest = list(arrays[2:])
        if self.around != ((0, 0), (0, 0)):
            x = np.pad(x, ((0, 0), (0, 0), *self.around), constant_values=_frame_of(self.core))
        y = np.asarray(self.core.reference(x, *weight))
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
        with root_scope():
            if isinstance(node.op, Add):
                for position, core in enumerate(node.inputs):
                    if alone(core) and (fused := _added(inputs[position], inputs[1 - position], node)) is not None:
                        return fused
            elif isinstance(node.op, Relu):
                return _rectified(inputs[0], node, math.inf) if alone(node.inputs[0]) else None
            elif isinstance(node.op, Clip) and node.op.low == 0 < node.op.high:
                return _rectified(inputs[0], node, node.op.high) if alone(node.inputs[0]) else None
            elif isinstance(node.op, Conv2d | MaxPool2d) and _is_frame(x := node.inputs[0], _frame_of(node.op)):
                return _framed(node.op, inputs, node) if all(type(r.op) is type(node.op) for r in readers[x]) else None
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


def _framed(op: Op, inputs: tuple[Tensor, ...], node: Tensor) -> Tensor:
    pad, *weight = inputs
    assert isinstance(pad.op, Pad)
    (top, left), (bottom, right) = pad.op.before[2:], pad.op.after[2:]
    return apply(Fused(op, around=((top, bottom), (left, right))), pad.inputs[0], *weight, name=node.name)


def _rectified(core: Tensor, node: Tensor, ceiling: float) -> Tensor | None:
    if not isinstance(core.op, Conv2d | Matmul | Fused):
        return None
    op = core.op if isinstance(core.op, Fused) else Fused(core.op)
    return None if op.relu else apply(replace(op, relu=True, ceiling=ceiling), *core.inputs, name=node.name)


def _added(core: Tensor, other: Tensor, node: Tensor) -> Tensor | None:
    if core.shape != node.shape or not isinstance(core.op, Conv2d | Matmul | Fused):
        return None
    op = core.op if isinstance(core.op, Fused) else Fused(core.op)
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
