"""A plan's memory as a diagram: steps from left to right, the arena from top to bottom, a box for each value."""

from __future__ import annotations

from pellucid.executors.plan.buffers import ARENA, Buffer
from pellucid.executors.plan.plan import Plan
from pellucid.pictures import Diagram, DiagramBox
from pellucid.pictures.diagram import MOST_BOXES
from pellucid.pictures.lettering import MARGIN
from pellucid.text import human_bytes

_WIDTH, _HEIGHT = 900, 380


def memory_picture(plan: Plan, title: str) -> Diagram:
    """Values that take turns in the same memory stand side by side; a result in place follows its operand."""
    life: dict[Buffer, list[int]] = {}
    made_by: dict[Buffer, str] = {}
    for position, step in enumerate(plan.steps):
        for buffer in (*step.reads, *step.writes):
            if buffer.base == ARENA and buffer.nbytes:
                life.setdefault(buffer, []).append(position)
        for buffer in step.writes:
            made_by.setdefault(buffer, _sort(step.kind, buffer))
    ends = _ends(life)
    across, down = _WIDTH / max(1, len(plan.steps)), _HEIGHT / max(1, plan.arena_bytes)
    boxes: list[DiagramBox] = []
    largest = sorted(life, key=lambda buffer: -buffer.nbytes)[:MOST_BOXES]
    for number, buffer in enumerate(largest):
        start = life[buffer][0]
        boxes.append(
            DiagramBox(
                f"{number}: {buffer.name}",
                (buffer.name, f"{buffer.dtype} {list(buffer.shape)} {buffer.layout}", human_bytes(buffer.nbytes)),
                made_by.get(buffer, "scratch"),
                MARGIN + start * across,
                MARGIN + buffer.offset * down,
                max(0.5, (ends[buffer] - start) * across),
                max(0.5, buffer.nbytes * down),
            )
        )
    some = f"; the {len(boxes)} largest of {len(life)} values" if len(boxes) < len(life) else ""
    where = (
        f"From left to right steps 1 to {len(plan.steps)}, from top to bottom {human_bytes(plan.arena_bytes)} of memory"
    )
    return Diagram(title, tuple(boxes), note=where + some)


def _ends(life: dict[Buffer, list[int]]) -> dict[Buffer, int]:
    """The step before which each value's box ends: after its last use, or where a result takes its place in that step."""
    begins: dict[int, list[Buffer]] = {}
    for buffer, uses in life.items():
        begins.setdefault(uses[0], []).append(buffer)

    def replaced(buffer: Buffer, step: int) -> bool:
        return any(
            other.offset < buffer.offset + buffer.nbytes and buffer.offset < other.offset + other.nbytes
            for other in begins.get(step, ())
            if other is not buffer
        )

    return {b: uses[-1] + (uses[0] == uses[-1] or not replaced(b, uses[-1])) for b, uses in life.items()}


def _sort(kind: str, buffer: Buffer) -> str:
    if buffer.dtype == "uint8":
        return "scratch"
    for word, sort in (("conv", "convolution"), ("pool", "pooling"), ("matmul", "product"), ("chain", "chain")):
        if word in kind:
            return sort
    return "scratch"
