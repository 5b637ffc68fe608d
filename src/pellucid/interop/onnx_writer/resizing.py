"""Resizing and padding found again: axes that are repeated, picked from or interpolated, as `Resize` and `Pad` would do it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.graph import Constant, Tensor
from pellucid.interop.onnx_reader.operators.resize import Resized, Rule, interpolation, picks, places_of
from pellucid.interop.onnx_reader.operators.shape import MIRRORS
from pellucid.interop.onnx_writer.site import Site
from pellucid.op import Array, Op
from pellucid.ops.indexing import Gather
from pellucid.ops.linear import Matmul
from pellucid.ops.shape import BroadcastTo, Reshape, Transpose
from pellucid.templates import Match

_CLOSE = 1e-6
"""By how much weights of neighbors may differ, which every program computes in its own way."""
_LARGEST = 2**20
"""Elements of a matrix of weights that is compared."""

_COORDINATES = "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"
_NEAREST = [
    Rule("nearest", coordinates, nearest)
    for coordinates in ("asymmetric", *_COORDINATES)
    for nearest in ("floor", "round_prefer_floor", "round_prefer_ceil", "ceil")
]
_MIXED = [
    Rule(mode, coordinates, "floor", cubic, outside, antialias)
    for mode, cubics in (("linear", (-0.75,)), ("cubic", (-0.75, -0.5)))
    for cubic in cubics
    for antialias in (False, True)
    for outside in (False, True)
    for coordinates in _COORDINATES
]


@dataclass(frozen=True)
class _Axis:
    """What is made of one axis of `size` elements: which of them stand where, or how much of each."""

    number: int
    size: int
    picks: Array | None = None
    weights: Array | None = None

    @property
    def after(self) -> int:
        """Its size afterwards."""
        made = self.picks if self.picks is not None else self.weights
        assert made is not None
        return len(made)


@dataclass(frozen=True)
class ResizeForm:
    """One axis after another, the last of them made by a node of the kind `root`."""

    root: type[Op]

    def find(self, node: Tensor) -> Match | None:
        """What is resized to give `node`, with the rule of ONNX that does it."""
        axes: dict[int, _Axis] = {}
        inside: set[Tensor] = set()
        x = node
        while (step := _step(x)) is not None and step[1].number not in axes:
            before, axis, nodes = step
            axes[axis.number] = axis
            inside |= nodes
            x = before
        if not axes:
            return None
        parts = [axes[number] for number in sorted(axes)]
        return _resized(node, x, parts, inside) or _padded(node, x, parts, inside)


def _resized(node: Tensor, x: Tensor, axes: Sequence[_Axis], inside: set[Tensor]) -> Match | None:
    if x.ndim < 3 or axes[0].number < 2 or x.dtype != "float32":
        return None
    for rule in _rules(axes):
        scales = [_scale(axis, rule) for axis in axes]
        if None not in scales:
            known = {"axes": tuple(axis.number for axis in axes), "sizes": tuple(axis.after for axis in axes)}
            return Match("Resize", node, {"x": x}, {**known, "scales": tuple(scales), "rule": rule}, frozenset(inside))
    return None


def _padded(node: Tensor, x: Tensor, axes: Sequence[_Axis], inside: set[Tensor]) -> Match | None:
    """Padding by what an axis holds, with one mode for all axes."""
    for mode in MIRRORS:
        widths = [_widths(axis, mode) for axis in axes]
        if None not in widths:
            numbers = tuple(axis.number for axis in axes)
            return Match(
                "Pad", node, {"x": x}, {"mode": mode, "axes": numbers, "widths": tuple(widths)}, frozenset(inside)
            )
    return None


def _widths(axis: _Axis, mode: str) -> tuple[int, int] | None:
    """Elements before and after, if the axis is padded in this mode."""
    if axis.picks is None or axis.after <= axis.size or (mode == "reflect" and axis.size < 2):
        return None
    added = axis.after - axis.size
    for before in range(added + 1):
        if np.array_equal(MIRRORS[mode](np.arange(-before, axis.size + added - before), axis.size), axis.picks):
            return before, added - before
    return None


FORMS = tuple(ResizeForm(root) for root in (Reshape, Gather, Matmul, Transpose))


def write_pad(site: Site, match: Match) -> None:
    """`Pad` along some axes by what they hold."""
    known = match.attributes
    widths = site.integers([before for before, _ in known["widths"]] + [after for _, after in known["widths"]])
    site.last("Pad", site.value(match.tensors["x"]), widths, "", site.integers(known["axes"]), mode=known["mode"])


def write_resize(site: Site, match: Match) -> None:
    """`Resize` by scales of all axes, or to sizes of some where a scale is no number of ONNX's."""
    known, rule = match.attributes, match.attributes["rule"]
    to_sizes = any(
        float(np.float32(scale)) != scale and scale == size / match.tensors["x"].shape[axis]
        for scale, size, axis in zip(known["scales"], known["sizes"], known["axes"], strict=True)
    )
    by_axis = dict(zip(known["axes"], known["scales"], strict=True))
    scales = [by_axis.get(axis, 1.0) for axis in range(match.root.ndim)]
    inputs = ("", "", site.integers(known["sizes"])) if to_sizes else ("", site.constant(np.array(scales), "float32"))
    attributes: dict[str, Any] = {"mode": rule.mode, "coordinate_transformation_mode": rule.coordinates}
    if rule.mode == "nearest":
        attributes["nearest_mode"] = rule.nearest
    if rule.mode == "cubic":
        attributes["cubic_coeff_a"] = rule.cubic
    attributes |= {"exclude_outside": 1} if rule.exclude_outside else {}
    attributes |= {"antialias": 1} if rule.antialias else {}
    attributes |= {"axes": known["axes"]} if to_sizes else {}
    site.last("Resize", site.value(match.tensors["x"]), *inputs, **attributes)


