"""Models of parts as arrays and plain data, and back: what a detector's file keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.detect.dpm.histograms import FEATURES
from pellucid.detect.dpm.model import Component, PartsModel, PlacedPart
from pellucid.detect.errors import DetectorError
from pellucid.plain import Array, PlainError, read


def arrays_of(models: Sequence[PartsModel]) -> dict[str, Array]:
    """Weights by the numbers of model, component and filter."""
    found: dict[str, Array] = {}
    for m, model in enumerate(models):
        for c, component in enumerate(model.components):
            if component.predictor is not None:
                found[f"{m}.{c}.predictor"] = component.predictor
            for f, part in enumerate(component.filters):
                found[f"{m}.{c}.{f}.filter"] = part.filter
                found[f"{m}.{c}.{f}.location"] = part.location
                if part.deformation is not None:
                    found[f"{m}.{c}.{f}.deformation"] = part.deformation
    return found


def told_of(models: Sequence[PartsModel]) -> list[dict[str, Any]]:
    """All else, as plain data."""
    return [
        {
            "name": model.name,
            "padding": list(model.padding),
            "threshold": model.threshold,
            "cell": model.cell,
            "interval": model.interval,
            "components": [
                {
                    "window": list(component.window),
                    "biases": [part.bias for part in component.filters],
                    "anchors": [list(part.anchor) for part in component.filters],
                }
                for component in model.components
            ],
        }
        for model in models
    ]


def models_of(arrays: Mapping[str, Array], told: Any) -> list[PartsModel]:
    """The models that `arrays_of` and `told_of` kept. Raises `DetectorError`."""
    try:
        return [_model(arrays, m, each) for m, each in enumerate(read(list[dict[str, Any]], told, "models"))]
    except (PlainError, KeyError, TypeError, ValueError) as error:
        raise DetectorError(f"its numbers do not fit models of parts: {error}") from error


def _model(arrays: Mapping[str, Array], m: int, told: dict[str, Any]) -> PartsModel:
    components: list[Component] = []
    for c, each in enumerate(read(list[dict[str, Any]], told["components"], "components")):
        biases = read(list[float], each["biases"], "biases")
        anchors = read(list[tuple[int, int]], each["anchors"], "anchors")
        filters: list[PlacedPart] = []
        for f, (bias, anchor) in enumerate(zip(biases, anchors, strict=True)):
            own = f"{m}.{c}.{f}."
            weights = np.ascontiguousarray(arrays[f"{own}filter"], np.float32)
            if weights.ndim != 3 or weights.shape[2] != FEATURES:
                raise DetectorError(f"a filter is (rows, columns, {FEATURES}), got {weights.shape}")
            price = arrays[f"{own}deformation"] if f else None
            filters.append(PlacedPart(weights, bias, arrays[f"{own}location"], anchor, price))
        predictor = arrays.get(f"{m}.{c}.predictor")
        window = read(tuple[int, int], each["window"], "window")
        components.append(Component(filters[0], tuple(filters[1:]), window, predictor))
    return PartsModel(
        read(str, told["name"], "name"), tuple(components), read(tuple[int, int], told["padding"], "padding"),
        read(float, told["threshold"], "threshold"), read(int, told["cell"], "cell"), read(int, told["interval"], "interval"),
    )  # fmt: skip
