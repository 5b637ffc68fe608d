"""`trace`: a network run on one example with every activation kept, and every number of it open to questions."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from pellucid.errors import PellucidError
from pellucid.explain.trace.drawn_values import drawn_values
from pellucid.explain.trace.expansion import has_batch, without_batch
from pellucid.explain.trace.neuron import Neuron, Summands, find_neuron
from pellucid.flags import flag
from pellucid.graph import Graph, Tensor
from pellucid.inference.fed import Fed, Given, feed
from pellucid.inference.layers import named_node
from pellucid.inference.losses import Loss, find_loss
from pellucid.inference.prediction import probabilities_of
from pellucid.inference.prepared import Prepared, Slopes, prepare
from pellucid.inference.ready import Ready
from pellucid.inference.target import FIRST_NAN, Target, TargetLike, find_target, why_no_gradient
from pellucid.inference.values import Values
from pellucid.nn import Edit, Module, edited
from pellucid.nn.axes import picture_of
from pellucid.nn.card import Card, card_of, carded
from pellucid.nn.required import require_net
from pellucid.nn.score_kind import kind_of_scores
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, Grid, Maps, Page
from pellucid.text import WIDTH, human_bytes, named_table
from pellucid.whole_numbers import whole


class TraceError(PellucidError, ValueError):
    """A trace is asked for something that is not in it."""


@dataclass(frozen=True)
class Activation(Answer):
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
        value = self.trace.gradients.of(self.trace.gradient_node(self.node))
        return value[0] if has_batch(self.node) else value

    def __getitem__(self, index: int | tuple[int, ...]) -> Neuron:
        return self.trace.neuron(self.node, self.place(index))

    def why_gradient(self, index: int | tuple[int, ...]) -> Summands:
        """The gradient at one element as the sum over those that read it: upstream gradient times local derivative."""
        return self.trace.why_gradient(self.node, self.place(index))

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the shape, and how the values are spread; None where there are none."""
        value, some = self.value, self.value.size > 0
        facts = {"min": np.min, "max": np.max, "mean": np.mean}
        with np.errstate(invalid="ignore", over="ignore"):  # the mean of both infinities is no number
            spread = {name: float(of(value)) if some else None for name, of in facts.items()}
        zeros = np.count_nonzero(value == 0) / value.size if some else None
        return {"layer": self.name, "shape": list(self.shape), **spread, "zeros": zeros}

    def __str__(self) -> str:
        facts = self.to_dict()
        size = "x".join(map(str, self.shape)) or "a number"
        if facts["mean"] is None:
            return f"{self.name}: {size}, no values"
        spread = f"{facts['min']:z.4g} to {facts['max']:z.4g}, mean {facts['mean']:z.4g}, {facts['zeros']:.1%} zeros"
        return f"{self.name}: {size}, {spread}"

    def picture(self) -> Chart | Maps | Grid:
        """The values as maps, or as bars of a dense layer."""
        return drawn_values(self.name, self.channels_first(self.value), "value")

    def channels_first(self, values: Array) -> Array:
        """Its values or gradient with the channels in front, where there are maps of them."""
        if values.ndim != 3 or not has_batch(self.node):
            return values
        return np.moveaxis(values, self.trace.prepared.axes.channel_axis(self.node) - 1, 0)

    @property
    def as_picture(self) -> Array:
        """Of a picture the value as (C, H, W), whatever the order in which the network takes it."""
        return picture_of(self.value, self.trace.prepared.axes[self.node])

    def place(self, index: int | tuple[int, ...]) -> tuple[int, ...]:
        """An index of the node's own; negative ones count from the end."""
        given = index if isinstance(index, tuple) else (index,)
        given = tuple(whole(self.name, "an index", one, raises=TraceError) for one in given)
        if len(given) != len(self.shape) or any(not -n <= i < n for i, n in zip(given, self.shape, strict=False)):
            wanted = ", ".join(f"0..{n - 1}" for n in self.shape)
            raise TraceError(f"{self.name}: wants an index within [{wanted}], got [{', '.join(map(str, given))}]")
        places = tuple(i % n for i, n in zip(given, self.shape, strict=True))
        return (0, *places) if has_batch(self.node) else places


