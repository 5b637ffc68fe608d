"""What `torch.export` says of a module, as plain data: the steps that compute its output, without PyTorch."""

from __future__ import annotations

import contextlib
import inspect
import operator
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.interop.matching import COUNTER
from pellucid.interop.torch_module.aten import OPERATORS
from pellucid.nn.errors import ModuleError
from pellucid.op import Array

if TYPE_CHECKING:
    from pellucid.interop.torch_module.example import Examples

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
class ExportedInput:
    """An input: its value's name, its shape with a symbol where any size will do, and the type that it is computed in."""

    value: str
    shape: tuple[int | str, ...]
    dtype: str


@dataclass(frozen=True)
class ExportedModule:
    """Steps in order. `weights` gives parameters' and buffers' paths by value, `updates` the new value of buffers.

    `outputs` is what the module gives: a `Ref`, or several in tuples, lists and dicts.
    """

    inputs: tuple[ExportedInput, ...]
    weights: dict[str, str]
    constants: dict[str, Array]
    steps: tuple[ExportedStep, ...]
    outputs: Any
    updates: dict[str, Ref]

    def takes(self, shapes: Sequence[tuple[int, ...]]) -> bool:
        """Whether inputs of these shapes are what the program is for: one size for each symbol."""
        sizes: dict[str, int] = {}
        return len(shapes) == len(self.inputs) and all(
            len(shape) == len(known.shape)
            and all(
                n == size if isinstance(n, int) else sizes.setdefault(n, size) == size
                for n, size in zip(known.shape, shape, strict=True)
            )
            for known, shape in zip(self.inputs, shapes, strict=True)
        )


def export(module: Any, examples: Examples) -> ExportedModule:
    """The program of `module` in the mode that it is in, for any batch size where the module allows it.

    Raises `ModuleError` for what `torch.export` cannot follow, and for operators without a counterpart, all at once.
    """
    import torch

    shapes = [tuple(x.shape) for x in examples.tensors]
    single = [shape[0] == 1 for shape in shapes if shape]
    if single and not any(single):
        return _Reader(torch, _export(torch, module, examples, dynamic=True)).program()
    with contextlib.suppress(ModuleError):  # a module for one picture at a time
        two = examples.mapped(lambda x: torch.cat([x, x]) if x.ndim and len(x) == 1 else x)
        program = _Reader(torch, _export(torch, module, two, dynamic=True)).program()
        if any(isinstance(n, str) for known in program.inputs for n in known.shape) and program.takes(shapes):
            return program
    return _Reader(torch, _export(torch, module, examples, dynamic=False)).program()


