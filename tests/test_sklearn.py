"""Estimators of scikit-learn: its own checks, pictures in every form, and what searches, pipelines and pickles ask of them."""

from __future__ import annotations

import copy
import doctest
import pickle
import warnings
from pathlib import Path
from typing import Any
from unittest import SkipTest

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import pellucid as pl
from pellucid import nn
from pellucid.data import DataError, Preprocessing, Standardization
from pellucid.sklearn import CNNClassifier, CNNRegressor
from pellucid.train import TrainError

ROWS, LABELS = load_digits(n_class=3, return_X_y=True)
ROWS, LABELS = ROWS[:120], LABELS[:120]
PIXELS = np.round(ROWS * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
SETTINGS: dict[str, Any] = {"epochs": 2, "learning_rate": 0.01, "random_state": 0}


@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_the_checks_of_scikit_learn(kind: Any) -> None:
    """All of them, of the second estimator those of its kind; left out are what needs pandas or an array API."""
    estimator = kind(epochs=3, batch_size=64, learning_rate=0.01)
    failed: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for each, check in estimator_checks_generator(estimator):
            if kind is CNNRegressor and "regress" not in check.func.__name__:
                continue
            try:
                check(each)
            except SkipTest:
                continue
            except Exception as error:  # noqa: BLE001 whatever a check raises, the others are run too
                failed.append(f"{check.func.__name__}: {error!r}")
    assert not failed


@pytest.fixture(scope="module")
def classifier() -> CNNClassifier:
    return CNNClassifier(**SETTINGS).fit(PIXELS, LABELS)


COLOR = np.repeat(PIXELS, 3, 1)


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (PIXELS, (1, 8, 8)),
        (PIXELS[:, 0], (1, 8, 8)),
        (PIXELS[..., None][:, 0], (1, 8, 8)),
        (PIXELS.reshape(-1, 64), (1, 8, 8)),
        ([Image.fromarray(image) for image in PIXELS[:, 0]], (1, 8, 8)),
        (COLOR, (3, 8, 8)),
        (COLOR.transpose(0, 2, 3, 1), (3, 8, 8)),
        (PIXELS[:, 0, :6], (1, 6, 8)),
        (PIXELS[:, 0, :6].reshape(-1, 48), (1, 1, 48)),
    ],
)
def test_pictures(given: Any, shape: tuple[int, ...], classifier: CNNClassifier) -> None:
    """The same pictures in whatever form give the same network, which takes all forms of them."""
    found = CNNClassifier(**SETTINGS).fit(given, LABELS)
    assert found.image_shape_ == shape
    assert found.n_features_in_ == np.prod(shape)
    assert isinstance(found.run_.preprocessing, Preprocessing)
    assert found.score(given, LABELS) > 0.6
    if shape == (1, 8, 8):
        for other in (PIXELS, PIXELS[:, 0], PIXELS.reshape(-1, 64), PIXELS.astype(float)):
            np.testing.assert_array_equal(found.predict_proba(other), classifier.predict_proba(PIXELS))


def test_the_shape_of_rows_may_be_said() -> None:
    rows = COLOR[:, :, :4].reshape(-1, 96)
    for shape in ((3, 4, 8), (4, 24)):
        found = CNNClassifier(image_shape=shape, **SETTINGS).fit(rows, LABELS)
        assert found.image_shape_ == (shape if len(shape) == 3 else (1, *shape))
    with pytest.raises(DataError, match=r"X has 96 features, pictures of image_shape \(1, 8, 8\) have 64"):
        CNNClassifier(image_shape=(8, 8)).fit(rows, LABELS)
    with pytest.raises(DataError, match=r"X: wants pictures \(N, 1, 8, 8\), got"):
        CNNClassifier(**SETTINGS).fit(PIXELS, LABELS).predict(PIXELS[:, :, 1:])
    with pytest.raises(DataError, match="X: the network takes pixels, whole numbers from 0 to 255"):
        CNNClassifier(**SETTINGS).fit(PIXELS, LABELS).predict(PIXELS / 255)


def test_classes_are_as_they_were_given() -> None:
    for given in (np.array(["b", "a", "c"])[LABELS], LABELS * 5 - 5, LABELS > 0):
        found = CNNClassifier(**SETTINGS).fit(ROWS, given)
        assert found.classes_.tolist() == sorted(set(given.tolist()))
        assert set(found.predict(ROWS).tolist()) <= set(given.tolist())
        assert isinstance(found.run_.preprocessing, Standardization)


