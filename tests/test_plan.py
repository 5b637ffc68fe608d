"""Plans keep what is needed: memory is shared only by values that never meet, and results overwrite nobody's operand."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid as pl
from pellucid import nn
from pellucid.executors import compile, explain_plan
from pellucid.executors.contract import Signature
from pellucid.graph import Parameter, Tensor
from pellucid.inspection import example_feeds
from pellucid.train.optimizers import Optimizer
from pellucid.train.step import training_graph
from pellucid.train.tuning import Tuning
from search import examples

pytest.importorskip("pellucid.executors._native", reason="the native executor is not built here")

from pellucid.executors.native import NativeProgram
from pellucid.executors.plan import kernels
from pellucid.executors.plan.buffers import ARENA, Buffer, view_of
from pellucid.executors.plan.memory import plan_memory
from pellucid.executors.plan.steps import ChainStep, Root, Step
from precisions import PRECISIONS


class Memory:
    """The arena as it fills: which buffers still hold what was written into them."""

    def __init__(self, steps: Sequence[Step] = ()) -> None:
        self.intact: list[Buffer] = []
        written = {b for step in steps for b in step.writes if b.parent is not None}
        self.parts = {b.parent[0]: [part for part in written if part.parent[0] is b.parent[0]] for b in written}  # type: ignore[index]
        """Of memory that lies flat for several values, those values."""

    def run(self, step: Step) -> None:
        reads, writes = ([b for b in buffers if b.base == ARENA and b.nbytes] for buffers in (step.reads, step.writes))
        for buffer in [part for b in reads for part in self.parts.get(b, [b])]:
            assert buffer in self.intact, f"{step.name} reads {buffer.name}, which was overwritten or never written"
        for buffer in writes:
            for other in (*reads, *(b for b in writes if b is not buffer)):
                allowed = other is buffer or (other not in writes and _takes_over(step, buffer, other))
                assert allowed or not _overlap(buffer, other), f"{step.name}: {buffer.name} overwrites {other.name}"
        for buffer in writes:
            self.intact = [b for b in self.intact if b is buffer or not _overlap(b, buffer)]
            self.intact += [] if buffer in self.intact else [buffer]


def _overlap(a: Buffer, b: Buffer) -> bool:
    return a.offset < b.offset + b.nbytes and b.offset < a.offset + a.nbytes


def _takes_over(step: Step, result: Buffer, operand: Buffer) -> bool:
    """Whether a chain writes `result` element by element over an `operand` that it has read there."""
    if not isinstance(step, ChainStep) or (result.offset, result.nbytes) != (operand.offset, operand.nbytes):
        return False
    views = [v for v in step.replaceable if v.buffer is operand]
    roots = [r.to for r in step.roots if r.write == "store" and r.to is not None and r.to.buffer is result]
    return len(views) == 1 and len(roots) == 1 and views[0].walks_like(roots[0])


def check_memory(steps: Sequence[Step], num_constant: int, arena_bytes: int) -> None:
    """Two runs, a change of the parameters, and one more run."""
    memory = Memory(steps)
    constant, rest = steps[:num_constant], steps[num_constant:]
    for step in (*constant, *rest, *rest, *constant, *rest):
        memory.run(step)
        for buffer in (*step.reads, *step.writes):
            assert buffer.base != ARENA or 0 <= buffer.offset <= arena_bytes - buffer.nbytes


@st.composite
def step_lists(draw: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[list[Step], int]:
    """Steps that read what others have written, and how many of them run once; chains may write over operands."""
    made: list[Buffer] = []
    steps: list[Step] = []
    num_constant = draw(st.integers(0, 2))
    for position in range(num_constant + draw(st.integers(1, 12))):
        reads = draw(st.lists(st.sampled_from(made), max_size=3, unique=True)) if made else []
        sizes = draw(st.lists(st.sampled_from([0, 1, 16, 17, 64]), min_size=1, max_size=2))
        kept = position < num_constant
        writes = [Buffer(f"{position}.{i}", (n,), kept=kept) for i, n in enumerate(sizes)]
        if draw(st.booleans()):
            step = ChainStep(f"step {position}", "chain", reads, writes)
            for buffer in writes:
                node = Tensor(pl.input((1,)).op, (), buffer.shape, "float32", buffer.name)
                step.roots.append(Root(node, node, draw(st.sampled_from(["store", "sum"])), view_of(buffer)))
            step.replaceable = [view_of(b) for b in reads if draw(st.booleans())]
        else:
            step = Step(f"step {position}", "kernel", reads, writes)
        steps.append(step)
        made += writes
    return steps, num_constant


@given(step_lists(), st.booleans())
@settings(max_examples=examples(400))
def test_memory_of_random_steps(steps_and_constant: tuple[list[Step], int], share: bool) -> None:
    steps, num_constant = steps_and_constant
    arena_bytes = plan_memory(steps, share)
    check_memory(steps, num_constant, arena_bytes)
    buffers = list(dict.fromkeys(b for s in steps for b in (*s.reads, *s.writes) if b.nbytes))
    assert all(b.offset % 64 == 0 for b in buffers)
    if not share:
        assert not any(_overlap(a, b) for i, a in enumerate(buffers) for b in buffers[:i])


def test_memory_is_reused() -> None:
    a, b, c = (Buffer(name, (100,)) for name in "abc")
    steps = [Step("1", "kernel", [], [a]), Step("2", "kernel", [a], [b]), Step("3", "kernel", [b], [c])]
    assert plan_memory(steps) == 2 * 448
    assert c.offset == a.offset != b.offset
    assert plan_memory(steps, share=False) == 3 * 448


def test_a_chain_writes_over_its_operand() -> None:
    a, b = Buffer("a", (100,)), Buffer("b", (100,))
    chain = ChainStep("2", "chain", [a], [b], replaceable=[view_of(a)])
    node = pl.input((100,))
    chain.roots.append(Root(node, node, "store", view_of(b)))
    steps = [Step("1", "kernel", [], [a]), chain]
    assert plan_memory(steps) == 448
    assert plan_memory([*steps, Step("3", "kernel", [a], [])]) == 2 * 448, "a is read once more"
    chain.roots[0].write = "sum"
    assert plan_memory(steps) == 2 * 448, "sums are written when all elements have been read"
    chain.roots[0].write, chain.replaceable = "store", [view_of(a).of(view_of(a).array[::-1])]
    assert plan_memory(steps) == 2 * 448, "the operand is read in another order"


def network(model: str, training: bool) -> tuple[Signature, dict[Tensor, np.ndarray]]:
    """The program of a model on two pictures with initial weights, and what to feed it."""
    sizes = {"lenet": 28, "deck": 16, "resnet18": 32, "resnet50": 32}
    subject = pl.open_model(model, image_size=sizes[model], num_classes=10)
    subject.net.initialize(0)
    shape = (2, *subject.shape)
    if not training:
        signature = Signature(subject.net.eval().graph(shape).outputs, (), {}, False)
    else:
        optimizer = Optimizer("momentum")
        step = training_graph(subject.net, shape, optimizer, optimizer.state(subject.net.parameters()))
        signature = Signature(step.outputs, (), step.updates, False)
    return signature, example_feeds(signature.graph)


def results(signature: Signature, feeds: dict[Tensor, np.ndarray], **options: Any) -> list[np.ndarray]:
    """Outputs and updated parameters of one run that starts with memory full of NaN."""
    before = {p: p.value.copy() for p in signature.updates}
    program = NativeProgram(signature, threads=1, **options)
    with nullcontext(program._take()) as context:
        ctypes.memset(context.native.arena, 0xFF, program.plan.arena_bytes)
    found = [*program(feeds), *(p.value.copy() for p in signature.updates)]
    for parameter, value in before.items():
        parameter.value = value
    return found


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("model", "training"),
    [("lenet", False), ("lenet", True), ("deck", True), ("resnet18", False), ("resnet18", True), ("resnet50", False)],
)
def test_memory_of_networks(model: str, training: bool, precision: str) -> None:
    """No step overwrites what is still needed, as planned; and as run: with memory for each, everything is the same."""
    signature, feeds = network(model, training)
    for share in (True, False):
        plan = NativeProgram(signature, precision, 1, share_memory=share).plan
        check_memory(plan.steps, plan.num_constant, plan.arena_bytes)
    shared = results(signature, feeds, precision=precision)
    apart = results(signature, feeds, precision=precision, share_memory=False)
    for mine, theirs in zip(shared, apart, strict=True):
        assert np.isfinite(mine).all()
        np.testing.assert_array_equal(mine, theirs)


N = 5


def moves(seed: int) -> tuple[list[Parameter], Tensor, list[Tensor], dict[Parameter, Tensor]]:
    """A random program on 5x5 matrices: parameters, input, outputs, and updates that may read one another's values."""
    random = np.random.default_rng(seed)
    value = iter(random.integers(-4, 5, (4, N, N)).astype(np.float32))
    parameters = [Parameter.of(next(value), f"p{i}") for i in range(random.integers(1, 5))]
    x = pl.input((N, N), name="x")
    pool = [*parameters, x]
    for _ in range(random.integers(1, 15)):
        a, b = (pool[-random.integers(1, min(7, len(pool)) + 1)], pool[random.integers(len(pool))])
        ops: list[Callable[[], Tensor]] = [
            lambda a=a, b=b: a + b, lambda a=a, b=b: a - b, lambda a=a: -a, lambda a=a: a * 0.5, lambda a=a: a + 1.0,
            lambda a=a, b=b: pl.maximum(a, b), lambda a=a: pl.relu(a), lambda a=a, b=b: pl.where(a < b, a, b * 2.0),
            lambda a=a: pl.flip(a, 0), lambda a=a: a.T, lambda a=a, b=b: a - pl.sum(b, 0, keepdims=True),
            lambda a=a, b=b: a - pl.max(b, 1, keepdims=True), lambda a=a, b=b: a + b[1:2],
            lambda a=a, b=b: pl.concat([a[2:], b[:2]], 0), lambda a=a: pl.pad(a[1:4], [(1, 1), (0, 0)]),
            lambda a=a, b=b: (a @ b) * 0.125,
        ]  # fmt: skip
        pool.append(ops[random.integers(len(ops))]())
    updates = {p: pool[random.integers(len(pool))] for p in parameters if random.random() < 0.8}
    outputs = [pool[random.integers(len(pool))] for _ in range(random.integers(1, 4))]
    return parameters, x, outputs, updates


