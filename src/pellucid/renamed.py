"""Old names that users may have: they still work, with a warning that says what they are called now."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

MODULES: dict[str, dict[str, str]] = {
    "pellucid": {
        "maximise": "maximize",
        "randomisation_check": "randomization_check",
    },
    "pellucid.data": {"Labelled": "Labeled", "find_pictures": "find_images"},
    "pellucid.explain": {
        "Randomisation": "Randomization",
        "Step": "PathStep",
        "maximise": "maximize",
        "randomisation_check": "randomization_check",
    },
}
"""By module: what a name was, and what it is."""
COMMANDS = {"maximise": "maximize"}
OPTIONS = {"--randomise": "--randomize", "--svg": "--out"}


def warn(old: str, new: str) -> None:
    """Say that `old` is called `new` now."""
    warnings.warn(f"{old} is called {new} now", DeprecationWarning, stacklevel=3)


def old_names(module: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module some of whose names have changed."""
    names = MODULES[module]

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn(f"{module}.{name}", f"{module}.{names[name]}")
        return getattr(sys.modules[module], names[name])

    return get


def old_property(new: str) -> Any:
    """A property of a class under the name that it had before it was called `new`."""

    class Old:
        def __set_name__(self, owner: type, name: str) -> None:
            self.name = name

        def __get__(self, instance: Any, owner: type) -> Any:
            if instance is None:
                return self
            warn(f"{owner.__name__}.{self.name}", f"{owner.__name__}.{new}")
            return getattr(instance, new)

    return Old()
