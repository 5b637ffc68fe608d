"""Which kernels of oneDNN a plan takes: none of the generic ones, for the models and for what is hard to find a kernel for."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.executors import available_executors, explain_plan, run
from pellucid.graph import Tensor

if reason := available_executors()["native"]:
    pytest.skip(f"the native executor is not there: {reason}", allow_module_level=True)

import golden_plans
from pellucid.executors.contract import Signature
from pellucid.executors.native import NativeProgram
from pellucid.executors.plan.buffers import ARENA
from pellucid.executors.plan.kernels.family import is_generic
from pellucid.inspection import plan as plan_of
from pellucid.opening import open_model
from precisions import HAS_BFLOAT16, PRECISIONS

MARK = 0x5A
"""A byte that no step writes beside its own memory, unless it writes there."""


def x(*shape: int, name: str = "x") -> Tensor:
    return pl.input(shape, name=name)


def weight(*shape: int) -> Tensor:
    return pl.Parameter.of(np.random.default_rng(1).standard_normal(shape).astype(np.float32), "weight")


def conv(inputs: int, outputs: int, kernel: Any = 3, size: Any = 12, groups: int = 1, **options: Any) -> Tensor:
    taps, image = (v if isinstance(v, tuple) else (v, v) for v in (kernel, size))
    return pl.conv2d(x(2, inputs, *image), weight(outputs, inputs // groups, *taps), groups=groups, **options)


def transposed(inputs: int, outputs: int, kernel: int = 4, groups: int = 1, **options: Any) -> Tensor:
    taps = weight(inputs, outputs // groups, kernel, kernel)
    return pl.conv_transpose2d(x(2, inputs, 9, 9), taps, groups=groups, **options)


def framed(
    inputs: int, outputs: int, kernel: int, groups: int = 1, rows: Any = (0, 1), columns: Any = (0, 1)
) -> Tensor:
    around = pl.pad(x(2, inputs, 12, 13), ((0, 0), (0, 0), rows, columns))
    return pl.conv2d(around, weight(outputs, inputs // groups, kernel, kernel), stride=2, groups=groups)


def inverted(narrow: int, wide: int, kernel: int, **options: Any) -> Tensor:
    """What MobileNet is made of, without norms: few channels, many of their own, few."""
    y = pl.relu(pl.conv2d(x(2, narrow, 10, 12), weight(wide, narrow, 1, 1)))
    y = pl.relu(pl.conv2d(y, weight(wide, 1, kernel, kernel), groups=wide, padding=kernel // 2, **options))
    return pl.conv2d(y, weight(narrow, wide, 1, 1))


FRAMES = {"behind": ((0, 1), (0, 1)), "around": ((1, 2), (1, 2)), "uneven": ((2, 0), (0, 1)), "wide": ((5, 6), (0, 7))}


CASES: dict[str, Callable[[], Tensor]] = {
    **{
        f"{i} to {o} channels": lambda i=i, o=o: conv(i, o, padding=1)
        for i in (1, 3, 8, 20, 24, 32)
        for o in (1, 2, 8, 24, 32)
    },
    **{f"1x1 of {i} to {o}": lambda i=i, o=o: conv(i, o, 1) for i, o in ((8, 1), (20, 1), (24, 24), (64, 1))},
    **{
        f"strided {i} to {o}": lambda i=i, o=o: conv(i, o, 5, stride=2, padding=2)
        for i, o in ((8, 1), (24, 24), (6, 16))
    },
    **{
        f"1x1 strided of {i} to {o}": lambda i=i, o=o, size=size: conv(i, o, 1, size, stride=2)
        for i, o, size in ((1, 8, 13), (3, 16, 12), (4, 6, 8), (6, 8, 13), (12, 8, 13), (20, 6, 13))
    },
    **{
        f"row {i} to {o}": lambda i=i, o=o: conv(i, o, (1, 7), (1, 64), padding=(0, 3))
        for i, o in ((8, 1), (24, 24), (1, 8))
    },
    **{
        f"column {i} to {o}": lambda i=i, o=o: conv(i, o, (7, 1), (64, 1), padding=(3, 0))
        for i, o in ((8, 1), (24, 24), (1, 8))
    },
    **{
        f"dilated {i} to {o}": lambda i=i, o=o: conv(i, o, padding=2, dilation=2)
        for i, o in ((8, 1), (24, 24), (20, 3))
    },
    **{
        f"stride over kernel {i} to {o}": lambda i=i, o=o: conv(i, o, 2, stride=4)
        for i, o in ((8, 1), (24, 24), (3, 8))
    },
    **{
        f"{c} in {g} groups": lambda c=c, g=g: conv(c, c, groups=g, padding=1)
        for c, g in ((24, 24), (30, 30), (24, 4), (6, 2))
    },
    **{f"{c} to twice in {g}": lambda c=c, g=g: conv(c, 2 * c, groups=g, padding=1) for c, g in ((20, 20), (12, 3))},
    **{
        f"transposed {i} to {o}": lambda i=i, o=o: transposed(i, o, stride=2, padding=1)
        for i, o in ((8, 1), (1, 8), (24, 24), (20, 3))
    },
    "transposed in groups": lambda: transposed(24, 24, groups=4, stride=2, padding=1),
    "transposed depthwise": lambda: transposed(20, 20, groups=20, stride=2, padding=1),
    **{
        f"{i} to {o} in {g}, frame {name}": lambda k=k, i=i, o=o, g=g, f=f: framed(i, o, k, g, *f)
        for k, i, o, g in (
            (3, 16, 32, 1),
            (5, 24, 24, 24),
            (3, 32, 32, 32),
            (5, 32, 32, 32),
            (3, 3, 16, 1),
            (3, 8, 6, 2),
        )
        for name, f in FRAMES.items()
    },
    **{
        f"cut {name}": lambda a=a, b=b: transposed(16, 32, stride=2)[:, :, a:b, 1:-2]
        for name, a, b in (("little", 1, -1), ("much", 8, 10))
    },
    **{
        f"inverted {n} to {w}": lambda n=n, w=w, k=k, s=s: inverted(n, w, k, stride=s)
        for n, w, k, s in ((24, 144, 3, 1), (40, 48, 5, 2), (20, 60, 3, 1), (16, 64, 3, 2))
    },
    "rows of a map": lambda: x(4, 8, 5, 16)[:, :, 3, :] @ weight(16, 9),
    "pixels of a map": lambda: pl.transpose(x(4, 8, 5, 16)[:, :, 3, :], (0, 2, 1)) @ weight(8, 9),
    "every second row": lambda: x(24, 10)[::2] @ weight(10, 7),
    "every second column": lambda: x(6, 20)[:, ::2] @ weight(10, 7),
    "one column, with a stride": lambda: x(33, 16) @ x(16, 5, name="y")[:, 3:4],
    "one column, a batch of them": lambda: x(2, 33, 16) @ x(3, 16, 1, 5, name="y")[0, :, :, 2],
    "one row, with a stride": lambda: x(1, 16, 5)[:, :, 3] @ x(3, 16, 9, name="y"),
    "inner size of one": lambda: x(2, 16, 5, 1)[:, :, 3] @ x(1, 70, name="y")[:, 2:66],
    "inner size of one, transposed": lambda: pl.transpose(x(1, 33)) @ x(1, 5, 4, name="y")[:, :, 1],
    "column from a map": lambda: x(64, 5, 2)[:, 3, 1:] @ weight(1, 9),
    "a step of a sequence": lambda: x(20, 1, 64)[3] @ pl.transpose(weight(12, 64)),
    "slice of columns": lambda: x(8, 40)[:, 3:33] @ weight(30, 5),
    "batch by one": lambda: x(8, 20, 30) @ weight(30, 4),
    "one by batch": lambda: weight(20, 30) @ x(8, 30, 4),
    "heads": lambda: pl.transpose(x(2, 10, 4, 8), (0, 2, 1, 3)) @ pl.transpose(x(2, 10, 4, 8, name="y"), (0, 2, 3, 1)),
}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("case", CASES)
def test_no_kernel_is_generic(case: str, precision: str) -> None:
    outputs = with_gradients(CASES[case]())
    assert generic(explain_plan(outputs, precision=precision, threads=2)) == []


@pytest.mark.parametrize("case", CASES)
def test_values_are_the_references(case: str) -> None:
    outputs = with_gradients(CASES[case]())
    random = np.random.default_rng(0)
    feeds = {i: random.standard_normal(i.shape).astype(np.float32) for i in pl.Graph(outputs).inputs}
    expected = run(outputs, feeds, executor="reference")
    for actual, wanted in zip(run(outputs, feeds, executor="native"), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("model", golden_plans.IMAGE_SIZES)
def test_no_kernel_of_a_model_is_generic(model: str, precision: str) -> None:
    subject = open_model(model, image_size=golden_plans.IMAGE_SIZES[model])
    for training in (False, True)[: 1 if model in golden_plans.INFERENCE_ONLY else 2]:
        assert generic(plan_of(subject, golden_plans.BATCH, training, precision=precision, threads=2)) == []


@pytest.mark.parametrize("case", CASES)
def test_no_step_writes_beside_what_it_writes(case: str) -> None:
    """The arena around what each step reads and writes is as it was when the step has run."""
    outputs = with_gradients(CASES[case]())
    program = NativeProgram(Signature(outputs, (), {}, guard=False), "float32", 1)
    arrays = [np.ones(i.shape, np.float32) for i in program.plan.arrays.inputs] + [
        np.empty(o.shape, np.float32) for o in outputs
    ]
    with nullcontext(program._take()) as context:
        program._look_at_parameters(context, None)
        context.set_arrays(program._first_input, arrays)
        memory = (ctypes.c_uint8 * program.plan.arena_bytes).from_address(context.native.arena)
        arena = np.ctypeslib.as_array(memory)
        for number, step in enumerate(program.plan.steps):
            around = np.ones(len(arena), bool)
            for buffer in (*step.reads, *step.writes):
                if buffer.base == ARENA:
                    around[buffer.offset : buffer.offset + buffer.nbytes] = False
            before = arena[around]
            arena[around] = MARK
            program._run(context, number, number + 1, None)
            assert (arena[around] == MARK).all(), (step.name, step.detail)
            arena[around] = before


SLIPS = [((1, 7), (7, 7), (3, 1), (7, 5)), ((1, 14), (3, 1), (3, 2), (3, 0)), ((1, 32), (5, 1), (3, 2), (5, 1))]


@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), SLIPS)
def test_an_image_between_the_places_that_a_window_reads(size: Any, kernel: Any, stride: Any, padding: Any) -> None:
    """oneDNN ends the process over the making of a kernel for some of these."""
    outputs = with_gradients(conv(8, 16, kernel, size, groups=8, stride=stride, padding=padding, dilation=(2, 1)))
    feeds = {i: np.ones(i.shape, np.float32) for i in pl.Graph(outputs).inputs}
    expected = run(outputs, feeds, executor="reference")
    for precision, tolerance in (("float32", 1e-5), *([("bfloat16", 0.02)] if HAS_BFLOAT16 else [])):
        found = pl.compile(outputs, list(feeds), executor="native", precision=precision)(feeds)
        for actual, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max() + 1e-6)


BEHIND: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": pl.relu,
    "limits": lambda y: pl.clip(y, 0.0, 0.5),
    "one number per column": lambda y: y + weight(y.shape[3]),
    "another": lambda y: y + x(*y.shape, name="other"),
}


@pytest.mark.parametrize("name", BEHIND)
def test_what_is_behind_max_pooling_in_a_frame(name: str) -> None:
    pooled = pl.max_pool2d(pl.pad(x(2, 16, 6, 7), ((0, 0), (0, 0), (0, 1), (0, 1)), -np.inf), 3, 2)
    y = BEHIND[name](pooled)
    feeds = {i: -1 - np.random.default_rng(0).random(i.shape).astype(np.float32) for i in pl.Graph([y]).inputs}
    ours, wanted = (run([y], feeds, executor=executor)[0] for executor in ("native", "reference"))
    np.testing.assert_allclose(ours, wanted, rtol=1e-6)


def with_gradients(y: Tensor) -> list[Tensor]:
    graph = pl.Graph([y])
    return [y, *pl.gradients(pl.sum(y * y), [*graph.inputs, *graph.parameters])]


def generic(report: Any) -> list[str]:
    """The steps of a plan that a generic kernel computes."""
    return [f"{step.name}: {step.work}" for step in report.steps if is_generic(step.detail)]
