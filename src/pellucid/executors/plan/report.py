"""What a compiler made of a program, for people and as plain data: its passes, and the finished plan step by step."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from pellucid.errors import unknown
from pellucid.executors.passes.trace import PassRecord
from pellucid.executors.plan.buffers import ARENA, PLAIN, Buffer
from pellucid.executors.plan.picture import memory_picture
from pellucid.executors.plan.plan import Plan
from pellucid.executors.plan.steps import ChainStep, Step
from pellucid.pictures import Answer, Diagram, Grid, Page
from pellucid.plain import plain
from pellucid.text import human_bytes, shortened

PHASES = {
    "prepare": "once for every change of the parameters",
    "compute": "every run",
    "update": "every run, after the outputs",
}
_WIDEST_NAME, _WIDEST_WORK = 44, 58


@dataclass(frozen=True)
class Written:
    """Memory that a step writes: `place` is "arena", or whose array it is; `offset` counts bytes from its start."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    layout: str
    place: str
    offset: int
    nbytes: int
    in_place: bool
    """Whether it overwrites what the step reads."""
    reduction: str = ""
    """"sum" or "max" where a chain brings many elements together."""

    def __str__(self) -> str:
        shown = "x".join(map(str, self.shape)) or "number"
        if self.dtype == "uint8":
            shown = human_bytes(self.nbytes)
        elif self.dtype != "float32":
            shown += f" {self.dtype}"
        parts = [self.reduction, shown, "" if self.layout == PLAIN else self.layout]
        parts += [f"@{self.offset}", "in place" * self.in_place] if self.place == "arena" else ["to", self.place]
        return " ".join(filter(None, parts))


@dataclass(frozen=True)
class StepRecord:
    """One step of a plan. FLOPs and bytes are estimates: every buffer counts once, from end to end."""

    name: str
    phase: str
    kind: str
    detail: str
    reads: tuple[str, ...]
    writes: tuple[Written, ...]
    flops: int
    nbytes: int
    seconds: float | None = None
    """Median of measured runs."""

    @property
    def work(self) -> str:
        """What the step does: kind, and the kernel or the operations."""
        return f"{self.kind} ({self.detail})" if self.detail else self.kind


