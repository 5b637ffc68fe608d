"""How much a segment looks like an object of each class: a ridge regression on what a network says of it, without what is around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pellucid.detect.boxes import overlaps
from pellucid.detect.pictures_with_boxes import Objects, PicturesWithBoxes
from pellucid.detect.rcnn.classifiers import BIAS, scale_for
from pellucid.detect.rcnn.features import Backbone
from pellucid.detect.rcnn.regression import RIDGE
from pellucid.detect.segments.segment_set import SegmentSet
from pellucid.plain import Array
from pellucid.progress import progress
from pellucid.seeds import random_numbers

FOLDS = 5
"""Parts of the pictures: what is said of those of one was learned from the others."""
MEASURED = 200
"""Pictures that the scale is measured on, at most."""


@dataclass(frozen=True)
class Potentials:
    """What was learned: `weights` float64 (D + 1, K) of a segment's vector times `scale`, and of a constant. They say -1 to 1 for each
    class: the intersection over union that the box around a segment has with the best object of the class."""

    backbone: Backbone
    classes: tuple[str, ...]
    weights: Array
    scale: float

    def of(self, image: Array, segments: SegmentSet) -> Array:
        """What is said of segments of a picture: float64 (N, K)."""
        return said(looks_of(self.backbone, image, segments), self.scale, self.weights)

    @classmethod
    def fit(
        cls, pictures: PicturesWithBoxes, find: Callable[[Array], SegmentSet], backbone: Backbone, seed: int = 0
    ) -> tuple[Potentials, list[Array]]:
        """Potentials learned of all pictures, whose segments `find` gives, and what is said of those of each picture (N, K) by what
        was learned without it: nothing, 0, where there is no other picture."""
        count, folds = len(pictures), folds_of(len(pictures), seed)
        numbers, classes = backbone.outputs(1)[1].shape[1], len(pictures.classes)

        def looks(number: int) -> tuple[SegmentSet, Array]:
            image = pictures.read(number)
            segments = find(image)
            return segments, looks_of(backbone, image, segments)

        with progress("potentials") as tell:
            some = np.linspace(0, count - 1, min(MEASURED, count)).astype(int).tolist()
            scale = scale_for([looks(number)[1] for number in some])
            sums = [(np.zeros((numbers + 1, numbers + 1)), np.zeros((numbers + 1, classes))) for _ in range(FOLDS)]
            for number in range(count):
                segments, seen = looks(number)
                given, (inner, outer) = with_bias(seen, scale), sums[folds[number]]
                inner += given.T @ given
                outer += given.T @ goals(segments, pictures.objects[number], classes)
                tell(number + 1, 2 * count)
            without = [_solved([one for k, one in enumerate(sums) if k != fold]) for fold in range(FOLDS)]
            spoken: list[Array] = []
            for number in range(count):
                spoken.append(said(looks(number)[1], scale, without[folds[number]]))
                tell(count + number + 1, 2 * count)
        return cls(backbone, pictures.classes, _solved(sums), scale), spoken


def taken_in(
    number: int,
    pictures: PicturesWithBoxes,
    find: Callable[[Array], SegmentSet],
    backbone: Backbone,
    seed: int = 0,
) -> tuple[int, tuple[Potentials, list[Array]] | None]:
    """How many segments a picture has, each of which is looked at and kept; with the last picture also what `Potentials.fit` gives.

    One step for each picture: a training that is stopped between two goes on there.
    """
    image = pictures.read(number)
    found = find(image)
    looks_of(backbone, image, found)
    return len(found), Potentials.fit(pictures, find, backbone, seed) if number == len(pictures) - 1 else None


def folds_of(count: int, seed: int) -> list[int]:
    """In which of the folds each picture is: drawn by the seed, all about equally large."""
    return (random_numbers(seed, 5).permutation(count) % FOLDS).tolist()


def goals(segments: SegmentSet, objects: Objects, classes: int) -> Array:
    """The intersection over union of the box around each segment with the best object of each class: float64 (N, K)."""
    found = np.zeros((len(segments), classes))
    if len(segments):
        for label in set(objects.labels.tolist()):
            found[:, label] = overlaps(segments.boxes, objects.boxes[objects.labels == label]).max(1)
    return found


def said(looks: Array, scale: float, weights: Array) -> Array:
    """What weights (D + 1, K) say of segments' vectors (N, D): -1 to 1."""
    return np.clip(with_bias(looks, scale) @ weights, -1.0, 1.0)


def with_bias(looks: Array, scale: float) -> Array:
    """Vectors scaled, and the constant of the classifiers behind them, float64 (N, D + 1)."""
    return np.concatenate([looks.astype(np.float64) * scale, np.full((len(looks), 1), BIAS)], 1)


def _solved(sums: list[tuple[Array, Array]]) -> Array:
    from scipy.linalg import solve

    inner, outer = (np.sum(parts, 0) for parts in zip(*sums, strict=True))
    return solve(inner + RIDGE * np.eye(len(inner)), outer, assume_a="pos")


def looks_of(backbone: Backbone, image: Array, segments: SegmentSet) -> Array:
    """What a network says of each segment, cut out by the box around it, everything else in the mean color: float16 (N, D), kept."""
    mean = backbone.preprocessing.denormalize(np.zeros((3, 1, 1), np.float32))
    boxes = segments.boxes

    def squares(first: int, end: int) -> Array:
        cut = [backbone.crops(np.where(segments.mask(k), image, mean), boxes[k : k + 1]) for k in range(first, end)]
        return np.concatenate([np.zeros((0, 3, backbone.side, backbone.side), np.float32), *cut])

    of = np.packbits(segments.masks).tobytes()
    return backbone.kept("segments", image, of, len(boxes), lambda: backbone.described_squares(len(boxes), squares)[0])
