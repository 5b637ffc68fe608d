"""The error of layers and networks."""

from __future__ import annotations

from pellucid.errors import PellucidError


class ModuleError(PellucidError, ValueError):
    """A layer or network was built, called or loaded with something that does not fit."""
