"""One way to open whatever a user names: a run's folder, a checkpoint, an ONNX file, or a model's name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pellucid import models
from pellucid.data import Preprocessing, imagenet_classes, usual_preprocessing
from pellucid.data.listing import is_there
from pellucid.data.size import Size, parse_size, sides, written
from pellucid.errors import PellucidError, suggest
from pellucid.flags import flag
from pellucid.interop import load_weights
from pellucid.interop.onnx_reader import stated
from pellucid.interop.onnx_reader.network import layout_of_file
from pellucid.interop.weights import SUFFIXES
from pellucid.nn import Card, Edit
from pellucid.nn.interface import main_input
from pellucid.nn.summary import inference_graph
from pellucid.opened import Opened, OpeningError
from pellucid.plain import PlainError
from pellucid.train import Task, load_run
from pellucid.train.checkpoint import stands
from pellucid.train.run_folder import GRAPH, LAST
from pellucid.train.tasks import TASKS

LONGEST = 255
"""Bytes of a file's name."""

__all__ = ["READERS", "Opened", "OpeningError", "open_model", "refuse"]

Options = Mapping[str, Any]


def open_model(
    what: str | Path,
    *,
    num_classes: int = 0,
    in_channels: int = 0,
    image_size: Size | str = 0,
    pretrained: bool = False,
    weights: str | Path = "",
    preprocessing: str = "",
    set: Mapping[str, Any] | None = None,
    edits: Sequence[Edit | str] = (),
) -> Opened:
    """Open a run's folder, a checkpoint (.safetensors), an ONNX file, or the model called `what`.

    The options are for a model's name: its sizes (0 takes the model's own), and its weights, which are random, those
    published for it (`pretrained`; what has weights of its own keeps them), or from a file (see `load_weights`). An ONNX
    file takes the sizes that it leaves open, and values for inputs (`set`), which are inputs no more. `image_size` is the
    side of a square, or rows and columns (also as "480x640"); a run or a model takes other sizes than its own where its network can, as those
    do that average over all places at the end. `preprocessing` (unit, symmetric or imagenet) says how pictures become the
    input of a network that does not say so itself; of weights from a file with 1000 classes, `imagenet` says that these are
    ImageNet's. With `edits`, such as `["conv1.weight[3]=0"]`, its numbers are others (see `nn.edited`), those of the file
    stay. Raises `OpeningError` for what is none of these.
    """
    pretrained = flag("open_model", "pretrained", pretrained, OpeningError)
    size = parse_size(image_size) if isinstance(image_size, str) else image_size
    given = {"num_classes": num_classes, "in_channels": in_channels, "image_size": size, "weights": weights}
    options = {name: value for name, value in {**given, "set": set}.items() if value}
    return _opened(what, options, pretrained, preprocessing).edited(edits)


def _opened(what: str | Path, options: Options, pretrained: bool, preprocessing: str) -> Opened:
    """What is named, as it is in its file."""
    path = Path(what)
    if options.get("set") and path.suffix.lower() != ".onnx":
        raise OpeningError(f"{what}: set gives inputs of an ONNX file their values, and this is none")
    there = is_there(path)
    reader = _open_run if there and path.is_dir() else READERS.get(path.suffix.lower())
    if reader is not None:
        return _prepared(reader(path, options), preprocessing)
    if there and path.is_file() and path.suffix.lower() in SUFFIXES:
        raise OpeningError(
            f"{path}: holds weights but no network; name the model that they are for: pl.open_model('resnet18', weights={str(path)!r})"
        )
    if there and path.is_file():
        raise OpeningError(f"{path}: not a file that can be opened; those end in {', '.join(READERS)}")
    opened = _prepared(_open_name(str(what), options, pretrained), preprocessing)
    known = len(imagenet_classes())
    if "weights" in options and preprocessing == "imagenet" and opened.net.config().get("num_classes") == known:
        opened.net.card = replace(opened.net.card, classes=imagenet_classes())
    return opened


def _prepared(opened: Opened, preprocessing: str) -> Opened:
    """What was opened, with the preprocessing that the user names for it."""
    if not preprocessing:
        return opened
    if opened.preprocessing is not None:
        raise OpeningError(f"{opened.source}: knows how pictures become its input; preprocessing cannot be chosen")
    if not opened.takes_pictures:
        opened.require_preprocessing()  # which says so
    usual = usual_preprocessing(preprocessing, opened.shape, opened.layout)
    opened.net.card = replace(opened.net.card, preprocessing=usual)
    return opened


def _open_run(path: Path, options: Options) -> Opened:
    refuse(path, {n: v for n, v in options.items() if n != "image_size"})
    run = load_run(path)
    preprocessing = run.preprocessing
    if not isinstance(preprocessing, Preprocessing):
        refuse(path, options)
        return Opened(run.net, tuple(run.shape), str(path), run, run.task)
    shape = (preprocessing.channels, *preprocessing.image_size)
    opened = Opened(run.net, shape, str(path), run, run.task, preprocessing.layout)
    return at_size(opened, options.get("image_size", 0))


