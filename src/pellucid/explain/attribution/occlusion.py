"""Attribution by covering the picture, window by window."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from pellucid.explain.attribution.method import Asked, Found, method
from pellucid.inference.target import ScoreError
from pellucid.op import Array


@method("Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks, section 4.2")
def occlusion(asked: Asked, *, window: int = 0, stride: int = 0, fill: float = 0.0) -> Found:
    """How much the score falls when a square window of the picture is covered; where windows overlap, their mean.

    `window` is the square's side (an eighth of the picture's shorter side unless given), `stride` the step between
    windows (half of one), `fill` the value that covers.
    """
    image = asked.image[0]
    side = window or max(1, min(image.shape[1:]) // 8)
    step = stride or max(1, side // 2)
    if side < 1 or step < 1 or side > min(image.shape[1:]) or step > side:
        raise ScoreError(
            f"occlusion: window must be 1 to {min(image.shape[1:])} and stride 1 to the window, got {side} and {step}"
        )
    squares = list(itertools.product(*(_spans(size, side, step) for size in image.shape[1:])))

    def covered() -> Iterator[Array]:
        for rows, columns in squares:
            picture = image.copy()
            picture[:, rows, columns] = fill
            yield picture

    score = asked.score()
    fallen = np.zeros(image.shape[1:])
    times = np.zeros(image.shape[1:])
    left = iter(squares)
    for scores in asked.scores.score_batches(covered(), len(squares)):
        for value in scores[:, asked.target]:
            place = next(left)
            fallen[place] += score - float(value)
            times[place] += 1
    note = f"{len(squares)} windows of {side}x{side}, {step} apart"
    return Found(score, (fallen / times).astype(image.dtype), note=note)


def _spans(size: int, side: int, step: int) -> list[slice]:
    """Windows from the first element on until the last is covered; the last one ends at the edge."""
    count = math.ceil((size - side) / step) + 1
    return [slice(i * step, min(i * step + side, size)) for i in range(count)]
