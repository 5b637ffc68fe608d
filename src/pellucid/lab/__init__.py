"""The lab: the rooms of the lecture in a browser, over the same questions that Python and the command line ask."""

from __future__ import annotations

from pellucid.lab.holdings import Library
from pellucid.lab.notebook import widget
from pellucid.lab.server import LabError, serve

__all__ = ["LabError", "Library", "serve", "widget"]
