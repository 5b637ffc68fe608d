"""What every executor promises, and how one is chosen.

`compile(outputs, inputs, updates) -> Program`; `program(feeds)` computes the outputs from the fed inputs and the
parameters' values, then sets every updated parameter. All new values are computed from the old ones before any is set.
What is NaN in the reference is NaN on every executor, what is infinite is infinite or NaN; but the product of such a weight
with the zeros of a convolution's padding may be left out.
"""

from __future__ import annotations

import copy
import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

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
    unknown,
)
from pellucid.graph import Graph, Input, Parameter, Tensor, unique_names
from pellucid.memory import lack, machine_memory
from pellucid.op import Array
from pellucid.ops.ranges import Within
from pellucid.parameter import accesses
from pellucid.text import human_bytes

if TYPE_CHECKING:
    from pellucid.executors.plan.report import PlanReport
    from pellucid.executors.reference import ReferenceProgram

TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "bfloat16": 0.2}
"""Largest error of an executor against the reference, relative to the largest element, per element type.

A bfloat16 has 8 bits, so each stored image is off by up to 2^-9; over the layers of the tests' random networks gradients
end up off by 0.1 to 1 %, and by up to 16 % where a normalisation divides by the spread of a handful of elements.
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
        for parameter, value in updates.items():
            if not isinstance(parameter, Parameter):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise GraphError(f"only parameters can be updated, got {parameter!r}")
            if (parameter.shape, parameter.dtype) != (value.shape, value.dtype):
                raise ShapeError(
                    f"{parameter.name}: its update is {value.dtype}{value.shape}, expected {parameter.dtype}{parameter.shape}"
                )
        self.outputs = tuple(outputs)
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
    array = np.asarray(value)
    if array.shape != tensor.shape:
        raise ShapeError(f"{tensor.name}: expected shape {tensor.shape}, got {array.shape}")
    if str(array.dtype) == tensor.dtype:
        return array
    if not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
        raise DTypeError(
            f"{tensor.name}: expected {tensor.dtype}, got {array.dtype}; convert it with .astype({tensor.dtype!r})"
        )
    return array.astype(tensor.dtype)


@dataclass(frozen=True)
class Setting:
    """How to compute: element type of images and weights in products, and number of threads (0: as many as there are)."""

    precision: str = "float32"
    threads: int = 0


PRECISIONS = ("float32", "bfloat16")
MOST_THREADS = 1024
"""More do not help, each takes memory of its own, and OpenMP ends the process where it cannot start one."""


def _reference(signature: Signature, setting: Setting) -> Program:
    from pellucid.executors.reference import ReferenceProgram

    return ReferenceProgram(signature)


def _torch(signature: Signature, setting: Setting) -> Program:
    from pellucid.executors.torch_executor import TorchProgram

    return TorchProgram(signature)


def _native(signature: Signature, setting: Setting) -> Program:
    from pellucid.executors.native import NativeProgram

    return NativeProgram(signature, setting.precision, setting.threads)


EXECUTORS: dict[str, Callable[[Signature, Setting], Program]] = {
    "native": _native,
    "reference": _reference,
    "torch": _torch,
}
CHOICES = ("auto", *EXECUTORS)


def available_executors() -> dict[str, str]:
    """Every executor by name, with the reason why it cannot be used here, or an empty string."""
    has_torch = importlib.util.find_spec("torch") is not None
    return {
        "native": _native_missing(),
        "reference": "",
        "torch": "" if has_torch else "PyTorch is not installed: pip install 'pellucid[torch]'",
    }


@functools.cache
def _native_missing() -> str:
    """Why the native executor is not there, as the installation noted it, or an empty string."""
    if importlib.util.find_spec("pellucid.executors._native") is not None:
        try:
            importlib.import_module("pellucid.executors.compiled")
        except ImportError as error:
            return f"it was built but cannot be loaded ({error}); install Pellucid again"
        return ""
    for folder in sys.modules["pellucid.executors"].__path__:
        note = Path(folder) / "native_missing.txt"
        if note.exists():
            return note.read_text(encoding="utf-8").strip()
    return "it could not be compiled when Pellucid was installed; `pip install -v` shows the compiler's messages"


def default_executor() -> str:
    """`native` where it was built, else `reference`."""
    return "reference" if _native_missing() else "native"


def default_threads() -> int:
    """Threads a program uses unless told otherwise: PELLUCID_THREADS, or the processors this process may use."""
    wanted = os.environ.get("PELLUCID_THREADS", "")
    if wanted and not (wanted.isdecimal() and len(wanted) < 5 and 0 < int(wanted) <= MOST_THREADS):
        raise ExecutorError(
            f"PELLUCID_THREADS must be a whole number from 1 to {MOST_THREADS} (each thread takes memory of its own), "
            f"got {wanted!r}"
        )
    if wanted:
        return int(wanted)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, MOST_THREADS)


def chosen_executor(executor: str, graph: Graph, precision: str) -> str:
    """The executor that computes `graph` where `executor` is asked for; an `ExecutorError` where it cannot be used."""
    if executor not in CHOICES:
        raise unknown("executor", executor, CHOICES)
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if executor == "auto":
        wide = any(n.dtype == "float64" for n in graph.nodes)  # the native executor computes in float32
        executor = "reference" if wide else default_executor()
    if reason := available_executors()[executor]:
        raise ExecutorError(f"executor {executor!r} cannot be used here: {reason}")
    if precision != "float32" and executor != "native":
        raise ExecutorError(f"precision {precision!r}: only the native executor computes in it, not {executor!r}")
    return executor


def compile(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor] = (),
    updates: Mapping[Parameter, Tensor] | None = None,
    executor: str = "auto",
    guard: bool = False,
    precision: str = "float32",
    threads: int = 0,
) -> Program:
    """A program that computes `outputs` and then sets each parameter of `updates` to its new value.

    `executor` is native, reference or torch; "auto" takes native where it was built and the graph has no float64,
    else reference. `precision="bfloat16"` keeps images in 16 bits and multiplies them so, sums and parameters stay
    float32. With `guard`, a NaN or infinity in a floating output raises `NonFiniteError` before any parameter changes,
    and one that an update makes of numbers once they have changed.
    """
    signature = Signature(outputs, inputs, updates or {}, guard)
    chosen = chosen_executor(executor, signature.graph, precision)
    with signature.fitting:
        return EXECUTORS[chosen](signature, Setting(precision, _number_of_threads(threads)))


def explain_plan(
    outputs: Sequence[Tensor],
    updates: Mapping[Parameter, Tensor] | None = None,
    feeds: Feeds | None = None,
    precision: str = "float32",
    threads: int = 0,
    without: Collection[str] = (),
) -> PlanReport:
    """What the native executor makes of a program: what each pass changes, and the plan. Print it, or take its parts.

    With `feeds` the program runs for a moment to time each step, on copies of the parameters. `without` names
    passes to leave out, to find the one to blame: `print(explain_plan([y], without=["fuse"]))`.
    """
    if feeds is not None:
        outputs, updates = copy.deepcopy((list(outputs), dict(updates or {})))
    signature = Signature(outputs, (), updates or {}, guard=False)
    chosen_executor("native", signature.graph, precision)
    from pellucid.executors.native import NativeProgram

    return NativeProgram(signature, precision, _number_of_threads(threads), without).report(feeds)


def _number_of_threads(threads: int) -> int:
    if not 0 <= threads <= MOST_THREADS:
        raise ExecutorError(f"threads must lie in 0 to {MOST_THREADS} (each takes memory of its own), got {threads}")
    return threads


def computing_threads(executor: str, threads: int) -> int:
    """Of `threads` those that will compute here; torch has a number of its own, and NumPy does not tell."""
    if executor == "native":
        from pellucid.executors import native

        return native.computing_threads(threads)
    if executor == "torch":
        from pellucid.executors import torch_executor

        return torch_executor.computing_threads()
    return threads


def computed_by(executor: str, threads: int) -> str:
    """Who computes, on how many threads and with which instructions: what the last bits of a result depend on."""
    if executor == "native":
        from pellucid.executors.native import instructions
    elif executor == "torch":
        from pellucid.executors.torch_executor import instructions
    else:
        return executor
    number = computing_threads(executor, threads)
    return f"{executor} on {number} thread{'s' * (number > 1)}, {instructions()}"


def run(outputs: Sequence[Tensor], feeds: Feeds | None = None, executor: str = "auto") -> tuple[Array, ...]:
    """Values of `outputs`, computed once: `pl.run([y], {x: array})`."""
    return compile(outputs, executor=executor)(feeds or {})


def reference_program(outputs: Sequence[Tensor], updates: Mapping[Parameter, Tensor] | None = None) -> ReferenceProgram:
    """A program on the reference executor, which can also `record` every value."""
    from pellucid.executors.reference import ReferenceProgram

    return ReferenceProgram(Signature(outputs, (), updates or {}, guard=False))


def not_finite(value: Array) -> str:
    """What a value holds that is no finite number, in words: "NaN in 3 of 10 elements"; "" where all are."""
    bad = value.size - int(np.isfinite(value).sum()) if value.dtype.kind == "f" else 0
    return f"{'NaN' if np.isnan(value).any() else 'infinity'} in {bad} of {value.size} elements" if bad else ""


def first_non_finite(outputs: Sequence[Tensor], feeds: Feeds | None = None) -> tuple[str, str] | None:
    """Name of the first node, in order of computation, whose value holds a NaN or an infinity, and what it holds."""
    program = reference_program(outputs)
    for node, value in program.replay(feeds or {}):
        if what := not_finite(value):
            inputs = ", ".join(program.graph.names[i] for i in node.inputs)
            return program.graph.names[node], f"{what}, made by {node.op.kind}({inputs})"
    return None
