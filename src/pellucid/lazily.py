"""Names of a package that are imported when they are asked for: who starts the command line, or trains, waits for none of the others."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package: names of its modules `homes`, by the name, and the modules themselves."""

    def get(name: str) -> Any:
        module = f"{package}.{homes.get(name, name)}"
        if name.startswith("_") or importlib.util.find_spec(module) is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = importlib.import_module(module)
        return getattr(found, name) if name in homes else found

    return get
