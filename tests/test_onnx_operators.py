"""One operator in, the same operator out: ONNX's own cases opened as graphs and written again, and layers of other makes."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from onnx_cases import Case, cases
from pellucid.graph import Graph, constant
from pellucid.interop import OnnxError, save_onnx
from pellucid.interop.errors import NotConstantError
from pellucid.interop.onnx_reader.model import model_of
from pellucid.interop.onnx_reader.network import OnnxNetwork

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

PLAIN = (onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL)

ONE = [
    "Abs", "Acos", "Acosh", "Add", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Concat", "Conv", "Cos", "Cosh",
    "DepthToSpace", "Div", "Elu", "Erf", "Exp", "Expand", "Floor", "Gather", "Gelu", "GlobalAveragePool",
    "GlobalMaxPool", "GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "IsNaN",
    "LRN", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "Mish", "Mul", "Neg", "Not", "PRelu", "Pad",
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceMean", "ReduceSumSquare", "Relu", "Round", "Shrink", "Sigmoid",
    "Sign", "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Sqrt", "Sub", "Tan", "Tanh", "ThresholdedRelu", "Tile",
    "Transpose", "Where",
]  # fmt: skip
"""Operators that come back as themselves in all cases."""
EQUIVALENT = {
    "Dropout": "Identity",
    "Flatten": "Reshape",
    "Greater": "Less",  # the other way round
    "GreaterOrEqual": "LessOrEqual",
    "Reciprocal": "Div",
    "ReduceSum": "Identity",  # over no axis
    "Reshape": "Flatten",
    "Squeeze": "Reshape",
    "Trilu": "Where",
    "Unsqueeze": "Reshape",
    "Upsample": "Resize",  # which has taken its place
}
"""Operators that in some or all cases come back as another one that does the same."""
MOSTLY = {
    "ArgMax": (8, "not the last of equals, which is the first of what is turned round"),
    "ArgMin": (8, "not the last of equals, which is the first of what is turned round"),
    "AveragePool": (8, "not with edges of its own, gaps, or over three axes"),
    "Clip": (1, "not with bounds that are computed or of whole numbers"),
    "Col2Im": (3, "not with edges that are cut off"),
    "ConvTranspose": (8, "not over three axes, nor where edges are cut off"),
    "MatMul": (4, "not of vectors"),
    "Max": (3, "two at a time"),
    "MaxPool": (10, "not with places, gaps, or over three axes"),
    "Min": (3, "two at a time"),
    "Pow": (4, "not of whole numbers"),
    "ReduceMax": (9, "not of nothing"),
    "ReduceMin": (8, "not of truths"),
    "Resize": (28, "not by steps, which are slices, nor of a part of the image"),
    "Slice": (7, "not where elements are left out at both ends"),
    "SpaceToDepth": (3, "not in an order that is newer than the operator sets that are written"),
    "Split": (14, "not into parts of which one is the whole"),
}
"""Operators that come back as themselves in at least so many cases, and when not."""


def single(case: Case) -> bool:
    """Whether a case in scope is one operator on numbers of our own types."""
    kinds = {value.type.tensor_type.elem_type for value in (*case.model.graph.input, *case.model.graph.output)}
    return not case.reason and len(case.model.graph.node) == 1 and kinds <= set(PLAIN)


@functools.cache
def by_operator() -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in cases():
            if "_expanded" not in case.name and not case.subject.startswith(("simple", "pytorch")) and single(case):
                found.setdefault(case.subject, []).append(case)
    return found


def written(case: Case, path: Path) -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """The operators that a case comes back as, and its inputs; those that shape the graph are constants."""
    net = OnnxNetwork(model_of(case.model))
    net.eval()
    arrays = [onnx.numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for v in case.data[0][0]]
    feeds = dict(zip(net.input_shapes, map(np.asarray, arrays), strict=True))
    fixed: set[str] = set()
    while True:
        tensors = [constant(v) if n in fixed else pl.input(v.shape, str(v.dtype), n) for n, v in feeds.items()]
        try:
            made = net(*tensors)
            break
        except NotConstantError as error:
            assert not fixed >= set(error.inputs)
            fixed |= set(error.inputs)
    graph = Graph(list(made) if isinstance(made, tuple) else [made])
    counts = save_onnx(graph, path, opset=22).operators
    return counts, {node.name: feeds[node.name] for node in graph.inputs}


def agree(path: Path, feeds: dict[str, np.ndarray], case: Case) -> None:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    wanted = [onnx.numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for v in case.data[0][1]]
    for got, expected in zip(session.run(None, feeds), wanted, strict=False):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5, err_msg=case.name)


@pytest.mark.parametrize("subject", [*ONE, *EQUIVALENT, *MOSTLY])
def test_an_operator_comes_back(subject: str, tmp_path: Path) -> None:
    several: list[str] = []
    whole = 0
    for case in by_operator()[subject]:
        try:
            counts, feeds = written(case, tmp_path / "one.onnx")
        except OnnxError as error:
            several.append(f"{case.name}: {error}")
            continue
        agree(tmp_path / "one.onnx", feeds, case)
        if [*counts.values()] == [1] and counts.keys() <= {subject, EQUIVALENT.get(subject, subject)}:
            whole += 1
        else:
            several.append(f"{case.name}: {counts}")
    least = MOSTLY[subject][0] if subject in MOSTLY else whole + len(several)
    assert whole >= least, "\n".join(several)


@pytest.mark.parametrize("alpha", [-2.0, 1.5])
def test_celu_of_either_sign(alpha: float, tmp_path: Path) -> None:
    """Which branch is taken is a matter of x alone, not of x / alpha."""
    path, again = tmp_path / "celu.onnx", tmp_path / "again.onnx"
    text = f'<ir_version: 8, opset_import: ["" : 18]> g (float[N, 4] x) => (float[N, 4] y) {{ y = Celu <alpha = {alpha}> (x) }}'
    onnx.save(onnx.parser.parse_model(text), path)
    x = np.array([[-1.5, -0.3, 0.4, 2]], np.float32)
    net, given = pl.load_onnx(path), pl.input(x.shape)
    (y,) = pl.run([net(given)], {given: x})
    np.testing.assert_allclose(y, np.where(x > 0, x, alpha * np.expm1(x / alpha)), rtol=1e-6)
    assert save_onnx(Graph([net(given)]), again).operators == {"Celu": 1}
