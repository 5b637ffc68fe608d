"""`convolve`: a kernel moved over a picture, number by number."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import PICTURE, numbers_of, picture_names
from pellucid.questions.question import Option, QuestionError, question

FARTHEST = 1_000_000
"""Rows or columns that a place may be away."""


def kernel_names() -> list[str]:
    """Kernels by name."""
    from pellucid.studies.convolving import KERNELS

    return list(KERNELS)


def pooling_names() -> list[str]:
    """Ways to pool."""
    from pellucid.studies.convolving import POOLINGS

    return list(POOLINGS)


@question("convolve", "pellucid.studies:convolve", pictures="page", group="learn", page="convolution")
def convolve(
    image: Annotated[
        str,
        Option(f"{PICTURE}.", choices=picture_names, place=True, kind="file"),
    ],
    kernel: Annotated[
        str, Option("A kernel by name, or rows of numbers: '0,1,0;1,-4,1;0,1,0'.", choices=kernel_names)
    ] = "sobel-x",
    at: Annotated[str, Option("The cell of the output to take apart, row,column; its middle unless given.")] = "",
    bias: Annotated[float, Option("Added to every sum.")] = 0.0,
    stride: Annotated[int, Option("Steps of the kernel.", low=1)] = 1,
    padding: Annotated[int, Option("Rows and columns of zeros around the picture.", low=0)] = 0,
    dilation: Annotated[int, Option("Steps between the places under the kernel.", low=1)] = 1,
    pooling: Annotated[str, Option("What pools the output: max, average or none.", choices=pooling_names)] = "max",
    pool_size: Annotated[int, Option("Rows and columns of a pooling window.", low=1)] = 2,
    shift: Annotated[str, Option("Move the picture first, down,right.")] = "0,0",
    side: Annotated[int, Option("Rows and columns that larger pictures are scaled to, gray.", low=1)] = 28,
) -> Any:
    """Move a kernel over a picture, number by number.

    Patch x kernel, summed, for one cell of the output; and what pooling keeps.

    Example: pellucid convolve "digits[143]" --kernel sobel-x --at 2,3

    Example: pellucid convolve sample:china --kernel "-1,0,1;-1,0,1" --side 64 --out edges.html
    """
    import numpy as np

    from pellucid.studies import convolve as move
    from pellucid.studies.convolving import KERNELS

    pixels = gray_picture(image, side)
    chosen = (
        kernel if kernel in KERNELS or "," not in kernel else [numbers_of("--kernel", row) for row in kernel.split(";")]
    )
    place = place_of("--at", at) if at else None
    return move(
        pixels.astype(np.float64),
        chosen,
        place,
        bias=bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        pooling=pooling,
        pool_size=pool_size,
        shift=place_of("--shift", shift),
    )


def gray_picture(image: str, side: int) -> Any:
    """A picture's pixels (H, W), uint8, gray, scaled to at most `side` rows and columns."""
    from pathlib import Path

    from pellucid.data import read_image

    pixels = read_image(Path(image), 1)[0]
    if max(pixels.shape) > side:
        scale = side / max(pixels.shape)
        rows, columns = (max(1, round(size * scale)) for size in pixels.shape)
        pixels = read_image(Path(image), 1, (rows, columns))[0]
    return pixels


def place_of(option: str, text: str) -> tuple[int, int]:
    """`"2,3"` -> `(2, 3)`; `option` is named where it makes no sense."""
    numbers = numbers_of(option, text)
    if len(numbers) != 2 or not all(abs(number) <= FARTHEST and number == int(number) for number in numbers):
        raise QuestionError(f"{option}: expected two whole numbers, row,column, of at most {FARTHEST:,}, got {text!r}")
    return int(numbers[0]), int(numbers[1])
