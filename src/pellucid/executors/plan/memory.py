"""One arena for all values of a program: two share memory only if they are never needed at the same time."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.executors.plan.buffers import ARENA, Buffer
from pellucid.executors.plan.steps import Step

ALIGNMENT = 64


def plan_memory(steps: Sequence[Step], share: bool = True) -> int:
    """Give every buffer of the arena its offset; the arena's size in bytes.

    Largest first, each as low as it fits among those whose lives overlap its own. Without `share` no memory is reused.
    """
    life: dict[Buffer, tuple[int, int]] = {}
    for position, step in enumerate(steps):
        for buffer in (*step.reads, *step.writes):
            if buffer.base == ARENA:
                life[buffer] = (life.get(buffer, (position, 0))[0], position)
    for buffer in life:
        if buffer.kept or not share:
            life[buffer] = (0, len(steps))
    placed: list[Buffer] = []
    end = 0
    for buffer in sorted(life, key=lambda b: (-b.nbytes, life[b])):
        first, last = life[buffer]
        rivals = sorted((b for b in placed if life[b][0] <= last and life[b][1] >= first), key=lambda b: b.offset)
        offset = 0
        for rival in rivals:
            if rival.offset - offset >= buffer.nbytes:
                break
            offset = max(offset, _aligned(rival.offset + rival.nbytes))
        buffer.offset = offset
        placed.append(buffer)
        end = max(end, _aligned(offset + buffer.nbytes))
    return end


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
