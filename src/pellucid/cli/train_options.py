"""Options of commands that train: one for each setting of `TrainConfig`; and the network and data that they mean."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from pellucid.cli.options import optimizer_names, precision_names, schedule_names, set_values, some_threads
from pellucid.questions.kinds import data_names, executor_names, model_names
from pellucid.questions.measured import say
from pellucid.train.config import TrainConfig

if TYPE_CHECKING:
    from pellucid.data import Parts, SplitRecord
    from pellucid.nn import Module
    from pellucid.train.starting import Origin

Download = Annotated[
    bool, typer.Option("--download", help="Allow fetching fashion-mnist (30 MB).", rich_help_panel="Pictures")
]

_MORE: dict[str, dict[str, Any]] = {
    "data": {"autocompletion": data_names},
    "model": {"autocompletion": model_names},
    "optimizer": {"autocompletion": optimizer_names},
    "schedule": {"autocompletion": schedule_names},
    "executor": {"autocompletion": executor_names},
    "precision": {"autocompletion": precision_names},
    "threads": {"min": 0, "callback": some_threads},
    "learning_rates": {"metavar": "PREFIX=FACTOR"},
}
"""What the options of some settings have beside their help."""


SETTING_GROUPS = {
    "Pictures": "data task image_size size channels on_bad_image",
    "Network": "model pretrained start_from freeze learning_rates learning_rate_decay cache_features",
    "Learning": (
        "epochs batch_size learning_rate optimizer weight_decay momentum label_smoothing loss class_weights sampling "
        "patience drop_last seed"
    ),
    "Rate and gradients": (
        "schedule warmup warmup_steps plateau_patience plateau_factor clip_norm clip_value accumulate ema"
    ),
    "Augmentation": "flip shift rotation zoom crop_scale crop_ratio brightness contrast saturation hue erasing mixup cutmix",
    "Computing and saving": "executor precision threads checkpoint_every watch_every",
}
"""Under which title `--help` has the options of settings; those that are not named stand under `USUAL`."""
USUAL = "Learning"
_GROUP_OF = {name: title for title, names in SETTING_GROUPS.items() for name in names.split()}


def takes_settings(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for every setting, but for some, in the place of its parameter `settings`, a dict of them."""
    known = {each.name: each for each in dataclasses.fields(TrainConfig)}
    fields = [known[name] for name in dict.fromkeys((*_GROUP_OF, *known)) if name not in without]
    kinds = get_type_hints(TrainConfig)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def called(**given: Any) -> None:
            settings = {each.name: given.pop(each.name) for each in fields}
            settings["learning_rates"] = factors_of(settings["learning_rates"] or [])
            command(**given, settings=settings)

        parameters: list[inspect.Parameter] = []
        hints = get_type_hints(command, include_extras=True)
        for name, own in inspect.signature(command).parameters.items():
            made = (
                [_option(each, kinds[each.name]) for each in fields]
                if name == "settings"
                else [own.replace(annotation=hints[name])]
            )
            parameters += [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in made]
        vars(called)["__signature__"] = inspect.Signature(parameters)
        called.__annotations__ = {each.name: each.annotation for each in parameters}
        return called

    return decorate


def _option(setting: dataclasses.Field[Any], kind: Any) -> inspect.Parameter:
    default = setting.default
    name = f"--{setting.metadata.get('option') or setting.name.replace('_', '-')}"
    if setting.name == "learning_rates":
        kind, default = list[str] | None, None
    elif kind is bool and default:
        name = f"{name}/--no-{name[2:]}"
    more: dict[str, Any] = {"rich_help_panel": _GROUP_OF.get(setting.name, USUAL), **_MORE.get(setting.name, {})}
    option = typer.Option(name, help=setting.metadata["help"], **more)
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )


Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="FILE",
        rich_help_panel="Network",
        help="Start from the weights in this file (.pth, .safetensors), as torchvision and timm publish them; the head is new.",
    ),
]


