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

    `window` is the square's side (an eighth of the picture's shorter side unless given, a thirty-second of a signal),
    `stride` the step between windows (half of one), `fill` the value that covers.
    """
    image, sizes = asked.image[0], asked.places
    shortest = min(sizes)
    side = window or max(1, shortest // (32 if len(sizes) == 1 else 8))
    step = stride or max(1, side // 2)
    if side < 1 or step < 1 or side > shortest or step > side:
        raise ScoreError(f"occlusion: window must be 1 to {shortest} and stride 1 to the window, got {side} and {step}")
    windows = list(itertools.product(*(_spans(size, side, step) for size in sizes)))

    def covered() -> Iterator[Array]:
        for spans in windows:
            picture = image.copy()
            np.moveaxis(picture, asked.channels or 0, 0)[(..., *spans)] = fill
            yield picture

    score = asked.score()
    fallen = np.zeros(sizes)
    times = np.zeros(sizes)
    left = iter(windows)
    for scores in asked.scores.score_batches(covered(), len(windows)):
        for value in asked.target.of(scores):
            place = next(left)
            fallen[place] += score - float(value)
            times[place] += 1
    note = f"{len(windows)} windows of {'x'.join([str(side)] * len(sizes))}, {step} apart"
    return Found(score, (fallen / times).astype(image.dtype), note=note)


def _spans(size: int, side: int, step: int) -> list[slice]:
    """Windows from the first element on until the last is covered; the last one ends at the edge."""
    count = math.ceil((size - side) / step) + 1
    return [slice(i * step, min(i * step + side, size)) for i in range(count)]
