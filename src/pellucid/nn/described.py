"""Networks as plain text: `"Conv2d 8 3, ReLU, MaxPool2d 2, Flatten, Linear 32, ReLU"` is a list of layers, each reading the one before.

What a layer reads says its `in_channels` or `in_features`. Nothing in the text is believed: it may come from an address.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, cast

from pellucid.errors import PellucidError, listed, suggest
from pellucid.graph import input
from pellucid.nn import activations, layers
from pellucid.nn.designed import Design, DesignedLayer, size_of
from pellucid.nn.errors import ModuleError
from pellucid.nn.layers import Flatten, Linear, Sequential
from pellucid.nn.module import Module
from pellucid.op import Shape
from pellucid.scopes import inference_mode

KINDS = (
    "Linear", "Conv2d", "MaxPool2d", "AvgPool2d", "GlobalAvgPool2d", "Flatten", "ReLU", "Tanh", "Sigmoid", "LeakyReLU", "ELU",
    "GELU", "SiLU", "Dropout", "BatchNorm1d", "BatchNorm2d", "GroupNorm", "LocalResponseNorm", "LocallyConnected2d",
    "ConvTranspose2d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "GlobalMaxPool2d", "Maxout", "PReLU", "ReLU6", "SELU", "Softplus",
    "Hardswish", "Mish", "Identity",
)  # fmt: skip
"""Layers that a list may have, those used most first; each is one of `pl.nn`."""
MOST_LAYERS, MOST_TEXT = 64, 4000
MOST_SETTING, MOST_PARAMETERS, MOST_VALUES = 2**16, 20_000_000, 2**26
"""Of one setting, of a network's parameters, and of the values that a layer gives for one example."""
OUTPUT = "output"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_PAIR = re.compile(r"(\d{1,6})x(\d{1,6})", re.ASCII)


class DesignError(ModuleError):
    """A list of layers that is none, or that does not fit together; `layer` counts from 1 which it is, 0 for none of them."""

    def __init__(self, message: str, layer: int = 0) -> None:
        super().__init__(message)
        self.layer = layer

    @property
    def where(self) -> str:
        """The place of the layer, for those who mark it."""
        return f"layer {self.layer}" if self.layer else ""


@dataclass(frozen=True)
class Setting:
    """A setting of a layer that a list may say: its name, type (whole number, number, true or false), and default."""

    name: str
    type: str
    default: Any = None
    required: bool = False