def _step(node: Tensor) -> tuple[Tensor, _Axis, set[Tensor]] | None:
    """What is resized along one axis to give a node, how, and the nodes that do it."""
    found = None
    if isinstance(node.op, Gather):
        found = _gathered(node, node.op)
    elif isinstance(node.op, Reshape):
        found = _repeated(node)
    elif isinstance(node.op, Matmul):
        found = _mixed(node)
    elif isinstance(node.op, Transpose):
        found = _mixed_behind(node, node.op)
    return found


def _gathered(node: Tensor, op: Gather) -> tuple[Tensor, _Axis, set[Tensor]] | None:
    x, places = node.inputs
    if not isinstance(places.op, Constant) or places.ndim != 1:
        return None
    return x, _Axis(op.axis, x.shape[op.axis], places.op.value), {node, places}


def _repeated(node: Tensor) -> tuple[Tensor, _Axis, set[Tensor]] | None:
    """An axis each of whose elements is repeated: (..., n) -> (..., n, 1) -> (..., n, t) -> (..., n t)."""
    wide = node.inputs[0]
    split = wide.inputs[0] if isinstance(wide.op, BroadcastTo) else None
    if split is None or not isinstance(split.op, Reshape):
        return None
    x = split.inputs[0]
    changed = [a for a in range(x.ndim) if a < node.ndim and x.shape[a] != node.shape[a]]
    if len(changed) != 1 or x.ndim != node.ndim:
        return None
    (axis,) = changed
    times, rest = divmod(node.shape[axis], x.shape[axis])
    pairs = [(n, times if a == axis else 1) for a, n in enumerate(x.shape)]
    told = tuple(n for n, _ in pairs for n in (n, 1)), tuple(n for pair in pairs for n in pair)
    if rest or (split.shape, wide.shape) != told:
        return None
    return x, _Axis(axis, x.shape[axis], np.repeat(np.arange(x.shape[axis]), times)), {node, wide, split}


def _mixed(node: Tensor) -> tuple[Tensor, _Axis, set[Tensor]] | None:
    """An axis multiplied by a matrix of weights: the last one from the right, the one before it from the left."""
    left, right = node.inputs
    for x, matrix, axis in ((left, right, left.ndim - 1), (right, left, right.ndim - 2)):
        if isinstance(matrix.op, Constant) and matrix.ndim == 2 and x.ndim > 2 and matrix.size <= _LARGEST:
            weights = matrix.op.value.T if axis == x.ndim - 1 else matrix.op.value
            if weights.size and np.allclose(weights.sum(1), 1, atol=1e-4):
                return x, _Axis(axis, x.shape[axis], None, weights), {node, matrix}
    return None


def _rules(axes: Sequence[_Axis]) -> Iterator[Rule]:
    if all(axis.picks is not None for axis in axes):
        yield from _NEAREST
    elif all(axis.weights is not None for axis in axes):
        yield from _MIXED


def _mixed_behind(node: Tensor, op: Transpose) -> tuple[Tensor, _Axis, set[Tensor]] | None:
    """Another axis multiplied by a matrix of weights: brought to the end for it, and back."""
    product = node.inputs[0]
    mixed = _mixed(product) if isinstance(product.op, Matmul) else None
    if mixed is None:
        return None
    before, axis, inside = mixed
    if not isinstance(before.op, Transpose) or axis.number != node.ndim - 1:
        return None
    order = before.op.axes
    if [order[a] for a in op.axes] != list(range(node.ndim)):
        return None
    return before.inputs[0], _Axis(order[-1], axis.size, None, axis.weights), {node, before, *inside}


def _scale(axis: _Axis, rule: Rule) -> float | None:
    """The scale with which the rule makes of an axis what it becomes: the ratio of the sizes, or one of two digits."""
    ratio = axis.after / axis.size
    digits = (k / 100 for k in range(math.ceil(100 * ratio), math.ceil(100 * (axis.after + 1) / axis.size)))
    fitting = [s for s in digits if math.floor(axis.size * float(np.float32(s))) == axis.after][:20]
    if rule.coordinates == "align_corners":  # where ONNX and ONNX Runtime differ unless the size is a multiple
        fitting = []
    return next((scale for scale in (ratio, *fitting) if _follows(axis, rule, scale)), None)


def _follows(axis: _Axis, rule: Rule, scale: float) -> bool:
    if rule.antialias and scale >= 1:  # which changes nothing, and is another rule
        return False
    size = Resized(axis.size, axis.after, scale)
    places = places_of(size, rule.coordinates)
    if axis.picks is not None:
        return np.array_equal(picks(places, size, rule), axis.picks)
    if axis.weights is None or np.count_nonzero(axis.weights, axis=1).max() > _most_neighbors(rule, scale):
        return False
    return np.allclose(interpolation(places, size, rule), axis.weights, rtol=0, atol=_CLOSE)


def _most_neighbors(rule: Rule, scale: float) -> int:
    """Elements that one is made of at most, by which most matrices are told apart from those of a rule at once."""
    return 2 * math.ceil((1 if rule.mode == "linear" else 2) / (scale if rule.antialias else 1.0))
