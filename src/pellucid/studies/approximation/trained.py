"""One hidden layer found by training: Adam first, then L-BFGS, on gradients that the engine computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pellucid import nn, ops
from pellucid.autodiff import gradients
from pellucid.executors import Program, compile
from pellucid.graph import Parameter, input
from pellucid.op import Array
from pellucid.seeds import random_numbers
from pellucid.studies.approximation.errors import ApproximationError
from pellucid.studies.approximation.networks import Built, Maker, one_hidden_layer, values_of
from pellucid.studies.approximation.target import TargetFunction, mesh
from pellucid.train.optimizers import Optimizer
from pellucid.train.schedules import factor

ADAM_STEPS, ADAM_RATE = 200, 0.02
QUASI_NEWTON_STEPS = 400
HIGH_POWER = 8
"""After the mean square, the mean of this power of the error is made small: it is near to the largest error."""


WIDEST = 256
"""Hidden units, at most: training more takes minutes, and seldom helps where so many do not."""


def train(target: TargetFunction, seed: int) -> Maker:
    """Networks of `size` hidden tanh units, trained from random weights."""
    return lambda size: _trained(target, size, random_numbers(seed, size))


def _trained(target: TargetFunction, size: int, random: np.random.Generator) -> Built:
    if size > WIDEST:
        raise ApproximationError(f"train: {WIDEST} hidden units are the most that are tried")
    from threadpoolctl import threadpool_limits

    points = mesh(target.axes((400, 40)[target.dimension - 1]))
    wanted = target(points)
    net = _start(target, size, wanted, random)
    with threadpool_limits(1, "blas"):  # matrices of a few hundred numbers: threads cost more than they give
        square = FittingProgram.of(net, points, wanted, float(np.ptp(wanted)) or 1.0, 2)
        square.adam()
        square.quasi_newton()
        high = FittingProgram.of(
            net, points, wanted, float(np.abs(values_of(net, points) - wanted).max()) or 1.0, HIGH_POWER
        )
        high.quasi_newton()
    return Built(net, size, None, "nothing is known of what training finds; the error is measured")


def _start(target: TargetFunction, size: int, wanted: Array, random: np.random.Generator) -> nn.Sequential:
    """Ridges through random points of the box, in random directions, about as wide as `size` of them must be."""
    low, high = np.array(target.box).T
    half = (high - low) / 2
    directions = random.standard_normal((size, target.dimension))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    weight = directions / half * random.uniform(0.5, 1.0 + size ** (1 / target.dimension), (size, 1))
    bias = -(weight * random.uniform(low, high, (size, target.dimension))).sum(1)
    output = random.standard_normal(size) * float(np.std(wanted)) / size
    return one_hidden_layer(weight, bias, nn.Tanh(), output, float(np.mean(wanted)))


@dataclass(frozen=True)
class FittingProgram:
    """Making the mean of a power of the error small, by programs that compute it with its gradients."""

    parameters: Sequence[Parameter]
    feeds: dict[str, Array]
    optimize: Program
    differentiate: Program

    @classmethod
    def of(cls, net: nn.Module, points: Array, wanted: Array, scale: float, power: int) -> FittingProgram:
        """The programs for points (N, dimension) and values (N,); errors are counted in units of `scale`."""
        x, y = input(points.shape, "float64", "x"), input((len(points), 1), "float64", "y")
        loss = ops.mean(((net(x) - y) / scale) ** power)
        parameters = net.parameters()
        slopes = gradients(loss, parameters)
        adam = Optimizer("adam")
        rate, step = input((), "float64", "rate"), input((), "float64", "step")
        updates = adam.updates(parameters, slopes, adam.state(parameters), rate, step)
        feeds = {"x": points, "y": wanted[:, None]}
        return cls(parameters, feeds, compile([loss], updates=updates), compile([loss, *slopes]))

    def adam(self) -> None:
        """Adam, on all points at once, at a rate that falls to 0."""
        for step in range(ADAM_STEPS):
            rate = ADAM_RATE * factor("cosine", step, ADAM_STEPS)
            self.optimize({**self.feeds, "rate": np.float64(rate), "step": np.float64(step + 1)})

    def quasi_newton(self) -> None:
        """L-BFGS (Liu and Nocedal 1989), SciPy's."""
        from scipy.optimize import minimize

        def loss(flat: Array) -> tuple[float, Array]:
            self._assign(flat)
            value, *slopes = self.differentiate(self.feeds)
            return float(value), np.concatenate([s.ravel() for s in slopes])

        start = np.concatenate([p.value.ravel() for p in self.parameters])
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": QUASI_NEWTON_STEPS})
        self._assign(found.x)

    def _assign(self, flat: Array) -> None:
        ends = np.cumsum([p.size for p in self.parameters])[:-1]
        for parameter, part in zip(self.parameters, np.split(flat, ends), strict=True):
            parameter.value = part.reshape(parameter.shape)
