"""A formula gate by gate: what goes forward on every edge, and the gradient that comes back on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.autodiff import gradients
from pellucid.errors import ShapeError
from pellucid.executors import run
from pellucid.formulas.expression import SYMBOLS, Expression, gate_label, number_of
from pellucid.formulas.rules import rule_of
from pellucid.graph import Constant, Graph, Tensor, constant
from pellucid.pictures import Answer, Diagram, DiagramBox, DiagramEdge, arranged

TENTH, THOUSANDS = 0.095, 1e4
"""Between these two decimals say what a number is: to two digits at least, and to six at most."""


@dataclass(frozen=True)
class Edge:
    """One input of a gate: its forward value, and downstream = upstream * local; `rule` is the local derivative's formula."""

    source: str
    value: float
    local: float
    upstream: float
    downstream: float
    rule: str = ""


@dataclass(frozen=True)
class Gate:
    """One node: its label (`x*y`, `+1`, `exp`), its forward value, and its edges."""

    name: str
    label: str
    value: float
    gradient: float
    edges: tuple[Edge, ...]

    def forward_words(self) -> str:
        """What the gate computes, in a sentence."""
        taken = " and ".join(f"{edge.source} = {edge.value:z.4g}" for edge in self.edges)
        return f"Forward through {self.label}: of {taken} it makes {self.value:z.4g}."

    def backward_words(self) -> str:
        """What the gate hands back, in a sentence for each input."""
        parts = [
            f"{edge.source} gets {edge.upstream:z.4g} x {edge.local:z.4g} = {edge.downstream:z.4g}"
            + (f", the local derivative being {edge.rule}" if edge.rule else "")
            for edge in self.edges
        ]
        return f"Backward through {self.label}, upstream x local = downstream: {'; '.join(parts)}."


@dataclass(frozen=True)
class FormulaStep:
    """One step of the computation: what is known so far. A gradient that is not computed yet is None, which is not 0.

    `gate` is the gate at work, "" for none; `words` say what happens there.
    """

    name: str
    values: dict[str, float | None]
    gradients: dict[str, float | None]
    gate: str = ""
    words: str = ""


@dataclass(frozen=True)
class ExpressionTrace(Answer):
    """Every number of a formula's forward and backward computation; of one without gates `value` is its variable's or its number."""

    text: str
    value: float
    variables: dict[str, float]
    variable_gradients: dict[str, float]
    gates: tuple[Gate, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "expression": self.text,
            "value": self.value,
            "variables": {
                name: {"value": value, "gradient": self.variable_gradients[name]}
                for name, value in self.variables.items()
            },
            "gates": [
                {
                    "name": gate.name,
                    "gate": gate.label,
                    "value": gate.value,
                    "gradient": gate.gradient,
                    "edges": [vars(edge) for edge in gate.edges],
                }
                for gate in self.gates
            ],
            "steps": [vars(step) for step in self.steps()],
        }

    def steps(self) -> list[FormulaStep]:
        """The computation one node at a time: forward through all gates, then backward from the output."""
        names = [*self.variables, *(gate.name for gate in self.gates)]
        values: dict[str, float | None] = {n: self.variables.get(n) for n in names}
        slopes: dict[str, float | None] = dict.fromkeys(names)
        given = ", ".join(f"{name} = {value:z.4g}" for name, value in self.variables.items())
        steps = [FormulaStep("start", dict(values), dict(slopes), "", f"Given: {given or 'nothing'}.")]
        for gate in self.gates:
            values[gate.name] = gate.value
            steps.append(
                FormulaStep(f"forward {gate.name}", dict(values), dict(slopes), gate.name, gate.forward_words())
            )
        if self.gates:
            last = self.gates[-1].name
            slopes[last] = 1.0
            words = "Backward from here: the result changes with itself at the rate 1."
            steps.append(FormulaStep("backward starts", dict(values), dict(slopes), last, words))
        for gate in reversed(self.gates):
            for edge in gate.edges:
                slopes[edge.source] = (slopes[edge.source] or 0.0) + edge.downstream
            steps.append(
                FormulaStep(f"backward {gate.name}", dict(values), dict(slopes), gate.name, gate.backward_words())
            )
        return steps

    def __str__(self) -> str:
        titles = ("gate", "edge from", "value", "local", "upstream", "downstream")
        rows: list[tuple[str, ...]] = [titles]
        for gate in self.gates:
            rows.append((f"{gate.name} = {gate.value:z.6g}", "", "", "", "", ""))
            for e in gate.edges:
                rows.append(
                    (f"  {gate.label}", e.source, *(f"{v:z.6g}" for v in (e.value, e.local, e.upstream, e.downstream)))
                )
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        widths[0] = max([len("gate"), *(len(r[0]) for r in rows if r[1])])

        def line(row: tuple[str, ...]) -> str:
            left = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
            return "  ".join(left + [c.rjust(w) for c, w in zip(row[2:], widths[2:], strict=True)]).rstrip()

        ends = [
            f"  {name} = {value:z.6g}, gradient {self.variable_gradients[name]:z.10g}"
            for name, value in self.variables.items()
        ]
        return "\n".join([*map(line, rows), f"f = {self.value:z.10g}", *ends])

    def picture(self) -> Diagram:
        """The gates from left to right; above the end of every edge its value, below it the gradient that comes back."""
        passed = [number for gate in self.gates for edge in gate.edges for number in (edge.value, edge.downstream)]
        shown = _labels([self.value, *self.variables.values(), *(gate.value for gate in self.gates), *passed])
        boxes = [DiagramBox(name, (name, f"= {shown(v)}"), "variable") for name, v in self.variables.items()]
        for gate in self.gates:
            kind = "result" if gate is self.gates[-1] else "gate"
            boxes.append(DiagramBox(gate.name, (gate.label, f"= {shown(gate.value)}"), kind))
        boxes = boxes or [DiagramBox(self.text, (self.text, f"= {shown(self.value)}"), "result")]
        edges = [
            DiagramEdge(edge.source, gate.name, shown(edge.value), shown(edge.downstream))
            for gate in self.gates
            for edge in gate.edges
        ]
        return arranged(self.text, boxes, edges, "Above the end of an edge its value, below it the gradient.")

    def svg(self) -> str:
        """`picture` as SVG."""
        return self.picture().svg()


