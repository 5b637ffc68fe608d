"""Loss functions: what training minimizes. Each gives the mean over the batch unless `reduction` says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from pellucid.errors import DTypeError, GraphError, ShapeError, unknown
from pellucid.graph import Tensor, as_tensors
from pellucid.op import FLOATS, OpSample, composite, require_dtype
from pellucid.ops.activation import relu, sigmoid, softplus
from pellucid.ops.comparison import cast, clip, equal, not_equal, where
from pellucid.ops.elementwise import absolute, log
from pellucid.ops.ranges import is_class
from pellucid.ops.reduction import log_softmax, mean
from pellucid.ops.reduction import sum as sum_
from pellucid.ops.shape import normalize_axis
from pellucid.real_numbers import real, reals, share

F = TypeVar("F", bound=Callable[..., Any])

_P = np.array([[0.3, -1.2, 2.0], [0.9, 0.1, -0.4]])
_T = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]])
_LABELS = np.array([2, 0])
_WEIGHT = (0.5, 2.0, 3.0)
_IMPOSSIBLE = np.array([[0.3, -np.inf, 2.0], [0.9, 0.1, -np.inf]])


def reduce(x: Tensor, reduction: str) -> Tensor:
    """The mean or sum over all elements, or the elements themselves ("none")."""
    if reduction == "mean":
        return mean(x)
    if reduction == "sum":
        return sum_(x)
    if reduction == "none":
        return x
    raise unknown("reduction", reduction, ["mean", "sum", "none"])


def _same_shape(name: str, prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise ShapeError(
            f"{name}: prediction {prediction.name!r} {prediction.shape} and target {target.name!r} {target.shape} must have one shape"
        )


def _regression(name: str) -> Callable[[F], F]:
    """Register a loss on two tensors of one shape; `name` is PyTorch's function for the same."""

    def oracle(torch: Any, p: Any, t: Any, label: str = "") -> Any:
        return getattr(torch.nn.functional, name)(p, t, reduction=label or "mean")

    def register(function: F) -> F:
        def samples() -> list[OpSample]:
            summed = OpSample(lambda p, t: function(p, t, reduction="sum"), (_P, _T), "sum")
            return [OpSample(function, (_P, _T)), summed]

        return composite(samples, oracle)(function)

    return register


