"""The register of models: being decorated with `model` in a file of this folder is being known by name."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, get_type_hints

from pellucid.errors import listed, suggest, unknown
from pellucid.given import value_given
from pellucid.nn import described
from pellucid.nn.errors import ModuleError
from pellucid.nn.module import Module
from pellucid.pictures import Answer, Grid
from pellucid.plain import PlainError
from pellucid.text import text_table


@dataclass(frozen=True)
class ModelInfo:
    """A model at its usual size."""

    parameters: int
    description: str
    paper: str
    weights: tuple[str, str] = ("", "")
    """Of weights that are published for it "installed", "not installed" or "none", and how to get or take them."""


@dataclass(frozen=True)
class ModelList(Answer):
    """The networks that can be built by name."""

    models: dict[str, ModelInfo]

    def to_dict(self) -> dict[str, Any]:
        return {
            name: {**asdict(info), "weights": info.weights[0], "how": info.weights[1]}
            for name, info in self.models.items()
        }

    def __str__(self) -> str:
        rows = [[name, f"{i.parameters:,}", i.weights[0], i.description] for name, i in self.models.items()]
        ways = {
            f"weights {i.weights[0]}: {i.weights[1]}"
            for i in self.models.values()
            if i.weights[0].endswith("installed")
        }
        others = "of any model: --weights FILE, as torchvision and timm publish them (.pth, .safetensors)"
        return "\n".join([text_table(["model", "parameters", "weights", ""], rows, "lrll"), "", *sorted(ways), others])

    def picture(self) -> Grid:
        """The table."""
        rows = [
            [name, f"{i.parameters:,}", i.weights[0], i.weights[1], i.description, i.paper]
            for name, i in self.models.items()
        ]
        return Grid(["model", "parameters", "weights", "how", "", "paper"], rows, "lrllll", title="Models by name")


M = TypeVar("M", bound=Callable[..., Module])


@dataclass(frozen=True)
class _Entry:
    """How a model is made, the path of its last layer, which gives the scores of the classes, and where it was published."""

    function: Callable[..., Module]
    head: str
    paper: str


_MODELS: dict[str, _Entry] = {}


def model(head: str, paper: str = "") -> Callable[[M], M]:
    """Register a function that builds a network whose last layer is called `head`; its arguments are the model's options."""

    def register(function: M) -> M:
        _MODELS[function.__name__] = _Entry(function, head, paper)
        return function

    return register


def names() -> list[str]:
    """Every model that `build` knows, sorted."""
    _load()
    return sorted(_MODELS)


def catalog() -> ModelList:
    """Every model with its parameters; all are built for that."""
    return ModelList({n: ModelInfo(build(n).num_parameters(), describe(n), paper(n)) for n in names()})


def is_known(name: str) -> bool:
    """Whether there is a model of this name, where `-` and `_` are one, or the name is a list of layers (see `pl.design`)."""
    _load()
    return _canonical(name) in _MODELS or described.is_list(name)


def describe(name: str) -> str:
    """One line about a model."""
    return (_find(name).function.__doc__ or "").strip().splitlines()[0]


def head(name: str) -> str:
    """The path of a model's last layer, the one that depends on the classes: its parameters are `<head>.weight` and `.bias`."""
    return _find(name).head


def paper(name: str) -> str:
    """Authors, year and title of a model's publication; "" for one that was not published."""
    return _find(name).paper


def build(model: str, **options: Any) -> Module:
    """The network called `model`, or of a list of layers, with options such as `num_classes`, `in_channels` and `image_size`."""
    function = _find(model).function
    model = function.__name__
    parameters = inspect.signature(function).parameters
    for option in options:
        if option not in parameters:
            raise ModuleError(
                f"{model} has no option {option!r}{suggest(option, parameters)}; {listed(option, parameters)}"
            )
    complete = {name: options.get(name, parameter.default) for name, parameter in parameters.items()}
    for option, kind in get_type_hints(function).items():
        if option in complete:
            complete[option] = _taken(model, option, kind, complete[option])
    net = function(**complete)
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in complete.items()}
    vars(net)["model_config"] = {"model": model, **plain}
    return net


def _taken(model: str, option: str, kind: Any, given: Any) -> Any:
    """An option's value as its kind, or a `ModuleError`; whole numbers must be at least 1."""
    try:
        value = value_given(kind, given, option)
    except PlainError as error:
        raise ModuleError(f"{model}: {error}") from error
    for number in value if isinstance(value, list | tuple) else [value]:
        if type(number) is int and number < 1:
            raise ModuleError(f"{model}: {option} must be a whole number of at least 1, got {given!r}")
    return value


def require_size(name: str, image_size: int, minimum: int) -> None:
    """Raise `ModuleError` for images too small for a network."""
    if image_size < minimum:
        raise ModuleError(f"{name} needs images of at least {minimum}x{minimum} pixels, got {image_size}x{image_size}")


def _canonical(name: str) -> str:
    return name.replace("-", "_")


def _find(name: str) -> _Entry:
    if not isinstance(name, str) or not is_known(name):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise unknown("model", name, _MODELS)
    return _MODELS.get(_canonical(name)) or _Entry(described.as_model(name), described.OUTPUT, "")


@functools.cache
def _load() -> None:
    package = importlib.import_module("pellucid.nn.models")
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        importlib.import_module(f"pellucid.nn.models.{info.name}")
