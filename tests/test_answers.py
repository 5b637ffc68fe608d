"""Every question's answer is an `Answer`: words, plain data whose JSON every reader takes, and a picture that comes back from its own."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

import pellucid as pl
from drawn_boxes import pictures_with_boxes
from part_models import part_model
from pellucid import explain, nn, pictures
from pellucid.cli import app
from pellucid.data import ArrayDataset, Quantity, SplitRecord, Splits, usual_preprocessing
from pellucid.doctor import examine
from pellucid.executors import available_executors, explain_plan
from pellucid.interop.listing import list_weights
from pellucid.nn.connectivity import compare_connectivity
from pellucid.pictures import Answer, Picture, from_json
from pellucid.pictures.picture import in_notebook
from pellucid.train import load_history
from pellucid.train.regression_evaluation import RegressionEvaluation

UNIT = usual_preprocessing("unit", (1, 8, 8))
IMAGE = np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)


def refuse(word: str) -> NoReturn:
    raise AssertionError(f"{word} is no JSON")


def pictures_of(part: str) -> ArrayDataset:
    random = np.random.default_rng(len(part))
    return ArrayDataset(random.integers(0, 256, (12, 1, 8, 8), np.uint8), np.arange(12) % 3, "abc", part)


SPLITS = Splits(*map(pictures_of, ("train", "validation", "test")))


@cache
def network() -> nn.Sequential:
    net = nn.Sequential(
        conv=nn.Conv2d(1, 4, 3), relu=nn.ReLU(), pool=nn.MaxPool2d(2), flatten=nn.Flatten(), fc=nn.Linear(4 * 9, 3)
    )
    net.initialize(1)
    net.card = nn.Card(tuple("abc"), UNIT)
    return net.eval()


@cache
def traced() -> pl.explain.Trace:
    return pl.trace(network(), IMAGE, 1)


@cache
def run(folder: Path) -> Any:
    return pl.fit(network(), SPLITS, epochs=1, batch_size=4, watch_every=1, out=folder / "run", report=False)


@cache
def compared() -> pl.explain.Comparison:
    methods = ("saliency", "gradient-x-input")
    return explain.compare_methods(network(), IMAGE, 1, methods=methods, measure=True)


def weights(folder: Path) -> Path:
    save_file({"a.weight": np.zeros((2, 3), np.float32), "a.bias": np.zeros(2, np.float32)}, folder / "w.safetensors")
    return folder / "w.safetensors"


def plan(folder: Path) -> Any:
    return explain_plan(network().graph((1, 1, 8, 8)).outputs)


def detections() -> Any:
    from test_detect_metric import FAR, A, B, found, objects, pictures

    there = pictures(objects(A, B), objects(A), classes=("cat", "a class with none"))
    return pl.detect.evaluate([found((A, 0.9), (FAR, 0.8)), found((B, 0.5))], there)


@cache
def detector_run(folder: Path) -> Any:
    small = {"backbone": "resnet18", "image_size": 64, "width": 8, "proposals": 20, "epochs": 1}
    return pl.detect.train(pictures_with_boxes(2), validation=pictures_with_boxes(1), out=folder / "detector", **small)


@cache
def faster_run(folder: Path) -> Any:
    small = {
        "backbone": "resnet18",
        "image_size": 64,
        "width": 8,
        "epochs": 1,
        "anchor_sizes": [16, 32],
        "proposal_width": 8,
    }
    return pl.detect.train(pictures_with_boxes(2), system="faster-rcnn", out=folder / "faster", **small)


@cache
def region_explained(folder: Path) -> Any:
    from drawn_boxes import drawn

    small = {"backbone": "resnet18", "crop_size": 32, "context": 3, "proposals": 20}
    run = pl.detect.train(pictures_with_boxes(3), system="rcnn", out=folder / "regions", **small)
    return pl.detect.explain(run.detector, np.ascontiguousarray(drawn(0)[0].transpose(2, 0, 1)), threshold=-100)


@cache
def segment_explained(folder: Path) -> Any:
    from drawn_boxes import drawn

    small = {"backbone": "squeezenet1_1", "crop_size": 32, "context": 3, "proposals": 20, "segments": 5, "fine_tune": 0}
    run = pl.detect.train(pictures_with_boxes(3), system="segdeepm", out=folder / "segments", **small)
    return pl.detect.explain(run.detector, np.ascontiguousarray(drawn(0)[0].transpose(2, 0, 1)), threshold=-100)


def recalled() -> Any:
    from test_detect_metric import A, objects, pictures

    there = pictures(objects(A))
    return pl.detect.recall(there, lambda image: there.objects[0].boxes)


EXAMPLES: dict[str, Callable[[Path], Any]] = {
    "Activation": lambda folder: traced()["conv"],
    "ActivationComparison": lambda folder: pl.compare_activations(["relu", "gelu"]),
    "ActivationCurve": lambda folder: pl.activation_curve("elu"),
    "ActivationMaps": lambda folder: pl.activation_maps(traced(), "conv", gradient=True),
    "Approximation": lambda folder: pl.approximate("x*x", (-1, 1), 0.2),
    "ApproximationSteps": lambda folder: pl.approximation_steps("x*x", (-1, 1), 2, "lattice", 1),
    "Attribution": lambda folder: pl.attribute(network(), IMAGE, 1, method="saliency"),
    "BoxExplanation": lambda folder: pl.detect.explain(
        detector_run(folder).detector, np.zeros((3, 40, 60), np.uint8), threshold=0
    ),
    "NetworkProposals": lambda folder: pl.detect.network_proposals(
        faster_run(folder).detector, np.zeros((3, 40, 60), np.uint8)
    ),
    "ProposedBoxExplanation": lambda folder: pl.detect.explain(
        faster_run(folder).detector, np.zeros((3, 40, 60), np.uint8), threshold=0
    ),
    "DetectionComparison": lambda folder: pl.detect.compare(
        [detector_run(folder).detector], data=pictures_with_boxes(2), folder=folder / "compared", draws=20
    ),
    "PartsExplanation": lambda folder: pl.detect.explain(
        pl.detect.load_dpm(part_model(folder / "box.mat")),
        np.random.default_rng(0).integers(0, 256, (3, 48, 60), np.uint8),
        threshold=-5,
    ),
    "Compression": lambda folder: pl.detect.compress(detector_run(folder).detector, folder / "smaller", {"fc1": 2}),
    "Calibration": lambda folder: run(folder).test.calibration,
    "Compared": lambda folder: compared().rows[0],
    "Comparison": lambda folder: compared(),
    "Connectivity": lambda folder: compare_connectivity(),
    "Connections": lambda folder: pl.connectivity(10, layers=3),
    "Convolved": lambda folder: pl.convolve(np.arange(36.0).reshape(6, 6), "sobel-x", bias=0.5),
    "ConvolutionStudy": lambda folder: pl.why_convolution(SPLITS, epochs=1, shifts=(0, 1)),
    "CrossValidation": lambda folder: pl.cross_validate(
        network(), SPLITS, folds=2, out=folder / "folds", epochs=1, batch_size=4
    ),
    "DecisionPlane": lambda folder: pl.decision_plane("circles count=60", "Linear 2, Tanh", side=4),
    "Design": lambda folder: pl.design("Conv2d 2 3, ReLU, Flatten", (1, 8, 8), 2),
    "Descent": lambda folder: pl.descend("1/x + y", (-1, 1), ["sgd", "adam", "sgd,rate=50"], 5),
    "DetectionEvaluation": lambda folder: detections(),
    "DetectionHistory": lambda folder: pl.detection_history(),
    "DetectionRun": lambda folder: detector_run(folder),
    "DataReport": lambda folder: pl.data_report("digits"),
    "Embedding": lambda folder: pl.embed(network(), SPLITS.test, "conv"),
    "Evaluation": lambda folder: run(folder).test,
    "ExpressionTrace": lambda folder: pl.trace_expression(pl.expression("1/x", x=0)),
    "Faithfulness": lambda folder: compared().rows[0].faithfulness,
    "Figure": lambda folder: pl.detect.segments_of(np.eye(24, dtype=np.uint8)[None].repeat(3, 0) * 200).figure(0),
    "FoundObjects": lambda folder: pl.detect.find(
        detector_run(folder).detector, [("a", np.zeros((3, 70, 90), np.uint8)), ("b", np.ones((3, 40, 20), np.uint8))], 0
    ),
    "Filters": lambda folder: pl.filters(network(), (1, 8, 8)),
    "History": lambda folder: load_history(run(folder).folder),
    "LearningCurves": lambda folder: pl.learning_curves(run(folder).folder),
    "LayerHistory": lambda folder: run(folder).history.layers,
    "LayerUnits": lambda folder: pl.unit_statistics(network(), SPLITS.test, "fc").layers[0],
    "LossComparison": lambda folder: pl.compare_losses(["huber", "hinge"]),
    "LossCurve": lambda folder: pl.loss_curve("absolute_error"),
    "LossLandscape": lambda folder: pl.loss_landscape(network(), SPLITS.test, size=5),
    "Machine": lambda folder: examine(),
    "MapComparison": lambda folder: pl.compare_maps(traced(), pl.trace(network(), 1 - IMAGE, 2), "conv"),
    "MaxoutUnit": lambda folder: pl.maxout_unit([(1, 0, 0), (0, 1, 0)]),
    "ModelList": lambda folder: nn.models.registry.ModelList({"a": nn.models.registry.ModelInfo(3, "b", "c")}),
    "MostExciting": lambda folder: pl.most_exciting(network(), SPLITS.test, "conv", 1, 2),
    "NetworkComparison": lambda folder: pl.compare(network(), network(), IMAGE),
    "Neuron": lambda folder: traced()["conv"][0, 1, 2],
    "OnnxFile": lambda folder: pl.save_onnx(network(), folder / "net.onnx", shape=(1, 8, 8)),
    "PassRecord": lambda folder: plan(folder).after("fuse"),
    "PlanReport": plan,
    "SegmentExplanation": segment_explained,
    "SegmentSet": lambda folder: pl.detect.segments_of(np.eye(24, dtype=np.uint8)[None].repeat(3, 0) * 200),
    "Proposals": lambda folder: pl.detect.selective_search(np.eye(24, dtype=np.uint8)[None].repeat(3, 0) * 200),
    "RegionExplanation": lambda folder: region_explained(folder),
    "Randomization": lambda folder: explain.randomization_check(network(), IMAGE, 1, method="saliency", stages=1),
    "RateSearch": lambda folder: pl.find_learning_rate(network(), SPLITS, steps=10, batch_size=4),
    "Recall": lambda folder: recalled(),
    "ReceptiveField": lambda folder: pl.receptive_field(network(), IMAGE, "conv"),
    "RegressionEvaluation": lambda folder: RegressionEvaluation(0.5, (Quantity("a"),), np.eye(3)[:, :1], np.array([[1.0], [np.nan], [2]])),
    "Samples": lambda folder: pl.data.samples(),
    "Run": run,
    "RunList": lambda folder: pl.train.runs(run(folder).folder.parent),
    "ShiftTest": lambda folder: pl.shift_test(np.arange(64).reshape(8, 8) * 3, (1, -1)),
    "ShiftRobustness": lambda folder: pl.shift_robustness({"n": network()}, SPLITS.test, shifts=(0, 1)),
    "SplitRecord": lambda folder: SplitRecord.of(SPLITS),
    "Stages": lambda folder: pl.stages(traced(), gradient=True),
    "Summands": lambda folder: traced()["conv"].why_gradient((0, 1, 2)),
    "Summary": lambda folder: network().summary((1, 8, 8)),
    "Surface": lambda folder: pl.surface("1/x"),
    "Synthesis": lambda folder: pl.maximize(network(), "conv", 1, (1, 8, 8), ascent=explain.Ascent(steps=3)),
    "Trace": lambda folder: traced(),
    "TwoInputNeuron": lambda folder: pl.two_input_neuron(points=[(0, 0, 1)]),
    "UnitReport": lambda folder: pl.unit_statistics(network(), SPLITS.test),
    "WalkBack": lambda folder: pl.walk_back(traced(), 3),
    "WeightsList": lambda folder: list_weights(weights(folder)),
    "WeightsReport": lambda folder: pl.load_weights(nn.Sequential(a=nn.Linear(3, 2)), weights(folder)),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("answers")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_answer(name: str, folder: Path) -> None:
    if name in ("PlanReport", "PassRecord") and available_executors()["native"]:
        pytest.skip("only the native executor makes plans")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # 1/0 is what is asked
        answer = EXAMPLES[name](folder)
    assert type(answer).__name__ == name
    assert isinstance(answer, Answer)
    assert str(answer)
    assert "object at 0x" not in str(answer)
    assert isinstance(json.loads(answer.to_json(), parse_constant=refuse), dict)
    picture = answer.picture()
    assert isinstance(picture, Picture)
    assert answer._repr_html_() == in_notebook(picture.fragment())
    answer.save(folder / "answer.html")
    answer.save(folder / "answer.json")
    back = from_json((folder / "answer.json").read_text())
    assert back.html() == (folder / "answer.html").read_text() == picture.html()


def modules() -> list[ModuleType]:
    names = [m.name for m in pkgutil.walk_packages(pl.__path__, "pellucid.") if not m.name.endswith("__main__")]
    found: list[ModuleType] = []
    for name in names:
        try:
            found.append(importlib.import_module(name))
        except ImportError:  # what needs an extra or the native core, where these are not installed
            assert "torch" in name or "native" in name or "onnx" in name or "compiled" in name, name
    return found


def classes() -> set[type]:
    return {c for m in modules() for c in vars(m).values() if inspect.isclass(c) and c.__module__ == m.__name__}


SETTINGS = {
    "Added",
    "AskedRun",
    "ComparedSystem",
    "DetectionConfig",
    "Difference",
    "Edit",
    "LearningCurve",
    "Plane",
    "Position",
    "Preprocessing",
    "Standardization",
    "Task",
    "TaskEvaluation",
    "TrainConfig",
}
"""What has plain data but is no answer: settings, and parts of files."""

WORKED_WITH = {
    "Any", "Array", "Diagram", "Expression", "Fields", "Generator", "Graph", "Measured", "Module", "NumberSplits", "None", "OnnxNetwork", "Opened",
    "Parameter", "Path", "Preparation", "Preprocessing", "Program", "Published", "SafeHeader", "Splits", "StoredTensor", "Subset",
    "Tell", "Tensor", "TorchFile", "TorchNetwork", "TrainingGraph", "UnknownNameError", "Picture", "Maps", "Tiles", "Chart", "Grid",
    "Callable", "Context", "Iterator",
}  # fmt: skip
"""What public functions give that is no answer: something to go on with, a drawing, or numbers."""

PUBLIC = (
    "pellucid", "pellucid.explain", "pellucid.formulas.expression", "pellucid.formulas.trace", "pellucid.formulas.activation_functions",
    "pellucid.formulas.loss_functions", "pellucid.formulas.neuron_plane", "pellucid.formulas.maxout_unit", "pellucid.studies.descent",
    "pellucid.studies", "pellucid.train", "pellucid.nn.summary", "pellucid.nn.connectivity", "pellucid.nn.models", "pellucid.interop",
    "pellucid.interop.listing", "pellucid.executors", "pellucid.inspection", "pellucid.doctor", "pellucid.models", "pellucid.opening",
    "pellucid.data",
)  # fmt: skip


def test_no_answer_is_forgotten() -> None:
    """Every class with plain data is an answer with an example here, a picture, or one of `SETTINGS`."""
    answers = {c for c in classes() if issubclass(c, Answer)} - {Answer}
    assert {c.__name__ for c in answers} == set(EXAMPLES)
    others = {c.__name__ for c in classes() if "to_dict" in vars(c) and not issubclass(c, Answer | Picture)}
    assert others == SETTINGS
    derived = [c.__name__ for c in answers for name in ("save", "to_json", "_repr_html_") if name in vars(c)]
    assert derived == []


def test_what_public_functions_give() -> None:
    strange: dict[str, set[str]] = {}
    for place in PUBLIC:
        module = importlib.import_module(place)
        for name in getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]:
            function = getattr(module, name)
            if inspect.isfunction(function) and function.__module__.startswith("pellucid."):
                given = str(inspect.signature(function).return_annotation)
                words = set(re.findall(r"\b[A-Z][a-z]\w+", given)) - WORKED_WITH - set(EXAMPLES)
                if words:
                    strange[name] = words
    assert strange == {}


def test_a_formula_that_divides_by_zero() -> None:
    done = CliRunner().invoke(app, ["formula", "1/x", "x=0", "--json"])
    found = json.loads(done.stdout, parse_constant=refuse)
    assert found["value"] == "Infinity"
    assert found["variables"]["x"]["gradient"] == "-Infinity"


def test_commands_without_a_network_draw_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    weights(folder)
    commands = [("doctor",), ("inspect", "w.safetensors"), ("formula", "x*x", "x=3")]
    if not available_executors()["native"]:
        commands += [
            ("inspect", "lenet", "--plan"),
            ("inspect", "lenet", "--after", "fuse"),
            ("inspect", "lenet", "--train"),
        ]
    for number, words in enumerate(commands):
        done = CliRunner().invoke(app, [*words, "--out", f"{number}.html", "--json"])
        assert done.exit_code == 0, done.output
        json.loads(done.stdout, parse_constant=refuse)
        assert "<table>" in (folder / f"{number}.html").read_text() or "<svg" in (folder / f"{number}.html").read_text()


def test_a_picture_is_no_answer() -> None:
    assert not issubclass(pictures.Chart, Answer)
