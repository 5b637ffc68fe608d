"""One training step as a graph: what `fit` runs batch after batch, and `pellucid inspect --train` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pellucid import ops
from pellucid.autodiff import gradients
from pellucid.graph import Parameter, Tensor, input
from pellucid.nn import Module, training_step
from pellucid.scopes import collect_updates, frozen, inference_mode, training_mode
from pellucid.train.averaging import Averages, averaging
from pellucid.train.classification import Classification
from pellucid.train.cut import above, last_fixed, twins
from pellucid.train.optimizers import Optimizer
from pellucid.train.task import Objective
from pellucid.train.tuning import Tuning


@dataclass(frozen=True)
class TrainingGraph:
    """The outputs of a training step, and the new values of weights, running statistics and optimizer state."""

    loss: Tensor
    gradient_norm: Tensor
    counts: dict[str, Tensor]
    """What the task counts of the batch."""
    gradient_norms: Tensor
    """Norm of the gradient of each trained parameter, (P,)."""
    updates: dict[Parameter, Tensor]
    plain_loss: Tensor | None = None
    """The loss as validation measures it, where training makes something else small."""
    scores: Tensor | None = None
    """What of the network's output is learned, (N, ...)."""
    gradients: tuple[Tensor, ...] = ()
    """The gradient of each trained parameter."""

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """What a step must compute besides the updates."""
        plain = () if self.plain_loss is None else (self.plain_loss,)
        return self.loss, self.gradient_norm, *self.counts.values(), *plain


@dataclass(frozen=True)
class Gathering:
    """Where gradients of several batches are added up, before (in the `last` of them) the weights are changed.

    The step then takes more inputs: `share`, the batch's part in the loss; `kept`, 0 in the first batch and else 1; and
    `update`, the number of the change, as `step` counts the batches.
    """

    sums: Mapping[Parameter, Parameter]
    last: bool


def training_graph(
    net: Module,
    shape: Sequence[int],
    optimizer: Optimizer,
    state: Sequence[tuple[Parameter, ...]],
    task: Objective | None = None,
    seed: int = 0,
    tuning: Tuning | None = None,
    from_features: bool = False,
    gathering: Gathering | None = None,
    averages: Averages | None = None,
    decay: float = 0.0,
) -> TrainingGraph:
    """The step for inputs of `shape` (N, ...): `images`, the task's targets, `learning_rate` and (if used) `step`.

    Without a `task` classes are told apart, without `tuning` every parameter is trained. With `from_features` the input
    `images` gives way to `features`: what the frozen part of the network makes of the images. With `averages` these
    follow the weights, see `averaging`.
    """
    task, tuning = task or Classification(), tuning or Tuning.everything(net)
    images = input(shape, name="images")
    targets = task.target_input(shape[0])
    rate = input((), name="learning_rate")
    output, statistics, step = _forward(tuning, images, seed)
    if from_features:
        halves = cut(tuning, shape, seed)
        assert halves is not None
        output, statistics, step = halves.training
    output = task.scores(output)
    loss = task.loss(output, targets).named("loss")
    plain = task.plain_loss(output, targets)
    number = step
    if gathering is None:
        slopes = gradients(loss, tuning.parameters)
    else:
        share, kept, number = input((), name="share"), input((), name="kept"), input((), "int64", "update")
        sums = [gathering.sums[p] for p in tuning.parameters]
        slopes = gradients(loss * share, tuning.parameters)
        slopes = [total * kept + slope for total, slope in zip(sums, slopes, strict=True)]
    squares = [ops.sum(g * g) for g in slopes]
    norm = ops.sqrt(sum(squares[1:], squares[0])).named("gradient_norm")
    norms = ops.sqrt(ops.concat([ops.reshape(s, (1,)) for s in squares])).named("gradient_norms")
    counts = {name: value.named(name) for name, value in task.counts(output, targets).items()}
    plain = None if plain is None else plain.named("plain_loss")
    if gathering is not None and not gathering.last:
        gathered = dict(zip((gathering.sums[p] for p in tuning.parameters), slopes, strict=True))
        return TrainingGraph(loss, norm, counts, norms, {**statistics, **gathered}, plain, output, tuple(slopes))
    count = ops.cast(number, "float32") + 1.0
    changed = optimizer.updates(tuning.parameters, optimizer.clipped(slopes, norm), state, rate, count, tuning.factors)
    changed = {**statistics, **changed}
    updates = {**changed, **averaging(averages or {}, changed, decay, count)}
    return TrainingGraph(loss, norm, counts, norms, updates, plain, output, tuple(slopes))


_Forward = tuple[Tensor, dict[Parameter, Tensor], Tensor]
"""The network in training: its scores, new running statistics, and the input `step`."""


def _forward(tuning: Tuning, images: Tensor, seed: int) -> _Forward:
    with training_mode(), training_step(seed) as step, frozen(tuning.frozen), collect_updates() as statistics:
        logits = tuning.net(images)
    return logits, statistics, step


@dataclass(frozen=True)
class Halves:
    """A network cut in two: `features` of the input `images`, and the rest on an input `features`."""

    features: Tensor
    scores: Tensor
    """The rest in inference."""
    training: _Forward


def cut(tuning: Tuning, shape: Sequence[int], seed: int = 0) -> Halves | None:
    """The network for images of `shape` (N, C, H, W), cut at the last value that training does not change.

    None if there is no such value. What is below it is computed alike in training and in inference.
    """
    images = input(shape, name="images")
    logits, statistics, step = _forward(tuning, images, seed)
    with inference_mode():
        scores = tuning.net(input(shape, name="images"))
    outputs = (logits, *statistics.values())
    kept = twins(outputs, [scores])
    place = last_fixed(outputs, images, tuning.parameters, kept)
    if place is None:
        return None
    logits, *values = above(outputs, place)
    updates = dict(zip(statistics, values, strict=True))
    return Halves(kept[place], above([scores], kept[place])[0], (logits, updates, step))
