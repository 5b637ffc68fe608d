"""`Module`: parameters and layers found by attribute, and the paths by which nodes and weights are named."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.errors import PellucidError, suggest
from pellucid.graph import Graph, Parameter, Tensor, input
from pellucid.op import Array
from pellucid.scopes import root_scope, scope

if TYPE_CHECKING:
    from pellucid.nn.summary import Summary


class ModuleError(PellucidError, ValueError):
    """A layer or network was built, called or loaded with something that does not fit."""


_STEP: ContextVar[tuple[Tensor, int] | None] = ContextVar("step", default=None)
_CALLING: ContextVar[bool] = ContextVar("calling", default=False)


@contextlib.contextmanager
def training_step(seed: int = 0) -> Generator[Tensor]:
    """Networks called inside draw their random numbers (dropout) from (seed, layer, step).

    Gives the `step` input, an int64 scalar that must be fed with the number of the training step.
    """
    step = input((), "int64", "step")
    token = _STEP.set((step, seed))
    try:
        yield step
    finally:
        _STEP.reset(token)


def current_step() -> tuple[Tensor, int] | None:
    """The step input and seed of the `training_step` around this call, if there is one."""
    return _STEP.get()


@contextlib.contextmanager
def weights_kept(net: Module) -> Generator[None]:
    """Afterwards every parameter of `net` has its value back bit for bit, running statistics too, whatever happened inside."""
    before = [(p, p.value.copy(), p.given) for p in net.named_parameters().values()]
    try:
        yield
    finally:
        for parameter, value, given in before:
            parameter.restore(value, given)


@contextlib.contextmanager
def inference(net: Module) -> Generator[None]:
    """The network in inference; afterwards each layer is in the mode that it was in."""
    modes = [(module, module.training) for _, module in net.named_modules()]
    net.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class Module:
    """A layer or a network of layers. Assigning parameters and modules to attributes makes them part of it.

    Subclasses build their parts in `__init__` and define `forward(x)` on tensors. `net(x)` adds the network to the
    graph of x; nodes are named by the attributes' path: `conv1`, `layer1.0.conv1`.
    """

    def __init__(self) -> None:
        self._path = ""
        self._order = 0
        self.training = True

    def forward(self, x: Tensor) -> Tensor:
        """The output for the input tensor x."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *inputs: Tensor) -> Any:
        for x in inputs:
            if not isinstance(x, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ModuleError(
                    f"{type(self).__name__} builds a graph and takes a tensor, got {type(x).__name__}; for arrays use pl.predict(net, array)"
                )
        if not _CALLING.get():
            self.name_parts()
        token = _CALLING.set(True)
        try:
            with root_scope(), scope(self._path):
                y: Any = self.forward(*inputs)
        finally:
            _CALLING.reset(token)
        if not isinstance(y, Tensor):
            return y
        made_here = all(y is not x for x in inputs) and not isinstance(y, Parameter) and y.inputs
        if self._path and made_here and not list(self.children()):
            return y.named(self._path)
        return y

    def children(self) -> Iterator[tuple[str, Module]]:
        """The modules that are attributes of this one, with their names, in the order of assignment."""
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their paths."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def layer_kinds(self) -> dict[str, str]:
        """The layers that a summary has rows for: the path of each module without parts, and its kind."""
        parts = ((path, module) for path, module in self.named_modules() if path)
        return {path: type(module).__name__ for path, module in parts if not list(module.children())}

    def name_parts(self) -> None:
        """Tell every part the path by which this network knows it."""
        for order, (path, module) in enumerate(self.named_modules()):
            module._path = path
            module._order = order
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    value.rename(f"{path}.{name}" if path else name)

    def named_parameters(self) -> dict[str, Parameter]:
        """Every parameter by its path, with the running statistics; one used twice is listed once."""
        found: dict[str, Parameter] = {}
        seen: set[Parameter] = set()
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and value not in seen:
                    seen.add(value)
                    found[f"{path}.{name}" if path else name] = value
        self.name_parts()
        return found

    def parameters(self) -> list[Parameter]:
        """The parameters that training changes."""
        return [p for p in self.named_parameters().values() if p.trainable]

    def num_parameters(self) -> int:
        """Number of trainable numbers."""
        return sum(p.size for p in self.parameters())

    def initialize(self, seed: int, keep_given: bool = False) -> None:
        """Draw every parameter anew: a function of (seed, position of the parameter) alone.

        With `keep_given` those stay whose value was assigned, as `load_state_dict` does.
        """
        for number, parameter in enumerate(self.named_parameters().values()):
            if not (keep_given and parameter.given):
                parameter.initialize((seed, number))

    def train(self, mode: bool = True) -> Module:
        """Switch to training: dropout drops and batch norm uses the batch's statistics."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Switch to inference: dropout is the identity and batch norm uses running statistics."""
        return self.train(False)

    def state_dict(self) -> dict[str, Array]:
        """Copies of all values under PyTorch's names."""
        return {name: parameter.value.copy() for name, parameter in self.named_parameters().items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True, leave: Collection[str] = ()) -> None:
        """Set values from arrays under PyTorch's names. Everything is checked before anything is set.

        With `strict=False` entries missing here or there are left out; a shape that differs is always an error. What
        `leave` names keeps its value, whatever `state` has for it.
        """
        parameters = {n: p for n, p in self.named_parameters().items() if n not in leave}
        left_out = {*leave, *(n for n in state if n.endswith("num_batches_tracked"))}
        given = {n: np.asarray(v) for n, v in state.items() if n not in left_out}
        missing = [n for n in parameters if n not in given]
        unexpected = [n + suggest(n, missing) for n in given if n not in parameters]
        shapes = [
            f"{n} is {given[n].shape}, expected {p.shape}"
            for n, p in parameters.items()
            if n in given and given[n].shape != p.shape
        ]
        problems = [f"mis-shaped: {'; '.join(shapes)}"] if shapes else []
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        if problems:
            raise ModuleError(
                f"the weights do not fit {type(self).__name__}: {'. '.join(problems)}. Nothing was loaded"
            )
        for name, parameter in parameters.items():
            if name in given:
                parameter.value = given[name]

    def config(self) -> dict[str, Any]:
        """Plain arguments from which `nn.models.build(**config)` makes this network again."""
        config: dict[str, Any] | None = getattr(self, "model_config", None)
        if config is None:
            raise ModuleError(f"{type(self).__name__} was not made by nn.models.build and has no configuration")
        return dict(config)

    def summary(self, shape: tuple[int, int, int], batch: int = 1) -> Summary:
        """Per layer: output shape, parameters, FLOPs, activation memory and receptive field for images (C, H, W)."""
        from pellucid.nn.summary import summarize

        return summarize(self, shape, batch)

    def graph(self, shape: tuple[int, ...], name: str = "x") -> Graph:
        """The network's graph for an input of `shape`, with the batch axis, and of the parameters' floating type."""
        floats = (p.dtype for p in self.named_parameters().values() if p.dtype.startswith("float"))
        made = self(input(shape, next(floats, "float32"), name))
        return Graph(made if isinstance(made, tuple) else [made])

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}({self.describe()}"]
        lines += [f"  {name}: {child!r}".replace("\n", "\n  ") for name, child in self.children()]
        return "\n".join([*lines, ")"]) if len(lines) > 1 else lines[0] + ")"

    def describe(self) -> str:
        """The layer's settings, as text."""
        plain = (int, float, str, tuple)
        hidden = ("training", "_path", "_order")
        settings = {n: v for n, v in vars(self).items() if n not in hidden and isinstance(v, plain)}
        return ", ".join(f"{name}={value!r}" for name, value in settings.items())
