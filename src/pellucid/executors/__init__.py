"""Executors give a graph values. All keep one contract: see `pellucid.executors.contract`."""

from pellucid.executors.contract import (
    CHOICES,
    MOST_THREADS,
    PRECISIONS,
    TOLERANCE,
    ExecutorError,
    Program,
    available_executors,
    compile,
    computed_by,
    computing_threads,
    default_executor,
    default_threads,
    explain_plan,
    first_non_finite,
    run,
)

__all__ = [
    "CHOICES",
    "MOST_THREADS",
    "PRECISIONS",
    "TOLERANCE",
    "ExecutorError",
    "Program",
    "available_executors",
    "compile",
    "computed_by",
    "computing_threads",
    "default_executor",
    "default_threads",
    "explain_plan",
    "first_non_finite",
    "run",
]
