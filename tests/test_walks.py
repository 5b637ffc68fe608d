"""Ways through a graph; and every node says what its op makes, after gradients, after each pass, and after import."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import GraphError
from pellucid.executors.passes import PASSES, Pass, run_passes
from pellucid.op import COMPOSITES, OPS
from pellucid.parameter import Parameter
from pellucid.tensor import Tensor, topological
from pellucid.walks import check, depending, evaluate, finished, replaced, rewrite, users

A, B = pl.input((2, 3), name="a"), pl.input((2, 3), name="b")
SUM = A + B
TWICE = SUM * SUM
OTHER = pl.exp(B)


def test_who_reads_what() -> None:
    found = users([TWICE, OTHER])
    assert found[SUM] == [TWICE, TWICE]
    assert found[B] == [SUM, OTHER]
    assert found[TWICE] == [TWICE]


def test_what_depends_on_what() -> None:
    nodes = topological([TWICE, OTHER])
    assert depending(nodes, [A]) == {A, SUM, TWICE}
    assert depending(nodes, [B]) == {B, SUM, TWICE, OTHER}
    assert depending(nodes, []) == set()


def test_a_graph_on_other_nodes() -> None:
    c = pl.input((2, 3), name="c")
    other, same = replaced([TWICE, OTHER], {A: c})
    assert same is OTHER
    assert {n.name for n in topological([other]) if not n.inputs} == {"b", "c"}
    assert replaced([TWICE], {SUM: c})[0].inputs == (c, c)
    assert rewrite([TWICE], lambda node, inputs: c if node is SUM else None)[0].inputs == (c, c)
    assert topological([TWICE], given=[SUM]) == [TWICE]


def test_a_value_of_values() -> None:
    np.testing.assert_array_equal(evaluate(SUM, [np.ones((2, 3)), np.ones((2, 3))]), np.full((2, 3), 2.0))
    assert np.isinf(evaluate(pl.log(A), [np.zeros((2, 3))])).all()


@pytest.mark.parametrize(("shape", "dtype"), [((2, 4), "float32"), ((2, 3), "float64")])
def test_a_node_that_says_something_else_is_found(shape: tuple[int, ...], dtype: str) -> None:
    wrong = Tensor(SUM.op, SUM.inputs, shape, dtype, "wrong")
    with pytest.raises(GraphError, match=r"wrong: says .*, but add makes float32\(2, 3\)"):
        check([pl.exp(wrong)])
    check([TWICE, OTHER])


@pytest.mark.parametrize("name", sorted({**OPS, **COMPOSITES}))
def test_gradients_are_what_they_say(name: str) -> None:
    for sample in {**OPS, **COMPOSITES}[name].samples():
        inputs = [pl.input(a.shape, str(a.dtype), f"x{i}") for i, a in enumerate(sample.arrays)]
        output = sample.call(*inputs)
        output = output[0] if isinstance(output, tuple) else output
        floats = [x for x in inputs if x.dtype.startswith("float")]
        slopes = pl.gradients(output, floats) if output.dtype.startswith("float") else []
        check([output, *slopes])


@pytest.mark.parametrize("name", ["lenet", "resnet18", "squeezenet1_1", "mobilenet_v2", "densenet121", "googlenet"])
def test_passes_leave_every_node_what_it_says(name: str) -> None:
    pytest.importorskip("pellucid.executors._native", reason="the native executor is not built here")
    size = 28 if name == "lenet" else 64
    net = pl.nn.models.build(name, num_classes=4, image_size=size, **({} if name == "lenet" else {"in_channels": 3}))
    optimizer = pl.train.optimizers.Optimizer("momentum")
    shape = (2, 1 if name == "lenet" else 3, size, size)
    step = pl.train.step.training_graph(net, shape, optimizer, optimizer.state(net.parameters()))
    seen: list[str] = []

    def watch(name: str, purpose: str, before: tuple[Tensor, ...], after: tuple[Tensor, ...]) -> None:
        check(after)
        assert [(o.shape, o.dtype) for o in after] == [(o.shape, o.dtype) for o in before], name
        seen.append(name)

    with pl.nn.inference_mode():
        scores = net.graph(shape).outputs
    check([*step.outputs, *step.updates.values()])
    run_passes((*step.outputs, *step.updates.values()), list(step.updates), watch=watch)
    run_passes(scores, watch=watch)
    assert len(seen) == 2 * len(set(seen))


@pytest.mark.parametrize("name", PASSES)
def test_each_pass_alone_leaves_every_node_what_it_says(name: str) -> None:
    """On training steps of the zoo and on random networks, as they come."""
    if "native" in PASSES[name].only:
        pytest.importorskip("pellucid.executors._native", reason="the native executor is not built here")
    random = pytest.importorskip("test_random_networks").network
    graphs: list[tuple[tuple[Tensor, ...], list[Parameter]]] = []
    for model, channels, size in (("lenet", 1, 28), ("resnet18", 3, 32), ("squeezenet1_1", 3, 32)):
        net = pl.nn.models.build(model, num_classes=4, image_size=size, in_channels=channels)
        optimizer = pl.train.optimizers.Optimizer("momentum")
        step = pl.train.step.training_graph(
            net, (2, channels, size, size), optimizer, optimizer.state(net.parameters())
        )
        graphs.append(((*step.outputs, *step.updates.values()), list(step.updates)))
    for seed in range(10):
        loss, parameters, _ = random(seed, "float32", (3, 16, 20, 32), ("relu", "sigmoid", "gelu"))
        graphs.append(((loss, *pl.gradients(loss, parameters)), []))
    for outputs, changing in graphs:
        made = PASSES[name](outputs, changing)
        check(made)
        assert [(o.shape, o.dtype) for o in made] == [(o.shape, o.dtype) for o in outputs]


def test_what_a_test_compiles_is_checked() -> None:
    """And so is what a pass makes, see conftest.py."""
    wrong = Tensor(SUM.op, SUM.inputs, (2, 4), "float32", "wrong")
    with pytest.raises(GraphError, match="wrong: says"):
        pl.compile([pl.exp(wrong)], executor="reference")
    with pytest.raises(GraphError, match="wrong: says"):
        Pass(lambda outputs: (wrong,))((SUM,))


def test_values_that_nobody_reads_any_more() -> None:
    nodes = topological([TWICE, OTHER])
    last = dict(zip(nodes, finished(nodes, {TWICE, OTHER}), strict=True))
    assert last[SUM] == [A]
    assert last[TWICE] == [SUM]
    assert last[OTHER] == [B]
    assert finished(nodes, set(nodes)) == [[] for _ in nodes]


def test_imported_graphs_are_what_they_say(tmp_path: Path) -> None:
    torch, onnx = pytest.importorskip("torch"), pytest.importorskip("onnx")
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2), torch.nn.BatchNorm2d(8), torch.nn.Hardswish(), torch.nn.AdaptiveAvgPool2d(2)
    )
    with pl.nn.inference_mode():
        check(pl.from_torch(module, (1, 3, 32, 32)).graph((2, 3, 32, 32)).outputs)
    light = sorted((Path(onnx.__file__).parent / "backend" / "test" / "data" / "light").glob("*.onnx"))
    assert light
    for path in light:
        net = pl.load_onnx(path)
        outputs = net(*net.example_inputs())
        check(outputs if isinstance(outputs, tuple) else [outputs])
