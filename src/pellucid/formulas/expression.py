"""A formula typed as text becomes a graph, gate by gate. A parser over a whitelist: nothing is ever evaluated as code."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pellucid import ops
from pellucid.errors import PellucidError, suggest
from pellucid.graph import Constant, Tensor, constant, input
from pellucid.op import Array

MAX_LENGTH, MAX_DEPTH, MAX_TOKENS = 2000, 60, 500
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "abs": ops.absolute,
    "cos": ops.cos,
    "exp": ops.exp,
    "log": ops.log,
    "max": ops.maximum,
    "min": ops.minimum,
    "relu": ops.relu,
    "sigmoid": ops.sigmoid,
    "sin": ops.sin,
    "softplus": ops.softplus,
    "sqrt": ops.sqrt,
    "tanh": ops.tanh,
}
_TWO = ("max", "min")
_TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|(\*\*|[-+*/^(),]))", re.ASCII
)


class ExpressionError(PellucidError, ValueError):
    """A formula that cannot be read; the message shows where."""


@dataclass(frozen=True)
class Expression:
    """A formula as a graph: `output`, and for each variable its input tensor and its value."""

    text: str
    output: Tensor
    inputs: Mapping[str, Tensor]
    values: Mapping[str, Array]

    @property
    def feeds(self) -> dict[Tensor, Array]:
        """The values as a program wants them."""
        return {self.inputs[name]: value for name, value in self.values.items()}


def expression(text: str, /, **values: float | Array) -> Expression:
    """The graph of a formula in float64: `pl.expression("w*x + b", w=2, x=3, b=1)`.

    Numbers, the names given as keywords, + - * / ** (or ^), parentheses and abs cos exp log max min relu sigmoid sin
    softplus sqrt tanh. A minus sign is the gate `*-1`; a number beside a gate is part of it (`+1`, `1/x`).
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the formula has {len(text)} characters, at most {MAX_LENGTH} are read")
    arrays: dict[str, Array] = {}
    for name, value in values.items():
        try:
            arrays[name] = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ExpressionError(f"{name}: must be a number, got {value!r}") from error
    inputs = {name: input(value.shape, "float64", name) for name, value in arrays.items()}
    parser = _Parser(text, inputs)
    output = parser.parse()
    unused = sorted(set(inputs) - parser.used)
    if unused:
        raise ExpressionError(f"values given for {', '.join(unused)}, which the formula does not use")
    return Expression(text, _tensor(output), inputs, arrays)


def names_in(text: str) -> list[str]:
    """The variables of a formula, in the order in which they come."""
    found = (match[2] for match in _TOKEN.finditer(text[:MAX_LENGTH]) if match[2])
    return list(dict.fromkeys(name for name in found if name not in FUNCTIONS))


_Value = Tensor | float


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


