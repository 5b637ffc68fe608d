"""What surrounds the making of nodes: open scopes, training or inference, what is frozen, the updates that layers ask for."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from pellucid.errors import GraphError, ShapeError

if TYPE_CHECKING:
    from pellucid.graph import Parameter, Tensor

_SCOPE: ContextVar[str] = ContextVar("scope", default="")
_FROZEN: ContextVar[Collection[Tensor]] = ContextVar("frozen", default=())
_TRAINING: ContextVar[bool | None] = ContextVar("training", default=None)
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
def inference_mode() -> Generator[None]:
    """Networks called inside compute as in inference, whatever they are switched to; nothing is switched on them."""
    with _mode(False):
        yield


@contextlib.contextmanager
def training_mode() -> Generator[None]:
    """Networks called inside compute as in training, whatever they are switched to; nothing is switched on them."""
    with _mode(True):
        yield


@contextlib.contextmanager
def _mode(training: bool) -> Generator[None]:
    token = _TRAINING.set(training)
    try:
        yield
    finally:
        _TRAINING.reset(token)


def current_mode() -> bool | None:
    """Whether training or inference is asked for here; None where each layer is in the mode that it was switched to."""
    return _TRAINING.get()


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
    """Say that a training step must set `parameter` to `value`. Outside `collect_updates` it stays as it is.

    A layer that is called twice in a step goes on from `latest(parameter)`, else its first call is lost.
    """
    updates = _UPDATES.get()
    if updates is not None and not any_frozen(parameter):
        if parameter.shape != value.shape or parameter.dtype != value.dtype:
            raise ShapeError(
                f"{parameter.name}: its update is {value.dtype}{value.shape}, the parameter {parameter.dtype}{parameter.shape}"
            )
        updates[parameter] = value


def latest(parameter: Parameter) -> Tensor:
    """What `parameter` will be after the updates that were recorded so far: itself as long as there is none."""
    updates = _UPDATES.get()
    return parameter if updates is None else updates.get(parameter, parameter)


def qualified(name: str) -> str:
    """`name` below the open scopes; a `GraphError` for what is no text."""
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise GraphError(f"a name is a text, got {name!r:.60}")
    return _SCOPE.get() + name
