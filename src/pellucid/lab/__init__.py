"""The lab: the rooms of the lecture in a browser, over the same questions that Python and the command line ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.lazily import lazy_names

if TYPE_CHECKING:
    from pellucid.lab.holdings import Library
    from pellucid.lab.notebook import widget
    from pellucid.lab.place import LabError
    from pellucid.lab.server import serve

__all__ = ["LabError", "Library", "serve", "widget"]

_LAZY = {"LabError": "place", "Library": "holdings", "serve": "server", "widget": "notebook"}
"""Where each public name is: a process that trains needs none of them."""


__getattr__ = lazy_names(__name__, _LAZY)
