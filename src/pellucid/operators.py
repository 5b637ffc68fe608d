"""What `a + b`, `a[0]` or `a.sum()` mean for tensors: each operator calls the function registered under its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.graph import Tensor

FUNCTIONS: dict[str, Callable[..., Tensor]] = {}
"""What the operators stand for; `pellucid.ops` fills it, so that this module needs to know no op."""


def operator(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make `function` available to Tensor's operators and methods under its own name."""
    FUNCTIONS[function.__name__] = function
    return function


def _call(name: str, *arguments: Any) -> Tensor:
    return FUNCTIONS[name](*arguments)


class Operators:
    """Python's operators and the array methods of a tensor, under NumPy's rules."""

    __slots__ = ()

    def __add__(self, other: Any) -> Tensor:
        return _call("add", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return _call("add", other, self)

    def __sub__(self, other: Any) -> Tensor:
        return _call("subtract", self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return _call("subtract", other, self)

    def __mul__(self, other: Any) -> Tensor:
        return _call("multiply", self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return _call("multiply", other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return _call("divide", self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return _call("divide", other, self)

    def __pow__(self, other: Any) -> Tensor:
        return _call("power", self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return _call("power", other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return _call("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return _call("matmul", other, self)

    def __neg__(self) -> Tensor:
        return _call("negative", self)

    def __abs__(self) -> Tensor:
        return _call("absolute", self)

    def __lt__(self, other: Any) -> Tensor:
        return _call("less", self, other)

    def __le__(self, other: Any) -> Tensor:
        return _call("less_equal", self, other)

    def __gt__(self, other: Any) -> Tensor:
        return _call("greater", self, other)

    def __ge__(self, other: Any) -> Tensor:
        return _call("greater_equal", self, other)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return _call("equal", self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return _call("not_equal", self, other)

    def __getitem__(self, key: Any) -> Tensor:
        return _call("index", self, key)

    def sum(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """Sum over `axis` (all axes by default)."""
        return _call("sum", self, axis, keepdims)

    def mean(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """Mean over `axis` (all axes by default)."""
        return _call("mean", self, axis, keepdims)

    def max(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """Maximum over `axis` (all axes by default)."""
        return _call("max", self, axis, keepdims)

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in row-major order under another shape; one -1 is worked out."""
        return _call("reshape", self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)

    def transpose(self, *axes: int) -> Tensor:
        """Axes in another order (reversed by default)."""
        return _call("transpose", self, axes or None)

    @property
    def T(self) -> Tensor:
        """Axes reversed."""
        return _call("transpose", self, None)
