"""Finding composites again: which nodes of a graph are a batch norm, a softmax, a fully connected layer.

A composite leaves no trace in the graph but the ops that it is made of. To find it, it is called on placeholders, which
gives a template. A first comparison of template and graph heeds only kinds of ops; from what stands where in the graph
the composite's arguments are read off. Called with these, it must then give exactly the graph's nodes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.graph import Constant, Tensor, topological
from pellucid.op import Op, Shape
from pellucid.ops.convolution import Conv2d, ConvTranspose2d
from pellucid.ops.indexing import Pad
from pellucid.ops.pooling import MaxPool2d
from pellucid.ops.reduction import Max, Sum, Variance
from pellucid.ops.region import RoiAlignWinner, RoiMaxPlaces
from pellucid.ops.sampling import MODES, PADDINGS
from pellucid.ops.selection import NonMaxSuppression
from pellucid.ops.shape import Reshape
from pellucid.ops.window import Pair
from pellucid.templates import Form, Match, Pattern, Recover, TemplateMatch
from pellucid.walks import users

_IMAGE, _VECTOR, _ROWS = (2, 4, 3, 3), (4,), (2, 4)
_EPSILON = {"epsilon": 0.375}


def _epsilon(found: TemplateMatch) -> dict[str, Any]:
    return {"epsilon": found.value(0.375)}


def _geometry(kind: type[Conv2d] | type[ConvTranspose2d]) -> Recover:
    def recover(found: TemplateMatch) -> dict[str, Any]:
        op = found.op(kind)
        known: dict[str, Any] = {n: getattr(op, n) for n in ("stride", "padding", "dilation", "groups")}
        if not isinstance(op, ConvTranspose2d):
            return known
        x, weight = found.tensors["x"], found.tensors["weight"]
        plain = ops.conv_transpose2d(x, weight, None, **known).shape[2:]
        return {**known, "output_padding": (op.size[0] - plain[0], op.size[1] - plain[1])}

    return recover


def padded_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, before: Pair = (0, 0), after: Pair = (0, 0), **geometry: Any
) -> Tensor:
    """A convolution of x with more zeros on one side than on the other: `before` and `after` rows and columns."""
    return ops.conv2d(ops.pad(x, _widths(before, after)), weight, bias, **geometry)


def padded_max_pool2d(
    x: Tensor, kernel_size: Pair, stride: Pair, before: Pair, after: Pair, dilation: Pair = (1, 1)
) -> Tensor:
    """Max pooling of windows that reach further over one edge than over the other."""
    return ops.max_pool2d(ops.pad(x, _widths(before, after), -math.inf), kernel_size, stride, dilation=dilation)


def _widths(before: Pair, after: Pair) -> list[tuple[int, int]]:
    return [(0, 0), (0, 0), *zip(before, after, strict=True)]


def _sides(found: TemplateMatch) -> dict[str, Any]:
    pad = found.op(Pad)
    if len(pad.before) != 4 or pad.before == pad.after:
        raise ValueError("padding that is the same on both sides is no matter of sides")
    return {"before": pad.before[2:], "after": pad.after[2:]}


def _padded_conv2d(found: TemplateMatch) -> dict[str, Any]:
    op = found.op(Conv2d)
    return {**_sides(found), "stride": op.stride, "dilation": op.dilation, "groups": op.groups}


def _padded_max_pool2d(found: TemplateMatch) -> dict[str, Any]:
    window = found.op(MaxPool2d).window
    return {**_sides(found), "kernel_size": window.kernel, "stride": window.stride, "dilation": window.dilation}


def _affine_forms(
    name: str,
    call: Callable[..., Tensor],
    shapes: Mapping[str, Shape],
    vector: Shape,
    probes: Mapping[str, Any],
    recover: Recover,
) -> list[Pattern]:
    """The forms of a normalization: with and without weight and bias."""

    def form(**optional: Shape) -> Pattern:
        def build(**arguments: Any) -> Tensor:
            return call(**{"weight": None, "bias": None, **arguments})

        return Pattern(name, build, {**shapes, **optional}, probes, recover)

    return [form(weight=vector, bias=vector), form(weight=vector), form(bias=vector), form()]


def _local_response_norm(size: int) -> Pattern:
    def recover(found: TemplateMatch) -> dict[str, Any]:
        share, number = found.value(0.375), np.dtype(found.root.dtype).type
        near = number(share * size)
        around = (near, np.nextafter(near, number(-np.inf)), np.nextafter(near, number(np.inf)))
        alpha = next((a for a in around if number(float(a) / size) == share), near)
        return {"size": size, "alpha": float(alpha), "beta": found.value(0.625), "k": found.value(2.25)}

    probes = {"size": size, "alpha": 0.375 * size, "beta": 0.625, "k": 2.25}
    return Pattern("local_response_norm", ops.local_response_norm, {"x": _IMAGE}, probes, recover)


def _grid_samples(shape: Shape) -> list[Pattern]:
    """The forms of reading images at places, for images of so many axes."""
    grid = (*shape[:1], *shape[2:], len(shape) - 2)
    forms = itertools.product(MODES, PADDINGS, (False, True))
    found = ({"mode": mode, "padding_mode": padding, "align_corners": align} for mode, padding, align in forms)
    return [Pattern("grid_sample", ops.grid_sample, {"x": shape, "grid": grid}, f, lambda _, f=f: f) for f in found]


def _suppression(found: TemplateMatch) -> dict[str, Any]:
    op = found.op(NonMaxSuppression)
    return {"most": op.most, "overlap": op.overlap, "least": op.least, "center": op.center}


def _roi_align(found: TemplateMatch) -> dict[str, Any]:
    bins = found.op(RoiAlignWinner).bins
    return {
        "output_size": bins.size,
        "spatial_scale": bins.scale,
        "sampling_ratio": bins.samples,
        "aligned": bins.aligned,
        "mode": "max",
    }


def _roi_max_pool(found: TemplateMatch) -> dict[str, Any]:
    op = found.op(RoiMaxPlaces)
    return {"output_size": op.size, "spatial_scale": op.scale}


_WHOLE = {"pictures": "int64"}
_REGIONS: dict[str, Shape] = {"x": _IMAGE, "boxes": (3, 4), "pictures": (3,)}
_ONE_SIDE = {"before": (0, 0), "after": (1, 1)}

PATTERNS: tuple[Pattern, ...] = (
    *(
        Pattern(
            "padded_conv2d", padded_conv2d, {"x": _IMAGE, "weight": (4, 4, 1, 1), **bias}, _ONE_SIDE, _padded_conv2d
        )
        for bias in ({"bias": _VECTOR}, {})
    ),
    Pattern(
        "padded_max_pool2d",
        padded_max_pool2d,
        {"x": _IMAGE},
        {"kernel_size": (2, 2), "stride": (2, 2), **_ONE_SIDE},
        _padded_max_pool2d,
    ),
    Pattern("conv2d", ops.conv2d, {"x": _IMAGE, "weight": (4, 4, 1, 1), "bias": _VECTOR}, {}, _geometry(Conv2d)),
    Pattern(
        "conv_transpose2d",
        ops.conv_transpose2d,
        {"x": _IMAGE, "weight": (4, 4, 1, 1), "bias": _VECTOR},
        {},
        _geometry(ConvTranspose2d),
    ),
    Pattern("linear", ops.linear, {"x": _ROWS, "weight": (3, 4), "bias": (3,)}),
    Pattern("linear", ops.linear, {"x": _ROWS, "weight": (3, 4)}),
    *_affine_forms(
        "batch_norm", ops.batch_norm, {"x": _IMAGE, "mean": _VECTOR, "variance": _VECTOR}, _VECTOR, _EPSILON, _epsilon
    ),
    *_affine_forms(
        "group_norm",
        ops.group_norm,
        {"x": _IMAGE},
        _VECTOR,
        {"num_groups": 2, **_EPSILON},
        lambda found: {"num_groups": found.op(Reshape, 1).to[1], **_epsilon(found)},
    ),
    *_affine_forms(
        "layer_norm",
        ops.layer_norm,
        {"x": _ROWS},
        _VECTOR,
        {"normalized_ndim": 1, **_EPSILON},
        lambda found: {"normalized_ndim": len(found.op(Variance).axes), **_epsilon(found)},
    ),
    *(_local_response_norm(size) for size in range(1, 12)),
    Pattern("hard_swish", ops.hard_swish, {"x": _ROWS}),
    Pattern("selu", ops.selu, {"x": _ROWS}),
    Pattern("mish", ops.mish, {"x": _ROWS}),
    Pattern("silu", ops.silu, {"x": _ROWS}),
    Pattern("gelu", ops.gelu, {"x": _ROWS}, {"approximate": "none"}, lambda found: {"approximate": "none"}),
    Pattern("gelu", ops.gelu, {"x": _ROWS}, {"approximate": "tanh"}, lambda found: {"approximate": "tanh"}),
    Pattern("elu", ops.elu, {"x": _ROWS}, {"alpha": 0.375}, lambda found: {"alpha": found.value(0.375)}),
    Pattern("leaky_relu", ops.leaky_relu, {"x": _ROWS}, {"slope": 0.375}, lambda found: {"slope": found.value(0.375)}),
    *(Pattern("prelu", ops.prelu, {"x": shape, "weight": _VECTOR}) for shape in (_ROWS, _IMAGE)),
    Pattern("softmax", ops.softmax, {"x": _ROWS}, {"axis": 1}, lambda found: {"axis": found.op(Max).axes[0]}),
    Pattern("log_softmax", ops.log_softmax, {"x": _ROWS}, {"axis": 1}, lambda found: {"axis": found.op(Max).axes[0]}),
    *(
        Pattern(
            "log_sum_exp",
            ops.log_sum_exp,
            {"x": _ROWS},
            {"axis": 1, "keepdims": keepdims},
            lambda found, keepdims=keepdims: {"axis": found.op(Max).axes, "keepdims": keepdims},
        )
        for keepdims in (True, False)
    ),
    Pattern("global_average_pool2d", ops.global_average_pool2d, {"x": _IMAGE}),
    Pattern("global_max_pool2d", ops.global_max_pool2d, {"x": _IMAGE}),
    Pattern(
        "mean",
        ops.mean,
        {"x": _ROWS},
        {"axis": 1},
        lambda found: {"axis": found.op(Sum).axes, "keepdims": found.op(Sum).keepdims},
    ),
    Pattern("flatten", ops.flatten, {"x": _IMAGE}),
    *_grid_samples(_IMAGE),
    *_grid_samples((1, 2, 3, 3, 3)),
    Pattern(
        "non_max_suppression",
        ops.non_max_suppression,
        {"boxes": (1, 3, 4), "scores": (1, 2, 3)},
        {"most": 2},
        _suppression,
    ),
    Pattern("nonzero", ops.nonzero, {"x": _ROWS}),
    Pattern("roi_align", ops.roi_align, _REGIONS, {"output_size": (2, 2), "mode": "max"}, _roi_align, _WHOLE),
    Pattern("roi_max_pool", ops.roi_max_pool, _REGIONS, {"output_size": (2, 2)}, _roi_max_pool, _WHOLE),
)
"""What is looked for; of patterns with the same root the first that fits counts."""


def find_composites(
    outputs: Sequence[Tensor],
    wanted: Callable[[Match], bool] = lambda match: True,
    forms: Sequence[Form] | None = None,
) -> dict[Tensor, Match]:
    """The composites that `outputs` are made of, by their root: those that are `wanted`. None lies inside of another.

    What is inside of one is read by nothing outside of it, but for constants. `forms` are looked for, the `PATTERNS` unless
    given; of those with the same root the first that fits counts.
    """
    by_root: dict[type[Op], list[Form]] = {}
    for form in PATTERNS if forms is None else forms:
        by_root.setdefault(form.root, []).append(form)
    nodes = topological(outputs)
    readers = users(outputs)
    kept, covered = set(outputs), set[Tensor]()
    found: dict[Tensor, Match] = {}

    def alone(match: Match) -> bool:
        inner = (n for n in match.inside if n is not match.root and not isinstance(n.op, Constant))
        return all(n not in kept and all(r in match.inside for r in readers[n]) for n in inner)

    for node in reversed(nodes):
        for form in by_root.get(type(node.op), ()) if node not in covered else ():
            match = form.find(node)
            if match is not None and alone(match) and wanted(match):
                found[node] = match
                covered |= match.inside
                break
    return found
