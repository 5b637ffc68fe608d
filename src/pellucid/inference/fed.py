"""One example as a network takes it: arrays for each of its inputs, brought to the shapes and types that it wants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.errors import PellucidError, suggest
from pellucid.graph import Graph, Tensor
from pellucid.inference.ready import Ready, ReadyGraph
from pellucid.inference.target import ScoreError
from pellucid.nn import Module
from pellucid.nn.interface import INPUT, InputSpec, Shapes, floating_type, main_input, name_in_graph, shapes_of
from pellucid.op import Array, Shape, as_dtype
from pellucid.seeds import random_numbers

Given = npt.ArrayLike | Mapping[str, npt.ArrayLike]
"""What somebody gives for a network's inputs: an array, or for several inputs arrays by name."""


class InputError(ScoreError):
    """What is given for a network's inputs does not fit them."""


@dataclass(frozen=True, eq=False)
class Fed:
    """A network's graph for one example, and the example: `arrays` by the names of the graph's inputs, with batch axes.

    `own_names` are those that the network itself has for them.
    """

    ready: ReadyGraph
    arrays: Mapping[str, Array]
    own_names: tuple[str, ...]

    @property
    def inputs(self) -> dict[str, Tensor]:
        """The graph's inputs by the names that the network has for them."""
        own = dict(zip(self.arrays, self.own_names, strict=True))
        return {own[node.name]: node for node in self.ready.graph.inputs}

    def feeds(self, wanted: Iterable[Tensor] | None = None) -> dict[Tensor, Array]:
        """What to feed the graph's inputs, or those among `wanted`, the inputs of a program."""
        inputs = self.ready.graph.inputs
        asked = set(inputs if wanted is None else wanted)
        return {node: self.arrays[node.name] for node in inputs if node in asked}

    def called_as(self, net: Module) -> dict[str, Array]:
        """The example for another network: arrays under the names that it has for its inputs, in their order."""
        own = [s.name for s in net.input_specs()]
        return {own[k] if k < len(own) else name: array for k, (name, array) in enumerate(self.arrays.items())}

    @property
    def main(self) -> Tensor:
        """The picture, or the input that stands for one; the first of several in the order in which the network takes them."""
        order = list(self.arrays)
        return main_input(sorted(self.ready.graph.inputs, key=lambda node: order.index(node.name)))


def feed(ready: Ready, given: Given, what: str) -> Fed:
    """The example that is `given`, an array or, of a network with several inputs, arrays by name.

    Each has the shape that the network takes, with or without the batch axis of one. Of a network that does not say its
    shapes an array whose first axis is 1 has the batch axis already, if the graph can be built for it so. Floating
    numbers are brought to the network's type, whole numbers stay whole numbers. `what` is asked, for messages; what does
    not fit is an `InputError` that says which inputs the network takes.
    """
    specs = ready.net.input_specs()
    arrays = _typed(what, ready, specs, _by_name(what, specs, given))
    shaped, found = arrays, None
    for shaped in _candidates(what, specs, arrays):
        shapes = {name: array.shape for name, array in shaped.items()}
        try:
            graph = ready.graph(shapes, {name: str(array.dtype) for name, array in shaped.items()})
        except PellucidError as error:
            found = found or error
        else:
            if not graph.graph.inputs:
                raise InputError(f"{what}: what the network computes depends on no picture or other input")
            return Fed(graph, shaped, tuple(arrays))
    assert found is not None
    stated = {s.name: s.shape for s in specs if s.shape is not None}
    if any(name in stated and array.shape[1:] != stated[name][1:] for name, array in shaped.items()):
        raise InputError(f"{what}: got {_told(arrays)}, the network states {_expected(specs)}; {found}") from found
    if len(arrays) > 1 and not stated:
        raise InputError(
            f"{what}: got {_told(arrays)}, which the network cannot take for one example; {found}"
        ) from found
    raise found


def random_example(net: Module, shapes: Shapes | None, seed: int) -> dict[str, Array]:
    """An example of shapes as `Module.summary` takes them: normal numbers for each input, and zeros for whole ones."""
    specs = net.input_specs()
    generator, floating = random_numbers(seed), floating_type(net)
    found: dict[str, Array] = {}
    for k, (name, shape) in enumerate(shapes_of(net, shapes).items()):
        name, dtype = (specs[k].name, specs[k].dtype) if k < len(specs) else (name, "")
        found[name] = _some_numbers(generator, shape, dtype or floating)
    return found


def example_feeds(graph: Graph) -> dict[Tensor, Array]:
    """Something to feed a graph: normal numbers for images, 0 for labels and steps, a small learning rate."""
    generator = np.random.default_rng(0)

    def example(node: Tensor) -> Array:
        small = node.dtype.startswith("float") and not node.shape
        return np.asarray(1e-3, node.dtype) if small else _some_numbers(generator, node.shape, node.dtype)

    return {node: example(node) for node in graph.inputs}


def _some_numbers(generator: np.random.Generator, shape: Shape, dtype: str) -> Array:
    if not dtype.startswith("float"):
        return np.zeros(shape, dtype)
    return np.asarray(generator.standard_normal(shape, np.float64 if dtype == "float64" else np.float32))