def at_size(opened: Opened, size: Size) -> Opened:
    """The same network for pictures of another size; raises `OpeningError` where it cannot take them."""
    wanted = sides(size)
    if wanted is None or wanted == opened.shape[1:]:
        return opened
    changed = replace(opened, shape=(opened.shape[0], *wanted))
    try:
        inference_graph(opened.net, (1, *changed.input_shape))
    except PellucidError as error:
        raise OpeningError(f"{opened.source}: cannot take pictures of {written(wanted)}: {error}") from error
    if opened.preprocessing is not None:
        preprocessing = replace(opened.preprocessing, image_size=wanted)
        opened.net.card = replace(opened.net.card, preprocessing=preprocessing)
        if opened.run is not None:
            card = replace(opened.run.card, preprocessing=preprocessing)
            changed = replace(changed, run=replace(opened.run, card=card))
    return changed


def _open_name(name: str, options: Options, pretrained: bool) -> Opened:
    if not models.is_known(name):
        if len(os.fsencode(Path(name).name)) > LONGEST:
            raise OpeningError(f"{name}: File name too long, and no model's")
        near, endings = suggest(name, models.names()), ", ".join(READERS)
        raise OpeningError(
            f"{name!r} is neither a run's folder, nor a file ({endings}), nor a model's name{near}; `pellucid models` lists models"
        )
    weights = options.get("weights")
    if weights and pretrained:
        raise OpeningError(
            f"{name}: has either published weights (pretrained) or those of the file {weights}, not both"
        )
    sizes = {option: value for option, value in options.items() if option != "weights"}
    asked = sides(options.get("image_size"))
    if asked is not None:
        sizes["image_size"] = max(asked)
    net = models.build(name, pretrained=pretrained, **sizes)
    config = net.config()
    shape = (config["in_channels"], config["image_size"], config["image_size"])
    if weights:
        load_weights(net, weights)
    return at_size(Opened(net, shape, name), asked or 0)


def refuse(path: Path, options: Options) -> None:
    """Raise `OpeningError` for options that a file does not take."""
    if options:
        raise OpeningError(f"{path}: {', '.join(options)} can be chosen for a model's name only; the file has its own")


def _open_onnx(path: Path, options: Options) -> Opened:
    if path.name == GRAPH and stands(path.with_name(LAST)):  # whose weights are in the checkpoints
        return _open_run(path.parent, options)
    refuse(path, {n: v for n, v in options.items() if n not in ("in_channels", "image_size", "set")})
    size = options.get("image_size", 0)
    net = models.open_onnx(path, options.get("in_channels", 0), size, preset=options.get("set"))
    if not net.input_shapes:
        raise OpeningError(f"{path}: its network takes nothing, so that there is nothing to ask it")
    try:
        found = stated.of_metadata(net.metadata)
    except PlainError as error:
        raise OpeningError(
            f"{path}: its metadata states classes or a preprocessing that make no sense ({error})"
        ) from error
    task = _task_of(found.task, path)
    main = main_input(net.input_specs())
    own = main.shape or ()
    if len(own) != 4:
        net.card = Card(found.classes or (), found.preprocessing)
        return Opened(net, own[1:], str(path), task=task)
    layout = layout_of_file(net)
    channels, height, width = (own[layout.index(letter)] for letter in "CHW")
    known = found.preprocessing
    if known is not None and (known.channels, *known.image_size, known.layout) != (channels, height, width, layout):
        known = replace(known, image_size=(height, width), layout=layout)
    net.card = Card(found.classes or (), known)
    places = {layout.index(letter) for letter in "HW"} & {*net.open_axes(main.name)}
    notes = (
        ()
        if size or not places
        else (
            (
                f"leaves the size of pictures open; {written((height, width))} is taken "
                "(--size HEIGHTxWIDTH, or image_size=, says another)"
            ),
        )
    )
    return Opened(net, (channels, height, width), str(path), None, task, layout, notes)


def _task_of(plain: dict[str, Any] | None, path: Path) -> Task | None:
    """The task that a file states, where it is not to tell classes apart."""
    if plain is None:
        return None
    kind = TASKS.get(str(plain.get("name")))
    if kind is None:
        raise OpeningError(f"{path}: was trained for {plain.get('name')!r:.40}, which is no task of Pellucid's own")
    try:
        return kind.from_dict(plain)
    except PlainError as error:
        raise OpeningError(f"{path}: its metadata states a task that makes no sense ({error})") from error


READERS: dict[str, Callable[[Path, Options], Opened]] = {".onnx": _open_onnx, ".safetensors": _open_run}
"""Who opens a file, by how its name ends."""
