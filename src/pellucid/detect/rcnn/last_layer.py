"""The layer of the classes and of background that fine-tuning begins with: small random weights, or those that tell regions apart as the
network sees them when it begins."""

from __future__ import annotations

import warnings

import numpy as np

from pellucid.detect.errors import DetectorError
from pellucid.detect.rcnn.classifiers import NORM, scale_for
from pellucid.detect.rcnn.features import Backbone
from pellucid.executors import compile
from pellucid.graph import Parameter, Tensor, input
from pellucid.nn import Module
from pellucid.plain import Array
from pellucid.scopes import inference_mode
from pellucid.seeds import random_numbers
from pellucid.train.tuning import head

DEVIATION = 0.01
"""Of the random weights (the authors' prototxt)."""
COST = 6.0
"""What the mean error of a fit counts beside half the sum of squared weights of descriptions that have the norm of the classifiers'."""
ROUNDS = 200
"""Of a fit, at most."""
EXACT = 0.05
"""How far scores of the network may be from those of the fitted weights."""
SPREAD = 5.0
"""The deviation of scores that are tried before there are descriptions to fit to."""
RAISED = (0.0, 100.0, 1000.0)
"""What biases are raised by, as far as must be."""
_BEGUN, _SEEN = 3, 4
"""What random numbers are for, beside the seed."""


def scores_of(net: Module, side: int, count: int = 1) -> tuple[Tensor, Tensor]:
    """Images (N, 3, side, side) and the scores that the network makes of them."""
    with inference_mode():
        images = input((count, 3, side, side), name="images")
        return images, net(images)


def last_parameters(net: Module, scores: Tensor) -> list[Parameter]:
    """What the last layer, which makes the scores, consists of, in the network's order."""
    last = head(net, scores)
    return [parameter for parameter in net.parameters() if parameter in last]


def begin_anew(net: Module, side: int, seed: int) -> None:
    """Give the last layer weights of a small deviation, and biases of 0."""
    for number, parameter in enumerate(last_parameters(net, scores_of(net, side)[1])):
        drawn = random_numbers(seed, _BEGUN, number).normal(0.0, DEVIATION, parameter.shape)
        parameter.value = (drawn if parameter.ndim > 1 else np.zeros(parameter.shape)).astype(np.float32)


def fit(backbone: Backbone, vectors: Array, labels: Array, classes: int, some: Array) -> None:
    """Give the last layer of `classes` the weights by which a logistic regression tells `labels` (N,) of described regions (N, D) apart,
    and look at its scores of `some` regions (M, 3, side, side)."""
    _lay_exactly(backbone, *regressed(vectors, labels, classes), some)


def regressed(vectors: Array, labels: Array, classes: int) -> tuple[Array, Array]:
    """Weights (K, D) and biases (K,) of scores whose softmax tells labels from 0 to before `classes` of descriptions (N, D).

    A class that is not among the labels has no weights and the lowest bias; of one class alone nothing is learned.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    weights, biases = np.zeros((classes, vectors.shape[1])), np.zeros(classes)
    there = np.unique(labels)
    if len(there) < 2:
        return weights, biases
    scale = scale_for([vectors])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # steps go on from where it ends, near the best or at it
        found = LogisticRegression(C=COST / len(labels), max_iter=ROUNDS).fit(vectors.astype(float) * scale, labels)
    own, offsets = np.asarray(found.coef_) * scale, np.asarray(found.intercept_)
    if len(there) == 2:  # one row tells them apart: half of it for the second, against the first
        own, offsets = np.concatenate([-own, own]) / 2, np.concatenate([-offsets, offsets]) / 2
    biases[:] = offsets.min()
    weights[there], biases[there] = own, offsets
    return weights, biases


def require_fitting(backbone: Backbone, classes: int) -> None:
    """Raise `DetectorError` if the last layer cannot be fitted to descriptions, whatever they are."""
    last = last_parameters(backbone.net, scores_of(backbone.net, backbone.side)[1])
    usual = [parameter.value.copy() for parameter in last]
    numbers = random_numbers(backbone.config.seed, _SEEN)
    images = numbers.normal(size=(2, 3, backbone.side, backbone.side)).astype(np.float32)
    vectors, _ = backbone.described_squares(len(images), lambda first, end: images[first:end])
    weights = numbers.normal(size=(classes, vectors.shape[1])) * (SPREAD / NORM) * scale_for([vectors])
    try:
        _lay_exactly(backbone, weights, np.zeros(classes), images)
    finally:
        for parameter, value in zip(last, usual, strict=True):
            parameter.value = value


def _lay_exactly(backbone: Backbone, weights: Array, biases: Array, images: Array) -> None:
    """Make weights (K, D) and biases (K,) those of the last layer, so that its scores of images are those of their descriptions, but for
    what all classes have more: that changes no softmax, and lets a ReLU behind the layer pass everything."""
    net = backbone.net
    placed, vectors, _ = backbone.outputs(len(images))
    with inference_mode():
        scores = net(placed)
    last = last_parameters(net, scores)
    for raised in RAISED:
        if not _lay(last, weights, biases + raised):
            break
        program = compile((scores, vectors), inputs=(placed,), executor=backbone.config.executor)
        found, seen = (np.array(each) for each in program({"images": images}))
        wanted = seen @ weights.T + biases + raised
        if found.size == wanted.size and np.allclose(found.reshape(wanted.shape), wanted, rtol=0, atol=EXACT):
            return
    raise DetectorError(
        f"{backbone.config.backbone}: its scores are not those of one layer of what it says of a region, so that none can be fitted; "
        "set fine_tune_begin=random, or choose another backbone"
    )


def _lay(last: list[Parameter], weights: Array, biases: Array) -> bool:
    """Give a last layer weights (K, D) and biases (K,); whether it is one layer that has so many."""
    kernels, offsets = [p for p in last if p.ndim > 1], [p for p in last if p.ndim == 1]
    if len(kernels) != 1 or len(offsets) != 1 or kernels[0].size != weights.size or offsets[0].size != biases.size:
        return False
    laid = weights if kernels[0].shape[0] == len(weights) else weights.T
    kernels[0].value = laid.reshape(kernels[0].shape).astype(np.float32)
    offsets[0].value = biases.astype(np.float32)
    return True
