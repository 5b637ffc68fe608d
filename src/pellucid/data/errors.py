"""What goes wrong with data."""

from __future__ import annotations

from pellucid.screen import visible


class DataError(ValueError):
    """Data cannot be read or used; the message names the files and says what to do."""

    def __str__(self) -> str:
        return visible(super().__str__())
