"""How each operator passes on a length that depends on values: one rule for each kind of operator."""

from __future__ import annotations

import math

from pellucid import ops
from pellucid.graph import Constant, Tensor, apply
from pellucid.interop.onnx_reader import moved_lengths, picked_lengths
from pellucid.interop.onnx_reader.operators import elementwise
from pellucid.interop.onnx_reader.ragged import Outputs, Ragged, RaggedSite, Rule, all_at, count_of, lowest, same_count
from pellucid.ops.selection import NonZero, blank, is_used, selected


def _elements(site: RaggedSite) -> Outputs:
    """Inputs broadcast: all ragged ones have the same length in the same place, the others one element there."""
    places = {r.axis - r.tensor.ndim for r in site.held.values()}
    first, *others = site.held.values()
    if len(places) > 1 or not all(same_count(first.count, r.count) for r in others):
        raise site.refused("beside another")
    (place,) = places
    for number, tensor in enumerate(site.inputs):
        fixed = tensor is not None and number not in site.held and tensor.ndim >= -place
        if tensor is not None and fixed and tensor.shape[place] != 1:
            raise site.refused(f"beside {tensor.shape[place]} elements")
    made = site.run(*site.inputs)
    return [first.at(o, place + o.ndim) if isinstance(o, Tensor) else o for o in made]


def _pictures(site: RaggedSite) -> Outputs:
    """What is done to each picture of a batch."""
    length = site.sole()
    if length.axis != 0:
        raise site.refused(f"along axis {length.axis}")
    return all_at(site, site.run(*site.inputs), 0)


def _along_another(site: RaggedSite) -> Outputs:
    """What works along one axis, or from it on, and leaves the others alone."""
    length, call = site.sole(), site.call
    axis = call.from_front(call["axis"] or 0, length.tensor.ndim)
    flattens = call.node.kind in ("Softmax", "LogSoftmax", "Hardmax") and call.node.opset < 13
    if length.axis == axis or (flattens and length.axis > axis):
        raise site.refused(f"along axis {axis}")
    return all_at(site, site.run(*site.inputs), length.axis)


def _softmax(site: RaggedSite) -> Outputs:
    length, call = site.sole(), site.call
    if call.from_front(call["axis"], length.tensor.ndim) != length.axis or call.node.opset < 13:
        return _along_another(site)
    low = blank(length.tensor, length.count, length.axis, -math.inf)
    return all_at(site, site.run(low), length.axis)


def _rows_of_product(site: RaggedSite) -> Outputs:
    length = site.sole()
    row = 1 if site.call.node.kind == "Gemm" and site.call["transA"] else length.tensor.ndim - 2
    other = site.tensor(1)
    if length.axis != row or (site.call.node.kind == "MatMul" and other.ndim < 2):
        raise site.refused(f"along axis {length.axis}")
    (y,) = site.run(*site.inputs)
    return all_at(site, [y], y.ndim - 2 if isinstance(y, Tensor) else 0)


_NEUTRAL = {
    "ReduceSum": 0.0,
    "ReduceL1": 0.0,
    "ReduceL2": 0.0,
    "ReduceSumSquare": 0.0,
    "ReduceProd": 1.0,
    "ReduceMean": 0.0,
}
_EXTREME = {"ReduceMax": 1, "ArgMax": 1, "ReduceMin": -1, "ArgMin": -1}