@pytest.mark.parametrize("seed", range(300))
def test_random_updates(seed: int) -> None:
    """Every new value is computed from the old ones, whatever is written in place, three steps in a row."""
    found: list[list[np.ndarray]] = []
    for executor in ("native", "reference"):
        parameters, x, outputs, updates = moves(seed)
        program = compile(outputs, [x], updates, executor)
        values: list[np.ndarray] = []
        for step in range(3):
            image = np.random.default_rng(step).integers(-4, 5, (N, N)).astype(np.float32)
            values += program({x: image} if x in program.graph.names else {})
            values += [p.value.copy() for p in parameters]
        found.append(values)
    for mine, expected in zip(*found, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-4)


def _after(updates: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], output: Callable[[Tensor], Tensor]) -> Any:
    """Output and both parameters, on the native executor and on the reference."""
    found: list[list[np.ndarray]] = []
    for executor in ("native", "reference"):
        a, b = (Parameter.of(np.arange(start, start + N * N, dtype=np.float32).reshape(N, N)) for start in (0, 100))
        program = compile(
            [output(updates(a, b)[0])], updates=dict(zip((a, b), updates(a, b), strict=True)), executor=executor
        )
        found.append([*program(), a.value, b.value])
    return found


@pytest.mark.parametrize(
    "updates",
    [
        pytest.param(lambda a, b: (b, a), id="swap"),
        pytest.param(lambda a, b: (b + 0.0, a + b), id="sum-of-both"),
        pytest.param(lambda a, b: (a.T, b - a), id="transposed-in-itself"),
        pytest.param(lambda a, b: (a + pl.flip(a, 0), b + a[1:2]), id="read-in-another-order"),
        pytest.param(lambda a, b: (-b, pl.relu(-b)), id="one-computed-from-the-other"),
    ],
)
@pytest.mark.parametrize(
    "output", [lambda v: v, lambda v: v.T, lambda v: v * 2.0, lambda v: pl.sum(v)], ids=["same", "view", "more", "sum"]
)
def test_updates_that_read_what_others_overwrite(updates: Any, output: Any) -> None:
    for mine, expected in zip(*_after(updates, output), strict=True):
        np.testing.assert_array_equal(mine, expected)


