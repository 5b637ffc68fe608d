"""What `pellucid inspect --plan` shows: the programs that compute with a network."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from pellucid.executors import explain_plan
from pellucid.graph import Graph, Tensor
from pellucid.nn.summary import inference_graph
from pellucid.op import Array
from pellucid.scopes import inference_mode
from pellucid.train.optimizers import Optimizer
from pellucid.train.step import training_graph
from pellucid.train.tuning import Tuning

if TYPE_CHECKING:
    from pellucid.executors.plan.report import PlanReport
    from pellucid.opening import Opened


def plan(
    subject: Opened,
    batch: int = 1,
    training: bool = False,
    profile: bool = False,
    precision: str = "float32",
    threads: int = 0,
    without: Collection[str] = (),
) -> PlanReport:
    """What the native executor makes of inference, or of a training step, on `batch` images.

    The step is that of the subject's run, with its optimizer and what it froze; or of momentum.
    """
    shape = (batch, *subject.shape)
    if training:
        optimizer, tuning = _training_of(subject, shape)
        task = None if subject.run is None else subject.run.task
        state = optimizer.state(tuning.parameters)
        step = training_graph(subject.net, shape, optimizer, state, task, tuning=tuning)
        outputs, updates = step.outputs, step.updates
    else:
        with inference_mode():
            outputs, updates = subject.net.graph(shape, name="images").outputs, {}
    feeds = example_feeds(Graph((*outputs, *updates.values()))) if profile else None
    return explain_plan(outputs, updates, feeds, precision, threads, without)


def _training_of(subject: Opened, shape: tuple[int, ...]) -> tuple[Optimizer, Tuning]:
    if subject.run is None:
        return Optimizer("momentum"), Tuning.everything(subject.net)
    config = subject.run.config
    output = inference_graph(subject.net, shape).outputs[0]
    tuning = Tuning.of(subject.net, output, config.freeze, config.learning_rates, config.learning_rate_decay)
    return config.make_optimizer(), tuning


def example_feeds(graph: Graph) -> dict[Tensor, Array]:
    """Something to feed a graph: normal numbers for images, 0 for labels and steps, a small learning rate."""
    random = np.random.default_rng(0)

    def example(node: Tensor) -> Array:
        if not node.dtype.startswith("float"):
            return np.zeros(node.shape, node.dtype)
        return random.standard_normal(node.shape).astype(node.dtype) if node.shape else np.asarray(1e-3, node.dtype)

    return {node: example(node) for node in graph.inputs}
