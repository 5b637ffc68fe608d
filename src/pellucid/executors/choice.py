"""Which executor computes a graph here, and programs made by it: `compile`, `run`, and what is asked about them."""

from __future__ import annotations

import copy
import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.executors import torch_executor
from pellucid.executors.contract import ExecutorError, Feeds, Program, Signature, not_finite
from pellucid.executors.reference import ReferenceProgram
from pellucid.executors.setting import Setting
from pellucid.flags import flag
from pellucid.graph import Graph, Parameter, Tensor
from pellucid.op import Array
from pellucid.text import amount

if TYPE_CHECKING:  # the plan reads the compiled module, which may be missing
    from pellucid.executors.plan.report import PlanReport


def _native(signature: Signature, setting: Setting) -> Program:
    from pellucid.executors.native import NativeProgram

    return NativeProgram(signature, setting.precision, setting.threads)


_PROGRAMS: dict[str, Callable[[Signature, Setting], Program]] = {
    "native": _native,
    "reference": lambda signature, setting: ReferenceProgram(signature),
    "torch": lambda signature, setting: torch_executor.TorchProgram(signature, setting.device),
}


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


def resolved(setting: Setting, graph: Graph) -> Setting:
    """The setting with the executor that computes `graph` under it; an `ExecutorError` where none can here.

    "auto" is torch on a device that is no processor; else native where it was built and the graph has no float64, in which
    it does not compute; else reference.
    """
    executor = setting.executor
    if executor == "auto" and setting.device != "cpu":
        executor = "torch"
    elif executor == "auto":
        executor = "reference" if any(n.dtype == "float64" for n in graph.nodes) else default_executor()
    if reason := available_executors()[executor]:
        raise ExecutorError(f"executor {executor!r} cannot be used here: {reason}")
    if setting.precision != "float32" and executor != "native":
        raise ExecutorError(
            f"precision {setting.precision!r}: only the native executor computes in it, not {executor!r}"
        )
    if setting.device != "cpu" and executor != "torch":
        raise ExecutorError(
            f"device {setting.device!r}: executor {executor!r} computes on 'cpu' alone; take executor='torch'"
        )
    return replace(setting, executor=executor)


def compile(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor] = (),
    updates: Mapping[Parameter, Tensor] | None = None,
    executor: str = "auto",
    guard: bool = False,
    precision: str = "float32",
    threads: int = 0,
    device: str = "cpu",
) -> Program:
    """A program that computes `outputs` and then sets each parameter of `updates` to its new value.

    `executor` is native, reference or torch; "auto" takes native where it was built and the graph has no float64,
    else reference. `precision="bfloat16"` keeps images in 16 bits and multiplies them so, sums and parameters stay
    float32. With `guard`, a NaN or infinity in a floating output raises `NonFiniteError` before any parameter changes,
    and one that an update makes of numbers once they have changed. On a `device` other than "cpu" ("cuda", "cuda:1",
    "mps") torch computes; values come from and go to NumPy's memory.
    """
    guard = flag("compile", "guard", guard, ExecutorError)
    asked = Setting(executor, precision, threads, device)
    signature = Signature(outputs, inputs, updates or {}, guard)
    setting = resolved(asked, signature.graph)
    with signature.fitting:
        return _PROGRAMS[setting.executor](signature, setting)


def run(outputs: Sequence[Tensor], feeds: Feeds | None = None, executor: str = "auto") -> tuple[Array, ...]:
    """Values of `outputs`, computed once: `pl.run([y], {x: array})`."""
    return compile(outputs, executor=executor)(feeds or {})


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
    asked = Setting("native", precision, threads)
    if feeds is not None:
        outputs, updates = copy.deepcopy((list(outputs), dict(updates or {})))
    signature = Signature(outputs, (), updates or {}, guard=False)
    resolved(asked, signature.graph)
    from pellucid.executors.native import NativeProgram

    return NativeProgram(signature, precision, threads, without).report(feeds)


def computing_threads(executor: str, threads: int) -> int:
    """Of `threads` those that will compute here; torch has a number of its own, and NumPy does not tell."""
    if executor == "native":
        from pellucid.executors import native

        return native.computing_threads(threads)
    return torch_executor.computing_threads() if executor == "torch" else threads


def computed_by(executor: str, threads: int) -> str:
    """Who computes, on how many threads and with which instructions: what the last bits of a result depend on."""
    if executor == "native":
        from pellucid.executors.native import instructions
    elif executor == "torch":
        instructions = torch_executor.instructions
    else:
        return executor
    number = computing_threads(executor, threads)
    return f"{executor} on {amount(number, 'thread')}, {instructions()}"


def reference_program(outputs: Sequence[Tensor], updates: Mapping[Parameter, Tensor] | None = None) -> ReferenceProgram:
    """A program on the reference executor, which can also `record` every value."""
    return ReferenceProgram(Signature(outputs, (), updates or {}, guard=False))


def first_non_finite(outputs: Sequence[Tensor], feeds: Feeds | None = None) -> tuple[str, str] | None:
    """Name of the first node, in order of computation, whose value holds a NaN or an infinity, and what it holds."""
    program = reference_program(outputs)
    for node, value in program.replay(feeds or {}):
        if what := not_finite(value):
            inputs = ", ".join(program.graph.names[i] for i in node.inputs)
            return program.graph.names[node], f"{what}, made by {node.op.kind}({inputs})"
    return None
