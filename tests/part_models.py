"""Small models of parts for tests, in the layout in which voc-release5 keeps its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat


def cells(values: list[Any]) -> np.ndarray:
    """A cell array."""
    made = np.empty(len(values), object)
    for place, value in enumerate(values):
        made[place] = value
    return made


def structures(values: list[dict[str, Any]]) -> np.ndarray:
    """An array of structures."""
    made = np.empty(len(values), [(name, object) for name in values[0]])
    for place, value in enumerate(values):
        for name, of in value.items():
            made[place][name] = of
    return made


def told(name: str = "box", seed: int = 0, parts: int = 2, root: tuple[int, int] = (3, 4)) -> dict[str, Any]:
    """A model of two components that mirror each other, as data: a root, parts of 2 x 3 cells, and a predictor of boxes."""
    numbers = np.random.default_rng(seed)
    blocks: list[dict[str, Any]] = []
    filters: list[dict[str, Any]] = []
    symbols: list[dict[str, Any]] = [{"type": "N", "filter": np.zeros(0)}]
    rules: list[Any] = [None]

    def block(values: np.ndarray, shape: tuple[int, ...]) -> int:
        blocks.append({"w": values.reshape(-1, order="F"), "shape": np.array(shape, np.uint8)})
        return len(blocks)

    def placed(size: tuple[int, int], first: int, flip: int, rigid: bool) -> int:
        """The symbol of a filter that may be displaced."""
        filters.append({"blocklabel": first, "size": np.array(size, np.uint8), "flip": flip})
        symbols.append({"type": "T", "filter": len(filters)})
        terminal = len(symbols)
        symbols.append({"type": "N", "filter": np.zeros(0)})
        rules.extend([None] * (len(symbols) - len(rules)))
        rules[-1] = {
            "type": "D", "lhs": len(symbols), "rhs": terminal, "offset": {"blocklabel": first + 1},
            "def": {"blocklabel": first + 2, "flip": 0 if rigid else flip}, "loc": {"blocklabel": first + 3},
        }  # fmt: skip
        return len(symbols)

    sizes = [root, *[(2, 3)] * parts]
    anchors = [(0, 0), *[(int(numbers.integers(0, 4)), int(numbers.integers(0, 4))) for _ in range(parts)]]
    firsts: list[int] = []
    for number, size in enumerate(sizes):
        firsts.append(block(numbers.normal(0, 0.2, (*size, 32)), (*size, 32)))
        block(numbers.normal(0, 0.01, 1) if number else np.zeros(1), (1, 1))
        price = np.array([0.05, 0.01, 0.04, -0.02]) * numbers.uniform(0.5, 2, 4)
        block(price if number else np.array([1000.0, 0, 1000, 0]), (4, 1))
        block(numbers.normal(0, 0.1, 3) if number else np.zeros(3), (1, 3))
    offset, location = block(np.array([-0.05]), (1, 1)), block(np.array([0.0, 0.1, -0.1]), (1, 3))
    components: list[dict[str, Any]] = []
    for flip in (0, 1):
        rhs = [placed(size, first, flip, k == 0) for k, (size, first) in enumerate(zip(sizes, firsts, strict=True))]
        turned = [(2 * root[1] - 3 - x, y) if flip and k else (x, y) for k, (x, y) in enumerate(anchors)]
        components.append({
            "type": "S", "lhs": 1, "rhs": np.array(rhs, np.uint8), "detwindow": np.array(root, np.uint8),
            "shiftwindow": np.zeros(2, np.uint8), "anchor": cells([np.array([x, y, int(k > 0)], np.int16) for k, (x, y) in enumerate(turned)]),
            "offset": {"blocklabel": offset}, "loc": {"blocklabel": location},
        })  # fmt: skip
    rules[0] = structures(components)
    predictor = {side: numbers.normal(0, 0.02, 2 * len(sizes) + 1) for side in ("x1", "y1", "x2", "y2")}
    return {
        "class": name, "year": "2007", "type": "M", "start": 1, "rules": cells([r if r is not None else np.zeros(0) for r in rules]),
        "symbols": structures(symbols), "filters": structures(filters), "blocks": structures(blocks),
        "maxsize": np.array(root, np.uint8), "interval": 2, "sbin": 8, "thresh": -1.0,
        "features": {"sbin": 8, "dim": 32, "truncation_dim": 32, "extra_octave": 0, "bias": 10},
        "bboxpred": cells([predictor, predictor]),
    }  # fmt: skip


def part_model(path: Path, model: dict[str, Any] | None = None, compressed: bool = True) -> Path:
    """The file of a model."""
    savemat(path, {"model": told() if model is None else model}, do_compression=compressed, oned_as="row")
    return path
