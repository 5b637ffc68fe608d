"""The rules by which relevance is handed back through a network, node by node: sums, products, gates, functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pellucid.explain.attribution.backward import ACTIVATIONS, composites, counted, gradient_step
from pellucid.explain.attribution.gates import SOFT, Gates
from pellucid.graph import Tensor, apply
from pellucid.inference.scores import ScoreGraph
from pellucid.inference.target import ScoreError
from pellucid.ops.activation import relu
from pellucid.ops.broadcasting import unbroadcast
from pellucid.ops.comparison import Cast, Maximum, Minimum, Where, cast, minimum, where
from pellucid.ops.convolution import Conv2d, ConvTranspose2d, Fold, Unfold
from pellucid.ops.elementwise import Add, Divide, Multiply, Negative, Subtract, exp
from pellucid.ops.indexing import Gather, GatherGradient
from pellucid.ops.linear import Matmul
from pellucid.ops.pooling import AveragePool2d, MaxPool2d
from pellucid.ops.reduction import Max, Sum, Variance
from pellucid.ops.reduction import max as highest
from pellucid.ops.reduction import sum as sum_of
from pellucid.ops.shape import Move, broadcast_to, normalize_axes, reshape
from pellucid.templates import Match
from pellucid.walks import depending, replaced

_NORMS = ("group_norm", "layer_norm", "local_response_norm")
_LAYERS = (Conv2d, ConvTranspose2d, Matmul)
_LINEAR = (*_LAYERS, Sum, AveragePool2d, Unfold, Fold, GatherGradient)
_BY_GRADIENT = (MaxPool2d, Max, Maximum, Minimum, Where, Move, Gather)

Parts = Iterable[tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class _Stage:
    """A linear layer and the fixed scales and shifts after it, `steps` from the top down: one affine function of `x`."""

    top: Tensor
    steps: tuple[Tensor, ...]
    linear: Tensor | None
    x: Tensor


class Rules:
    """Which rule each node of a graph follows.

    A sum's terms get their parts of it, what moves or chooses elements gives to those, a function of one value hands on what
    it gets, and what only scales others takes nothing: a gate (Arras et al. 2017, Explaining Recurrent Neural Network
    Predictions, section 3.2), attention's weights and a norm's divisor (Ali et al. 2022, XAI for Transformers, section 4).
    Factors of which none is a gate take equal parts, and softmax's are those of its derivative (Achtibat et al. 2024, AttnLRP,
    propositions 3.1 to 3.3).
    """

    def __init__(self, graph: ScoreGraph, epsilon: float, composite: bool) -> None:
        self.graph = graph
        self.epsilon = epsilon
        self.composite = composite
        self.behind = depending(graph.graph.nodes, [graph.image])
        self.whole = composites(graph, (*ACTIVATIONS, *_NORMS, *SOFT))
        self.gates = Gates(self.whole)
        self.readers = Counter(value for node in graph.graph.nodes for value in node.inputs)

    def step(self, node: Tensor, relevance: Tensor) -> Parts:
        """What a node hands on to those before it."""
        if not node.dtype.startswith("float"):
            return []
        if node in self.whole:
            return [(self.whole[node].tensors["x"], _of_function(self.whole[node], relevance, self._stable))]
        values = [i for i in node.inputs if i in self.behind]
        op = node.op
        if isinstance(op, _BY_GRADIENT):
            return gradient_step(node, relevance)
        if self._is_linear(node) or self._affine(node) is not None:
            return self._of_stage(self._stage(node), relevance)
        if isinstance(op, Cast) and values[0].dtype.startswith("float"):
            return [(values[0], cast(relevance, values[0].dtype))]
        if isinstance(op, Add | Subtract):
            return self._by_parts(node, relevance, values)
        if isinstance(op, Multiply):
            signals = self._signals(node, values)
            return [(v, unbroadcast(relevance * (1 / len(signals)), v)) for v in signals]
        if (
            op.elementwise
        ):  # a function of one value; where there are two, the second is what the first is divided or raised by
            return [(values[0], unbroadcast(relevance, values[0]))]
        if isinstance(op, _LAYERS):
            signals = self._signals(node, values)
            return self._by_parts(node, relevance * (1 / len(signals)), signals)
        if isinstance(op, Variance):  # of two equal factors each takes half
            return self._by_parts(node, relevance * 0.5, values)
        if op.differentiable:
            return self._by_parts(node, relevance, values[:1])
        raise ScoreError(f"lrp: has no rule for {op.kind} ({self.graph.graph.names[node]!r})")

    def _by_parts(self, node: Tensor, relevance: Tensor, values: Sequence[Tensor]) -> Parts:
        """To each of `values` as it takes part in a sum: itself times the derivative, of the node's value."""
        share = relevance / self._stable(node)
        return [
            (v, v * part) for v, part in gradient_step(node, share) if part is not None and any(v is s for s in values)
        ]

    def _signals(self, node: Tensor, factors: Sequence[Tensor]) -> Sequence[Tensor]:
        """The factors that take a product's relevance: all but gates, and but those that are spread over the others."""
        signals = [v for v in factors if not self.gates.is_gate(v)]
        if len(signals) == len(factors) and isinstance(node.op, Multiply):
            signals = [v for v in factors if v.shape == node.shape]
        return signals or factors

    def told(self) -> str:
        """Which rule applies to how many layers."""
        layers = [n for n in self.graph.graph.nodes if self._is_linear(n) and isinstance(n.op, _LAYERS)]
        soft = [m.name.replace("_", "-") for m in self.whole.values() if m.name in SOFT]
        others = f"; by their derivative: {counted(soft)}" if soft else ""
        return f"rules of the layers: {counted(self._rule(n) for n in reversed(layers))}{others}"

    def _rule(self, linear: Tensor | None) -> str:
        if not self.composite or linear is None or not isinstance(linear.op, Conv2d) or linear.inputs[1] in self.behind:
            return "epsilon"
        value = linear.inputs[0]
        while isinstance(value.op, Move) and len(value.inputs) == 1:
            value = value.inputs[0]
        return "z-B" if value is self.graph.image else "z-plus"

    def _is_linear(self, node: Tensor) -> bool:
        return isinstance(node.op, _LINEAR) and sum(i in self.behind for i in node.inputs) == 1

    def _affine(self, node: Tensor) -> Tensor | None:
        """The value that `node` scales or shifts by something fixed; None for other nodes."""
        values = [i for i in node.inputs if i in self.behind]
        if len(values) != 1 or values[0].shape != node.shape or node in self.whole:
            return None
        scales = isinstance(node.op, Add | Subtract | Multiply | Negative)
        return values[0] if scales or (isinstance(node.op, Divide) and values[0] is node.inputs[0]) else None

    def _stage(self, top: Tensor) -> _Stage:
        steps: list[Tensor] = []
        value = top
        while not self._is_linear(value):
            below = self._affine(value)
            if below is None:
                return _Stage(top, tuple(steps), None, value)
            steps.append(value)
            if self.readers[below] > 1 or not self._by_channel(value):
                return _Stage(top, tuple(steps), None, below)
            value = below
        return _Stage(top, tuple(steps), value, next(i for i in value.inputs if i in self.behind))

    def _by_channel(self, node: Tensor) -> bool:
        """Whether what a value (N, C, H, W) is scaled or shifted by is one number for each channel; others may be anything."""
        fixed = [i for i in node.inputs if i not in self.behind]
        return node.ndim != 4 or all(i.size == 1 or i.shape[-3:] == (node.shape[1], 1, 1) for i in fixed)

    def _of_stage(self, stage: _Stage, relevance: Tensor) -> Parts:
        rule = self._rule(stage.linear)
        if rule == "epsilon" or stage.linear is None:
            share = relevance / self._stable(stage.top)
            for node in (*stage.steps, *([stage.linear] if stage.linear is not None else [])):
                share = next(part for value, part in gradient_step(node, share) if value in self.behind)
                assert share is not None
            return [(stage.x, stage.x * share)]
        weight = self._folded(stage, stage.linear.inputs[1])
        up, down = relu(weight), minimum(weight, 0.0)
        if rule == "z-plus":
            parts = [(relu(stage.x), up), (minimum(stage.x, 0.0), down)]
        else:
            low, high = (replaced([stage.x], {self.graph.image: bound})[0] for bound in self._bounds())
            parts = [(stage.x, weight), (-low, up), (-high, down)]
        return [(stage.x, self._shared(stage.linear, parts, relevance))]

    def _shared(self, linear: Tensor, parts: Sequence[tuple[Tensor, Tensor]], relevance: Tensor) -> Tensor:
        """Relevance shared among the values of `parts`, each by its part of the sum of convolutions with its weight."""
        made = [apply(linear.op, value, weight) for value, weight in parts]
        share = relevance / self._stable(sum(made[1:], made[0]))
        shares = (node.op.gradient(node, share)[0] for node in made)
        found = [value * part for (value, _), part in zip(parts, shares, strict=True) if part is not None]
        return sum(found[1:], found[0])

    def _folded(self, stage: _Stage, weight: Tensor) -> Tensor:
        """A convolution's weight times what its channels are scaled by until the stage's top."""
        for node in stage.steps:
            fixed = next((i for i in node.inputs if i not in self.behind), None)
            each = fixed if fixed is None or fixed.size == 1 else reshape(fixed, (weight.shape[0], 1, 1, 1))
            if each is not None and each.size == 1:
                each = reshape(each, ())
            if isinstance(node.op, Multiply) and each is not None:
                weight = weight * each
            elif isinstance(node.op, Divide) and each is not None:
                weight = weight / each
            elif isinstance(node.op, Negative) or (isinstance(node.op, Subtract) and node.inputs[0] is fixed):
                weight = -weight
        return weight

    def _bounds(self) -> tuple[Tensor, Tensor]:
        """The lowest and the highest value of each channel of the picture, everywhere."""
        image = self.graph.image
        places = tuple(axis for axis in range(1, image.ndim) if axis - 1 != self.graph.channels)
        low, high = -highest(-image, places, keepdims=True), highest(image, places, keepdims=True)
        return broadcast_to(low, image.shape), broadcast_to(high, image.shape)

    def _stable(self, value: Tensor) -> Tensor:
        """A value moved away from zero by epsilon."""
        return where(value >= 0, value + self.epsilon, value - self.epsilon)


def _of_function(match: Match, relevance: Tensor, stable: Callable[[Tensor], Tensor]) -> Tensor:
    """What a function that is made of several nodes hands on to what it is applied to."""
    if match.name not in SOFT:
        return relevance
    x, y = match.tensors["x"], match.root
    axis = match.attributes["axis"]
    if match.name == "softmax":  # x times the derivative, of the value: Achtibat et al. 2024, proposition 3.1
        return x * (relevance - y * sum_of(relevance, axis, keepdims=True))
    if match.name == "log_softmax":  # the part of x in the difference, and that of the sum, which is handed on as below
        share = relevance / stable(y)
        return x * share - exp(y) * sum_of(share * (x - y), axis, keepdims=True)
    kept = reshape(y, [1 if a in normalize_axes("relevance", axis, x.ndim) else n for a, n in enumerate(x.shape)])
    return exp(x - kept) * reshape(relevance, kept.shape)  # the largest takes most, as with max pooling all