@dataclass(frozen=True)
class Trace(Mapping[str, Activation], Answer):
    """Every activation of a network on one example, by the layers' names; see `trace`."""

    prepared: Prepared = field(repr=False)
    activations: Values
    place: Target
    """What gradients are of, unless the trace has a loss: then the true class."""
    card: Card
    """What the network knew of itself."""
    fed: Fed = field(repr=False)
    """The example."""
    net: Module = field(repr=False, compare=False)
    """The network, with the numbers that were traced."""

    @property
    def target(self) -> int | None:
        """The number of the class that is asked about; None for another place in an output."""
        return self.place.class_number

    @property
    def graph(self) -> Graph:
        """The network's graph."""
        return self.prepared.graph

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the scores; none where they are not known."""
        return self.card.classes

    @property
    def kept(self) -> tuple[Tensor, ...]:
        """The layers' outputs, and the inputs."""
        return self.prepared.kept

    @property
    def executor(self) -> str:
        """Who computed."""
        return self.prepared.executor

    def __getitem__(self, name: str) -> Activation:
        return Activation(self, named_node(self.graph, name, self._ends))

    def __contains__(self, name: object) -> bool:
        return name in self.graph.names.values() or name in self._ends

    @cached_property
    def _ends(self) -> dict[str, Tensor]:
        """The inputs and outputs by the names that the network gives them."""
        return {**self.fed.inputs, **self.prepared.outputs}

    def __iter__(self) -> Iterator[str]:
        return (self.graph.names[n] for n in self.kept)

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def output(self) -> Tensor:
        """The output of the network that is asked about."""
        return self.prepared.outputs[self.place.output]

    @property
    def score(self) -> float:
        """The number that is asked about: what gradients are of, unless the trace has a loss."""
        return float(self.place.of(self.activations.of(self.output))[0])

    @property
    def slopes(self) -> Slopes:
        """The way back from the score, or from the loss."""
        last = self.graph.outputs[-1]
        return self.prepared.slopes_of(self.output if last in set(self.prepared.outputs.values()) else last)

    @property
    def gradient_nodes(self) -> dict[Tensor, Tensor]:
        """For every floating node the node that computes the score's gradient, or the loss's, with regard to it."""
        return {} if self.why_no_gradient else self.slopes.nodes

    @property
    def why_no_gradient(self) -> str:
        """Why nothing here has a gradient: the network gives whole numbers alone. "" where something has one."""
        return why_no_gradient(self.prepared.outputs)

    def gradient_node(self, node: Tensor) -> Tensor:
        """The node that computes the gradient with regard to a node of the graph; a `TraceError` where there is none."""
        self._require_gradient()
        found = self.gradient_nodes.get(node)
        if found is None:
            raise TraceError(f"{self.graph.names[node]}: {node.op.kind} of {node.dtype} has no gradient")
        return found

    def _require_gradient(self) -> None:
        if self.why_no_gradient:
            raise TraceError(f"there are no gradients: {self.why_no_gradient}")

    @cached_property
    def gradients(self) -> Values:
        """Values of the backward pass; those of the kept layers are computed by the executor when first asked for.

        It starts from the activations that are kept: the forward pass is not run again, and no element falls on the other
        side of a kink by another rounding.
        """
        self._require_gradient()
        slopes = self.slopes
        of_score = slopes.output is self.output
        one = self.place.upstream(slopes.output) if of_score else np.ones((), slopes.output.dtype)
        program, given = slopes.backward
        fed = {slopes.upstream: one, **{new: self.activations.of(node) for node, new in given.items()}}
        values = program({**fed, **{i: self.activations.of(i) for i in program.graph.inputs if i not in fed}})
        computed = dict(zip((self.gradient_nodes[n] for n in self.kept), values, strict=True))
        return Values({**self.activations.known, slopes.upstream: one, **computed})

    def neuron(self, node: Tensor, index: tuple[int, ...]) -> Neuron:
        """Where one element of a node comes from."""
        found = find_neuron(self.graph, self.activations, frozenset(self.kept), node, index, self.prepared.fields)
        return replace(found, probability=self._probability(node, index))

    def _probability(self, node: Tensor, index: tuple[int, ...]) -> float | None:
        """What an element of an output says of a class's probability; None where it is no score, or that is not known."""
        for output in self.prepared.outputs.values():
            if not output.dtype.startswith("float") or output.ndim < 2:
                continue
            kind = kind_of_scores(output)
            if not (node is output or node is kind.scores) or node.shape != output.shape or kind.rows.ndim != 2:
                continue
            shares = probabilities_of(self.activations.of(output), kind)
            number = int(np.ravel_multi_index(index, node.shape))
            return None if shares is None else float(shares.ravel()[-1 if node.size == 1 else number])
        return None

    @property
    def probability(self) -> float | None:
        """Of the class that is asked about, as its score says; None where it is no class, or that is not known."""
        number = self.target
        if number is None or self.output.ndim < 2 or self.output.size // self.output.shape[0] <= number:
            return None
        index = np.unravel_index(number, self.output.shape)
        return self._probability(self.output, tuple(map(int, index)))

    def why_gradient(self, node: Tensor, index: tuple[int, ...]) -> Summands:
        """The gradient of the score, or of the loss, with regard to one element, as a sum over those that read it."""
        own = self.gradient_node(node)
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
        rows = [a.to_dict() for a in self.values() if a.value.size]
        asked = {"target": self.target, "class": self.label, "place": str(self.place), "score": self.score}
        asked["probability"] = self.probability
        return {**asked, "layers": rows, "memory": self.memory()}

    @property
    def label(self) -> str:
        """The name of the class that is asked about, "" where it has none."""
        return self.place.label

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Column titles and text cells, a row for each layer."""
        rows = [
            [
                r["layer"],
                "x".join(map(str, r["shape"])),
                *(f"{r[k]:z.4g}" for k in ("min", "max", "mean")),
                f"{r['zeros']:.1%}",
            ]
            for r in self.to_dict()["layers"]
        ]
        return ["layer", "output", "min", "max", "mean", "zeros"], rows

    def words(self) -> str:
        """The score, and what is kept."""
        held = ", ".join(f"{human_bytes(size)} of {what}" for what, size in self.memory().items())
        if self.why_no_gradient:
            return f"{self.place} is {self.score:.15g}, a whole number, which has no gradient; keeps {held}"
        likely = "" if self.probability is None else f", probability {self.probability:.2%}"
        chosen = f", {FIRST_NAN}" if self.place.why == FIRST_NAN else ""
        return f"score {self.score:z.6g} of {self.place.words}{likely}{chosen}; keeps {held}"

    def __str__(self) -> str:
        return f"{named_table(*self.cells(), 'llrrrr', WIDTH)}\n{self.words()}"

    def picture(self) -> Page:
        """The layers as a table."""
        return Page("Every layer's output", (Grid(*self.cells(), "llrrrr"), self.words()))


@carded
def trace(
    net: Module,
    image: Given,
    target: TargetLike = None,
    *,
    loss: str | Loss | None = None,
    executor: str = "auto",
    edits: Sequence[Edit | str] = (),
    any_score: bool = False,
) -> Trace:
    """Run `net` in inference on one example and keep what every layer gives.

    `image` is an array as the network takes it, such as float (C, H, W) for a picture, or for several inputs arrays by
    name. `trace["conv2"][5, 3, 4]` says where that number comes from. Gradients are those of `target`: the score of a
    class (a number, or a name on the network's card; the highest score unless given), or a place or region of any
    output, `"mask[1,10:20]"` (see `Target`); of a network that gives whole numbers alone there are none.
    Kept are the layers' outputs; what lies between two of them (a sum before its
    bias is added) is computed again when it is asked for.

    With a `loss` the trace goes on to it: `trace["loss"][()]` says where its value comes from, and gradients are the
    loss's, class `target` being the true one. It is a name of `LOSSES`, or a function of scores (1, K) and labels (1,).

    Scores that are not numbers have no highest one, which is an error unless a target is named; with `any_score` the first of them is taken.

    With `edits`, such as `["conv1.weight[3]=0"]`, it is that of the network with other numbers (see `nn.edited`), which itself
    stays as it is.
    """
    any_score = flag("trace", "any_score", any_score, TraceError)
    require_net(net)
    net = edited(net, edits)
    ready, card = Ready(net, executor), card_of(net)
    fed = feed(ready, image, "trace")
    outputs = fed.ready.outputs
    if loss is None:
        prepared, known = prepare(ready, fed), fed.feeds()
    else:
        if target is None:
            raise TraceError("trace: a loss wants to know the true class; name it as target")
        goal = find_target(outputs, target, card.classes)
        number, scores = goal.class_number, outputs[goal.output]
        if number is None or scores.ndim != 2:
            raise TraceError(f"trace: a loss wants scores (1, classes) and the number of a class, got {goal}")
        prepared = prepare(ready, fed, find_loss(loss), scores)
        known = fed.feeds()
        known |= {i: np.array([number]) for i in prepared.graph.inputs if i not in known}
    values = prepared.forward({i: known[i] for i in prepared.forward.graph.inputs})
    activations = Values({**known, **dict(zip(prepared.kept, values, strict=True))})
    goal = find_target(
        outputs, target, card.classes, lambda name: activations.of(outputs[name]), whole=loss is None, nan=any_score
    )
    return Trace(prepared, activations, goal, card, fed, net)


def parse_place(text: str, names: Container[str] = ()) -> tuple[str, tuple[int, ...]]:
    """`"conv2[5,3,2]"` -> `("conv2", (5, 3, 2))`, `"loss"` -> `("loss", ())`; a `TraceError` for anything else.

    What is one of `names` is a name, whatever is in it: files of others have brackets, spaces and slashes in names.
    """
    text = text.strip()
    if text in names:
        return text, ()
    found = re.fullmatch(r"(.+?)\s*(?:\[\s*((?:-?\d+(?:\s*,\s*-?\d+)*)?)\s*\])?", text, re.DOTALL)
    if found is None or (found[1] not in names and not re.fullmatch(r"[^\[\]]+", found[1])):
        raise TraceError(f"expected a layer and a place in it, such as conv2[5,3,2], got {text!r}")
    return found[1], tuple(int(number) for number in (found[2] or "").split(",") if number)


def require_trace(trace: Trace) -> None:
    """Raise `TraceError` for what is no trace."""
    if not isinstance(trace, Trace):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TraceError(f"trace is what pl.trace(net, image) gives, got a {type(trace).__name__}")
