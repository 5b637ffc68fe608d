"""Templates of composites: what one is made of, compared with the nodes of a graph, and its arguments read off there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np

from pellucid.errors import PellucidError
from pellucid.graph import Constant, Input, Tensor, input
from pellucid.op import Op, Shape
from pellucid.scopes import root_scope

O = TypeVar("O", bound=Op)  # noqa: E741
Bindings = dict[Tensor, Tensor]
"""For each node of a template the node of the graph that it stands for."""


@dataclass(frozen=True)
class Match:
    """A composite found in a graph: `root` is its output, `inside` the nodes it is made of, without its inputs."""

    name: str
    root: Tensor
    tensors: Mapping[str, Tensor]
    """The composite's tensor arguments."""
    attributes: Mapping[str, Any]
    """Its other arguments."""
    inside: frozenset[Tensor]


class TemplateMatch:
    """What a template's first comparison has found, for reading arguments off."""

    def __init__(self, bound: Bindings, tensors: Mapping[str, Tensor], root: Tensor) -> None:
        self.bound = bound
        self.tensors = tensors
        self.root = root

    def op(self, kind: type[O], number: int = 0) -> O:
        """The graph's op where the template has its `number`-th of this kind."""
        return [node.op for node in self.bound.values() if isinstance(node.op, kind)][number]

    def value(self, probe: float) -> float:
        """The number that the graph has where the template has `probe`."""
        for template, node in self.bound.items():
            if isinstance(template.op, Constant) and isinstance(node.op, Constant) and node.size == 1:
                value = template.op.value
                if value.size == 1 and value.item() == np.asarray(probe, value.dtype):
                    return float(node.op.value.item())
        raise LookupError(f"the template has no constant {probe}")


Recover = Callable[[TemplateMatch], dict[str, Any]]


@dataclass(frozen=True)
class Pattern:
    """How one form of a composite is found.

    `shapes` are those of the placeholders in the template, any that give the form; `probes` are arguments by which the
    template is made, numbers among them unlike any other in it; `recover` gives the arguments that the graph has.
    """

    name: str
    call: Callable[..., Tensor]
    shapes: Mapping[str, Shape]
    probes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    recover: Recover = lambda found: {}
    dtypes: Mapping[str, str] = field(default_factory=dict[str, str])
    """Element types of placeholders that are not float32."""

    @property
    def root(self) -> type[Op]:
        """The kind of op that gives the composite's output."""
        return type(self.template[0].op)

    @cached_property
    def template(self) -> tuple[Tensor, dict[str, Tensor]]:
        """The composite called on placeholders, and these by name."""
        return self._built({n: (shape, self.dtypes.get(n, "float32")) for n, shape in self.shapes.items()}, self.probes)

    def _built(
        self, kinds: Mapping[str, tuple[Shape, str]], attributes: Mapping[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with root_scope():
            tensors = {n: input(shape, dtype, n) for n, (shape, dtype) in kinds.items()}
            return self.call(**tensors, **attributes), tensors

    def find(self, node: Tensor) -> Match | None:
        """The composite whose output `node` is, if it is one of this form."""
        template, holes = self.template
        loose = unify(template, node, holes.values(), loosely=True)
        if loose is None:
            return None
        tensors = {name: loose[hole] for name, hole in holes.items() if hole in loose}
        if len(tensors) < len(holes):
            return None
        try:
            attributes = self.recover(TemplateMatch(loose, tensors, node))
            exact, places = self._built({n: (t.shape, t.dtype) for n, t in tensors.items()}, attributes)
        except (PellucidError, LookupError, ValueError):  # arguments that the composite would not take
            return None
        bound = unify(exact, node, places.values())
        if bound is None or any(bound.get(places[n]) is not t for n, t in tensors.items()):
            return None
        free = set(places.values())
        inside = frozenset(n for t, n in bound.items() if t not in free)
        return Match(self.name, node, tensors, attributes, inside)


class Form(Protocol):
    """A way in which something can be made: `find` gives what `node`, an output of an op of the kind `root`, is made as."""

    @property
    def root(self) -> type[Op]: ...

    def find(self, node: Tensor) -> Match | None: ...


def unify(template: Tensor, node: Tensor, holes: Iterable[Tensor], loosely: bool = False) -> Bindings | None:
    """What each node of `template` stands for, if `node` is made the same way; any tensor fits into `holes`.

    Ops, constants, shapes and element types must be equal; `loosely` only kinds of ops.
    """
    free = set(holes)
    bound: Bindings = {}
    open_pairs = [(template, node)]
    while open_pairs:
        left, right = open_pairs.pop()
        if left in bound:
            if bound[left] is not right:
                return None
            continue
        if left in free:
            same = loosely or (left.shape, left.dtype) == (right.shape, right.dtype)
        elif loosely:
            same = type(left.op) is type(right.op) and len(left.inputs) == len(right.inputs)
        else:
            same = (left.op, left.shape, left.dtype) == (right.op, right.shape, right.dtype)
        if not same or (isinstance(left.op, Input) and left not in free):
            return None
        bound[left] = right
        if left not in free:
            open_pairs.extend(zip(reversed(left.inputs), reversed(right.inputs), strict=True))
    return bound
