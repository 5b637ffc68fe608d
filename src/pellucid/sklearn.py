"""Convolutional networks as scikit-learn's estimators: in pipelines, searches over settings and cross-validation.

`CNNClassifier` and `CNNRegressor` train with `pl.fit`; pictures are arrays, or rows of flat pictures as scikit-learn has them.
"""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, validation
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from pellucid.data import DataError, NumberSplits, Parts, Splits, split
from pellucid.data.arrays import array_of, in_shape, pixels_of
from pellucid.data.numbered import NumberArrays, split_numbers
from pellucid.data.sample import ArrayDataset
from pellucid.given import argument
from pellucid.nn import Module, models
from pellucid.nn.activations import ReLU
from pellucid.nn.layers import Conv2d, Flatten, Linear, MaxPool2d, Sequential
from pellucid.op import Array, Shape
from pellucid.progress import quiet
from pellucid.train import Run, TrainError, fit
from pellucid.train.arrays import labeled

__all__ = ["CNNClassifier", "CNNRegressor", "small_network"]

Network = str | Module | Callable[[Shape, int], Module]
"""Which network: a name of `pl.nn.models`, a network, or a function of a picture's shape (C, H, W) and the number of outputs."""

_FEW_CHANNELS = (1, 3, 4)
_validated = cast(Any, validation.validate_data)
"""Whose stub says that it takes and gives words."""