def _reduction(site: RaggedSite) -> Outputs:
    length, call = site.sole(), site.call
    x, kind = length.tensor, call.node.kind
    if kind.startswith("Arg"):
        axes = [call.from_front(call["axis"], x.ndim)]
    else:
        given = call.axes("axes", site.inputs[1] if len(site.inputs) > 1 else None)
        axes = [call.from_front(a, x.ndim) for a in given or ()]
        if not axes and not call["noop_with_empty_axes"]:
            axes = list(range(x.ndim))
    if length.axis not in axes:
        below = 0 if call["keepdims"] else sum(a < length.axis for a in axes)
        return all_at(site, site.run(*site.inputs), length.axis - below)
    fill = lowest(x, _EXTREME[kind]) if kind in _EXTREME else _NEUTRAL[kind]
    used = blank(x, length.count, length.axis, fill)
    if kind == "ReduceMean":
        axes = sorted({*axes})
        total = ops.sum(used, axes, bool(call["keepdims"]))
        count = count_of(length.count) * math.prod(x.shape[a] for a in axes if a != length.axis)
        if not x.dtype.startswith("float"):
            return [ops.whole_divide(total, ops.maximum(count, 1))]
        return [total / ops.cast(count, x.dtype)]
    (y,) = site.run(*site.with_input(0, used))
    if kind.startswith("Arg") and isinstance(y, Tensor):  # where all are as low as what is not used
        y = ops.minimum(y, ops.maximum(count_of(length.count) - 1, 0))
    return [y]


def _top_k(site: RaggedSite) -> Outputs:
    """The k first, of which there are no more than there is along the axis."""
    call, x = site.call, site.tensor(0)
    axis, length = call.from_front(call["axis"], x.ndim), site.held.get(0)
    k = site.inputs[1] if len(site.inputs) > 1 else None
    asked = call["k"] if k is None else int(k.op.value.reshape(())) if isinstance(k.op, Constant) else count_of(k)
    if isinstance(asked, int) and length is not None and length.axis != axis:
        return all_at(site, site.run(*site.inputs), length.axis)
    if length is not None and length.axis != axis:
        raise site.refused("along two axes")
    count = count_of(x.shape[axis]) if length is None else length.count
    most = None if isinstance(asked, int) or k is None else site.lengths.upper(k)
    room = asked if isinstance(asked, int) else x.shape[axis] if most is None else int(most.reshape(()))
    largest = call["largest"] in (None, 1)
    last = lowest(x) if largest else math.nan if x.dtype.startswith("float") else lowest(x, -1)
    ranked = x if length is None else blank(x, count, axis, last)
    _, places = ops.top_k(ranked, max(0, min(room, x.shape[axis])), axis, largest)
    values = ops.take_along(x, places, axis)
    used = ops.minimum(ops.maximum(count_of(asked), 0), count)
    return [Ragged(values, axis, used), Ragged(places, axis, used)]


def _cumulative(site: RaggedSite) -> Outputs:
    """A running sum goes from the used places to the others, unless it goes backwards."""
    length = site.sole()
    if site.call["reverse"]:
        x = blank(length.tensor, length.count, length.axis, 1.0 if site.call.node.kind == "CumProd" else 0.0)
        return all_at(site, site.run(*site.with_input(0, x)), length.axis)
    return all_at(site, site.run(*site.inputs), length.axis)


def _nonzero(site: RaggedSite) -> Outputs:
    length = site.sole()
    return site.run(blank(length.tensor, length.count, length.axis))


def _compress(site: RaggedSite) -> Outputs:
    call, x, condition = site.call, site.tensor(0), site.tensor(1)
    data, mask = site.held.get(0), site.held.get(1)
    if data is not None and (call["axis"] is None or call.from_front(call["axis"], x.ndim) != data.axis):
        raise site.refused("along another axis")
    for length in (data, mask):
        if length is not None and condition.shape[0] <= length.tensor.shape[length.axis]:
            condition = blank(condition, length.count, 0)
    return site.run(x, condition)


