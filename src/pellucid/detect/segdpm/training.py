"""Training of segDPM: models of parts, what segments look like, and then all weights together; or, on models that are given, what segments count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from pellucid.detect.boxes import clipped, overlaps
from pellucid.detect.config import DetectionConfig
from pellucid.detect.dpm.detector import MEASURED, DPMDetector
from pellucid.detect.dpm.learning import Speak, cost_of
from pellucid.detect.dpm.mixture import MirroredPair
from pellucid.detect.dpm.objective import LatentObjective, Penalized
from pellucid.detect.dpm.opening import load_dpm
from pellucid.detect.dpm.searching import OFF_OBJECT, ON_OBJECT, Kept
from pellucid.detect.dpm.training import DPMTraining, Round, threshold_of
from pellucid.detect.errors import DetectorError
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.rcnn.features import backbone_of
from pellucid.detect.segdeepm.detector import segments_for
from pellucid.detect.segdpm.detector import SegDPMDetector
from pellucid.detect.segdpm.seen import BIAS, SegmentWeights, of_class, seen
from pellucid.detect.segdpm.speaking import Speaking
from pellucid.detect.segments.dpm_features import NAMES
from pellucid.detect.segments.potentials import Potentials, taken_in
from pellucid.detect.segments.segment_set import SegmentSet
from pellucid.detect.suppression import KEPT, suppress
from pellucid.plain import Array

POTENTIALS, SEGMENTS = 6, 7
"""Stages behind those of models of parts."""
ON_EACH = 30
"""Windows on each object that one is chosen of, the best by what their filters say."""
OF_EACH = 100
"""Windows of background of a picture that are learned from, the best that others do not suppress."""
ROUNDS = 10
"""Times that objects choose window and segment anew, at most."""
FIRST = np.array([0.0, 0.0, 0.0, 0.0, 0.001, 0.001])
"""What segments count before anything is learned of them: the one that overlaps a window most is chosen, or none where none does."""


@dataclass(frozen=True)
class SegmentWindows:
    """What filters give windows (N,), what segments say of each (S + 1, 6), and which object each lies on, -1 for background."""

    scores: list[float]
    said: list[Array]
    objects: list[int]


class SegDPMTraining(DPMTraining):
    """A segDPM in training on `pictures`. What is said of a picture's segments while it learns was learned from other pictures.

    Its own models learn all weights together, those of filters and of segments: a segment is one more thing that objects choose, and background
    has the one by which its score is largest. On models that are given, what segments count is learned alone. (Fidler et al. 2013)
    """

    names: ClassVar[tuple[str, ...]] = (*DPMTraining.names, "potentials", "segments")

    def __init__(self, pictures: PicturesWithBoxes, config: DetectionConfig) -> None:
        super().__init__(pictures, config)
        count = len(pictures.classes)
        if config.models:
            given = load_dpm(config.models, classes=pictures.classes)
            self.models = {pictures.classes.index(model.name): model for model in given.models}
            self.rounds = []
        repeats = [1 if config.models or not own else config.relabelings for own in self.objects]
        self.rounds += [Round(0, POTENTIALS)]
        self.rounds += [Round(label, SEGMENTS, None, k) for label, often in enumerate(repeats) for k in range(often)]
        self.backbone = backbone_of(config, count)
        numbers = self.backbone.outputs(1)[1].shape[1]
        self.potentials = Potentials(self.backbone, pictures.classes, np.zeros((numbers + 1, count)), 1.0)
        self.spoken: list[Array] = []
        """What is said of the segments of each picture, float64 (N, K)."""
        self.counts: dict[int, Array] = {}
        """What segments count for each class that is done: for each of its pairs (P, 6); on given models of it all, and its bias, (7,)."""
        self._spoken = Kept[SegmentSet](lambda found: found.masks.nbytes + found.image.nbytes)

    @property
    def rescored(self) -> bool:
        """Never: segments have the last word."""
        return False

    @property
    def ready(self) -> bool:
        """Whether segments count for every class."""
        return len(self.counts) == len(self.pictures.classes)

    @property
    def lengths(self) -> Sequence[int]:
        """A step for each picture where segments are looked at, else one."""
        return [len(self.pictures) if each.stage == POTENTIALS else 1 for each in self.rounds]

    def steps(self, number: int) -> Iterable[Round]:
        """The round itself, or the pictures of it, in their order."""
        return [
            replace(self.rounds[number], repeat=self.rounds[number].repeat + k) for k in range(self.lengths[number])
        ]

    def take_round(self, now: Round, going: Callable[[], None]) -> dict[str, float]:
        """Look at a picture's segments, and behind the last one learn what they look like; or learn what they count for a class."""
        if now.stage == POTENTIALS:
            find = partial(segments_for, self.config)
            count, learned = taken_in(now.repeat, self.pictures, find, self.backbone, self.config.seed)
            self.potentials, self.spoken = learned or (self.potentials, self.spoken)
            return {"segments": float(count)}
        if now.stage == SEGMENTS:
            return self.learn_on_top(now.label, going) if self.config.models else self._together(now, going)
        return super().take_round(now, going)

    def _together(self, now: Round, going: Callable[[], None]) -> dict[str, float]:
        """All weights of a class, those of filters and of segments; at the end what its model has beside them."""
        label = now.label
        if label not in self.models:
            self.counts[label] = np.zeros((1, len(NAMES)))
            return {"positives": 0.0}
        if not now.repeat:
            self.pairs[label] = [replace(pair, segment=FIRST) for pair in self.pairs[label]]
        every = range(len(self.pairs[label]))
        fitted = self._learned(now, every, self.config.minings, self.config.negatives, going)
        if now.repeat == self.config.relabelings - 1:
            self.models[label] = self._done(label, going)
            self.counts[label] = np.stack([pair.segment for pair in self.pairs[label]])
        return fitted.plain()

    def speak(self, label: int) -> Speak | None:
        """The segments of a class, once they count for it."""
        if not len(self.pairs[label][0].segment):
            return None

        def on(pairs: Sequence[MirroredPair], picture: int, corner: Array) -> Speaking:
            key = label * len(self.pictures) + picture
            found = self._spoken.of(key, lambda: self._segments_of(picture, label))
            alone = SegmentWeights(np.stack([pair.segment for pair in pairs])[None], np.zeros(1))
            return Speaking(found, alone, 0, corner)

        return on

    def _segments_of(self, picture: int, label: int) -> SegmentSet:
        """Those segments of a picture that look like a class."""
        found = segments_for(self.config, self.pictures.read(picture))
        found = found.with_potentials(self.spoken[picture], self.pictures.classes)
        return found.chosen(of_class(found, label).tolist())

    def learn_on_top(self, label: int, going: Callable[[], None]) -> dict[str, float]:
        """What segments count for a class, on a model whose filters stay as they are."""
        order = self.background(label).order
        own = [k for k, o in enumerate(self.pictures.objects) if (o.labels == label).any()]
        others = [k for k in order if k not in own][: self.config.negatives]
        detector = DPMDetector([self.models[label]])
        there = SegmentWindows([], [], [])
        count = 0
        for picture in [*own, *others]:
            count += self._candidates(detector, label, picture, there, count)
            going()
        return self._counted(label, there)

    def _candidates(self, detector: DPMDetector, label: int, picture: int, to: SegmentWindows, first: int) -> int:
        """Windows on the objects of a picture, numbered from `first` on, and of its background; how many objects there are."""
        image, objects = self.pictures.read(picture), self.pictures.objects[picture]
        floor = min(MEASURED, self.models[label].threshold)
        (windows,) = detector.windows(image, floor)
        boxes = clipped(windows.boxes[:, 0], image.shape[2], image.shape[1])
        inside = (boxes[:, 2:] >= boxes[:, :2]).all(1)
        own = objects.boxes[objects.labels == label]
        difficult = objects.difficult[objects.labels == label]
        shares = np.zeros((len(boxes), len(own)))
        shares[inside] = overlaps(boxes[inside], own)
        chosen: list[tuple[int, int]] = []
        for number in np.flatnonzero(~difficult).tolist():
            on = np.flatnonzero(shares[:, number] >= ON_OBJECT)
            on = on[np.argsort(-windows.scores[on], kind="stable")][:ON_EACH]
            chosen += [(row, first + number) for row in on.tolist()]
        off = np.flatnonzero(inside & ((shares.max(1) if len(own) else np.zeros(len(boxes))) < OFF_OBJECT))
        off = off[suppress(boxes[off], windows.scores[off], 0.5, of_the_other=True) == KEPT]
        off = off[np.argsort(-windows.scores[off], kind="stable")][:OF_EACH]
        chosen += [(row, -1) for row in off.tolist()]
        found = segments_for(self.config, image).with_potentials(self.spoken[picture], self.pictures.classes)
        rows = [row for row, _ in chosen]
        to.said.extend(seen(found, of_class(found, label), windows.boxes[rows, 0]))
        to.scores.extend(windows.scores[rows].tolist())
        to.objects.extend(number for _, number in chosen)
        return len(own)

    def _counted(self, label: int, there: SegmentWindows) -> dict[str, float]:
        """Weights from windows on objects, of which each object chooses one with a segment, and from background with all its segments."""
        objects = np.array(there.objects, np.int64)
        numbers = sorted({*objects[objects >= 0].tolist()})
        background = np.flatnonzero(objects < 0).tolist()
        weights = np.zeros(len(NAMES) + 1)
        self.counts[label] = weights
        if not numbers or not background:
            return {"positives": float(len(numbers))}
        ways = [np.concatenate([said, np.full((len(said), 1), BIAS)], 1) for said in there.said]
        negative = np.concatenate([ways[k] for k in background])
        given = np.repeat([there.scores[k] for k in background], [len(ways[k]) for k in background])
        owners = len(numbers) + np.repeat(np.arange(len(background)), [len(ways[k]) for k in background])
        signs = np.repeat([1.0, -1.0], [len(numbers), len(background)])
        penalized = Penalized((len(weights),), np.append(np.ones(len(NAMES)), 0.0), [(None, None)] * len(weights))
        choices: list[tuple[int, int]] = []
        told: dict[str, float] = {}
        for _ in range(ROUNDS):
            now = [_best(np.flatnonzero(objects == n), there.scores, ways, weights) for n in numbers]
            if now == choices:
                break
            choices = now
            features = np.concatenate([np.stack([ways[k][h] for k, h in now]), negative])
            offsets = np.concatenate([[there.scores[k] for k, _ in now], given])
            owned = np.concatenate([np.arange(len(numbers)), owners])
            cost = cost_of(self.config.cost, len(numbers))
            objective = LatentObjective(penalized, [features], [owned], signs, np.ones(len(signs)), cost, [offsets])
            before, weights = objective(weights)[0], objective.least(weights)
            told.setdefault("objective_before", before)
            told["objective"] = objective(weights)[0]
        self.counts[label] = weights
        best = [there.scores[k] + float(ways[k][h] @ weights) for k, h in choices]
        self.models[label] = replace(self.models[label], threshold=threshold_of(best))
        return {"positives": float(len(numbers)), "negatives": float(len(background)), **told}

    def arrays(self) -> dict[str, Array]:
        """What was learned, and what is said of segments."""
        count = len(self.pictures.classes)
        given = self.config.models
        found = (
            {f"{label}.threshold": np.array(model.threshold) for label, model in self.models.items()} if given else {}
        )
        return {
            **super().arrays(),
            **found,
            "potentials": self.potentials.weights,
            "potentials.scale": np.array([self.potentials.scale]),
            "spoken": np.concatenate([np.zeros((0, count)), *self.spoken]),
            "spoken.ends": np.cumsum([len(one) for one in self.spoken]).astype(np.int64),
            **{f"counts.{label}": counts for label, counts in self.counts.items()},
        }

    def take(self, arrays: dict[str, Array]) -> None:
        """The inverse of `arrays`."""
        if self.config.models:
            for label, model in self.models.items():
                self.models[label] = replace(model, threshold=float(arrays[f"{label}.threshold"].item()))
        else:
            super().take(arrays)
        scale = float(arrays["potentials.scale"].item())
        self.potentials = Potentials(self.backbone, self.pictures.classes, arrays["potentials"], scale)
        ends = arrays["spoken.ends"]
        self.spoken = np.split(arrays["spoken"], ends[:-1]) if len(ends) else []
        classes = range(len(self.pictures.classes))
        self.counts = {k: arrays[f"counts.{k}"] for k in classes if f"counts.{k}" in arrays}
        if not self.config.models and any(counts.ndim != 2 for counts in self.counts.values()):
            raise DetectorError(
                "this run began when what segments count was learned on top of finished models; now all weights are learned together: begin it anew"
            )

    def detector(self) -> SegDPMDetector:
        """What has been learned so far."""
        labels = range(len(self.pictures.classes))
        models = [self.model(label) for label in labels]
        if self.config.models:
            counts = np.stack([self.counts.get(label, np.zeros(len(NAMES) + 1)) for label in labels])
            return SegDPMDetector(models, SegmentWeights(counts[:, :-1], counts[:, -1]), self.potentials)
        pairs = -(-max(len(model.components) for model in models) // 2)
        weights = np.zeros((len(models), pairs, len(NAMES)))
        for label, own in self.counts.items():
            weights[label, : len(own)] = own
        return SegDPMDetector(models, SegmentWeights(weights, np.zeros(len(models))), self.potentials)


def _best(rows: Array, scores: list[float], ways: list[Array], weights: Array) -> tuple[int, int]:
    """Of windows on an object the one, with the segment, that scores best."""
    each = [(scores[row] + ways[row] @ weights, row) for row in rows.tolist()]
    worth, row = max(each, key=lambda one: (float(one[0].max()), -one[1]))
    return row, int(worth.argmax())