def small_network(shape: Shape, outputs: int) -> Sequential:
    """Two convolutions, each with a pooling where pictures (C, H, W) are large enough, and two dense layers."""
    channels, height, width = shape
    kernel = (min(height, 3) | 1, min(width, 3) | 1)
    padding = (kernel[0] // 2, kernel[1] // 2)
    layers: dict[str, Module] = {}
    for number, wide in enumerate((16, 32), 1):
        layers[f"conv{number}"] = Conv2d(channels, wide, kernel, padding=padding)
        layers[f"relu{number}"] = ReLU()
        if min(height, width) >= 4:
            layers[f"pool{number}"] = MaxPool2d(2)
            height, width = height // 2, width // 2
        channels = wide
    return Sequential(
        **layers,
        flatten=Flatten(),
        fc1=Linear(channels * height * width, 64),
        relu3=ReLU(),
        fc2=Linear(64, outputs),
    )


class _CNN(BaseEstimator):
    """What both estimators share: the settings, pictures from what scikit-learn gives, and a run of `fit`."""

    def __init__(
        self,
        network: Network = "small",
        *,
        image_shape: Shape | None = None,
        epochs: int = 15,
        batch_size: int = 32,
        learning_rate: float = 0.0,
        optimizer: str = "adam",
        weight_decay: float = 0.0,
        schedule: str = "cosine",
        flip: bool = False,
        shift: int = 0,
        rotation: float = 0.0,
        patience: int = 0,
        validation_fraction: float = 0.0,
        settings: Mapping[str, Any] | None = None,
        out: str | Path | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.network = network
        self.image_shape = image_shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.flip = flip
        self.shift = shift
        self.rotation = rotation
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.settings = settings
        self.out = out
        self.random_state = random_state
        self.verbose = verbose

    pixels_: bool
    image_shape_: Shape

    def _pictures(self, X: Any, y: Any = None) -> tuple[Array, Any]:
        """Pictures (N, C, H, W), and what is to be learned of them; with `y` None those to predict."""
        learning = y is not None
        given = X if hasattr(X, "iloc") or hasattr(X, "toarray") else array_of("X", X)
        shape = None if learning else self.image_shape_
        if getattr(given, "ndim", 2) in (3, 4):
            pictures = _ordered(given, shape or self._stated())
            shape, given = pictures.shape[1:], pictures.reshape(len(pictures), math.prod(pictures.shape[1:]))
        checked: dict[str, Any] = {"ensure_min_samples": 2 if learning else 1}
        if not learning:
            rows = _validated(self, given, reset=False, **checked)
            return _shaped(rows, self.image_shape_), None
        numeric = isinstance(self, RegressorMixin)
        rows, y = _validated(self, given, y, multi_output=numeric, y_numeric=numeric, **checked)
        self.image_shape_ = tuple(shape or self._stated() or _guessed(rows.shape[1]))
        if rows.shape[1] != math.prod(self.image_shape_):
            raise DataError(
                f"X has {rows.shape[1]} features, pictures of image_shape {self.image_shape_} have "
                f"{math.prod(self.image_shape_)}"
            )
        return _shaped(rows, self.image_shape_), y

    def _stated(self) -> Shape | None:
        """`image_shape` as (C, H, W)."""
        if self.image_shape is None:
            return None
        shape = tuple(int(size) for size in self.image_shape)
        if len(shape) not in (2, 3) or min(shape) < 1:
            raise DataError(f"image_shape must be (H, W) or (C, H, W), got {self.image_shape}")
        return (1, *shape) if len(shape) == 2 else shape

    def _made(self, outputs: int) -> Module:
        """The network, untrained; of one that is given a copy."""
        shape = self.image_shape_
        if isinstance(self.network, Module):
            return copy.deepcopy(self.network)
        if not isinstance(self.network, str):
            return self.network(shape, outputs)
        if self.network == "small":
            return small_network(shape, outputs)
        if shape[1] != shape[2]:
            raise DataError(
                f"{self.network} takes square pictures, got {shape}; network='small' or a function of the shape takes others"
            )
        return models.build(self.network, num_classes=outputs, in_channels=shape[0], image_size=shape[1])

    def _train(self, parts: Parts, outputs: int) -> None:
        """Train on the parts, and keep the run: in `out`, or in memory alone."""
        chosen = self.random_state
        seed = int(chosen) if isinstance(chosen, int | np.integer) else check_random_state(chosen).randint(2**31 - 1)
        settings: dict[str, Any] = {
            "epochs": self.epochs,
            "batch_size": min(argument(int, self.batch_size, "batch_size", TrainError), len(parts.train)),
            "learning_rate": self.learning_rate,
            "optimizer": self.optimizer,
            "weight_decay": self.weight_decay,
            "schedule": self.schedule,
            "flip": self.flip,
            "shift": self.shift,
            "rotation": self.rotation,
            "patience": self.patience,
            "seed": seed,
            **(self.settings or {}),
        }
        net = self._made(outputs)
        kept = nullcontext(self.out) if self.out is not None else tempfile.TemporaryDirectory(prefix="pellucid-")
        with kept as folder, nullcontext() if self.verbose else quiet():
            out = Path(folder) if self.out is not None else Path(folder) / "run"
            self.run_: Run = fit(net, parts, out=out, report=self.out is not None, **settings)
        if self.out is None:  # the folder is gone
            self.run_ = replace(self.run_, folder=Path(type(self).__name__))
        if not self.validation_fraction:  # measured on what it was trained on, which says nothing
            self.run_ = replace(self.run_, test=None)
        self.net_ = self.run_.net
        self.history_ = self.run_.metrics
        self.n_iter_ = len(self.history_)

    def _answers(self, X: Any) -> Array:
        """What the network says of pictures."""
        check_is_fitted(self)
        pictures, _ = self._pictures(X)
        if self.pixels_:
            pictures = pixels_of("X", pictures)
        return self.run_.predict(pictures)

    def _fractions(self) -> tuple[float, float] | None:
        """The shares of training and validation; None where everything is trained on."""
        share = argument(float, self.validation_fraction, "validation_fraction", TrainError)
        if not 0 <= share < 1:
            raise TrainError(f"validation_fraction must lie in [0, 1), got {share}")
        return (1 - share, share) if share else None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags


class CNNClassifier(ClassifierMixin, _CNN):
    """A convolutional network that tells classes apart, with scikit-learn's interface.

    `network` is "small" (see `small_network`), a name of `pl.nn.models`, a network of your own (trained is a copy; weights
    that it was given are where training starts), or a function of shape (C, H, W) and number of classes.
    X are pictures (N, C, H, W), (N, H, W, C) or (N, H, W), or rows of flat pictures (N, C * H * W) of `image_shape`,
    (C, H, W) or (H, W); without it rows are square gray pictures where their length is a square number, else one pixel high.
    Pixels of type uint8 are taken as such, other numbers standardized; `flip`, `shift` and `rotation` are for pixels.
    `epochs` to `patience` are settings of `pl.fit`, as is every other in the dict `settings`. All of X is trained on, or all
    but `validation_fraction`, by which the best epoch is chosen then. `out` keeps the run in a folder.

    Afterwards `classes_`, `net_` (the network), `run_` (the run, with `run_.history`), `history_` (a dict for each epoch),
    `n_iter_`, `image_shape_` and `n_features_in_` are there.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> pl.sklearn.CNNClassifier(epochs=4, learning_rate=0.01).fit(X[:900], y[:900]).score(X[900:], y[900:]) > 0.8
    True
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train on pictures and their classes."""
        pictures, y = self._pictures(X, _required(y))
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        self.pixels_ = pictures.dtype == np.uint8
        names = tuple(map(str, self.classes_.tolist()))
        whole = labeled(pictures, labels.astype(np.int64), names)
        self._train(_class_parts(whole, self._fractions()), len(names))
        return self

    def predict_proba(self, X: Any) -> Array:
        """The probability of each of `classes_`, (N, K)."""
        return self._answers(X)

    def predict(self, X: Any) -> Array:
        """The likeliest class of each picture, (N,)."""
        found = self._answers(X).argmax(1)
        return self.classes_[found]


class CNNRegressor(RegressorMixin, _CNN):
    """A convolutional network that predicts numbers, (N,) or (N, M), with scikit-learn's interface; see `CNNClassifier`.

    The loss is a setting: `settings={"loss": "huber"}`.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train on pictures and numbers."""
        pictures, y = self._pictures(X, _required(y))
        self.pixels_ = pictures.dtype == np.uint8
        self._one_axis = y.ndim == 1
        whole, fractions = NumberArrays(pictures, y.astype(np.float64)), self._fractions()
        if fractions is None:
            parts = NumberSplits(whole, whole, whole, whole.name)
        else:
            train, held = split_numbers(whole, 0, ("train", "validation"), fractions)
            parts = NumberSplits(train, held, held, whole.name)
        self._train(parts, whole.targets.shape[1])
        return self

    def predict(self, X: Any) -> Array:
        """The numbers of each picture, (N,) or (N, M)."""
        found = self._answers(X)
        return found[:, 0] if self._one_axis else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _class_parts(whole: ArrayDataset, fractions: tuple[float, float] | None) -> Splits:
    if fractions is None:
        return Splits(whole, whole, whole, whole.name)
    train, held = split(whole, fractions, ("train", "validation"))
    return Splits(train, held, held, whole.name)


def _required(y: Any) -> Any:
    if y is None:
        raise TrainError("requires y to be passed, but the target y is None")
    return y


def _ordered(pictures: Array, shape: Shape | None) -> Array:
    """Pictures (N, C, H, W) of `shape`, where that is known; else channels come last where only there are few."""
    if shape is not None:
        found = in_shape(pictures, shape)
        if found is None:
            raise DataError(f"X: wants pictures (N, {', '.join(map(str, shape))}), got {pictures.shape}")
        return found
    if pictures.ndim == 3:
        return pictures[:, None]
    last = pictures.shape[-1] in _FEW_CHANNELS and pictures.shape[1] not in _FEW_CHANNELS
    return np.moveaxis(pictures, -1, 1) if last else pictures


def _shaped(rows: Array, shape: Shape) -> Array:
    """Rows as pictures; what is not bytes as floats, of which predictions do not depend on their type."""
    pictures = rows.reshape(len(rows), *shape)
    return pictures if pictures.dtype == np.uint8 else pictures.astype(np.float64)


def _guessed(features: int) -> Shape:
    """The shape of pictures that are rows of so many numbers, where nobody says it."""
    side = math.isqrt(features)
    return (1, side, side) if side * side == features else (1, 1, features)
