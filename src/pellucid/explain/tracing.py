"""`trace`: a network run on one picture with every activation kept, and every number of it open to questions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.autodiff import gradients
from pellucid.errors import PellucidError
from pellucid.executors import compile
from pellucid.explain.neuron import Neuron, Summands, find_neuron, has_batch, layer_of, without_batch
from pellucid.explain.scores import find_target, inference, one_picture
from pellucid.explain.values import Values
from pellucid.graph import Constant, Graph, Input, Tensor, constant, input, topological
from pellucid.nn import Module
from pellucid.nn.summary import Field, receptive_fields
from pellucid.op import Array
from pellucid.text import human_bytes, text_table


class TraceError(PellucidError, ValueError):
    """A trace is asked for something that is not in it."""


@dataclass(frozen=True)
class Activation:
    """The output of one layer: `value` without the batch axis. `activation[c, i, j]` explains one element of it."""

    trace: Trace
    node: Tensor

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.trace.graph.names[self.node]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape without the batch axis, which has one picture."""
        return without_batch(self.node, self.node.shape)

    @property
    def value(self) -> Array:
        """What the engine computed."""
        value = self.trace.activations.of(self.node)
        return value[0] if has_batch(self.node) else value

    @property
    def gradient(self) -> Array:
        """Gradient of the trace's score with regard to this output, of the same shape."""
        value = self.trace.gradients.of(self.trace.gradient_nodes[self.node])
        return value[0] if has_batch(self.node) else value

    def __getitem__(self, index: int | tuple[int, ...]) -> Neuron:
        return self.trace.neuron(self.node, self.place(index))

    def why_gradient(self, index: int | tuple[int, ...]) -> Summands:
        """The gradient at one element as the sum over those that read it: upstream gradient times local derivative."""
        return self.trace.why_gradient(self.node, self.place(index))

    def place(self, index: int | tuple[int, ...]) -> tuple[int, ...]:
        """An index of the node's own; negative ones count from the end."""
        given = index if isinstance(index, tuple) else (index,)
        if len(given) != len(self.shape) or any(not -n <= i < n for i, n in zip(given, self.shape, strict=False)):
            wanted = ", ".join(f"0..{n - 1}" for n in self.shape)
            raise TraceError(f"{self.name}: wants an index within [{wanted}], got [{', '.join(map(str, given))}]")
        places = tuple(i % n for i, n in zip(given, self.shape, strict=True))
        return (0, *places) if has_batch(self.node) else places


