"""A converted module: its parameters under PyTorch's names, and the program that makes a graph of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pellucid import ops
from pellucid.errors import ShapeError
from pellucid.graph import Parameter, Tensor, constant
from pellucid.interop.torch_module.aten import OPERATORS, RANDOM
from pellucid.interop.torch_module.program import ARITHMETIC, ExportedModule, ExportedStep, Ref
from pellucid.nn.errors import ModuleError
from pellucid.nn.interface import InputSpec
from pellucid.nn.module import Module, order_of, path_of
from pellucid.nn.randomness import draw_key
from pellucid.op import Shape
from pellucid.scopes import latest, record_update, root_scope, scope


class ModulePart(Module):
    """A module inside of a converted one: holds parameters and parts under PyTorch's names."""


@dataclass(frozen=True)
class Source:
    """What a converted network is made from; `training` is the program in training, or why there is none."""

    name: str
    inputs: tuple[str, ...]
    """The names of what it takes."""
    inference: ExportedModule
    training: ExportedModule | str
    values: dict[str, Parameter]


class TorchNetwork(Module):
    """What `from_torch` gives. In training it follows the program that PyTorch made of the module in training mode."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def input_specs(self) -> tuple[InputSpec, ...]:
        """What the module takes: the parameters of its `forward`."""
        program = self._source.inference
        shapes = [tuple(n if isinstance(n, int) else 1 for n in known.shape) for known in program.inputs]
        types = [known.dtype for known in program.inputs]
        return tuple(map(InputSpec, self._source.inputs, shapes, types))

    def forward(self, *inputs: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What the module gives for tensors in the order of its inputs."""
        source = self._source
        program = source.training if self.training else source.inference
        if isinstance(program, str):
            raise ModuleError(
                f"{source.name}: was converted for inference alone, call net.eval(); in training it cannot be converted: {program}"
            )
        if not program.takes([x.shape for x in inputs]):
            alone = len(program.inputs) == 1
            wanted = [
                ("" if alone else f"{n} ") + _shown(known.shape)
                for n, known in zip(source.inputs, program.inputs, strict=True)
            ]
            got = ", ".join(f"{x.shape} (from {x.name!r})" for x in inputs)
            raise ShapeError(
                f"{source.name}: was converted for inputs {', '.join(wanted)}, got {got or 'none'}; convert it again with an example of that shape"
            )
        return _Run(self, program, source.values).outputs(inputs)


def _shown(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(str(n) if isinstance(n, int) else 'any' for n in shape)})"


class _Run:
    """One walk through a program, adding to the graph of its input."""

    def __init__(self, net: TorchNetwork, program: ExportedModule, parameters: dict[str, Parameter]) -> None:
        self._program = program
        self._parts = dict(net.named_modules())
        self._parameters = parameters
        self._values: dict[str, Any] = {n: constant(v, name=n) for n, v in program.constants.items()}
        self._values |= {name: latest(self._parameters[path]) for name, path in program.weights.items()}
        self._last = {step.call: step.name for step in program.steps}

    def outputs(self, inputs: tuple[Tensor, ...]) -> Any:
        """What the module gives for its inputs; what buffers become in training is recorded."""
        self._values |= {known.value: x for known, x in zip(self._program.inputs, inputs, strict=True)}
        for step in self._program.steps:
            part = self._parts.get(step.path, self._parts[""])
            with root_scope(), scope(path_of(part)):
                self._values[step.name] = self._value(step, part)
        for path, ref in self._program.updates.items():
            record_update(self._parameters[path], self._values[ref.name])
        return self._resolved(self._program.outputs)

    def _value(self, step: ExportedStep, part: Module) -> Any:
        arguments = [self._resolved(a) for a in step.arguments]
        named = {name: self._resolved(a) for name, a in step.named.items()}
        if step.operator in ARITHMETIC:
            return ARITHMETIC[step.operator](*arguments)
        if step.operator in RANDOM:
            named["draw"] = self._drawer(part)
        value = OPERATORS[step.operator](*arguments, **named)
        return self._named(value, step, part, arguments)

    def _named(self, value: Any, step: ExportedStep, part: Module, arguments: list[Any]) -> Any:
        """The last thing that a call of a part without parts makes has the part's own name."""
        path = path_of(part)
        made = value[0] if isinstance(value, tuple) else value
        own = self._last[step.call] == step.name and path and not list(part.children())
        if not own or not isinstance(made, Tensor) or not made.inputs or any(made is a for a in arguments):
            return value
        return (made.named(path), *value[1:]) if isinstance(value, tuple) else made.named(path)

    def _resolved(self, argument: Any) -> Any:
        if isinstance(argument, Ref):
            return self._values[argument.name]
        if isinstance(argument, dict):
            return {name: self._resolved(a) for name, a in argument.items()}
        return type(argument)(self._resolved(a) for a in argument) if isinstance(argument, list | tuple) else argument

    def _drawer(self, part: Module) -> Callable[[Shape], Tensor]:
        def draw(shape: Shape) -> Tensor:
            key = draw_key(path_of(part) or "the network", order_of(part))
            return ops.uniform(shape, key.step, key.seed, key.stream)

        return draw
