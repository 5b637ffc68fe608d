"""The register of models: being decorated with `model` in a file of this folder is being known by name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any, TypeVar

from pellucid.errors import suggest, unknown
from pellucid.nn.module import Module, ModuleError

M = TypeVar("M", bound=Callable[..., Module])
_MODELS: dict[str, Callable[..., Module]] = {}


def model(function: M) -> M:
    """Register a function that builds a network; its arguments are the model's options."""
    _MODELS[function.__name__] = function
    return function


def names() -> list[str]:
    """Every model that `build` knows, sorted."""
    _load()
    return sorted(_MODELS)


def describe(name: str) -> str:
    """One line about a model."""
    return (_find(name).__doc__ or "").strip().splitlines()[0]


def build(model: str, **options: Any) -> Module:
    """The network called `model`, with options such as `num_classes`, `in_channels` and `image_size`."""
    function = _find(model)
    parameters = inspect.signature(function).parameters
    for option in options:
        if option not in parameters:
            raise ModuleError(
                f"{model} has no option {option!r}{suggest(option, parameters)}; there are: {', '.join(parameters)}"
            )
    complete = {name: options.get(name, parameter.default) for name, parameter in parameters.items()}
    for option in ("num_classes", "in_channels", "image_size"):
        if not isinstance(complete[option], int) or complete[option] < 1:
            raise ModuleError(f"{model}: {option} must be a whole number of at least 1, got {complete[option]!r}")
    net = function(**complete)
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in complete.items()}
    vars(net)["model_config"] = {"model": model, **plain}
    return net


def require_size(name: str, image_size: int, minimum: int) -> None:
    """Raise `ModuleError` for images too small for a network."""
    if image_size < minimum:
        raise ModuleError(f"{name} needs images of at least {minimum}x{minimum} pixels, got {image_size}x{image_size}")


def _find(name: str) -> Callable[..., Module]:
    _load()
    if name not in _MODELS:
        raise unknown("model", name, _MODELS)
    return _MODELS[name]


def _load() -> None:
    package = importlib.import_module("pellucid.nn.models")
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        importlib.import_module(f"pellucid.nn.models.{info.name}")
