"""What a network's scores are: told by its graph, and followed by predictions, measures and training."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image

import pellucid as pl
from onnx_models import normal, save
from pellucid import nn
from pellucid.cli import training
from pellucid.data import ArrayDataset, Splits
from pellucid.graph import Tensor
from pellucid.inference.losses import LOSSES
from pellucid.inference.prediction import Predictor
from pellucid.inference.target import ScoreError
from pellucid.nn.score_kind import kind_of_scores
from pellucid.opening import open_model
from pellucid.train.evaluation import evaluate

K = 6


def _rounded(y: Tensor, scale: float = 1 / 256, zero: int = 0) -> Tensor:
    whole = pl.cast(pl.clip(pl.round(y / scale) + float(zero), 0, 255), "int64")
    return (pl.cast(whole, y.dtype) - float(zero)) * scale


def _groups(x: Tensor) -> Tensor:
    return pl.reshape(pl.softmax(pl.reshape(x, (-1, 3, 2)), 2), x.shape)


def _two(x: Tensor) -> Tensor:
    p = pl.sigmoid(x[:, :1])
    return pl.concat([1 - p, p], 1)


def _as_map(x: Tensor) -> Tensor:
    return pl.reshape(x, (*x.shape, 1, 1))


Final = Callable[[Tensor], Tensor]
FINALS: dict[str, tuple[str, Final]] = {
    "nothing": ("logits", lambda x: x),
    "relu": ("logits", pl.relu),
    "quantized logits": ("logits", lambda x: _rounded(x, 0.1, 128)),
    "softmax": ("probabilities", lambda x: pl.softmax(x, 1)),
    "softmax of the last axis": ("probabilities", lambda x: pl.softmax(x, -1)),
    "softmax with a temperature": ("probabilities", lambda x: pl.softmax(x / 3.0, 1)),
    "softmax as TensorFlow 1 wrote it": ("probabilities", lambda x: (e := pl.exp(x)) / pl.sum(e, 1, keepdims=True)),
    "softmax of maps, flattened": ("probabilities", lambda x: pl.flatten(pl.softmax(_as_map(x), 1))),
    "softmax of maps as they are": ("probabilities", lambda x: pl.softmax(_as_map(x), 1)),
    "softmax of NHWC": ("probabilities", lambda x: pl.softmax(pl.transpose(_as_map(x), (0, 2, 3, 1)), -1)),
    "softmax kept from 0": ("probabilities", lambda x: pl.clip(pl.softmax(x, 1), 1e-7, 1 - 1e-7)),
    "quantized softmax": ("probabilities", lambda x: _rounded(pl.softmax(x, 1))),
    "dequantized int8": ("probabilities", lambda x: _rounded(pl.softmax(x, 1) - 0.5, 1 / 256, 128) + 0.5),
    "mean of softmaxes": ("probabilities", lambda x: pl.mean(pl.softmax(pl.broadcast_to(_as_map(x), (*x.shape, 2, 2)), 1), (2, 3))),
    "two columns of one sigmoid": ("probabilities", _two),
    "log-softmax": ("log-probabilities", lambda x: pl.log_softmax(x, 1)),
    "log of softmax": ("log-probabilities", lambda x: pl.log(pl.softmax(x, 1) + 1e-9)),
    "x - log sum": ("log-probabilities", lambda x: x - pl.log(pl.sum(pl.exp(x), 1, keepdims=True))),
    "sigmoid of each": ("sigmoid", pl.sigmoid),
    "sigmoid by hand": ("sigmoid", lambda x: 1.0 / (1.0 + pl.exp(-x))),
    "sigmoid of one": ("sigmoid", lambda x: pl.sigmoid(x[:, :1])),
    "sigmoid of one, squeezed": ("sigmoid", lambda x: pl.reshape(pl.sigmoid(x[:, :1]), (x.shape[0],))),
    "complement of a sigmoid": ("sigmoid", lambda x: 1.0 - pl.sigmoid(x)),
    "softmax of groups": ("unknown", _groups),
    "softmax of pictures": ("unknown", lambda x: pl.softmax(x, 0)),
    "per cent": ("unknown", lambda x: 100.0 * pl.softmax(x, 1)),
    "mean of two networks": ("unknown", lambda x: 0.5 * pl.softmax(x, 1) + 0.5 * pl.softmax(2.0 * x, 1)),
    "tanh": ("unknown", pl.tanh),
    "unit length": ("unknown", lambda x: x / pl.sqrt(pl.sum(x * x, 1, keepdims=True))),
    "one number": ("unknown", lambda x: x[:, :1]),
}  # fmt: skip


class Head(nn.Module):
    """Scores of pictures (N, 1, 2, 3), and what comes behind them."""

    def __init__(self, final: Final) -> None:
        super().__init__()
        self.fc = nn.Linear(6, K)
        self.final = final
        self.initialize(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.final(self.fc(pl.flatten(x)))


IMAGES = np.random.default_rng(1).standard_normal((5, 1, 2, 3), np.float32)


@pytest.mark.parametrize(("name", "final"), FINALS.values(), ids=FINALS)
def test_the_graph_tells_what_scores_are(name: str, final: Final) -> None:
    """Probabilities are what the network says, and what its scores before the last function give by softmax or sigmoid."""
    net = Head(final)
    predictor = Predictor(net, "reference")
    kind = predictor.kind(IMAGES.shape)
    assert kind.name == name
    assert (
        name in net.summary((1, 2, 3)).scores
        or name == "unknown"
        or kind.name == "sigmoid"
        or "logarithms" in str(kind)
    )
    outputs = predictor.logits(IMAGES).astype(np.float64)
    if name == "unknown":
        with pytest.raises(ScoreError, match="not told by the graph"):
            pl.predict(net, IMAGES)
        return
    found = pl.predict(net, IMAGES, batch_size=2)
    outputs = outputs.reshape(len(outputs), -1)
    told = {
        "logits": lambda y: np.exp(y) / np.exp(y).sum(1, keepdims=True),
        "log-probabilities": np.exp,
        "probabilities": lambda p: p,
        "sigmoid": lambda p: p if p.shape[1] > 1 else np.hstack([1 - p, p]),
    }[name](outputs)
    np.testing.assert_allclose(found, told, rtol=1e-6, atol=1e-9)
    wide = predictor.logits(IMAGES, lambda output: kind_of_scores(output).class_scores).astype(np.float64)
    by_scores = 1 / (1 + np.exp(-wide)) if kind.independent else np.exp(wide) / np.exp(wide).sum(1, keepdims=True)
    np.testing.assert_allclose(by_scores, found / (1 if kind.independent else found.sum(1, keepdims=True)), atol=2e-7)


SIZE = 6


def _separable(count: int, seed: int = 0) -> ArrayDataset:
    """Pictures that are brighter above or below, by class."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    images = random.integers(0, 120, (count, 1, SIZE, SIZE))
    images[labels == 0, :, :3] += 100
    images[labels == 1, :, 3:] += 100
    return ArrayDataset(images.astype(np.uint8), labels.tolist(), ("above", "below"), "drawn")


