"""How hypothesis searches: `make test` looks at the same examples every time, `make soak` at random at twenty times as many."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("soak", derandomize=False, deadline=None, print_blob=True)
_TIMES = 20


def examples(count: int) -> int:
    """How many examples a test looks at for which `count` are enough in `make test`."""
    return count * (_TIMES if settings.get_current_profile_name() == "soak" else 1)