@dataclass(frozen=True)
class LayerSpec:
    """One layer of a list as it is written: `text` in the shortest form, its kind, and the settings that are said."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def text(self) -> str:
        """Settings in their order without names, as far as none is left out; the others by name."""
        words, gap = [self.kind], False
        for one in settings_of(self.kind):
            if one.name not in self.settings:
                gap = True
                continue
            value = _written(self.settings[one.name])
            words.append(f"{one.name}={value}" if gap else value)
        return " ".join(words)


def is_list(text: str) -> bool:
    """Whether a text is meant as a list of layers: one of its parts begins with the name of a layer."""
    return any((part.split() or [""])[0].casefold() in _spelled() for part in text[:MOST_TEXT].split(","))


def read_layers(text: str) -> tuple[LayerSpec, ...]:
    """The layers in a text, `KIND SETTING ... NAME=SETTING ...` with commas between. Raises `DesignError` that names the layer."""
    if len(text) > MOST_TEXT:
        raise DesignError(f"a list of layers has at most {MOST_TEXT} characters, got {len(text)}")
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if len(parts) > MOST_LAYERS:
        raise DesignError(f"a list has at most {MOST_LAYERS} layers, got {len(parts)}")
    return tuple(_read_layer(part, number) for number, part in enumerate(parts, 1))


def written(specs: tuple[LayerSpec, ...]) -> str:
    """The text of a list, in its shortest form."""
    return ", ".join(one.text for one in specs)


@cache
def settings_of(kind: str) -> tuple[Setting, ...]:
    """The settings of a kind of layer that a list may say: those that are numbers and not known from what the layer reads."""
    made = _class_of(kind)
    hints = typing.get_type_hints(made.__init__)
    found: list[Setting] = []
    for name, parameter in list(inspect.signature(made.__init__).parameters.items())[1:]:
        parts = typing.get_args(hints[name]) or (hints[name],)
        type_ = "true or false" if bool in parts else "number" if float in parts else "whole number"
        if name not in _KNOWN and {bool, float, int} & {*parts}:
            empty = parameter.default is inspect.Parameter.empty
            found.append(Setting(name, type_, None if empty else parameter.default, empty))
    return tuple(found)


def layer_kinds() -> list[dict[str, Any]]:
    """Every kind of layer that a list may have: what it does, its settings, and how it is written to begin with."""
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        own = settings_of(kind)
        start = " ".join([kind, *(_first(kind, one.name) for one in own if one.required)])
        says = (inspect.getdoc(_class_of(kind)) or "").partition("\n")[0]
        rows.append({"kind": kind, "says": says, "start": start, "settings": [asdict(one) for one in own]})
    return rows


def described(layers: str | Sequence[str | Mapping[str, Any]], shape: Shape, outputs: int = 0) -> Sequential:
    """The network of a list of layers for examples of `shape`; with `outputs` a last layer gives so many scores.

    The list is a text, or has a text or the settings of each layer: `["Linear 4", {"kind": "Tanh"}]`. Raises `DesignError`.
    """
    text = layers if isinstance(layers, str) else ", ".join(_as_text(one, n) for n, one in enumerate(layers, 1))
    return Sequential(**{name: make() for name, _, make, _ in _placed(read_layers(text), shape, outputs)})


def as_model(text: str) -> Callable[..., Module]:
    """A list of layers as a function that builds it, as models by name are; `image_size` 1 is for rows of `in_channels` numbers."""
    specs = read_layers(text)

    def listed(num_classes: int = 10, in_channels: int = 1, image_size: int = 28) -> Sequential:
        """A list of layers, and an output with one score per class"""
        return described(text, shape_for(in_channels, image_size), num_classes)

    listed.__name__ = written(specs)
    return listed


def shape_for(in_channels: int, image_size: int) -> Shape:
    """The shape of one example: a picture, or a row of numbers where its side is 1."""
    return (in_channels,) if image_size == 1 else (in_channels, image_size, image_size)


def design(network: str, shape: Shape = (2,), classes: int = 0) -> Design:
    """A network as a list of layers, or a model by name, for examples of `shape`: what each layer gives, its parameters, its Python.

    `network` is like "Linear 4, Tanh, Linear 2, Tanh": kinds of `pl.nn` with their settings, `in_features` and the like
    left out. With `classes` an output layer gives a score for each. Raises `DesignError`, which names the layer.

    >>> print(design("Linear 4, Tanh", (2,), 2).parameters)
    22
    """
    if not isinstance(network, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DesignError(f"network: a list of layers as a text, or a model's name, got {type(network).__name__}")
    if not shape or any(not 0 < size <= MOST_SETTING for size in shape) or len(shape) not in (1, 3):
        raise DesignError(f"shape: wants numbers F or channels, rows, columns, each 1 to {MOST_SETTING}, got {shape}")
    if not 0 <= classes <= MOST_SETTING:
        raise DesignError(f"classes: wants 0 to {MOST_SETTING}, got {classes}")
    if is_list(network) or not network.strip():
        return _of_list(network, shape, classes)
    return _of_model(network, shape, classes)


def _of_list(network: str, shape: Shape, classes: int) -> Design:
    specs = read_layers(network)
    rows: list[DesignedLayer] = []
    lines = ["from pellucid import nn", "", "net = nn.Sequential("]
    for name, spec, make, gives in _placed(specs, shape, classes):
        made = make()
        said = name != OUTPUT and len(rows) < len(specs)
        rows.append(
            DesignedLayer(
                name,
                spec.kind,
                gives,
                made.num_parameters(),
                spec.text if said else "",
                dict(spec.settings) if said else {},
            )
        )
        lines.append(f"    {name}=nn.{_python(spec, shape if len(rows) == 1 else rows[-2].shape)},")
    lines += [")", f"print(net.summary({shape}))"]
    count = sum(row.parameters for row in rows)
    return Design(written(specs), shape, classes, tuple(rows), count, "\n".join(lines), True)


def _of_model(name: str, shape: Shape, classes: int) -> Design:
    from pellucid.nn.models import build

    if len(shape) == 3 and shape[1] != shape[2]:
        raise DesignError(f"{name}: models by name are for square pictures, got {size_of(shape)}")
    given = {"num_classes": classes} if classes else {}
    side = shape[1] if len(shape) == 3 else 1
    net = build(name, in_channels=shape[0], image_size=side, **given)
    config = net.config()
    said = "".join(f", {key}={config[key]}" for key in ("num_classes", "in_channels", "image_size"))
    lines = [
        "import pellucid as pl",
        "",
        f"net = pl.nn.models.build({config['model']!r}{said})",
        f"print(net.summary({shape}))",
    ]
    summary = net.summary(shape)
    rows = tuple(DesignedLayer(row.name, row.kind, row.output_shape, row.parameters) for row in summary.rows)
    return Design(
        config["model"], shape, config["num_classes"], rows, summary.total_parameters, "\n".join(lines), False
    )


_Placed = tuple[str, LayerSpec, Callable[[], Module], Shape]
"""A layer's name, what says it, how it is made, and the shape of what it gives."""


