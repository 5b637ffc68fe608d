"""Pellucid: build, train and run a convolutional network, then ask any number in it where it came from."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pellucid import graph, ops
from pellucid.errors import PellucidError
from pellucid.graph import Graph, Parameter, Tensor, apply, constant, input
from pellucid.op import Op
from pellucid.renamed import MODULES, old_names
from pellucid.scopes import collect_updates, scope

if TYPE_CHECKING:
    from pellucid import (
        data,
        detect,
        executors,
        explain,
        inference,
        interop,
        lab,
        models,
        nn,
        pictures,
        sklearn,
        studies,
        train,
    )
    from pellucid.autodiff import gradients
    from pellucid.data import load
    from pellucid.executors import compile, run
    from pellucid.explain import *  # noqa: F403 (what questions are asked by)
    from pellucid.explain import time_layers
    from pellucid.formulas.expression import expression as expression
    from pellucid.interop import from_torch, load_onnx, load_weights, read_weights, save_onnx
    from pellucid.opening import open_model
    from pellucid.progress import Cancelled, followed, quiet
    from pellucid.studies import *  # noqa: F403
    from pellucid.train import cross_validate, evaluate, find_learning_rate, fit, load_run, predict
    from pellucid.train import load_history as load_history

__version__ = "0.1.0"

_LAZY = {
    "Cancelled": "pellucid.progress",
    "compile": "pellucid.executors",
    "cross_validate": "pellucid.train",
    "evaluate": "pellucid.train",
    "find_learning_rate": "pellucid.train",
    "fit": "pellucid.train",
    "followed": "pellucid.progress",
    "from_torch": "pellucid.interop",
    "gradients": "pellucid.autodiff",
    "load": "pellucid.data",
    "load_onnx": "pellucid.interop",
    "load_run": "pellucid.train",
    "load_weights": "pellucid.interop",
    "open_model": "pellucid.opening",
    "predict": "pellucid.train",
    "quiet": "pellucid.progress",
    "read_weights": "pellucid.interop",
    "run": "pellucid.executors",
    "save_onnx": "pellucid.interop",
    "time_layers": "pellucid.explain",
}
"""Names and where they are; those of `questions` are known there."""
_MODULES = (
    "data",
    "detect",
    "executors",
    "explain",
    "inference",
    "interop",
    "lab",
    "models",
    "nn",
    "pictures",
    "sklearn",
    "studies",
    "train",
)

__all__ = [
    "Cancelled",
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
    "cross_validate",
    "data",
    "detect",
    "evaluate",
    "executors",
    "explain",
    "find_learning_rate",
    "fit",
    "followed",
    "from_torch",
    "gradients",
    "graph",
    "inference",
    "input",
    "interop",
    "lab",
    "load",
    "load_onnx",
    "load_run",
    "load_weights",
    "models",
    "nn",
    "open_model",
    "ops",
    "pictures",
    "predict",
    "quiet",
    "read_weights",
    "run",
    "save_onnx",
    "scope",
    "sklearn",
    "studies",
    "time_layers",
    "train",
]
"""What does not come with a question."""


def _home(name: str) -> str:
    """The module that a name of Python's API is kept in, or ""."""
    if name in _LAZY:
        return _LAZY[name]
    from pellucid.questions import asked_by

    return asked_by().get(name, "")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"pellucid.{name}")
    if name in ops.__all__:
        return getattr(ops, name)
    if name in MODULES["pellucid"]:
        return old_names("pellucid")(name)
    if name.startswith("__") or not (home := _home(name)):
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from pellucid.questions import asked_by

    return sorted({*__all__, *asked_by(), *ops.__all__})
