"""Which values a bfloat16 program keeps in 16 bits: images on their way through the network, and their gradients.

Parameters, their gradients and state, statistics, losses and everything that is not an image stay float32; every
sum is accumulated in float32.
"""

from __future__ import annotations

from pellucid.executors.passes.fuse import Fused
from pellucid.graph import Graph, Input, Tensor
from pellucid.ops.convolution import Conv2d, ConvTranspose2d
from pellucid.ops.indexing import Pad, Slice, SliceGradient
from pellucid.ops.pooling import AveragePool2d, AveragePool2dGradient, MaxPool2d, MaxPool2dGradient
from pellucid.ops.shape import Concat

_MAKES_IMAGES = (
    Conv2d,
    ConvTranspose2d,
    MaxPool2d,
    MaxPool2dGradient,
    AveragePool2d,
    AveragePool2dGradient,
)


def narrow_values(graph: Graph) -> frozenset[Tensor]:
    """The images of a graph that are computed: outputs of convolution and pooling, and arithmetic on those."""
    found: set[Tensor] = set()
    for node in graph.nodes:
        if (
            node.ndim != 4
            or node.dtype != "float32"
            or node.shape[2] * node.shape[3] == 1
            or isinstance(node.op, Input)
        ):
            continue
        op = node.op.core if isinstance(node.op, Fused) else node.op
        if (
            isinstance(op, _MAKES_IMAGES)
            or (op.elementwise and any(i in found and i.shape == node.shape for i in node.inputs))
            or (isinstance(op, Concat | Pad | Slice | SliceGradient) and any(i in found for i in node.inputs))
        ):
            found.add(node)
    return frozenset(found)
