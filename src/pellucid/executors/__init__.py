"""Executors give a graph values. All keep one contract: see `pellucid.executors.contract`."""

from pellucid.executors.contract import (
    TOLERANCE,
    Program,
    available_executors,
    compile,
    first_non_finite,
    run,
)

__all__ = ["TOLERANCE", "Program", "available_executors", "compile", "first_non_finite", "run"]
