"""What each value of a network can see of the picture: receptive fields, followed from node to node."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pellucid.graph import Constant, Graph, Input, Tensor
from pellucid.op import Array
from pellucid.ops.convolution import Conv2d, ConvTranspose2d, Unfold
from pellucid.ops.linear import Matmul
from pellucid.ops.pooling import AveragePool2d, MaxPool2d
from pellucid.ops.reduction import Max, Sum
from pellucid.ops.window import Window


@dataclass(frozen=True)
class Field:
    """Receptive field along one axis: element i sees input pixels [start + i * jump, start + i * jump + size)."""

    size: int
    jump: float
    start: float

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> Field:
        """The field behind a window."""
        grown = self.size + (kernel - 1) * dilation * self.jump
        return Field(int(grown), self.jump * stride, self.start - padding * self.jump)

    def union(self, other: Field) -> Field:
        """The smallest field that covers both (branches that meet)."""
        start = min(self.start, other.start)
        stop = max(self.start + self.size, other.start + other.size)
        return Field(math.ceil(stop - start), max(self.jump, other.jump), start)


def receptive_fields(graph: Graph) -> dict[Tensor, tuple[Field, Field]]:
    """The (vertical, horizontal) receptive field of every node that depends on the image (N, C, H, W)."""
    image = next(i for i in graph.inputs if i.ndim == 4)
    whole = (Field(image.shape[2], 1, 0), Field(image.shape[3], 1, 0))
    fields: dict[Tensor, tuple[Field, Field]] = {}
    for node in graph.nodes:
        if isinstance(node.op, Input):
            fields[node] = (Field(1, 1, 0), Field(1, 1, 0))
            continue
        known = [fields[i] for i in node.inputs if i in fields]
        if not known:
            continue
        vertical, horizontal = known[0]
        for other in known[1:]:
            vertical, horizontal = vertical.union(other[0]), horizontal.union(other[1])
        fields[node] = _through(node, vertical, horizontal, whole)
    return fields


def _through(node: Tensor, vertical: Field, horizontal: Field, whole: tuple[Field, Field]) -> tuple[Field, Field]:
    op = node.op
    window: Window | None = None
    if isinstance(op, Conv2d):
        window = op.window((node.inputs[1].shape[2], node.inputs[1].shape[3]))
    elif isinstance(op, MaxPool2d | AveragePool2d | Unfold):
        window = op.window
    if window is not None:
        k, s, p, d = window.kernel, window.stride, window.padding, window.dilation
        return vertical.through(k[0], s[0], p[0], d[0]), horizontal.through(k[1], s[1], p[1], d[1])
    if isinstance(op, ConvTranspose2d):
        kernel = node.inputs[1].shape[2:]
        return _enlarged(vertical, kernel[0], op, 0), _enlarged(horizontal, kernel[1], op, 1)
    if isinstance(op, Sum | Max) and node.inputs[0].ndim == 4 and {2, 3} <= set(op.axes):
        return whole
    if isinstance(op, Matmul):
        left, right = node.inputs
        if isinstance(left.op, Constant) and right.ndim == 4:
            return _through_bins(vertical, left.op.value), horizontal
        if isinstance(right.op, Constant) and left.ndim == 4:
            return vertical, _through_bins(horizontal, right.op.value.T)
        if left.ndim == 2:
            return whole
    return vertical, horizontal


def _enlarged(field: Field, kernel: int, op: ConvTranspose2d, axis: int) -> Field:
    """The field behind a transposed convolution: an output sees ceil(extent / stride) neighbouring inputs."""
    stride, padding, dilation = op.stride[axis], op.padding[axis], op.dilation[axis]
    before = ((kernel - 1) * dilation - padding) // stride
    seen = ((kernel - 1) * dilation) // stride
    return Field(int(field.size + seen * field.jump), field.jump / stride, field.start - before * field.jump)


def _through_bins(field: Field, averages: Array) -> Field:
    """The field behind adaptive pooling, whose bins are the rows of `averages`."""
    bins, length = averages.shape
    widest = int((averages != 0).sum(axis=1).max())
    return Field(int(field.size + (widest - 1) * field.jump), field.jump * length / bins, field.start)
