"""What `torch.export` says of a module, as plain data: the steps that compute its output, without PyTorch."""

from __future__ import annotations

import contextlib
import operator
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pellucid.interop.matching import COUNTER
from pellucid.interop.torch_module.aten import OPERATORS
from pellucid.nn.errors import ModuleError
from pellucid.op import Array

_PYTHON: dict[Callable[..., Any], str] = {
    operator.getitem: "getitem",
    operator.add: "add",
    operator.sub: "sub",
    operator.mul: "mul",
    operator.floordiv: "floordiv",
    operator.mod: "mod",
    operator.neg: "neg",
}
"""Python's own operators, which stand in a graph for arithmetic on sizes."""

ARITHMETIC = {name: function for function, name in _PYTHON.items() if function is not operator.getitem}

DTYPES = {
    "float32": "float32",
    "float64": "float64",
    "bool": "bool",
    **dict.fromkeys(("int64", "int32", "int16", "int8", "uint8"), "int64"),
}


@dataclass(frozen=True)
class Ref:
    """The value of a step, input or parameter."""

    name: str


@dataclass(frozen=True)
class ExportedStep:
    """One operator on values; `path` is the module that asked for it, `call` tells its calls apart."""

    name: str
    operator: str
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    path: str
    call: str


@dataclass(frozen=True)
class ExportedModule:
    """Steps in order. `weights` gives parameters' and buffers' paths by value, `updates` the new value of buffers."""

    input: str
    batch: int | None
    weights: dict[str, str]
    constants: dict[str, Array]
    steps: tuple[ExportedStep, ...]
    output: Ref
    updates: dict[str, Ref]


def export(module: Any, example: Any) -> ExportedModule:
    """The program of `module` in the mode that it is in, for any batch size where the module allows it.

    Raises `ModuleError` for what `torch.export` cannot follow, for more than one input or output, and for operators
    without a counterpart, all at once.
    """
    import torch

    if len(example) > 1:
        return _Reader(torch, _export(torch, module, example, dynamic=True)).program()
    with contextlib.suppress(ModuleError):  # a module for one picture at a time
        program = _Reader(torch, _export(torch, module, torch.cat([example, example]), dynamic=True)).program()
        if program.batch is None:
            return program
    return _Reader(torch, _export(torch, module, example, dynamic=False)).program()


def _export(torch: Any, module: Any, example: Any, dynamic: bool) -> Any:
    free = ({0: torch.export.Dim.AUTO},) if dynamic else None
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of PyTorch about itself
            return torch.export.export(module, (example,), dynamic_shapes=free, strict=False).run_decompositions({})
    except (RuntimeError, ValueError, AssertionError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModuleError(f"from_torch: torch.export cannot follow {type(module).__name__}: {first}") from error


class _Reader:
    """Turns the graph of an exported program into steps."""

    def __init__(self, torch: Any, exported: Any) -> None:
        self._torch = torch
        self._exported = exported
        self._nodes = list(exported.graph.nodes)

    def program(self) -> ExportedModule:
        """The steps that the output and the buffers' updates need."""
        signature = self._exported.graph_signature
        inputs = [spec for spec in signature.input_specs if spec.kind.name == "USER_INPUT"]
        outputs = [spec for spec in signature.output_specs if spec.kind.name == "USER_OUTPUT"]
        for what, specs in (("takes", inputs), ("gives", outputs)):
            if len(specs) != 1:
                raise ModuleError(
                    f"from_torch: the module {what} {len(specs)} tensors; wrap it in a module that {what} one, as Pellucid's networks do"
                )
        weights = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        updates = {
            spec.target: Ref(spec.arg.name)
            for spec in signature.output_specs
            if spec.kind.name == "BUFFER_MUTATION" and spec.target.rpartition(".")[2] != COUNTER
        }
        output = Ref(outputs[0].arg.name)
        needed = self._needed([output.name, *(ref.name for ref in updates.values())])
        steps = [self._step(node) for node in self._nodes if node.op == "call_function" and node.name in needed]
        self._require_known(steps, needed)
        placeholder = next(node for node in self._nodes if node.name == inputs[0].arg.name)
        first = str(placeholder.meta["val"].shape[0])  # a number, or a symbol where any will do
        return ExportedModule(
            input=inputs[0].arg.name,
            batch=int(first) if first.isdigit() else None,
            weights={name: path for name, path in weights.items() if name in needed},
            constants=self._constants(needed),
            steps=tuple(steps),
            output=output,
            updates=updates,
        )

    def _needed(self, names: list[str]) -> set[str]:
        """Every node that those of `names` depend on; checks and counters are left out by that."""
        needed = set(names)
        for node in reversed(self._nodes):
            if node.name in needed:
                needed.update(source.name for source in node.all_input_nodes)
        return needed

    def _require_known(self, steps: list[ExportedStep], needed: set[str]) -> None:
        unknown = Counter(s.operator for s in steps if s.operator not in OPERATORS and s.operator not in ARITHMETIC)
        unknown.update(node.op for node in self._nodes if node.op == "get_attr" and node.name in needed)
        if unknown:
            listed = ", ".join(f"{name} ({count})" for name, count in sorted(unknown.items()))
            raise ModuleError(f"from_torch: these operators have no counterpart in Pellucid: {listed}")

    def _step(self, node: Any) -> ExportedStep:
        name = _PYTHON.get(node.target) or str(node.target)
        stack = (node.meta.get("nn_module_stack") or {}).items()
        known = [(call, entry[0].partition("@")[0]) for call, entry in stack if not entry[0].startswith("_empty")]
        call, path = known[-1] if known else ("", "")
        named = {key: self._plain(value) for key, value in node.kwargs.items()}
        return ExportedStep(node.name, name, tuple(map(self._plain, node.args)), named, path, call)

    def _plain(self, value: Any) -> Any:
        """An argument as plain data: element types by name; where tensors lie is left out."""
        torch = self._torch
        if isinstance(value, torch.fx.Node):
            return Ref(value.name)
        if isinstance(value, list | tuple):
            return [self._plain(part) for part in value]
        if isinstance(value, torch.dtype):
            name = str(value).removeprefix("torch.")
            if name not in DTYPES:
                raise ModuleError(f"from_torch: the element type {name} is not computed with; convert module.float()")
            return DTYPES[name]
        return value if isinstance(value, bool | int | float | str) else None

    def _constants(self, needed: set[str]) -> dict[str, Array]:
        signature = self._exported.graph_signature
        kept = {**self._exported.constants, **dict(self._exported.named_buffers())}
        named = {spec.arg.name: spec.target for spec in signature.input_specs if spec.kind.name == "CONSTANT_TENSOR"}
        wanted = {name: kept[target].detach() for name, target in named.items() if name in needed}
        return {name: value.numpy().astype(self._plain(value.dtype)) for name, value in wanted.items()}
