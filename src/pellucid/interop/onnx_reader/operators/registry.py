"""The register of handlers: how an ONNX operator, from some version of the operator set on, becomes graph nodes."""

from __future__ import annotations

import functools
import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from pellucid.budget import take
from pellucid.graph import Constant, Input, Tensor, constant, topological
from pellucid.interop.errors import NotConstantError, OnnxError, how_to_fix
from pellucid.interop.onnx_reader.model import Node, Typed
from pellucid.op import Array

H = TypeVar("H", bound=Callable[..., Any])

MOST_NUMBERS = 2**16
"""Numbers in an input that names axes, sizes or parts."""


@dataclass(frozen=True)
class Handler:
    """`function(call, *inputs)` gives the output tensors of an operator, from operator set `since` on.

    `settings` are the numbers of inputs that are no weights, since they shape the graph or scale quantized numbers: arrays
    of the file stay constants there. `weights` are the numbers of inputs that become parameters even if the file computes
    them from other numbers, as where weights are quantized. A handler that takes `whole` numbers takes them as int64 and,
    where their type is one that float32 holds exactly, as float32. `defaults` are those of attributes.
    """

    function: Callable[..., Any]
    since: int
    settings: tuple[int, ...]
    weights: tuple[int, ...]
    whole: bool
    defaults: Mapping[str, Any]

    def require(self, call: Call, inputs: Sequence[Tensor | None]) -> None:
        """Raise for an input that is left out and must not be: those that the function takes as a `Tensor` alone."""
        for number, (name, many) in self._needed.items():
            for place in range(number, len(inputs)) if many else (number,):
                if place >= len(inputs) or inputs[place] is None:
                    raise call.error(f"its input {place} ({name}) must not be left out")

    @cached_property
    def _needed(self) -> dict[int, tuple[str, bool]]:
        """Inputs by number that must be there: what the function calls them, and whether any number of them may follow."""
        taken = [*inspect.signature(self.function).parameters.values()][1:]
        each = enumerate((p.name, p.kind is p.VAR_POSITIONAL, p.annotation) for p in taken)
        return {number: (name, many) for number, (name, many, kind) in each if kind == "Tensor"}


_HANDLERS: dict[tuple[str, str], list[Handler]] = {}

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""


def operator(
    *names: str,
    domain: str = "",
    since: int = 1,
    settings: tuple[int, ...] = (),
    weights: tuple[int, ...] = (),
    whole: bool = False,
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> Callable[[H], H]:
    """Register a function as the handler of the operators called `names`."""

    def register(function: H) -> H:
        for name in names:
            handler = Handler(function, since, settings, weights, whole, defaults)
            _HANDLERS.setdefault((domain, name), []).append(handler)
        return function

    return register


def find_handler(node: Node) -> Handler | None:
    """The newest handler of the node's operator that its operator set knows, if there is one."""
    _load()
    known = [h for h in _HANDLERS.get((node.domain, node.kind), []) if h.since <= max(1, node.opset)]
    return max(known, key=lambda h: h.since, default=None)


def handled(domain: str = "") -> list[str]:
    """Operators of a domain that have a handler, sorted."""
    _load()
    return sorted(name for own, name in _HANDLERS if own == domain)


@functools.cache
def _load() -> None:
    package = importlib.import_module("pellucid.interop.onnx_reader.operators")
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        importlib.import_module(f"{package.__name__}.{info.name}")


@dataclass(frozen=True)
class Call:
    """What a handler knows about its node besides the input tensors."""

    node: Node
    elements: tuple[str, ...]
    """ONNX's element type of each input, "" where the file does not state it."""
    training: bool
    number: int
    """Position of the node in the model, by which its random numbers are told from those of others."""
    made: dict[int, str] = field(default_factory=dict[int, str])
    """ONNX's element type of outputs, by number, where the handler says it."""

    def __getitem__(self, attribute: str) -> Any:
        """An attribute that the operator requires or that has a default; None where neither holds."""
        value = self.node.attributes.get(attribute)
        return value.array if isinstance(value, Typed) else value

    def has_output(self, number: int) -> bool:
        """Whether output `number` is asked for."""
        return number < len(self.node.outputs) and bool(self.node.outputs[number])

    def error(self, text: str) -> OnnxError:
        """The error for something that the node asks for."""
        return OnnxError(f"{self.node}: {text}")

    def values(self, what: str, tensor: Tensor) -> Array:
        """The value of a constant input."""
        if not isinstance(tensor.op, Constant):
            sources = tuple(n.name for n in topological([tensor]) if isinstance(n.op, Input))
            raise NotConstantError(
                f"{self.node}: {what} must be known when the graph is built, but it depends on "
                f"{', '.join(sources) or 'weights'}{how_to_fix(sources)}",
                sources,
            )
        return tensor.op.value

    def integers(self, what: str, tensor: Tensor) -> list[int]:
        """The numbers in a constant input, of which there are as few as axes or parts."""
        self._limit(what, tensor.size)
        return [int(v) for v in self.values(what, tensor).reshape(-1)]

    def axes(self, attribute: str, tensor: Tensor | None) -> list[int] | None:
        """Numbers that older operator sets have as attribute, newer ones as an input; None where left out."""
        if tensor is not None:
            return self.integers(attribute, tensor)
        value = self[attribute]
        self._limit(attribute, 0 if value is None else len(value))
        return None if value is None else list(value)

    def _limit(self, what: str, count: int) -> None:
        if count > MOST_NUMBERS:
            raise self.error(f"{what} has {count} numbers; the limit is {MOST_NUMBERS}")

    def from_front(self, axis: int, ndim: int) -> int:
        """An axis counted from the front of `ndim` axes."""
        if not -ndim <= axis < ndim:
            raise self.error(f"axis {axis} does not exist among {ndim} axes")
        return axis % ndim

    def make(self, shape: tuple[int, ...], fill: Callable[[], Array]) -> Tensor:
        """A constant that a handler computes, with up to five arrays of its size on the way, within the budget."""
        take(passing=5 * 8 * math.prod(shape))
        return constant(np.asarray(fill()))