DATA = Splits(_separable(256), _separable(64, 1), _separable(64, 2))


def _file(
    path: Path, final: list[Any], outputs: int = 2, arrays: dict[str, np.ndarray] | None = None, **more: Any
) -> Path:
    """A convolution, pooling and a linear layer, and what comes behind `s`, up to `y`."""
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["a"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("AveragePool", ["b"], ["c"], "pool", kernel_shape=[3, 3], strides=[3, 3]),
        helper.make_node("Flatten", ["c"], ["d"], "flatten"),
        helper.make_node("Gemm", ["d", "fc.weight", "fc.bias"], ["s"], "fc", transB=1),
        *final,
    ]
    weights = partial(normal, random=np.random.default_rng(0))
    own = {"conv.weight": weights(4, 1, 3, 3), "fc.weight": weights(outputs, 16), "fc.bias": weights(outputs)}
    return save(path, nodes, {"x": ("batch", 1, SIZE, SIZE)}, arrays={**own, **(arrays or {})}, **more)


def _node(kind: str, x: str = "s", y: str = "y", **attributes: Any) -> Any:
    return helper.make_node(kind, [x], [y], f"{kind.lower()}_{y}", **attributes)


ENDS: dict[str, tuple[list[Any], int, str]] = {
    "softmax": ([_node("Softmax", axis=1)], 2, "probabilities"),
    "softmax, identity, cast": (
        [_node("Softmax", y="p", axis=-1), _node("Identity", "p", "q"), _node("Cast", "q", to=TensorProto.FLOAT)], 2, "probabilities"
    ),
    "cast to float16 and back": (
        [_node("Cast", y="h", to=TensorProto.FLOAT16), _node("Softmax", "h", "p"), _node("Cast", "p", to=TensorProto.FLOAT)], 2, "probabilities"
    ),
    "softmax, dropout": ([_node("Softmax", y="p"), _node("Dropout", "p")], 2, "probabilities"),
    "log-softmax": ([_node("LogSoftmax", axis=1)], 2, "log-probabilities"),
    "softmax, log": ([_node("Softmax", y="p", axis=1), _node("Log", "p")], 2, "log-probabilities"),
    "sigmoid": ([_node("Sigmoid")], 1, "sigmoid"),
    "sigmoid of each": ([_node("Sigmoid")], 2, "sigmoid"),
    "logits": ([_node("Identity")], 2, "logits"),
}  # fmt: skip