def _placed(specs: tuple[LayerSpec, ...], shape: Shape, classes: int) -> list[_Placed]:
    """The layers where they stand. Raises `DesignError` for one that does not fit what it reads, and for what is too large."""
    found: list[_Placed] = []
    used: dict[str, int] = {}
    parameters = 0

    def place(spec: LayerSpec, number: int, named: str = "") -> None:
        nonlocal shape, parameters
        base = re.sub(r"[12]d$", "", spec.kind).lower()
        used[base] = used.get(base, 0) + 1
        name = named or f"{base}{used[base]}"
        where = f"layer {number} ({name})" if number else name
        given = {**_read_by(spec, shape, where, number), **spec.settings}
        try:
            made = _class_of(spec.kind)(**given)
            parameters += made.num_parameters()
            if parameters > MOST_PARAMETERS:
                raise DesignError(f"{where}: makes {parameters:,} parameters, at most {MOST_PARAMETERS:,}", number)
            with inference_mode():
                gives = made(input((1, *shape)))
        except DesignError:
            raise
        except (PellucidError, ValueError, TypeError) as error:
            raise DesignError(f"{where}, which reads {size_of(shape)}: {error}", number) from error
        if gives.size > MOST_VALUES:
            raise DesignError(f"{where}: gives {gives.size:,} values for each example, at most {MOST_VALUES:,}", number)
        shape = gives.shape[1:]
        found.append((name, spec, lambda: _class_of(spec.kind)(**given), shape))

    for number, spec in enumerate(specs, 1):
        place(spec, number)
    if classes:
        if len(shape) != 1:
            place(LayerSpec(Flatten.__name__), 0)
        place(LayerSpec(Linear.__name__, {"out_features": classes}), 0, OUTPUT)
    if not found:
        raise DesignError("a network has at least one layer, such as 'Linear 4'")
    return found


def _read_by(spec: LayerSpec, shape: Shape, where: str, number: int) -> dict[str, Any]:
    """The settings that what a layer reads says."""
    wanted = inspect.signature(_class_of(spec.kind).__init__).parameters
    known: dict[str, Any] = {}
    for name in wanted:
        if name not in _KNOWN:
            continue
        if name == "in_features" and len(shape) != 1:
            raise DesignError(
                f"{where}: reads {shape[0]} maps of {size_of(shape[1:])}, it wants a row of numbers; put Flatten before it",
                number,
            )
        if name in ("in_channels", "image_size") and len(shape) != 3:
            raise DesignError(
                f"{where}: reads a row of {size_of(shape)} numbers, it wants maps; put it before Flatten and Linear, on pictures",
                number,
            )
        known[name] = _KNOWN[name](shape)
    return known


_KNOWN: dict[str, Callable[[Shape], Any]] = {
    "in_features": lambda shape: shape[0],
    "in_channels": lambda shape: shape[0],
    "num_features": lambda shape: shape[0],
    "num_channels": lambda shape: shape[0],
    "image_size": lambda shape: shape[1:],
}
"""Settings that the shape of what a layer reads says."""
_FIRST = {"out_features": "4", "out_channels": "8", "size": "5"}


def _first(kind: str, setting: str) -> str:
    """What is written for a setting that must be said, of a layer that is new."""
    return "3" if setting == "kernel_size" and "Pool" not in kind else _FIRST.get(setting, "2")


