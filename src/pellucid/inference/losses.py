"""The losses that a trace may go on to: functions of a network's scores (N, K) and the true classes (N,)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pellucid import ops
from pellucid.errors import unknown
from pellucid.graph import Tensor
from pellucid.nn.score_kind import kind_of_scores

Loss = Callable[[Tensor, Tensor], Tensor]


def find_loss(loss: str | Loss) -> Loss:
    """The loss called so, or `loss` itself where it is a function."""
    if not isinstance(loss, str):
        return loss
    if loss not in LOSSES:
        raise unknown("loss", loss, LOSSES)
    return LOSSES[loss]


def class_loss(
    scores: Tensor,
    label: Tensor,
    label_smoothing: float = 0.0,
    independent: bool = False,
    weights: Sequence[float] = (),
) -> Tensor:
    """The cross-entropy of class scores (N, K); where classes are `independent` the binary one of each.

    With a weight for each class the mean over the examples is one weighted by those of their classes.
    """
    if not independent:
        return ops.cross_entropy(scores, label, label_smoothing, weight=weights or None)
    truth = ops.one_hot(label, scores.shape[1], scores.dtype)
    target = truth * (1 - label_smoothing) + label_smoothing / 2
    if not weights:
        return ops.binary_cross_entropy_with_logits(scores, target)
    own = ops.sum(truth * np.array(weights, scores.dtype), 1)
    each = ops.mean(ops.binary_cross_entropy_with_logits(scores, target, "none"), 1)
    return ops.sum(each * own) / ops.sum(own)


def _cross_entropy(scores: Tensor, label: Tensor) -> Tensor:
    kind = kind_of_scores(scores)
    return class_loss(kind.class_scores, label, independent=kind.independent)


def _of_logits(function: Loss) -> Loss:
    """A loss that takes what a final softmax or sigmoid is given, a score for each class."""
    return lambda scores, label: function(kind_of_scores(scores).class_scores, label)


def _of_one_hot(function: Loss) -> Loss:
    """A loss that takes the true class as ones and zeros of the scores' shape."""
    return lambda scores, label: function(scores, ops.one_hot(label, scores.shape[1], scores.dtype))


LOSSES: dict[str, Loss] = {
    "cross_entropy": _cross_entropy,
    "hinge": _of_logits(ops.hinge),
    "binary_cross_entropy": _of_logits(_of_one_hot(ops.binary_cross_entropy_with_logits)),
    "focal": _of_logits(_of_one_hot(ops.focal)),
    "squared_error": _of_one_hot(ops.squared_error),
    "absolute_error": _of_one_hot(ops.absolute_error),
    "huber": _of_one_hot(ops.huber),
}
"""By name. Cross-entropy, hinge and focal loss take the scores before a final softmax; of sigmoids cross-entropy is the binary one."""
