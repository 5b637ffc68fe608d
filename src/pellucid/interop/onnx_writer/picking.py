"""How ops that pick elements are said in ONNX: by rank, along an axis, at computed places, by what they are, in boxes."""

from __future__ import annotations

import math

import numpy as np

from pellucid.graph import Tensor
from pellucid.interop.onnx_writer.primitives import writes
from pellucid.interop.onnx_writer.site import ELEMENTS, Inexpressible, Site
from pellucid.ops import bits, ranking, region, sampling, scattering, selection
from pellucid.templates import Match


@writes(ranking.TopKIndices)
def _top_k(site: Site, op: ranking.TopKIndices) -> None:
    """One operator gives the elements too, if they are wanted."""
    (x,) = site.node.inputs
    if x.dtype == "bool":
        raise Inexpressible("ONNX's TopK does not take bool; cast it")
    inputs, settings = (*site.inputs, site.integers([op.count])), {"axis": op.axis, "largest": int(op.largest)}
    values = _elements_of(site, site.node)
    if values is None:
        site.last_of(1, "TopK", *inputs, **settings)
    else:
        site.all("TopK", [values, site.node], *inputs, **settings)


def _elements_of(site: Site, ranks: Tensor) -> Tensor | None:
    """The node that takes the elements of which `ranks` says where they stand."""
    (x,), op = ranks.inputs, ranks.op
    assert isinstance(op, ranking.TopKIndices)
    wanted = ranking.TakeAlong(op.axis), (x, ranks)
    return next((n for n in site.draft.graph.nodes if n.op == wanted[0] and _same(n.inputs, wanted[1])), None)


def _same(some: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> bool:
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))


@writes(ranking.TakeAlong)
def _take_along(site: Site, op: ranking.TakeAlong) -> None:
    ranks = site.node.inputs[1]
    if isinstance(ranks.op, ranking.TopKIndices) and _elements_of(site, ranks) is site.node:
        return  # written with the ranks
    site.last("GatherElements", *site.inputs, axis=op.axis)


@writes(selection.NonZero)
def _nonzero(site: Site, op: selection.NonZero) -> None:
    (x,) = site.inputs
    if not site.node.inputs[0].ndim:
        x = site.step("Reshape", x, site.integers([1]))
    _filled_up(site, site.step("NonZero", x), 1)


@writes(selection.NonMaxSuppression)
def _suppression(site: Site, op: selection.NonMaxSuppression) -> None:
    _filled_up(site, site.step("NonMaxSuppression", *_limits(site, op), center_point_box=int(op.center)), 0)


@writes(selection.Unique)
def _unique(site: Site, op: selection.Unique) -> None:
    (x,), settings = site.inputs, {"sorted": int(op.ordered), **({} if op.axis is None else {"axis": op.axis})}
    if op.inverse:
        site.last_of(2, "Unique", x, **settings)
    else:
        _filled_up(site, site.step_of(1, "Unique", x, **settings), 0)


def _filled_up(site: Site, found: str, axis: int) -> None:
    """The node's value: what was found, then -1 up to the size that it has."""
    if None in site.draft.sizes(site.node):
        raise Inexpressible("how much it can give depends on the size of the batch, which must then be fixed (batch=)")
    rest = site.constant(np.full(site.node.shape, -1), "int64")
    joined = site.step("Concat", found, rest, axis=axis)
    ends = site.integers([0]), site.integers([site.node.shape[axis]]), site.integers([axis])
    site.last("Slice", joined, *ends)


@writes(selection.Counted)
def _counted(site: Site, op: selection.Counted) -> None:
    """An output is as long as it is; what others read has zeros behind that."""
    x, count = site.inputs
    given = any(node is site.node for _, node in site.draft.outputs)
    if not given:
        places = np.arange(site.node.shape[op.axis]).reshape([-1 if a == op.axis else 1 for a in range(site.node.ndim)])
        used = site.step("Less", site.constant(places, "int64"), count)
        site.last("Where", used, x, site.constant(0, site.node.dtype))
    elif any(i is site.node for node in site.draft.graph.nodes for i in node.inputs):
        raise Inexpressible("it is an output, whose length depends on values, and is computed with")
    else:
        last = site.step("Reshape", count, site.integers([1]))
        site.last("Slice", x, site.integers([0]), last, site.integers([op.axis]))


@writes(sampling.Blend)
def _blend(site: Site, op: sampling.Blend) -> None:
    """Elements gathered for every channel, times their weights, added up."""
    x, weights, places = site.inputs
    images, _, numbers = site.node.inputs
    channels, elements, taps = images.shape[1], math.prod(images.shape[2:]), numbers.shape[-1]
    flat = site.step("Reshape", x, site.integers([0, channels, elements]))
    rows = site.step("Reshape", places, site.integers([0, 1, math.prod(numbers.shape[1:])]))
    wide = site.step("Expand", rows, site.integers([1, channels, 1]))
    taken = site.step("GatherElements", flat, wide, axis=2)
    apart = site.step("Reshape", taken, site.integers([0, channels, *numbers.shape[1:-1], taps]))
    shared = site.step("Mul", apart, site.step("Unsqueeze", weights, site.integers([1])))
    site.last("ReduceSum", shared, site.integers([site.node.ndim]), keepdims=0)