def _suppress(site: RaggedSite) -> Outputs:
    """Boxes and scores of which the first are there: the other scores are below any, and as low as the lowest that there can be."""
    wanted = {0: 1, 1: 2}
    lengths = list(site.held.values())
    if any(wanted.get(n) != r.axis for n, r in site.held.items()) or not same_count(
        lengths[0].count, lengths[-1].count
    ):
        raise site.refused("in that place")
    limits = site.inputs[2:]
    boxes = blank(site.tensor(0), lengths[0].count, 1)
    scores = blank(site.tensor(1), lengths[0].count, 2, -math.inf)
    made = site.run(boxes, scores, *limits)
    (found,) = (r for r in made if isinstance(r, Ragged))
    if len(limits) > 2 and limits[2] is not None:
        return made
    there = ops.where(is_used(found.count, found.tensor.shape, 0), ops.less(found.tensor, lengths[0].count), False)
    places, count = selected(apply(NonZero(), there[:, 2]), 1)
    return [Ragged(ops.gather(found.tensor, places[0]), 0, count)]


def _regions(site: RaggedSite) -> Outputs:
    """Boxes of which the first are there, and the picture of each; the others are boxes of the first picture."""
    boxes = list(site.held.values())
    if 0 in site.held or any(r.axis or not same_count(r.count, boxes[0].count) for r in boxes):
        raise site.refused("in that place")
    inputs = list(site.inputs)
    for number, length in site.held.items():
        inputs[number] = blank(length.tensor, length.count, 0)
    return all_at(site, site.run(*inputs), 0)


def _one_hot(site: RaggedSite) -> Outputs:
    length, call = site.sole(), site.call
    axis = call.from_front(call["axis"], length.tensor.ndim + 1)
    return all_at(site, site.run(*site.inputs), length.axis + (axis <= length.axis))


_ELEMENTWISE = (
    *elementwise.ELEMENTWISE, "Relu", "LeakyRelu", "Elu", "Celu", "Selu", "Gelu", "HardSigmoid", "HardSwish", "Sigmoid", "Tanh",
    "Softplus", "Softsign", "ThresholdedRelu", "PRelu", "Mish", "Dropout", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot",
    "BitShift",
)  # fmt: skip

RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _elements),
    **dict.fromkeys(
        ["Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LRN",
         "BatchNormalization", "InstanceNormalization", "DepthToSpace", "SpaceToDepth"], _pictures,
    ),
    **dict.fromkeys(["Softmax", "LogSoftmax"], _softmax),
    **dict.fromkeys(["Split", "Hardmax", "LpNormalization"], _along_another),
    **dict.fromkeys(["MatMul", "Gemm"], _rows_of_product),
    **dict.fromkeys([*_NEUTRAL, *_EXTREME], _reduction),
    **dict.fromkeys(["CumSum", "CumProd"], _cumulative),
    **dict.fromkeys(["Shape", "Size"], moved_lengths.of_shape),
    **dict.fromkeys(["RoiAlign", "MaxRoiPool"], _regions),
    "Reshape": moved_lengths.of_reshape,
    "Flatten": moved_lengths.of_flatten,
    "Squeeze": moved_lengths.of_squeeze,
    "Unsqueeze": moved_lengths.of_unsqueeze,
    "Transpose": moved_lengths.of_transpose,
    "Concat": moved_lengths.of_concat,
    "Gather": picked_lengths.of_gather,
    "GatherElements": picked_lengths.of_gather_elements,
    "GatherND": picked_lengths.of_gather_nd,
    "ScatterElements": picked_lengths.of_scatter_elements,
    "ScatterND": picked_lengths.of_scatter_nd,
    "Slice": picked_lengths.of_slice,
    "ConstantOfShape": moved_lengths.of_filled,
    "Expand": moved_lengths.of_expand,
    "Range": moved_lengths.of_range,
    "Tile": moved_lengths.of_tile,
    "TopK": _top_k,
    "NonZero": _nonzero,
    "Compress": _compress,
    "NonMaxSuppression": _suppress,
    "OneHot": _one_hot,
}  # fmt: skip
"""By operator. What is not here is refused."""

SIZED = ("ConstantOfShape", "Expand", "Range", "Reshape", "Slice", "Tile", "TopK")
"""Operators that give something ragged where the sizes that they are told depend on values."""
