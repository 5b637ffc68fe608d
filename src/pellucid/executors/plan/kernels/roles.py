"""Which tensor of a convolution, or of one of its gradients, is the image, the weight and the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pellucid.executors.compiled import _native
from pellucid.graph import Tensor
from pellucid.ops.convolution import Conv2d, Conv2dWeight, ConvTranspose2d

Convolution = Conv2d | ConvTranspose2d | Conv2dWeight


class Roles(NamedTuple):
    """y = x * weight; the direction says which of the three is computed from the two others."""

    direction: _native.Direction
    x: Tensor
    weight: Tensor
    y: Tensor


_ROLES: dict[type, Callable[[Tensor], Roles]] = {
    Conv2d: lambda node: Roles(_native.Direction.forward, node.inputs[0], node.inputs[1], node),
    ConvTranspose2d: lambda node: Roles(_native.Direction.backward_data, node, node.inputs[1], node.inputs[0]),
    Conv2dWeight: lambda node: Roles(_native.Direction.backward_weights, node.inputs[0], node, node.inputs[1]),
}


def roles(node: Tensor, op: Convolution) -> Roles:
    """The roles of what `node`, whose op or core is `op`, reads and makes."""
    return _ROLES[type(op)](node)