@_regression("mse_loss")
def squared_error(prediction: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """L = mean of (y - y')^2"""
    prediction, target = as_tensors(prediction, target)
    _same_shape("squared_error", prediction, target)
    difference = prediction - target
    return reduce(difference * difference, reduction)


@_regression("l1_loss")
def absolute_error(prediction: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """L = mean of |y - y'|"""
    prediction, target = as_tensors(prediction, target)
    _same_shape("absolute_error", prediction, target)
    return reduce(absolute(prediction - target), reduction)


@_regression("huber_loss")
def huber(prediction: Tensor, target: Any, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """L = mean of d^2/2 where |d| < delta, else delta * (|d| - delta/2), with d = y - y' (Huber 1964)"""
    delta = real("huber", "delta", delta)
    if delta <= 0:
        raise GraphError(f"huber: delta must be positive, got {delta}")
    prediction, target = as_tensors(prediction, target)
    _same_shape("huber", prediction, target)
    difference = prediction - target
    size = absolute(difference)
    return reduce(where(size < delta, difference * difference * 0.5, size * delta - 0.5 * delta * delta), reduction)


@_regression("smooth_l1_loss")
def smooth_l1(prediction: Tensor, target: Any, beta: float = 1.0, reduction: str = "mean") -> Tensor:
    """L = mean of d^2 / (2 beta) where |d| < beta, else |d| - beta/2, with d = y - y' (Girshick 2015, eq. 3)"""
    return huber(prediction, target, beta, reduction) * (1 / real("smooth_l1", "beta", beta))


def _cross_entropy_samples() -> list[OpSample]:
    image = np.sin(np.arange(24.0)).reshape(2, 3, 2, 2)
    pixel_labels = np.array([[[0, 2], [1, 1]], [[2, 0], [0, 1]]])
    return [
        OpSample(cross_entropy, (_P, _LABELS)),
        OpSample(cross_entropy, (_P, _T), "soft"),
        OpSample(lambda p, t: cross_entropy(p, t, label_smoothing=0.1), (_P, _LABELS), "smoothing"),
        OpSample(lambda p, t: cross_entropy(p, t, label_smoothing=0.1), (_P, _T), "smoothing-soft"),
        OpSample(cross_entropy, (image, pixel_labels), "pixels"),
        OpSample(cross_entropy, (_P * 1000, _LABELS), "huge"),
        OpSample(cross_entropy, (_IMPOSSIBLE, _LABELS), "impossible"),
        OpSample(lambda p, t: cross_entropy(p, t, ignore_index=0), (_P, _LABELS), "ignore"),
        OpSample(lambda p, t: cross_entropy(p, t, 0.1, ignore_index=0), (_P, _LABELS), "smoothing-ignore"),
        OpSample(lambda p, t: cross_entropy(p, t, weight=_WEIGHT), (_P, _LABELS), "weight"),
        OpSample(lambda p, t: cross_entropy(p, t, weight=_WEIGHT), (_P, _T), "weight-soft"),
        OpSample(lambda p, t: cross_entropy(p, t, weight=_WEIGHT), (image, pixel_labels), "weight-pixels"),
        OpSample(lambda p, t: cross_entropy(p, t, 0.1, weight=_WEIGHT), (_P, _LABELS), "smoothing-weight"),
        OpSample(
            lambda p, t: cross_entropy(p, t, 0.1, ignore_index=0, weight=_WEIGHT),
            (_P, _LABELS),
            "smoothing-weight-ignore",
        ),
        OpSample(lambda p, t: cross_entropy(p, t, reduction="sum", weight=_WEIGHT), (_P, _LABELS), "weight-sum"),
    ]


def _cross_entropy_oracle(torch: Any, logits: Any, labels: Any, label: str = "") -> Any:
    smoothing = 0.1 if label.startswith("smoothing") else 0.0
    ignored = 0 if label.endswith("ignore") else -100
    weight = torch.tensor(_WEIGHT, dtype=logits.dtype) if "weight" in label else None
    return torch.nn.functional.cross_entropy(
        logits,
        labels,
        weight,
        label_smoothing=smoothing,
        ignore_index=ignored,
        reduction="sum" if label.endswith("sum") else "mean",
    )


@composite(_cross_entropy_samples, oracle=_cross_entropy_oracle)
def cross_entropy(
    logits: Tensor,
    labels: Any,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    ignore_index: int | None = None,
    weight: Sequence[float] | None = None,
) -> Tensor:
    """L = mean of -sum over classes k of y'_k log softmax(logits)_k, where 0 log 0 = 0

    logits (N, K, ...); labels (N, ...) int64, or soft labels of the logits' shape. With label smoothing s the target
    is (1 - s) y' + s / K (Szegedy et al. 2016, section 7). A label that is none of the K classes is an
    `OutOfRangeError`, unless it is `ignore_index`: those have no part in the loss, and none in its mean. With a `weight`
    for each class every term of the sum is multiplied by its class's, and the mean over labels is one weighted by theirs.
    """
    logits, labels = as_tensors(logits, labels)
    label_smoothing = share("cross_entropy", "label_smoothing", label_smoothing)
    require_dtype("cross_entropy", FLOATS, logits)
    logs = log_softmax(logits, 1)
    weights: Tensor | None = None
    if weight is not None:
        if len(weight) != logits.shape[1]:
            raise ShapeError(f"cross_entropy: {logits.shape[1]} classes want as many weights, got {len(weight)}")
        column = np.array(reals("cross_entropy", "weight", weight, 0), logits.dtype)
        (weights,) = as_tensors(column.reshape(-1, *(1,) * (logits.ndim - 2)))
        logs = logs * weights
    if labels.dtype == logits.dtype:
        if ignore_index is not None:
            raise GraphError("cross_entropy: ignore_index is for labels that are numbers of classes, not for soft ones")
        _same_shape("cross_entropy", logits, labels)
        return reduce(_entropy(labels, logs, label_smoothing), reduction)
    if labels.dtype != "int64":
        raise DTypeError(f"cross_entropy: labels must be int64 or {logits.dtype}, got {labels.dtype}")
    if labels.shape != (logits.shape[0], *logits.shape[2:]):
        raise ShapeError(
            f"cross_entropy: logits {logits.shape} want labels of shape {(logits.shape[0], *logits.shape[2:])}, got {labels.shape}"
        )
    truth = is_class("cross_entropy", labels, logits.shape[1], 1, ignore_index)
    smoothed = label_smoothing > 0
    each = _entropy(cast(truth, logits.dtype), logs, label_smoothing) if smoothed else -sum_(where(truth, logs, 0.0), 1)
    if ignore_index is None and weights is None:
        return reduce(each, reduction)
    counts = None if weights is None else sum_(where(truth, weights, 0.0), 1)
    if ignore_index is not None:
        counted = not_equal(labels, ignore_index)
        each = where(counted, each, 0.0)
        counts = cast(counted, each.dtype) if counts is None else where(counted, counts, 0.0)
    assert counts is not None
    return sum_(each) / sum_(counts) if reduction == "mean" else reduce(each, reduction)


def _entropy(target: Tensor, log_prediction: Tensor, smoothing: float) -> Tensor:
    """-sum over classes of target * log_prediction (N, K, ...), the target smoothed; 0 where the target is 0."""
    if smoothing:
        target = target * (1 - smoothing) + smoothing / target.shape[1]
    return -sum_(_share(target, log_prediction), 1)


def _share(share: Tensor, x: Tensor) -> Tensor:
    """share * x, where nothing of infinity is 0."""
    if not x.dtype.startswith("float"):
        raise DTypeError(f"a loss wants floating scores, got {x.name!r} of {x.dtype}; cast it to a floating type first")
    largest = float(np.finfo(x.dtype).max)
    return share * where(equal(share, 0.0), clip(x, -largest, largest), x)


def _bce_samples() -> list[OpSample]:
    return [
        OpSample(binary_cross_entropy_with_logits, (_P, _T)),
        OpSample(binary_cross_entropy_with_logits, (_P * 1000, _T), "huge"),
    ]


@composite(_bce_samples, oracle=lambda torch, p, t: torch.nn.functional.binary_cross_entropy_with_logits(p, t))
def binary_cross_entropy_with_logits(logits: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """L = mean of softplus(x) - x y', which is -y' log p - (1 - y') log(1 - p) with p = sigmoid(x)"""
    logits, target = as_tensors(logits, target)
    _same_shape("binary_cross_entropy_with_logits", logits, target)
    positive = logits > 0  # e^(-|x|) is finite, and its derivative holds at 0
    wrong = where(positive, 1.0 - target, -target)
    return reduce(softplus(where(positive, -logits, logits)) + _share(wrong, logits), reduction)


def _hinge_samples() -> list[OpSample]:
    return [OpSample(hinge, (_P, _LABELS)), OpSample(hinge, (_IMPOSSIBLE, _LABELS), "impossible")]


@composite(_hinge_samples, oracle=lambda torch, p, t: torch.nn.functional.multi_margin_loss(p, t) * p.shape[1])
def hinge(scores: Tensor, labels: Any, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """L = mean of sum over k != label of max(0, margin + s_k - s_label) (Weston and Watkins 1999)"""
    scores, labels = as_tensors(scores, labels)
    margin = real("hinge", "margin", margin)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ShapeError(f"hinge: wants scores (N, K) and labels (N,), got {scores.shape} and {labels.shape}")
    truth = is_class("hinge", labels, scores.shape[1], 1)
    right = sum_(where(truth, scores, 0.0), 1, keepdims=True)
    return reduce(sum_(where(truth, 0.0, relu(scores - right + margin)), 1), reduction)


_BINARY = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])


def _focal_samples() -> list[OpSample]:
    return [OpSample(lambda x: focal(x, _BINARY.astype(x.dtype)), (_P,))]


def _focal_oracle(torch: Any, x: Any) -> Any:
    t = torch.tensor(_BINARY)
    p = torch.sigmoid(x)
    right = p * t + (1 - p) * (1 - t)
    return (-(0.25 * t + 0.75 * (1 - t)) * (1 - right) ** 2 * torch.log(right)).mean()


@composite(_focal_samples, oracle=_focal_oracle)
def focal(logits: Tensor, target: Any, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "mean") -> Tensor:
    """L = mean of -alpha_t (1 - p_t)^gamma log p_t, with p_t the probability of the true binary label (Lin et al. 2017)"""
    logits, target = as_tensors(logits, target)
    _same_shape("focal", logits, target)
    alpha, gamma = real("focal", "alpha", alpha), real("focal", "gamma", gamma)
    wrong = sigmoid(logits) * (1 - target) + sigmoid(-logits) * target
    weight = target * alpha + (1 - target) * (1 - alpha)
    return reduce(weight * wrong**gamma * binary_cross_entropy_with_logits(logits, target, "none"), reduction)


def _kl_samples() -> list[OpSample]:
    zero = np.array([[0.0, 0.7, 0.3], [1.0, 0.0, 0.0]])
    return [
        OpSample(kl_divergence, (np.log(_T), _T[::-1].copy())),
        OpSample(lambda p: kl_divergence(p, zero.astype(p.dtype)), (np.log(_T),), "zero"),
    ]


def _kl_oracle(torch: Any, p: Any, t: Any = None) -> Any:
    zero = torch.tensor([[0.0, 0.7, 0.3], [1.0, 0.0, 0.0]], dtype=torch.float64)
    return torch.nn.functional.kl_div(p, zero if t is None else t, reduction="batchmean")


@composite(_kl_samples, oracle=_kl_oracle)
def kl_divergence(log_prediction: Tensor, target: Any, axis: int = 1, reduction: str = "mean") -> Tensor:
    """L = mean over the batch of sum over `axis` of y' (log y' - log y); takes log y; 0 log 0 = 0"""
    log_prediction, target = as_tensors(log_prediction, target)
    _same_shape("kl_divergence", log_prediction, target)
    normalize_axis("kl_divergence", axis, target.ndim)
    positive = target > 0
    inner = where(positive, target * (log(where(positive, target, 1.0)) - log_prediction), 0.0)
    return reduce(sum_(inner, axis), reduction)
