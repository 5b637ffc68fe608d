"""The two loops of selective search as compiled code, where it was built; both are written in Python as well."""

from __future__ import annotations

from typing import Any


def compiled() -> Any | None:
    """The compiled module, or None where it is not there and Python does the work, which takes some ten times as long."""
    from pellucid.executors import default_executor

    if default_executor() != "native":
        return None
    from pellucid.executors.compiled import _native

    return _native
