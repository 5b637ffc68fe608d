"""What surrounds the making of nodes: the names of open scopes, what is frozen, and the updates that layers ask for."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from pellucid.errors import ShapeError

if TYPE_CHECKING:
    from pellucid.graph import Parameter, Tensor

_SCOPE: ContextVar[str] = ContextVar("scope", default="")
_FROZEN: ContextVar[Collection[Tensor]] = ContextVar("frozen", default=())
_UPDATES: ContextVar[dict[Parameter, Tensor] | None] = ContextVar("updates", default=None)


@contextlib.contextmanager
def scope(name: str) -> Generator[None]:
    """Nodes made inside are named `name/...`; scopes nest."""
    token = _SCOPE.set(_SCOPE.get() + name + "/" if name else _SCOPE.get())
    try:
        yield
    finally:
        _SCOPE.reset(token)


@contextlib.contextmanager
def root_scope() -> Generator[None]:
    """Nodes made inside are named from the root, whatever scopes are open."""
    token = _SCOPE.set("")
    try:
        yield
    finally:
        _SCOPE.reset(token)


@contextlib.contextmanager
def collect_updates() -> Generator[dict[Parameter, Tensor]]:
    """Collect what layers record with `record_update` (running statistics) while a graph is being built."""
    updates: dict[Parameter, Tensor] = {}
    token = _UPDATES.set(updates)
    try:
        yield updates
    finally:
        _UPDATES.reset(token)


@contextlib.contextmanager
def frozen(parameters: Collection[Parameter]) -> Generator[None]:
    """Layers called inside leave these parameters as they are: running statistics among them are used, not updated."""
    token = _FROZEN.set(frozenset(parameters))
    try:
        yield
    finally:
        _FROZEN.reset(token)


def any_frozen(*values: Tensor) -> bool:
    """Whether one of the values is a parameter that a scope of `frozen` keeps as it is."""
    return any(value in _FROZEN.get() for value in values)


def record_update(parameter: Parameter, value: Tensor) -> None:
    """Say that a training step must set `parameter` to `value`. Outside `collect_updates` it stays as it is."""
    updates = _UPDATES.get()
    if updates is not None and not any_frozen(parameter):
        if parameter.shape != value.shape or parameter.dtype != value.dtype:
            raise ShapeError(
                f"{parameter.name}: its update is {value.dtype}{value.shape}, the parameter {parameter.dtype}{parameter.shape}"
            )
        updates[parameter] = value


def qualified(name: str) -> str:
    """`name` below the open scopes."""
    return _SCOPE.get() + name
