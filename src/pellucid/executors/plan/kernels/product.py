"""Products of matrices: by oneDNN, or where the product has one row by a kernel of our own."""

from __future__ import annotations

import itertools
import math

from pellucid.executors.compiled import _native
from pellucid.executors.passes.fuse import Fused
from pellucid.executors.plan.buffers import NOWHERE, PLAIN, TYPES, View, place_of, view_of
from pellucid.executors.plan.builder import Builder
from pellucid.executors.plan.kernels.family import Family, first_fast, of_floats
from pellucid.executors.plan.steps import Step
from pellucid.graph import Tensor
from pellucid.ops.linear import Matmul

_WORTH_NARROWING = 1 << 20
"""Multiplications from which on a product is worth bringing its matrices into bfloat16."""

_WORTH_TURNING = 4
"""Products by the same matrix, as in the steps of a sequence, from which on it is turned once and not in each of them."""


def _product(to: Builder, node: Tensor, op: Matmul) -> bool:
    fused = node.op if isinstance(node.op, Fused) else Fused(op)
    work = node.size * node.inputs[0].shape[-1]
    dtype = to.precision if work >= _WORTH_NARROWING else "float32"
    a, b = (_matrix(to, i, dtype) for i in node.inputs[:2])
    result = view_of(to.buffer(node))
    bias = to.whole(node.inputs[2], PLAIN) if fused.bias else None
    if _is_row_of(a, node) and _is_weight(b, node) and a.buffer.dtype == "float32" and fused.ceiling == math.inf:
        return _vector_product(to, node, fused, a, b, bias)
    if b.array.strides[-1] != 1 and len(to.readers.get(node.inputs[1], ())) >= _WORTH_TURNING:
        b = to.whole(node.inputs[1], PLAIN, dtype)
    name, flops = to.names[node], node.op.cost(node).flops
    out, epilogue, threads = _described(result, node.ndim), (fused.bias, False, fused.relu), to.threads_for(2 * work)

    def make(pair: tuple[View, View]) -> _native.Product:
        left, right = (_described(view, node.ndim) for view in pair)
        return _native.Product(name, left, right, out, epilogue, fused.ceiling, threads)

    copies = a_copy, b_copy = tuple(view_of(to.buffer(i, dtype=dtype)) for i in node.inputs[:2])
    found = first_fast(make, itertools.product((a, a_copy), (b, b_copy)))
    if found is None:
        return False
    chosen, made = found
    a, b = (
        view if view is not copy else to.whole(i, PLAIN, dtype)
        for i, view, copy in zip(node.inputs[:2], chosen, copies, strict=True)
    )
    scratch = to.scratch(f"{name} scratch", made.scratch_bytes)

    def add(program: _native.Program) -> None:
        program.add_product(made, a.place, b.place, result.place, place_of(bias), NOWHERE, scratch.place)

    reads, writes = [v.buffer for v in (a, b, bias) if v is not None], [result.buffer, scratch]
    to.add(Step(name, fused.kind, reads, writes, flops, made.implementation, add=add, constant=node in to.fixed))
    to.made(node, result.buffer)
    return True


def _described(view: View, rank: int) -> tuple[list[int], list[int], _native.DType]:
    """Shape, strides and type of a matrix as oneDNN takes it: of full rank, repeated along batch axes of one element.

    The stride of a single row or column is free, and oneDNN asks for that of a matrix whose rows or columns lie side by side.
    """
    array = view.array[(None,) * (rank - view.array.ndim)]
    shape = [
        1 if s == 0 and d < rank - 2 else n for d, (n, s) in enumerate(zip(array.shape, array.strides, strict=True))
    ]
    strides = [max(s, 1) for s in array.strides]
    rows, columns = shape[-2:]
    if columns == 1:
        strides[-1] = 1
    if rows == 1:
        strides[-2] = 1 if strides[-1] != 1 else columns
    return shape, strides, TYPES[view.buffer.dtype]


def _is_row_of(a: View, node: Tensor) -> bool:
    """Whether the product has one row, and `a`'s elements lie side by side."""
    return node.size == node.shape[-1] and a.array.size == a.array.shape[-1] and a.array.strides[-1] == 1


def _is_weight(b: View, node: Tensor) -> bool:
    """Whether `b` is the transpose of a matrix (outputs, inputs) that lies in memory row by row."""
    return b.array.ndim == 2 and b.array.T.flags.c_contiguous and b.array.shape[-1] == node.shape[-1]


def _vector_product(to: Builder, node: Tensor, fused: Fused, a: View, b: View, bias: View | None) -> bool:
    inputs, outputs = b.array.shape
    name = to.names[node]
    result = to.buffer(node)

    def add(program: _native.Program) -> None:
        program.add_vector_product(
            name, outputs, inputs, b.place, a.place, result.place, place_of(bias), fused.bias, fused.relu
        )

    reads = [v.buffer for v in (a, b, bias) if v is not None]
    flops = node.op.cost(node).flops
    to.add(Step(name, fused.kind, reads, [result], flops, "one row", add=add, constant=node in to.fixed))
    to.made(node, result)
    return True


def _matrix(to: Builder, node: Tensor, dtype: str) -> View:
    """A view of `node` whose rows or columns lie side by side; a copy if there is none."""
    view = to.values.get(node)
    if view is None or view.blocked or view.buffer.dtype != dtype:
        return to.whole(node, PLAIN, dtype)
    array = view.array
    rows, columns = array.strides[-2:]
    m, n = array.shape[-2:]
    by_rows = (columns == 1 or n == 1) and (rows >= n or m == 1)
    by_columns = (rows == 1 or m == 1) and (columns >= m or n == 1)
    forwards = all(s >= 0 for s in array.strides)
    return view if forwards and (by_rows or by_columns) else to.whole(node, PLAIN, dtype)


LOWERINGS: Family = {Matmul: of_floats(_product)}