@dataclass(frozen=True)
class PlanReport(Answer):
    """The passes over a program's graph, and its plan. Printing gives a summary of the passes and the whole plan."""

    passes: tuple[PassRecord, ...]
    steps: tuple[StepRecord, ...]
    arena_bytes: int
    threads: int
    reference_kernels: tuple[str, ...]
    """Ops that run through their reference kernel."""
    memory: Diagram = field(repr=False)
    """The arena over the steps, a box for each value."""

    @classmethod
    def of(
        cls,
        plan: Plan,
        passes: Sequence[PassRecord] = (),
        outputs: Sequence[str] = (),
        seconds: Sequence[float] | None = None,
    ) -> PlanReport:
        """The report on a plan. `outputs` are the names by which the caller knows them, `seconds` measured times of the steps."""
        steps = tuple(
            _step(plan, number, step, outputs, None if seconds is None else seconds[number])
            for number, step in enumerate(plan.steps)
        )
        memory = memory_picture(plan, "Memory from step to step")
        return cls(tuple(passes), steps, plan.arena_bytes, plan.threads, plan.fallbacks, memory)

    def after(self, name: str) -> PassRecord:
        """The record of one pass."""
        for record in self.passes:
            if record.name == name:
                return record
        raise unknown("pass", name, [record.name for record in self.passes])

    @property
    def seconds(self) -> float | None:
        """Measured time of a run: the sum of its steps' medians."""
        times = [s.seconds for s in self._every_run]
        return None if None in times else sum(t for t in times if t is not None)

    @property
    def flops(self) -> int:
        """Floating-point operations of a run."""
        return sum(s.flops for s in self._every_run)

    @property
    def nbytes(self) -> int:
        """Bytes that the steps of a run read and write."""
        return sum(s.nbytes for s in self._every_run)

    @property
    def _every_run(self) -> list[StepRecord]:
        return [s for s in self.steps if s.phase != "prepare"]

    def to_dict(self, with_graphs: Collection[str] = ()) -> dict[str, Any]:
        """Plain data for JSON; the whole graph only after the passes named in `with_graphs`."""
        return {
            "threads": self.threads,
            "arena_bytes": self.arena_bytes,
            "reference_kernels": list(self.reference_kernels),
            "flops": self.flops,
            "bytes": self.nbytes,
            "seconds": self.seconds,
            "passes": [record.to_dict(record.name in with_graphs) for record in self.passes],
            "steps": plain(self.steps),
        }

    def __str__(self) -> str:
        passes = "\n".join(record.summary() for record in self.passes)
        return f"{'pass':<20} nodes\n{passes}\n\n{self.table()}"

    def table(self) -> str:
        """The plan: a line for each step, and totals."""
        return f"{self.grid()}\n\n{self._totals()}"

    def picture(self) -> Page:
        """The memory over the steps, the steps as a table, and what the passes did before."""
        counts = [[r.name, f"{r.num_before} -> {len(r.graph)}", r.purpose] for r in self.passes]
        passes = [Grid(["pass", "nodes", "what for"], counts, "lrl")] if counts else []
        return Page("The plan", (self.memory, self.grid(), *self._totals().splitlines(), *passes))

    def grid(self) -> Grid:
        """The plan as a table."""
        timed = self.seconds is not None
        titles = ["step", "does", "KiB", "MFLOP", *(["ms", "%", "GFLOP/s", "GB/s"] if timed else []), "writes"]
        rows: list[list[str]] = []
        phase = ""
        for step in self.steps:
            if step.phase != phase:
                phase = step.phase
                rows.append([f"-- {PHASES[phase]}", *[""] * (len(titles) - 1)])
            rows.append(self._row(step))
        align = "ll" + "r" * (len(titles) - 3) + "l"
        return Grid(titles, rows, align)

    def _row(self, step: StepRecord) -> list[str]:
        cells = [
            shortened(step.name, _WIDEST_NAME),
            shortened(step.work, _WIDEST_WORK),
            f"{step.nbytes / 1024:.1f}",
            f"{step.flops / 1e6:.2f}",
        ]
        if self.seconds is not None and step.seconds is not None:
            share = "" if step.phase == "prepare" else f"{100 * step.seconds / (self.seconds or 1):.1f}"
            rates = (
                f"{amount / (step.seconds or 1) / 1e9:.1f}" if amount else "" for amount in (step.flops, step.nbytes)
            )
            cells += [f"{step.seconds * 1000:.3f}", share, *rates]
        return [*cells, "; ".join(str(w) for w in step.writes if w.nbytes)]

    def _totals(self) -> str:
        lines = [
            f"{len(self._every_run)} steps a run on {self.threads} thread{'s' * (self.threads != 1)}: {self.flops / 1e6:.2f} MFLOP, "
            f"{human_bytes(self.nbytes)} read and written; arena of {human_bytes(self.arena_bytes)}"
        ]
        if self.seconds is not None:
            rates = (amount / (self.seconds or 1) / 1e9 for amount in (self.flops, self.nbytes))
            lines.append("{:.3f} ms a run: {:.1f} GFLOP/s, {:.1f} GB/s".format(self.seconds * 1000, *rates))
        lines.append(f"through the reference kernel: {', '.join(self.reference_kernels) or 'nothing'}")
        return "\n".join(lines)


def _step(plan: Plan, number: int, step: Step, outputs: Sequence[str], seconds: float | None) -> StepRecord:
    phase = "update" if number >= plan.num_before_updates else "compute"
    writes = tuple(_written(plan, step, b, outputs) for b in sorted(step.writes, key=lambda b: b.dtype == "uint8"))
    return StepRecord(
        step.name,
        "prepare" if number < plan.num_constant else phase,
        step.kind,
        step.detail,
        tuple(b.name for b in step.reads),
        writes,
        step.flops,
        step.nbytes,
        seconds,
    )


def _written(plan: Plan, step: Step, buffer: Buffer, outputs: Sequence[str]) -> Written:
    if buffer.base == ARENA:
        place = "arena"
        in_place = any(b.base == ARENA and b.offset == buffer.offset and b.nbytes for b in step.reads)
    else:
        number = buffer.base - plan.arrays.output_base(0)
        name = outputs[number] if 0 <= number < len(outputs) else buffer.name
        place = f"{'output' if number >= 0 else 'parameter'} {name}"
        in_place = any(b.base == buffer.base for b in step.reads)
    roots = step.roots if isinstance(step, ChainStep) else []
    reduction = next((r.write for r in roots if r.to is not None and r.to.buffer is buffer and r.write != "store"), "")
    return Written(
        buffer.name, buffer.dtype, buffer.shape, buffer.layout, place, buffer.offset, buffer.nbytes, in_place, reduction
    )
