"""Training of Faster R-CNN: all of it at once, with proposals taken as they come (Ren et al. 2015, approximate joint training)."""

from __future__ import annotations

import numpy as np

from pellucid.detect.canvas import mirrored
from pellucid.detect.config import DetectionConfig
from pellucid.detect.fast_rcnn.training import SeenPictures, TrainingOnCanvases
from pellucid.detect.faster_rcnn.detector import FasterRCNNDetector, network
from pellucid.detect.faster_rcnn.network import FasterRCNN
from pellucid.detect.faster_rcnn.step import FasterStepper, SeenObjects
from pellucid.detect.faster_rcnn.targets import sampled, targets_of
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.plain import Array


class FasterRCNNTraining(TrainingOnCanvases[FasterRCNN, FasterStepper]):
    """A Faster R-CNN in training on `pictures`."""

    def __init__(self, pictures: PicturesWithBoxes, config: DetectionConfig) -> None:
        super().__init__(pictures, config)
        self.net, self.preprocessing = network(config, len(pictures.classes))
        self.net.initialize(config.seed, keep_given=True)
        trained = self.learning((self.net.head, self.net.score, self.net.move, self.net.propose))
        self.stepper = FasterStepper(
            self.net,
            list(trained),
            self.optimizer(),
            factors=list(trained.values()),
            seed=config.seed,
            executor=config.executor,
            threads=config.threads,
            pictures=config.batch_size,
            objects=max(len(one) for one in pictures.objects),
        )

    def step(self, seen: SeenPictures, number: int, count: int) -> dict[str, float]:
        """Change the weights by one step."""
        images = np.zeros((self.config.batch_size, 3, *seen.size), np.float32)
        told: list[SeenObjects] = []
        for place, picture in enumerate(seen.pictures):
            images[place], one = self.example(picture, number)
            told.append(one)
        return self.stepper(images, told, self.rate(count), count)

    def example(self, picture: int, epoch: int) -> tuple[Array, SeenObjects]:
        """A picture on its canvas and what a step is told of it, as an epoch sees them."""
        seen, objects = self.seen(picture, epoch), self.pictures.objects[picture]
        width, height = self.pictures.sizes[picture]
        boxes = mirrored(objects.boxes, width) if seen.turned else objects.boxes
        own, extent = seen.canvas.onto(boxes), seen.canvas.onto(np.array([width - 1.0, height - 1.0]))
        size = seen.canvas.size
        targets = sampled(targets_of(self.stepper.anchors(size), own, extent), seen.numbers)
        chances = seen.numbers.random(self.stepper.regions(size), np.float32)
        return seen.pixels, SeenObjects(targets, own, objects.labels + 1, extent, chances)

    def detector(self) -> FasterRCNNDetector:
        """What has been learned so far, ready to be asked."""
        return FasterRCNNDetector(self.net, self.pictures.classes, self.preprocessing, self.config)
