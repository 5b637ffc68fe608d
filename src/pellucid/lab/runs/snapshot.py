"""A snapshot of training: what each layer makes of one example, its filters, how its gradients stand, and the plane of 2-D data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.explain import Trace, trace
from pellucid.graph import Parameter
from pellucid.lab.maps import LayerMaps, bytes_of
from pellucid.op import Array
from pellucid.pictures.colors import limits
from pellucid.studies.plane import Ends, Plane, ends_of
from pellucid.train.callbacks import StepReport
from pellucid.train.setup import Setup

MOST_MAPS, SIDE, TOP, PLACES = 16, 40, 5, 40
"""Maps and filters of a layer, rows and columns of a map, classes of the example, places along a side of a plane."""
PROBE = 0
"""The example of the validation part that is looked at."""


class Camera:
    """Takes snapshots of the network of a run that is set up."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        validation = setup.data.validation
        self._example = setup.preprocessing.normalize(validation.images(np.array([PROBE])))
        self._target = setup.task.caption(validation, PROBE)
        self._parameters: Sequence[Parameter] = setup.tuning.parameters
        self._kinds = setup.net.layer_kinds()
        self._ends: Ends | None = None

    def taken(self, step: int, report: StepReport | None, before: Sequence[Array] | None) -> dict[str, Any]:
        """How things stand after `step` steps, of which `report` tells the last; `before` are the parameters before it."""
        setup = self.setup
        traced = trace(setup.net, self._example[0], executor=setup.config.executor)
        norms = self._norms(report, before)
        numbers = {
            "loss": None if report is None else report.loss,
            "gradient_norm": None if report is None else report.gradient_norm,
            "learning_rate": None if report is None else report.learning_rate,
        }
        return {
            "step": step,
            "epoch": min(setup.position.epoch + 1, setup.config.epochs),
            **numbers,
            "layers": [self._layer(traced, name, norms) for name in traced],
            "probe": self._probe(),
            "plane": self._plane(),
        }

    def _plane(self) -> dict[str, Any] | None:
        """Of points of a plane the class that the network gives each place."""
        setup = self.setup
        if tuple(setup.data.shape) != (2,) or not setup.task.classes:
            return None
        if self._ends is None:
            self._ends = ends_of(setup.data)
        return Plane.of(setup.predictor, setup.preprocessing, setup.task.classes, self._ends, PLACES).to_dict()

    def _layer(self, traced: Trace, name: str, norms: dict[str, dict[str, Any]]) -> dict[str, Any]:
        values = traced[name].value
        own = {key: told for key, told in norms.items() if key.rpartition(".")[0] == name}
        return {
            "layer": name,
            "operation": self._kinds.get(name, ""),
            "shape": list(values.shape),
            "range": [float(values.min()), float(values.max())],
            "zeros": float((values == 0).mean()),
            "activations": _shown(LayerMaps(traced[name])),
            "filters": self._filters(name),
            "parameters": [{"name": key, **told} for key, told in own.items()],
        }

    def _filters(self, name: str) -> dict[str, Any] | None:
        """The first channel of filters that are pictures."""
        weight = next((p for p in self._parameters if p.name == f"{name}.weight"), None)
        if weight is None or len(weight.shape) != 4:
            return None
        values = weight.value
        shown = np.asarray(values[:MOST_MAPS, 0], np.float32)
        told = bytes_of(shown, limits(shown, True))
        return {"numbers": list(range(len(shown))), "total": len(values), "size": list(values.shape[2:]), **told}

    def _norms(self, report: StepReport | None, before: Sequence[Array] | None) -> dict[str, dict[str, Any]]:
        gradients = None if report is None else report.gradient_norms
        told: dict[str, dict[str, Any]] = {}
        for k, parameter in enumerate(self._parameters):
            value = parameter.value
            weight = _norm(value)
            update = None if before is None else _norm(value - before[k])
            told[parameter.name] = {
                "shape": list(parameter.shape),
                "gradient": None if gradients is None else float(gradients[k]),
                "update": update,
                "weight": weight,
                "ratio": None if update is None or not weight else update / weight,
            }
        return told

    def _probe(self) -> dict[str, Any]:
        """What the network says of the example."""
        setup = self.setup
        outputs = setup.predictor.logits(self._example, setup.task.scores)
        answer = setup.task.answers(outputs)[0]
        return {
            "picture": f"validation[{PROBE}]" if len(setup.data.shape) == 3 else None,
            "input": bytes_of(self._example[0], limits(self._example, False))
            if len(setup.data.shape) == 3
            else setup.data.validation.images(np.array([PROBE]))[0].tolist(),
            "target": self._target,
            "scores": setup.task.guesses(answer, TOP),
        }


def _shown(maps: LayerMaps) -> dict[str, Any]:
    shown = maps.sampled(SIDE)[:MOST_MAPS]
    told = bytes_of(shown, maps.ends)
    return {"numbers": list(range(len(shown))), "total": maps.count, "size": maps.size, **told}


def _norm(values: Array) -> float:
    return float(np.sqrt(np.square(values, dtype=np.float64).sum()))
