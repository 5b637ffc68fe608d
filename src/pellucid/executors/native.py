"""The native executor: a graph made smaller by passes, laid out as a plan, and run by C++ on oneDNN."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.changes import parameter_changes
from pellucid.executors.compiled import _native
from pellucid.executors.contract import ExecutorError, Feeds, Signature
from pellucid.executors.passes import run_passes
from pellucid.executors.passes.trace import trace_passes
from pellucid.executors.plan.buffers import ARENA, BLOCKED, View
from pellucid.executors.plan.flat import lay_flat
from pellucid.executors.plan.plan import Plan
from pellucid.executors.plan.report import PlanReport
from pellucid.executors.plan.steps import Step
from pellucid.executors.plan.walk import make_plan
from pellucid.executors.setting import Setting, default_threads
from pellucid.graph import Constant
from pellucid.op import Array

_DTYPES = {"float32": np.float32, "int64": np.int64, "bool": np.bool_, "uint8": np.uint8, "float64": np.float64}
_WARM_UPS, _FEWEST_RUNS, _MOST_RUNS, _PATIENCE = 3, 5, 50, 2.0
"""How often a program is run to time its steps, as far as that many seconds go."""


@dataclass
class _Process:
    """What this process knows of the threads of its programs, which do not come along when it forks."""

    started: bool = False
    """Whether a program has run on several threads."""
    forks: int = 0
    """How often it was forked from a process that had; after that its programs run on the calling thread only."""

    def note_fork(self) -> None:
        self.forks += self.started


_PROCESS = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_PROCESS.note_fork)


def computing_threads(threads: int) -> int:
    """Of so many threads those that compute in this process: fewer under OMP_THREAD_LIMIT, one in a process forked after use."""
    return 1 if _PROCESS.forks else _native.available_threads(threads)


def instructions() -> str:
    """The instruction sets in use: that of our kernels, and oneDNN's, which ONEDNN_MAX_CPU_ISA limits."""
    return f"x86-64-{_native.isa()}, oneDNN {_native.onednn_isa()}"


class NativeError(ExecutorError):
    """A step of a native program failed; the message starts with the name of its node."""


