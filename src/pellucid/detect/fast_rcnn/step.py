"""A training step of Fast R-CNN as one graph: both losses, gradients, new weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.autodiff import gradients
from pellucid.detect.fast_rcnn.network import FastRCNN
from pellucid.detect.fast_rcnn.sampling import REGIONS, Normalization, SampledRegions
from pellucid.executors import Program, compile
from pellucid.graph import Parameter, input
from pellucid.nn import training_step
from pellucid.plain import Array
from pellucid.scopes import training_mode
from pellucid.train.optimizers import Optimizer

OUTSIDE = -1
"""The label of regions that only fill the step up."""


@dataclass(frozen=True)
class Losses:
    """Of a step: of the classes, of the boxes, and the norm of the gradient of both together."""

    classes: float
    boxes: float
    gradient_norm: float


class DetectionStepper:
    """Changes the trained weights of `net`, step by step, on `pictures` pictures of a canvas at a time."""

    def __init__(
        self,
        net: FastRCNN,
        parameters: Sequence[Parameter],
        optimizer: Optimizer,
        normalization: Normalization,
        *,
        factors: Sequence[float],
        pictures: int,
        seed: int,
        executor: str = "auto",
        threads: int = 0,
    ) -> None:
        self.net, self.parameters, self.optimizer = net, tuple(parameters), optimizer
        self.normalization, self.pictures, self.seed = normalization, pictures, seed
        self.factors = tuple(factors)
        self.setting: dict[str, Any] = {"executor": executor, "threads": threads}
        self.state = optimizer.state(self.parameters)
        self._programs: dict[tuple[int, int], Program] = {}

    def __call__(self, images: Array, samples: Sequence[SampledRegions], rate: float, step: int) -> Losses:
        """One step on images (N, 3, H, W) with the regions of each. Raises `NonFiniteError` where a number is not finite."""
        size = (images.shape[2], images.shape[3])
        if size not in self._programs:
            self._programs[size] = self._compile(size)
        feeds = {"images": images, "learning_rate": np.float32(rate), "step": np.int64(step), **self._regions(samples)}
        program = self._programs[size]
        classes, boxes, norm = program({i.name: feeds[i.name] for i in program.graph.inputs})
        return Losses(float(classes), float(boxes), float(norm))

    def _regions(self, samples: Sequence[SampledRegions]) -> dict[str, Array]:
        """The regions of all pictures, as many as the program takes."""
        count, classes = self.pictures * REGIONS, len(self.normalization.mean) + 1
        boxes, labels = np.zeros((count, 4), np.float32), np.full(count, OUTSIDE)
        numbers, goals, counting = (
            np.zeros(count, np.int64),
            np.zeros((count, 4), np.float32),
            np.zeros((count, 1), np.float32),
        )
        start = 0
        for number, one in enumerate(samples):
            part = slice(start, start + len(one.labels))
            boxes[part], labels[part], numbers[part] = one.boxes, one.labels, number
            own = np.maximum(one.labels - 1, 0)
            goals[part] = (one.offsets - self.normalization.mean[own]) / self.normalization.deviation[own]
            counting[part, 0] = one.labels > 0
            start = part.stop
        rows = np.arange(count) * classes + np.maximum(labels, 0)
        return {
            "boxes": boxes,
            "pictures": numbers,
            "labels": labels,
            "rows": rows,
            "goals": goals,
            "counting": counting / np.float32(max(1, start)),
        }

    def _compile(self, size: tuple[int, int]) -> Program:
        count = self.pictures * REGIONS
        images = input((self.pictures, 3, *size), name="images")
        boxes, pictures = input((count, 4), name="boxes"), input((count,), "int64", "pictures")
        labels, rows = input((count,), "int64", "labels"), input((count,), "int64", "rows")
        goals, counting = input((count, 4), name="goals"), input((count, 1), name="counting")
        rate = input((), name="learning_rate")
        with training_mode(), training_step(self.seed) as step:
            scores, offsets = self.net(images, boxes, pictures)
        classes = ops.cross_entropy(scores, labels, ignore_index=OUTSIDE).named("loss_of_classes")
        own = ops.gather(ops.reshape(offsets, (count * scores.shape[1], 4)), rows)
        moved = ops.sum(ops.smooth_l1(own, goals, reduction="none") * counting).named("loss_of_boxes")
        slopes = gradients(classes + moved, self.parameters)
        squares = [ops.sum(g * g) for g in slopes]
        norm = ops.sqrt(sum(squares[1:], squares[0])).named("gradient_norm")
        number = ops.cast(step, "float32") + 1.0
        slopes = self.optimizer.clipped(slopes, norm)
        updates = self.optimizer.updates(self.parameters, slopes, self.state, rate, number, self.factors)
        return compile((classes, moved, norm), updates=updates, guard=True, **self.setting)
