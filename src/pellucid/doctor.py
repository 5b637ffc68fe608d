"""What the machine offers: versions, executors, CPU features."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.executors import available_executors, default_threads
from pellucid.pictures import Answer, Grid, Page
from pellucid.text import amount

_PACKAGES = ("numpy", "scipy", "scikit-learn", "pillow", "safetensors", "rich", "typer", "torch", "tensorboard")
_FEATURES = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd")


@dataclass(frozen=True)
class Machine(Answer):
    """What a machine offers: facts by part (`versions`, `executors`, `cpu`) and name."""

    facts: dict[str, dict[str, str]]

    def to_dict(self) -> dict[str, Any]:
        return self.facts

    def __str__(self) -> str:
        lines = ([part, *(f"  {n:<14} {value}" for n, value in facts.items())] for part, facts in self.facts.items())
        return "\n".join(line for part in lines for line in part)

    def picture(self) -> Page:
        """A table for each part."""
        grids = [Grid([part, ""], list(map(list, facts.items())), "ll") for part, facts in self.facts.items()]
        return Page("What this machine offers", tuple(grids))


def examine() -> Machine:
    """What this machine offers."""
    versions = {"pellucid": _version("pellucid"), "python": platform.python_version()}
    versions.update({name: _version(name) for name in _PACKAGES})
    executors = {name: reason or "available" for name, reason in available_executors().items()}
    if executors["native"] == "available":
        executors["native"] += f": {_native()}"
    return Machine({"versions": versions, "executors": executors, "cpu": _cpu()})


def _native() -> str:
    from pellucid.executors.compiled import _native

    onednn = ".".join(map(str, _native.onednn_version()))
    level, _, more = _native.isa().partition("_")
    kernels = f"x86-64-{level}" + (" with bfloat16" if more == "bf16" else "")
    return f"oneDNN {onednn}, kernels for {kernels}, {amount(default_threads(), 'thread')}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> dict[str, str]:
    facts = {"machine": platform.machine(), "system": platform.system(), "cores": str(os.cpu_count())}
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        plain = {key.strip(): value.strip() for key, value in lines.items()}
        facts["model"] = plain.get("model name", "unknown")
        flags = plain.get("flags", plain.get("Features", "")).split()
        facts["features"] = " ".join(f for f in _FEATURES if f in flags) or "none of those that matter"
    else:
        facts["features"] = "unknown on this system"
    return facts
