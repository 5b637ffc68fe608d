"""How a gate's value changes with each of its inputs: local derivatives as formulas, for people to read."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.formulas.expression import number_of
from pellucid.graph import Tensor

_ONE = {
    "absolute": "1 where x > 0, -1 where x < 0, 0 at 0",
    "cos": "-sin(x)",
    "exp": "exp(x)",
    "log": "1/x",
    "relu": "1 where x > 0, else 0",
    "sigmoid": "sigmoid(x) * (1 - sigmoid(x))",
    "sin": "cos(x)",
    "softplus": "sigmoid(x)",
    "sqrt": "1/(2 * sqrt(x))",
    "tanh": "1 - tanh(x)**2",
}
_TWO = {
    "add": ("1", "1"),
    "subtract": ("1", "-1"),
    "multiply": ("{y}", "{x}"),
    "divide": ("1/{y}", "-{x}/{y}**2"),
    "power": ("{y} * {x}**({y} - 1)", "{x}**{y} * log({x})"),
    "maximum": ("1 where {x} is the larger, else 0", "1 where {y} is the larger, else 0"),
    "minimum": ("1 where {x} is the smaller, else 0", "1 where {y} is the smaller, else 0"),
}


def rule_of(gate: Tensor, place: int) -> str:
    """The derivative of a gate with regard to its input `place`, of which `x` is the first and `y` the second.

    A number beside the gate stands in it as itself: of `x**2` it is `2 * x**(2 - 1)`. "" for a gate without a rule.
    """
    kind = gate.op.kind
    if kind in _ONE:
        return _ONE[kind]
    return _TWO[kind][place].format(**dict(zip("xy", _names(gate.inputs), strict=True))) if kind in _TWO else ""


def _names(inputs: Sequence[Tensor]) -> list[str]:
    """`x` and `y`; `x` for the only one that is no number."""
    numbers = [number_of(one) for one in inputs]
    letters = iter("xy")
    return [next(letters) if number is None else f"{number:g}" for number in numbers]
