"""The error of an approximation that cannot be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from pellucid.studies.approximation.result import Approximation


class ApproximationError(PellucidError, ValueError):
    """A function cannot be approximated as asked; `best` is the closest network found, if one was made."""

    best: Approximation | None = None
