"""Arrays as data to train and measure on: how their examples fit a network's input, what is learned of them, and their parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.data import (
    ArrayDataset,
    DataError,
    Inputs,
    NumberSplits,
    Parts,
    Preparation,
    Preprocessing,
    Splits,
    split,
)
from pellucid.data.arrays import (
    LabeledArrays,
    are_pixels,
    classes_in,
    in_shape,
    labels_for,
    pixels_of,
    targets_of,
    values_of,
)
from pellucid.data.numbered import FRACTIONS, NumberArrays, split_numbers
from pellucid.errors import PellucidError
from pellucid.graph import input
from pellucid.nn import Module, ModuleError
from pellucid.nn.axes import in_layout, layout_of
from pellucid.nn.interface import shapes_of
from pellucid.op import Array, Shape
from pellucid.scopes import inference_mode
from pellucid.train.config import TrainConfig, TrainError
from pellucid.train.task import Task

Targets = npt.ArrayLike
Validation = float | tuple[Any, ...] | list[Any] | None
"""A share of the arrays to hold out, or inputs and targets of their own."""

PARTS = ("train", "validation", "test")
_FEW_CHANNELS = (1, 3, 4)
NAME = "arrays"


def parts_for(
    net: Module, data: Any, targets: Any = None, validation: Validation = None, task: Task | str | None = None
) -> Parts:
    """Data as it is; or the parts of inputs (N, ...) and targets, given as a pair or one by one.

    Whole numbers and names are classes to tell apart, floats (N,) or (N, M) numbers to predict, unless the `task` says
    what they are. Without `validation` they are cut 70:15:15 into training, validation and test, of classes evenly; with
    it results are reported on the validation part.
    """
    if isinstance(data, Parts):
        if targets is not None or validation is not None:
            raise TrainError(f"{data.source}: has its targets and its parts; y and validation are for arrays")
        return data
    inputs, targets = pair(data, targets)
    examples = inputs_for(net, values_of(f"{NAME}: inputs", inputs))
    wanted = targets_of(f"{NAME}: targets", targets, len(examples))
    outputs = _outputs(net, examples)
    if not _are_classes(wanted, outputs, task):
        return _numbered(examples, wanted, validation)
    if wanted.dtype.kind == "f":
        wanted = _whole(wanted)
    classes = _classes(net, wanted, outputs)
    whole = labeled(examples, labels_for(f"{NAME}: targets", wanted, classes), classes)
    if isinstance(validation, tuple):
        held = held_out(validation, whole.shape)
        other = labeled(held[0], labels_for("validation: targets", held[1], classes), classes, "validation")
        return Splits(whole, other, other, NAME)
    fractions, names = _fractions(validation)
    cut = split(whole, fractions, names, 0)
    return Splits(cut[0], cut[1], cut[-1], NAME, {"seed": 0})


def targets_or_config(y: Any, config: TrainConfig | None) -> tuple[Any, TrainConfig | None]:
    """Targets and settings, which may stand in the place of the targets."""
    if not isinstance(y, TrainConfig):
        return y, config
    if config is not None:
        raise TrainError("settings are given twice, in the place of y and as config")
    return None, y


def one_validation(validation: Validation, share: float | None) -> Validation:
    """What to hold out of arrays, which is said by one of the two."""
    if validation is not None and share is not None:
        raise TrainError("give either validation or validation_split, got both")
    if isinstance(validation, list):
        return tuple(validation)
    return share if validation is None else validation


def pair(data: Any, targets: Any) -> tuple[Any, Any]:
    """Inputs and targets, given one by one, or as a pair in the place of data."""
    if targets is not None:
        return data, targets
    if isinstance(data, tuple | list) and len(data) == 2:
        return data[0], data[1]
    parts = ", all parts together: give one, .train, .validation or .test" if isinstance(data, Parts) else ""
    raise TrainError(
        "data is what pl.load, pl.data.load_numbers or pl.data.numbers gives, or two arrays, inputs and targets: classes, "
        f"or numbers to predict; got {type(data).__name__}{parts}"
    )


def held_out(validation: tuple[Any, ...], shape: Shape) -> tuple[Array, Array]:
    """Inputs of `shape` and targets that are given for validation."""
    if len(validation) != 2:
        raise TrainError(f"validation is a share, or two arrays, inputs and targets; got {len(validation)}")
    values = examples_for("validation: inputs", validation[0], shape)
    return values, targets_of("validation: targets", validation[1], len(values))


def examples_for(what: str, inputs: Any, shape: Shape, preparation: Any = None) -> Array:
    """Inputs as a network's examples (N, *shape); bytes where its `preparation` is that of pictures."""
    values = values_of(what, inputs)
    found = in_shape(values, tuple(shape))
    if found is None:
        raise DataError(f"{what}: wants inputs (N, {', '.join(map(str, shape))}), got {values.shape}")
    return pixels_of(what, found) if isinstance(preparation, Preprocessing) else found


def inputs_for(net: Module, values: Array) -> Array:
    """Examples (N, ...) in the order of axes that the network takes: pictures as (N, C, H, W), bytes where they are pixels.

    Rows may be flat pictures where the network states their size. Where several orders fit, few channels tell which it is.
    """
    if not values.size:
        raise DataError(f"{NAME}: there is no example in it, got {values.shape}")
    refused: PellucidError | ValueError | None = None
    for candidate in _candidates(net, values):
        try:
            _output(net, candidate.shape[1:])
        except (PellucidError, ValueError) as error:
            refused = refused or error
            continue
        whole = candidate.ndim == 4 and candidate.dtype.kind in "iu" and are_pixels(candidate)
        return np.ascontiguousarray(candidate.astype(np.uint8) if whole else candidate)
    raise TrainError(
        f"{NAME}: examples of shape {values.shape[1:]} do not fit the network, whichever of their axes are channels, rows "
        f"and columns: {refused}"
    ) from refused


