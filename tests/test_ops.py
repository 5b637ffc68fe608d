"""One table over the registry: every op's shape, gradient, terms and executors, without a line per op."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import DTypeError
from pellucid.executors import TOLERANCE, available_executors, compile, run
from pellucid.graph import Constant, Input, Tensor, topological
from pellucid.op import COMPOSITES, OPS, OpSample

torch = pytest.importorskip("torch")

CASES = [
    pytest.param(name, sample, id=f"{name}-{sample.label or number}")
    for name, definition in sorted({**OPS, **COMPOSITES}.items())
    for number, sample in enumerate(definition.samples())
]

HERE = [name for name, missing in available_executors().items() if not missing]
OWN_DTYPE = ("Constant", "Cast", "Uniform", "Dropout", "one_hot", "adam", "adamw")
"""Ops whose samples name an element type of their own, so that they are built in float64 only."""


def build(sample: OpSample, floating: str = "float64") -> tuple[list[Tensor], Tensor, dict[Tensor, np.ndarray]]:
    """The sample's inputs, output and feeds, with floating arrays as `floating`."""
    arrays = [a.astype(floating) if a.dtype.kind == "f" else a for a in sample.arrays]
    inputs = [pl.input(a.shape, str(a.dtype), f"x{i}") for i, a in enumerate(arrays)]
    output = sample.call(*inputs)
    output = output[0] if isinstance(output, tuple) else output
    used = set(topological([output]))
    return inputs, output, {i: a for i, a in zip(inputs, arrays, strict=True) if i in used}


