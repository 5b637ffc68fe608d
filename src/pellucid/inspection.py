"""What `pellucid inspect` shows of computing with a network: who computes what, and with `--plan` the programs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import PellucidError
from pellucid.executors import Setting, compile, explain_plan
from pellucid.executors.choice import resolved
from pellucid.graph import Graph
from pellucid.inference.fed import example_feeds
from pellucid.nn.summary import inference_graph, nodes_by_layer
from pellucid.text import shortened
from pellucid.train.optimizers import Optimizer
from pellucid.train.step import training_graph
from pellucid.train.tuning import Tuning

if TYPE_CHECKING:
    from pellucid.executors.plan.report import PlanReport
    from pellucid.opening import Opened


class PlanError(PellucidError, ValueError):
    """There is no such plan."""


def plan(
    subject: Opened,
    batch: int = 1,
    training: bool = False,
    profile: bool = False,
    precision: str = "float32",
    threads: int = 0,
    without: Collection[str] = (),
) -> PlanReport:
    """What the native executor makes of inference, or of a training step, on `batch` images.

    The step is that of the subject's run, with its optimizer and what it froze; or of momentum.
    """
    shape = (batch, *subject.shape)
    shapes = subject.shapes(batch)
    if training:
        if len(shapes) > 1:
            raise PlanError(
                f"{subject.source}: takes {len(shapes)} inputs ({', '.join(shapes)}); training is for networks with one"
            )
        optimizer, tuning = _training_of(subject, shape)
        task = None if subject.run is None else subject.run.task
        state = optimizer.state(tuning.parameters)
        step = training_graph(subject.net, shape, optimizer, state, task, tuning=tuning)
        outputs, updates = step.outputs, step.updates
    else:
        called = {"images": next(iter(shapes.values()))} if len(shapes) == 1 else shapes
        outputs, updates = inference_graph(subject.net, called).outputs, {}
    feeds = example_feeds(Graph((*outputs, *updates.values()))) if profile else None
    return explain_plan(outputs, updates, feeds, precision, threads, without)


def _training_of(subject: Opened, shape: tuple[int, ...]) -> tuple[Optimizer, Tuning]:
    if subject.run is None:
        return Optimizer("momentum"), Tuning.everything(subject.net)
    config = subject.run.config
    output = inference_graph(subject.net, shape).outputs[0]
    tuning = Tuning.of(subject.net, output, config.freeze, config.learning_rates, config.learning_rate_decay)
    return config.make_optimizer(), tuning


@dataclass(frozen=True)
class Computing:
    """Who computes a network in inference: the executor, and the layers with ops that NumPy computes, by kind of op."""

    asked: str
    executor: str
    reference: Mapping[str, tuple[str, ...]]

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        layers = {kind: list(names) for kind, names in self.reference.items()}
        return {
            "executor": self.asked,
            "computed_by": self.executor,
            "reference_kernels": list(layers),
            "reference_layers": layers,
        }

    def __str__(self) -> str:
        on = self.executor if self.asked != "auto" else f"{self.executor} (auto)"
        if self.executor == "reference":
            return f"on {on}, through the reference kernels: every layer, as NumPy computes the whole network"
        kinds = [f"{kind} (in {shortened(', '.join(names), 60)})" for kind, names in self.reference.items()]
        return f"on {on}, through the reference kernel: {', '.join(kinds) or 'nothing'}"


def computing(subject: Opened, batch: int, executor: str, precision: str, threads: int) -> Computing:
    """Who computes what of a network in inference on `batch` examples."""
    graph = inference_graph(subject.net, subject.shapes(batch))
    chosen = resolved(Setting(executor, precision, threads), graph).executor
    fallbacks = compile(graph.outputs, executor=chosen, precision=precision, threads=threads).fallbacks
    found: dict[str, list[str]] = {}
    for output, inside in nodes_by_layer(graph, subject.net.layer_kinds()).items():
        for kind in dict.fromkeys(type(node.op).__name__ for node in inside):
            if chosen == "reference" or kind in fallbacks:
                found.setdefault(kind, []).append(graph.names[output])
    found |= {kind: [] for kind in fallbacks if kind not in found}
    return Computing(executor, chosen, {kind: tuple(found[kind]) for kind in sorted(found)})
