"""What every executor promises.

`compile(outputs, inputs, updates) -> Program`; `program(feeds)` computes the outputs from the fed inputs and the
parameters' values, then sets every updated parameter. All new values are computed from the old ones before any is set.
What is NaN in the reference is NaN on every executor, what is infinite is infinite or NaN; but the product of such a weight
with the zeros of a convolution's padding may be left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from pellucid.changes import Held
from pellucid.errors import (
    DTypeError,
    GraphError,
    NonFiniteError,
    OutOfMemoryError,
    PellucidError,
    ShapeError,
    suggest,
)
from pellucid.graph import Graph, Input, Parameter, Tensor, tensors_of, unique_names
from pellucid.memory import lack, machine_memory
from pellucid.op import Array, as_array, converted
from pellucid.ops.ranges import Within
from pellucid.ops.selection import Counted
from pellucid.parameter import accesses
from pellucid.text import human_bytes

TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "bfloat16": 0.2}
"""Largest error of an executor against the reference, relative to the largest element, per element type.

A bfloat16 has 8 bits, so each stored image is off by up to 2^-9; over the layers of the tests' random networks gradients
end up off by 0.1 to 1 %, and by up to 16 % where a normalization divides by the spread of a handful of elements.
"""

Feeds = Mapping[Tensor, Any] | Mapping[str, Any] | Mapping[Tensor | str, Any]


class ExecutorError(PellucidError, RuntimeError):
    """An executor cannot be used here; the message says what is missing."""


class ProgramMemoryError(ExecutorError, OutOfMemoryError):
    """A program takes more memory than the machine has, or than is free."""


class Program(Protocol):
    """A graph made ready to run."""

    graph: Graph
    fallbacks: tuple[str, ...]
    """Ops that run through their reference kernel."""

    def __call__(self, feeds: Feeds = {}) -> tuple[Array, ...]:  # noqa: B006
        """Values of the outputs, in their order."""
        ...


class Fitting:
    """A context in which a graph is computed: the raw `MemoryError` becomes one that names the largest tensors."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def require(self, needed: int) -> None:
        """Raise `ProgramMemoryError` where a run would need more bytes than the machine has."""
        if needed > machine_memory():
            raise self._error(needed)

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, MemoryError) and not isinstance(error, OutOfMemoryError):
            raise self._error(max((n.nbytes for n in self._graph.nodes), default=0)) from error

    def _error(self, needed: int) -> ProgramMemoryError:
        largest = sorted(self._graph.nodes, key=lambda n: -n.nbytes)[:3]
        named = "; ".join(
            f"{self._graph.names[n]!r:.80} {n.dtype}{list(n.shape)}, {human_bytes(n.nbytes)}" for n in largest
        )
        return ProgramMemoryError(
            f"{lack('this', needed)}; the largest tensors are {named}; give it smaller or fewer pictures"
        )


