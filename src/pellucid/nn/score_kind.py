"""What a network's scores are, as its graph says: logits, probabilities, their logarithms, or a sigmoid of each."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pellucid import ops
from pellucid.graph import Constant, Input, Tensor, apply, topological
from pellucid.op import Array, Op
from pellucid.ops.activation import Sigmoid, Tanh
from pellucid.ops.comparison import Cast, Clip, Maximum, Minimum, StopGradient, Where
from pellucid.ops.convolution import Conv2d, ConvTranspose2d
from pellucid.ops.elementwise import Add, Divide, Erf, Exp, Expm1, Log, Log1p, Multiply, Negative, Power, Sqrt, Subtract
from pellucid.ops.linear import Matmul
from pellucid.ops.pooling import AveragePool2d
from pellucid.ops.reduction import Max, Sum
from pellucid.ops.rounding import Round
from pellucid.ops.shape import BroadcastTo, Concat, Reshape, Transpose
from pellucid.walks import depending

LOGITS, PROBABILITIES, LOG_PROBABILITIES, SIGMOID, UNKNOWN = KINDS = (
    "logits",
    "probabilities",
    "log-probabilities",
    "sigmoid",
    "unknown",
)


@dataclass(frozen=True, eq=False)
class ScoreKind:
    """What the scores of an output are.

    `name` is "logits" (a softmax of them gives the classes' probabilities), "probabilities", "log-probabilities", "sigmoid"
    (a probability of each class for itself; of one score alone that of the second of two classes), or "unknown". `scores`,
    of the output's shape, are what the function `final` is given that makes them; the output itself where there is none.
    """

    name: str
    output: Tensor
    scores: Tensor
    final: str = ""
    rounded: bool = False
    """Whether the output is rounded behind that function, as quantized networks do."""
    axis: int = 1
    """The output's axis along which probabilities add up to 1."""
    reason: str = ""
    """Why nothing is known."""
    normalized: bool = False
    """Whether nothing is known though a softmax or sigmoid has a part in it."""

    def __str__(self) -> str:
        told = {
            LOGITS: "logits, before a softmax",
            PROBABILITIES: "probabilities, that add up to 1",
            LOG_PROBABILITIES: "logarithms of probabilities",
            SIGMOID: "a probability of each class for itself (sigmoid)",
            UNKNOWN: f"not told by the graph ({self.reason})",
        }[self.name]
        if self.name == SIGMOID and self.output.size == self.output.shape[0]:
            told = "the probability of the second of two classes (sigmoid)"
        return told + (f": {self.final} of {self.scores.name!r}" if self.final and self.name != SIGMOID else "")

    @property
    def independent(self) -> bool:
        """Whether every class has a probability of its own, so that several may be likely at once."""
        return self.name == SIGMOID and self.rows.shape[1] > 1

    @cached_property
    def rows(self) -> Tensor:
        """The output as scores (N, K), where its other axes have one element each."""
        return _rows(self.output)

    @cached_property
    def class_scores(self) -> Tensor:
        """Scores (N, K) whose softmax gives the probabilities; where classes are `independent` their sigmoid does.

        One score with a sigmoid gives those of two classes. What is unknown is left as it is.
        """
        exact = bool(self.final) and not self.rounded
        if self.name == PROBABILITIES:
            return _rows(self.scores if exact else _log(self.output))
        if self.name == SIGMOID:
            scores = _rows(self.scores if exact else _log(self.output) - _log(1.0 - self.output))
            return scores if scores.shape[1] > 1 else ops.concat([scores * 0.0, scores], 1)
        return _rows(self.scores) if exact and self.name == LOG_PROBABILITIES else self.rows


def _rows(scores: Tensor) -> Tensor:
    """Scores (N, K) of an output whose other axes have one element."""
    wide = [size for size in scores.shape[1:] if size != 1]
    return (
        ops.reshape(scores, (scores.shape[0], *(wide or [1])))
        if scores.ndim not in (0, 2) and len(wide) < 2
        else scores
    )


def _log(p: Tensor) -> Tensor:
    return ops.log(ops.maximum(p, float(np.finfo(p.dtype).tiny)))


def kind_of_scores(output: Tensor) -> ScoreKind:
    """What the scores `output` (N, K, ...) are: what makes them, behind whatever moves, casts, or rounds them."""
    way = _Way.down(output)
    root = way.end
    if (found := _two_of_one(way)) is not None:
        return ScoreKind(PROBABILITIES, output, found, "softmax", way.rounded)
    if (x := _given_to_sigmoid(root)) is not None:
        if way.is_unit and not way.mixed:
            return ScoreKind(SIGMOID, output, way.up(x), "sigmoid", way.rounded)
        if way.is_complement and not way.mixed:
            return ScoreKind(SIGMOID, output, way.up(-x), "sigmoid", way.rounded)
    for name, final, match in (
        (PROBABILITIES, "softmax", _given_to_softmax(root)),
        (LOG_PROBABILITIES, "log-softmax", given_to_log_softmax(root)),
    ):
        if match is None:
            continue
        x, axis = match
        at = way.axis_of(x, axis)
        if at is None:
            return _unknown(output, f"a {final} over another axis than that of the classes")
        if name == PROBABILITIES and way.is_unit and way.mixed:
            return ScoreKind(name, output, output, axis=at)
        if (way.is_unit if name == PROBABILITIES else way.is_itself) and not way.mixed:
            return ScoreKind(name, output, way.up(x), final, way.rounded, at)
    squashed = "it is one alone" if _rows(output).shape[1:] == (1,) else _squashing(output)
    return _unknown(output, squashed) if squashed else ScoreKind(LOGITS, output, output)


def class_scores(output: Tensor) -> Tensor:
    """The scores (N, K) of classes that an output says, whose softmax (of independent ones: sigmoid) are probabilities."""
    return kind_of_scores(output).class_scores


def taken_for_logits(kind: ScoreKind) -> ScoreKind:
    """The same kind, with a warning where a softmax is going to be taken of what may be probabilities."""
    if kind.normalized:
        warnings.warn(f"what the network's scores are is {kind}; they are taken for logits", stacklevel=3)
    return kind


def _unknown(output: Tensor, reason: str) -> ScoreKind:
    """A kind of which no more is known than why."""
    normalized = "softmax" in reason or any(isinstance(n.op, Sigmoid | Exp) for n in _behind_last_layer(output))
    return ScoreKind(UNKNOWN, output, output, reason=reason, normalized=normalized)


@dataclass
class _Way:
    """The way from an output down to what makes its values: output = factor * end + offset, moved, rounded, kept in a range."""

    end: Tensor
    factor: float = 1.0
    offset: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    rounded: bool = False
    mixed: bool = False
    """Whether values of several places are averaged."""
    moves: list[Op] = field(default_factory=list[Op])

    @classmethod
    def down(cls, output: Tensor) -> _Way:
        """The way as far as it goes."""
        way = cls(output)
        while way._step():
            pass
        return way

    @property
    def is_unit(self) -> bool:
        """Whether values from 0 to 1 arrive as they are, but for what rounding and guards against 0 take."""
        return self.is_itself and abs(self.offset) < 1e-3 and self.low < 0.02

    @property
    def is_itself(self) -> bool:
        """Whether values up to 1 that matter arrive as they are."""
        return abs(self.factor - 1) < 1e-3 and abs(self.offset) < 1e-3 and (self.high > 0.98 or self.high == 0)

    @property
    def is_complement(self) -> bool:
        """Whether p arrives as 1 - p."""
        return abs(self.factor + 1) < 1e-3 and abs(self.offset - 1) < 1e-3 and self.low < 0.02 and self.high > 0.98

    def up(self, x: Tensor) -> Tensor:
        """What stands in the place of the end, moved as the output is."""
        for op in reversed(self.moves):
            x = apply(op, x)
        return x

    def axis_of(self, x: Tensor, axis: int) -> int | None:
        """The output's axis along which the elements of an axis of the end lie; None where they do not lie along one."""
        numbers = np.arange(float(x.shape[axis])).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
        places: Array = np.broadcast_to(numbers, x.shape)
        for op in reversed(self.moves):
            places = places.max(op.axes, keepdims=op.keepdims) if isinstance(op, Sum) else op.reference(places)
        for at in range(1, places.ndim):
            line = np.moveaxis(places, at, 0)
            first = line.reshape(len(line), -1)[:, 0]
            if np.array_equal(np.sort(first), numbers.reshape(-1)):
                along = (line == first.reshape(-1, *[1] * (places.ndim - 1))).all()
                return at if along else None
        return None

    def _step(self) -> bool:
        """One node further down, if the values come from one tensor there."""
        op, inputs = self.end.op, self.end.inputs
        if isinstance(op, Reshape | Transpose | Sum | AveragePool2d):
            self.moves.append(op)
            self.mixed |= isinstance(op, Sum | AveragePool2d)
            self.factor *= inputs[0].size / self.end.size if isinstance(op, Sum) else 1
        elif isinstance(op, Round):
            self.rounded = True
        elif isinstance(op, Clip):
            self._keep(op.low, op.high)
        elif isinstance(op, Where) and _number(inputs[2]) == 0 and not _sees(inputs[0]):  # dropout
            self.end = inputs[1]
            below = _one_and_number(self.end)
            self.end = below[0] if below is not None and isinstance(self.end.op, Multiply) else self.end
            return True
        elif (pair := _one_and_number(self.end)) is not None:
            self._scale(op, *pair)
            return True
        elif not isinstance(op, Cast | StopGradient):
            return False
        self.end = inputs[0]
        return True

    def _keep(self, low: float, high: float) -> None:
        ends = sorted(self.factor * end + self.offset for end in (low, high))
        self.low, self.high = max(self.low, ends[0]), min(self.high, ends[1])

    def _scale(self, op: Op, below: Tensor, number: float, first: bool) -> None:
        """Through an operation with a number, which stands first or second."""
        if isinstance(op, Maximum | Minimum):
            self._keep(*((number, math.inf) if isinstance(op, Maximum) else (-math.inf, number)))
        elif isinstance(op, Add | Subtract):
            self.offset += self.factor * (-number if isinstance(op, Subtract) and not first else number)
            self.factor *= -1 if isinstance(op, Subtract) and first else 1
        else:
            self.factor *= 1 / number if isinstance(op, Divide) else number
        self.end = below


def _number(node: Tensor) -> float | None:
    """The number that a constant holds everywhere."""
    while isinstance(node.op, Reshape | BroadcastTo | Cast):
        (node,) = node.inputs
    if not isinstance(node.op, Constant) or not node.size:
        return None
    value = node.op.value
    return float(value.flat[0]) if (value == value.flat[0]).all() else None


def _one_and_number(node: Tensor) -> tuple[Tensor, float, bool] | None:
    """The tensor and the number that an operation is of, and whether the number stands first."""
    if isinstance(node.op, Negative):
        return None
    if not isinstance(node.op, Add | Subtract | Multiply | Divide | Maximum | Minimum):
        return None
    for first, (number, other) in enumerate((node.inputs[::-1], node.inputs)):
        value = _number(number)
        if value is None or other.size != node.size or (isinstance(node.op, Divide) and (first or not value)):
            continue
        if value or not isinstance(node.op, Multiply):
            return other, value, bool(first)
    return None


def _sees(node: Tensor) -> bool:
    """Whether an input of floats, a picture, has a part in a value."""
    return any(isinstance(n.op, Input) and n.dtype.startswith("float") for n in topological([node]))


def _given_to_sigmoid(node: Tensor) -> Tensor | None:
    """x, if `node` is sigmoid(x), or 1 / (1 + e^-x)."""
    if isinstance(node.op, Sigmoid):
        return node.inputs[0]
    if isinstance(node.op, Divide) and _number(node.inputs[0]) == 1:
        below = _Way.down(node.inputs[1])
        if isinstance(below.end.op, Exp) and below.factor == below.offset == 1 and not below.moves:
            return -below.end.inputs[0]
    return None


def _given_to_softmax(node: Tensor) -> tuple[Tensor, int] | None:
    """x and the axis, if `node` is e^x / sum of e^x, or e^log_softmax(x)."""
    if isinstance(node.op, Exp):
        return given_to_log_softmax(node.inputs[0])
    if not isinstance(node.op, Divide):
        return None
    raised, total = node.inputs
    return _raised(raised, total)


def given_to_log_softmax(node: Tensor) -> tuple[Tensor, int] | None:
    """x and the axis, if `node` is x - log sum of e^x, or log softmax(x)."""
    if isinstance(node.op, Log):
        way = _Way.down(node.inputs[0])
        return None if way.mixed or way.moves or not way.is_unit else _given_to_softmax(way.end)
    if not isinstance(node.op, Subtract):
        return None
    x, logarithm = node.inputs
    peak = None
    if isinstance(logarithm.op, Add):
        logarithm, peak = logarithm.inputs
    if not isinstance(logarithm.op, Log) or not isinstance(logarithm.inputs[0].op, Sum):
        return None
    total = logarithm.inputs[0]
    raised = total.inputs[0]
    found = _raised(raised, total)
    if found is None:
        return None
    given = raised.inputs[0]
    fits = given is x if peak is None else (isinstance(given.op, Subtract) and given.inputs == (x, peak))
    return found if fits else None


def _raised(raised: Tensor, total: Tensor) -> tuple[Tensor, int] | None:
    """x and the axis, if `raised` is e^x, or e^(x - max x), and `total` its sum along one axis."""
    while isinstance(total.op, BroadcastTo | Reshape):
        (total,) = total.inputs
    if not isinstance(total.op, Sum) or not isinstance(raised.op, Exp) or total.inputs[0] is not raised:
        return None
    if len(total.op.axes) != 1 or not total.op.keepdims:
        return None
    x, (axis,) = raised.inputs[0], total.op.axes
    if isinstance(x.op, Subtract):
        peak = x.inputs[1]
        while isinstance(peak.op, StopGradient | BroadcastTo):
            (peak,) = peak.inputs
        if isinstance(peak.op, Max) and peak.op.axes == (axis,) and peak.inputs[0] is x.inputs[0]:
            x = x.inputs[0]
    return x, axis


def _two_of_one(way: _Way) -> Tensor | None:
    """The scores of two classes whose probabilities are 1 - p and p, of one p = sigmoid(x), in either order."""
    if not isinstance(way.end.op, Concat) or len(way.end.inputs) != 2 or way.mixed or not way.is_unit:
        return None
    ways = [_Way.down(part) for part in way.end.inputs]
    if ways[0].end is not ways[1].end or any(w.mixed for w in ways):
        return None
    x = _given_to_sigmoid(ways[0].end)
    if x is None or {w.is_unit for w in ways} != {True, False} or not any(w.is_complement for w in ways):
        return None
    scores = [w.up(x) * (1.0 if w.is_unit else 0.0) for w in ways]
    joined = apply(way.end.op, *scores)
    return way.up(joined) if way.axis_of(joined, way.end.op.axis) is not None else None


_LAYERS = (Conv2d, ConvTranspose2d, Matmul)
_SQUASHING = (Sigmoid, Tanh, Exp, Expm1, Log, Log1p, Erf, Sqrt, Power, Clip)


def _behind_last_layer(output: Tensor) -> list[Tensor]:
    """The nodes between the last layers with weights and the output, this one first; none where there is no such layer."""
    nodes = topological([output])
    seeing = depending(nodes, [n for n in nodes if isinstance(n.op, Input)])
    waiting = [output] if any(isinstance(n.op, _LAYERS) for n in nodes) else []
    found: dict[Tensor, None] = {}
    while waiting:
        node = waiting.pop()
        if node not in found and not isinstance(node.op, _LAYERS):
            found[node] = None
            waiting += [i for i in node.inputs if i in seeing]
    return list(found)


def _squashing(output: Tensor) -> str:
    """What bends the scores behind the last layer, in words; "" where nothing does."""
    for node in _behind_last_layer(output):
        if isinstance(node.op, _SQUASHING) and not _quantizes(node):
            return f"{node.op.kind} behind the last layer, {node.name!r}"
        if isinstance(node.op, Divide) and _number(node.inputs[1]) is None and _sees(node.inputs[1]):
            return f"divided by a value of its own behind the last layer, {node.name!r}"
    return ""


def _quantizes(node: Tensor) -> bool:
    """Whether it keeps rounded numbers within the range of an integer type."""
    return isinstance(node.op, Clip) and _Way.down(node).rounded
