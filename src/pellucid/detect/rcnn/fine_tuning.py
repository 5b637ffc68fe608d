"""Fine-tuning of R-CNN's network: it learns to tell the classes and the background apart, of regions drawn over all pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np

from pellucid.data import Batch
from pellucid.detect.boxes import overlaps
from pellucid.detect.config import FITTED, DetectionConfig
from pellucid.detect.fast_rcnn.network import learned_from
from pellucid.detect.fast_rcnn.sampling import FOREGROUND, ON_OBJECT
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.rcnn.features import MANY, Backbone
from pellucid.detect.rcnn.last_layer import begin_anew, fit, require_fitting, scores_of
from pellucid.executors import default_threads
from pellucid.nn import Module
from pellucid.nn.layers import BatchNorm1d, BatchNorm2d
from pellucid.plain import Array
from pellucid.progress import progress
from pellucid.seeds import random_numbers
from pellucid.train.classification import Classification
from pellucid.train.config import TrainConfig
from pellucid.train.schedules import factor
from pellucid.train.stepper import Stepper
from pellucid.train.tuning import Tuning, head

NEW_LAYER, ITS_BIAS = 10.0, 20.0
"""How many times as fast as the others a last layer learns that begins random (the authors' prototxt)."""
FITTED_ON = 48 * 128
"""Regions that a fitted last layer learns from, at most."""
PIXELS = 32 * 128 * 128
"""Of the regions whose gradients are computed at once; those of a step are added up, which is the same as batch norms stay."""
KEPT_BYTES = 2**29
"""Decoded pictures that are kept in memory, at most."""
_DRAWN, _FITTED = 2, 6
"""What random numbers are for, beside the seed."""


@dataclass(frozen=True)
class Pool:
    """Regions of all pictures: those `on` objects and `off` them, int64 (N, 2) picture and region, and `labels` (N,) of the former."""

    on: Array
    off: Array
    labels: Array

    @classmethod
    def of(cls, pictures: PicturesWithBoxes, regions: Sequence[Array]) -> Self:
        """Regions (R, 4) of each picture: those that overlap an object by a half or more are of its class, the others background."""
        on, off, labels = list[Array](), list[Array](), [np.zeros(0, np.int64)]
        for number, (objects, there) in enumerate(zip(pictures.objects, regions, strict=True)):
            shared = overlaps(there, objects.boxes) if len(objects) else np.zeros((len(there), 1))
            hit = shared.max(1) >= ON_OBJECT
            keys = np.stack([np.full(len(there), number), np.arange(len(there))], 1)
            on.append(keys[hit])
            off.append(keys[~hit])
            if hit.any():
                labels.append(objects.labels[shared[hit].argmax(1)] + 1)
        none = np.zeros((0, 2), np.int64)
        return cls(np.concatenate([none, *on]), np.concatenate([none, *off]), np.concatenate(labels))

    def drawn(self, numbers: np.random.Generator, count: int) -> tuple[Array, Array]:
        """`count` regions, a quarter of them on objects, int64 (N, 2), and the class of each (N,), 0 for background."""
        front = numbers.integers(len(self.on), size=round(count * FOREGROUND)) if len(self.on) else np.zeros(0, int)
        back = numbers.integers(len(self.off), size=count - len(front)) if len(self.off) else np.zeros(0, int)
        keys = np.concatenate([self.on[front], self.off[back]])
        return keys, np.concatenate([self.labels[front], np.zeros(len(back), np.int64)])


class FineTuning:
    """A backbone whose last layer is of the classes and of background (the first), in training on `regions` (R, 4) of each picture.

    What a step sees is drawn by its number, so that one that goes on from `arrays` ends in the same weights. A backbone that enlarges regions
    learns the same classes of them from what is around.
    """

    def __init__(self, backbone: Backbone, pictures: PicturesWithBoxes, regions: Sequence[Array]) -> None:
        self.backbone, self.pictures, self.regions = backbone, pictures, regions
        self.config = backbone.config
        self.pool = Pool.of(pictures, regions)
        self.taken = 0
        """Steps that were taken."""
        begin_anew(backbone.net, backbone.side, self.config.seed)
        self.tuning = tuning_of(backbone.net, backbone.side, self.config)
        if self.config.fine_tune_begin == FITTED:
            require_fitting(backbone, len(pictures.classes) + 1)
        self._stepper: Stepper | None = None
        self._pictures: dict[int, Array] = {}
        self._held = 0

    @property
    def done(self) -> bool:
        """Whether all steps were taken."""
        return self.taken >= self.config.fine_tune

    def step(self, number: int) -> dict[str, float]:
        """Change the weights by step `number`, and say how well the regions were told apart before."""
        config, total = self.config, self.config.fine_tune
        if not self.taken and config.fine_tune_begin == FITTED:
            self._fit()
        numbers = random_numbers(config.seed, _DRAWN, number)
        keys, labels = self.pool.drawn(numbers, config.fine_tune_batch)
        turned = (numbers.random(len(keys)) < 0.5) & config.flip
        images = self.crops(keys)
        images[turned] = images[turned, :, :, ::-1]
        rate = config.learning_rate * factor(config.schedule, number, total, round(config.warmup * total))
        result = self._steps()(Batch(images, labels, np.arange(len(labels))), rate, number)
        self.taken = number + 1
        if self.done:
            self._finish()
        return {"loss_of_regions": result.loss, "recognized": result.counts["correct"] / len(labels)}

    def _fit(self) -> None:
        """Begin with a last layer that tells regions apart as well as may be while the other layers are as they were."""
        numbers = random_numbers(self.config.seed, _FITTED)
        keys, labels = self.pool.drawn(numbers, min(FITTED_ON, len(self.pool.on) + len(self.pool.off)))
        order = np.argsort(keys[:, 0], kind="stable")  # a picture is decoded once
        keys, labels = keys[order], labels[order]
        vectors = list[Array]()
        with progress("fitting the last layer") as told:
            for first in range(0, len(keys), MANY):
                squares = self.crops(keys[first : first + MANY])
                vectors.append(self.backbone.described_squares(len(squares), lambda a, b, all=squares: all[a:b])[0])
                told(first + len(squares), len(keys))
        fit(self.backbone, np.concatenate(vectors), labels, len(self.pictures.classes) + 1, self.crops(keys[:MANY]))

    def crops(self, keys: Array) -> Array:
        """Regions (N, 2), each a picture and the number of its region, as the network sees them: float32 (N, 3, side, side)."""
        side = self.backbone.side
        found, places = np.empty((len(keys), 3, side, side), np.float32), defaultdict[int, list[int]](list)
        for place, picture in enumerate(keys[:, 0].tolist()):
            places[picture].append(place)

        def cut(picture: int) -> None:
            own = places[picture]
            found[own] = self.backbone.crops(self._read(picture), self.regions[picture][keys[own, 1]])

        with ThreadPoolExecutor(self.config.threads or default_threads()) as pool:
            list(pool.map(cut, places))
        return found

    def renewed(self) -> Backbone:
        """The backbone with the weights as they are now, ready to describe regions."""
        old = self.backbone
        return Backbone(old.net, old.preprocessing, old.config, old.crop)

    def arrays(self) -> dict[str, Array]:
        """Weights, how far it is, and, as long as it is not done, the optimizer's state."""
        state = self._steps().kept if self._is_going else ()
        weights = {f"network.{name}": value for name, value in self.backbone.net.state_dict().items()}
        return {**weights, **{p.name: p.value for p in state}, "tuned": np.array([self.taken])}

    def take(self, arrays: Mapping[str, Array]) -> None:
        """The inverse of `arrays`."""
        self.taken = int(arrays["tuned"][0])
        own = {n.removeprefix("network."): a for n, a in arrays.items() if n.startswith("network.")}
        self.backbone.net.load_state_dict(own)
        if self.done:
            self._finish()
        for parameter in self._steps().kept if self._is_going else ():
            parameter.value = arrays[parameter.name]

    @property
    def _is_going(self) -> bool:
        """Whether some steps were taken and some are left: then there is a state between them."""
        return self.taken > 0 and not self.done

    def _steps(self) -> Stepper:
        """What takes steps, made when the first is to be taken."""
        assert not self.done
        if self._stepper is None:
            self._stepper = self._made()
        return self._stepper

    def _finish(self) -> None:
        """Let go of what only steps need."""
        self._stepper = None
        self._pictures.clear()

    def _made(self) -> Stepper:
        config, side = self.config, self.backbone.side
        part = min(config.fine_tune_batch, max(1, PIXELS // side**2))
        settings = TrainConfig(
            batch_size=part,
            accumulate=-(-config.fine_tune_batch // part),
            optimizer="momentum",
            learning_rate=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            clip_norm=config.clip_norm,
            seed=config.seed,
            executor=config.executor,
            threads=config.threads,
        )
        classes = ("background", *self.pictures.classes)
        return Stepper(self.tuning, Classification(classes), settings, (3, side, side))

    def _read(self, picture: int) -> Array:
        """A picture, decoded once as far as memory allows."""
        if picture in self._pictures:
            return self._pictures[picture]
        image = self.pictures.read(picture)
        if self._held + image.nbytes <= KEPT_BYTES:
            self._held += image.nbytes
            self._pictures[picture] = image
        return image


def fine_tuned(backbone: Backbone, pictures: PicturesWithBoxes, regions: Sequence[Array]) -> Backbone:
    """The backbone, whose last layer is of the classes and of background, after all steps that its settings ask for."""
    tuning = FineTuning(backbone, pictures, regions)
    with progress("fine-tuning") as told:
        for number in range(backbone.config.fine_tune):
            tuning.step(number)
            told(number + 1, backbone.config.fine_tune)
    return tuning.renewed()


def tuning_of(net: Module, side: int, config: DetectionConfig) -> Tuning:
    """What is trained: layers of a stride of `fine_tune_from` pixels or more, never batch norms, and the last one, which is faster where
    it begins random."""
    images, scores = scores_of(net, side)
    reached = learned_from(scores, images, config.fine_tune_from)
    norms = {p for _, m in net.named_modules() if isinstance(m, BatchNorm1d | BatchNorm2d) for p in m.parameters()}
    last = head(net, scores)
    trained = [p for p in net.parameters() if p.trainable and (p in last or p in reached - norms)]
    fast = () if config.fine_tune_begin == FITTED else last
    factors = [1.0 if p not in fast else NEW_LAYER if p.ndim > 1 else ITS_BIAS for p in trained]
    return Tuning(net, tuple(trained), tuple(factors), frozenset(net.named_parameters().values()) - frozenset(trained))
