"""Attribution by gradients at the picture: saliency, gradient x input, integrated gradients, SmoothGrad."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pellucid.explain.attribution.method import Asked, Found, method, strongest
from pellucid.inference.target import ScoreError
from pellucid.op import Array
from pellucid.seeds import random_numbers

MOST_STEPS, MOST_SAMPLES = 2000, 20_000
"""Points of the integral, whose rule takes a matrix with as many rows and columns, and noisy pictures."""


@method("Simonyan et al. 2014, Deep Inside Convolutional Networks, section 3", heat=strongest)
def saliency(asked: Asked) -> Found:
    """The gradient of the score with regard to each value of the picture; drawn as its size."""
    scores, slopes = asked.scores.gradients(asked.image, asked.target)
    return Found(asked.value(scores), slopes[0])


@method("Shrikumar et al. 2016, Not Just a Black Box: Learning Important Features")
def gradient_x_input(asked: Asked) -> Found:
    """The gradient times the picture's value: its part in the score, if the score were linear."""
    scores, slopes = asked.scores.gradients(asked.image, asked.target)
    return Found(asked.value(scores), slopes[0] * asked.image[0])


@method("Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks, section 3")
def integrated_gradients(asked: Asked, *, steps: int = 48, baseline: float = 0.0) -> Found:
    """Gradients along the straight line from a baseline to the picture, times the difference: adds up to the score's.

    The integral is taken by Gauss-Legendre's rule with `steps` points, at most `MOST_STEPS`; `baseline` is the value of an empty picture, 0
    being the mean color of a normalized one. The note says how far the sum is from the difference of the scores.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise ScoreError(f"integrated-gradients: steps must be at least 1, and at most {MOST_STEPS:,}, got {steps}")
    places, shares = np.polynomial.legendre.leggauss(steps)
    empty = np.full_like(asked.image[0], baseline)
    difference = asked.image[0] - empty
    points = (empty + difference.dtype.type((place + 1) / 2) * difference for place in places)
    found = _weighted_gradients(asked, points, shares / 2) * difference
    score, before = asked.score(), asked.score(empty[None])
    gap = abs(float(found.sum(dtype=np.float64)) - (score - before))
    note = f"adds up to the score's difference from the baseline's, {score - before:z.6g}, but for {gap:z.2g}"
    return Found(score, found, note=note, promised=score - before)


@method("Smilkov et al. 2017, SmoothGrad, section 2", heat=strongest)
def smoothgrad(asked: Asked, *, samples: int = 32, noise: float = 0.15) -> Found:
    """The mean gradient over `samples` noisy pictures; the noise is `noise` times the picture's range of values.

    There are at most `MOST_SAMPLES` of them.
    """
    if not (1 <= samples <= MOST_SAMPLES and noise >= 0):
        raise ScoreError(
            f"smoothgrad: samples must be at least 1, and at most {MOST_SAMPLES:,}, and noise at least 0, got {samples} and {noise}"
        )
    image = asked.image[0]
    spread = noise * float(image.max() - image.min())
    noisy = (image + spread * grain for grain in _grain(asked.seed, samples, image))
    found = _weighted_gradients(asked, noisy, np.full(samples, 1 / samples))
    return Found(asked.score(), found, note=f"{samples} samples of noise {noise:g}")


def _grain(seed: int, samples: int, image: Array) -> Iterable[Array]:
    random = random_numbers(seed)
    return (random.standard_normal(image.shape).astype(image.dtype) for _ in range(samples))


def _weighted_gradients(asked: Asked, images: Iterable[Array], weights: Array) -> Array:
    """The sum of the pictures' gradients, each times its weight."""
    total = np.zeros(asked.image[0].shape, np.float64)
    rows = iter(weights)
    for _, slopes in asked.scores.gradient_batches(images, len(weights), asked.target):
        for slope in slopes:
            total += next(rows) * slope
    return total.astype(asked.image.dtype)