class _Parser:
    """Precedence climbing: sums of products of signed powers of atoms. Numbers stay numbers until they meet a tensor."""

    def __init__(self, text: str, inputs: Mapping[str, Tensor]) -> None:
        self.text, self.inputs = text, inputs
        self.used: set[str] = set()
        self.tokens = self._tokenize()
        self.position = 0
        self.depth = 0

    def _fail(self, problem: str, at: int) -> ExpressionError:
        start = max(0, at - 30)
        line = self.text[start : at + 30].replace("\n", " ")
        return ExpressionError(f"{problem} at position {at + 1}\n  {line}\n  {' ' * (at - start)}^")

    def _tokenize(self) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while self.text[at:].strip():
            match = _TOKEN.match(self.text, at)
            if match is None:
                bad = at + len(self.text[at:]) - len(self.text[at:].lstrip())
                raise self._fail(f"{self.text[bad]!r} is not part of a formula", bad)
            kind = ("number", "name", "sign")[match.lastindex - 1 if match.lastindex else 0]
            tokens.append(_Token(kind, match[match.lastindex or 0], match.start(match.lastindex or 0)))
            at = match.end()
            if len(tokens) > MAX_TOKENS:
                raise self._fail(f"the formula has more than {MAX_TOKENS} parts", at)
        if not tokens:
            raise ExpressionError("the formula is empty; write for example 'w*x + b'")
        return [*tokens, _Token("end", "", len(self.text))]

    @property
    def token(self) -> _Token:
        return self.tokens[self.position]

    def _take(self, *signs: str) -> _Token | None:
        if self.token.kind == "sign" and self.token.text in signs:
            self.position += 1
            return self.tokens[self.position - 1]
        return None

    def _expect(self, sign: str) -> None:
        if self._take(sign) is None:
            raise self._fail(f"expected {sign!r}, got {self.token.text or 'the end'!r}", self.token.at)

    def parse(self) -> _Value:
        value = self._sum()
        if self.token.kind != "end":
            raise self._fail(f"unexpected {self.token.text!r}", self.token.at)
        return value

    def _sum(self) -> _Value:
        value = self._product()
        while sign := self._take("+", "-"):
            right = self._product()
            value = self._gate(sign, value, right)
        return value

    def _product(self) -> _Value:
        value = self._signed()
        while sign := self._take("*", "/"):
            value = self._gate(sign, value, self._signed())
        return value

    def _signed(self) -> _Value:
        if sign := self._take("-", "+"):
            with _Deeper(self):
                value = self._signed()
            return value if sign.text == "+" else self._negative(sign, value)
        return self._power()

    def _power(self) -> _Value:
        base = self._atom()
        if sign := self._take("**", "^"):
            with _Deeper(self):
                return self._gate(sign, base, self._signed())
        return base

    def _atom(self) -> _Value:
        token = self.token
        if token.kind == "number":
            self.position += 1
            value = float(token.text)
            if not math.isfinite(value):
                raise self._fail(f"the number {token.text} is too large", token.at)
            return value
        if token.kind == "name":
            self.position += 1
            return self._call(token) if self.token.text == "(" else self._variable(token)
        if self._take("("):
            with _Deeper(self):
                value = self._sum()
            self._expect(")")
            return value
        raise self._fail(f"expected a number, a name or '(', got {token.text or 'the end'!r}", token.at)

    def _variable(self, token: _Token) -> Tensor:
        if token.text not in self.inputs:
            hint = suggest(token.text, self.inputs)
            given = ", ".join(self.inputs) or "none"
            raise self._fail(f"no value for {token.text!r}{hint} (given: {given})", token.at)
        self.used.add(token.text)
        return self.inputs[token.text]

    def _call(self, token: _Token) -> _Value:
        if token.text not in FUNCTIONS:
            hint = suggest(token.text, FUNCTIONS)
            raise self._fail(f"unknown function {token.text!r}{hint}; there are: {', '.join(FUNCTIONS)}", token.at)
        self._expect("(")
        arguments: list[_Value] = []
        with _Deeper(self):
            arguments.append(self._sum())
            while self._take(","):
                arguments.append(self._sum())
        self._expect(")")
        wanted = 2 if token.text in _TWO else 1
        if len(arguments) != wanted:
            raise self._fail(f"{token.text} takes {wanted} argument(s), got {len(arguments)}", token.at)
        tensors = [_tensor(a) for a in arguments]
        return FUNCTIONS[token.text](*tensors).named(token.text)

    def _negative(self, sign: _Token, value: _Value) -> _Value:
        return ops.multiply(value, -1.0).named("*-1") if isinstance(value, Tensor) else -value

    def _gate(self, sign: _Token, a: _Value, b: _Value) -> _Value:
        if isinstance(a, float) and isinstance(b, float):
            return self._number(sign, a, b)
        symbol = "**" if sign.text == "^" else sign.text
        node = {"+": ops.add, "-": ops.subtract, "*": ops.multiply, "/": ops.divide, "**": ops.power}[symbol](a, b)
        return node.named(gate_label(node))

    def _number(self, sign: _Token, a: float, b: float) -> float:
        try:
            value = {"+": a + b, "-": a - b, "*": a * b}.get(sign.text)
            if value is None:
                value = a / b if sign.text == "/" else math.pow(a, b)
        except (ZeroDivisionError, OverflowError, ValueError) as error:
            raise self._fail(f"{a:g} {sign.text} {b:g} is not a number ({error})", sign.at) from error
        if not math.isfinite(value):
            raise self._fail(f"{a:g} {sign.text} {b:g} is too large", sign.at)
        return value


class _Deeper:
    """Counts nesting, so that no formula exhausts the stack."""

    def __init__(self, parser: _Parser) -> None:
        self.parser = parser

    def __enter__(self) -> None:
        self.parser.depth += 1
        if self.parser.depth > MAX_DEPTH:
            raise self.parser._fail(f"nested more than {MAX_DEPTH} deep", self.parser.token.at)  # pyright: ignore[reportPrivateUsage]

    def __exit__(self, *exception: object) -> None:
        self.parser.depth -= 1


def _tensor(value: _Value) -> Tensor:
    return value if isinstance(value, Tensor) else constant(value, "float64")


def number_of(tensor: Tensor) -> float | None:
    """The number a constant stands for, or None."""
    return float(tensor.op.value) if isinstance(tensor.op, Constant) and tensor.shape == () else None


SYMBOLS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}


def gate_label(node: Tensor) -> str:
    """How a gate is drawn: `x*y`, `+`, `exp`; with a number in it `*-1`, `+1`, `1/x`, `x**2`."""
    kind = node.op.kind
    if kind not in SYMBOLS:
        return {"relu": "relu", "absolute": "abs", "maximum": "max", "minimum": "min"}.get(kind, kind)
    symbol = SYMBOLS[kind]
    left, right = (number_of(i) for i in node.inputs)
    if left is not None:
        return f"{symbol}{left:g}" if symbol in "+*" else f"{left:g}{symbol}x"
    if right is not None:
        return f"x**{right:g}" if symbol == "**" else f"{symbol}{right:g}"
    return {"+": "+", "*": "x*y", "-": "x-y", "/": "x/y", "**": "x**y"}[symbol]
