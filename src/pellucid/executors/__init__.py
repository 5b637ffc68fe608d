"""Executors give a graph values. All keep one contract (`executors.contract`); `executors.choice` takes one."""

from pellucid.executors.choice import (
    available_executors,
    compile,
    computed_by,
    computing_threads,
    default_executor,
    explain_plan,
    first_non_finite,
    run,
)
from pellucid.executors.contract import TOLERANCE, ExecutorError, Program
from pellucid.executors.setting import CHOICES, MOST_THREADS, PRECISIONS, Setting, default_threads

__all__ = [
    "CHOICES",
    "MOST_THREADS",
    "PRECISIONS",
    "TOLERANCE",
    "ExecutorError",
    "Program",
    "Setting",
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
