"""What `pellucid inspect` looks at: a network by name or out of a run, and the programs that compute with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pellucid.executors import explain_plan
from pellucid.graph import Graph, Tensor
from pellucid.nn import Module, models
from pellucid.op import Array
from pellucid.train import load_run
from pellucid.train.optimizers import Optimizer
from pellucid.train.step import training_graph

if TYPE_CHECKING:
    from pellucid.executors.plan.report import PlanReport


@dataclass(frozen=True)
class Subject:
    """A network, the shape (C, H, W) of its images, and the optimiser that trains it."""

    net: Module
    shape: tuple[int, int, int]
    optimizer: Optimizer

    def plan(
        self,
        batch: int = 1,
        training: bool = False,
        profile: bool = False,
        precision: str = "float32",
        threads: int = 0,
        without: Collection[str] = (),
    ) -> PlanReport:
        """What the native executor makes of inference, or of a training step, on `batch` images."""
        shape = (batch, *self.shape)
        if training:
            step = training_graph(self.net, shape, self.optimizer, self.optimizer.state(self.net.parameters()))
            outputs, updates = step.outputs, step.updates
        else:
            outputs, updates = self.net.eval().graph(shape, name="images").outputs, {}
        feeds = example_feeds(Graph((*outputs, *updates.values()))) if profile else None
        return explain_plan(outputs, updates, feeds, precision, threads, without)


def find(what: str, **options: int) -> Subject:
    """The network of a run or checkpoint, or the model called `what` with its options (those that are 0 as usual)."""
    if Path(what).exists():
        run = load_run(what)
        shape = (run.preprocessing.channels, *run.preprocessing.image_size)
        return Subject(run.net, shape, run.config.make_optimizer())
    net = models.build(what, **{name: value for name, value in options.items() if value})
    config = net.config()
    return Subject(net, (config["in_channels"], config["image_size"], config["image_size"]), Optimizer("momentum"))


def example_feeds(graph: Graph) -> dict[Tensor, Array]:
    """Something to feed a graph: normal numbers for images, 0 for labels and steps, a small learning rate."""
    random = np.random.default_rng(0)

    def example(node: Tensor) -> Array:
        if not node.dtype.startswith("float"):
            return np.zeros(node.shape, node.dtype)
        return random.standard_normal(node.shape).astype(node.dtype) if node.shape else np.asarray(1e-3, node.dtype)

    return {node: example(node) for node in graph.inputs}
