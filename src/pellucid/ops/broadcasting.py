"""What elementwise ops share: NumPy's broadcasting, the gradient rule that undoes it, and sample values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid.graph import Tensor, apply, as_tensors
from pellucid.op import FLOATS, Array, Op, OpSample, Shape, broadcast_shape

SIGNED = np.array([[-1.5, 0.3, 2.0], [0.7, -0.2, 1.1]])
POSITIVE = np.array([[0.5, 1.0, 2.5], [3.0, 0.2, 1.7]])
OTHER = np.array([[0.4, -0.9, 1.3], [-1.2, 0.8, 0.6]])


def unbroadcast(gradient: Tensor, to: Tensor) -> Tensor:
    """Sum `gradient` over the axes along which `to` was broadcast."""
    if gradient.shape == to.shape:
        return gradient
    extra = gradient.ndim - to.ndim
    axes = [a for a in range(gradient.ndim) if a < extra or (to.shape[a - extra] == 1 and gradient.shape[a] != 1)]
    return gradient.sum(axes).reshape(to.shape)


class Elementwise(Op, registered=False):
    """Base of ops that work element by element; states `derivatives` instead of `gradient`."""

    elementwise: ClassVar[bool] = True

    def shape(self, *inputs: Tensor) -> Shape:
        return broadcast_shape(self.kind, inputs)

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        """Local derivative with regard to each input: a tensor, a number, or None where no gradient flows."""
        raise NotImplementedError

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        downstream: list[Tensor | None] = []
        for value, local in zip(node.inputs, self.derivatives(node), strict=True):
            if local is None:
                downstream.append(None)
            else:
                one = isinstance(local, int | float) and local == 1
                downstream.append(unbroadcast(upstream if one else upstream * local, value))
        return tuple(downstream)


def binary_samples(function: Any) -> list[OpSample]:
    """Cases for a function of two arrays: same shape, a row, an outer pair, a scalar."""
    return [
        OpSample(function, (SIGNED, OTHER)),
        OpSample(function, (SIGNED, OTHER[:1]), "row"),
        OpSample(function, (SIGNED[:, :1], OTHER[0]), "outer"),
        OpSample(function, (SIGNED, np.array(0.25)), "scalar"),
    ]


@dataclass(frozen=True)
class Function(Elementwise, registered=False):
    """A function of one number that NumPy has, and PyTorch by the name of the op."""

    takes = FLOATS
    numpy: ClassVar[Callable[..., Array]]
    places: ClassVar[tuple[Array, ...]] = (SIGNED,)
    """Where it is checked."""

    def reference(self, *arrays: Array) -> Array:
        return type(self).numpy(arrays[0])

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return getattr(torch, self.kind)(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(lambda x: apply(cls(), *as_tensors(x)), (x,), f"{n}" if n else "")
            for n, x in enumerate(cls.places)
        ]