def close(actual: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


def differences(output: Tensor, feeds: dict[Tensor, np.ndarray], of: Tensor, step: float = 1e-5) -> np.ndarray:
    """Central differences of the sum of `output` with regard to each element of one input."""
    program = compile([output])
    slope = np.zeros(of.shape)
    for index in np.ndindex(of.shape):
        values = []
        for side in (step, -step):
            moved = feeds[of].copy()
            moved[index] += side
            values.append(program({**feeds, of: moved})[0].sum())
        slope[index] = (values[0] - values[1]) / (2 * step)
    return slope


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_shape_and_dtype(name: str, sample: OpSample) -> None:
    for floating in ("float64", "float32"):
        if name in OWN_DTYPE and floating == "float32":
            continue
        _, output, feeds = build(sample, floating)
        (value,) = run([output], feeds)
        assert value.shape == output.shape
        assert str(value.dtype) == output.dtype


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_gradient(name: str, sample: OpSample) -> None:
    inputs, output, feeds = build(sample)
    floating = [i for i in feeds if i.dtype == "float64"]
    if output.dtype != "float64" or not floating or not getattr(OPS.get(name), "differentiable", True):
        pytest.skip("nothing to differentiate")
    for value, slope in zip(floating, run(pl.gradients(output, floating), feeds), strict=True):
        if sample.gradient is not None:
            stated = sample.gradient[[i is value for i in inputs].index(True)]
            assert stated is not None
            np.testing.assert_array_equal(slope, stated)
        else:
            close(slope, differences(output, feeds, value), 2e-7)


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_second_order(name: str, sample: OpSample) -> None:
    _, output, feeds = build(sample)
    floating = [i for i in feeds if i.dtype == "float64"]
    differentiable = getattr(OPS.get(name), "differentiable", True)
    if output.dtype != "float64" or not floating or not differentiable or sample.gradient is not None:
        pytest.skip("nothing to differentiate twice")
    first = floating[0]
    weights = pl.constant(np.cos(np.arange(first.size)).reshape(first.shape))
    once = (pl.gradients(output, [first])[0] * weights).sum()
    for value, slope in zip(floating, run(pl.gradients(once, floating), feeds), strict=True):
        close(slope, differences(once, feeds, value), 1e-6)


@pytest.mark.parametrize(("name", "sample"), [c for c in CASES if c.values[0] in OPS])
def test_terms_add_up(name: str, sample: OpSample) -> None:
    _, output, feeds = build(sample)
    values = dict(pl.executors.choice.reference_program([output]).record(feeds))
    nodes = [n for n in values if type(n.op).__name__ == name]
    assert nodes, "the sample does not use the op"
    for node in nodes:
        value = values[node]
        for index in list(np.ndindex(value.shape))[:: max(1, value.size // 7)]:
            terms = node.op.terms(node, index, *(values[i] for i in node.inputs))
            total = math.fsum(t.value for t in terms)
            assert total == pytest.approx(float(value[index]), rel=1e-6, abs=1e-9)
            for term in terms:
                for number, at in term.factors:
                    assert values[node.inputs[number]][at] is not None


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_torch_executor(name: str, sample: OpSample) -> None:
    _, output, feeds = build(sample)
    outputs = [output]
    if output.dtype == "float64" and getattr(OPS.get(name), "differentiable", True):
        outputs += pl.gradients(output, [i for i in feeds if i.dtype == "float64"])
    for actual, expected in zip(run(outputs, feeds, "torch"), run(outputs, feeds), strict=True):
        assert actual.dtype == expected.dtype
        close(actual, expected, TOLERANCE["float64"])


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_torch_executor_in_float32(name: str, sample: OpSample) -> None:
    if name in OWN_DTYPE:
        pytest.skip("the samples name an element type of their own")
    _, output, feeds = build(sample, "float32")
    for actual, expected in zip(run([output], feeds, "torch"), run([output], feeds), strict=True):
        assert actual.dtype == expected.dtype
        close(actual, expected, TOLERANCE["float32"])


MIXED = [
    pytest.param(name, sample, number, element, id=f"{name}-{sample.label or position}-{number}-{element}")
    for name, definition in sorted({**OPS, **COMPOSITES}.items())
    for position, sample in enumerate(definition.samples()[: None if name in OPS else 1])
    if [a.dtype.kind for a in sample.arrays].count("f") > 1
    for number, array in enumerate(sample.arrays)
    if array.dtype.kind == "f"
    for element in ("int64", "bool", "float64")
]
"""Samples of several floating inputs, of which one is given in another element type than float32."""
FLOATING = {
    "RoiAlign": (0, 1),
    "RoiAlignGradient": (0, 1),
    "NonMaxSuppression": (0, 1),
    "Scatter": (0, 2),
}
"""Ops, and the numbers of those inputs that have to be floating, or of the type of another, from the start."""


@pytest.mark.parametrize(("name", "sample", "number", "element"), MIXED)
def test_mixed_element_types(name: str, sample: OpSample, number: int, element: str) -> None:
    """What stands beside float32 counts as float32 to every executor, or is refused while the graph is built."""
    arrays = [a.astype("float32") if a.dtype.kind == "f" else a for a in sample.arrays]
    arrays[number] = (np.abs(arrays[number]) * 1.7 + 1).astype(element)
    inputs = [pl.input(a.shape, str(a.dtype), f"x{i}") for i, a in enumerate(arrays)]
    try:
        output = sample.call(*inputs)
    except DTypeError:
        assert element == "float64" or name in COMPOSITES or number in FLOATING[name]
        return
    outputs = list(output) if isinstance(output, tuple) else [output]
    of = [i for i in inputs if i.dtype == "float32"]
    if outputs[0].dtype == "float32" and getattr(OPS.get(name), "differentiable", True):
        outputs += pl.gradients(outputs[0], of)
    used = set(topological(outputs))
    feeds = {i: a for i, a in zip(inputs, arrays, strict=True) if i in used}
    as_float = sample.call(*(pl.cast(i, "float32") if i is inputs[number] else i for i in inputs))
    expected = run(list(as_float) if isinstance(as_float, tuple) else [as_float], feeds)
    for executor in HERE:
        for node, actual, right in zip(outputs, run(outputs, feeds, executor), expected, strict=False):
            assert actual.dtype == node.dtype
            close(actual, right, TOLERANCE["float32"])


WHOLE = [
    pytest.param(name, sample, element, id=f"{name}-{sample.label or position}-{element}")
    for name, definition in sorted({**OPS, **COMPOSITES}.items())
    for position, sample in enumerate(definition.samples())
    if any(a.dtype.kind == "f" for a in sample.arrays) and all(np.isfinite(a).all() for a in sample.arrays)
    for element in ("int64", "bool")
    if (name, element) != ("Add", "bool")
]
"""Samples whose floating inputs are given as whole numbers or truth values, of which a sum is whether there is a true one."""


@pytest.mark.parametrize(("name", "sample", "element"), WHOLE)
def test_whole_numbers_alone(name: str, sample: OpSample, element: str) -> None:
    """They give what they give as floats, to every executor, or are refused while the graph is built."""
    arrays = [
        a if a.dtype.kind != "f" else (a > 0) if element == "bool" else np.round(a * 3).astype("int64")
        for a in sample.arrays
    ]
    inputs = [pl.input(a.shape, str(a.dtype), f"x{i}") for i, a in enumerate(arrays)]
    try:
        output = sample.call(*inputs)
    except DTypeError as error:
        assert re.search("floating|beside a tensor|one element type|of one type", str(error)), error
        return
    outputs = list(output) if isinstance(output, tuple) else [output]
    feeds = {i: a for i, a in zip(inputs, arrays, strict=True) if i in set(topological(outputs))}
    given = [a.astype("float64") if b.dtype.kind == "f" else a for a, b in zip(arrays, sample.arrays, strict=True)]
    _, as_float, floats = build(OpSample(sample.call, tuple(given)))
    fractions = name == "Power" and len(arrays) == 2 and (arrays[1] < 0).any()
    (expected,) = run([as_float], floats)
    for executor in HERE:
        if fractions:
            with pytest.raises(DTypeError, match="whole numbers to a negative power are fractions"):
                run(outputs, feeds, executor)
            continue
        actual = run(outputs, feeds, executor)[0]
        assert str(actual.dtype) == outputs[0].dtype
        np.testing.assert_allclose(actual.astype("float64"), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("executor", HERE)
def test_numbers_beside_whole_ones(executor: str) -> None:
    """None is cut to one that is there, and large ones stay what they are."""
    x, b = pl.input((2,), "int64", "x"), pl.input((2,), "bool", "b")
    for make in (lambda: pl.clip(x, 0.5, 3), lambda: pl.pad(x, ((1, 1),), 0.5), lambda: pl.pad(b, ((1, 1),), 2)):
        with pytest.raises(DTypeError, match=r"beside a tensor of (int64|bool), which holds (whole numbers|0 and 1)"):
            make()
    large, nothing = 2**62 + 1, pl.constant(np.array([0, 4]))
    outputs = [
        pl.clip(x, -math.inf, large),
        pl.clip(x, large, math.inf),
        pl.pad(x, ((1, 0),), large),
        pl.remainder(x, nothing),
    ]
    found = run(outputs, {x: np.array([large + 1, -3])}, executor)
    assert [f.tolist() for f in found] == [[large, -3], [large + 1, large], [large, large + 1, -3], [0, 1]]


@pytest.mark.parametrize("executor", HERE)
@pytest.mark.parametrize("name", ["Add", "Maximum", "Less", "Concat"])
def test_a_node_put_together_of_mixed_types(name: str, executor: str) -> None:
    """No kernel reads whole numbers as floating ones, whoever made the node."""
    p, t = pl.input((2,), "float32", "p"), pl.input((2,), "int64", "t")
    op = OPS[name](0) if name == "Concat" else OPS[name]()
    node = Tensor(op, (p, t), op.shape(p, t), op.dtype(p, t), "mixed")
    values = np.array([1.5, 2.5], np.float32), np.array([2, -3])
    (actual,) = run([node], dict(zip((p, t), values, strict=True)), executor)
    assert actual.dtype == node.dtype
    np.testing.assert_array_equal(actual, op.reference(*values))


@pytest.mark.parametrize("executor", HERE)
def test_whole_numbers_as_the_target_of_a_loss(executor: str) -> None:
    p, t = pl.input((2,), "float32", "p"), pl.input((2,), "int64", "t")
    loss = pl.squared_error(p, t)
    value, slope = run(
        [loss, *pl.gradients(loss, [p])], {p: np.array([1.5, 2.5], np.float32), t: np.array([1, 2])}, executor
    )
    assert value == 0.25 and slope.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("executor", HERE)
def test_the_sum_of_bools_counts(executor: str) -> None:
    x = pl.input((2, 3), "float32", "x")
    count = pl.sum(x > 0, 1)
    value, share = run([count, x / pl.sum(x > 0, 1, keepdims=True)], {x: [[1, 2, 0], [1, 1, 1]]}, executor)
    assert (count.dtype, value.dtype, value.tolist()) == ("int64", np.int64, [2, 3])
    assert share[0].tolist() == [0.5, 1, 0]


FIXED_BATCH = {
    "BroadcastTo-0", "BroadcastTo-axis", "Gather-scalar", "Max-0", "Reshape-0", "Slice-integer-and-new-axis", "SliceGradient-0", "TakeAlong-fewer",
    "batch_norm_training-0", "batch_norm_training-vectors", "focal-0", "kl_divergence-zero",
}  # fmt: skip
"""Samples that state their first size, take something out of it, or have no answer without an element."""


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_torch_stays_on_the_device(name: str, sample: OpSample) -> None:
    """No lowering makes a tensor on another device than that of what it is given (PyTorch's "meta" stands for a GPU)."""
    _, output, feeds = build(sample)
    values = {n: torch.from_numpy(np.array(a)).to("meta") for n, a in feeds.items()}
    for node in topological([output]):
        if node in values:
            continue
        if isinstance(node.op, Constant):
            values[node] = torch.from_numpy(node.op.value.copy()).to("meta")
        elif node.op.has_torch():
            values[node] = node.op.torch(torch, *(values[i] for i in node.inputs))
            assert (values[node].device.type, tuple(values[node].shape)) == ("meta", node.shape), node.op.kind
        else:
            values[node] = torch.empty(node.shape, dtype=getattr(torch, node.dtype), device="meta")


BATCHES = [
    pytest.param(*case.values, id=case.id)
    for case in CASES
    if case.id not in FIXED_BATCH and case.values[1].arrays and case.values[1].arrays[0].ndim
    if not case.id.startswith(("Roi", "Scatter-"))  # boxes and updates are of images and rows, which must be there
]


def without_rows(name: str, sample: OpSample) -> OpSample:
    """The sample with a batch of 0: its first array alone where that fits the others, else all as long as it."""
    first = sample.arrays[0]
    alone = tuple(a[:0] if a is first else a for a in sample.arrays)
    together = tuple(a[:0] if a.ndim and len(a) == len(first) else a for a in sample.arrays)
    try:
        build(OpSample(sample.call, alone))
    except pl.PellucidError:
        return OpSample(sample.call, together, sample.label)
    return OpSample(sample.call, together if name == "MaxPool2dGradient" else alone, sample.label)


@pytest.mark.parametrize("executor", [name for name, missing in available_executors().items() if not missing])
@pytest.mark.parametrize(("name", "sample"), BATCHES)
def test_empty_batch(name: str, sample: OpSample, executor: str) -> None:
    """Values and gradients of no rows: those of the reference, without a warning, and no slope of a weight but 0."""
    for floating in ("float64", "float32"):
        if name in OWN_DTYPE and floating == "float32":
            continue
        _, output, feeds = build(without_rows(name, sample), floating)
        outputs = [output]
        floats = [i for i in feeds if i.dtype.startswith("float")]
        if output.dtype.startswith("float") and getattr(OPS.get(name), "differentiable", True):
            outputs += pl.gradients(output, floats)
        values = run(outputs, feeds, executor)
        for tensor, value, expected in zip(outputs, values, run(outputs, feeds, "reference"), strict=True):
            assert (value.shape, str(value.dtype)) == (tensor.shape, tensor.dtype)
            np.testing.assert_array_equal(value, expected)
        for slope in values[1:] if output.size == 0 else ():
            np.testing.assert_array_equal(slope, 0)


@pytest.mark.parametrize(
    ("compute", "value"),
    [
        (lambda x: pl.sum(x, 0), 0), (lambda x: pl.mean(x, 0), np.nan), (lambda x: pl.variance(x, 0), np.nan),
        (lambda x: pl.mean(x), np.nan), (lambda x: pl.squared_error(x, x), np.nan),
        (lambda x: pl.cross_entropy(x, pl.input((0,), "int64", "labels")), np.nan),
        (lambda x: pl.cross_entropy(x, pl.input((0,), "int64", "labels"), reduction="sum"), 0),
        (lambda x: pl.softmax(x, 0), 0), (lambda x: pl.log_softmax(x, 0), 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("executor", [name for name, missing in available_executors().items() if not missing])
def test_reductions_of_nothing(compute: Callable[[Tensor], Tensor], value: float, executor: str) -> None:
    """As in PyTorch: a sum is 0, a mean is NaN."""
    x = pl.input((0, 3), name="x")
    y = compute(x)
    inputs = {i: np.zeros(i.shape, i.dtype) for i in topological([y]) if isinstance(i.op, Input)}
    np.testing.assert_array_equal(run([y], inputs, executor)[0], np.full(y.shape, value, np.float32))


@pytest.mark.parametrize("executor", [name for name, missing in available_executors().items() if not missing])
def test_networks_of_no_pictures(executor: str, tmp_path: Path) -> None:
    """No rows of probabilities, also from an ONNX file, and no slope of any weight."""
    net = nn.Sequential(
        conv=nn.Conv2d(1, 4, 3, padding=1), norm=nn.BatchNorm2d(4), relu=nn.ReLU(), pool=nn.MaxPool2d(2), grow=nn.ConvTranspose2d(4, 4, 2, 2),
        grid=nn.AdaptiveAvgPool2d((3, 2)), flatten=nn.Flatten(), fc=nn.Linear(24, 3),
    ).eval()  # fmt: skip
    nothing = np.zeros((0, 1, 8, 8), np.float32)
    assert pl.predict(net, nothing, executor=executor).shape == (0, 3)
    pl.save_onnx(net, tmp_path / "net.onnx", shape=(1, 8, 8))
    assert pl.predict(pl.load_onnx(tmp_path / "net.onnx"), nothing, executor=executor).shape == (0, 3)
    x, labels = pl.input(nothing.shape, name="x"), pl.input((0,), "int64", "labels")
    loss = pl.cross_entropy(net(x), labels)
    feeds = {x: nothing, labels: np.zeros(0, np.int64)}
    value, *slopes = run([loss, *pl.gradients(loss, net.parameters())], feeds, executor)
    assert np.isnan(value)
    for slope in slopes:
        np.testing.assert_array_equal(slope, 0)


def test_batch_norm_has_no_statistics_of_nothing() -> None:
    with pytest.raises(pl.PellucidError, match=r"no value per channel; use a larger batch"):
        pl.batch_norm_training(pl.input((0, 3, 2, 2)), None, None)


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_oracle(name: str, sample: OpSample) -> None:
    """PyTorch's own function and its autograd agree: composites by their oracle, primitives by their lowering."""
    _, output, feeds = build(sample)
    arrays = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in sample.arrays]
    if name in COMPOSITES:
        oracle = COMPOSITES[name].oracle
        if oracle is None:
            pytest.skip("the composite has no counterpart in PyTorch")
        wants_label = "label" in inspect.signature(oracle).parameters
        expected = oracle(torch, *arrays, **({"label": sample.label} if wants_label else {}))
    else:
        named = [n for n in topological([output]) if type(n.op).__name__ == name and n is output]
        if not named or not OPS[name].has_torch() or any(i not in feeds for i in output.inputs):
            pytest.skip("the sample is not the op alone")
        order = dict(zip(build_order(sample, output), arrays, strict=False))
        expected = output.op.torch(torch, *(order[i] for i in output.inputs))
    close(run([output], feeds)[0], expected.detach().numpy(), 1e-9)
    if sample.gradient is not None or not expected.requires_grad or output.dtype != "float64":
        return
    expected.sum().backward()
    floating = [(i, t) for i, t in zip(build_inputs(feeds, sample), arrays, strict=True) if t.requires_grad]
    slopes = run(pl.gradients(output, [i for i, _ in floating]), feeds)
    for slope, (_, tensor) in zip(slopes, floating, strict=True):
        grad = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()
        close(slope, grad, 1e-8)


def build_inputs(feeds: dict[Tensor, np.ndarray], sample: OpSample) -> list[Tensor]:
    """The inputs in the sample's order (all are used where an oracle is compared)."""
    by_name = {f.name: f for f in feeds}
    return [by_name[f"x{i}"] for i in range(len(sample.arrays))]


def build_order(sample: OpSample, output: Tensor) -> list[Tensor]:
    by_name = {i.name: i for i in output.inputs}
    return [by_name[f"x{i}"] for i in range(len(sample.arrays)) if f"x{i}" in by_name]


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_op_is_whole(name: str) -> None:
    op = OPS[name]
    assert op.__doc__
    if name in ("Input", "ParameterLeaf"):
        return
    assert op.samples(), "an op without samples is not tested"
    for sample in op.samples():
        _, output, _ = build(sample)
        cost = output.op.cost(output)
        assert cost.flops >= 0
        assert cost.bytes >= 0


@pytest.mark.parametrize("name", sorted(COMPOSITES))
def test_every_composite_has_a_formula(name: str) -> None:
    assert COMPOSITES[name].formula
    assert COMPOSITES[name].samples()
