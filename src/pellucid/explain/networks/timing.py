"""The time that each layer of a network takes: from the native executor's own profile, or by running the layers one by one."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pellucid.executors import ExecutorError, Setting, compile, default_threads
from pellucid.executors.choice import resolved
from pellucid.graph import Graph, Input, Parameter, Tensor, input
from pellucid.inference.fed import example_feeds
from pellucid.nn.interface import Shapes, shapes_of
from pellucid.nn.required import require_net
from pellucid.nn.summary import Row, Summary, inference_graph, nodes_by_layer, summarize
from pellucid.op import Array
from pellucid.progress import long, progress
from pellucid.text import amount
from pellucid.walks import depending, replaced

if TYPE_CHECKING:
    from pellucid.executors.plan.report import StepRecord
    from pellucid.nn import Module

_MOST_RUNS, _PATIENCE = 15, 0.3
"""How often something is run to time it, as far as that many seconds go; at least once after the first time."""


@long
def time_layers(
    net: Module,
    shape: Shapes | None = None,
    batch: int = 1,
    *,
    executor: str = "auto",
    precision: str = "float32",
    threads: int = 0,
) -> Summary:
    """The summary of `net` for a `shape` as `Module.summary` takes it, with the measured time of each layer in inference.

    The native executor times the steps of its own plan. One step may compute several layers, and is then the time of the
    one with the most multiply-adds among them (FLOPs, where none has any); the others say so in `timed_with`. The other
    executors run every layer by itself. Times are medians.
    """
    require_net(net)
    summary = summarize(net, shape, batch)
    graph = inference_graph(net, shapes_of(net, shape, batch))
    layers = nodes_by_layer(graph, net.layer_kinds())
    rows = dict(zip(layers, summary.rows, strict=True))
    fed = example_feeds(graph)
    chosen = resolved(Setting(executor, precision, threads), graph).executor
    program = compile(graph.outputs, executor=chosen, precision=precision, threads=threads)
    if chosen == "native":
        from pellucid.executors.native import NativeProgram

        assert isinstance(program, NativeProgram)
        steps = [s for s in program.report(fed).steps if s.phase == "compute"]
        timed = _of_steps(layers, rows, program.plan.graph, steps)
    else:
        times = _one_by_one(layers, fed, chosen)
        timed = [replace(row, seconds=seconds) for row, seconds in zip(rows.values(), times, strict=True)]
    words = f"on {chosen}, {precision}" + (
        f", {amount(threads or default_threads(), 'thread')}" if chosen == "native" else ""
    )
    return replace(summary, rows=tuple(timed), measured=words, run_seconds=_median(lambda: program(fed)))


def _of_steps(
    layers: Mapping[Tensor, Sequence[Tensor]], rows: Mapping[Tensor, Row], plan: Graph, steps: Sequence[StepRecord]
) -> list[Row]:
    """The rows with the times of a plan's steps."""
    layer_of = {node: output for output, inside in layers.items() for node in inside}
    made = _made_by(layer_of, plan, steps)
    ends = set(made)
    seconds = dict.fromkeys(rows, 0.0)
    within: dict[Tensor, Tensor] = {}
    for node, spent in made.items():
        covered = {layer_of[n] for n in _computed_with(node, ends, layer_of)}
        core = max(covered, key=lambda layer: (rows[layer].multiply_adds, rows[layer].flops, layer is layer_of[node]))
        seconds[core] += spent
        within.update(dict.fromkeys(covered, core))
    return [
        replace(row, seconds=None, timed_with=rows[within[layer]].name)
        if not seconds[layer] and layer in within
        else replace(row, seconds=seconds[layer])
        for layer, row in rows.items()
    ]


