"""What `pellucid inspect --plan` shows: the programs that compute with a network."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pellucid.errors import PellucidError
from pellucid.executors import explain_plan
from pellucid.graph import Graph
from pellucid.inference.fed import example_feeds
from pellucid.nn.summary import inference_graph
from pellucid.text import amount
from pellucid.train.optimizers import Optimizer
from pellucid.train.step import training_graph
from pellucid.train.tuning import Tuning

if TYPE_CHECKING:
    from pellucid.executors.plan.report import PlanReport
    from pellucid.opening import Opened


class PlanError(PellucidError, ValueError):
    """There is no such plan."""


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
    shape = (batch, *subject.input_shape)
    shapes = subject.shapes(batch)
    if training:
        if len(shapes) > 1:
            raise PlanError(
                f"{subject.source}: takes {amount(len(shapes), 'input')} ({', '.join(shapes)}); training is for networks with one"
            )
        optimizer, tuning = _training_of(subject, shape)
        task = None if subject.run is None else subject.run.task
        state = optimizer.state(tuning.parameters)
        step = training_graph(subject.net, shape, optimizer, state, task, tuning=tuning)
        outputs, updates = step.outputs, step.updates
    else:
        called = {"images": next(iter(shapes.values()))} if len(shapes) == 1 else shapes
        outputs, updates = inference_graph(subject.net, called).outputs, {}
    feeds = example_feeds(Graph((*outputs, *updates.values()))) if profile else None
    return explain_plan(outputs, updates, feeds, precision, threads, without)


def _training_of(subject: Opened, shape: tuple[int, ...]) -> tuple[Optimizer, Tuning]:
    if subject.run is None:
        return Optimizer("momentum"), Tuning.everything(subject.net)
    config = subject.run.config
    output = inference_graph(subject.net, shape).outputs[0]
    tuning = Tuning.of(subject.net, output, config.freeze, config.learning_rates, config.learning_rate_decay)
    return config.make_optimizer(), tuning
