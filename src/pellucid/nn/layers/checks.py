"""What layers check of their settings and inputs."""

from __future__ import annotations

from pellucid.errors import ShapeError
from pellucid.graph import Tensor
from pellucid.nn.errors import ModuleError
from pellucid.nn.module import Module, path_of
from pellucid.real_numbers import real
from pellucid.whole_numbers import whole


def positive(layer: str, **sizes: int) -> tuple[int, ...]:
    """The sizes as ints, or a `ModuleError` for one that is no whole number, or below 1."""
    return tuple(whole(layer, name, value, 1, ModuleError) for name, value in sizes.items())


def finite(layer: str, **settings: float) -> tuple[float, ...]:
    """The settings as floats, or a `ModuleError` for one that is no finite number."""
    return tuple(real(layer, name, value, raises=ModuleError) for name, value in settings.items())


def called(layer: Module) -> str:
    """What messages call a layer: its path in the network, or its kind."""
    return path_of(layer) or type(layer).__name__


def want_channels(layer: Module, x: Tensor, channels: int) -> None:
    """Raise `ShapeError` unless x (N, C, ...) has so many channels."""
    if x.ndim < 2 or x.shape[1] != channels:
        got = x.shape[1] if x.ndim > 1 else x.shape
        raise ShapeError(f"{called(layer)}: wants {channels} input channels, got {got} (from {x.name!r})")