class NativeProgram:
    """A compiled plan. Any number of threads may call it, each gets memory of its own; those with updates take turns."""

    def __init__(
        self,
        signature: Signature,
        precision: str = "float32",
        threads: int = 0,
        without: Collection[str] = (),
        share_memory: bool = True,
    ) -> None:
        if precision == "bfloat16" and not _native.has_wide_kernels():
            raise ExecutorError("precision 'bfloat16': needs a processor with AVX-512; compute in float32 here")
        self.signature = signature
        self.graph = signature.graph
        self._setting = Setting("native", precision)
        self._without, self._share_memory = tuple(without), share_memory
        self._build(threads or default_threads())

    def _build(self, threads: int) -> None:
        """Make the plan and the C++ program, for this process."""
        self._forks = _PROCESS.forks
        self._threads = computing_threads(threads)
        outputs, updates = self.signature.outputs, self.signature.updates
        optimized = run_passes((*outputs, *updates.values()), list(updates), self._without, setting=self._setting)
        count = len(outputs)
        new_updates = dict(zip(updates, optimized[count:], strict=True))
        self.plan: Plan = make_plan(
            optimized[:count], new_updates, self._threads, self._setting.precision, self._share_memory, self._without
        )
        self.signature.fitting.require(self.plan.arena_bytes)
        self.fallbacks = self.plan.fallbacks
        try:
            self._program = self.plan.build()
        except _native.StepError as error:
            raise NativeError(str(error)) from error
        self._constants = [np.array(c.op.value) for c in self.plan.arrays.constants if isinstance(c.op, Constant)]
        self._lasting = [p for p in self.plan.arrays.parameters if p not in updates]
        self._first_input = len(self._constants) + len(self.plan.arrays.parameters)
        self._segments = _segments(self.plan.steps)
        self._native_index = [0, *itertools.accumulate(s.add is not None for s in self.plan.steps)]
        """Number of the C++ step that stands at each position of the plan."""
        self._idle: list[_Context] = []
        self._contexts = 0

    def __call__(self, feeds: Feeds = {}) -> tuple[Array, ...]:  # noqa: B006
        with self.signature.fitting:
            return self._call(feeds, None)

    @property
    def nbytes(self) -> int:
        """Bytes that it holds from one call to the next: constants, and the memory of each call that ran beside others."""
        return sum(c.nbytes for c in self._constants) + max(1, self._contexts) * self.plan.arena_bytes

    def report(self, feeds: Feeds | None = None) -> PlanReport:
        """What the passes did and what the plan is; with `feeds` every step is timed, in calls like any other."""
        updates = self.signature.updates
        passes = trace_passes((*self.signature.outputs, *updates.values()), list(updates), self._without, self._setting)
        names = [self.graph.names[o] for o in self.signature.outputs]
        return PlanReport.of(self.plan, passes, names, None if feeds is None else self._measure(feeds))

    def _measure(self, feeds: Feeds) -> list[float]:
        """Median seconds of every step."""
        runs: list[list[float]] = []
        for _ in range(_WARM_UPS):
            self._call(feeds, None)
        started = time.perf_counter()
        while len(runs) < _FEWEST_RUNS or (len(runs) < _MOST_RUNS and time.perf_counter() - started < _PATIENCE):
            runs.append([0.0] * len(self.plan.steps))
            self._call(feeds, runs[-1])
        return [statistics.median(times) for times in zip(*runs, strict=True)]

    def _call(self, feeds: Feeds, seconds: list[float] | None) -> tuple[Array, ...]:
        """The outputs. `seconds`, if given, gets the time of each step; then those that prepare parameters run too."""
        fed = self.signature.check(feeds)
        if self._forks != _PROCESS.forks:
            self._build(self._threads)
        _PROCESS.started = _PROCESS.started or self._threads > 1
        inputs = [_packed(fed[i]) for i in self.plan.arrays.inputs]
        outputs = tuple(np.empty(o.shape, o.dtype) for o in self.signature.outputs)
        with self.signature.computing:
            context = self._take()
            try:
                self._compute(context, [*inputs, *outputs], outputs, seconds)
            finally:
                self._idle.append(context)
        return self.signature.given(outputs)

    def _take(self) -> _Context:
        try:
            return self._idle.pop()
        except IndexError:  # every context is in use by another thread
            self._contexts += 1
            return _Context(self._program)

    def _compute(
        self, context: _Context, arrays: list[Array], outputs: tuple[Array, ...], seconds: list[float] | None
    ) -> None:
        """Fill `outputs`, then set what is updated; `arrays` are those of inputs and outputs."""
        plan = self.plan
        if context.seen != parameter_changes() or seconds is not None:
            self._look_at_parameters(context, seconds)
        context.set_arrays(self._first_input, arrays)
        self._run(context, plan.num_constant, plan.num_before_updates, seconds)
        self.signature.require_finite(outputs)
        with self.signature.setting:
            noted = self._run_segments(context, plan.num_before_updates, len(plan.steps), seconds, watched=True)
            before = parameter_changes()
            for parameter in self.signature.updates:
                parameter.changed()
        if context.seen == before and parameter_changes() == before + len(self.signature.updates):
            context.seen = parameter_changes()  # the changes are this call's own, in arrays that it knows
        if noted:
            self.signature.require_finite_parameters()

    def _look_at_parameters(self, context: _Context, seconds: list[float] | None) -> None:
        """Find the parameters' arrays, and prepare again what is computed from parameters that have changed."""
        for group in self.plan.flat:
            lay_flat(group)
        seen = parameter_changes()  # before looking, so that what changes meanwhile is looked at again
        parameters = [p.storage() if p in self.signature.updates else p.held() for p in self.plan.arrays.parameters]
        context.set_arrays(0, [*self._constants, *parameters])
        versions = tuple(p.version for p in self._lasting)
        context.seen = seen
        if seconds is not None or context.versions != versions:
            self._run(context, 0, self.plan.num_constant, seconds)
            context.versions = versions

    def _run(self, context: _Context, first: int, last: int, seconds: list[float] | None) -> None:
        """Run steps that start from what no step of theirs overwrites; once more where a NaN was lost."""
        if self._run_segments(context, first, last, seconds):
            self._run_segments(context, first, last, seconds, keeps_nan=True)

    def _run_segments(
        self,
        context: _Context,
        first: int,
        last: int,
        seconds: list[float] | None,
        keeps_nan: bool = False,
        watched: bool = False,
    ) -> bool:
        """Whether a NaN may have been lost or, `watched`, made."""
        noted = False
        for kind, start, stop in self._segments:
            begin, end = max(start, first), min(stop, last)
            if begin >= end:
                continue
            if kind == "native":
                offset = self._native_index[start] - start
                noted |= self._run_native(context, begin, end, offset, seconds, keeps_nan, watched)
            else:
                self._run_reference(context, begin, end, seconds)
                noted |= watched
        return noted

    def _run_native(
        self,
        context: _Context,
        first: int,
        last: int,
        offset: int,
        seconds: list[float] | None,
        keeps_nan: bool,
        watched: bool,
    ) -> bool:
        """As `_run_segments`; steps that are timed take note of nothing."""
        try:
            if watched and self.signature.guard and seconds is None:
                return self._program.run_watched(context.native, first + offset, last + offset)
            if seconds is None:
                return self._program.run(context.native, first + offset, last + offset, keeps_nan)
            times = self._program.profile(context.native, first + offset, last + offset)
        except _native.StepError as error:
            raise NativeError(str(error)) from error
        seconds[first:last] = times[first + offset : last + offset]
        return False

    def _run_reference(self, context: _Context, first: int, last: int, seconds: list[float] | None) -> None:
        for position in range(first, last):
            step = self.plan.steps[position]
            assert step.run is not None
            started = time.perf_counter()
            step.run(context)
            if seconds is not None:
                seconds[position] = time.perf_counter() - started


