"""What goes wrong with detectors."""

from __future__ import annotations

from pellucid.errors import PellucidError


class DetectorError(PellucidError, ValueError):
    """A detector cannot be trained, read or used so."""