def _made_by(layer_of: Mapping[Tensor, Tensor], plan: Graph, steps: Sequence[StepRecord]) -> dict[Tensor, float]:
    """The nodes of the network whose values the steps make, with the steps' seconds.

    A step is named after its last node in the plan's graph; a copy is for what it writes. A step with quite another name
    belongs to the next one that needs what it writes.
    """
    standing_for = _counterparts(layer_of, plan)

    def find(step: StepRecord) -> Tensor | None:
        names = [step.name, *(w.name for w in step.writes)]
        if step.detail == "copy":
            names.reverse()
        return next((standing_for[n] for n in names if n in standing_for), None)

    made: dict[Tensor, float] = {}
    for number, step in enumerate(steps):
        node = find(step)
        written = {w.name for w in step.writes}
        for later in steps[number + 1 :]:
            if node is not None:
                break
            if written & set(later.reads):
                node = find(later)
                written |= {w.name for w in later.writes}
        if node is None:
            raise ExecutorError(f"{step.name}: a step of the plan that no layer of the network stands behind")
        made[node] = made.get(node, 0.0) + (step.seconds or 0.0)
    return made


def _counterparts(layer_of: Mapping[Tensor, Tensor], plan: Graph) -> dict[str, Tensor]:
    """For nodes of the plan's graph, by name, the node of the network that they stand for: the n-th of the n-th of a name.

    What a pass made for a node has that node's name, or one below it.
    """
    own: dict[str, list[Tensor]] = {}
    for node in layer_of:
        own.setdefault(node.name, []).append(node)
    counts: Counter[str] = Counter()
    seeing = depending(plan.nodes, plan.inputs)
    found: dict[str, Tensor] = {}
    for node in plan.nodes:
        name = node.name if node in seeing else ""
        while name and name not in own:
            name = name.rpartition("/")[0]
        if name:
            found[plan.names[node]] = own[name][min(counts[node.name], len(own[name]) - 1)]
            counts[node.name] += 1
    return found


def _computed_with(node: Tensor, ends: set[Tensor], layer_of: Mapping[Tensor, Tensor]) -> set[Tensor]:
    """The nodes that the step of `node` computes: back to what other steps make."""
    found = {node}
    stack = [node]
    while stack:
        for value in stack.pop().inputs:
            if value in layer_of and value not in ends and value not in found:
                found.add(value)
                stack.append(value)
    return found


def _one_by_one(
    layers: Mapping[Tensor, Sequence[Tensor]],
    fed: Mapping[Tensor, Array],
    executor: str,
) -> list[float]:
    """Seconds of each layer, run by itself on what the layers before it give."""
    alone = [_alone(output, inside) for output, inside in layers.items()]
    needed = list(dict.fromkeys(n for _, given in alone for n in given if not isinstance(n.op, Input)))
    values = {**fed, **dict(zip(needed, compile(needed, executor=executor)(fed), strict=True))}
    seconds: list[float] = []
    with progress("timing layers") as tell:
        for output, given in alone:
            program = compile([output], executor=executor)
            feeds = {new: values[node] for node, new in given.items() if new in set(program.graph.inputs)}
            seconds.append(_median(lambda program=program, feeds=feeds: program(feeds)))
            tell(len(seconds), len(alone))
    return seconds


def _alone(output: Tensor, inside: Sequence[Tensor]) -> tuple[Tensor, dict[Tensor, Tensor]]:
    """A layer that reads inputs, and which node each of these stands for."""
    own = set(inside)
    entering = (i for n in inside for i in n.inputs if i not in own and not isinstance(i, Parameter))
    given = {i: input(i.shape, i.dtype, i.name) for i in dict.fromkeys(entering)}
    return replaced([output], given)[0], given


def _median(run: Callable[[], object]) -> float:
    """Median seconds of a run; the first does not count."""
    run()
    times: list[float] = []
    started = time.perf_counter()
    while not times or (len(times) < _MOST_RUNS and time.perf_counter() - started < _PATIENCE):
        before = time.perf_counter()
        run()
        times.append(time.perf_counter() - before)
    return statistics.median(times)
