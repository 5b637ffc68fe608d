"""Pellucid: build, train and run a convolutional network, then ask any number in it where it came from."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pellucid import graph, ops
from pellucid.errors import PellucidError
from pellucid.graph import Graph, Parameter, Tensor, apply, constant, input
from pellucid.op import Op
from pellucid.scopes import collect_updates, scope

if TYPE_CHECKING:
    from pellucid import data, executors, explain, interop, models, nn, pictures, studies, train
    from pellucid.autodiff import gradients
    from pellucid.data import load
    from pellucid.executors import compile, run
    from pellucid.explain import (
        activation_curve,
        activation_maps,
        attribute,
        class_model,
        compare,
        compare_activations,
        embed,
        filters,
        loss_landscape,
        maximise,
        most_exciting,
        receptive_field,
        stages,
        time_layers,
        trace,
        trace_expression,
        unit_statistics,
        walk_back,
    )
    from pellucid.formulas.expression import expression
    from pellucid.interop import from_torch, load_onnx, load_weights, read_weights, save_onnx
    from pellucid.opening import open_model
    from pellucid.progress import Cancelled, followed, quiet
    from pellucid.studies import approximate, shift_robustness, why_convolution
    from pellucid.train import evaluate, find_learning_rate, fit, load_run, predict

__version__ = "0.1.0"

_LAZY = {
    "Cancelled": "pellucid.progress",
    "activation_curve": "pellucid.explain",
    "activation_maps": "pellucid.explain",
    "approximate": "pellucid.studies",
    "attribute": "pellucid.explain",
    "class_model": "pellucid.explain",
    "compare": "pellucid.explain",
    "compare_activations": "pellucid.explain",
    "compile": "pellucid.executors",
    "embed": "pellucid.explain",
    "evaluate": "pellucid.train",
    "expression": "pellucid.formulas.expression",
    "filters": "pellucid.explain",
    "followed": "pellucid.progress",
    "find_learning_rate": "pellucid.train",
    "fit": "pellucid.train",
    "from_torch": "pellucid.interop",
    "gradients": "pellucid.autodiff",
    "load": "pellucid.data",
    "load_onnx": "pellucid.interop",
    "load_run": "pellucid.train",
    "load_weights": "pellucid.interop",
    "loss_landscape": "pellucid.explain",
    "maximise": "pellucid.explain",
    "most_exciting": "pellucid.explain",
    "open_model": "pellucid.opening",
    "predict": "pellucid.train",
    "quiet": "pellucid.progress",
    "read_weights": "pellucid.interop",
    "receptive_field": "pellucid.explain",
    "run": "pellucid.executors",
    "save_onnx": "pellucid.interop",
    "shift_robustness": "pellucid.studies",
    "stages": "pellucid.explain",
    "time_layers": "pellucid.explain",
    "trace": "pellucid.explain",
    "trace_expression": "pellucid.explain",
    "unit_statistics": "pellucid.explain",
    "walk_back": "pellucid.explain",
    "why_convolution": "pellucid.studies",
}
_MODULES = ("data", "executors", "explain", "interop", "models", "nn", "pictures", "studies", "train")

__all__ = [
    "Cancelled",
    "Graph",
    "Op",
    "Parameter",
    "PellucidError",
    "Tensor",
    "__version__",
    "activation_curve",
    "activation_maps",
    "apply",
    "approximate",
    "attribute",
    "class_model",
    "collect_updates",
    "compare",
    "compare_activations",
    "compile",
    "constant",
    "data",
    "embed",
    "evaluate",
    "executors",
    "explain",
    "expression",
    "filters",
    "find_learning_rate",
    "fit",
    "followed",
    "from_torch",
    "gradients",
    "graph",
    "input",
    "interop",
    "load",
    "load_onnx",
    "load_run",
    "load_weights",
    "loss_landscape",
    "maximise",
    "models",
    "most_exciting",
    "nn",
    "open_model",
    "ops",
    "pictures",
    "predict",
    "quiet",
    "read_weights",
    "receptive_field",
    "run",
    "save_onnx",
    "scope",
    "shift_robustness",
    "stages",
    "studies",
    "time_layers",
    "trace",
    "trace_expression",
    "train",
    "unit_statistics",
    "walk_back",
    "why_convolution",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"pellucid.{name}")
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    if name in ops.__all__:
        return getattr(ops, name)
    raise AttributeError(f"module 'pellucid' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *ops.__all__})
