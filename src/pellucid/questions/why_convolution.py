"""`why-convolution`: dense, locally connected and convolutional networks side by side."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import Executor, data_names
from pellucid.questions.question import Option, question
from pellucid.questions.shift_robustness import Shifts, pixels_of


@question("why-convolution", "pellucid.studies:why_convolution", pictures="page", group="learn", page="why-convolution")
def why_convolution(
    data: Annotated[
        str, Option("digits, fashion-mnist, or a folder (or .zip) of class folders.", choices=data_names, kind="data")
    ] = "digits",
    epochs: Annotated[int, Option("Times to go through the training pictures.", low=1)] = 15,
    shifts: Shifts = "0,1,2,3",
    limit: Annotated[int, Option("Train on so many pictures; 0 takes all.")] = 0,
    image_size: Annotated[int, Option("Scale and crop a folder's pictures to this size; 0 keeps theirs.")] = 0,
    download: Annotated[bool, Option("Allow fetching fashion-mnist (30 MB).", kind="download")] = False,
    seed: Annotated[int, Option("Same seed, same study.")] = 0,
    executor: Executor = "auto",
) -> Any:
    """Compare dense, local and convolutional networks.

    On the same pictures: parameters, memory, FLOPs, accuracy; and what shifting the test pictures does, with and without pooling.

    Example: pellucid why-convolution --data digits --out why.html

    Example: pellucid why-convolution --data fashion-mnist --limit 10000 --epochs 6
    """
    from pellucid.data import load
    from pellucid.questions.measured import say
    from pellucid.studies import why_convolution as study

    pixels = pixels_of(shifts)
    splits = load(data, image_size=image_size or None, download=download)
    say(splits.notes)
    return study(splits, epochs, pixels, seed, limit=limit, executor=executor)