def test_frozen_weights_are_prepared_once() -> None:
    frozen, head = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 1)
    x = pl.input((1, 16, 8, 8), name="x")
    loss = pl.sum(head(frozen(x)))
    (slope,) = pl.gradients(loss, [head.weight])
    signature = Signature([loss], (), {head.weight: head.weight - slope * 0.01}, False)
    program = NativeProgram(signature)
    assert program.plan.num_constant > 0
    feeds = {"x": np.ones(x.shape, np.float32)}
    first = program(feeds)[0]
    assert program(feeds)[0] != first
    frozen.weight.value = frozen.weight.value * 2.0
    expected = compile([loss], executor="reference")(feeds)[0]
    np.testing.assert_allclose(program(feeds)[0], expected, rtol=1e-4)


@pytest.mark.parametrize(
    "frozen", ["1,4,7", "0,1,4,7", "0,1,3,4,6,7"], ids=["norms", "a layer too", "all but the head"]
)
@pytest.mark.parametrize(("relu", "kind"), [(nn.ReLU, "relu"), (nn.ReLU6, "relu6")])
def test_norms_that_stay_take_no_step(relu: Callable[[], nn.Module], kind: str, frozen: str) -> None:
    net = nn.Sequential(
        *(nn.Conv2d(16, 64, 1, bias=False), nn.BatchNorm2d(64), relu()),
        *(nn.Conv2d(64, 64, 3, padding=1, groups=64, bias=False), nn.BatchNorm2d(64), relu()),
        *(nn.Conv2d(64, 16, 1), nn.BatchNorm2d(16)),
        *(nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(16, 3)),
    )
    net.initialize(0)
    numbers = np.random.default_rng(0)
    for parameter in (p for p in net.parameters() if p.ndim == 1):
        parameter.value = numbers.uniform(0.5, 1.5, parameter.shape).astype(np.float32)
    shape, optimizer = (4, 16, 12, 12), Optimizer("momentum")
    tuning = Tuning.of(net, net(pl.input(shape)), frozen)
    graph = training_graph(net, shape, optimizer, optimizer.state(tuning.parameters), tuning=tuning)
    steps = [s for s in explain_plan(graph.outputs, graph.updates).steps if s.phase == "compute"]
    kinds = [s.kind for s in steps]
    assert kinds.count(f"conv2d+bias+{kind}") == 2 and kinds.count("conv2d+bias") == 1
    images = [s for s in steps if s.kind.startswith("chain") and any(w.shape[1:] == (64, 12, 12) for w in s.writes)]
    assert len(images) == 2 - frozen.count("3") - frozen.count("0"), "one mask of each ReLU that slopes go through"
    assert not any("multiply" in s.kind for s in images)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (5, 37), (10, 128), (130, 300)])