def _export(torch: Any, module: Any, examples: Examples, dynamic: bool) -> Any:
    def free(x: Any) -> Any:
        return {0: torch.export.Dim.AUTO} if x.ndim else None

    axes = None
    if dynamic:
        wanted = examples.mapped(free)
        axes = _by_parameter(module, wanted) if examples.named else wanted.arguments
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of PyTorch about itself
            exported = torch.export.export(
                module, examples.arguments, examples.named, dynamic_shapes=axes, strict=False
            )
            return _of_known(torch, exported.run_decompositions({}))
    except (RuntimeError, ValueError, AssertionError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModuleError(f"from_torch: torch.export cannot follow {type(module).__name__}: {first}") from error


def _of_known(torch: Any, exported: Any) -> Any:
    """The program with operators that have no counterpart here written of simpler ones, where PyTorch says how and these have."""
    simpler, tried = exported, set[Any]()
    while unknown := {n.target for n in simpler.graph.nodes if n.users and not _is_known(n)} - tried:
        rules = torch.export.default_decompositions()
        if not unknown <= rules.keys():
            return exported
        simpler, tried = simpler.run_decompositions({target: rules[target] for target in unknown}), tried | unknown
    return simpler


def _is_known(node: Any) -> bool:
    return node.op != "call_function" or (name := _operator(node)) in OPERATORS or name in ARITHMETIC


def _operator(node: Any) -> str:
    return _PYTHON.get(node.target) or str(node.target)


def _by_parameter(module: Any, wanted: Examples) -> dict[str, Any]:
    """What is said of arguments by the names of the parameters that take them."""
    bound = inspect.signature(module.forward).bind(*wanted.arguments, **wanted.named)
    return dict(bound.arguments)


class _Reader:
    """Turns the graph of an exported program into steps."""

    def __init__(self, torch: Any, exported: Any) -> None:
        self._torch = torch
        self._exported = exported
        self._nodes = list(exported.graph.nodes)

    def program(self) -> ExportedModule:
        """The steps that the output and the buffers' updates need."""
        signature = self._exported.graph_signature
        inputs = [
            s.arg.name
            for s in signature.input_specs
            if s.kind.name == "USER_INPUT" and hasattr(s.arg, "name") and not hasattr(s.arg, "value")
        ]
        given = [self._output(s.arg) for s in signature.output_specs if s.kind.name == "USER_OUTPUT"]
        weights = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        updates = {
            spec.target: Ref(spec.arg.name)
            for spec in signature.output_specs
            if spec.kind.name == "BUFFER_MUTATION" and spec.target.rpartition(".")[2] != COUNTER
        }
        outputs = _plain_tree(self._torch.utils._pytree.tree_unflatten(given, self._exported.call_spec.out_spec))
        refs = [ref.name for ref in given if isinstance(ref, Ref)]
        if not refs:
            raise ModuleError("from_torch: the module gives no tensor")
        needed = self._needed([*refs, *(ref.name for ref in updates.values())])
        steps = [self._step(node) for node in self._nodes if node.op == "call_function" and node.name in needed]
        self._require_known(needed)
        return ExportedModule(
            inputs=tuple(self._input(name) for name in inputs),
            weights={name: path for name, path in weights.items() if name in needed},
            constants=self._constants(needed),
            steps=tuple(steps),
            outputs=outputs,
            updates=updates,
        )

    def _input(self, name: str) -> ExportedInput:
        value = next(node for node in self._nodes if node.name == name).meta["val"]
        shape = tuple(int(str(n)) if str(n).isdigit() else str(n) for n in value.shape)  # a symbol where any will do
        return ExportedInput(name, shape, self._plain(value.dtype))

    def _output(self, arg: Any) -> Any:
        """A value that the module gives; plain ones, None above all, are left as they are."""
        return Ref(arg.name) if type(arg).__name__ == "TensorArgument" else getattr(arg, "value", None)

    def _needed(self, names: list[str]) -> set[str]:
        """Every node that those of `names` depend on; checks and counters are left out by that."""
        needed = set(names)
        for node in reversed(self._nodes):
            if node.name in needed:
                needed.update(source.name for source in node.all_input_nodes)
        return needed

    def _require_known(self, needed: set[str]) -> None:
        there = [node for node in self._nodes if node.name in needed]
        unknown = Counter(_operator(node) for node in there if not _is_known(node))
        unknown.update(node.op for node in there if node.op == "get_attr")
        if unknown:
            listed = ", ".join(f"{name} ({count})" for name, count in sorted(unknown.items()))
            raise ModuleError(f"from_torch: these operators have no counterpart in Pellucid: {listed}")

    def _step(self, node: Any) -> ExportedStep:
        stack = (node.meta.get("nn_module_stack") or {}).items()
        known = [(call, entry[0].partition("@")[0]) for call, entry in stack if not entry[0].startswith("_empty")]
        call, path = known[-1] if known else ("", "")
        named = {key: self._plain(value) for key, value in node.kwargs.items()}
        return ExportedStep(node.name, _operator(node), tuple(map(self._plain, node.args)), named, path, call)

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


def _plain_tree(value: Any) -> Any:
    """Tuples, lists and dicts instead of other classes of them; tuples with names, and what is left out of them, as dicts."""
    if isinstance(value, Mapping):
        return {str(name): _plain_tree(each) for name, each in value.items() if each is not None}
    if names := getattr(value, "_fields", None):
        return _plain_tree(dict(zip(names, value, strict=True)))
    if isinstance(value, list | tuple):
        return type(value)(_plain_tree(each) for each in value)
    if value is None or isinstance(value, Ref):
        return value
    raise ModuleError(f"from_torch: the module gives a {type(value).__name__}; only tensors can be given")
