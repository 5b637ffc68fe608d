"""What layers check of their settings and inputs."""

from __future__ import annotations

from pellucid.errors import ShapeError
from pellucid.graph import Tensor
from pellucid.nn.errors import ModuleError
from pellucid.nn.module import Module, path_of


def positive(layer: str, **sizes: int) -> None:
    """Raise `ModuleError` for a size below 1."""
    for name, value in sizes.items():
        if value < 1:
            raise ModuleError(f"{layer}: {name} must be at least 1, got {value}")


def called(layer: Module) -> str:
    """What messages call a layer: its path in the network, or its kind."""
    return path_of(layer) or type(layer).__name__


def want_channels(layer: Module, x: Tensor, channels: int) -> None:
    """Raise `ShapeError` unless x (N, C, ...) has so many channels."""
    if x.ndim < 2 or x.shape[1] != channels:
        got = x.shape[1] if x.ndim > 1 else x.shape
        raise ShapeError(f"{called(layer)}: wants {channels} input channels, got {got} (from {x.name!r})")
