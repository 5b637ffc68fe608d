"""Sizes that no memory holds: one error that names the thing, the bytes that it takes, and what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import OutOfMemoryError

HUGE = 10**9


def spread(*shape: int) -> np.ndarray:
    return np.broadcast_to(np.float32(1), shape)


def lacking(*_: Any) -> Any:
    raise MemoryError


def value_of(*layers: Any) -> Any:
    return [parameter.value for layer in layers for parameter in layer.parameters()]


def classes(number: int) -> Any:
    return pl.one_hot(pl.input((3,), "int64"), number)


TOO_LARGE: dict[str, tuple[Callable[[], Any], str]] = {
    "a weight": (
        lambda: value_of(pl.nn.Linear(10**7, 10**7)),
        r"weight: .*float32\[10000000, 10000000\] takes 372529.0 GiB",
    ),
    "a kernel": (lambda: value_of(pl.nn.Conv2d(10**6, 10**6, 7)), "weight: .*GiB of memory, and the machine has"),
    "a model": (
        lambda: value_of(pl.nn.models.build("mlp", image_size=10**7)),
        "fc1.weight: .* choose smaller pictures",
    ),
    "a state": (lambda: pl.nn.models.build("mlp", image_size=10**7).state_dict(), "fc1.weight: "),
    "float64": (lambda: pl.Parameter((HUGE, HUGE), lacking, "float64", "w").value, r"w: the value float64\[10"),
    "a value that is set": (
        lambda: setattr(pl.Parameter((HUGE, HUGE), lacking), "value", spread(HUGE, HUGE)),
        "parameter: ",
    ),
    "a value that is copied": (lambda: pl.Parameter.of(spread(HUGE, HUGE), "w"), "w: a copy of the value takes"),
    "an initializer": (
        lambda: pl.Parameter((3,), lacking, name="w").value,
        "w: .* takes 12 B of memory, and that much is not free",
    ),
    "a constant": (lambda: pl.constant(spread(HUGE, HUGE)), "constant: .*; give it fewer elements"),
    "a constant in a formula": (lambda: pl.input((1,)) + spread(HUGE, HUGE), "constant: "),
    "classes": (lambda: classes(10**15), "one_hot: numbering 1000000000000000 classes takes"),
    **{
        executor: (
            lambda executor=executor: pl.compile([pl.relu(pl.input((HUGE, HUGE)))], executor=executor),
            "'x' float32",
        )
        for executor in ("native", "reference", "torch")
    },
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_what_takes_more_than_there_is(name: str) -> None:
    make, words = TOO_LARGE[name]
    with pytest.raises(OutOfMemoryError, match=words) as caught:
        make()
    assert isinstance(caught.value, pl.PellucidError)


NO_ARRAY: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "elements": (lambda: pl.input((10**30,)), pl.errors.ShapeError, "x: a tensor of more than"),
    "elements beside none": (lambda: pl.input((0, 2**40, 2**40)), pl.errors.ShapeError, "x: a tensor of more than"),
    "axes": (lambda: pl.input((1,) * 65), pl.errors.ShapeError, "x: a tensor of 65 axes"),
    "a parameter": (
        lambda: pl.Parameter((2**62, 2), lacking),
        pl.errors.ShapeError,
        "parameter: a tensor of more than",
    ),
    "a layer": (lambda: value_of(pl.nn.Linear(10**30, 3)), pl.errors.ShapeError, "a tensor of more than"),
    "a sum": (lambda: pl.input((2**40, 1)) + pl.input((1, 2**40)), pl.errors.ShapeError, "add: a tensor of more than"),
    "a product": (
        lambda: pl.input((2**40, 1)) @ pl.input((1, 2**40)),
        pl.errors.ShapeError,
        "matmul: a tensor of more",
    ),
    "classes": (lambda: classes(10**30), pl.errors.ShapeError, "one_hot: a tensor of more than"),
    "a number": (lambda: pl.input((1,)) * 10**400, pl.errors.DTypeError, "does not fit into float32"),
    "a whole number": (
        lambda: pl.constant([2**63]),
        pl.errors.DTypeError,
        "9223372036854775808 does not fit into int64",
    ),
}


@pytest.mark.parametrize("name", NO_ARRAY)
def test_what_no_array_can_be(name: str) -> None:
    make, kind, words = NO_ARRAY[name]
    with pytest.raises(kind, match=words):
        make()


def test_programs_that_find_no_memory_left() -> None:
    code = """
import resource, numpy, torch, pellucid as pl
y = pl.relu(pl.broadcast_to(pl.input((1,)), (2**29,)))
programs = {name: pl.compile([y], executor=name) for name in ("native", "reference", "torch")}
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 2**30,) * 2)
for name, program in programs.items():
    try:
        program({"x": numpy.ones(1, "float32")})
    except pl.errors.OutOfMemoryError as error:
        assert "2.0 GiB of memory, and that much is not free" in str(error) and "'relu'" in str(error), error
    else:
        raise SystemExit(f"{name} found memory")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
