"""`design`: a network as a list of layers, with what each gives and how many parameters it has."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import model_names
from pellucid.questions.question import Option, QuestionError, question

NETWORK_TEXT = (
    "Layers with commas between, as in 'Linear 4, Tanh' or 'Conv2d 8 3 padding=1, ReLU, Flatten', or a model by name."
)


@question("design", "pellucid.nn.described:design", pictures="page", group="learn", page="training")
def design(
    network: Annotated[str, Option(NETWORK_TEXT, choices=model_names, place=True)],
    shape: Annotated[str, Option("One example: channels,rows,columns of a picture, or how many numbers.")] = "2",
    classes: Annotated[int, Option("Classes, each with a score of the last layer; 0 adds no such layer.", low=0)] = 0,
) -> Any:
    """Count a network's parameters and write its Python.

    A layer knows from the one before how much it reads, so that only its own settings are said.

    Example: pellucid design "Linear 4, Tanh, Linear 2, Tanh" --classes 2

    Example: pellucid design "Conv2d 8 3 padding=1, ReLU, MaxPool2d 2, Flatten, Linear 32, ReLU" --shape 1,8,8 --classes 10

    Example: pellucid design lenet --shape 1,8,8 --classes 10
    """
    from pellucid.nn.described import design as designed

    sizes = [size.strip() for size in shape.replace("x", ",").split(",")]
    if not all(size.isascii() and size.isdecimal() and len(size) < 8 for size in sizes):
        raise QuestionError(f"--shape: expected whole numbers with commas between, such as 2 or 1,28,28, got {shape!r}")
    return designed(network, tuple(map(int, sizes)), classes)