def test_networks() -> None:
    made = nn.models.build("lenet", num_classes=3, image_size=8)
    for network in (
        "lenet",
        made,
        lambda shape, outputs: nn.models.build("lenet", num_classes=outputs, image_size=shape[1]),
    ):
        estimator = CNNClassifier(network, **SETTINGS)
        found = estimator.fit(PIXELS, LABELS)
        assert found.net_.num_parameters() == made.num_parameters()
        assert found.net_ is not made
        assert clone(estimator).get_params().keys() == estimator.get_params().keys()
    with pytest.raises(DataError, match=r"lenet takes square pictures, got \(1, 6, 8\)"):
        CNNClassifier("lenet").fit(PIXELS[:, :, 2:], LABELS)


def test_it_stands_in_pipelines_and_searches() -> None:
    steps = make_pipeline(MinMaxScaler(), CNNClassifier(**SETTINGS))
    search = GridSearchCV(steps, {"cnnclassifier__learning_rate": [1e-6, 0.01]}, cv=2).fit(ROWS, LABELS)
    assert search.best_params_ == {"cnnclassifier__learning_rate": 0.01}
    assert cross_val_score(CNNRegressor(**SETTINGS), PIXELS, PIXELS.mean((1, 2, 3)), cv=2).shape == (2,)


def test_pickles(classifier: CNNClassifier, tmp_path: Path) -> None:
    joblib.dump(classifier, tmp_path / "it")
    for twin in (pickle.loads(pickle.dumps(classifier)), joblib.load(tmp_path / "it"), copy.deepcopy(classifier)):  # noqa: S301
        np.testing.assert_array_equal(twin.predict_proba(PIXELS), classifier.predict_proba(PIXELS))
        assert str(twin.run_) == str(classifier.run_) == "CNNClassifier: finished, 2 epochs"
        assert twin.net_.fc1.weight is not classifier.net_.fc1.weight


def test_every_network_can_be_pickled() -> None:
    for start in (nn.models.build("densenet121"), nn.LSTM(3, 4), nn.models.build("efficientnet-lite0")):
        start.initialize(5)
        twin = pickle.loads(pickle.dumps(start))  # noqa: S301
        first, same = (next(iter(net.state_dict().values())) for net in (start, twin))
        np.testing.assert_array_equal(first, same)
        assert twin.initialize(6) is start.initialize(6) is None
        assert next(iter(twin.parameters())).value.tobytes() == next(iter(start.parameters())).value.tobytes()


def test_a_share_may_be_held_out_and_the_run_kept(tmp_path: Path) -> None:
    found = CNNClassifier(validation_fraction=0.25, out=tmp_path / "run", **SETTINGS).fit(PIXELS, LABELS)
    assert found.run_.test.count == 30
    assert pl.train.load_history(tmp_path / "run").metrics == found.history_
    assert len(found.history_) == found.n_iter_ == 2
    assert (tmp_path / "run" / "report.html").exists()
    halves = CNNRegressor(validation_fraction=0.5, settings={"loss": "huber"}, **SETTINGS).fit(ROWS, ROWS[:, 2:4])
    assert halves.run_.test.count == 60
    assert halves.run_.config.loss == "huber"
    assert halves.predict(ROWS).shape == (120, 2)
    with pytest.raises(TrainError, match=r"validation_fraction must lie in \[0, 1\), got 1"):
        CNNClassifier(validation_fraction=1).fit(PIXELS, LABELS)


def test_the_seed_is_the_random_state(classifier: CNNClassifier) -> None:
    for state, same in ((0, True), (np.int64(0), True), (1, False), (np.random.RandomState(0), False), (None, False)):
        other = CNNClassifier(**{**SETTINGS, "random_state": state}).fit(PIXELS, LABELS)
        assert np.array_equal(other.predict_proba(PIXELS), classifier.predict_proba(PIXELS)) == same


def test_the_example() -> None:
    import pellucid.sklearn as module

    assert doctest.testmod(module, extraglobs={"pl": pl}).failed == 0


def test_settings_of_another_type() -> None:
    X, y = np.zeros((8, 8, 8), np.uint8), np.arange(8) % 2
    found = CNNClassifier(epochs=np.float64(1), flip=1, batch_size=4.0).fit(X, y)  # type: ignore[arg-type]
    assert (found.run_.config.epochs, found.run_.config.flip, found.run_.config.batch_size) == (1, True, 4)
    for settings in ({"epochs": 1.5}, {"batch_size": "4"}, {"validation_fraction": "0.2"}):
        with pytest.raises(TrainError, match=f"{next(iter(settings))}: must be a"):
            CNNClassifier(**settings).fit(X, y)  # type: ignore[arg-type]
