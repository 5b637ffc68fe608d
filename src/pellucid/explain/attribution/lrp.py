"""Layer-wise relevance propagation: the score handed back from layer to layer, each giving to its inputs what they did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pellucid.explain.attribution.backward import (
    ACTIVATIONS,
    composites,
    counted,
    gradient_step,
    propagate,
)
from pellucid.explain.attribution.method import Asked, Found, method
from pellucid.graph import Tensor, apply
from pellucid.inference.scores import ScoreGraph
from pellucid.inference.target import ScoreError
from pellucid.ops.activation import Relu, Sigmoid, Softplus, Tanh, relu
from pellucid.ops.comparison import Cast, Clip, Maximum, Minimum, StopGradient, minimum, where
from pellucid.ops.convolution import Conv2d, ConvTranspose2d
from pellucid.ops.elementwise import Add, Divide, Multiply, Negative, Subtract
from pellucid.ops.linear import Matmul
from pellucid.ops.pooling import AveragePool2d, MaxPool2d
from pellucid.ops.reduction import Max, Sum
from pellucid.ops.reduction import max as highest
from pellucid.ops.shape import Move, broadcast_to, reshape
from pellucid.walks import depending, replaced

_NORMS = ("group_norm", "layer_norm", "local_response_norm")
_UNCHANGED = (Relu, Clip, Sigmoid, Tanh, Softplus, Cast, StopGradient)
_LINEAR = (Conv2d, ConvTranspose2d, Matmul, Sum, AveragePool2d)
_LAYERS = (Conv2d, ConvTranspose2d, Matmul)
_BY_GRADIENT = (MaxPool2d, Max, Maximum, Minimum, Move)

Parts = Iterable[tuple[Tensor, Tensor | None]]


@method("Bach et al. 2015, On Pixel-Wise Explanations for Non-Linear Classifier Decisions, equation 58")
def lrp_epsilon(asked: Asked, *, epsilon: float = 1e-6) -> Found:
    """Relevance goes to inputs as their parts of each sum, whose size is raised by `epsilon`.

    Biases keep their parts. A convolution with its batch norm is one layer; a residual addition is a sum of two.
    """
    return _relevance(asked, epsilon, False)


@method("Montavon et al. 2019, Layer-Wise Relevance Propagation: An Overview, section 10.3 and table 10.1")
def lrp_composite(asked: Asked, *, epsilon: float = 1e-6) -> Found:
    """Another rule at each depth: epsilon for linear layers, z-plus for convolutions, z-B for the one at the picture.

    z-plus gives to inputs as their positive parts alone, z-B counts a pixel's value from the lowest and the highest of its
    channel. Both leave the bias out, so that all relevance arrives, unless a sum has no positive part but its bias.
    """
    return _relevance(asked, epsilon, True)


def _relevance(asked: Asked, epsilon: float, composite: bool) -> Found:
    def build(graph: ScoreGraph) -> list[Tensor]:
        return [graph.score, propagate(graph, graph.score * graph.weights, _Rules(graph, epsilon, composite).step)]

    shape = asked.image.shape
    scores, relevance = asked.compute(("lrp", epsilon, composite), build)
    graph = asked.scores.graph(shape)
    note = graph.once(("rules", composite), lambda graph: _Rules(graph, epsilon, composite).told())
    score = asked.value(scores)
    return Found(score, relevance[0], note=note, promised=score)


@dataclass(frozen=True)
class _Stage:
    """A linear layer and the fixed scales and shifts after it, `steps` from the top down: one affine function of `x`."""

    top: Tensor
    steps: tuple[Tensor, ...]
    linear: Tensor | None
    x: Tensor


class _Rules:
    """Which rule each node of a graph follows."""

    def __init__(self, graph: ScoreGraph, epsilon: float, composite: bool) -> None:
        self.graph = graph
        self.epsilon = epsilon
        self.composite = composite
        self.behind = depending(graph.graph.nodes, [graph.image])
        self.whole = composites(graph, (*ACTIVATIONS, *_NORMS))
        self.readers = Counter(value for node in graph.graph.nodes for value in node.inputs)

    def step(self, node: Tensor, relevance: Tensor) -> Parts:
        """What a node hands on to those before it."""
        if node in self.whole:
            return [(self.whole[node].tensors["x"], relevance)]
        values = [i for i in node.inputs if i in self.behind]
        if isinstance(node.op, _UNCHANGED):
            return [(values[0], relevance)]
        if isinstance(node.op, _BY_GRADIENT):
            return gradient_step(node, relevance)
        if self._is_linear(node) or self._affine(node) is not None:
            return self._of_stage(self._stage(node), relevance)
        if len(values) == 2 and isinstance(node.op, Add | Subtract):
            share = relevance / self._stable(node)
            return [(v, part * v) for v, part in gradient_step(node, share) if part is not None]
        if len(values) == 2 and isinstance(node.op, Multiply):  # the signal takes all, its gate nothing
            signals = [v for v in values if v.shape == node.shape]
            return [(v, relevance * (1 / len(signals))) for v in signals]
        raise ScoreError(f"lrp: has no rule for {node.op.kind} ({self.graph.graph.names[node]!r})")

    def told(self) -> str:
        """Which rule applies to how many layers."""
        layers = [n for n in self.graph.graph.nodes if self._is_linear(n) and isinstance(n.op, _LAYERS)]
        return f"rules of the layers: {counted(self._rule(n) for n in reversed(layers))}"

    def _rule(self, linear: Tensor | None) -> str:
        if not self.composite or linear is None or not isinstance(linear.op, Conv2d):
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
        places = tuple(range(min(2, image.ndim - 1), image.ndim))
        low, high = -highest(-image, places, keepdims=True), highest(image, places, keepdims=True)
        return broadcast_to(low, image.shape), broadcast_to(high, image.shape)

    def _stable(self, value: Tensor) -> Tensor:
        """A value moved away from zero by epsilon."""
        return where(value >= 0, value + self.epsilon, value - self.epsilon)
