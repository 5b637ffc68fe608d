"""Arithmetic, mathematical functions, comparisons and logic, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.graph import Constant, Tensor, constant
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.interop.onnx_reader.values import INTEGERS, dtype_of, element_name
from pellucid.interop.onnx_reader.whole import in_whole
from pellucid.interop.roots import is_length, root, selected

_FUNCTIONS: dict[str, Callable[[Any], Tensor]] = {
    "Abs": ops.absolute,
    "Acos": ops.acos,
    "Acosh": ops.acosh,
    "Asin": ops.asin,
    "Asinh": ops.asinh,
    "Atan": ops.atan,
    "Atanh": ops.atanh,
    "Ceil": ops.ceil,
    "Cos": ops.cos,
    "Cosh": ops.cosh,
    "Erf": ops.erf,
    "Exp": ops.exp,
    "Floor": ops.floor,
    "Log": ops.log,
    "Neg": ops.negative,
    "Round": ops.round,
    "Sign": ops.sign,
    "Sin": ops.sin,
    "Sinh": ops.sinh,
    "Sqrt": ops.sqrt,
    "Tan": ops.tan,
}


@operator(*_FUNCTIONS)
def function(call: Call, x: Tensor) -> Tensor:
    """A function of one argument"""
    if call.node.kind == "Sqrt" and is_length(x):
        return root(x)
    return _FUNCTIONS[call.node.kind](x)


@operator("Reciprocal")
def reciprocal(call: Call, x: Tensor) -> Tensor:
    """1 / x"""
    return 1.0 / x


_PAIRS: dict[str, Callable[[Any, Any], Tensor]] = {
    "Add": ops.add,
    "Sub": ops.subtract,
    "Mul": ops.multiply,
    "Less": ops.less,
    "LessOrEqual": ops.less_equal,
    "Greater": ops.greater,
    "GreaterOrEqual": ops.greater_equal,
    "Equal": ops.equal,
    "And": ops.multiply,
    "Or": ops.maximum,
    "Xor": ops.not_equal,
}


@operator(*_PAIRS)
def pair(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """A function of two arguments that broadcast"""
    return _PAIRS[call.node.kind](a, _aligned(call, a, b))


def _aligned(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """Operator set 6 aligns b's axes with those of a from `axis` on, not with the last."""
    axis = call["axis"]
    if axis is None or not call["broadcast"]:
        return b
    return ops.reshape(b, (*b.shape, *(1,) * (a.ndim - b.ndim - axis)))


@operator("Not")
def logical_not(call: Call, x: Tensor) -> Tensor:
    """True where x is false"""
    return ops.equal(x, constant(np.array(False)))