def origin_of(model: str, pretrained: bool, start: str, weights: str = "") -> Origin:
    """The network to begin with: a run's, a model with published weights or those of a file, or a new one."""
    from pellucid.train import TrainError
    from pellucid.train.starting import Origin, origin_of_published, origin_of_run

    ways = {"--pretrained": pretrained, "--from": start, "--weights": weights}
    if len(said := [way for way, given in ways.items() if given]) > 1:
        raise TrainError(f"{' and '.join(said)} both give weights to start from; choose one")
    if weights and not model:
        raise TrainError("--weights needs --model, the network that the weights are for")
    if start:
        return origin_of_run(start, model)
    model = model or "lenet"
    return origin_of_published(model) if pretrained else Origin({"model": model}, weights=weights)


def begun_with(settings: dict[str, Any], weights: str = "", set: list[str] | None = None) -> tuple[Origin, TrainConfig]:
    """The network to begin with, and the settings with what it says of the pictures, and the data that is meant.

    `set` gives inputs of an ONNX file their values.
    """
    from pellucid.data.points import are_points
    from pellucid.data.size import parse_size, sides, written
    from pellucid.errors import unknown
    from pellucid.train.tasks import TASKS

    if settings["task"] not in TASKS:
        raise unknown("task", settings["task"], TASKS)
    points = are_points(settings["data"])
    usual = "mlp" if points and not settings["start_from"] else ""
    origin = origin_of(settings["model"] or usual, settings["pretrained"], settings["start_from"], weights)
    if values := set_values(set):
        if settings["start_from"] or not origin.options["model"].lower().endswith(".onnx"):
            raise typer.BadParameter(
                "gives inputs of an ONNX file (--model FILE.onnx) their values", param_hint="--set"
            )
        origin = dataclasses.replace(origin, options={**origin.options, "set": values})
    asked = sides(parse_size(settings["size"])) or sides(settings["image_size"])
    _, channels = origin.picture(0, settings["channels"])
    if asked is None and origin.preprocessing is not None:
        asked = origin.preprocessing.image_size
    image_size = asked[0] if asked is not None and asked[0] == asked[1] else 0
    found: dict[str, Any] = {
        "data": settings["data"] or "digits",
        "task": "regression" if settings["data"].lower().endswith(".csv") and not points else settings["task"],
        "model": origin.options["model"],
        "image_size": image_size,
        "size": "" if asked is None or image_size else written(asked),
        "channels": channels,
        "pretrained": False,
    }
    return origin, TrainConfig(**{**settings, **found})


def given(context: typer.Context, settings: dict[str, Any]) -> dict[str, Any]:
    """Those of `settings` that somebody wrote on the command line."""
    sources = {name: context.get_parameter_source(name) for name in settings}
    return {name: settings[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def factors_of(texts: list[str]) -> dict[str, float]:
    """The factors of learning rates that PREFIX=FACTOR says."""
    factors: dict[str, float] = {}
    for text in texts:
        prefix, equals, number = text.partition("=")
        if (prefix := prefix.strip()) in factors:
            told = f"{prefix!r} is given twice, {factors[prefix]:g} and {number}; give it once"
            raise typer.BadParameter(told, param_hint="--lr-of")
        try:
            factors[prefix] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise typer.BadParameter(f"expected PREFIX=FACTOR, got {text!r}", param_hint="--lr-of")
    return factors


def network_and_data(
    origin: Origin,
    config: TrainConfig,
    download: bool,
    pretrained: bool,
    record: SplitRecord | None = None,
    place: str = "",
) -> tuple[Module, Parts]:
    """The pictures that the settings name, and a network for them; split as a `record` says if there is one.

    They are at `place` where that is named.
    """
    from pellucid.data import load, load_numbers
    from pellucid.data.size import of_options, parse_size

    options = {} if record is None else record.options
    reading: dict[str, Any] = {
        "image_size": of_options(options, parse_size(config.size) or config.image_size) or None,
        "channels": options.get("channels", config.channels),
        "on_bad_image": config.on_bad_image,
        "record": record,
    }
    if config.task == "regression":
        splits = load_numbers(place or config.data, **reading)
        outputs = len(splits.quantities)
    else:
        splits = load(place or config.data, **reading, download=download)
        outputs = len(splits.classes)
    say([*splits.notes, *(f"skipped {line}" for line in splits.train.skipped)])
    channels, *size = splits.shape if len(splits.shape) == 3 else (*splits.shape, 1, 1)
    whole = max(size) if size[0] == size[1] or not origin.options["model"].endswith(".onnx") else tuple(size)
    return origin.build(pretrained, num_classes=outputs, in_channels=channels, image_size=whole), splits
