"""What is certain of a formula over a box: bounds of its value and derivatives by interval arithmetic, rounded outward.

Every quantity is a pair (lowest, highest) of arrays with one element for each box (Moore 1966, Interval Analysis).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.formulas.expression import number_of
from pellucid.graph import Constant, Graph, Tensor
from pellucid.op import Array, Op
from pellucid.ops.activation import Relu, Sigmoid, Softplus, Tanh
from pellucid.ops.comparison import Maximum, Minimum
from pellucid.ops.elementwise import Absolute, Add, Divide, Exp, Log, Multiply, Power, Sqrt, Subtract
from pellucid.ops.trigonometric import Cos, Sin

Interval = tuple[Array, Array]
Rule = Callable[[Interval], tuple[Interval, Interval]]
"""From the interval of an argument to those of a function's value and of its derivative."""


@dataclass(frozen=True)
class Enclosure:
    """Where a value lies, and its derivative in each variable; kinks count with the derivatives of both sides."""

    value: Interval
    derivatives: tuple[Interval, ...]


def enclose(output: Tensor, inputs: Sequence[Tensor], boxes: Sequence[Interval]) -> Enclosure:
    """Bounds of `output` and its derivatives, where each of `inputs` lies in its interval of `boxes`."""
    found: dict[Tensor, Enclosure] = {}
    zeros = np.zeros_like(boxes[0][0])
    none: Interval = (zeros, zeros)
    for number, (variable, box) in enumerate(zip(inputs, boxes, strict=True)):
        one: Interval = (zeros + 1, zeros + 1)
        found[variable] = Enclosure(box, tuple(one if k == number else none for k in range(len(inputs))))
    with np.errstate(all="ignore"):
        for node in Graph([output]).nodes:
            if node in found:
                continue
            if isinstance(node.op, Constant):
                value = zeros + float(node.op.value)
                found[node] = Enclosure((value, value), (none,) * len(inputs))
            else:
                found[node] = _node(node, [found[i] for i in node.inputs])
    return found[output]


def _node(node: Tensor, given: list[Enclosure]) -> Enclosure:
    op = node.op
    if (rule := _RULES.get(type(op))) is not None:
        return _through(rule, given[0])
    if isinstance(op, Power):
        return _power(given[0], given[1], number_of(node.inputs[1]))
    return _BINARY[type(op)](*given)


def _through(rule: Rule, inner: Enclosure) -> Enclosure:
    """The chain rule."""
    value, derivative = rule(inner.value)
    return Enclosure(_outward(value), tuple(_times(derivative, s) for s in inner.derivatives))


def _outward(interval: Interval) -> Interval:
    """The interval, widened by more than the operation that made it can be off by rounding."""
    low, high = (np.where(np.isnan(edge), end, edge) for edge, end in zip(interval, (-np.inf, np.inf), strict=True))
    step = 4 * np.finfo(np.float64).eps
    return low - step * np.abs(low) - 1e-300, high + step * np.abs(high) + 1e-300


def _plus(a: Interval, b: Interval) -> Interval:
    return _outward((a[0] + b[0], a[1] + b[1]))


def _minus(a: Interval, b: Interval) -> Interval:
    return _outward((a[0] - b[1], a[1] - b[0]))


def _times(a: Interval, b: Interval) -> Interval:
    ends = np.stack([x * y for x in a for y in b])
    ends[np.isnan(ends)] = 0  # 0 times infinity: a factor that is 0 makes any number 0
    return _outward((ends.min(0), ends.max(0)))


def _inverse(a: Interval) -> Interval:
    holds_zero = (a[0] <= 0) & (a[1] >= 0)
    return _outward((np.where(holds_zero, -np.inf, 1 / a[1]), np.where(holds_zero, np.inf, 1 / a[0])))


def _add(a: Enclosure, b: Enclosure) -> Enclosure:
    return Enclosure(
        _plus(a.value, b.value), tuple(_plus(s, t) for s, t in zip(a.derivatives, b.derivatives, strict=True))
    )


def _subtract(a: Enclosure, b: Enclosure) -> Enclosure:
    return Enclosure(
        _minus(a.value, b.value), tuple(_minus(s, t) for s, t in zip(a.derivatives, b.derivatives, strict=True))
    )


def _multiply(a: Enclosure, b: Enclosure) -> Enclosure:
    slopes = (_plus(_times(s, b.value), _times(a.value, t)) for s, t in zip(a.derivatives, b.derivatives, strict=True))
    return Enclosure(_times(a.value, b.value), tuple(slopes))


def _divide(a: Enclosure, b: Enclosure) -> Enclosure:
    """(a / b)' = (a' - (a / b) b') / b"""
    inverse = _inverse(b.value)
    value = _times(a.value, inverse)
    slopes = (_times(_minus(s, _times(value, t)), inverse) for s, t in zip(a.derivatives, b.derivatives, strict=True))
    return Enclosure(value, tuple(slopes))


def _maximum(a: Enclosure, b: Enclosure) -> Enclosure:
    value = (np.maximum(a.value[0], b.value[0]), np.maximum(a.value[1], b.value[1]))
    return Enclosure(value, _either(a, b, a.value[0] > b.value[1], b.value[0] > a.value[1]))


