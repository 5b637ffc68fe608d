"""`Module`: parameters and layers found wherever attributes keep them, and the paths by which nodes and weights are named."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.errors import suggest
from pellucid.graph import Graph, Parameter, Tensor, distinct_names
from pellucid.nn.card import Card
from pellucid.nn.errors import ModuleError
from pellucid.nn.interface import InputSpec, Shapes, graph_on, named_tensors, require_arity, specs_of
from pellucid.nn.shown import InNotebooks
from pellucid.op import Array, as_array
from pellucid.parameter import unfit
from pellucid.scopes import current_mode, root_scope, scope
from pellucid.seeds import require_seed

if TYPE_CHECKING:
    from pellucid.nn.summary import Summary


@dataclass
class _Build:
    """One building of a graph: where every part of the network that was called stands in it, and parameters of others."""

    places: dict[Module, tuple[str, int]]
    foreign: dict[Tensor, str] = field(default_factory=dict["Tensor", str])


_BUILD: ContextVar[_Build | None] = ContextVar("build", default=None)


class Module(InNotebooks):
    """A layer or a network of layers. Parameters and modules kept by attributes are part of it, in lists, tuples and dicts too.

    Subclasses build their parts in `__init__` and define `forward(x)` on tensors. `net(x)` adds the network to the
    graph of x; nodes are named by the path from the network that was called: `conv1`, `layer1.0.conv1`, `blocks.0`.
    """

    _owner: weakref.ref[Module] | None = None
    """The network that gave the parameters below this module their names."""
    output_names: tuple[str, ...] = ()
    """What its outputs are called, in their order, where it names them; see `explain.Target`."""

    def __init__(self) -> None:
        self.training = True

    @property
    def training(self) -> bool:
        """Whether the layer is in training: as `inference_mode` or `training_mode` around says, else as it was switched."""
        mode = current_mode()
        return vars(self).get("training", True) if mode is None else mode

    @training.setter
    def training(self, mode: bool) -> None:
        vars(self)["training"] = mode

    @property
    def card(self) -> Card:
        """What is known of the network: classes, preprocessing, configuration. Another card may be set, see `Card`."""
        stored, config = vars(self).get("card") or Card(), vars(self).get("model_config")
        return replace(stored, config=config) if isinstance(config, dict) else stored

    @card.setter
    def card(self, card: Card) -> None:
        if not isinstance(card, Card):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ModuleError(f"card: wants a pl.nn.Card, got {type(card).__name__}")
        own = vars(self).get("model_config")
        config = dict(card.config) if card.config is not None else own
        replace(card, config=config)  # which fails where they do not fit
        vars(self)["card"] = replace(card, config=None)
        if config is not own:
            vars(self)["model_config"] = config

    def forward(self, x: Tensor) -> Tensor:
        """The output for the input tensor x."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles take along: all but who gave its parameters their names."""
        return {name: value for name, value in vars(self).items() if name != "_owner"}

    def __call__(self, *inputs: Tensor) -> Any:
        for x in inputs:
            if not isinstance(x, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ModuleError(
                    f"{type(self).__name__} builds a graph and takes a tensor, got {type(x).__name__}; for arrays use pl.predict(net, array)"
                )
        build = _BUILD.get()
        if build is None:
            return _build(self, inputs)
        if self not in build.places:
            build.foreign |= {p: f"{type(self).__name__}.{name}" for name, p in _collect(self)}
        path = path_of(self)
        with root_scope(), scope(path):
            y: Any = self.forward(*inputs)
        if not path or any(True for _ in self.children()):
            return y
        if isinstance(y, tuple) and y:  # such as the states of a recurrent layer after each step, and the last of them
            return _under(path, y[0], inputs), *y[1:]
        return _under(path, y, inputs)

    def children(self) -> Iterator[tuple[str, Module]]:
        """The modules that attributes of this one keep, with their names, in the order of assignment.

        One kept in a list, tuple or dict is named by its place there: `blocks.0`, `heads.boxes`.
        """
        return ((name, value) for name, value in _kept(vars(self)) if isinstance(value, Module))

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their paths; one that is kept in several places comes once, with the first."""
        seen: set[Module] = set()
        stack: list[tuple[str, Module]] = [("", self)]
        while stack:
            path, module = stack.pop()
            if module in seen:
                continue
            seen.add(module)
            yield path, module
            stack += [(_joined(path, name), child) for name, child in module.children()][::-1]

    def layer_kinds(self) -> dict[str, str]:
        """The layers that a summary has rows for: the path of each module without parts, and its kind."""
        parts = ((path, module) for path, module in self.named_modules() if path)
        return {path: type(module).__name__ for path, module in parts if not list(module.children())}

    def named_parameters(self) -> dict[str, Parameter]:
        """Every parameter by its path, with the running statistics; one used twice is listed once."""
        found: dict[str, Parameter] = {}
        for path, parameter in _collect(self):
            if path in found:
                raise ModuleError(
                    f"{type(self).__name__}: two parameters have the path {path!r}; keep one under another name"
                )
            found[path] = parameter
        _name_parameters(self)
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
                parameter.initialize((require_seed(seed), number))

    def train(self, mode: bool = True) -> Module:
        """Switch to training: dropout drops and batch norm uses the batch's statistics.

        `with nn.inference_mode():` goes before what a network was switched to, and touches it for nobody else.
        """
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Switch to inference: dropout is the identity and batch norm uses running statistics."""
        return self.train(False)

    def state_dict(self) -> dict[str, Array]:
        """Copies of all values under PyTorch's names; what is kept in several places comes under the name of each."""
        self.named_parameters()
        return {name: parameter.value.copy() for name, parameter in parameter_places(self)}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True, leave: Collection[str] = ()) -> None:
        """Set values from arrays under PyTorch's names. Everything is checked before anything is set.

        With `strict=False` entries missing here or there are left out; a shape that differs is always an error. What
        `leave` names keeps its value, whatever `state` has for it. For a parameter that is kept in several places any
        of its names will do; several with values that differ are an error.
        """
        state, leave = under_one_name(self, state), under_one_name(self, dict.fromkeys(leave, 0))
        parameters = {n: p for n, p in self.named_parameters().items() if n not in leave}
        left_out = {*leave, *(n for n in state if n.endswith("num_batches_tracked"))}
        given = {n: as_array(n, v) for n, v in state.items() if n not in left_out}
        missing = [n for n in parameters if n not in given]
        unexpected = [n + suggest(n, missing) for n in given if n not in parameters]
        fit = {n: p for n, p in parameters.items() if n in given}
        shapes = [f"{n} is {given[n].shape}, expected {p.shape}" for n, p in fit.items() if given[n].shape != p.shape]
        faults = {"mis-shaped": "; ".join(shapes)} | unfit({n: (given[n], p.dtype) for n, p in fit.items()})
        if strict:
            faults |= {"missing": ", ".join(missing), "unexpected": ", ".join(unexpected)}
        if problems := [f"{words}: {told}" for words, told in faults.items() if told]:
            raise ModuleError(
                f"the weights do not fit {type(self).__name__}: {'. '.join(problems)}. Nothing was loaded"
            )
        for name, parameter in fit.items():
            parameter.value = given[name]

    def config(self) -> dict[str, Any]:
        """Plain arguments from which `nn.models.build(**config)` makes this network again."""
        config = self.card.config
        if config is None:
            raise ModuleError(f"{type(self).__name__} was not made by nn.models.build and has no configuration")
        return dict(config)

    def input_specs(self) -> tuple[InputSpec, ...]:
        """What the network takes, in order: the parameters of `forward`; none where that takes any number of tensors."""
        return specs_of(self.forward)

    def named_outputs(self, made: Any) -> dict[str, Tensor]:
        """The tensors that it gives, by `output_names`, or else the keys of a dict, or `out0`, `out1`, and so on."""
        found = named_tensors(made)
        names = distinct_names(self.output_names)
        return found if len(names) != len(found) else dict(zip(names, found.values(), strict=True))

    def summary(self, shape: Shapes | None = None, batch: int = 1) -> Summary:
        """Per layer: output shape, parameters, FLOPs, activation memory and receptive field.

        `shape` is that of the input without the batch axis, (C, H, W) of images, or whole shapes of several by name;
        unless given it is what the network says itself.
        """
        from pellucid.nn.summary import summarize

        return summarize(self, shape, batch)

    def graph(self, shape: tuple[int, ...], name: str = "x") -> Graph:
        """The network's graph for an input of `shape`, with the batch axis, and of the parameters' floating type."""
        return graph_on(self, {name: shape})

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}({self.describe()}"]
        lines += [f"  {name}: {child!r}".replace("\n", "\n  ") for name, child in self.children()]
        return "\n".join([*lines, ")"]) if len(lines) > 1 else lines[0] + ")"

    def describe(self) -> str:
        """The layer's settings, as text."""
        plain = (int, float, str, tuple)
        settings = {n: v for n, v in vars(self).items() if n not in HIDDEN and isinstance(v, plain)}
        return ", ".join(f"{name}={value!r}" for name, value in settings.items())


def _under(path: str, y: Any, inputs: Sequence[Tensor]) -> Any:
    """What a layer made, under the layer's own name; what it was given, and parameters, keep theirs."""
    made_here = isinstance(y, Tensor) and all(y is not x for x in inputs) and not isinstance(y, Parameter) and y.inputs
    return y.named(path) if made_here else y


HIDDEN = ("training", "_owner", "card")
"""Attributes of every module that say nothing of what it computes."""


def path_of(module: Module) -> str:
    """The path of a part of the network whose graph is being built; "" for the network itself and outside of that."""
    return _place(module)[0]


def order_of(module: Module) -> int:
    """The place of a part of the network whose graph is being built among all its parts."""
    return _place(module)[1]


def own_parameters(module: Module) -> Iterator[tuple[str, Parameter]]:
    """The parameters that attributes of `module` itself keep, with their names, as `Module.children` gives modules."""
    return ((name, value) for name, value in _kept(vars(module)) if isinstance(value, Parameter))


def _place(module: Module) -> tuple[str, int]:
    build = _BUILD.get()
    return ("", 0) if build is None else build.places.get(module, ("", 0))


def _build(net: Module, inputs: tuple[Tensor, ...]) -> Any:
    """The output of a network that is called by itself, not by another one: all that trains in it must be its own."""
    require_arity(type(net).__name__, net.forward, len(inputs))
    _name_parameters(net)
    build = _Build({module: (path, order) for order, (path, module) in enumerate(net.named_modules())})
    token = _BUILD.set(build)
    try:
        y: Any = net(*inputs)
    finally:
        _BUILD.reset(token)
    own = {parameter for _, parameter in _collect(_known_to(net) or net)}
    for parameter in _trainable(named_tensors(y).values(), inputs):
        if parameter not in own:
            raise ModuleError(
                f"{type(net).__name__}: its output depends on {build.foreign.get(parameter, parameter.name)!r} {parameter.shape}, "
                "a trainable parameter that is not part of the network and would be neither trained nor saved; keep it, or "
                "its layer, as an attribute of a layer, by itself or in a list, tuple or dict, or make it with trainable=False"
            )
    return y


def _collect(net: Module) -> Iterator[tuple[str, Parameter]]:
    """Every parameter by its path; one kept in several places comes once, with the first."""
    seen: set[Parameter] = set()
    for path, module in net.named_modules():
        for name, parameter in own_parameters(module):
            if parameter not in seen:
                seen.add(parameter)
                yield _joined(path, name), parameter


def parameter_places(net: Module) -> Iterator[tuple[str, Parameter]]:
    """Every parameter by its path, under each path if it is kept in several places."""
    stack: list[tuple[str, Module, tuple[Module, ...]]] = [("", net, ())]
    while stack:
        path, module, above = stack.pop()
        yield from ((_joined(path, name), parameter) for name, parameter in own_parameters(module))
        inside = (*above, module)
        stack += [(_joined(path, n), child, inside) for n, child in module.children() if child not in inside][::-1]


def under_one_name(net: Module, state: Mapping[str, Any]) -> dict[str, Any]:
    """`state` with the first name of each parameter of `net` that is kept in several places and given under any name."""
    first = {parameter: name for name, parameter in _collect(net)}
    names = {name: first[parameter] for name, parameter in parameter_places(net)}
    found: dict[str, Any] = {}
    for name in sorted(state, key=lambda name: names.get(name, name) != name):  # first names first
        known = names.get(name, name)
        if known in found and not np.array_equal(found[known], state[name], equal_nan=True):
            raise ModuleError(
                f"{name!r} and {known!r} are one parameter of {type(net).__name__}, but their values differ; "
                "leave one of them out. Nothing was loaded"
            )
        found.setdefault(known, state[name])
    return found


def _known_to(module: Module) -> Module | None:
    """The network that `module` is part of, if there is one that has named its parameters."""
    owner = None if module._owner is None else module._owner()  # pyright: ignore[reportPrivateUsage]
    if owner is None or owner is module:
        return None
    return owner if any(part is module for _, part in owner.named_modules()) else None


def _name_parameters(net: Module) -> None:
    """Give every parameter its path. What is part of a larger network keeps the names by which that one knows it."""
    if _known_to(net) is not None:
        return
    me = weakref.ref(net)
    for _, module in net.named_modules():
        module._owner = me  # pyright: ignore[reportPrivateUsage]
    for path, parameter in _collect(net):
        parameter.rename(path)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _kept(values: Mapping[Any, Any]) -> Iterator[tuple[str, Module | Parameter]]:
    """The modules and parameters among `values`, and in the lists, tuples and dicts among them, with their paths."""
    for name, value in tuple(values.items()):
        if isinstance(value, Module | Parameter):
            yield str(name), value
        elif isinstance(value, list | tuple | dict) and not PLAIN.issuperset(
            map(type, value.values() if isinstance(value, dict) else value)
        ):
            yield from _kept_within(str(name), value)


PLAIN = frozenset({bool, int, float, str, type(None)})
"""The types of a layer's settings, such as the two sides of a kernel: no layer or parameter is kept in them."""


def _kept_within(name: str, value: Any) -> Iterator[tuple[str, Module | Parameter]]:
    stack: list[tuple[str, Any, tuple[int, ...]]] = [(name, value, ())]
    while stack:
        name, value, around = stack.pop()
        if isinstance(value, Module | Parameter):
            yield name, value
        elif isinstance(value, list | tuple | dict) and id(value) not in around:
            items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
            stack += [(f"{name}.{key}", item, (*around, id(value))) for key, item in items][::-1]


def _trainable(outputs: Iterable[Tensor], inputs: Collection[Tensor]) -> Iterator[Parameter]:
    """The trainable parameters that `outputs` depend on, not through `inputs`."""
    stack, seen = list(outputs)[::-1], set(inputs)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, Parameter) and node.trainable:
            yield node
        stack += node.inputs[::-1]
