"""`shift-test`: what three ways to connect make of a picture that moves."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.convolve import place_of
from pellucid.questions.kinds import PICTURE, picture_names
from pellucid.questions.question import Option, question


@question("shift-test", "pellucid.studies:shift_test", pictures="page", group="learn", page="why-convolution")
def shift_test(
    image: Annotated[str, Option(f"{PICTURE}.", choices=picture_names, place=True, kind="file")],
    shift: Annotated[str, Option("Move the picture, down,right.")] = "0,1",
    kernel: Annotated[int, Option("Rows and columns of a window.", low=1)] = 3,
    side: Annotated[int, Option("Rows and columns that larger pictures are scaled to, gray.", low=2)] = 28,
    seed: Annotated[int, Option("Same seed, same weights.")] = 0,
) -> Any:
    """Shift a picture and see which layers move along.

    A fully connected layer, a locally connected one and a convolution, with weights that are drawn: what each makes of the
    picture and of the shifted picture, how far these are apart, and what pooling leaves of it.

    Example: pellucid shift-test "digits[143]" --shift 0,1

    Example: pellucid shift-test sample:china --shift 2,3 --side 40 --out shifted.html
    """
    from pellucid.questions.convolve import gray_picture
    from pellucid.studies import shift_test as move

    return move(gray_picture(image, side), place_of("--shift", shift), kernel, seed)
