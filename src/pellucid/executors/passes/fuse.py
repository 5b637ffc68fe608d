"""Convolutions and products together with what is done to them next: bias, another tensor, ReLU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.executors.passes.rewrite import Outputs, rewrite, users
from pellucid.graph import Tensor, apply
from pellucid.op import Array, Cost, Op, Shape, traffic
from pellucid.ops.activation import Relu
from pellucid.ops.convolution import Conv2d
from pellucid.ops.elementwise import Add
from pellucid.ops.linear import Matmul
from pellucid.ops.shape import Reshape
from pellucid.scopes import root_scope


@dataclass(frozen=True)
class Fused(Op, registered=False):
    """y = relu(core(a, b) + bias + residual), each part where wanted; the bias is one number per channel or column"""

    core: Op
    bias: bool = False
    residual: bool = False
    relu: bool = False

    @property
    def kind(self) -> str:
        parts = [self.core.kind, *(p for p in ("bias", "residual", "relu") if getattr(self, p))]
        return "+".join(parts)

    @property
    def attributes(self) -> dict[str, Any]:
        return self.core.attributes  # the kind says the rest

    def shape(self, *inputs: Tensor) -> Shape:
        return self.core.shape(*inputs[:2])

    def reference(self, *arrays: Array) -> Array:
        y = np.asarray(self.core.reference(*arrays[:2]))
        rest = list(arrays[2:])
        if self.bias:
            bias = rest.pop(0)
            y = y + (bias.reshape(1, -1, 1, 1) if isinstance(self.core, Conv2d) else bias)
        if self.residual:
            y = y + rest.pop(0)
        return np.maximum(y, 0) if self.relu else y

    def cost(self, node: Tensor) -> Cost:
        core = Tensor(self.core, node.inputs[:2], node.shape, node.dtype, node.name)
        extra = self.bias + self.residual + self.relu
        return Cost(self.core.cost(core).flops + extra * node.size, traffic(node))


def fuse(outputs: Outputs) -> Outputs:
    """Take bias, residual and ReLU into the convolution or product whose result nobody else reads."""
    readers = users(outputs)

    def alone(node: Tensor) -> bool:
        return len(readers[node]) == 1

    def rule(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor | None:
        with root_scope():
            if isinstance(node.op, Add):
                for position, core in enumerate(node.inputs):
                    if alone(core) and (fused := _added(inputs[position], inputs[1 - position], node)) is not None:
                        return fused
            elif isinstance(node.op, Relu) and alone(node.inputs[0]):
                core = inputs[0]
                if isinstance(core.op, Fused) and not core.op.relu:
                    op = Fused(core.op.core, core.op.bias, core.op.residual, relu=True)
                    return apply(op, *core.inputs, name=node.name)
                if isinstance(core.op, Conv2d | Matmul):
                    return apply(Fused(core.op, relu=True), *core.inputs, name=node.name)
        return None

    return rewrite(outputs, rule)


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
        return apply(Fused(op.core, bias=True), *core.inputs, bias, name=node.name)
    if other.shape == node.shape and isinstance(op.core, Conv2d):
        return apply(Fused(op.core, op.bias, residual=True), *core.inputs, other, name=node.name)
    return None
