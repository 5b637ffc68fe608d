"""What a family of kernels gives: for each op the function that adds its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from pellucid.executors.compiled import _native
from pellucid.executors.plan.builder import Builder
from pellucid.graph import Tensor
from pellucid.op import Op

Lowering = Callable[[Builder, Tensor, Any], bool]
"""Given the builder, the node and its op (of a fused node that of its core): whether the steps were added."""
Family = dict[type[Op], Lowering]


def of_floats(lowering: Lowering) -> Lowering:
    """The lowering where all that a node reads and is are float32, and nothing is empty."""

    def lower(to: Builder, node: Tensor, op: Op) -> bool:
        able = all(t.dtype == "float32" and t.size for t in (node, *node.inputs))
        return able and lowering(to, node, op)

    return lower


class Made(Protocol):
    """What oneDNN made ready, and by which kernel it will be computed."""

    @property
    def implementation(self) -> str: ...


Way = TypeVar("Way")
Kernel = TypeVar("Kernel", bound=Made)


def first_fast(make: Callable[[Way], Kernel], ways: Iterable[Way]) -> tuple[Way, Kernel] | None:
    """The first way for which oneDNN has a kernel that is not generic, with what it made; else the first that it takes."""
    found: tuple[Way, Kernel] | None = None
    for way in ways:
        try:
            made = make(way)
        except _native.StepError:
            continue
        if not is_generic(made.implementation):
            return way, made
        found = found or (way, made)
    return found


def is_generic(implementation: str) -> bool:
    """Whether a kernel of oneDNN's is one for any case, a hundred times slower than one made for this processor."""
    return implementation.startswith(("ref", "simple", "gemm:ref"))