def _labels(values: Sequence[float]) -> Callable[[float], str]:
    """How a picture writes its numbers: with the lecture's two decimals, unless these would hide one of them; then with four digits."""
    plain = all(value == 0 or TENTH <= abs(value) < THOUSANDS for value in values if math.isfinite(value))
    return (lambda value: f"{value:z.2f}") if plain else (lambda value: f"{value:z.4g}")


def trace_expression(expression: Expression) -> ExpressionTrace:
    """Forward values, local derivatives, upstream and downstream gradients of a formula of scalars, in float64."""
    for name, value in expression.values.items():
        if value.shape != ():
            raise ShapeError(f"{name}: a trace follows single numbers, got an array of shape {value.shape}")
    graph = Graph([expression.output])
    gates = [n for n in graph.nodes if n.inputs]
    names = {**{t: n for n, t in expression.inputs.items()}, **_gate_names(gates, graph)}
    moving = [n for n in graph.nodes if not isinstance(n.op, Constant)]
    slopes = gradients(expression.output, moving)
    one = constant(1.0, "float64")
    locals_: list[Tensor] = []
    places: list[tuple[Tensor, int]] = []
    for gate in gates:
        for number, (source, slope) in enumerate(zip(gate.inputs, gate.op.gradient(gate, one), strict=True)):
            if number_of(source) is None and slope is not None:
                locals_.append(slope)
                places.append((gate, number))
    results = run([*moving, *slopes, *locals_], expression.feeds)
    numbers = [float(r) for r in results]
    value = dict(zip(moving, numbers, strict=False))
    gradient = dict(zip(moving, numbers[len(moving) :], strict=False))
    local = dict(zip(places, numbers[2 * len(moving) :], strict=True))
    traced = tuple(
        Gate(
            names[gate],
            gate_label(gate),
            value[gate],
            gradient[gate],
            tuple(
                Edge(
                    names[s],
                    value[s],
                    local[gate, k],
                    gradient[gate],
                    gradient[gate] * local[gate, k],
                    rule_of(gate, k),
                )
                for k, s in enumerate(gate.inputs)
                if (gate, k) in local
            ),
        )
        for gate in gates
    )
    return ExpressionTrace(
        expression.text,
        traced[-1].value if traced else float(run([expression.output], expression.feeds)[0]),
        {name: float(v) for name, v in expression.values.items()},
        {name: gradient.get(t, 0.0) for name, t in expression.inputs.items()},
        traced,
    )


def _gate_names(gates: list[Tensor], graph: Graph) -> dict[Tensor, str]:
    """A name for each gate: the formula below it when short, else its label with a number."""
    texts: dict[Tensor, str] = {}
    taken: set[str] = set()
    names: dict[Tensor, str] = {}
    for node in graph.nodes:
        if not node.inputs:
            number = number_of(node)
            texts[node] = node.name if number is None else f"{number:g}"
            taken.add(texts[node])
    for count, gate in enumerate(gates, 1):
        parts = [texts[i] for i in gate.inputs]
        label = gate_label(gate)
        symbol = SYMBOLS.get(gate.op.kind, "")
        texts[gate] = (
            symbol.join(f"({p})" if not p.isidentifier() else p for p in parts)
            if symbol
            else f"{label}({', '.join(parts)})"
        )
        text = texts[gate] if len(texts[gate]) <= 16 else f"{label} [{count}]"
        while text in taken:
            text += "'"
        taken.add(text)
        names[gate] = text
    return names