def _as_text(layer: str | Mapping[str, Any], number: int) -> str:
    """A layer of plain data as it is written."""
    if isinstance(layer, str) and "," not in layer:
        return layer
    if not isinstance(layer, Mapping) or not isinstance(layer.get("kind"), str):
        raise DesignError(
            f"layer {number}: wants a text such as 'Linear 4', or its kind and settings, got {layer!r:.60}", number
        )
    settings = {
        name: tuple(cast(list[Any], v)) if isinstance(v, list) else v for name, v in layer.items() if name != "kind"
    }
    for name, value in settings.items():
        if not isinstance(value, bool | int | float) and not (
            isinstance(value, tuple) and all(type(v) is int for v in value)
        ):
            raise DesignError(
                f"layer {number} ({layer['kind']:.40}): {name:.40} wants a number, got {value!r:.40}", number
            )
    return " ".join([layer["kind"], *(f"{name}={_written(value)}" for name, value in settings.items())])


def _read_layer(text: str, number: int) -> LayerSpec:
    kind, *words = text.split() or [""]
    where = f"layer {number}"
    if kind.casefold() not in _spelled():
        if not kind:
            raise DesignError(f"{where}: is empty; leave the comma out, or write a layer such as Linear 4", number)
        told = f"{suggest(kind, KINDS)}; {listed(kind, KINDS)}"
        raise DesignError(f"{where}: there is no layer {kind!r:.40}{told}", number)
    kind = _spelled()[kind.casefold()]
    where += f" ({kind})"
    known = {one.name: one for one in settings_of(kind)}
    given: dict[str, Any] = {}
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if not equals:
            if place >= len(known) or len(given) < place:
                told = ", ".join(known) or "none"
                raise DesignError(
                    f"{where}: {word!r:.40} is one too many, or has no name; its settings: {told}", number
                )
            name, value = list(known)[place], word
        if name not in known or name in given:
            told = "is said twice" if name in given else f"is none of its settings{suggest(name, known)}"
            raise DesignError(f"{where}: {name!r:.40} {told}; they are: {', '.join(known) or 'none'}", number)
        given[name] = _value(known[name], value, where, number)
    for one in known.values():
        if one.required and one.name not in given:
            raise DesignError(f"{where}: wants {one.name}, as in {kind} {_first(kind, one.name)}", number)
    return LayerSpec(kind, {name: given[name] for name in known if name in given})


def _value(setting: Setting, text: str, where: str, number: int) -> Any:
    if setting.type == "true or false":
        if text not in ("true", "false"):
            raise DesignError(f"{where}: {setting.name} is true or false, got {text!r:.40}", number)
        return text == "true"
    if setting.type == "whole number" and (both := _PAIR.fullmatch(text)):
        value: Any = (int(both[1]), int(both[2]))
    elif _NUMBER.fullmatch(text) and (setting.type == "number" or text.lstrip("+-").isdecimal()):
        value = float(text) if setting.type == "number" else int(text) if len(text) < 10 else MOST_SETTING + 1
    else:
        raise DesignError(f"{where}: {setting.name} wants a {setting.type}, got {text!r:.40}", number)
    if max(map(abs, value if isinstance(value, tuple) else (value,))) > MOST_SETTING:
        raise DesignError(f"{where}: {setting.name} is at most {MOST_SETTING:,} here, got {text:.40}", number)
    return value


def _python(spec: LayerSpec, shape: Shape) -> str:
    """The layer as Python makes it, reading `shape`."""
    given = {**_read_by(spec, shape, spec.kind, 0), **spec.settings}
    words, gap = list[str](), False
    for name in list(inspect.signature(_class_of(spec.kind).__init__).parameters)[1:]:
        if name in given:
            words.append(f"{name}={given[name]!r}" if gap else repr(given[name]))
        gap = gap or name not in given
    return f"{spec.kind}({', '.join(words)})"


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "x".join(map(str, value)) if isinstance(value, tuple) else f"{value:.17g}"


def _class_of(kind: str) -> Any:
    return getattr(layers, kind, None) or getattr(activations, kind)


@cache
def _spelled() -> dict[str, str]:
    """Kinds by how they are spelled in small letters."""
    return {kind.casefold(): kind for kind in KINDS}