def labeled(examples: Array, labels: Array, classes: tuple[str, ...], name: str = NAME) -> ArrayDataset:
    """Examples with classes: pictures where they are bytes (N, C, H, W)."""
    kind = ArrayDataset if examples.ndim == 4 and examples.dtype == np.uint8 else LabeledArrays
    return kind(examples, labels, classes, name)


def to_measure(net: Module, task: Task | None, data: Any, targets: Any, preparation: Preparation | None) -> Inputs:
    """Arrays to measure a network on: of the `task` that it was trained for, else of the classes that its card names."""
    inputs, targets = pair(data, targets)
    if preparation is None:
        examples = inputs_for(net, values_of(f"{NAME}: inputs", inputs))
    else:
        examples = examples_for(f"{NAME}: inputs", inputs, preparation.shape, preparation)
    wanted = targets_of(f"{NAME}: targets", targets, len(examples))
    quantities = getattr(task, "quantities", None)
    if quantities is not None:
        return NumberArrays(examples, wanted, quantities, NAME)
    classes = net.card.classes if task is None else task.classes
    if not classes:
        classes = tuple(map(str, range(_outputs(net, examples))))
    return labeled(examples, labels_for(f"{NAME}: targets", wanted, classes), classes)


def _candidates(net: Module, values: Array) -> list[Array]:
    """Ways to take the axes of examples, the likeliest first."""
    if values.ndim == 2:
        try:
            (shape,) = (shape[1:] for shape in shapes_of(net, None).values())
        except (ModuleError, ValueError):
            return [values]
        flat = in_shape(values, tuple(shape))
        return [values] if flat is None else [flat]
    if values.ndim == 3:
        return [values[:, None], values]
    if values.ndim != 4:
        return [values]
    first, last = values, np.moveaxis(values, -1, 1)
    is_last = values.shape[-1] in _FEW_CHANNELS and values.shape[1] not in _FEW_CHANNELS
    return [last, first] if is_last else [first, last]


def _output(net: Module, shape: Shape) -> tuple[int, ...]:
    """The shape of what the network makes of one example; pictures are given in the layout that it takes."""
    one = (1, *shape)
    with inference_mode():
        return net(input(in_layout(one, layout_of(net, shape)) if len(shape) == 3 else one, name="images")).shape


def _outputs(net: Module, examples: Array) -> int:
    """How many numbers the network makes of one example."""
    return int(np.prod(_output(net, examples.shape[1:])[1:]))


def _are_classes(targets: Array, outputs: int, task: Task | str | None) -> bool:
    """Whether targets are classes to tell apart rather than numbers to predict; raises `TrainError` where that is open."""
    name = task.name if isinstance(task, Task) else task
    if name == "classification" or targets.dtype.kind in "bU":
        return True
    if name is not None:
        return False
    if targets.ndim == 2:
        if targets.shape[1] > 1 and np.isin(targets, (0, 1)).all() and (targets.sum(1) == 1).all():
            raise TrainError(
                "targets with one 1 in each row are classes: give their numbers, y.argmax(1); to predict them as numbers "
                "all the same, say task='regression'"
            )
        return False
    if targets.dtype.kind == "f":
        return False
    if outputs == 1:
        raise TrainError(
            "whole numbers as targets may be classes or numbers, and the network makes one number: say task='regression' to "
            "predict them; to tell classes apart it needs an output for each"
        )
    return True


def _whole(targets: Array) -> Array:
    """Classes that are numbered by floats."""
    if targets.ndim == 1 and (targets == np.floor(targets)).all():
        return targets.astype(np.int64)
    raise TrainError(
        f"the task classification was asked for, and the data {NAME} is for regression: its targets are floats "
        f"{targets.shape}; give whole numbers or names"
    )


def _classes(net: Module, targets: Array, outputs: int) -> tuple[str, ...]:
    """The classes that targets are of: those of the network's card where it names them, else all numbers that it has
    outputs for, or what occurs."""
    found, known = classes_in(targets), net.card.classes
    numbered = targets.dtype.kind in "iu" and int(targets.min()) >= 0 and int(targets.max()) < outputs
    if len(known) == outputs and (numbered or set(found) <= set(known)):
        return known
    return tuple(map(str, range(outputs))) if numbered else found


def _fractions(validation: Any) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """The shares of the parts, and their names."""
    if validation is None:
        return FRACTIONS, PARTS
    number = isinstance(validation, int | float | np.number) and not isinstance(validation, bool)
    if not (number and 0 < validation < 1):
        raise TrainError(f"validation must be a share between 0 and 1, or inputs and targets, got {validation!r}")
    share = float(validation)
    return (1 - share, share), PARTS[:2]


def _numbered(examples: Array, targets: Array, validation: Validation) -> NumberSplits:
    whole = NumberArrays(examples, targets, (), NAME)
    options = {"seed": 0, "targets": list(map(str, whole.quantities))}
    if isinstance(validation, tuple):
        other = NumberArrays(*held_out(validation, whole.shape), whole.quantities, "validation")
        return NumberSplits(whole, other, other, NAME, options)
    fractions, names = _fractions(validation)
    cut = split_numbers(whole, 0, names, fractions)
    return NumberSplits(cut[0], cut[1], cut[-1], NAME, options)