@pytest.mark.parametrize(("final", "outputs", "name"), ENDS.values(), ids=ENDS)
def test_a_file_is_trained_to_the_end_whatever_its_scores_are(
    tmp_path: Path, final: list[Any], outputs: int, name: str
) -> None:
    """Its probabilities are not capped (73 % of two classes, where a softmax is taken of a softmax), and survive export."""
    net = pl.load_onnx(_file(tmp_path / "net.onnx", final, outputs))
    run = pl.fit(net, DATA, epochs=12, learning_rate=0.05, batch_size=32, out=tmp_path / "run", report=False)
    assert run.test.accuracy > 0.95
    assert run.test.loss < 0.2
    assert run.test.calibration.count[-1] > 32  # of 64 are taken for a class with more than 93 %
    measured = evaluate(run.net, DATA.test)
    assert (measured.accuracy, measured.loss) == (run.test.accuracy, pytest.approx(run.test.loss, rel=1e-5))
    pl.save_onnx(run, tmp_path / "out.onnx", shape=(1, SIZE, SIZE))
    pictures = run.preprocessing.normalize(DATA.test.images(np.arange(8)))
    session = onnxruntime.InferenceSession(tmp_path / "out.onnx", providers=["CPUExecutionProvider"])
    (written,) = session.run(None, {session.get_inputs()[0].name: pictures})
    found = run.predict(DATA.test.images(np.arange(8)))
    told = {
        "logits": lambda y: np.exp(y) / np.exp(y).sum(1, keepdims=True),
        "log-probabilities": np.exp,
        "probabilities": lambda p: p,
        "sigmoid": lambda p: p if p.shape[1] > 1 else np.hstack([1 - p, p]),
    }[name](written)
    np.testing.assert_allclose(found, told, atol=2e-3 if "float16" in str(final) else 1e-5)
    assert open_model(tmp_path / "out.onnx").net.summary((1, SIZE, SIZE)).scores


def test_a_loss_of_a_trace_is_that_of_training(tmp_path: Path) -> None:
    """Of sigmoids the binary cross-entropy of each class; of one the cross-entropy of two classes."""
    scores, label = pl.input((1, K), "float64", "x"), pl.input((1,), "int64", "label")
    x = np.linspace(-2, 3, K)[None]

    def value(output: Tensor, true: int) -> float:
        return float(pl.run([LOSSES["cross_entropy"](output, label)], {"x": x, "label": np.array([true])})[0])

    p = 1 / (1 + np.exp(-x[0]))
    assert value(pl.sigmoid(scores), 2) == pytest.approx(-np.log(np.where(np.arange(K) == 2, p, 1 - p)).mean())
    for true, chance in enumerate((1 - p[0], p[0])):
        assert value(pl.sigmoid(scores[:, :1]), true) == pytest.approx(-np.log(chance))
    both = np.exp(x[0]) / np.exp(x[0]).sum()
    for output in (scores, pl.softmax(scores, 1), pl.log_softmax(scores, 1), pl.log(pl.softmax(scores, 1))):
        assert value(output, 3) == pytest.approx(-np.log(both[3]))


@pytest.mark.parametrize(
    ("end", "told", "value"),
    [("Softmax", "probabilities", "probability"), ("Sigmoid", "sigmoid", "probability"), ("Tanh", "unknown", "score")],
)
def test_predictions_say_what_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], end: str, told: str, value: str
) -> None:
    path = _file(tmp_path / "net.onnx", [_node(end)])
    picture = tmp_path / "one.png"
    Image.fromarray(DATA.test.image(0)[0]).save(picture)
    opened = open_model(path, preprocessing="unit")
    (answer,) = opened.predict([picture])
    assert answer["scores"] == told
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    ((expected,),) = session.run(None, {"x": opened.input(picture).values[None]})
    best = int(np.argmax(expected))
    assert answer["predictions"][0] == {"class": f"class {best}", value: pytest.approx(float(expected[best]), rel=1e-5)}
    training.predict(str(path), [picture], preprocessing="unit")
    shown = capsys.readouterr()
    assert ("no probabilities" in shown.err) == (value == "score")
    assert (f"{expected[best]:.5g}" if value == "score" else f"{expected[best]:.1%}") in shown.out


@pytest.mark.parametrize(
    ("final", "warned"), [(_groups, True), (lambda x: pl.softmax(x, 1) * 2.0, True), (pl.tanh, False)]
)
def test_training_says_so_where_it_takes_what_may_be_probabilities_for_logits(
    tmp_path: Path, final: Final, warned: bool
) -> None:
    data = ArrayDataset(np.zeros((6, 1, 2, 3), np.uint8), [0, 1, 2, 3, 4, 5], tuple("abcdef"), "drawn")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        pl.fit(Head(final), Splits(data, data, data), epochs=1, batch_size=3, out=tmp_path / "run", report=False)
    assert any("taken for logits" in str(w.message) for w in said) == warned
