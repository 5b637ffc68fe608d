"""Descent over functions of two variables: the surface as a map, and optimizers that walk down it from one start."""

from __future__ import annotations

from pellucid.studies.descent.presets import PRESETS, Preset
from pellucid.studies.descent.race import Descent, Walk, descend, optimizer_names
from pellucid.studies.descent.surface import DescentError, Surface, surface

__all__ = ["PRESETS", "Descent", "DescentError", "Preset", "Surface", "Walk", "descend", "optimizer_names", "surface"]
