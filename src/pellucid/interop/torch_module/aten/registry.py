"""The register of PyTorch's operators: the function that makes the same of our tensors, with PyTorch's arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pellucid.graph import Tensor
from pellucid.nn.errors import ModuleError
from pellucid.ops.comparison import cast

Operator = Callable[..., Any]
F = TypeVar("F", bound=Operator)

OPERATORS: dict[str, Operator] = {}
"""By PyTorch's name, such as `aten.conv2d.default`."""

RANDOM: set[str] = set()
"""Operators that take a `draw` too: a function of a shape that gives uniform random numbers."""


def aten(*names: str, random: bool = False) -> Callable[[F], F]:
    """Register a function under PyTorch's names."""

    def register(function: F) -> F:
        for name in names:
            OPERATORS[f"aten.{name}"] = function
            if random:
                RANDOM.add(f"aten.{name}")
        return function

    return register


def alike(*values: Any) -> list[Any]:
    """The values in the element type in which PyTorch would compute with them together."""
    dtypes = {v.dtype for v in values if isinstance(v, Tensor)}
    if "float64" in dtypes or "float32" in dtypes:
        wide = "float64" if "float64" in dtypes else "float32"
    elif any(isinstance(v, float) for v in values):
        wide = "float32"
    else:
        whole = "int64" in dtypes or any(isinstance(v, int) and not isinstance(v, bool) for v in values)
        wide = "int64" if whole else "bool"
    return [cast(v, wide) if isinstance(v, Tensor) else v for v in values]


def require(holds: bool, what: str) -> None:
    """Raise `ModuleError` unless `holds`: PyTorch can do `what`, this conversion cannot."""
    if not holds:
        raise ModuleError(f"from_torch: {what} is not converted")
