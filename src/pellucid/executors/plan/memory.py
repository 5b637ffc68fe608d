"""One arena for all values of a program: two share memory only if they are never needed at the same time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid.executors.compiled import _native
from pellucid.executors.plan.buffers import ARENA, Buffer
from pellucid.executors.plan.steps import ChainStep, Step

ALIGNMENT = _native.ALIGNMENT

Life = dict[Buffer, tuple[int, int]]
"""First and last step that needs a buffer."""


def plan_memory(steps: Sequence[Step], share: bool = True) -> int:
    """Give every buffer of the arena its offset; the arena's size in bytes.

    Largest first, each as low as it fits among those whose lives overlap its own. Elementwise results take the place of
    an operand that nobody needs any more. Without `share` no memory is reused.
    """
    life = _lives(steps, share)
    replaced = _in_place(steps, life)
    for buffer, operand in replaced.items():
        life[operand] = (life[operand][0], max(life[operand][1], life.pop(buffer)[1]))
    end = 0
    placed = np.empty((4, len(life)), np.int64)  # first and last step, offset and end of each; there may be very many
    for count, buffer in enumerate(sorted(life, key=lambda b: (-b.nbytes, life[b]))):
        first, last = life[buffer]
        starts, stops, offsets, ends = placed[:, :count]
        rivals = np.flatnonzero((starts <= last) & (stops >= first))
        rivals = rivals[np.argsort(offsets[rivals], kind="stable")]
        free_from = np.maximum.accumulate(np.concatenate([[0], ends[rivals]]))
        room = offsets[rivals] - free_from[:-1]
        fits = np.flatnonzero(room >= buffer.nbytes)
        buffer.offset = int(free_from[fits[0] if len(fits) else -1])
        end = max(end, after := _aligned(buffer.offset + buffer.nbytes))
        placed[:, count] = first, last, buffer.offset, after
    for buffer, operand in replaced.items():
        buffer.offset = operand.offset
    for buffer in {b for step in steps for b in step.writes}:
        if buffer.parent is not None:
            whole, inside = buffer.parent
            buffer.offset = whole.offset + inside
    return end


def _lives(steps: Sequence[Step], share: bool) -> Life:
    life: Life = {}
    for position, step in enumerate(steps):
        for part in (*step.reads, *step.writes):
            buffer = part if part.parent is None else part.parent[0]
            if buffer.base == ARENA:
                life[buffer] = (life.get(buffer, (position, 0))[0], position)
    return {b: (0, len(steps)) if b.kept or not share else span for b, span in life.items()}


def _in_place(steps: Sequence[Step], life: Life) -> dict[Buffer, Buffer]:
    """For results of chains, the operand's buffer whose memory they take over."""
    replaced: dict[Buffer, Buffer] = {}
    for position, step in enumerate(steps):
        if not isinstance(step, ChainStep):
            continue
        free = [v for v in step.replaceable if v.buffer in life and life[v.buffer][1] == position]
        for root in step.roots:
            to = root.to
            if to is None or root.write != "store" or life.get(to.buffer, (None, 0))[0] != position:
                continue
            same = [v for v in free if v.buffer.nbytes == to.buffer.nbytes and v.walks_like(to)]
            if same:
                free.remove(same[0])
                replaced[to.buffer] = replaced.get(same[0].buffer, same[0].buffer)
    return replaced


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