@writes(region.RoiAlign)
def _roi_align(site: Site, op: region.RoiAlign) -> None:
    site.last("RoiAlign", *site.inputs, mode="avg", **_bins(op.bins))


@writes(scattering.Scatter)
def _scatter(site: Site, op: scattering.Scatter) -> None:
    x, rows, updates = site.inputs
    named = site.step("Unsqueeze", rows, site.integers([1]))
    site.last("ScatterND", x, named, updates, reduction=op.how)


@writes(bits.Bitwise)
def _bitwise(site: Site, op: bits.Bitwise) -> None:
    """ONNX shifts numbers without a sign: one below 0 is turned over, shifted and turned back."""
    a, b = site.inputs
    if op.how not in ("left", "right"):
        site.last({"and": "BitwiseAnd", "or": "BitwiseOr", "xor": "BitwiseXor"}[op.how], a, b)
        return
    zero, minus = site.constant(0, "int64"), site.constant(-1, "int64")
    inside = site.step("And", site.step("LessOrEqual", zero, b), site.step("Less", b, site.constant(64, "int64")))
    right = op.how == "right"
    below = site.step("Less", a, zero) if right else ""
    bare = site.step("Where", below, site.step("Sub", minus, a), a) if right else a
    unsigned = [site.step("Cast", value, to=_UINT64) for value in (bare, site.step("Where", inside, b, zero))]
    moved = site.step("Cast", site.step("BitShift", *unsigned, direction=op.how.upper()), to=ELEMENTS["int64"])
    left = site.step("Where", inside, moved, zero)
    site.last(*(("Where", below, site.step("Sub", minus, left), left) if right else ("Identity", left)))


_UINT64 = 13


def _bins(bins: region.Bins) -> dict[str, object]:
    how = "half_pixel" if bins.aligned else "output_half_pixel"
    return {
        "output_height": bins.size[0],
        "output_width": bins.size[1],
        "sampling_ratio": bins.samples,
        "spatial_scale": bins.scale,
        "coordinate_transformation_mode": how,
    }


def _limits(site: Site, op: selection.NonMaxSuppression) -> list[str]:
    """Boxes, scores and limits of a suppression; ONNX has it in float32."""
    tensors = list(site.node.inputs)
    if any(t.dtype != "float32" for t in tensors):
        raise Inexpressible("ONNX's NonMaxSuppression takes float32; cast boxes and scores")
    return [*map(site.value, tensors), *_numbers(site, op)]


def _numbers(site: Site, op: selection.NonMaxSuppression) -> list[str]:
    least = [] if op.least is None else [site.constant(np.array([op.least]), "float32")]
    return [site.integers([op.most]), site.constant(np.array([op.overlap]), "float32"), *least]


# Composites


def suppression(site: Site, match: Match) -> None:
    known = match.attributes
    op = selection.NonMaxSuppression(known["most"], known["overlap"], known["least"], known["center"])
    inputs = [site.value(match.tensors[n]) for n in ("boxes", "scores")]
    site.last("NonMaxSuppression", *inputs, *_numbers(site, op), center_point_box=int(op.center))


def nonzero(site: Site, match: Match) -> None:
    site.last("NonZero", site.value(match.tensors["x"]))


def grid_sample(site: Site, match: Match) -> None:
    known = match.attributes
    names = {"bilinear": "linear", "bicubic": "cubic"} if site.draft.opset >= 20 else {}
    site.last(
        "GridSample", site.value(match.tensors["x"]), site.value(match.tensors["grid"]), mode=names.get(known["mode"], known["mode"]),
        padding_mode=known["padding_mode"], align_corners=int(known["align_corners"]),
    )  # fmt: skip


def roi_align(site: Site, match: Match) -> None:
    known = match.attributes
    bins = region.Bins(known["output_size"], known["spatial_scale"], known["sampling_ratio"], known["aligned"])
    inputs = [site.value(match.tensors[n]) for n in ("x", "boxes", "pictures")]
    site.last("RoiAlign", *inputs, mode="max", **_bins(bins))


def roi_max_pool(site: Site, match: Match) -> None:
    boxes, pictures = match.tensors["boxes"], match.tensors["pictures"]
    kind = {"float32": 1, "float64": 11}[boxes.dtype]
    numbers = site.step("Cast", site.step("Unsqueeze", site.value(pictures), site.integers([1])), to=kind)
    rows = site.step("Concat", numbers, site.value(boxes), axis=1)
    known = match.attributes
    site.last(
        "MaxRoiPool",
        site.value(match.tensors["x"]),
        rows,
        pooled_shape=known["output_size"],
        spatial_scale=known["spatial_scale"],
    )
