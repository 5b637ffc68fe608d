"""What questions take: the parameters that many of them share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pellucid.questions.question import Option, QuestionError

if TYPE_CHECKING:
    from pellucid.data import ImageInput
    from pellucid.opening import Opened


def model_names() -> list[str]:
    """Models by name."""
    from pellucid.nn import models

    return models.names()


def data_names() -> list[str]:
    """Kinds of data by name."""
    from pellucid.data import NAMES

    return list(NAMES)


def picture_names(incomplete: str = "") -> list[str]:
    """Pictures that have names, those of a run, and files that a word may go on to."""
    from pellucid.data.samples import DATA, PHOTOS

    folder, start = os.path.split(incomplete)
    try:
        names = sorted(os.listdir(folder or "."))
    except OSError:
        names = []
    files = [os.path.join(folder, name) for name in names if name.startswith(start) and start + name[:1] != "."]
    numbered = [f"{name}[0]" for name in (*DATA, "test", "validation", "train")]
    return [*PHOTOS, *numbered, *(f"{file}/" if os.path.isdir(file) else file for file in files)]


def executor_names() -> list[str]:
    """Executors by name."""
    from pellucid.executors import CHOICES

    return list(CHOICES)


def preprocessing_names() -> list[str]:
    """Usual preprocessings by name."""
    from pellucid.data import PREPROCESSINGS

    return list(PREPROCESSINGS)


NETWORK = Option(
    "A run's folder, a checkpoint, an ONNX file, or a model with published weights.",
    choices=model_names,
    place=True,
    kind="network",
)
EXECUTOR = Option(
    "Who computes: native, reference or torch; auto takes native where it is built.", choices=executor_names
)
PREPROCESSING = Option(
    "For a network that does not say it itself, what its input is: unit (0 to 1), symmetric (-1 to 1) or imagenet "
    "(torchvision's).",
    choices=preprocessing_names,
)
SET = Option(
    'Of an ONNX file: a value for an input, as in sr=16000 or sizes="[2, 3]"; it is no input then. May be repeated.'
)
EDIT = Option(
    'Ask the network with other numbers, its file staying as it is: "conv1.weight[3]=0", "fc.bias*=2", or =original for what '
    "the file has. May be repeated; a part of a parameter is named as NumPy does.",
    kind="edits",
)
SIZE = Option(
    "The size of pictures, HEIGHTxWIDTH as in 480x640, or the side of a square: of an ONNX file that leaves it open, and "
    "of networks that take any.",
)
Size = Annotated[str, SIZE]
Network = Annotated["Opened", NETWORK]
PICTURE = (
    "A picture: a file, or a name such as 'digits[143]', sample:china or a run's 'test[3]' (see `pellucid samples`)"
)
Image = Annotated[
    "ImageInput",
    Option(
        f"{PICTURE}, an array (.npy) as the network takes it, or random:SEED, random numbers.",
        choices=picture_names,
        place=True,
        kind="image",
    ),
]
INPUTS = Option(
    "For a network with several inputs: NAME=FILE, a picture or an array (.npy), NAME=NUMBER, numbers as in "
    'NAME="[[1, 2], [3, 4]]", or NAME=random:SEED; may be repeated.',
    "input",
    kind="inputs",
)
DETECTOR = Option(
    "A run of `pellucid detect train`, or its detector.safetensors; models of parts (.mat), or a folder or .zip of some.",
    place=True,
    kind="detector",
)
FIGURE = Option(
    "Of an answer that is drawn as several figures this one alone, counted from 0, with its numbers.", low=0
)
THRESHOLD = Option("The score from which on a box is shown: 0.5 of a share, 0 of a margin, a model's own unless given.")
DROPPED = Option(
    "One of the boxes that were dropped instead, counted from 0, the surest first, as --json of what was found lists them.",
    low=0,
)
AT = Option("The box of --class that is nearest to this place instead, x1,y1,x2,y2 in pixels, whatever became of it.")
KIND = Option("The class of the box that --at asks for, by name.", "class")
TARGET = "a class, by name or number, or a place in an output: scores[3], boxes[4,cat], mask[1,10:20,5:30]"
Target = Annotated[str, Option(f"What is asked about: {TARGET}. The highest score unless given.")]
TestData = Annotated[
    str, Option("Data whose test pictures are looked at; default the run's own.", choices=data_names, kind="data")
]
Executor = Annotated[str, EXECUTOR]
Preprocessing = Annotated[str, PREPROCESSING]
Show = Annotated[Callable[[Any], None], Option("Called with each better answer.", kind="show")]


def class_asked(target: str, classes: Sequence[str]) -> int | str | None:
    """What `target` names: a number, unless a class is called like it, or a place as text; None where it says nothing."""
    number = target.isascii() and target.isdecimal() and len(target) < 10 and target not in classes
    return int(target) if number else target or None


def named_values(assignments: Sequence[str]) -> dict[str, Any]:
    """`["sr=16000", "mask=[true, false]"]` -> `{"sr": 16000, "mask": [True, False]}`: values as JSON has them."""
    from pellucid.plain import PlainError, parse_json

    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.rpartition("=")
        if not equals or not (name := name.strip()):
            raise QuestionError(f"expected name=number or name=[numbers], got {assignment!r}")
        try:
            value = parse_json(text)
        except PlainError:
            raise QuestionError(f"expected name=number or name=[numbers], got {assignment!r}") from None
        if name in values:
            raise QuestionError(f"{name} is given twice, {values[name]} and {value}; give it once")
        values[name] = value
    return values


def named_numbers(assignments: Sequence[str]) -> dict[str, float]:
    """`["w=2", "x=-1"]` -> `{"w": 2.0, "x": -1.0}`; raises `ExpressionError` for anything else, and for a name that comes twice."""
    from pellucid.formulas.expression import ExpressionError

    numbers: dict[str, float] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise ExpressionError(f"expected name=number, got {assignment!r}")
        try:
            number = float(text)
        except ValueError:
            raise ExpressionError(f"expected name=number, got {assignment!r}") from None
        if name in numbers:
            raise ExpressionError(f"{name} is given twice, {numbers[name]:g} and {number:g}; give it once")
        numbers[name] = number
    return numbers


def numbers_of(option: str, text: str) -> list[float]:
    """`"1,-2"` -> `[1, -2]`."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise QuestionError(f"{option}: expected numbers with commas between, got {text!r}") from None


def functions_named(words: Sequence[str]) -> tuple[list[str], dict[str, dict[str, float]]]:
    """`["elu", "relu", "elu.alpha=2"]` -> the names, and the settings of each; of a single one `alpha=2` says enough."""
    names = [word for word in words if "=" not in word]
    said: dict[str, list[str]] = {name: [] for name in names}
    known = {name.replace("-", "_").lower(): name for name in names}
    for word in words:
        if "=" not in word:
            continue
        path, _, number = word.partition("=")
        owner, dot, setting = path.strip().rpartition(".")
        if not dot and len(names) != 1:
            raise QuestionError(
                f"settings belong to one function; name one, or say whose it is: {names[0] if names else 'NAME'}.{word}"
            )
        if dot and owner.replace("-", "_").lower() not in known:
            raise QuestionError(f"{word}: no function {owner!r} is asked about; name it, too")
        said[known[owner.replace("-", "_").lower()] if dot else names[0]].append(f"{setting}={number}")
    return names, {name: named_numbers(own) for name, own in said.items()}
