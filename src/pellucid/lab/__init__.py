"""The lab: the rooms of the lecture in a browser, over the same questions that Python and the command line ask."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.lab.holdings import Library
    from pellucid.lab.notebook import widget
    from pellucid.lab.place import LabError
    from pellucid.lab.server import serve

__all__ = ["LabError", "Library", "serve", "widget"]

_LAZY = {"LabError": "place", "Library": "holdings", "serve": "server", "widget": "notebook"}
"""Where each public name is: a process that trains needs none of them."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'pellucid.lab' has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
