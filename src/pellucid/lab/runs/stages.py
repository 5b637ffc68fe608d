"""One step of training in slow motion: forward, loss, backward, update, each with its numbers, of the very graph of the step."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.data import Batch
from pellucid.executors import Program, compile
from pellucid.graph import Graph, Parameter, Tensor
from pellucid.inference.layers import outputs_of_layers
from pellucid.op import Array
from pellucid.train.setup import Setup

EXAMPLES, TOP = 5, 5
"""Examples of the batch that are told, and classes of each."""


class SlowMotion:
    """Computes steps of a run before they are done, and changes nothing."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._kinds = setup.net.layer_kinds()
        self._programs: dict[int, tuple[dict[str, Tensor], Program]] = {}

    def stages(self, batch: Batch, rate: float, step: int) -> dict[str, Any]:
        """The four stages of step number `step`, which is computed in one part."""
        ((graph, feeds),) = self.setup.stepper.in_parts(batch, rate, step)
        size = len(batch.images)
        if size not in self._programs:
            assert graph.scores is not None
            layers = outputs_of_layers(Graph([graph.scores]))
            wanted = (*layers.values(), graph.scores, graph.loss, graph.gradient_norm, *graph.gradients)
            new = tuple(graph.updates[p] for p in self._parameters)
            self._programs[size] = layers, compile([*wanted, *new], **self.setup.stepper.setting)
        layers, program = self._programs[size]
        values = iter(program({name: feeds[name] for name in (i.name for i in program.graph.inputs)}))
        activations = [next(values) for _ in layers]
        scores, loss, norm = (np.asarray(next(values)) for _ in range(3))
        gradients = [next(values) for _ in self._parameters]
        after = [next(values) for _ in self._parameters]
        return {
            "step": step,
            "examples": size,
            "rate": rate,
            "stages": [
                self._forward(dict(zip(layers, activations, strict=True)), size),
                self._loss(scores, float(loss), batch),
                self._backward(gradients, float(norm)),
                self._update(gradients, after, rate),
            ],
        }

    @property
    def _parameters(self) -> list[Parameter]:
        return list(self.setup.tuning.parameters)

    def _forward(self, values: dict[str, Array], size: int) -> dict[str, Any]:
        rows = [
            {
                "layer": name,
                "operation": self._kinds.get(name, ""),
                "shape": list(value.shape),
                "mean": float(value.mean()),
                "low": float(value.min()),
                "high": float(value.max()),
                "zeros": float((value == 0).mean()),
                "finite": bool(np.isfinite(value).all()),
            }
            for name, value in values.items()
        ]
        return {
            "name": "forward",
            "says": f"{size} examples go through the layers together; each layer gives its numbers to the next.",
            "layers": rows,
        }

    def _loss(self, scores: Array, loss: float, batch: Batch) -> dict[str, Any]:
        task = self.setup.task
        answers = task.answers(scores[:EXAMPLES])
        told = [
            {"target": _target(target, getattr(task, "classes", ())), "scores": task.guesses(answer, TOP)}
            for answer, target in zip(answers, batch.targets, strict=False)
        ]
        says = f"One number says how wrong the scores are, on average over the batch: {loss:.4g}."
        return {"name": "loss", "says": says, "loss": loss, "examples": told}

    def _backward(self, gradients: list[Array], norm: float) -> dict[str, Any]:
        rows = [
            {
                "name": p.name,
                "shape": list(p.shape),
                "gradient": _norm(gradient),
                "largest": float(np.abs(gradient).max()),
            }
            for p, gradient in zip(self._parameters, gradients, strict=True)
        ]
        return {
            "name": "backward",
            "says": f"From the loss back to every weight: how the loss would change with it. All together are {norm:.4g} long.",
            "gradient_norm": norm,
            "parameters": rows,
        }

    def _update(self, gradients: list[Array], after: list[Array], rate: float) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        for p, new in zip(self._parameters, after, strict=True):
            weight, update = _norm(p.value), _norm(new - p.value)
            rows.append(
                {"name": p.name, "weight": weight, "update": update, "ratio": update / weight if weight else None}
            )
        k = next((k for k, p in enumerate(self._parameters) if len(p.shape) > 1), 0)
        parameter, gradient, new = self._parameters[k], gradients[k], after[k]
        place = np.unravel_index(int(np.abs(gradient).argmax()), gradient.shape)
        one = {
            "name": f"{parameter.name}[{','.join(map(str, place))}]",
            "before": float(parameter.value[place]),
            "gradient": float(gradient[place]),
            "update": float(new[place] - parameter.value[place]),
            "after": float(new[place]),
        }
        name = self.setup.config.optimizer
        says = f"{name} moves every weight against its gradient, at a learning rate of {rate:.3g}."
        return {"name": "update", "says": says, "parameters": rows, "one": one}


def _target(target: Any, classes: tuple[str, ...]) -> Any:
    """A target as it is read: the name of its class, or its numbers."""
    value = np.asarray(target)
    return classes[int(value)] if classes and value.ndim == 0 and value.dtype.kind in "iu" else value.tolist()


def _norm(values: Array) -> float:
    return float(np.sqrt(np.square(values, dtype=np.float64).sum()))