class Signature:
    """What a program takes and gives: checks feeds, applies updates. Shared by the executors.

    A call computes within `computing`: others may read the parameters meanwhile and, if it has updates, none may change
    them. New values are set within `setting`, while nobody reads.
    """

    def __init__(
        self, outputs: Sequence[Tensor], inputs: Sequence[Tensor], updates: Mapping[Parameter, Tensor], guard: bool
    ) -> None:
        outputs, inputs = tensors_of("outputs", outputs), tensors_of("inputs", inputs)
        if not isinstance(updates, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise GraphError(f"updates are new values by parameter, {{w: tensor}}, got {type(updates).__name__}")
        tensors_of("updates", updates.values())
        for parameter, value in updates.items():
            if not isinstance(parameter, Parameter):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise GraphError(f"only parameters can be updated, got {parameter!r}")
            if (parameter.shape, parameter.dtype) != (value.shape, value.dtype):
                raise ShapeError(
                    f"{parameter.name}: its update is {value.dtype}{value.shape}, expected {parameter.dtype}{parameter.shape}"
                )
        self._asked = outputs
        self.outputs = (*outputs, *(o.inputs[1] for o in outputs if isinstance(o.op, Counted)))
        """What executors compute: what is asked for, and how much there is of outputs whose length depends on values."""
        self.updates = dict(updates)
        self.guard = guard
        self.graph = Graph((*self.outputs, *self.updates.values()))
        self.inputs = self.graph.inputs
        self._ranges = [n for n in self.graph.nodes if isinstance(n.op, Within) and isinstance(n.inputs[0].op, Input)]
        self._by_name = {name: i for i, name in unique_names(self.inputs).items()}
        self._accepted = {**{i.name: i for i in inputs}, **self._by_name}
        declared = set(inputs)
        missing = [i.name for i in self.inputs if inputs and i not in declared]
        if missing:
            raise GraphError(f"the outputs depend on inputs that were not declared: {', '.join(missing)}")
        self.fitting = Fitting(self.graph)
        self.fitting.require(max((n.nbytes for n in self.graph.nodes), default=0))
        held = accesses({*self.graph.parameters, *self.updates})
        if self.updates:
            self.computing = Held([a.turn.acquire for a in held], [a.turn.release for a in held])
            self.setting = Held([a.close for a in held], [a.open for a in held])
        else:
            self.computing = Held([a.enter for a in held], [a.leave for a in held])
            self.setting = Held([], [])

    def check(self, feeds: Feeds) -> dict[Tensor, Array]:
        """Feeds by tensor, each with the declared shape and element type, indices and labels in their range; errors name what does not fit."""
        if not isinstance(feeds, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise GraphError(f"feeds are arrays by input, {{x: array}} or {{'x': array}}, got {type(feeds).__name__}")
        fed: dict[Tensor, Array] = {}
        for key, value in feeds.items():
            tensor = self._accepted.get(key) if isinstance(key, str) else key
            if tensor is None:
                raise GraphError(
                    f"no input is named {key!r}{suggest(str(key), self._accepted)}; inputs: {', '.join(self._accepted) or 'none'}"
                )
            if not isinstance(tensor.op, Input):
                raise GraphError(f"{tensor.name}: only inputs can be fed, this is the output of {tensor.op.kind}")
            fed[tensor] = _as_input(tensor, value)
        missing = [name for name, tensor in self._by_name.items() if tensor not in fed]
        if missing:
            raise GraphError(f"inputs not fed: {', '.join(missing)}")
        for node in self._ranges:
            node.op.require(node, self.graph.names[node], fed[node.inputs[0]])
        return fed

    def given(self, values: Sequence[Array]) -> tuple[Array, ...]:
        """Of the values of `outputs` those that were asked for, without the places that are not used."""
        counts = iter(values[len(self._asked) :])
        pairs = zip(self._asked, values, strict=False)
        return tuple(o.op.cut(value, next(counts)) if isinstance(o.op, Counted) else value for o, value in pairs)

    def set_parameters(self, values: Mapping[Parameter, Array]) -> None:
        """Give parameters their new values, all of which are computed."""
        with self.setting:
            for parameter, new in values.items():
                parameter.storage()[...] = new
                parameter.changed()
        self.require_finite_parameters()

    def require_finite(self, values: Sequence[Array]) -> None:
        """Raise `NonFiniteError` when guarding and a floating output holds a NaN or an infinity."""
        if not self.guard:
            return
        for output, value in zip(self.outputs, values, strict=True):
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise NonFiniteError(f"{self.graph.names[output]}: not finite; no parameter was changed")

    def require_finite_parameters(self) -> None:
        """Raise `NonFiniteError` when guarding and a parameter was given a value with a NaN or an infinity."""
        for parameter in self.updates if self.guard else ():
            if what := not_finite(parameter.value):
                raise NonFiniteError(f"{parameter.name}: became {what}")


def _as_input(tensor: Tensor, value: Any) -> Array:
    array = as_array(tensor.name, value)
    if array.shape != tensor.shape:
        raise ShapeError(f"{tensor.name}: expected shape {tensor.shape}, got {array.shape}")
    if not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
        raise DTypeError(
            f"{tensor.name}: expected {tensor.dtype}, got {array.dtype}; convert it with .astype({tensor.dtype!r})"
        )
    return converted(tensor.name, array, tensor.dtype)


def not_finite(value: Array) -> str:
    """What a value holds that is no finite number, in words: "NaN in 3 of 10 elements"; "" where all are."""
    bad = value.size - int(np.isfinite(value).sum()) if value.dtype.kind == "f" else 0
    return f"{'NaN' if np.isnan(value).any() else 'infinity'} in {bad} of {value.size} elements" if bad else ""
