"""What a network takes and gives: names of inputs and outputs and, where the network says it, shapes and element types."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pellucid.errors import GraphError
from pellucid.graph import Graph, Tensor, input
from pellucid.nn.errors import ModuleError
from pellucid.text import amount

if TYPE_CHECKING:
    from pellucid.nn.module import Module

INPUT = "image"
"""What the input of a network with one input is called in its graph where it has four axes, as pictures have."""


Shapes = tuple[int, ...] | Mapping[str, tuple[int, ...]]
"""The shape of a network's only input without the batch axis, or those of several by name, whole."""


@dataclass(frozen=True)
class InputSpec:
    """One input of a network: its name, its shape with the batch axis (None: any), its element type ("": floating).

    One that is `optional` may be left out.
    """

    name: str
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    optional: bool = False

    def __str__(self) -> str:
        return " ".join(filter(None, (self.name, self.dtype, "" if self.shape is None else str(self.shape))))


Taken = TypeVar("Taken", Tensor, InputSpec)


def specs_of(forward: Callable[..., Any]) -> tuple[InputSpec, ...]:
    """The inputs of a function of tensors, which are its parameters; none where it takes any number of them."""
    parameters = inspect.signature(forward).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return ()
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(InputSpec(p.name, optional=p.default is not p.empty) for p in parameters if p.kind in by_place)


def require_arity(what: str, forward: Callable[..., Any], given: int) -> None:
    """Raise `ModuleError` where a function of tensors does not take so many."""
    specs = specs_of(forward)
    required = sum(not s.optional for s in specs)
    if specs and not required <= given <= len(specs):
        raise ModuleError(f"{what}: takes {amount(required, 'input')} ({', '.join(map(str, specs))}), got {given}")


def named_tensors(made: Any) -> dict[str, Tensor]:
    """The tensors of what a network gives: one, or several in tuples, lists and dicts, named by their places there."""
    found: dict[str, Tensor] = {}
    stack: list[tuple[str, Any]] = [("", made)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, Tensor):
            found[path or "out0"] = value
        elif isinstance(value, Mapping | list | tuple):
            some: Mapping[Any, Any] = value if isinstance(value, Mapping) else dict(enumerate(value))
            first = "" if isinstance(value, Mapping) else "out"
            stack += [(f"{path}.{k}" if path else f"{first}{k}", each) for k, each in some.items()][::-1]
    return found


def name_in_graph(specs: tuple[InputSpec, ...], shape: tuple[int, ...]) -> str:
    """What the only input of a network is called in its graph."""
    return INPUT if len(shape) == 4 or not specs else specs[0].name


def main_input(inputs: Iterable[Taken]) -> Taken:
    """Of several inputs the picture, or what stands for one: the first with more than one axis, floating and pictures first."""

    def last(end: Taken) -> tuple[bool, bool, bool]:
        axes = len(end.shape or ())
        return axes < 2, end.dtype in ("int64", "bool"), axes < 4

    ranked = sorted(inputs, key=last)
    if not ranked:
        raise GraphError("what the network computes depends on no picture or other input")
    return ranked[0]


def floating_type(net: Module, otherwise: str = "float32") -> str:
    """The floating type of the parameters, or what it is where none is floating."""
    return next((p.dtype for p in net.named_parameters().values() if p.dtype.startswith("float")), otherwise)


def shapes_of(net: Module, shapes: Shapes | None, batch: int = 1) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's inputs, with batch axes, by name.

    One shape is that of the only input without the batch axis, shapes by name are whole; unless given they are those that
    the network states, or that it was made for. Raises `ModuleError` where it knows none.
    """
    if isinstance(shapes, Mapping):
        return {name: tuple(shape) for name, shape in shapes.items()}
    specs, config = net.input_specs(), net.card.config or {}
    required = [s for s in specs if not s.optional]
    if shapes is None and required and all(s.shape is not None for s in required):
        return {s.name: s.shape for s in required if s.shape is not None}
    if shapes is None and "image_size" in config:
        shapes = (config["in_channels"], config["image_size"], config["image_size"])
    if shapes is None or len(required) > 1:
        wanted = (
            "shape=(C, H, W)"
            if len(required) < 2
            else f"shapes by name, {{{', '.join(f'{s.name!r}: (1, ...)' for s in required)}}}"
        )
        raise ModuleError(f"{type(net).__name__}: does not say the sizes of its inputs; give {wanted}")
    if not isinstance(shapes, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ModuleError(
            f"{type(net).__name__}: the shape of its input is numbers such as (3, 32, 32), got {shapes!r:.60}"
        )
    return {"input": (batch, *shapes)}


def graph_on(net: Module, shapes: Mapping[str, tuple[int, ...]], dtypes: str | Mapping[str, str] = "") -> Graph:
    """The graph of `net` for inputs by name, in order; see `outputs_on`."""
    return Graph(outputs_on(net, shapes, dtypes))


def outputs_on(
    net: Module, shapes: Mapping[str, tuple[int, ...]], dtypes: str | Mapping[str, str] = ""
) -> dict[str, Tensor]:
    """What `net` gives for inputs by name, in order, by the outputs' names.

    An input is of the type that `dtypes` says, for all or by name, else of the one that the network states, else of the
    parameters' floating type.
    """
    floating, specs = floating_type(net), net.input_specs()
    types = {name: dtypes if isinstance(dtypes, str) else dtypes.get(name, "") for name in shapes}
    stated = {**dict.fromkeys(range(len(shapes)), ""), **{k: s.dtype for k, s in enumerate(specs)}}
    wanted = [own or stated[k] or floating for k, own in enumerate(types.values())]
    made = net(*[input(shape, dtype, name) for (name, shape), dtype in zip(shapes.items(), wanted, strict=True)])
    return net.named_outputs(made)
