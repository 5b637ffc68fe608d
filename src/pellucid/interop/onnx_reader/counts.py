"""Arithmetic of counts: how large numbers computed of them can be, and which of them do not depend on values after all."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping

import numpy as np

from pellucid import ops
from pellucid.graph import Constant, Tensor, constant, topological
from pellucid.op import Array, Op
from pellucid.ops.comparison import Cast, Maximum, Minimum, Where
from pellucid.ops.elementwise import Add, Multiply, Subtract
from pellucid.ops.indexing import Gather, Slice
from pellucid.ops.ranges import Within
from pellucid.ops.shape import BroadcastTo, Concat, Reshape
from pellucid.walks import evaluate

_MONOTONE: tuple[type[Op], ...] = (
    Add, BroadcastTo, Cast, Concat, Gather, Maximum, Minimum, Multiply, Reshape, Slice, Within,
)  # fmt: skip
"""Ops whose values grow with what they are given; products where nothing is negative, picks where it is known what is picked."""

Form = Mapping[tuple[Tensor, int] | None, int]
"""A number as a sum: how often each place of a tensor is in it, and under None what is known."""

_STEPS = 1000
"""Parts of a sum that are looked at: one of more is a number like any other."""


def bounds(tensor: Tensor, most: Mapping[Tensor, int]) -> tuple[Array, Array] | None:
    """The smallest and the largest that the numbers of a tensor can be, where it is made of counts; None where that is not known.

    `most` says how large each count can be.
    """
    found = {t: (np.zeros(t.shape, np.int64), np.full(t.shape, n)) for t, n in most.items()}
    for node in topological([tensor], found):
        if isinstance(node.op, Constant):
            found[node] = node.op.value, node.op.value
            continue
        given = [found.get(i) for i in node.inputs]
        if isinstance(node.op, Where):
            given = given[1:]
        ranges = [pair for pair in given if pair is not None]
        if not ranges or len(ranges) < len(given):
            continue
        lows, highs = ([pair[k] for pair in ranges] for k in (0, 1))
        if isinstance(node.op, Where):
            found[node] = (
                np.broadcast_to(np.minimum(*lows), node.shape),
                np.broadcast_to(np.maximum(*highs), node.shape),
            )
        elif isinstance(node.op, Subtract):
            found[node] = evaluate(node, [lows[0], highs[1]]), evaluate(node, [highs[0], lows[1]])
        elif isinstance(node.op, _MONOTONE) and _grows(node, lows, highs):
            found[node] = evaluate(node, lows), evaluate(node, highs)
    return found.get(tensor)


def _grows(node: Tensor, lows: list[Array], highs: list[Array]) -> bool:
    if isinstance(node.op, Multiply):
        return all(bool((low >= 0).all()) for low in lows)
    return not isinstance(node.op, Gather) or np.array_equal(lows[1], highs[1])


def form_of(count: Tensor, forms: Mapping[Tensor, Form]) -> Form:
    """A count as a sum of numbers that are no sums; `forms` has those of counts that are."""
    total: dict[tuple[Tensor, int] | None, int] = {}
    waiting = [(count, 0, 1)]
    for _ in range(_STEPS):
        if not waiting:
            return {part: often for part, often in total.items() if often}
        node, at, times = waiting.pop()
        node, at = _part(node, at, forms)
        if isinstance(node.op, Add | Subtract) and node not in forms:
            signs = (1, -1 if isinstance(node.op, Subtract) else 1)
            waiting += [(i, at if i.size > 1 else 0, times * sign) for i, sign in zip(node.inputs, signs, strict=True)]
            continue
        known: Form = {(node, at): 1}
        if isinstance(node.op, Constant):
            known = {None: int(node.op.value.reshape(-1)[at])}
        for part, often in forms.get(node, known).items():
            total[part] = total.get(part, 0) + times * often
    return {(count, 0): 1}


def origin(sizes: Tensor, at: int) -> Tensor:
    """The number that stands at a place of sizes that were put together: a constant, a count, or what is computed of them."""
    node, at = _part(sizes, at, ())
    if isinstance(node.op, Constant):
        return constant(int(node.op.value.reshape(-1)[at]))
    return ops.reshape(ops.reshape(node, (node.size,))[at : at + 1], ()) if node.ndim else node


def _part(node: Tensor, at: int, ends: Container[Tensor], depth: int = 0) -> tuple[Tensor, int]:
    """The tensor, and the place in it, that a number is a copy of; not looked for behind the `ends`, which are counts."""
    while node not in ends:
        if isinstance(node.op, Reshape):
            node = node.inputs[0]
        elif isinstance(node.op, Slice) and node.inputs[0].ndim == 1:
            at, node = node.op.starts[0] + at * node.op.steps[0], node.inputs[0]
        elif isinstance(node.op, Concat) and node.ndim == 1:
            for part in node.inputs:
                if at < part.size:
                    node = part
                    break
                at -= part.size
        elif isinstance(node.op, Minimum | Maximum) and depth < _DEPTH:
            same = next((i for i in node.inputs if _is_extreme(node, i, at, ends, depth + 1)), None)
            if same is None:
                break
            at, node = (at if same.size > 1 else 0), same
        else:
            break
    return node, at


_DEPTH = 4
"""How deep smallest and largest numbers of others are looked into."""


def _is_extreme(node: Tensor, one: Tensor, at: int, ends: Container[Tensor], depth: int) -> bool:
    """Whether the smallest (largest) of two numbers is always the first of them."""
    other = node.inputs[node.inputs[0] is one]
    mine, its = (_part(i, at if i.size > 1 else 0, ends, depth) for i in (one, other))
    if _same(mine, its):
        return True
    if isinstance(node.op, Maximum):
        return _most(its) <= 0 and _is_count(*mine, ends, depth)
    if isinstance(mine[0].op, Minimum) and mine[0] not in ends:
        return any(_same(_part(i, mine[1] if i.size > 1 else 0, ends, depth), its) for i in mine[0].inputs)
    return False


def _same(a: tuple[Tensor, int], b: tuple[Tensor, int]) -> bool:
    return a[0] is b[0] and a[1] == b[1]


def _most(part: tuple[Tensor, int]) -> float:
    """A number that is known, else infinity."""
    node, at = part
    return float(node.op.value.reshape(-1)[at]) if isinstance(node.op, Constant) else math.inf


def _is_count(node: Tensor, at: int, ends: Container[Tensor], depth: int) -> bool:
    """Whether a number is never negative."""
    if node in ends or isinstance(node.op, Constant):
        return node in ends or _most((node, at)) >= 0
    parts = (_part(i, at if i.size > 1 else 0, ends, depth) for i in node.inputs)
    return (
        isinstance(node.op, Minimum | Maximum) and depth < _DEPTH and all(_is_count(*p, ends, depth + 1) for p in parts)
    )
