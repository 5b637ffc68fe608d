"""Pellucid: build, train and run a convolutional network, then ask any number in it where it came from."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pellucid import graph, ops
from pellucid.errors import PellucidError
from pellucid.graph import Graph, Op, Parameter, Tensor, apply, collect_updates, constant, input, scope

if TYPE_CHECKING:
    from pellucid import data, executors, explain, nn, train
    from pellucid.autodiff import gradients
    from pellucid.data import load
    from pellucid.executors import compile, evaluate
    from pellucid.explain import trace_expression
    from pellucid.expression import expression
    from pellucid.train import evaluate_run, fit, load_run, predict

__version__ = "0.1.0"

_LAZY = {
    "compile": "pellucid.executors",
    "evaluate": "pellucid.executors",
    "evaluate_run": "pellucid.train",
    "expression": "pellucid.expression",
    "fit": "pellucid.train",
    "gradients": "pellucid.autodiff",
    "load": "pellucid.data",
    "load_run": "pellucid.train",
    "predict": "pellucid.train",
    "trace_expression": "pellucid.explain",
}
_MODULES = ("data", "executors", "explain", "nn", "train")

__all__ = [
    "Graph",
    "Op",
    "Parameter",
    "PellucidError",
    "Tensor",
    "__version__",
    "apply",
    "collect_updates",
    "compile",
    "constant",
    "data",
    "evaluate",
    "evaluate_run",
    "executors",
    "explain",
    "expression",
    "fit",
    "gradients",
    "graph",
    "input",
    "load",
    "load_run",
    "nn",
    "ops",
    "predict",
    "scope",
    "trace_expression",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"pellucid.{name}")
    if name in _LAZY:
        module = importlib.import_module(_LAZY[name])
        value = module if _LAZY[name] == f"pellucid.{name}" else getattr(module, name)
        globals()[name] = value
        return value
    if name in ops.__all__:
        return getattr(ops, name)
    raise AttributeError(f"module 'pellucid' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *ops.__all__})
