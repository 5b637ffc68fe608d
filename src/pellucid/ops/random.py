"""Counter-based random numbers, and the dropout made of them: the same key gives the same numbers on every executor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid.errors import DTypeError
from pellucid.graph import Tensor, apply, as_tensors, constant, of_arrays
from pellucid.op import Array, Op, OpSample, Shape, check_shape, composite
from pellucid.ops.comparison import where
from pellucid.real_numbers import share
from pellucid.seeds import require_seed

_STEP = np.array(5)


@dataclass(frozen=True)
class Uniform(Op):
    """y[i] = the i-th number in [0, 1) of NumPy's Philox 4x64 stream with key (seed, stream) and counter (0, 0, step, 0)"""

    to: Shape
    element: str
    seed: int
    stream: int
    differentiable: ClassVar[bool] = False
    elementwise: ClassVar[bool] = False

    def shape(self, *inputs: Tensor) -> Shape:
        if inputs[0].shape != ():
            raise DTypeError(f"uniform: step {inputs[0].name!r} must be a scalar, got shape {inputs[0].shape}")
        return self.to

    def dtype(self, *inputs: Tensor) -> str:
        if inputs[0].dtype != "int64":
            raise DTypeError(f"uniform: step {inputs[0].name!r} must be int64, got {inputs[0].dtype}")
        return self.element

    def reference(self, *arrays: Array) -> Array:
        counter = [0, 0, int(arrays[0]), 0]
        bits = np.random.Philox(key=[self.seed, self.stream], counter=counter)
        return np.random.Generator(bits).random(self.to, dtype=np.float32).astype(self.element, copy=False)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Any]:
        from pellucid.op import Term

        return [Term(((0, ()),), float(self.reference(*arrays)[index]))]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(lambda step: uniform((2, 3), step, seed=1, stream=2, dtype="float64"), (_STEP,))]


def uniform(shape: Any, step: Any, seed: int, stream: int, dtype: str = "float32") -> Tensor:
    """Uniform random numbers in [0, 1), a function of (seed, stream, step) alone; `step` is a scalar int64 tensor"""
    (step,) = as_tensors(step)
    return apply(Uniform(check_shape("uniform", shape), dtype, require_seed(seed), require_seed(stream)), step)


def _dropout_samples() -> list[OpSample]:
    x = np.sin(np.arange(12.0)).reshape(3, 4)
    return [OpSample(lambda x: dropout(x, 0.4, constant(_STEP), seed=3, stream=1), (x,))]


@composite(_dropout_samples)
@of_arrays
def dropout(x: Tensor, probability: float, step: Tensor, seed: int, stream: int) -> Tensor:
    """y = x / (1 - p) with probability 1 - p, else 0 (Srivastava et al. 2014); drawn anew at every `step`"""
    probability = share("dropout", "probability", probability)
    kept = uniform(x.shape, step, seed, stream, x.dtype) >= probability
    return where(kept, x * (1 / (1 - probability)), 0.0)
