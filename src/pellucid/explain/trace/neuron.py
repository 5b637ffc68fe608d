"""One number of a network: the sum that makes it, term by term, its activation, what it sees and what reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pellucid.autodiff import gradients
from pellucid.executors import run
from pellucid.explain.trace.drawn_sums import drawn_terms
from pellucid.explain.trace.expansion import LOG_SUM_EXP, Expansion, without_batch
from pellucid.explain.trace.terms import Factor, Index, Summand, Terms
from pellucid.graph import Graph, Tensor, apply, input
from pellucid.inference.values import Values
from pellucid.nn.interface import main_input
from pellucid.nn.known import Constants
from pellucid.nn.reach import Given, follow
from pellucid.nn.receptive_field import Fields, Range, in_words
from pellucid.ops.elementwise import Negative
from pellucid.pictures import Answer, Grid, Page
from pellucid.text import WIDTH, named_table, wrapped


@dataclass(frozen=True)
class Summands(Answer):
    """A number as a sum of terms; `value` is what the engine computed, `total` what the terms add up to."""

    name: str
    index: Index
    value: float
    terms: Terms

    @classmethod
    def of(
        cls, values: Values, names: Mapping[Tensor, str], stops: frozenset[Tensor], node: Tensor, index: Index
    ) -> Summands:
        """The sum that makes an element of `node`, down to elements of the nodes in `stops`, parameters and inputs."""
        found = Expansion(values, names, stops).terms(node, index)
        name, place = names.get(node, node.name), without_batch(node, index)
        return cls(name, place, float(values.of(node)[index]), found)

    @property
    def total(self) -> float:
        """Sum of the terms."""
        with np.errstate(invalid="ignore"):  # infinities that are opposite add up to no number
            return float(self.terms.values.sum())

    @property
    def magnitude(self) -> float:
        """Sum of the terms' absolute values: rounding errors of the sum are small beside it."""
        return float(np.abs(self.terms.values).sum())

    def strongest(self, count: int) -> list[Summand]:
        """The terms of the largest absolute value, strongest first."""
        return [self.terms[k] for k in self.terms.strongest(count)]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.name,
            "index": list(self.index),
            "value": self.value,
            "sum": self.total,
            "terms": [
                {
                    "value": t.value,
                    "factors": [
                        {"name": f.name, "index": list(f.index), "value": f.value, "inverse": f.inverse}
                        for f in t.factors
                    ],
                }
                for t in self.terms
            ],
        }

    def cells(self, count: int = 12) -> tuple[list[str], list[list[str]]]:
        """Column titles and text cells of the strongest terms, and of the rest together."""
        shown = self.strongest(count)
        rows = [
            [" x ".join(map(str, t.factors)), " x ".join(_number(f) for f in t.factors), f"{t.value:+z.6g}"]
            for t in shown
        ]
        if len(self.terms) > len(shown):
            rest = self.total - sum(t.value for t in shown)
            rows.append([f"{len(self.terms) - len(shown)} more terms", "", f"{rest:+z.6g}"])
        return ["term", "factors", "product"], [*rows, ["sum", "", f"{self.total:+z.6g}"]]

    def __str__(self) -> str:
        table = named_table(*self.cells(), "llr", WIDTH)
        place = f"[{','.join(map(str, self.index))}]" if self.index else ""
        return f"{self.name}{place} = {self.value:z.6g}\n{table}"

    def words(self) -> list[str]:
        """What is to be said beside the terms."""
        return []

    def picture(self) -> Page:
        """The terms as a table, as bars and, of a convolution, as maps of what is read, the weights and the products."""
        titles, rows = self.cells()
        title = str(self).partition("\n")[0]
        return Page(title, (Grid(titles, rows, "llr"), *self.words(), *drawn_terms(self.terms)))


@dataclass(frozen=True)
class Nonlinearity:
    """An activation function at one element: what it is given, what it gives, and its derivative there."""

    name: str
    function: str
    given: float
    value: float
    derivative: float


@dataclass(frozen=True)
class SeenField:
    """What an element sees of one input: exactly these rows and columns, or at most."""

    rows: Range
    columns: Range
    exact: bool
    words: str


