"""What is wanted to be a network."""

from __future__ import annotations

from pathlib import Path

from pellucid.nn.errors import ModuleError
from pellucid.nn.module import Module


def require_net(net: object) -> None:
    """Raise `ModuleError` for what is no network; where one is near, the error says where."""
    if not isinstance(net, Module):
        raise ModuleError(f"net is a network, a pl.nn.Module, got {type(net).__name__}{_way(net)}")


def _way(given: object) -> str:
    """How a network comes of what was given, "" where none does."""
    if isinstance(getattr(given, "net", None), Module):
        return ": its network is .net"
    if isinstance(given, str | Path):
        return ": pl.open_model opens a run, a file or a model that it names, and .net is the network of that"
    if any(kind.__module__.startswith("torch.") for kind in type(given).__mro__):
        return ": pl.from_torch makes a network of a PyTorch one"
    if isinstance(given, type) and issubclass(given, Module):
        return f" {given.__name__}: make one of the class first, {given.__name__}(...)"
    return ""