def _minimum(a: Enclosure, b: Enclosure) -> Enclosure:
    value = (np.minimum(a.value[0], b.value[0]), np.minimum(a.value[1], b.value[1]))
    return Enclosure(value, _either(a, b, a.value[1] < b.value[0], b.value[1] < a.value[0]))


def _either(a: Enclosure, b: Enclosure, surely_a: Array, surely_b: Array) -> tuple[Interval, ...]:
    """The derivatives of a where it surely counts, of b where that does, else of both."""
    return tuple(
        (
            np.where(surely_a, s[0], np.where(surely_b, t[0], np.minimum(s[0], t[0]))),
            np.where(surely_a, s[1], np.where(surely_b, t[1], np.maximum(s[1], t[1]))),
        )
        for s, t in zip(a.derivatives, b.derivatives, strict=True)
    )


def _power(base: Enclosure, exponent: Enclosure, number: float | None) -> Enclosure:
    if number is None:  # a ** b = exp(b log a)
        return _through(_RULES[Exp], _multiply(exponent, _through(_RULES[Log], base)))

    def rule(x: Interval) -> tuple[Interval, Interval]:
        slope = _monomial(x, number - 1)
        return _monomial(x, number), (number * slope[0], number * slope[1]) if number >= 0 else (
            number * slope[1],
            number * slope[0],
        )

    return _through(rule, base)


def _monomial(x: Interval, exponent: float) -> Interval:
    """x to a fixed power."""
    if exponent < 0:
        return _inverse(_monomial(x, -exponent))
    if exponent == 0:
        return np.ones_like(x[0]), np.ones_like(x[0])
    ends = np.stack([np.power(edge, exponent) for edge in x])
    low, high = ends.min(0), ends.max(0)
    if exponent % 2 == 0:
        low = np.where((x[0] <= 0) & (x[1] >= 0), 0, low)
    return _outward((low, high))


def _increasing(function: Callable[[Array], Array], derivative: Callable[[Interval], Interval]) -> Rule:
    return lambda x: ((function(x[0]), function(x[1])), _outward(derivative(x)))


def _peaked(function: Callable[[Array], Array]) -> Callable[[Interval], Interval]:
    """The range of a function that rises up to 0 and falls from there."""

    def over(x: Interval) -> Interval:
        ends = function(x[0]), function(x[1])
        top = np.where((x[0] <= 0) & (x[1] >= 0), function(np.zeros_like(x[0])), np.maximum(*ends))
        return np.minimum(*ends), top

    return over


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _sine(x: Interval, ahead: float = 0.0) -> Interval:
    """The range of sin(x + ahead)."""
    a, b = x[0] + ahead, x[1] + ahead
    ends = np.sin(a), np.sin(b)
    slack = 1e-12 * (1 + np.abs(a) + np.abs(b))  # by which the place of a crest may be off

    def reaches(phase: float) -> Array:
        turn = 2 * math.pi
        return np.floor((b + slack - phase) / turn) >= np.ceil((a - slack - phase) / turn)

    low = np.where(reaches(-math.pi / 2), -1.0, np.minimum(*ends))
    high = np.where(reaches(math.pi / 2), 1.0, np.maximum(*ends))
    return low - 1e-15 * np.maximum(1, np.abs(a)), high + 1e-15 * np.maximum(1, np.abs(b))


def _absolute(x: Interval) -> tuple[Interval, Interval]:
    ends = np.abs(x[0]), np.abs(x[1])
    low = np.where((x[0] <= 0) & (x[1] >= 0), 0, np.minimum(*ends))
    return (low, np.maximum(*ends)), (np.where(x[0] >= 0, 1.0, -1.0), np.where(x[1] <= 0, -1.0, 1.0))


def _cosine(x: Interval) -> tuple[Interval, Interval]:
    low, high = _sine(x)
    return _sine(x, math.pi / 2), (-high, -low)


_RULES: dict[type[Op], Rule] = {
    Absolute: _absolute,
    Cos: _cosine,
    Exp: _increasing(np.exp, lambda x: (np.exp(x[0]), np.exp(x[1]))),
    Log: _increasing(np.log, _inverse),
    Relu: _increasing(lambda x: np.maximum(x, 0), lambda x: ((x[0] > 0) * 1.0, (x[1] > 0) * 1.0)),
    Sigmoid: _increasing(_sigmoid, _peaked(lambda x: _sigmoid(x) * _sigmoid(-x))),
    Sin: lambda x: (_sine(x), _sine(x, math.pi / 2)),
    Softplus: _increasing(lambda x: np.logaddexp(0, x), lambda x: (_sigmoid(x[0]), _sigmoid(x[1]))),
    Sqrt: _increasing(np.sqrt, lambda x: (0.5 / np.sqrt(x[1]), np.where(x[0] > 0, 0.5 / np.sqrt(x[0]), np.inf))),
    Tanh: _increasing(np.tanh, _peaked(lambda x: 4 * _sigmoid(2 * x) * _sigmoid(-2 * x))),
}
_BINARY: dict[type[Op], Any] = {
    Add: _add,
    Divide: _divide,
    Maximum: _maximum,
    Minimum: _minimum,
    Multiply: _multiply,
    Subtract: _subtract,
}