@operator("Div")
def divide(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """a / b; whole numbers without what stands behind the point"""
    b = _aligned(call, a, b)
    return ops.divide(a, b) if a.dtype.startswith("float") else ops.whole_divide(a, b)


@operator("Mod")
def modulo(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """What a division leaves, with the sign of b; with fmod=1 that of a"""
    if not call["fmod"]:
        return ops.remainder(a, b)
    rest = ops.remainder(ops.absolute(a), ops.absolute(b))
    return ops.where(ops.less(a, 0), -rest, rest)


@operator("Pow")
def power(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """a ** b, in the type of a"""
    if not a.dtype.startswith("float"):
        return ops.cast(ops.power(ops.cast(a, "float64"), ops.cast(b, "float64")), a.dtype)
    b = _aligned(call, a, ops.cast(b, a.dtype))
    if isinstance(b.op, Constant) and b.size == 1 and float(b.op.value.reshape(())) == 2 and b.ndim <= a.ndim:
        return a * a
    steep = isinstance(b.op, Constant) and bool((b.op.value < 1).all()) and is_length(a)
    return ops.power(selected(a) if steep else a, b)


_MANY: dict[str, Callable[[Any, Any], Tensor]] = {
    "Sum": ops.add,
    "Mean": ops.add,
    "Max": ops.maximum,
    "Min": ops.minimum,
}


@operator(*_MANY)
def many(call: Call, *values: Tensor) -> Tensor:
    """Sum, mean, maximum or minimum of any number of arguments that broadcast"""
    total = values[0]
    for value in values[1:]:
        total = _MANY[call.node.kind](total, value)
    return total * (1 / len(values)) if call.node.kind == "Mean" and len(values) > 1 else total


@operator("Clip", settings=(1, 2))
def clip(call: Call, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """x kept within [low, high]"""
    bounds = [low, high]
    for number, attribute in enumerate(("min", "max")):
        if bounds[number] is None and call[attribute] is not None:
            bounds[number] = constant(call[attribute], x.dtype)
    low, high = bounds
    if x.dtype.startswith("float") and all(b is None or isinstance(b.op, Constant) for b in bounds):
        ends = [math.inf if b is None else float(call.values("a bound", b).reshape(())) for b in bounds]
        least = -math.inf if low is None else ends[0]
        relu6 = (least, ends[1]) == (0.0, 6.0)  # ONNX has no other word for it
        clipped = least <= ends[1]
        return ops.clip(x, least, ends[1], relu6) if clipped else ops.minimum(ops.maximum(x, least), ends[1])
    x = x if low is None else ops.maximum(x, low)
    return x if high is None else ops.minimum(x, high)


@operator("Where")
def where(call: Call, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """a where the condition holds, else b"""
    return ops.where(condition, a, b)


@operator("IsNaN")
def is_nan(call: Call, x: Tensor) -> Tensor:
    """Whether x is not a number"""
    return ops.not_equal(x, x)


@operator("IsInf")
def is_infinite(call: Call, x: Tensor) -> Tensor:
    """Whether x is an infinity, of the signs asked for"""
    both = call["detect_positive"], call["detect_negative"]
    wanted = {(1, 1): ops.absolute, (1, 0): lambda v: v, (0, 1): ops.negative}
    if both not in wanted:
        return ops.multiply(ops.not_equal(x, x), ops.equal(x, x))
    return ops.equal(wanted[both](x), math.inf)


@operator("Cast", whole=True)
def cast(call: Call, x: Tensor) -> Tensor:
    """x as another element type"""
    return to_element(call, x, element_name(call["to"]))


@operator("CastLike")
def cast_like(call: Call, x: Tensor, like: Tensor) -> Tensor:
    """x as the element type of another tensor"""
    known = call.elements[1] if len(call.elements) > 1 else ""
    return to_element(call, x, known) if known else ops.cast(x, like.dtype)


def to_element(call: Call, x: Tensor, element: str) -> Tensor:
    """x as ONNX's type `element`: whole numbers wrap around at its ends; half floats stay as they are."""
    dtype = dtype_of(str(call.node), element)
    if element not in INTEGERS:
        return ops.cast(x, dtype)
    y = in_whole(x, call.elements[0]) if call.elements else x
    y = ops.cast(y, dtype)
    if element in ("INT64", "UINT64") or x.dtype == "bool":
        return y
    low, high = INTEGERS[element]
    return ops.remainder(y - low, high - low + 1) + low


@operator("Identity")
def identity(call: Call, x: Tensor) -> Tensor:
    """x"""
    return x


@operator("MatMul")
def matmul(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """a @ b"""
    return ops.matmul(a, b)


@operator("Gemm", weights=(1, 2))
def gemm(call: Call, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """alpha * A B + beta * C, with A and B transposed if asked"""
    alpha, beta = float(call["alpha"]), float(call["beta"])
    a = ops.transpose(a) if call["transA"] else a
    if call["transB"] and alpha == 1 and (c is None or (c.ndim == 1 and beta == 1)) and a.dtype.startswith("float"):
        return ops.linear(a, b, c)
    y = ops.matmul(a, ops.transpose(b) if call["transB"] else b)
    y = y if alpha == 1 else _scaled(y, alpha)
    return y if c is None else y + (c if beta == 1 else _scaled(c, beta))


def _scaled(x: Tensor, factor: float) -> Tensor:
    return x * (factor if x.dtype.startswith("float") else int(factor))


ELEMENTWISE = (
    *_FUNCTIONS, *_PAIRS, *_MANY, "Reciprocal", "Not", "Div", "Mod", "Pow", "Clip", "Where", "IsNaN", "IsInf", "Cast", "CastLike",
    "Identity",
)  # fmt: skip
"""Operators of this file that work on each element by itself."""
