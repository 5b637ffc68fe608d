"""Operators that work element by element: arithmetic, comparison, choice, activation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.interop.roots import selected
from pellucid.interop.torch_module.aten.registry import Operator, alike, aten, require
from pellucid.ops.activation import Relu
from pellucid.ops.elementwise import Absolute


def _binary(function: Callable[[Any, Any], Tensor]) -> Operator:
    """The function of two values in one element type."""
    return lambda a, b: function(*alike(a, b))


for _names, _function in {
    ("mul.Tensor", "mul.Scalar"): ops.multiply,
    ("pow.Tensor_Tensor", "pow.Scalar"): ops.power,
    ("remainder.Scalar", "remainder.Tensor"): ops.remainder,
    ("maximum.default",): ops.maximum,
    ("minimum.default",): ops.minimum,
    ("eq.Scalar", "eq.Tensor"): ops.equal,
    ("ne.Scalar", "ne.Tensor"): ops.not_equal,
    ("lt.Scalar", "lt.Tensor"): ops.less,
    ("le.Scalar", "le.Tensor"): ops.less_equal,
    ("gt.Scalar", "gt.Tensor"): ops.greater,
    ("ge.Scalar", "ge.Tensor"): ops.greater_equal,
}.items():
    aten(*_names)(_binary(_function))


def floating(x: Any) -> Any:
    """The value, as float32 if it is a tensor of whole numbers."""
    return ops.cast(x, "float32") if isinstance(x, Tensor) and not x.dtype.startswith("float") else x


def _of_floats(function: Callable[[Tensor], Tensor]) -> Operator:
    """The function of a value that is made floating first, as its results are fractions."""
    return lambda x: function(floating(x))


for _name, _unary in {
    "exp": ops.exp,
    "expm1": ops.expm1,
    "log": ops.log,
    "erf": ops.erf,
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "silu": ops.silu,
    "mish": ops.mish,
    **{name: getattr(ops, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "asin", "acos", "atan")},
    **{name: getattr(ops, name) for name in ("asinh", "acosh", "atanh")},
    "selu": ops.selu,
    "hardswish": ops.hard_swish,
    "hardsigmoid": lambda x: ops.clip(x + 3.0, 0.0, 6.0, open=True) * (1 / 6),
    "log_sigmoid": lambda x: -ops.softplus(-x),
    "log1p": ops.log1p,
    "log2": lambda x: ops.log(x) * (1 / math.log(2)),
    "log10": lambda x: ops.log(x) * (1 / math.log(10)),
    "exp2": lambda x: ops.exp(x * math.log(2)),
    "rsqrt": lambda x: 1.0 / ops.sqrt(x),
    "reciprocal": lambda x: 1.0 / x,
}.items():
    aten(f"{_name}.default")(_of_floats(_unary))

for _name, _unary in {
    "abs": ops.absolute,
    "neg": ops.negative,
    "sign": ops.sign,
    **{name: getattr(ops, name) for name in ("floor", "ceil", "round")},
    "trunc": ops.truncate,
    "relu6": lambda x: ops.clip(x, 0.0, 6.0, open=True),
    "square": lambda x: x * x,
    "bitwise_not": lambda x: ops.equal(ops.cast(x, "int64"), 0) if x.dtype == "bool" else -1 - x,
    "logical_not": lambda x: ops.equal(ops.cast(x, "int64") if x.dtype == "bool" else x, 0),
    "clone": lambda x, memory_format=None: x,
    "detach": ops.stop_gradient,
}.items():
    aten(f"{_name}.default")(_unary)


@aten("relu.default")
def relu(x: Tensor) -> Tensor:
    """PyTorch selects where ours multiplies by 0 or 1: as root mean squares need it, after an absolute value."""
    return selected(x) if isinstance(x.op, Absolute) else ops.relu(x)


@aten("sqrt.default")
def root(x: Tensor) -> Tensor:
    return ops.sqrt(selected(x) if isinstance(x.op, Relu) else floating(x))


@aten("pow.Tensor_Scalar")
def power(x: Tensor, exponent: float) -> Tensor:
    steep = isinstance(x.op, Relu) and exponent < 1
    return ops.power(*alike(selected(x) if steep else x, exponent))


@aten("add.Tensor", "add.Scalar")
def add(a: Any, b: Any, alpha: float = 1) -> Tensor:
    a, b = alike(a, b)
    return a + (b if alpha == 1 else b * alpha)


@aten("sub.Tensor")
def subtract(a: Any, b: Any, alpha: float = 1) -> Tensor:
    a, b = alike(a, b)
    return a - (b if alpha == 1 else b * alpha)


@aten("rsub.Scalar", "rsub.Tensor")
def subtract_from(a: Any, b: Any, alpha: float = 1) -> Tensor:
    return subtract(b, a, alpha)


@aten("fmod.Scalar", "fmod.Tensor")
def rest(a: Any, b: Any) -> Tensor:
    """What a division leaves, with the sign of a"""
    a, b = alike(a, b)
    left = ops.remainder(ops.absolute(a), ops.absolute(b) if isinstance(b, Tensor) else abs(b))
    return ops.where(ops.less(a, 0), -left, left)


@aten("isnan.default")
def is_nan(x: Tensor) -> Tensor:
    return ops.not_equal(x, x)


@aten("div.Tensor", "div.Scalar")
def divide(a: Any, b: Any) -> Tensor:
    return ops.divide(*alike(floating(a), floating(b)))


@aten("floor_divide.default")
def divide_down(a: Any, b: Any) -> Tensor:
    return rounded_divide(a, b, "floor")


@aten("div.Tensor_mode")
def rounded_divide(a: Any, b: Any, rounding_mode: str | None = None) -> Tensor:
    """a / b made whole: downwards (`floor`) or towards 0 (`trunc`); whole numbers stay whole"""
    if rounding_mode is None:
        return divide(a, b)
    a, b = alike(a, b)
    whole = all(isinstance(v, int) or (isinstance(v, Tensor) and v.dtype == "int64") for v in (a, b))
    exact = ops.divide(*(ops.cast(v, "float64") if whole and isinstance(v, Tensor) else v for v in (a, b)))
    rounded = ops.floor(exact) if rounding_mode == "floor" else ops.truncate(exact)
    return ops.cast(rounded, "int64") if whole else rounded


@aten("addcmul.default")
def add_product(x: Tensor, a: Tensor, b: Tensor, value: float = 1) -> Tensor:
    return x + a * b * value


@aten("addcdiv.default")
def add_quotient(x: Tensor, a: Tensor, b: Tensor, value: float = 1) -> Tensor:
    return x + a / b * value


@aten("lerp.Scalar", "lerp.Tensor")
def between(start: Tensor, end: Tensor, weight: Any) -> Tensor:
    return start + (end - start) * weight


@aten("logical_and.default")
def both(a: Tensor, b: Tensor) -> Tensor:
    return ops.where(truth(a), truth(b), False)


@aten("logical_or.default")
def either(a: Tensor, b: Tensor) -> Tensor:
    return ops.where(truth(a), True, truth(b))


def truth(x: Tensor) -> Tensor:
    """Whether the elements are other than 0."""
    return x if x.dtype == "bool" else ops.not_equal(x, 0)


@aten("__and__.Tensor", "__and__.Scalar", "bitwise_and.Tensor", "bitwise_and.Scalar")
def and_by_bits(a: Any, b: Any) -> Tensor:
    return _by_bits(both, "and", a, b)


@aten("__or__.Tensor", "__or__.Scalar", "bitwise_or.Tensor", "bitwise_or.Scalar")
def or_by_bits(a: Any, b: Any) -> Tensor:
    return _by_bits(either, "or", a, b)


def _by_bits(of_bools: Callable[[Tensor, Tensor], Tensor], how: str, a: Any, b: Any) -> Tensor:
    a, b = alike(a, b)
    return of_bools(a, b) if a.dtype == "bool" else ops.bitwise(how, a, b)


@aten("where.self", "where.ScalarSelf", "where.ScalarOther", "where.Scalar")
def choose(condition: Tensor, a: Any, b: Any) -> Tensor:
    return ops.where(condition, *alike(a, b))


@aten("masked_fill.Scalar", "masked_fill.Tensor")
def fill(x: Tensor, mask: Tensor, value: Any) -> Tensor:
    return ops.where(mask, value, x)


@aten("hardtanh.default")
def hard_tanh(x: Tensor, min_val: float = -1, max_val: float = 1) -> Tensor:
    return ops.clip(x, min_val, max_val, open=True)


@aten("clamp.default", "clamp_min.default")
def clamp(x: Tensor, min: float | None = None, max: float | None = None) -> Tensor:
    """Where the bounds are the wrong way round, everything is `max`."""
    x = alike(x, min, max)[0]
    low, high = -math.inf if min is None else min, math.inf if max is None else max
    return ops.clip(x, low, high) if low <= high else ops.clip(x, high, high, open=True)


@aten("clamp.Tensor", "clamp_min.Tensor")
def clamp_between(x: Tensor, min: Tensor | None = None, max: Tensor | None = None) -> Tensor:
    """Each element between bounds of its own; `max` has the last word."""
    x = x if min is None else ops.maximum(*alike(x, min))
    return x if max is None else ops.minimum(*alike(x, max))


@aten("clamp_max.Tensor")
def clamp_below(x: Tensor, max: Tensor) -> Tensor:
    return clamp_between(x, None, max)


@aten("clamp_max.default")
def clamp_above(x: Tensor, max: float) -> Tensor:
    return clamp(x, None, max)


@aten("_to_copy.default")
def convert(x: Tensor, dtype: str | None = None, *_: Any, **__: Any) -> Tensor:
    """Another element type; device, layout and the like have no meaning here."""
    return x if dtype is None else ops.cast(x, dtype)


@aten("leaky_relu.default")
def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    return ops.leaky_relu(x, negative_slope)


@aten("rrelu.default")
def random_leaky_relu(x: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Tensor:
    require(not training, "rrelu in training")
    return ops.leaky_relu(x, (lower + upper) / 2)


@aten("elu.default")
def elu(x: Tensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Tensor:
    require(input_scale == 1, "elu with another input scale")
    return ops.elu(x, alpha) if scale == 1 else ops.elu(x, alpha) * scale


@aten("celu.default")
def celu(x: Tensor, alpha: float = 1) -> Tensor:
    return ops.where(x > 0, x, ops.expm1(ops.where(x > 0, 0.0, x) * (1 / alpha)) * alpha)


@aten("gelu.default")
def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    return ops.gelu(x, approximate)


@aten("softplus.default")
def softplus(x: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + e^(beta x)) / beta, and x where beta x is beyond the threshold; beyond 20 it is x within float32's precision."""
    y = ops.softplus(x * beta) * (1 / beta)
    return y if threshold >= 20 else ops.where(x * beta > threshold, x, y)


@aten("threshold.default")
def threshold(x: Tensor, threshold: float, value: float) -> Tensor:
    return ops.where(x > threshold, x, value)


@aten("glu.default")
def gated(x: Tensor, dim: int = -1) -> Tensor:
    half = x.shape[dim] // 2
    before = (slice(None),) * (dim % x.ndim)
    return x[(*before, slice(half))] * ops.sigmoid(x[(*before, slice(half, None))])


@aten("prelu.default")
def prelu(x: Tensor, weight: Tensor) -> Tensor:
    return ops.prelu(x, ops.reshape(weight, (weight.size,)))


@aten("native_dropout.default", random=True)
def dropout(x: Tensor, p: float, train: bool, draw: Callable[[tuple[int, ...]], Tensor]) -> Any:
    """(y, mask): with probability p an element is 0, else divided by 1 - p."""
    kept = draw(x.shape) >= p
    return (ops.where(kept, x * (1 / (1 - p)), 0.0), kept) if train and p > 0 else (x, None)


@aten("bernoulli.p", random=True)
def bernoulli(like: Tensor, p: float, draw: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
    """1 with probability p, else 0."""
    return ops.cast(draw(like.shape) >= 1 - p, like.dtype)