def run_network(net: Module, given: Given, executor: str = "auto") -> dict[str, Array]:
    """What a network gives in inference for one example, an array or arrays by name: its outputs by name."""
    ready = Ready(net, executor)
    fed = feed(ready, given, "predict")
    program = fed.ready.program(ready.setting, fed.ready.graph.outputs)
    return dict(zip(fed.ready.outputs, program(fed.feeds(program.graph.inputs)), strict=True))


def _by_name(what: str, specs: tuple[InputSpec, ...], given: Given) -> dict[str, Any]:
    """What is given for each input, in the order in which the network takes them."""
    required = [s.name for s in specs if not s.optional]
    if not isinstance(given, Mapping):
        if len(required) > 1:
            raise InputError(
                f"{what}: the network takes {len(required)} inputs, give arrays by name: "
                f"{{{', '.join(f'{n!r}: ...' for n in required)}}}; it wants {_expected(specs)}"
            )
        return {specs[0].name if specs else INPUT: given}
    named = dict(given)
    if not specs:
        return named
    if len(required) <= 1 and list(named) == [INPUT] and INPUT not in required:
        named = {specs[0].name: named[INPUT]}
    known = [s.name for s in specs]
    unknown = [n for n in named if n not in known]
    if unknown:
        raise InputError(
            f"{what}: no input is called {unknown[0]!r}{suggest(str(unknown[0]), known)}; the network takes {_expected(specs)}"
        )
    last = max((k for k, n in enumerate(known) if n in named), default=0)
    missing = [s.name for k, s in enumerate(specs) if s.name not in named and (not s.optional or k < last)]
    if missing:
        raise InputError(f"{what}: nothing is given for {', '.join(missing)}; the network takes {_expected(specs)}")
    return {n: named[n] for n in known if n in named}


def _typed(what: str, ready: Ready, specs: tuple[InputSpec, ...], given: Mapping[str, Any]) -> dict[str, Array]:
    """Arrays of types that are computed with: that which the network states, or its floating type; or whole numbers."""
    stated = {s.name: s.dtype for s in specs}
    arrays: dict[str, Array] = {}
    for name, value in given.items():
        try:
            arrays[name] = np.asarray(value)
        except ValueError as error:
            raise InputError(f"{what}: {name} is no array of numbers ({error})") from error
    double = any(a.dtype == np.float64 for a in arrays.values())
    floating = ready.floating or ("float64" if double else "float32")
    return {n: _as_type(what, n, a, stated.get(n, "") or _usual(a, floating)) for n, a in arrays.items()}


def _usual(array: Array, floating: str) -> str:
    """The type of an array for a network that does not state one; bytes are pixels, not numbers to look up."""
    if array.dtype == bool:
        return "bool"
    return "int64" if array.dtype.kind in "iu" and array.dtype != np.uint8 else floating


def _as_type(what: str, name: str, array: Array, dtype: str) -> Array:
    kinds = {"f": "f", "i": "iu", "b": "b"}[dtype[0]]
    if array.dtype.kind not in kinds:
        wanted = (
            "pictures, float (C, H, W), or what else it takes as "
            if kinds == "f"
            else "whole numbers, " * (kinds == "iu")
        )
        raise InputError(
            f"{what}: wants {wanted}{dtype} for {name!r}, got {array.dtype} {array.shape}; "
            "pl.data.Preprocessing makes pictures into the network's input, astype numbers"
        )
    found, lost = as_dtype(array, dtype)
    if lost is not None:
        advice = "whole numbers go up to 2^63 - 1" if dtype == "int64" else "scale it"
        raise InputError(f"{what}: {name!r} has {lost}, which does not fit into {dtype}; {advice}")
    return found


def _candidates(what: str, specs: tuple[InputSpec, ...], arrays: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """Ways to take the arrays for one example, the likeliest first."""
    stated = {s.name: s.shape for s in specs if s.shape is not None}
    alone = len(arrays) == 1

    def called(found: Mapping[str, Array]) -> dict[str, Array]:
        return {name_in_graph(specs, a.shape) if alone else n: a for n, a in found.items()}

    if all(name in stated for name in arrays):
        yield called({name: _as_stated(what, name, array, stated[name]) for name, array in arrays.items()})
        return
    one = [array.shape[0] == 1 for array in arrays.values() if array.ndim]
    with_axis = {name: array[None] if array.ndim else array for name, array in arrays.items()}
    gray = (
        alone and next(iter(arrays.values())).ndim == 3 and any(one)
    )  # a picture (1, H, W), before it is a batch (1, C, L)
    if gray:
        yield called(with_axis)
    if any(one) or not one:
        yield called(arrays)
    elif alone and next(iter(arrays.values())).ndim == 4:
        (array,) = arrays.values()
        raise InputError(f"{what}: wants one picture (C, H, W) or (1, C, H, W), got {array.dtype} {array.shape}")
    if not gray:
        yield called(with_axis)


def _as_stated(what: str, name: str, array: Array, shape: Shape) -> Array:
    """An array with as many axes as the network states for the input, the first of which counts examples."""
    full = array[None] if array.ndim + 1 == len(shape) and shape[0] == 1 else array
    if full.ndim != len(shape) or (shape and shape[0] == 1 and full.shape[0] != 1):
        raise InputError(f"{what}: {name!r} wants one example, {shape} or without its first axis, got {array.shape}")
    return full


def _expected(specs: Iterable[InputSpec]) -> str:
    return ", ".join(f"{s}{' (may be left out)' if s.optional else ''}" for s in specs)


def _told(arrays: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in arrays.items())