class _Context:
    """Memory for one running call, and the arrays it works on."""

    def __init__(self, program: _native.Program) -> None:
        self.native = program.acquire()
        self.versions: tuple[int, ...] | None = None
        self.seen = -1
        self._arrays: dict[int, Array] = {}

    def set_arrays(self, first: int, arrays: Sequence[Array]) -> None:
        """Tell C++ where the caller's arrays are, from number `first` on; they stay alive as long as they are in use."""
        for number, array in enumerate(arrays, first):
            if self._arrays.get(number) is not array:
                self.native.set_array(number, array.__array_interface__["data"][0])
                self._arrays[number] = array

    def array(self, view: View) -> Array:
        """The values of a view, as an array on the very memory."""
        dtype = np.dtype(_DTYPES[view.buffer.dtype])
        assert view.buffer.layout != BLOCKED
        if view.buffer.base == ARENA:
            start = self.native.arena + view.buffer.offset
        else:
            start = self._arrays[view.buffer.base - 1].__array_interface__["data"][0]
        start += view.offset * dtype.itemsize
        strides = tuple(s * dtype.itemsize for s in view.array.strides)
        interface = {
            "data": (start, False),
            "shape": view.array.shape,
            "typestr": dtype.str,
            "strides": strides,
            "version": 3,
        }
        return np.asarray(type("Memory", (), {"__array_interface__": interface})())


def _packed(array: Array) -> Array:
    """The array itself if its elements lie one behind the other where the processor wants them, else a copy."""
    return array if array.flags.c_contiguous and array.flags.aligned else array.copy()


def _segments(steps: list[Step]) -> list[tuple[str, int, int]]:
    """Runs of steps of one kind: ("native" or "reference", first, last)."""
    found: list[tuple[str, int, int]] = []
    for position, step in enumerate(steps):
        kind = "native" if step.add is not None else "reference"
        if found and found[-1][0] == kind:
            found[-1] = (kind, found[-1][1], position + 1)
        else:
            found.append((kind, position, position + 1))
    return found
