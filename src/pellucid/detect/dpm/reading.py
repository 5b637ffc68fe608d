"""Models that the authors' MATLAB code trained (release 5, .mat), read as data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.detect.dpm.histograms import FEATURES, mirrored
from pellucid.detect.dpm.mat_file import parse_mat, read_mat
from pellucid.detect.dpm.model import Component, PartsModel, PlacedPart
from pellucid.detect.errors import DetectorError
from pellucid.plain import Array

LARGEST = 64
"""Cells that a filter has at most to a side."""
MOST_FILTERS = 2000
"""Of a model."""


def read_model(path: str | Path) -> PartsModel:
    """The model of a .mat file. Raises `DetectorError`, naming what was expected."""
    return _Source(str(path), read_mat(path)).model()


def parse_model(data: bytes, name: str) -> PartsModel:
    """The model of a .mat file's bytes."""
    return _Source(name, parse_mat(data, name)).model()


class _Source:
    """The variables of a file: numbers in it count from 1."""

    def __init__(self, name: str, variables: dict[str, Any]) -> None:
        self.name = name
        self.told = self.structure(variables.get("model"), "variable model")

    def wrong(self, what: str, wanted: str, got: object) -> DetectorError:
        return DetectorError(f"{self.name}: {what} wants {wanted}, got {got!r:.60}")

    def structure(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(what, "a structure", type(value).__name__ if value is not None else "nothing")
        return value

    def field(self, value: Any, name: str, what: str) -> Any:
        found = self.structure(value, what)
        if name not in found:
            raise self.wrong(what, f"a field {name}", ", ".join(found))
        return found[name]

    def array(self, value: Any, what: str, count: int | None = None) -> Array:
        """Finite numbers, flat."""
        value = np.array([value]) if isinstance(value, float) else value
        if not isinstance(value, np.ndarray) or (count is not None and value.size != count):
            wanted = "numbers" if count is None else f"{count} numbers"
            raise self.wrong(what, wanted, value.shape if isinstance(value, np.ndarray) else type(value).__name__)
        if not np.isfinite(value).all():
            raise self.wrong(what, "finite numbers", "others")
        return value.reshape(-1, order="F")

    def number(self, value: Any, what: str) -> float:
        return float(self.array(value, what, 1)[0])

    def whole(self, value: Any, what: str, low: int, high: int) -> int:
        found = self.number(value, what)
        if not found.is_integer() or not low <= found <= high:
            raise self.wrong(what, f"a whole number from {low} to {high}", found)
        return int(found)

    def listed(self, value: Any, what: str) -> Sequence[Any]:
        """Values of a cell or structures; a single structure is one."""
        if isinstance(value, dict):
            return [value]
        if not isinstance(value, list):
            raise self.wrong(what, "a list of structures", type(value).__name__)
        return value

    def one_of(self, name: str, number: Any, what: str) -> Any:
        """The structure with a number, of those that the model has of a name."""
        there = self.listed(self.field(self.told, name, "model"), f"model.{name}")
        return there[self.whole(number, what, 1, len(there)) - 1]

    def model(self) -> PartsModel:
        kind = self.field(self.told, "type", "model")
        if kind != "M":
            raise DetectorError(
                f"{self.name}: is a grammar of type {kind!r:.20}; a mixture of components (type 'M') can be read"
            )
        features = self.field(self.told, "features", "model")
        for name, wanted in (("dim", FEATURES), ("truncation_dim", FEATURES), ("extra_octave", 0)):
            self.whole(self.field(features, name, "features"), f"features.{name}", wanted, wanted)
        bias = self.number(self.field(features, "bias", "features"), "features.bias")
        start = self.whole(self.field(self.told, "start", "model"), "model.start", 1, 10**6)
        rules = self.listed(self.field(self.told, "rules", "model"), "model.rules")
        if start > len(rules):
            raise self.wrong("model.start", f"one of {len(rules)} rules", start)
        structural = self.listed(rules[start - 1], "rules of the start")
        if not 1 <= len(structural) <= MOST_FILTERS:
            raise self.wrong("rules of the start", f"1 to {MOST_FILTERS} components", len(structural))
        predictors = self.predictors(len(structural))
        components = tuple(
            self.component(rule, f"component {k}", bias, predictor)
            for k, (rule, predictor) in enumerate(zip(structural, predictors, strict=True), 1)
        )
        rows, columns = self.array(self.field(self.told, "maxsize", "model"), "model.maxsize", 2).tolist()
        name = self.field(self.told, "class", "model")
        if not isinstance(name, str) or not name.strip():
            raise self.wrong("model.class", "a name", name)
        return PartsModel(
            name.strip(),
            components,
            (self.whole(rows, "rows of model.maxsize", 1, LARGEST),
             self.whole(columns, "columns of model.maxsize", 1, LARGEST)),
            self.number(self.field(self.told, "thresh", "model"), "model.thresh"),
            2 * self.whole(self.number(self.field(self.told, "sbin", "model"), "model.sbin") / 2, "half of model.sbin", 1, 32),
            self.whole(self.field(self.told, "interval", "model"), "model.interval", 1, 40),
        )  # fmt: skip

    def predictors(self, count: int) -> list[Any]:
        there = self.told.get("bboxpred")
        if there is None or (isinstance(there, np.ndarray) and not there.size):
            return [None] * count
        found = self.listed(there, "model.bboxpred")
        if len(found) != count:
            raise self.wrong("model.bboxpred", f"one for each of {count} components", len(found))
        return list(found)

    def weights(self, holder: Any, what: str, count: int | None = None) -> Array:
        """Of the block that a rule names."""
        label = self.field(holder, "blocklabel", what)
        block = self.one_of("blocks", label, f"{what}.blocklabel")
        return self.array(self.field(block, "w", "a block"), f"weights of {what}", count)

    def component(self, rule: Any, what: str, bias: float, predictor: Any) -> Component:
        symbols = self.array(self.field(rule, "rhs", what), f"{what}: rhs").tolist()
        anchors = self.listed(self.field(rule, "anchor", what), f"{what}: anchor")
        if not 1 <= len(symbols) <= MOST_FILTERS or len(anchors) != len(symbols):
            raise self.wrong(f"{what}: anchor", f"one for each of {len(symbols)} filters, at least one", len(anchors))
        made = [
            self.part(symbol, anchor, f"{what}, filter {k}", bias, k == 0)
            for k, (symbol, anchor) in enumerate(zip(symbols, anchors, strict=True))
        ]
        (root, _), parts = made[0], made[1:]
        own = float(self.weights(self.field(rule, "offset", what), f"{what}: offset", 1)[0]) * bias
        location = self.weights(self.field(rule, "loc", what), f"{what}: loc", 3)
        rows, columns = self.array(self.field(rule, "detwindow", what), f"{what}: detwindow", 2).tolist()
        shift = self.array(rule["shiftwindow"], f"{what}: shiftwindow", 2) if "shiftwindow" in rule else np.zeros(2)
        if shift.any():
            raise self.wrong(f"{what}: shiftwindow", "zeros", shift.tolist())
        return Component(
            PlacedPart(root.filter, root.bias + own, root.location + location),
            tuple(part for part, _ in parts),
            (self.whole(rows, f"{what}: detwindow", 1, LARGEST),
             self.whole(columns, f"{what}: detwindow", 1, LARGEST)),
            None if predictor is None else self.predictor(predictor, [number for _, number in made], what),
        )  # fmt: skip

    def part(self, symbol: Any, anchor: Any, what: str, bias: float, root: bool) -> tuple[PlacedPart, int]:
        """What a symbol stands for, and its filter's number."""
        rules = self.listed(self.field(self.told, "rules", "model"), "model.rules")
        choices = self.listed(rules[self.whole(symbol, f"{what}: symbol", 1, len(rules)) - 1], f"{what}: rule")
        if len(choices) != 1 or self.field(choices[0], "type", f"{what}: rule") != "D":
            raise self.wrong(f"{what}: rule", "one rule of type D", f"{len(choices)} rules")
        rule = choices[0]
        terminal = self.one_of("symbols", self.field(rule, "rhs", what), f"{what}: rhs")
        number = self.field(terminal, "filter", f"{what}: symbol")
        weights, place = self.filter(number, what)
        holder = self.field(rule, "def", what)
        price = self.weights(holder, f"{what}: def", 4).copy()
        if self.whole(self.field(holder, "flip", what), f"{what}: def.flip", 0, 1):
            price[1] = -price[1]
        own = float(self.weights(self.field(rule, "offset", what), f"{what}: offset", 1)[0]) * bias
        location = self.weights(self.field(rule, "loc", what), f"{what}: loc", 3)
        x, y, doublings = self.array(anchor, f"{what}: anchor", 3).tolist()
        at = tuple(self.whole(v, f"{what}: anchor", -4 * LARGEST, 4 * LARGEST) for v in (x, y))
        if doublings != (0 if root else 1) or (root and at != (0, 0)):
            wanted = "(0, 0, 0) for the root" if root else "(x, y, 1) for a part"
            raise self.wrong(f"{what}: anchor", wanted, [x, y, doublings])
        return PlacedPart(weights, own, location, (at[0], at[1]), None if root else price), place

    def filter(self, number: Any, what: str) -> tuple[Array, int]:
        """A filter's weights float32 (rows, columns, 32), and its number."""
        place = self.whole(number, f"{what}: number", 1, MOST_FILTERS)
        one = self.one_of("filters", number, f"{what}: number")
        block = self.one_of("blocks", self.field(one, "blocklabel", what), f"{what}: blocklabel")
        shape = self.array(self.field(block, "shape", what), f"{what}: shape", 3).tolist()
        rows, columns = (self.whole(side, f"{what}: shape", 1, LARGEST) for side in shape[:2])
        self.whole(shape[2], f"{what}: numbers of a cell", FEATURES, FEATURES)
        flat = self.array(self.field(block, "w", what), f"{what}: weights", rows * columns * FEATURES)
        weights = flat.reshape((rows, columns, FEATURES), order="F")
        if self.whole(self.field(one, "flip", what), f"{what}: flip", 0, 1):
            weights = mirrored(weights)
        return np.ascontiguousarray(weights, np.float32), place

    def predictor(self, told: Any, numbers: list[int], what: str) -> Array:
        """Rows x1, y1, x2, y2, with the columns in the order of the component's filters: the file has them by their numbers."""
        count = 2 * len(numbers) + 1
        rows = np.stack(
            [self.array(self.field(told, side, what), f"{what}: bboxpred", count) for side in ("x1", "y1", "x2", "y2")]
        )
        rank = np.argsort(np.argsort(numbers, kind="stable"), kind="stable")
        columns = np.concatenate([np.stack([2 * rank, 2 * rank + 1], 1).ravel(), [count - 1]])
        return rows[:, columns]
