"""Functions of the API that are given another kind of thing than they take: a run for its network, all data for a part of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.data import DataError
from pellucid.detect import DetectorError
from pellucid.errors import GraphError, PellucidError, UnknownNameError, WeightsError
from pellucid.executors.contract import ExecutorError
from pellucid.nn import ModuleError

PICTURE = np.zeros((1, 8, 8), np.float32)
GIVEN = {
    "data": None,
    "path": "net.onnx",
    "layer": "conv1",
    "unit": 0,
    "image": PICTURE,
    "images": PICTURE,
    "shape": (1, 8, 8),
}
"""What is asked of a network, by the name of the argument; none of it is looked at before the network."""
KINDS = {
    "run": (SimpleNamespace(net=pl.nn.ReLU()), "got SimpleNamespace: its network is .net"),
    "name": ("lenet", "got str: pl.open_model opens"),
    "class": (pl.nn.ReLU, "got type ReLU: make one of the class first"),
    "array": (PICTURE, "got ndarray"),
    "nothing": (None, "got NoneType"),
}


def taking(module: Any, argument: str) -> dict[str, Callable[..., Any]]:
    """The functions of a module whose first argument is called so."""
    found = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    return {
        name: one
        for name, one in found.items()
        if inspect.isfunction(one) and next(iter(_arguments(one)), "") == argument
    }


def _arguments(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


def asked(function: Callable[..., Any], first: Any) -> Any:
    """Calls a function with a first argument, and something for each of the others that have no default."""
    _, *others = _arguments(function).values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    wanted = [one.name for one in others if one.default is one.empty and one.kind in positional]
    return function(first, *[GIVEN.get(name) for name in wanted])


NETWORKS = {**taking(pl, "net"), **{f"nn.{name}": one for name, one in taking(pl.nn, "net").items()}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_wanted(name: str, kind: str) -> None:
    given, words = KINDS[kind]
    with pytest.raises(ModuleError, match=r"net is a network, a pl\.nn\.Module, ") as told:
        asked(NETWORKS[name], given)
    assert words in str(told.value)


def test_there_are_functions_of_networks() -> None:
    assert {"trace", "attribute", "fit", "predict", "evaluate", "load_weights", "nn.edited"} <= set(NETWORKS)


def test_a_network_of_pytorch_is_told_how_it_becomes_one() -> None:
    torch = pytest.importorskip("torch")
    for function in (pl.trace, pl.save_onnx):
        with pytest.raises(ModuleError, match=r"got Linear: pl\.from_torch makes a network"):
            asked(function, torch.nn.Linear(2, 2))


TRACES = taking(pl, "trace")


@pytest.mark.parametrize("name", TRACES)
@pytest.mark.parametrize("given", [pl.nn.ReLU(), "lenet", None, PICTURE])
def test_a_trace_is_wanted(name: str, given: Any) -> None:
    with pytest.raises(
        PellucidError, match=rf"trace is what pl\.trace\(net, image\) gives, got a {type(given).__name__}"
    ):
        asked(TRACES[name], given)


DETECTORS = {
    name: one
    for name, one in taking(pl.detect, "detector").items()
    if _arguments(one)["detector"].annotation == "Detector"
}


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("given", ["runs/drawn", None, pl.nn.ReLU()])
def test_a_detector_is_wanted(name: str, given: Any) -> None:
    with pytest.raises(
        DetectorError, match=rf"wants a detector, got a {type(given).__name__}; pl\.detect\.load_detector"
    ):
        asked(DETECTORS[name], given)


def test_there_are_functions_of_traces_and_detectors() -> None:
    assert {"walk_back", "stages", "activation_maps"} <= set(TRACES)
    assert {"find", "find_all", "explain", "save_detector"} <= set(DETECTORS)


def small() -> pl.nn.Module:
    """LeNet for digits, with weights."""
    net = pl.models.build("lenet", image_size=8, in_channels=1)
    net.initialize(0)
    return net


X = pl.input((3,), name="x")
Y = pl.relu(X)
REFUSED: dict[str, tuple[Callable[[], Any], type[PellucidError], str]] = {
    "embed all": (
        lambda: pl.embed(small(), pl.load("digits"), "fc1"),
        DataError,
        "dataset is one part of the data, .train, ",
    ),
    "exciting all": (
        lambda: pl.most_exciting(small(), pl.load("digits"), "conv1", 0),
        DataError,
        "one part of the data",
    ),
    "units of all": (lambda: pl.unit_statistics(small(), pl.load("digits")), DataError, "one part of the data"),
    "landscape of all": (lambda: pl.loss_landscape(small(), pl.load("digits")), DataError, "one part of the data"),
    "units of an array": (
        lambda: pl.unit_statistics(small(), PICTURE),
        DataError,
        "dataset is pictures, .* got ndarray",
    ),
    "evaluate all": (
        lambda: pl.evaluate(small(), pl.load("digits")),
        PellucidError,
        "got Splits, all parts together: give one",
    ),
    "train on classes": (
        lambda: pl.detect.train(pl.load("digits")),
        DataError,
        "wants PicturesWithBoxes, got a Splits",
    ),
    "load an array": (
        lambda: pl.load(PICTURE),
        DataError,
        r"got ndarray; arrays are learned from as they are: pl\.fit",
    ),
    "load a number": (lambda: pl.load(3), DataError, "source is the name of a data set, or a folder, got int"),
    "weights of an array": (
        lambda: pl.load_weights(small(), PICTURE),
        WeightsError,
        "a file, or arrays by name, got ndarray",
    ),
    "a model's number": (lambda: pl.models.build(3), UnknownNameError, "unknown model 3"),
    "layers by number": (
        lambda: pl.nn.design(3),
        PellucidError,
        "network: a list of layers as a text, or a model's name, got int",
    ),
    "a method's list": (
        lambda: pl.attribute(small(), PICTURE, method=["saliency"]),
        UnknownNameError,
        "unknown method",
    ),
    "a layer's number": (lambda: pl.filters(small(), (1, 8, 8), 3), PellucidError, "a layer is named by a text, got 3"),
    "an input's number": (lambda: pl.input((3,), name=3), GraphError, "a name is a text, got 3"),
    "a layer as an output": (
        lambda: pl.run([pl.nn.ReLU()]),
        GraphError,
        r"outputs are tensors, got ReLU; a network gives tensors of inputs",
    ),
    "a name as an output": (lambda: pl.compile(["x"]), GraphError, "outputs are tensors, got str"),
    "no outputs": (lambda: pl.compile(3), GraphError, "outputs are tensors, got int"),
    "a name as an input": (lambda: pl.compile([Y], ["x"]), GraphError, "inputs are tensors, got str"),
    "gradients of an array": (
        lambda: pl.gradients(PICTURE, [X]),
        GraphError,
        "what has gradients are tensors, got ndarray",
    ),
    "gradients by name": (
        lambda: pl.gradients(Y, ["x"]),
        GraphError,
        "what gradients are with regard to are tensors, got str",
    ),
    "a card's number": (lambda: pl.nn.Card(3), ModuleError, "classes must be the name of each class, .* got 3"),
    "a shape's number": (
        lambda: small().summary(3),
        ModuleError,
        r"the shape of its input is numbers such as .* got 3",
    ),
    "half a place": (
        lambda: pl.trace(small(), PICTURE)["conv1"][0.5, 1, 1],
        PellucidError,
        "an index must be a whole number, got 0.5",
    ),
    "a list of updates": (
        lambda: pl.compile([Y], updates=[Y]),
        GraphError,
        "updates are new values by parameter, .*got list",
    ),
    "a list of feeds": (lambda: pl.run([Y], [[1.0, 2.0, 3.0]]), GraphError, "feeds are arrays by input, .* got list"),
    "half a thread": (lambda: pl.compile([Y], threads=0.5), ExecutorError, "threads must be a whole number, got 0.5"),
    "no thread": (lambda: pl.compile([Y], threads=None), ExecutorError, "threads must be a whole number, got None"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_kind_is_named(name: str) -> None:
    call, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        call()


def test_outputs_of_one_tensor_are_its_rows_and_its_gradient_is_its_own() -> None:
    fed = {X: [1.0, -2.0, 3.0]}
    assert [row.item() for row in pl.run(Y, fed)] == [1, 0, 3]
    (slope,) = pl.gradients(Y, X)
    assert pl.run([slope], fed)[0].tolist() == [1, 0, 1]


def test_a_generator_is_outputs() -> None:
    graph = pl.Graph(one for one in (Y, X))
    assert graph.outputs == (Y, X)
    assert graph.output_names == ("out0", "out1")
    assert pl.Graph({"a": Y, "b": X}).output_names == ("a", "b")


FLAGS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "Linear": (lambda yes: pl.nn.Linear(2, 2, bias=yes), True),
    "Conv2d": (lambda yes: pl.nn.Conv2d(2, 2, 3, bias=yes), True),
    "ConvTranspose2d": (lambda yes: pl.nn.ConvTranspose2d(2, 2, 3, bias=yes), True),
    "BatchNorm2d": (lambda yes: pl.nn.BatchNorm2d(2, affine=yes), True),
    "LayerNorm": (lambda yes: pl.nn.LayerNorm(2, elementwise_affine=yes), True),
    "GroupNorm": (lambda yes: pl.nn.GroupNorm(1, 2, affine=yes), True),
    "MaxPool2d": (lambda yes: pl.nn.MaxPool2d(2, ceil_mode=yes), False),
    "AvgPool2d": (lambda yes: pl.nn.AvgPool2d(2, count_include_pad=yes), True),
    "LSTM": (lambda yes: pl.nn.LSTM(2, 2, batch_first=yes), False),
    "GRU": (lambda yes: pl.nn.GRU(2, 2, bidirectional=yes), False),
    "sum": (lambda yes: pl.sum(X, keepdims=yes), False),
    "max": (lambda yes: pl.max(X, keepdims=yes), False),
    "mean": (lambda yes: pl.mean(X, keepdims=yes), False),
    "variance": (lambda yes: pl.variance(X, keepdims=yes), False),
    "argmax": (lambda yes: pl.argmax(X, keepdims=yes), False),
    "log_sum_exp": (lambda yes: pl.log_sum_exp(X, keepdims=yes), False),
    "top_k": (lambda yes: pl.top_k(X, 1, largest=yes), True),
    "max_pool2d": (lambda yes: pl.max_pool2d(PICTURE[None], 2, ceil_mode=yes), False),
    "average_pool2d": (lambda yes: pl.average_pool2d(PICTURE[None], 2, count_include_pad=yes), True),
    "grid_sample": (
        lambda yes: pl.grid_sample(PICTURE[None], np.zeros((1, 2, 2, 2), np.float32), align_corners=yes),
        False,
    ),
    "compile": (lambda yes: pl.compile([Y], guard=yes), False),
    "trace": (lambda yes: pl.trace(small(), PICTURE, any_score=yes), False),
    "stages": (lambda yes: pl.stages(pl.trace(small(), PICTURE), gradient=yes), False),
    "walk_back": (lambda yes: pl.walk_back(pl.trace(small(), PICTURE + 1), biases=yes), True),
    "load_weights": (lambda yes: pl.load_weights(small(), small().state_dict(), strict=yes), True),
    "load": (lambda yes: pl.load("digits", download=yes), False),
    "build": (lambda yes: pl.models.build("lenet", pretrained=yes), False),
}


@pytest.mark.parametrize("name", FLAGS)
def test_yes_and_no_are_true_and_false(name: str) -> None:
    call, usual = FLAGS[name]
    for taken in (usual, np.bool_(usual), int(usual)):
        call(taken)
    for refused in ("no", "False", None, 2, 0.5, np.array([True, False])):
        with pytest.raises(PellucidError, match=rf"{name}: \w+ must be True or False, got "):
            call(refused)


TRAINED: dict[str, Callable[[Any, Any], Any]] = {
    "fit": lambda yes, out: pl.fit(small(), pl.load("digits"), out=out, resume=yes),
    "cross_validate": lambda yes, out: pl.cross_validate(small(), pl.load("digits"), out=out, resume=yes),
}


@pytest.mark.parametrize("name", TRAINED)
def test_a_run_is_not_begun_by_what_is_no_yes(name: str, tmp_path: Any) -> None:
    with pytest.raises(PellucidError, match=f"{name}: resume must be True or False, got 'no'"):
        TRAINED[name]("no", tmp_path / "run")
    assert not (tmp_path / "run").exists()
