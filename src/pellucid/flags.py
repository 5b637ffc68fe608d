"""What a call gave for yes or no. Python's and NumPy's bools are taken, and 1 and 0; texts, None and arrays are not."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.errors import GraphError


def flag(name: str, what: str, value: Any, raises: type[Exception] = GraphError) -> bool:
    """A yes or no that a call of `name` gave for `what`, as a bool, or an error that `raises`: "False" is no False."""
    if isinstance(value, bool | np.bool_) or (isinstance(value, int | np.integer) and value in (0, 1)):
        return bool(value)
    raise raises(f"{name}: {what} must be True or False, got {value!r:.60}")
