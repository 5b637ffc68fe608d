"""How often the value of any parameter was made or changed, so that who has seen the number need not look again."""

from __future__ import annotations

import threading

_lock = threading.Lock()
_count = 0


def note_change() -> None:
    """Say that the value of a parameter was made or changed."""
    global _count
    with _lock:
        _count += 1


def parameter_changes() -> int:
    """Grows with every change of any parameter."""
    return _count
