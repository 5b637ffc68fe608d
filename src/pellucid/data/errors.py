"""What goes wrong with data."""

from __future__ import annotations

from pellucid.errors import PellucidError


class DataError(PellucidError, ValueError):
    """Data cannot be read or used; the message names the files and says what to do."""