def test_one_picture_takes_the_weight_as_it_lies(outputs: int, inputs: int, bias: bool, relu: bool) -> None:
    layer = nn.Linear(inputs, outputs, bias)
    x = pl.input((1, inputs))
    y = pl.relu(layer(x)) if relu else layer(x)
    report = pl.executors.explain_plan([y])
    assert "(one row)" in str(report)
    assert "(one row)" not in str(pl.executors.explain_plan([layer(pl.input((2, inputs)))]))
    feed = {x: np.random.default_rng(0).standard_normal((1, inputs)).astype(np.float32)}
    np.testing.assert_allclose(pl.run([y], feed, "native")[0], pl.run([y], feed, "reference")[0], rtol=1e-4, atol=1e-5)


def test_outputs_are_copied_right_behind_what_makes_them() -> None:
    x = pl.input((1, 16, 16, 16), name="x")
    outputs = [x]
    for number in range(3):
        outputs.append(nn.Conv2d(16, 16, 1)(outputs[-1]).named(f"conv{number}"))
    report = explain_plan(outputs[1:])
    steps = [(step.kind, step.writes[0].place) for step in report.steps if step.phase == "compute"]
    made = [place for kind, place in steps if kind != "conv2d+bias" and place != "arena"]
    assert made == ["output conv0", "output conv1", "output conv2"]
    convolutions = [i for i, (kind, _) in enumerate(steps) if kind == "conv2d+bias"]
    copies = [i for i, (_, place) in enumerate(steps) if place.startswith("output")]
    assert copies[0] < convolutions[1] < copies[1] < convolutions[2] < copies[2]
    assert report.arena_bytes < 3.5 * outputs[1].nbytes


def test_each_op_is_lowered_by_one_family() -> None:
    lowered = [op for family in kernels.FAMILIES for op in family.LOWERINGS]
    assert sorted(map(str, lowered)) == sorted(map(str, kernels.LOWERINGS))
    assert all(op.elementwise is False for op in lowered), "chains compute what is elementwise"
