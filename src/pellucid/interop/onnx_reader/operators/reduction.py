"""Reductions over axes, and the place of the largest or smallest element."""

from __future__ import annotations

import itertools
import math
import operator as arithmetic
from collections.abc import Callable, Sequence

import numpy as np

from pellucid import ops
from pellucid.graph import Tensor, constant
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.interop.products import product
from pellucid.interop.roots import root
from pellucid.ops.reduction import backwards

_EMPTY = {"ReduceMax": -math.inf, "ReduceMin": math.inf, "ReduceProd": 1.0, "ReduceLogSumExp": -math.inf}


@operator(
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceSumSquare",
    settings=(1,),
)
def reduce(call: Call, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """One of the reductions over `axes`; over all where none are named"""
    given = call.axes("axes", axes)
    kind, keepdims = call.node.kind, bool(call["keepdims"])
    if not given and call["noop_with_empty_axes"]:
        over: list[int] = []
    else:
        over = sorted({call.from_front(a, x.ndim) for a in given}) if given else list(range(x.ndim))
    if kind in _EMPTY and any(x.shape[a] == 0 for a in over):
        return _filled(x, over, keepdims, _EMPTY[kind])
    whole = not x.dtype.startswith("float")
    if whole and kind == "ReduceMean" and any(x.shape[a] == 0 for a in over):
        return _filled(x, over, keepdims, 0.0)  # there is no whole number that is none
    if whole and kind in ("ReduceMean", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"):
        return ops.cast(_reduced(kind, ops.cast(x, "float64"), over, keepdims), x.dtype)
    return _reduced(kind, x, over, keepdims)


def _filled(x: Tensor, over: Sequence[int], keepdims: bool, value: float) -> Tensor:
    shape = [1 if a in over else n for a, n in enumerate(x.shape) if keepdims or a not in over]
    if x.dtype == "bool":
        value = value > 0
    elif not x.dtype.startswith("float"):
        value = {-math.inf: np.iinfo(np.int64).min, math.inf: np.iinfo(np.int64).max}.get(value, value)
    return ops.broadcast_to(constant(np.asarray(value, x.dtype)), shape)


def _reduced(kind: str, x: Tensor, over: list[int], keepdims: bool) -> Tensor:
    if kind == "ReduceSum":
        return ops.sum(x, over, keepdims)
    if kind == "ReduceMean":
        return ops.mean(x, over, keepdims)
    if kind == "ReduceMax":
        return ops.max(x, over, keepdims)
    if kind == "ReduceMin":
        if x.dtype == "bool":
            return ops.equal(
                ops.max(ops.equal(x, constant(np.array(False))), over, keepdims), constant(np.array(False))
            )
        return backwards(ops.max(backwards(x), over, keepdims))
    if kind == "ReduceProd":
        return product(x, over, keepdims)
    if kind == "ReduceL1":
        return ops.sum(ops.absolute(x), over, keepdims)
    if kind == "ReduceSumSquare":
        return ops.sum(x * x, over, keepdims)
    if kind == "ReduceL2":
        return root(ops.sum(x * x, over, keepdims))
    if kind == "ReduceLogSum":
        return ops.log(ops.sum(x, over, keepdims))
    return ops.log_sum_exp(x, over, keepdims)


@operator("ArgMax", "ArgMin")
def place(call: Call, x: Tensor) -> Tensor:
    """The place of the largest (smallest) element along an axis, the first or the last of equals"""
    axis = call.from_front(call["axis"], x.ndim)
    x = backwards(x) if call.node.kind == "ArgMin" else x
    if not call["select_last_index"]:
        return ops.argmax(x, axis, bool(call["keepdims"]))
    return (x.shape[axis] - 1) - ops.argmax(ops.flip(x, axis), axis, bool(call["keepdims"]))


@operator("CumSum", settings=(1,))
def cumulative_sum(call: Call, x: Tensor, axis: Tensor) -> Tensor:
    """y[i] = sum of x[j] over j <= i along an axis; `exclusive`: j < i, `reverse`: from the end"""
    return _running(call, x, axis, 0.0, arithmetic.add)


@operator("CumProd", settings=(1,))
def cumulative_product(call: Call, x: Tensor, axis: Tensor) -> Tensor:
    """y[i] = product of x[j] over j <= i along an axis; `exclusive`: j < i, `reverse`: from the end"""
    return _running(call, x, axis, 1.0, arithmetic.mul)


def _running(
    call: Call, x: Tensor, axis: Tensor, neutral: float, combine: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """What all elements up to each along an axis come to, in as many steps as the axis has binary digits; none is touched by a later one."""
    at = call.from_front(int(call.values("axis", axis).reshape(())), x.ndim)
    size = x.shape[at]

    def moved(y: Tensor, by: int) -> Tensor:
        sides = (0, by) if call["reverse"] else (by, 0)
        wide = ops.pad(y, [sides if a == at else (0, 0) for a in range(y.ndim)], neutral)
        return wide[(*[slice(None)] * at, slice(by, None) if call["reverse"] else slice(0, size))]

    y = moved(x, 1) if call["exclusive"] else x
    reach = 1
    while reach < size:
        y, reach = combine(y, moved(y, reach)), 2 * reach
    return y


@operator("Det")
def determinant(call: Call, x: Tensor) -> Tensor:
    """Determinants of square matrices, by minors of their first rows"""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2] or not 1 <= x.shape[-1] <= MOST_ROWS:
        raise call.error(f"wants square matrices of 1 to {MOST_ROWS} rows, got {x.shape}")
    size = x.shape[-1]
    minors: dict[tuple[int, ...], Tensor] = {(c,): x[..., 0, c] for c in range(size)}
    for row in range(1, size):
        larger: dict[tuple[int, ...], Tensor] = {}
        for columns in itertools.combinations(range(size), row + 1):
            for place, column in enumerate(columns):
                part = x[..., row, column] * minors[columns[:place] + columns[place + 1 :]]
                signed = part if (row - place) % 2 == 0 else -part
                larger[columns] = larger[columns] + signed if columns in larger else signed
        minors = larger
    return minors[tuple(range(size))]


MOST_ROWS = 6
"""Of a matrix whose determinant is made of minors: their number doubles with each."""
