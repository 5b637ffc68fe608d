"""Training of Fast R-CNN: what each step sees is drawn by seed, epoch and picture, so that a run that goes on ends in the same bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from pellucid.data import Preprocessing
from pellucid.detect.canvas import Canvas, canvas_for, drawn, mirrored
from pellucid.detect.config import DetectionConfig
from pellucid.detect.fast_rcnn.detector import FastRCNNDetector, network
from pellucid.detect.fast_rcnn.network import FastRCNN, fixed_parameters
from pellucid.detect.fast_rcnn.sampling import REGIONS, Candidates, Normalization, SampledRegions, sample
from pellucid.detect.fast_rcnn.step import DetectionStepper, GraphStepper
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.proposals.kept import proposals_of
from pellucid.detect.training import Training
from pellucid.graph import Parameter, input
from pellucid.nn import Module
from pellucid.plain import Array
from pellucid.seeds import random_numbers
from pellucid.train.optimizers import Optimizer
from pellucid.train.schedules import factor

HEADS = 10.0
"""How many times as fast layers learn that begin at random."""


@dataclass(frozen=True)
class SeenPictures:
    """Which pictures a step sees, on what size of canvas."""

    size: tuple[int, int]
    pictures: tuple[int, ...]


@dataclass(frozen=True)
class SeenPicture:
    """A picture as an epoch sees it: on a canvas, perhaps `turned` as in a mirror, with the random numbers of what else is drawn for it."""

    pixels: Array
    canvas: Canvas
    turned: bool
    numbers: np.random.Generator


Net = TypeVar("Net", bound=FastRCNN)
Stepper = TypeVar("Stepper", bound=GraphStepper)


class TrainingOnCanvases(Training, Generic[Net, Stepper]):
    """A network in training on `pictures`, each on a canvas of one of a few sizes; `stepper` changes its weights."""

    net: Net
    preprocessing: Preprocessing
    stepper: Stepper

    def __init__(self, pictures: PicturesWithBoxes, config: DetectionConfig) -> None:
        self.pictures, self.config = pictures, config
        self.canvases = [canvas_for(h, w, config.image_size) for w, h in pictures.sizes]
        self.of_an_epoch = len(list(self.steps(0)))

    @property
    def lengths(self) -> Sequence[int]:
        """Steps of each epoch."""
        return [self.of_an_epoch] * self.config.epochs

    def steps(self, number: int) -> Iterator[SeenPictures]:
        """The steps of an epoch: pictures of one size of canvas go together, so that the last steps of a size may see fewer."""
        waiting: dict[tuple[int, int], list[int]] = defaultdict(list)
        for picture in random_numbers(self.config.seed, 0, number).permutation(len(self.pictures)).tolist():
            size = self.canvases[picture].size
            waiting[size].append(picture)
            if len(waiting[size]) == self.config.batch_size:
                yield SeenPictures(size, tuple(waiting.pop(size)))
        for size in sorted(waiting):
            yield SeenPictures(size, tuple(waiting[size]))

    def rate(self, count: int) -> float:
        """The learning rate of the `count`th step of all."""
        warmup = round(self.config.warmup * sum(self.lengths))
        return self.config.learning_rate * factor(self.config.schedule, count, sum(self.lengths), warmup)

    def seen(self, picture: int, epoch: int) -> SeenPicture:
        """A picture as an epoch sees it."""
        numbers = random_numbers(self.config.seed, 1, epoch, picture)
        whole = self.canvases[picture]
        canvas = Canvas(whole.size, whole.zoom * (1.0 - self.config.scale * numbers.random()))
        turned = self.config.flip and bool(numbers.random() < 0.5)
        return SeenPicture(
            drawn(self.pictures.read(picture), canvas, self.preprocessing, turned), canvas, turned, numbers
        )

    def learning(self, new: Sequence[Module]) -> dict[Parameter, float]:
        """What is trained, and how many times as fast as the backbone: the layers in `new` begin at random."""
        fixed = fixed_parameters(self.net, input((1, 3, *self.canvases[0].size), name="images"))
        heads = {p for part in new for p in part.parameters()}
        return {p: HEADS if p in heads else 1.0 for p in self.net.parameters() if p not in fixed and p.trainable}

    def optimizer(self) -> Optimizer:
        """The optimizer that the settings ask for."""
        return Optimizer("momentum", self.config.weight_decay, self.config.momentum, self.config.clip_norm)

    def arrays(self) -> dict[str, Array]:
        """Weights, and the optimizer's state."""
        return {**self.net.state_dict(), **{p.name: p.value for p in self._state()}}

    def take(self, arrays: dict[str, Array]) -> None:
        """The inverse of `arrays`."""
        state = {p.name: p for p in self._state()}
        self.net.load_state_dict({name: a for name, a in arrays.items() if name not in state})
        for name, parameter in state.items():
            parameter.value = arrays[name]

    def _state(self) -> list[Parameter]:
        return [p for state in self.stepper.state for p in state]


class FastRCNNTraining(TrainingOnCanvases[FastRCNN, DetectionStepper]):
    """A Fast R-CNN in training on `pictures`."""

    def __init__(self, pictures: PicturesWithBoxes, config: DetectionConfig) -> None:
        super().__init__(pictures, config)
        self.net, self.preprocessing = network(config, len(pictures.classes))
        self.net.initialize(config.seed, keep_given=True)
        found = proposals_of(pictures, config.proposals, longest=config.search_size, search=config.search)
        self.candidates = [Candidates.of(o, p) for o, p in zip(pictures.objects, found, strict=True)]
        self.normalization = Normalization.of(self.candidates, len(pictures.classes))
        trained = self.learning((self.net.head, self.net.score, self.net.move))
        self.stepper = DetectionStepper(
            self.net,
            list(trained),
            self.optimizer(),
            self.normalization,
            factors=list(trained.values()),
            pictures=config.batch_size,
            seed=config.seed,
            executor=config.executor,
            threads=config.threads,
        )

    def step(self, seen: SeenPictures, number: int, count: int) -> dict[str, float]:
        """Change the weights by one step."""
        images = np.zeros((self.config.batch_size, 3, *seen.size), np.float32)
        samples: list[SampledRegions] = []
        for place, picture in enumerate(seen.pictures):
            images[place], one = self.example(picture, number)
            samples.append(one)
        losses = self.stepper(images, samples, self.rate(count), count)
        return {"loss_of_classes": losses.classes, "loss_of_boxes": losses.boxes}

    def example(self, picture: int, epoch: int) -> tuple[Array, SampledRegions]:
        """A picture on its canvas and regions of it, as an epoch sees them."""
        seen = self.seen(picture, epoch)
        config = self.config
        one = sample(self.candidates[picture], seen.numbers, REGIONS, config.background, config.balanced)
        boxes, offsets = one.boxes, one.offsets
        if seen.turned:
            boxes = mirrored(boxes, self.pictures.sizes[picture][0])
            offsets = offsets * np.array([-1.0, 1.0, 1.0, 1.0])
        return seen.pixels, replace(one, boxes=seen.canvas.onto(boxes), offsets=offsets)

    def detector(self) -> FastRCNNDetector:
        """What has been learned so far, ready to be asked."""
        return FastRCNNDetector(self.net, self.pictures.classes, self.preprocessing, self.config, self.normalization)

    def told(self) -> dict[str, Any]:
        """What a person may want to know before it begins."""
        on = int(sum((c.overlaps >= 0.5).sum() for c in self.candidates))
        regions = sum(len(c.boxes) for c in self.candidates)
        return {"pictures": len(self.pictures), "regions": regions, "on objects": on, "steps": self.of_an_epoch}
