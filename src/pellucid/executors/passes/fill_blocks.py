"""Images whose channels do not fill blocks of sixteen get channels of zeros, where that opens a much faster kernel.

oneDNN has no kernel of its own for a convolution of one to four channels (a picture) to, say, six. With sixteen, of
which ten have a weight of zero, the fast kernels serve, and so do poolings and chains behind it. In inference other
convolutions are filled up as well where that adds a third at most (24 channels become 32): then all images lie in blocks,
and none is brought from one layout into another. The added channels
stay finite and reach no other value: a convolution reads them with a weight of zero, all else is cut off again.
"""

from __future__ import annotations

from dataclasses import replace

from pellucid.graph import Tensor, apply, topological
from pellucid.op import Op, Shape
from pellucid.ops.convolution import Conv2d, Conv2dWeight, ConvTranspose2d
from pellucid.ops.indexing import Pad, Slice
from pellucid.ops.pooling import AveragePool2d, AveragePool2dGradient, MaxPool2d, MaxPool2dGradient
from pellucid.ops.reduction import Sum
from pellucid.walks import Outputs, rebuilt

_PICTURE = 4
_MOST_ADDED = 1 / 3
_FINITE_AT_ZERO = {
    "add", "subtract", "multiply", "negative", "relu", "maximum", "minimum", "absolute", "sigmoid", "tanh",
    "softplus", "less", "less_equal", "equal", "not_equal", "cast", "where", "clip", "stop_gradient",
}  # fmt: skip


def fill_blocks(outputs: Outputs) -> Outputs:
    """Add channels of zeros to what a picture's first convolution makes, as far as they can be carried along."""
    from pellucid.executors.compiled import (
        _native,
    )  # loaded where there are programs in C++, which this pass is for alone

    return _Filling(_native.BLOCK).run(outputs)


class _Filling:
    def __init__(self, block: int) -> None:
        self.block = block
        self.exact: dict[Tensor, Tensor] = {}
        self.filled: dict[Tensor, Tensor] = {}
        """Nodes of the old graph with their channels filled up, where there is such a value in the new one."""
        self.infers = False
        self._padded: dict[tuple[Tensor, Shape], Tensor] = {}

    def run(self, outputs: Outputs) -> Outputs:
        nodes = topological(outputs)
        self.infers = not any(isinstance(n.op, ConvTranspose2d | Conv2dWeight) for n in nodes)
        for node in nodes:
            filled = self._fill(node)
            if filled is not None:
                self.filled[node] = filled.instead_of(node)
            elif (cut := self._cut(node)) is not None:
                self.exact[node] = cut
            else:
                self.exact[node] = rebuilt(node, tuple(self._exact(i) for i in node.inputs))
        return tuple(self._exact(o) for o in outputs)

    def _exact(self, node: Tensor) -> Tensor:
        if node not in self.exact:
            self.exact[node] = _first(self.filled[node], node.shape)
        return self.exact[node]

    def _full(self, node: Tensor, axes: tuple[int, ...] = (1,)) -> Tensor:
        """The value with `axes` filled up to blocks, made by padding if it is not there."""
        if axes == (1,) and node in self.filled:
            return self.filled[node]
        shape = tuple(-(-n // self.block) * self.block if a in axes else n for a, n in enumerate(node.shape))
        return self._pad(self._exact(node), shape)

    def _pad(self, x: Tensor, shape: Shape) -> Tensor:
        if x.shape == shape:
            return x
        if (x, shape) not in self._padded:
            after = tuple(b - a for a, b in zip(x.shape, shape, strict=True))
            self._padded[x, shape] = apply(Pad((0,) * x.ndim, after), x, name=x.name)
        return self._padded[x, shape]

    def _fill(self, node: Tensor) -> Tensor | None:
        """The node with filled channels, if it can be computed so and something it reads is filled (or a picture)."""
        op = node.op
        if node.ndim != 4 or not node.inputs:
            return None
        touched = [i for i in node.inputs if i in self.filled]
        if isinstance(op, Conv2d):
            x, weight = node.inputs
            if op.groups != 1 or not (touched or self._gains(x.shape[1], node)):
                return None
            return apply(
                op, self._full(x) if touched else self._exact(x), self._full(weight, (0, 1) if touched else (0,))
            )
        if not touched:
            return None
        if isinstance(op, ConvTranspose2d) and op.groups == 1 and node.shape[1] > _PICTURE:
            return apply(op, self._full(node.inputs[0]), self._full(node.inputs[1], (0, 1)))
        if isinstance(op, MaxPool2d | AveragePool2d | MaxPool2dGradient | AveragePool2dGradient):
            return apply(op, *(self._full(i) for i in node.inputs))
        return self._elementwise(node, op)

    def _gains(self, in_channels: int, node: Tensor) -> bool:
        """Whether filling up the channels that a convolution makes, of exact ones, is worth it."""
        added = -node.shape[1] % self.block
        little = self.infers and added <= node.shape[1] * _MOST_ADDED
        return added > 0 and node.dtype == "float32" and (in_channels <= _PICTURE or little)

    def _elementwise(self, node: Tensor, op: Op) -> Tensor | None:
        if not op.elementwise or op.kind not in _FINITE_AT_ZERO:
            return None
        inputs: list[Tensor] = []
        for value in node.inputs:
            if value.size == 1 and value not in self.filled:
                inputs.append(self._exact(value))
            elif value.ndim == 4 and value.shape[1] == node.shape[1]:
                inputs.append(self._full(value))
            else:
                return None
        return apply(op, *inputs)

    def _cut(self, node: Tensor) -> Tensor | None:
        """A weight's gradient or a sum per channel, computed on filled channels and cut to those that count."""
        op = node.op
        if not any(i in self.filled for i in node.inputs):
            return None
        if isinstance(op, Conv2dWeight) and op.groups == 1:
            x, y = (self._full(i) if i.shape[1] > _PICTURE else self._exact(i) for i in node.inputs)
            return _first(apply(op, x, y), node.shape)
        if isinstance(op, Sum) and node.inputs[0].ndim == 4 and 1 not in op.axes:
            return _first(apply(replace(op), self._full(node.inputs[0])), node.shape)
        return None


def _first(x: Tensor, shape: Shape) -> Tensor:
    """The leading part of x that has `shape`."""
    if x.shape == shape:
        return x
    return apply(Slice((0,) * x.ndim, shape, (1,) * x.ndim), x, name=x.name)
