"""Graphs of a few numbers, evaluated over and over.

A program checks what it is fed and locks what it changes, which for one number costs more than the arithmetic. A race
takes thousands of steps between two frames of a drag.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from pellucid.autodiff import gradients
from pellucid.formulas.expression import expression, names_in
from pellucid.graph import Parameter, Tensor, constant, input, topological
from pellucid.op import Array
from pellucid.tensor import Input
from pellucid.train.optimizers import Optimizer
from pellucid.walks import evaluate


class Tape:
    """The nodes of a graph in order, each computed by its op's reference; what depends on no input is computed once."""

    def __init__(self, outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> None:
        nodes = topological(outputs)
        at = {node: place for place, node in enumerate(dict.fromkeys([*inputs, *nodes]))}
        self._values: list[Array] = [np.zeros(())] * len(at)
        self._count, known = len(inputs), set[Tensor]()
        self._steps: list[tuple[int, Tensor, tuple[int, ...]]] = []
        for node in nodes:
            if isinstance(node, Parameter) or isinstance(node.op, Input):
                continue
            if all(source in known for source in node.inputs):
                known.add(node)
                self._values[at[node]] = evaluate(node, [self._values[at[source]] for source in node.inputs])
            else:
                self._steps.append((at[node], node, tuple(at[source] for source in node.inputs)))
        self._outputs = [at[output] for output in outputs]
        self.size = len(self._steps)

    def __call__(self, values: Sequence[Array]) -> list[Array]:
        """The outputs for values of the inputs; NaN and infinity are values."""
        found = [*values, *self._values[self._count :]]
        for place, node, sources in self._steps:
            found[place] = node.op.reference(*[found[source] for source in sources])
        return [found[place] for place in self._outputs]


def variables(text: str, shape: tuple[int, ...] = ()) -> tuple[Tensor, list[Tensor]]:
    """A formula of x and y as a graph of its own: its output, and x and y, whether or not it has both."""
    zeros = np.zeros(shape)
    used = {name: zeros for name in names_in(text) if name in ("x", "y")}
    made = expression(text, **used)
    both = [made.inputs[name] if name in made.inputs else input(shape, "float64", name) for name in ("x", "y")]
    output = made.output
    if output.shape != shape:  # a formula without x and y
        output = output + both[0] * 0.0
    return output, both


@lru_cache(maxsize=64)
def slopes_of(text: str) -> Tape:
    """From x, y to the value and its two derivatives."""
    output, both = variables(text)
    return Tape([output, *gradients(output, both)], both)


@lru_cache(maxsize=64)
def curvature_of(text: str) -> Tape:
    """From x, y to the three second derivatives: by x twice, by x and y, by y twice."""
    output, both = variables(text)
    by_x, by_y = gradients(output, both)
    return Tape([*gradients(by_x, both), gradients(by_y, both)[1]], both)


@lru_cache(maxsize=64)
def updates_of(optimizer: Optimizer) -> tuple[Tape, int]:
    """From weights (2,), gradient, step size, step number and state to new weights and state; how many arrays of state."""
    weights = Parameter.of(np.zeros(2), name="weights")
    gradient = input((2,), "float64", "gradient")
    rate, step = (input((), "float64", name) for name in ("rate", "step"))
    (state,) = optimizer.state([weights])
    norm = (gradient * gradient).sum() ** 0.5 if optimizer.clip_norm else constant(0.0, "float64")
    updates = optimizer.updates([weights], optimizer.clipped([gradient], norm), [state], rate, step)
    return Tape([updates[weights], *(updates[kept] for kept in state)], [weights, gradient, rate, step, *state]), len(
        state
    )
