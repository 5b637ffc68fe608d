"""How well a map says what the network looks at: the class's probability while the picture is taken away and put back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.explain.attribution.method import Attribution, places_of
from pellucid.inference.fed import Given
from pellucid.inference.prediction import probabilities_of, shares
from pellucid.inference.scores import Scores
from pellucid.inference.target import ScoreError, Target, TargetLike
from pellucid.nn import Module
from pellucid.nn.card import carded
from pellucid.nn.required import require_net
from pellucid.nn.score_kind import ScoreKind, kind_of_scores
from pellucid.op import Array, Shape
from pellucid.pictures import Answer, Chart, Series
from pellucid.progress import long, progress
from pellucid.real_numbers import real
from pellucid.seeds import random_numbers
from pellucid.whole_numbers import whole


@dataclass(frozen=True)
class Faithfulness(Answer):
    """The probability of class `target` when a share of the pixels, the map's strongest first, is deleted or inserted.

    Of a place that is no class's it is the output's own value, after a final softmax or sigmoid; of a region the mean.
    `shares` goes from 0 to 1. A faithful map has a small area under `deletion` and a large one under `insertion`.
    """

    name: str
    target: int | None
    label: str
    shares: Array
    deletion: Array
    insertion: Array
    completeness_gap: float | None
    place: Target = field(default_factory=Target)

    @property
    def deletion_area(self) -> float:
        """Area under the deletion curve, 0 to 1: the smaller the better."""
        return float(np.trapezoid(self.deletion, self.shares))

    @property
    def insertion_area(self) -> float:
        """Area under the insertion curve, 0 to 1: the larger the better."""
        return float(np.trapezoid(self.insertion, self.shares))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.name,
            "target": self.target,
            "class": self.label,
            "place": str(self.place),
            "deletion_area": self.deletion_area,
            "insertion_area": self.insertion_area,
            "completeness_gap": self.completeness_gap,
            "shares": self.shares.tolist(),
            "deletion": self.deletion.tolist(),
            "insertion": self.insertion.tolist(),
        }

    def __str__(self) -> str:
        gap = "" if self.completeness_gap is None else f", completeness gap {self.completeness_gap:.1%}"
        return f"{self.name}: insertion {self.insertion_area:.3f}, deletion {self.deletion_area:.3f}{gap}"

    def picture(self) -> Chart:
        """Both curves."""
        curves = tuple(
            Series(name, self.shares.tolist(), values.tolist())
            for name, values in (("insertion", self.insertion), ("deletion", self.deletion))
        )
        note = "Petsiuk et al. 2018, RISE: Randomized Input Sampling for Explanation"
        return Chart(f"{self.name}: {self.label or self.place.words}", SHARE, self.measures, curves, note)

    @property
    def measures(self) -> str:
        """What the curves show."""
        return "probability of the class" if self.target is not None else f"value of {self.place}"


@carded
@long
def faithfulness(
    net: Module,
    image: Given,
    attribution: Attribution | npt.ArrayLike,
    target: TargetLike = None,
    *,
    name: str = "map",
    steps: int = 32,
    fill: float = 0.0,
    of: str = "",
    executor: str = "auto",
    seed: int = 0,
) -> Faithfulness:
    """Delete and insert the pixels of a picture in the order of an attribution, and watch the class's probability.

    `attribution` is what a method gives, or any heat (H, W), then called `name`. Deleted pixels become `fill`; insertion
    starts from the picture blurred by an eighth of its side. Pixels of equal heat are taken in an order drawn from `seed`
    (Petsiuk et al. 2018, RISE: Randomized Input Sampling for Explanation).
    """
    require_net(net)
    steps = whole("faithfulness", "steps", steps, 1, ScoreError)
    fill = real("faithfulness", "fill", fill, raises=ScoreError)
    given = attribution if isinstance(attribution, Attribution) else None
    wanted = given.place if given is not None and target is None else target
    part = given.input if given is not None and not of else of
    scores, picture, place = Scores.aimed("faithfulness", net, image, wanted, executor, part)
    heat = given.heat if given is not None else np.asarray(attribution)
    channels = scores.graph(picture.shape).channels
    sizes = places_of(picture[0], channels)
    if heat.shape != sizes:
        raise ScoreError(f"faithfulness: the heat must have the picture's size {sizes}, got {heat.shape}")
    order = _order(heat, seed)
    order = order if channels is None else np.expand_dims(order, channels)
    shares = np.arange(steps + 1) / steps
    empty = np.full_like(picture[0], fill)
    changes = [(picture[0], empty), (_blurred(picture[0], channels), picture[0])]

    def images() -> Iterator[Array]:
        for before, after in changes:
            for share in shares:
                yield np.where(order < round(share * heat.size), after, before)

    with progress("faithfulness"):
        deletion, insertion = np.split(_measured(scores, picture.shape, place, images(), 2 * len(shares)), 2)
    label = place.label or ("" if given is None else given.label)
    gap = None if given is None else given.completeness_gap
    called = name if given is None else given.method
    return Faithfulness(called, place.class_number, label, shares, deletion, insertion, gap, place)


def _measured(scores: Scores, shape: Shape, place: Target, images: Iterator[Array], count: int) -> Array:
    """For each picture the probability of the class, or what the output gives at another place: the mean of a region."""
    if place.class_number is None:
        parts = (place.of(values) / place.of(np.ones_like(values)) for values in scores.output_batches(images, count))
        return np.concatenate(list(parts))
    found = np.concatenate(list(scores.score_batches(images, count)))
    return place.of(_probabilities(found, kind_of_scores(scores.graph(shape).output)))


SHARE = "share of the pixels, strongest first"
BASELINES = ("random", "center")
"""Maps that know nothing of the network: noise, and nearness to the picture's center."""


def baseline_heats(size: Shape, seed: int) -> dict[str, Array]:
    """The baselines (H, W) to compare with."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in size), indexing="ij")
    noise = random_numbers(seed).random(size)
    return dict(zip(BASELINES, (noise, -np.linalg.norm(axes, axis=0)), strict=True))


def _order(heat: Array, seed: int) -> Array:
    """The place (H, W) of each pixel in the order from the strongest; equal ones at random."""
    shuffled = random_numbers(seed).permutation(heat.size)
    best = shuffled[np.argsort(-heat.reshape(-1)[shuffled], kind="stable")]
    places = np.empty(heat.size, np.int64)
    places[best] = np.arange(heat.size)
    return places.reshape(heat.shape)


def _blurred(image: Array, channels: int | None) -> Array:
    from scipy.ndimage import gaussian_filter

    spread = min(places_of(image, channels)) / 8
    spreads = [0.0 if axis == channels else spread for axis in range(image.ndim)]
    return np.asarray(gaussian_filter(image, spreads), image.dtype)


def _probabilities(scores: Array, kind: ScoreKind) -> Array:
    """Those of scores before the last function; scores of which nothing is known stay as they are."""
    if kind.final:
        return shares(scores, kind.final == "sigmoid")
    known = probabilities_of(scores, kind)
    return scores if known is None else known[:, -scores.shape[1] :].reshape(scores.shape)