@dataclass(frozen=True)
class Trace(Mapping[str, Activation]):
    """Every activation of a network on one picture, by the layers' names; see `trace`."""

    graph: Graph
    activations: Values
    target: int
    classes: tuple[str, ...]
    executor: str
    kept: tuple[Tensor, ...] = field(repr=False)

    def __getitem__(self, name: str) -> Activation:
        return Activation(self, self.graph[name])

    def __iter__(self) -> Iterator[str]:
        return (self.graph.names[n] for n in self.kept)

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def score(self) -> float:
        """The score of class `target`, whose gradients are asked for."""
        return float(self.activations.of(self.graph.outputs[0])[0, self.target])

    @cached_property
    def fields(self) -> dict[Tensor, tuple[Field, Field]]:
        """The receptive field of every node that depends on the picture."""
        return receptive_fields(self.graph)

    @cached_property
    def gradient_nodes(self) -> dict[Tensor, Tensor]:
        """For every floating node the node that computes the score's gradient with regard to it."""
        output = self.graph.outputs[0]
        nodes = [n for n in self.graph.nodes if n.dtype.startswith("float") and not isinstance(n.op, Constant)]
        one = np.zeros(output.shape, output.dtype)
        one[0, self.target] = 1
        return dict(zip(nodes, gradients(output, nodes, constant(one, name="score")), strict=True))

    @cached_property
    def gradients(self) -> Values:
        """Values of the backward pass; those of the kept layers are computed by the executor when first asked for.

        It starts from the activations that are kept: the forward pass is not run again, and no element falls on the other
        side of a kink by another rounding.
        """
        wanted = [self.gradient_nodes[n] for n in self.kept if n in self.gradient_nodes]
        given = {n: input(n.shape, n.dtype, f"kept/{self.graph.names[n]}") for n in self.kept}
        program = compile(_replaced(wanted, given), executor=self.executor)
        used = set(program.graph.inputs)
        fed = {new: self.activations.of(node) for node, new in given.items() if new in used}
        computed = dict(zip(wanted, program(fed), strict=True))
        return Values({**self.activations.known, **computed})

    def neuron(self, node: Tensor, index: tuple[int, ...]) -> Neuron:
        """Where one element of a node comes from."""
        return find_neuron(self.graph, self.activations, self.fields, frozenset(self.kept), node, index)

    def why_gradient(self, node: Tensor, index: tuple[int, ...]) -> Summands:
        """The gradient of the score with regard to one element, as a sum over those that read it."""
        if node not in self.gradient_nodes:
            raise TraceError(f"{self.graph.names[node]}: {node.op.kind} of {node.dtype} has no gradient")
        own = self.gradient_nodes[node]
        of_layers = {self.gradient_nodes[n]: f"grad/{self.graph.names[n]}" for n in self.kept}
        names = {**self.graph.names, **of_layers, own: f"grad/{self.graph.names[node]}"}
        stops = frozenset({*of_layers, *self.kept} - {own})
        return Summands.of(self.gradients, names, stops, own, index)

    def memory(self) -> dict[str, int]:
        """Bytes of the activations and gradients that are kept."""
        held = {"activations": self.activations.nbytes(self.kept)}
        if "gradients" in vars(self):
            held["gradients"] = self.gradients.nbytes([self.gradient_nodes[n] for n in self.kept])
        return held

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the layers with shapes and ranges of values, the score, the memory held."""
        rows = [
            {
                "layer": name,
                "shape": list(a.shape),
                "min": float(a.value.min()),
                "max": float(a.value.max()),
                "mean": float(a.value.mean()),
                "zeros": float((a.value == 0).mean()),
            }
            for name, a in self.items()
            if a.value.size
        ]
        label = self.classes[self.target] if self.classes else ""
        return {
            "target": self.target, "class": label, "score": self.score, "layers": rows, "memory": self.memory(),
        }  # fmt: skip

    def __str__(self) -> str:
        facts = self.to_dict()
        rows = [
            [
                r["layer"],
                "x".join(map(str, r["shape"])),
                *(f"{r[k]:.4g}" for k in ("min", "max", "mean")),
                f"{r['zeros']:.1%}",
            ]
            for r in facts["layers"]
        ]
        table = text_table(["layer", "output", "min", "max", "mean", "zeros"], rows, "llrrrr")
        held = ", ".join(f"{human_bytes(size)} of {what}" for what, size in facts["memory"].items())
        label = f" ({facts['class']})" if facts["class"] else ""
        return f"{table}\nscore {self.score:.6g} of class {self.target}{label}; keeps {held}"


def trace(
    net: Module,
    image: npt.ArrayLike,
    target: int | str | None = None,
    *,
    classes: Sequence[str] = (),
    executor: str = "auto",
) -> Trace:
    """Run `net` in inference on one picture, float (C, H, W) as the network takes it, and keep what every layer gives.

    `trace["conv2"][5, 3, 4]` says where that number comes from. Gradients are those of the score of class `target` (a
    number, or a name of `classes`; the highest score unless given). Kept are the layers' outputs; what lies between two
    of them (a sum before its bias is added) is computed again when it is asked for.
    """
    picture = one_picture("trace", image)
    with inference(net):
        x = input(picture.shape, str(picture.dtype) if picture.dtype == np.float64 else "float32", "image")
        graph = Graph([net(x)])
    output = graph.outputs[0]
    if output.ndim != 2:
        raise TraceError(f"trace: wants a network that gives scores (1, classes), this one gives {output.shape}")
    names = set(graph.names.values())
    kept = tuple(n for n in graph.nodes if _is_layer(n, graph.names[n], names))
    program = compile(kept, [x], executor=executor)
    computed = dict(zip(kept, program({x: picture.astype(x.dtype, copy=False)}), strict=True))
    return Trace(
        graph, Values(computed), find_target(computed[output][0], target, classes), tuple(classes), executor, kept
    )


def _replaced(outputs: Sequence[Tensor], given: Mapping[Tensor, Tensor]) -> list[Tensor]:
    """The same outputs, computed from other nodes where `given` has some."""
    new: dict[Tensor, Tensor] = dict(given)
    for node in topological(outputs):
        if node not in new:
            inputs = tuple(new[i] for i in node.inputs)
            same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
            new[node] = node if same else Tensor(node.op, inputs, node.shape, node.dtype, node.name)
    return [new[o] for o in outputs]


def _is_layer(node: Tensor, name: str, names: Collection[str]) -> bool:
    """Whether it is a layer's output or the picture, rather than a value on the way to one."""
    if isinstance(node.op, Input):
        return True
    return bool(node.inputs) and node.dtype.startswith("float") and layer_of(name, names) == name


def parse_place(text: str) -> tuple[str, tuple[int, ...]]:
    """`"conv2[5,3,4]"` -> `("conv2", (5, 3, 4))`; a `TraceError` for anything else."""
    found = re.fullmatch(r"(.+)\[\s*(-?\d+(?:\s*,\s*-?\d+)*)\s*\]", text.strip())
    if found is None:
        raise TraceError(f"expected a layer and a place in it, such as conv2[5,3,4], got {text!r}")
    return found[1], tuple(int(number) for number in found[2].split(","))
