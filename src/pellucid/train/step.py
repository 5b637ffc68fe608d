"""One training step as a graph: what `fit` runs batch after batch, and `pellucid inspect --train` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pellucid import ops
from pellucid.autodiff import gradients
from pellucid.graph import Parameter, Tensor, input
from pellucid.nn import Module, training_step
from pellucid.scopes import collect_updates
from pellucid.train.optimizers import Optimizer


@dataclass(frozen=True)
class TrainingGraph:
    """The outputs of a training step, and the new values of weights, running statistics and optimiser state."""

    loss: Tensor
    gradient_norm: Tensor
    correct: Tensor
    """Number of images whose label scores highest."""
    updates: dict[Parameter, Tensor]

    @property
    def outputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """What the step computes besides the updates."""
        return self.loss, self.gradient_norm, self.correct


def training_graph(
    net: Module,
    shape: Sequence[int],
    optimizer: Optimizer,
    state: Sequence[tuple[Parameter, ...]],
    label_smoothing: float = 0.0,
    seed: int = 0,
) -> TrainingGraph:
    """The step for images of `shape` (N, C, H, W); inputs `images`, `labels`, `learning_rate` and (if used) `step`."""
    images = input(shape, name="images")
    labels = input((shape[0],), "int64", "labels")
    rate = input((), name="learning_rate")
    parameters = net.parameters()
    net.train()
    with training_step(seed) as step, collect_updates() as statistics:
        logits = net(images)
    net.eval()
    loss = ops.cross_entropy(logits, labels, label_smoothing).named("loss")
    slopes = gradients(loss, parameters)
    squares = [ops.sum(g * g) for g in slopes]
    norm = ops.sqrt(sum(squares[1:], squares[0])).named("gradient_norm")
    correct = ops.sum(ops.cast(ops.equal(ops.argmax(logits, 1), labels), "int64")).named("correct")
    count = ops.cast(step, "float32") + 1.0
    updates = {**statistics, **optimizer.updates(parameters, slopes, state, rate, count)}
    return TrainingGraph(loss, norm, correct, updates)