@dataclass(frozen=True)
class Neuron(Summands):
    """One element of a layer's output.

    `receptive_field` is what it sees of the picture, ((first row, last row + 1), (first column, last column + 1)), None
    where it sees none of it: exactly that if `field_exact`, at most that if what it sees depends on the picture. `fields`
    has the same of every input that it sees, in words too; of what is no picture rows are the last axis but one, as the
    channels of a signal (N, C, L) are.
    `activation` is the function that makes the value of the sum, or is applied to it next. `feeds` says how many elements
    of which layers read it.
    """

    operation: str
    receptive_field: tuple[Range, Range] | None
    field_exact: bool
    activation: Nonlinearity | None
    feeds: dict[str, int]
    fields: dict[str, SeenField]
    probability: float | None = None
    """Of a class's score what it says of the class's probability, where the graph tells that."""

    @property
    def preactivation(self) -> float:
        """What the terms add up to, as the engine computed it: what the layer's own activation is given, or the value."""
        own = self.activation is not None and self.activation.name == self.name
        return self.activation.given if self.activation is not None and own else self.value

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        activation = None if self.activation is None else vars(self.activation)
        return {
            **super().to_dict(),
            "operation": self.operation,
            "receptive_field": self.receptive_field,
            "field_exact": self.field_exact,
            "activation": activation,
            "feeds": self.feeds,
            "fields": {name: asdict(seen) for name, seen in self.fields.items()},
            "probability": self.probability,
        }

    def words(self) -> list[str]:
        """The activation function, the receptive field and who reads it."""
        lines: list[str] = []
        if self.probability is not None:
            lines.append(f"as a probability: {self.probability:.2%}")
        if sums := self._log_sums():
            lines.append(
                f"{sums[0]} is the logarithm of the sum of e^score over all classes; a class's score minus that is the "
                "logarithm of its probability"
            )
        if self.activation is not None:
            a = self.activation
            lines.append(f"{a.function}({a.given:z.6g}) = {a.value:z.6g} at {a.name!r}, derivative {a.derivative:z.6g}")
        lines += [f"sees{'' if seen.exact else ' at most'} {seen.words}" for seen in self.fields.values()]
        if self.feeds:
            lines.append("feeds " + ", ".join(f"{count} of {name}" for name, count in self.feeds.items()))
        return lines

    def _log_sums(self) -> list[str]:
        """What in its terms is a logarithm of a sum of exponentials, by name."""
        names = (c.name.removeprefix("-") for block in self.terms.blocks for c in block.columns)
        return [name for name in names if name.startswith(f"{LOG_SUM_EXP}(")]

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *map(wrapped, self.words())])


def find_neuron(
    graph: Graph,
    values: Values,
    stops: frozenset[Tensor],
    node: Tensor,
    index: Index,
    seen: Mapping[Tensor, Mapping[Tensor, Fields]],
) -> Neuron:
    """Everything about one element of `node`; `seen` has what nodes see of each input."""
    names = graph.names
    readers = [n for n in graph.nodes if any(i is node for i in n.inputs)]
    own = _nonlinearity(values, names, node, index)
    following = _nonlinearity(values, names, readers[0], index) if len(readers) == 1 and own is None else None
    summed = node.inputs[0] if own is not None else node
    parts = Summands.of(values, names, stops - {summed}, summed, index)
    fields = _fields(seen, node, index)
    own_field = fields.get(main_input(graph.inputs).name)
    return Neuron(
        names[node],
        without_batch(node, index),
        float(values.of(node)[index]),
        parts.terms,
        (type(node.op).__doc__ or node.op.kind).strip().partition("\n")[0],
        None if own_field is None else (own_field.rows, own_field.columns),
        own_field is None or own_field.exact,
        own or following,
        {names[_output_of_layer(graph, r)]: count for r in readers if (count := _reached(r, node, index))},
        fields,
    )


def _fields(seen: Mapping[Tensor, Mapping[Tensor, Fields]], node: Tensor, index: Index) -> dict[str, SeenField]:
    """What an element sees of each input that has places."""
    found: dict[str, SeenField] = {}
    for source, fields in seen.items():
        field = fields.get(node)
        bounds = None if field is None else field.at(index)
        if field is not None and bounds is not None:
            found[source.name] = SeenField(*bounds, field.exact, in_words(source, bounds))
    return found


def _output_of_layer(graph: Graph, node: Tensor) -> Tensor:
    """The output of the layer that `node` is a part of, of that very call; or the node itself."""
    inside = {node}
    for later in graph.nodes:
        if later in inside or not inside.isdisjoint(later.inputs):
            if later.is_named and node.name.startswith(f"{later.name}/"):
                return later
            if not later.is_named:
                inside.add(later)
    return node


def _number(factor: Factor) -> str:
    return f"{'1 / ' if factor.inverse else ''}{factor.value:z.5g}"


def _nonlinearity(values: Values, names: Mapping[Tensor, str], node: Tensor, index: Index) -> Nonlinearity | None:
    """The function that `node` applies to the element at `index` of its only input, if it is one."""
    if not node.op.elementwise or len(node.inputs) != 1 or isinstance(node.op, Negative):
        return None
    if not (node.dtype.startswith("float") and node.inputs[0].dtype.startswith("float")):
        return None
    given = float(values.of(node.inputs[0])[index])
    x = input((), "float64", "x")
    y = apply(node.op, x)
    derivative = run(gradients(y, [x]), {x: np.float64(given)}, "reference")[0]
    value = float(values.of(node)[index])
    return Nonlinearity(names[node], node.op.kind, given, value, float(derivative))


def _reached(reader: Tensor, node: Tensor, index: Index) -> int:
    """How many elements of `reader` the element of `node` has a part in; 0 where that depends on values."""
    if reader.op.elementwise and len(reader.inputs) == 1:
        return 1
    only = np.zeros(node.shape, np.int32)
    only[index] = 1
    reach, exact = follow(reader, Given(tuple(only if i is node else None for i in reader.inputs), Constants()))
    return int(np.broadcast_to(reach, reader.shape).sum()) if exact else 0
