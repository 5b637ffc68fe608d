"""Elementwise arithmetic with NumPy's broadcasting: one class per function, value and derivative side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid.errors import DTypeError
from pellucid.graph import (
    Array,
    Op,
    OpSample,
    Shape,
    Tensor,
    apply,
    as_tensors,
    broadcast_shape,
    check_dtype,
    constant,
    operator,
)

_SIGNED = np.array([[-1.5, 0.3, 2.0], [0.7, -0.2, 1.1]])
_POSITIVE = np.array([[0.5, 1.0, 2.5], [3.0, 0.2, 1.7]])
_OTHER = np.array([[0.4, -0.9, 1.3], [-1.2, 0.8, 0.6]])


def unbroadcast(gradient: Tensor, to: Tensor) -> Tensor:
    """Sum `gradient` over the axes along which `to` was broadcast."""
    from pellucid.ops.reduction import sum
    from pellucid.ops.shape import reshape

    if gradient.shape == to.shape:
        return gradient
    extra = gradient.ndim - to.ndim
    axes = [a for a in range(gradient.ndim) if a < extra or (to.shape[a - extra] == 1 and gradient.shape[a] != 1)]
    return reshape(sum(gradient, axes), to.shape)


class _Elementwise(Op):
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


class _Comparison(_Elementwise):
    differentiable: ClassVar[bool] = False

    def dtype(self, *inputs: Tensor) -> str:
        super().dtype(*inputs)
        return "bool"


@dataclass(frozen=True)
class Add(_Elementwise):
    """y = a + b"""

    def reference(self, *arrays: Array) -> Array:
        return arrays[0] + arrays[1]

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return 1, 1

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0] + tensors[1]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return _binary_samples(add)


@dataclass(frozen=True)
class Subtract(_Elementwise):
    """y = a - b"""

    def reference(self, *arrays: Array) -> Array:
        return arrays[0] - arrays[1]

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return 1, -1

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0] - tensors[1]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return _binary_samples(subtract)


@dataclass(frozen=True)
class Multiply(_Elementwise):
    """y = a * b"""

    def reference(self, *arrays: Array) -> Array:
        return arrays[0] * arrays[1]

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        a, b = node.inputs
        return b, a

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0] * tensors[1]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return _binary_samples(multiply)


@dataclass(frozen=True)
class Divide(_Elementwise):
    """y = a / b"""

    def reference(self, *arrays: Array) -> Array:
        return arrays[0] / arrays[1]

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        a, b = node.inputs
        return 1 / b, -a / (b * b)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0] / tensors[1]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(divide, (_SIGNED, _POSITIVE)), OpSample(divide, (_SIGNED, _POSITIVE[:1, :1]), "broadcast")]


@dataclass(frozen=True)
class Power(_Elementwise):
    """y = a ** b; the derivative with regard to b, y log a, is taken as 0 where a <= 0"""

    def reference(self, *arrays: Array) -> Array:
        return np.power(arrays[0], arrays[1])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        a, b = node.inputs
        if b.op.attributes.get("data") is not None:
            return b * power(a, b - constant(np.ones((), b.dtype))), None
        by_exponent = where(a > 0, node * log(where(a > 0, a, 1)), 0)
        return b * power(a, b - 1), by_exponent

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.pow(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(power, (_POSITIVE, _OTHER)),
            OpSample(lambda a: a**3, (_SIGNED,), "cube"),
            OpSample(lambda a: a**0.5, (_POSITIVE,), "root"),
            OpSample(lambda a: 2.0**a, (_SIGNED,), "of-two"),
            OpSample(lambda a: a**2, (np.array([0.0, -2.0]),), "square-at-zero", (np.array([0.0, -4.0]),)),
        ]


@dataclass(frozen=True)
class Negative(_Elementwise):
    """y = -x"""

    def reference(self, *arrays: Array) -> Array:
        return -arrays[0]

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (-1,)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return -tensors[0]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(negative, (_SIGNED,))]


@dataclass(frozen=True)
class Exp(_Elementwise):
    """y = e^x"""

    def reference(self, *arrays: Array) -> Array:
        return np.exp(arrays[0])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (node,)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.exp(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(exp, (_SIGNED,))]


@dataclass(frozen=True)
class Expm1(_Elementwise):
    """y = e^x - 1, exact near 0"""

    def reference(self, *arrays: Array) -> Array:
        return np.expm1(arrays[0])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (exp(node.inputs[0]),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.expm1(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(expm1, (_SIGNED,)), OpSample(expm1, (_SIGNED * 1e-9,), "near-zero")]


@dataclass(frozen=True)
class Log(_Elementwise):
    """y = log x (natural)"""

    def reference(self, *arrays: Array) -> Array:
        return np.log(arrays[0])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (1 / node.inputs[0],)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.log(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(log, (_POSITIVE,))]


@dataclass(frozen=True)
class Sqrt(_Elementwise):
    """y = sqrt x"""

    def reference(self, *arrays: Array) -> Array:
        return np.sqrt(arrays[0])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (0.5 / node,)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.sqrt(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(sqrt, (_POSITIVE,))]


@dataclass(frozen=True)
class Absolute(_Elementwise):
    """y = |x|; the derivative at 0 is 0"""

    def reference(self, *arrays: Array) -> Array:
        return np.abs(arrays[0])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (sign(node.inputs[0]),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.abs(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(absolute, (_SIGNED,)),
            OpSample(absolute, (np.array([0.0, -1.0]),), "at-zero", (np.array([0.0, -1.0]),)),
        ]


@dataclass(frozen=True)
class Sign(_Elementwise):
    """y = -1, 0 or 1 as x is negative, zero or positive; its derivative is 0 everywhere"""

    def reference(self, *arrays: Array) -> Array:
        return np.sign(arrays[0])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (None,)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.sign(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(sign, (_SIGNED,)), OpSample(sign, (np.array([0.0, 2.0]),), "at-zero", (np.zeros(2),))]


@dataclass(frozen=True)
class Erf(_Elementwise):
    """y = 2/sqrt(pi) * integral from 0 to x of e^(-t^2) dt"""

    def reference(self, *arrays: Array) -> Array:
        from scipy.special import erf as scipy_erf

        return np.asarray(scipy_erf(arrays[0]))

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        x = node.inputs[0]
        return (exp(-x * x) * (2 / np.pi**0.5),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.erf(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(erf, (_SIGNED,))]


@dataclass(frozen=True)
class Maximum(_Elementwise):
    """y = max(a, b); where a = b each gets half of the gradient"""

    def reference(self, *arrays: Array) -> Array:
        return np.maximum(arrays[0], arrays[1])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return _winner_shares(*node.inputs)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.maximum(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        tie = np.array([1.0, 2.0]), np.array([1.0, 0.0])
        return [*_binary_samples(maximum), OpSample(maximum, tie, "tie", (np.array([0.5, 1.0]), np.array([0.5, 0.0])))]


@dataclass(frozen=True)
class Minimum(_Elementwise):
    """y = min(a, b); where a = b each gets half of the gradient"""

    def reference(self, *arrays: Array) -> Array:
        return np.minimum(arrays[0], arrays[1])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        a, b = node.inputs
        return _winner_shares(b, a)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.minimum(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        tie = np.array([1.0, 2.0]), np.array([1.0, 0.0])
        return [*_binary_samples(minimum), OpSample(minimum, tie, "tie", (np.array([0.5, 0.0]), np.array([0.5, 1.0])))]


def _winner_shares(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    half = cast(equal(a, b), a.dtype) * 0.5
    return cast(greater(a, b), a.dtype) + half, cast(less(a, b), a.dtype) + half


@dataclass(frozen=True)
class Where(_Elementwise):
    """y = a where the condition holds, else b"""

    def dtype(self, *inputs: Tensor) -> str:
        if inputs[0].dtype != "bool":
            raise DTypeError(f"where: the condition {inputs[0].name!r} must be bool, got {inputs[0].dtype}")
        return super().dtype(*inputs[1:])

    def reference(self, *arrays: Array) -> Array:
        return np.where(arrays[0], arrays[1], arrays[2])

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        condition, a, b = node.inputs
        zero = constant(np.zeros((), upstream.dtype))
        to_a, to_b = where(condition, upstream, zero), where(condition, zero, upstream)
        return None, unbroadcast(to_a, a), unbroadcast(to_b, b)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.where(*tensors)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(where, (_SIGNED > 0, _SIGNED, _OTHER)),
            OpSample(where, (_SIGNED > 0, _SIGNED, np.array(2.0)), "broadcast"),
        ]


@dataclass(frozen=True)
class Less(_Comparison):
    """y = a < b"""

    def reference(self, *arrays: Array) -> Array:
        return np.less(arrays[0], arrays[1])

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.lt(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(less, (_SIGNED, _OTHER)), OpSample(greater, (_SIGNED, _OTHER), "greater")]


@dataclass(frozen=True)
class LessEqual(_Comparison):
    """y = a <= b"""

    def reference(self, *arrays: Array) -> Array:
        return np.less_equal(arrays[0], arrays[1])

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.le(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(less_equal, (_SIGNED, np.where(_SIGNED > 0, _SIGNED, _OTHER))),
            OpSample(greater_equal, (_SIGNED, np.where(_SIGNED > 0, _SIGNED, _OTHER)), "greater"),
        ]


@dataclass(frozen=True)
class Equal(_Comparison):
    """y = (a = b)"""

    def reference(self, *arrays: Array) -> Array:
        return np.equal(arrays[0], arrays[1])

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.eq(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(equal, (np.array([1, 2, 3]), np.array([1, 0, 3])))]


@dataclass(frozen=True)
class NotEqual(_Comparison):
    """y = (a != b)"""

    def reference(self, *arrays: Array) -> Array:
        return np.not_equal(arrays[0], arrays[1])

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.ne(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(not_equal, (np.array([1, 2, 3]), np.array([1, 0, 3])))]


@dataclass(frozen=True)
class Clip(_Elementwise):
    """y = min(max(x, low), high); the derivative at low and at high is 1"""

    low: float
    high: float

    def reference(self, *arrays: Array) -> Array:
        return np.clip(arrays[0], self.low, self.high)

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        x = node.inputs[0]
        return (cast(x >= self.low, x.dtype) * cast(x <= self.high, x.dtype),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.clamp(tensors[0], self.low, self.high)

    @classmethod
    def samples(cls) -> list[OpSample]:
        edges = np.array([-1.0, 0.5, 1.0, 2.0])
        return [
            OpSample(lambda x: clip(x, -1, 1), (_SIGNED,)),
            OpSample(lambda x: clip(x, -1, 1), (edges,), "at-edges", (np.array([1.0, 1.0, 1.0, 0.0]),)),
        ]


@dataclass(frozen=True)
class Cast(_Elementwise):
    """y = x as another element type"""

    to: str

    def dtype(self, *inputs: Tensor) -> str:
        return self.to

    def reference(self, *arrays: Array) -> Array:
        return arrays[0].astype(self.to)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x = node.inputs[0]
        both_float = x.dtype.startswith("float") and self.to.startswith("float")
        return (cast(upstream, x.dtype) if both_float else None,)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0].to(getattr(torch, self.to))

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(lambda x: cast(x, "float64"), (np.array([True, False]),), "bool"),
            OpSample(lambda x: cast(x, "int64"), (np.array([2.0, -1.0]),), "to-int", (np.zeros(2),)),
        ]


@dataclass(frozen=True)
class StopGradient(_Elementwise):
    """y = x, through which no gradient flows"""

    def reference(self, *arrays: Array) -> Array:
        return arrays[0]

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (None,)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0].detach()

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(stop_gradient, (_SIGNED,), "", (np.zeros_like(_SIGNED),))]


def _binary_samples(function: Any) -> list[OpSample]:
    return [
        OpSample(function, (_SIGNED, _OTHER)),
        OpSample(function, (_SIGNED, _OTHER[:1]), "row"),
        OpSample(function, (_SIGNED[:, :1], _OTHER[0]), "outer"),
        OpSample(function, (_SIGNED, np.array(0.25)), "scalar"),
    ]


@operator
def add(a: Any, b: Any) -> Tensor:
    """a + b"""
    return apply(Add(), *as_tensors(a, b))


@operator
def subtract(a: Any, b: Any) -> Tensor:
    """a - b"""
    return apply(Subtract(), *as_tensors(a, b))


@operator
def multiply(a: Any, b: Any) -> Tensor:
    """a * b"""
    return apply(Multiply(), *as_tensors(a, b))


@operator
def divide(a: Any, b: Any) -> Tensor:
    """a / b, for floating tensors"""
    a, b = as_tensors(a, b)
    if not a.dtype.startswith("float"):
        raise DTypeError(f"divide: {a.name!r} is {a.dtype}; cast it to a floating type first")
    return apply(Divide(), a, b)


@operator
def power(a: Any, b: Any) -> Tensor:
    """a ** b"""
    return apply(Power(), *as_tensors(a, b))


@operator
def negative(x: Any) -> Tensor:
    """-x"""
    return apply(Negative(), *as_tensors(x))


def exp(x: Any) -> Tensor:
    """e^x"""
    return apply(Exp(), *as_tensors(x))


def expm1(x: Any) -> Tensor:
    """e^x - 1, exact near 0"""
    return apply(Expm1(), *as_tensors(x))


def log(x: Any) -> Tensor:
    """Natural logarithm"""
    return apply(Log(), *as_tensors(x))


def sqrt(x: Any) -> Tensor:
    """Square root"""
    return apply(Sqrt(), *as_tensors(x))


@operator
def absolute(x: Any) -> Tensor:
    """|x|; the derivative at 0 is 0"""
    return apply(Absolute(), *as_tensors(x))


def sign(x: Any) -> Tensor:
    """-1, 0 or 1"""
    return apply(Sign(), *as_tensors(x))


def erf(x: Any) -> Tensor:
    """The error function"""
    return apply(Erf(), *as_tensors(x))


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of a and b, element by element; ties share the gradient equally"""
    return apply(Maximum(), *as_tensors(a, b))


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of a and b, element by element; ties share the gradient equally"""
    return apply(Minimum(), *as_tensors(a, b))


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """a where the bool `condition` holds, else b"""
    (mask,) = as_tensors(condition)
    return apply(Where(), mask, *as_tensors(a, b))


@operator
def less(a: Any, b: Any) -> Tensor:
    """a < b"""
    return apply(Less(), *as_tensors(a, b))


@operator
def less_equal(a: Any, b: Any) -> Tensor:
    """a <= b"""
    return apply(LessEqual(), *as_tensors(a, b))


@operator
def greater(a: Any, b: Any) -> Tensor:
    """a > b"""
    return apply(Less(), *reversed(as_tensors(a, b)), name="greater")


@operator
def greater_equal(a: Any, b: Any) -> Tensor:
    """a >= b"""
    return apply(LessEqual(), *reversed(as_tensors(a, b)), name="greater_equal")


@operator
def equal(a: Any, b: Any) -> Tensor:
    """a == b"""
    return apply(Equal(), *as_tensors(a, b))


@operator
def not_equal(a: Any, b: Any) -> Tensor:
    """a != b"""
    return apply(NotEqual(), *as_tensors(a, b))


def clip(x: Any, low: float, high: float) -> Tensor:
    """x kept within [low, high]"""
    if low > high:
        raise ValueError(f"clip: low must not exceed high, got low={low}, high={high}")
    return apply(Clip(float(low), float(high)), *as_tensors(x))


def cast(x: Any, dtype: str) -> Tensor:
    """x as another element type: float32, float64, int64 or bool"""
    (x,) = as_tensors(x)
    return x if x.dtype == check_dtype("cast", dtype) else apply(Cast(dtype), x)


def stop_gradient(x: Any) -> Tensor:
    """x, through which no gradient flows"""
    return apply(StopGradient(), *as_tensors(x))
