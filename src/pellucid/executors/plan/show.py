"""Plans as text: what `pellucid inspect --plan` prints."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.executors.plan.buffers import ARENA, Buffer
from pellucid.executors.plan.plan import Plan
from pellucid.executors.plan.steps import Step


def table(plan: Plan, seconds: Sequence[float] | None = None) -> str:
    """One line per step: name, what it does, layout and arena offset of what it writes, bytes, FLOPs, milliseconds."""
    rows: list[list[str]] = [["step", "does", "writes", "KiB moved", "MFLOP", *(["ms"] if seconds is not None else [])]]
    for number, step in enumerate(plan.steps):
        part = _part(plan, number)
        row = [
            f"{part}{step.name}",
            _does(step),
            ", ".join(map(_where, step.writes)),
            f"{step.nbytes / 1024:.0f}",
            f"{step.flops / 1e6:.2f}",
        ]
        rows.append(row if seconds is None else [*row, f"{seconds[number] * 1000:.3f}"])
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(w) if c < 3 else cell.rjust(w) for c, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * w for w in widths))
    lines.append(f"arena {plan.arena_bytes / 2**20:.2f} MiB, {len(plan.steps)} steps on {plan.threads} threads")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _part(plan: Plan, number: int) -> str:
    if number < plan.num_constant:
        return "once: "
    return "update: " if number >= plan.num_before_updates else ""


def _does(step: Step) -> str:
    text = f"{step.kind} ({step.detail})" if step.detail else step.kind
    return text if len(text) <= 60 else text[:59] + "…"


def _where(buffer: Buffer) -> str:
    place = f"arena+{buffer.offset}" if buffer.base == ARENA else f"array {buffer.base}"
    layout = "" if buffer.layout == "plain" else f" {buffer.layout}"
    return f"{buffer.dtype}{list(buffer.shape)}{layout} {place}"
