"""A training step of Fast R-CNN as one graph: both losses, gradients, new weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.autodiff import gradients
from pellucid.detect.fast_rcnn.network import FastRCNN
from pellucid.detect.fast_rcnn.sampling import REGIONS, Normalization, SampledRegions
from pellucid.executors import Program, compile
from pellucid.graph import Parameter, Tensor, input
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


class GraphStepper(ABC):
    """Changes the trained `parameters`, step by step, by losses on canvases; a step of each size of canvas is compiled once."""

    def __init__(
        self,
        parameters: Sequence[Parameter],
        optimizer: Optimizer,
        *,
        factors: Sequence[float],
        seed: int,
        executor: str = "auto",
        threads: int = 0,
    ) -> None:
        self.parameters, self.optimizer = tuple(parameters), optimizer
        self.seed, self.factors = seed, tuple(factors)
        self.setting: dict[str, Any] = {"executor": executor, "threads": threads}
        self.state = optimizer.state(self.parameters)
        self._programs: dict[tuple[int, int], Program] = {}

    @abstractmethod
    def losses(self, size: tuple[int, int]) -> Sequence[Tensor]:
        """What is made small on a canvas of `size`, of inputs that `stepped` is given; called in training mode, within a training step."""

    def stepped(self, size: tuple[int, int], feeds: Mapping[str, Any], rate: float, step: int) -> list[float]:
        """One step: its losses, and the norm of the gradient of all together. Raises `NonFiniteError`."""
        if size not in self._programs:
            self._programs[size] = self._compile(size)
        program = self._programs[size]
        given = {**feeds, "learning_rate": np.float32(rate), "step": np.int64(step)}
        return [float(value) for value in program({i.name: given[i.name] for i in program.graph.inputs})]

    def _compile(self, size: tuple[int, int]) -> Program:
        rate = input((), name="learning_rate")
        with training_mode(), training_step(self.seed) as step:
            losses = list(self.losses(size))
        slopes = gradients(sum(losses[1:], losses[0]), self.parameters)
        squares = [ops.sum(g * g) for g in slopes]
        norm = ops.sqrt(sum(squares[1:], squares[0])).named("gradient_norm")
        number = ops.cast(step, "float32") + 1.0
        slopes = self.optimizer.clipped(slopes, norm)
        updates = self.optimizer.updates(self.parameters, slopes, self.state, rate, number, self.factors)
        return compile((*losses, norm), updates=updates, guard=True, **self.setting)


class DetectionStepper(GraphStepper):
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
        super().__init__(parameters, optimizer, factors=factors, seed=seed, executor=executor, threads=threads)
        self.net, self.normalization, self.pictures = net, normalization, pictures

    def __call__(self, images: Array, samples: Sequence[SampledRegions], rate: float, step: int) -> Losses:
        """One step on images (N, 3, H, W) with the regions of each. Raises `NonFiniteError` where a number is not finite."""
        feeds = {"images": images, **self._regions(samples)}
        return Losses(*self.stepped((images.shape[2], images.shape[3]), feeds, rate, step))

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

    def losses(self, size: tuple[int, int]) -> Sequence[Tensor]:
        """Of the classes, and of the boxes."""
        count = self.pictures * REGIONS
        images = input((self.pictures, 3, *size), name="images")
        boxes, pictures = input((count, 4), name="boxes"), input((count,), "int64", "pictures")
        labels, rows = input((count,), "int64", "labels"), input((count,), "int64", "rows")
        goals, counting = input((count, 4), name="goals"), input((count, 1), name="counting")
        scores, offsets = self.net(images, boxes, pictures)
        classes = ops.cross_entropy(scores, labels, ignore_index=OUTSIDE).named("loss_of_classes")
        own = ops.gather(ops.reshape(offsets, (count * scores.shape[1], 4)), rows)
        moved = ops.sum(ops.smooth_l1(own, goals, reduction="none") * counting).named("loss_of_boxes")
        return classes, moved
