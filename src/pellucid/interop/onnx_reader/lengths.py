"""How each operator passes on a length that depends on values: one rule for each kind of operator."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pellucid import ops
from pellucid.graph import Constant, Tensor, constant
from pellucid.interop.onnx_reader.operators import elementwise
from pellucid.interop.onnx_reader.operators.registry import Call
from pellucid.interop.onnx_reader.ragged import Ragged, Rule, Site, same_count
from pellucid.op import Shape
from pellucid.ops.selection import blank, compacted

Outputs = list[Tensor | Ragged | None]


def _count(value: int | Tensor) -> Tensor:
    return constant(value) if isinstance(value, int) else ops.reshape(value, ())


def _all_at(site: Site, made: Outputs, axis: int) -> Outputs:
    """Outputs of which as much is there as of the ragged input, along one axis."""
    length = next(iter(site.held.values()))
    return [length.at(o, axis) if isinstance(o, Tensor) else o for o in made]


def _lowest(x: Tensor, sign: int = 1) -> float:
    """A number that no element is below (for sign -1 none above)."""
    if x.dtype.startswith("float"):
        return -math.inf * sign
    if x.dtype == "bool":
        return sign < 0
    return np.iinfo(np.int64).min if sign > 0 else np.iinfo(np.int64).max


# Element by element, and axes that stay


def _elements(site: Site) -> Outputs:
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


def _pictures(site: Site) -> Outputs:
    """What is done to each picture of a batch."""
    length = site.sole()
    if length.axis != 0:
        raise site.refused(f"along axis {length.axis}")
    return _all_at(site, site.run(*site.inputs), 0)


def _along_another(site: Site) -> Outputs:
    """What works along one axis, or from it on, and leaves the others alone."""
    length, call = site.sole(), site.call
    axis = call.from_front(call["axis"] or 0, length.tensor.ndim)
    flattens = call.node.kind in ("Softmax", "LogSoftmax", "Hardmax") and call.node.opset < 13
    if length.axis == axis or (flattens and length.axis > axis):
        raise site.refused(f"along axis {axis}")
    return _all_at(site, site.run(*site.inputs), length.axis)


def _softmax(site: Site) -> Outputs:
    length, call = site.sole(), site.call
    if call.from_front(call["axis"], length.tensor.ndim) != length.axis or call.node.opset < 13:
        return _along_another(site)
    low = blank(length.tensor, length.count, length.axis, -math.inf)
    return _all_at(site, site.run(low), length.axis)


def _rows_of_product(site: Site) -> Outputs:
    length = site.sole()
    row = 1 if site.call.node.kind == "Gemm" and site.call["transA"] else length.tensor.ndim - 2
    other = site.tensor(1)
    if length.axis != row or (site.call.node.kind == "MatMul" and other.ndim < 2):
        raise site.refused(f"along axis {length.axis}")
    (y,) = site.run(*site.inputs)
    return _all_at(site, [y], y.ndim - 2 if isinstance(y, Tensor) else 0)


# The same elements in another order


def _reshaped(site: Site, length: Ragged, after: Shape, free: Sequence[int]) -> tuple[int, Tensor]:
    """Which of the `free` axes of a new shape is ragged, and how much of it there is."""
    before, axis = length.tensor.shape, length.axis
    lead, inner = math.prod(before[:axis]), math.prod(before[axis + 1 :])
    for place in free:
        if math.prod(after[:place]) != lead:
            continue
        width = math.prod(after[place + 1 :])
        if width == inner:
            return place, length.count
        if lead == 1 and width and inner % width == 0:
            return place, length.count * (inner // width)
        if lead == 1 and inner and width % inner == 0:
            return place, ops.whole_divide(length.count, width // inner)
    raise site.refused(f"as {after}")


def _reshape(site: Site) -> Outputs:
    call, to = site.call, site.tensor(1)
    wanted, sizes = _sizes(site, to)
    x = site.tensor(0)
    free = [i for i, n in enumerate(wanted) if n == -1 or i in sizes or (n == 0 and not call["allowzero"])]
    if len(sizes) == 1 and -1 not in wanted:
        wanted[next(iter(sizes))] = -1
    (y,) = site.run(x, constant(np.array(wanted, np.int64)))
    assert isinstance(y, Tensor)
    if 0 not in site.held:
        ((axis, count),) = sizes.items() if len(sizes) == 1 else [(None, None)]
        if axis is None or count is None:
            raise site.refused("in that place")
        return [Ragged(y, axis, count)]
    axis, count = _reshaped(site, site.held[0], y.shape, free)
    return [Ragged(y, axis, count)]


def _flatten(site: Site) -> Outputs:
    length = site.sole()
    (y,) = site.run(*site.inputs)
    assert isinstance(y, Tensor)
    axis, count = _reshaped(site, length, y.shape, range(y.ndim))
    return [Ragged(y, axis, count)]


def _squeeze(site: Site) -> Outputs:
    length, call = site.sole(), site.call
    x = length.tensor
    given = call.axes("axes", site.inputs[1] if len(site.inputs) > 1 else None)
    if given is None:
        dropped = [a for a, n in enumerate(x.shape) if n == 1 and a != length.axis]
        y = ops.reshape(x, [n for a, n in enumerate(x.shape) if a not in dropped])
    else:
        dropped = [call.from_front(a, x.ndim) for a in given]
        if length.axis in dropped:
            raise site.refused(f"along axis {length.axis}")
        (y,) = site.run(*site.inputs)
    return _all_at(site, [y], length.axis - sum(a < length.axis for a in dropped))


def _unsqueeze(site: Site) -> Outputs:
    length, call = site.sole(), site.call
    (y,) = site.run(*site.inputs)
    assert isinstance(y, Tensor)
    given = call.axes("axes", site.inputs[1] if len(site.inputs) > 1 else None) or []
    new = {call.from_front(a, y.ndim) for a in given}
    return _all_at(site, [y], [a for a in range(y.ndim) if a not in new][length.axis])


def _transpose(site: Site) -> Outputs:
    length = site.sole()
    order = site.call["perm"] or range(length.tensor.ndim)[::-1]
    return _all_at(site, site.run(*site.inputs), list(order).index(length.axis))


def _concat(site: Site) -> Outputs:
    call, first = site.call, next(iter(site.held.values()))
    parts = [site.tensor(number) for number in range(len(site.inputs))]
    axis = call.from_front(call["axis"], first.tensor.ndim)
    if all(r.axis == axis for r in site.held.values()):
        room = [p.shape[axis] for p in parts]
        counts = [site.held[n].count if n in site.held else _count(p.shape[axis]) for n, p in enumerate(parts)]
        (y,) = site.run(*parts)
        assert isinstance(y, Tensor)
        return [Ragged(*_with_axis(compacted(y, room, counts, axis), axis))] if y.shape[axis] else [y]
    whole = len(site.held) == len(parts)
    if not whole or any(r.axis != first.axis or not same_count(r.count, first.count) for r in site.held.values()):
        raise site.refused("beside another")
    return _all_at(site, site.run(*parts), first.axis)


def _with_axis(made: tuple[Tensor, Tensor], axis: int) -> tuple[Tensor, int, Tensor]:
    return made[0], axis, made[1]


# Picking


def _picks(site: Site, number: int) -> Tensor:
    """Indices, 0 where no index is used, counted from the end of what there is of a ragged axis that they pick along."""
    picks = site.tensor(number)
    length = site.held.get(number)
    return picks if length is None else blank(picks, length.count, length.axis)


def _from_end(picks: Tensor, count: Tensor) -> Tensor:
    """Indices below 0 as indices from the front of the first `count` places."""
    if isinstance(picks.op, Constant) and not (picks.op.value < 0).any():
        return picks
    return ops.where(ops.less(picks, 0), picks + count, picks)


def _gather(site: Site) -> Outputs:
    call, x, picks = site.call, site.tensor(0), _picks(site, 1)
    axis = call.from_front(call["axis"], x.ndim)
    data, chosen = site.held.get(0), site.held.get(1)
    if data is not None and data.axis == axis:
        x, picks = blank(x, data.count, axis), _from_end(picks, data.count)
        data = None
    if data is not None and chosen is not None:
        raise site.refused("by another")
    (y,) = site.run(x, picks)
    assert isinstance(y, Tensor)
    if chosen is not None:
        return [chosen.at(y, axis + chosen.axis)]
    return [y if data is None else data.at(y, data.axis + (picks.ndim - 1 if data.axis > axis else 0))]


def _gather_elements(site: Site) -> Outputs:
    call, x, picks = site.call, site.tensor(0), _picks(site, 1)
    axis = call.from_front(call["axis"], x.ndim)
    data, chosen = site.held.get(0), site.held.get(1)
    if data is not None and data.axis == axis:
        picks = _from_end(picks, data.count)
    elif data is not None and (chosen is None or chosen.axis != data.axis):
        raise site.refused("by another")
    (y,) = site.run(x, picks)
    assert isinstance(y, Tensor)
    return [y if chosen is None else chosen.at(y, chosen.axis)]


def _gather_nd(site: Site) -> Outputs:
    x, picks = site.tensor(0), _picks(site, 1)
    data, chosen = site.held.get(0), site.held.get(1)
    depth = (site.call["batch_dims"] or 0) + picks.shape[-1]
    if (data is not None and (data.axis >= depth or site.call["batch_dims"])) or (
        chosen is not None and chosen.axis == picks.ndim - 1
    ):
        raise site.refused("by another")
    (y,) = site.run(x, picks)
    assert isinstance(y, Tensor)
    return [y if chosen is None else chosen.at(y, chosen.axis)]


def _slice(site: Site) -> Outputs:
    """One axis at a time: where its ends or its length depend on values, what is left is moved to the front."""
    call, x = site.call, site.tensor(0)
    given = [site.inputs[n] if n < len(site.inputs) else None for n in range(1, 5)]
    along = call.axes("axes", given[2]) or list(range(_number_of(call, given[0])))
    steps = call.axes("steps", given[3]) or [1] * len(along)
    starts, ends = (
        _places(call, name, tensor, len(along)) for name, tensor in (("starts", given[0]), ("ends", given[1]))
    )
    length = site.held.get(0)
    for start, end, axis, step in zip(starts, ends, along, steps, strict=True):
        at = call.from_front(axis, x.ndim)
        mine = length is not None and length.axis == at
        if isinstance(start, int) and isinstance(end, int) and not mine:
            (x,) = _sliced(site, x, start, end, at, step)
            continue
        if step != 1 or (length is not None and not mine):
            raise site.refused(f"in steps of {step}" if step != 1 else "along two axes")
        size = length.count if length is not None and mine else _count(x.shape[at])
        length = _cut(x, size, start, end, at)
        x = length.tensor
    return [x if length is None else length.at(x, length.axis)]


def _number_of(call: Call, starts: Tensor | None) -> int:
    return starts.size if starts is not None else len(call["starts"] or ())


def _places(call: Call, name: str, tensor: Tensor | None, count: int) -> list[int | Tensor]:
    if tensor is None or isinstance(tensor.op, Constant):
        return list(call.axes(name, tensor) or ())
    return [ops.reshape(ops.reshape(tensor, (count,))[n : n + 1], ()) for n in range(count)]


def _sliced(site: Site, x: Tensor, start: int, end: int, axis: int, step: int) -> list[Tensor]:
    rows = (constant(np.array([n], np.int64)) for n in (start, end, axis, step))
    handler, call = site.handler.function, site.call
    return [handler(call, x, *rows)]


def _cut(x: Tensor, size: Tensor, start: int | Tensor, end: int | Tensor, axis: int) -> Ragged:
    """Places `start` to `end` along an axis of which `size` places are used."""
    first, last = (_count(p) if isinstance(p, int) and p >= 0 else _from_end(_count(p), size) for p in (start, end))
    first, last = (ops.minimum(ops.maximum(p, 0), size) for p in (first, last))
    room = x.shape[axis]
    if isinstance(start, int):
        room = max(0, min(room, -start) if start < 0 else room - start)
        if isinstance(end, int) and end >= 0 <= start:
            room = min(room, max(0, end - start))
    if isinstance(start, int) and start >= 0:
        y = x[(*(slice(None),) * axis, slice(start, start + room))]
    else:
        places = constant(np.arange(room)) + first
        y = ops.gather(x, ops.minimum(places, max(0, x.shape[axis] - 1)), axis)
    return Ragged(y, axis, ops.maximum(last - first, 0))


# Numbers about shapes, and tensors of a computed size


def _shape(site: Site) -> Outputs:
    length, call = site.sole(), site.call
    shape = length.tensor.shape
    sizes = [length.count if a == length.axis else constant(n) for a, n in enumerate(shape)]
    if call.node.kind == "Size":
        return [length.count * (length.tensor.size // max(1, shape[length.axis]))]
    end = call["end"]
    chosen = sizes[slice(call["start"] or 0, len(sizes) if end is None else end)]
    return [ops.concat([ops.reshape(n, (1,)) for n in chosen], 0) if chosen else constant(np.zeros(0, np.int64))]


def _sizes(site: Site, tensor: Tensor) -> tuple[list[int], dict[int, Tensor]]:
    """The largest that each size can be, and those sizes that depend on values."""
    call = site.call
    if isinstance(tensor.op, Constant):
        return call.integers("shape", tensor), {}
    most = site.lengths.upper(tensor)
    if most is None:
        return call.integers("its shape", tensor), {}
    flat = ops.reshape(tensor, (tensor.size,))
    parts = [ops.reshape(flat[n : n + 1], ()) for n in range(tensor.size)]
    known = [_known(p) for p in parts]
    sizes = {n: parts[n] for n, value in enumerate(known) if value is None}
    return [int(m) if k is None else k for m, k in zip(most.reshape(-1), known, strict=True)], sizes


def _known(size: Tensor) -> int | None:
    """A size that a concatenation of sizes states as a number."""
    from pellucid.ops.indexing import Slice
    from pellucid.ops.shape import Concat, Reshape

    node, at = size, 0
    while not isinstance(node.op, Constant):
        if isinstance(node.op, Reshape):
            node = node.inputs[0]
        elif isinstance(node.op, Slice) and node.inputs[0].ndim == 1:
            at, node = node.op.starts[0] + at * node.op.steps[0], node.inputs[0]
        elif isinstance(node.op, Concat) and node.ndim == 1:
            for part in node.inputs:
                if at < part.size:
                    node = part
                    break
                at -= part.size
        else:
            return None
    return int(node.op.value.reshape(-1)[at])


def _one_size(site: Site, sizes: dict[int, Tensor]) -> tuple[int, Tensor]:
    if len(sizes) != 1:
        raise site.refused("along two axes")
    return next(iter(sizes.items()))


def _filled(site: Site) -> Outputs:
    most, sizes = _sizes(site, site.tensor(0))
    axis, count = _one_size(site, sizes)
    (y,) = site.run(constant(np.array(most, np.int64)))
    assert isinstance(y, Tensor)
    return [Ragged(y, axis, count)]


def _expand(site: Site) -> Outputs:
    most, sizes = _sizes(site, site.tensor(1))
    (y,) = site.run(site.tensor(0), constant(np.array(most, np.int64)))
    assert isinstance(y, Tensor)
    if sizes:
        axis, count = _one_size(site, sizes)
        length = Ragged(y, axis + y.ndim - len(most), count)
        if 0 in site.held and site.held[0].axis + y.ndim - site.held[0].tensor.ndim != length.axis:
            raise site.refused("along two axes")
        return [length]
    own = site.sole()
    axis = own.axis + y.ndim - own.tensor.ndim
    if y.shape[axis] != own.tensor.shape[own.axis]:
        raise site.refused(f"as {y.shape}")
    return [own.at(y, axis)]


def _range(site: Site) -> Outputs:
    start, limit, delta = (site.tensor(n) for n in range(3))
    first, step = (int(site.call.values("start and delta", t).reshape(())) for t in (start, delta))
    most = site.lengths.upper(limit)
    if most is None or step != 1 or limit.dtype != "int64":
        return site.run(start, limit, delta)
    (y,) = site.run(start, constant(most.astype(np.int64)), delta)
    assert isinstance(y, Tensor)
    return [Ragged(y, 0, ops.maximum(_count(limit) - first, 0))]


def _tile(site: Site) -> Outputs:
    most, sizes = _sizes(site, site.tensor(1))
    (y,) = site.run(site.tensor(0), constant(np.array(most, np.int64)))
    assert isinstance(y, Tensor)
    if sizes:
        axis, count = _one_size(site, sizes)
        if site.held:
            raise site.refused("along two axes")
        return [Ragged(y, axis, count * site.tensor(0).shape[axis])]
    length = site.sole()
    if most[length.axis] != 1:
        raise site.refused(f"{most[length.axis]} times")
    return [length.at(y, length.axis)]


# Over an axis


_NEUTRAL = {
    "ReduceSum": 0.0,
    "ReduceL1": 0.0,
    "ReduceL2": 0.0,
    "ReduceSumSquare": 0.0,
    "ReduceProd": 1.0,
    "ReduceMean": 0.0,
}
_EXTREME = {"ReduceMax": 1, "ArgMax": 1, "ReduceMin": -1, "ArgMin": -1}


def _reduction(site: Site) -> Outputs:
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
        return _all_at(site, site.run(*site.inputs), length.axis - below)
    fill = _lowest(x, _EXTREME[kind]) if kind in _EXTREME else _NEUTRAL[kind]
    (y,) = site.run(*site.with_input(0, blank(x, length.count, length.axis, fill)))
    if kind == "ReduceMean" and isinstance(y, Tensor):
        y = y * (ops.cast(_count(x.shape[length.axis]), x.dtype) / ops.cast(length.count, x.dtype))
    return [y]


def _top_k(site: Site) -> Outputs:
    """The k first, of which there are no more than there is along the axis."""
    call, x = site.call, site.tensor(0)
    axis, length = call.from_front(call["axis"], x.ndim), site.held.get(0)
    k = site.inputs[1] if len(site.inputs) > 1 else None
    asked = call["k"] if k is None else int(k.op.value.reshape(())) if isinstance(k.op, Constant) else _count(k)
    if isinstance(asked, int) and length is not None and length.axis != axis:
        return _all_at(site, site.run(*site.inputs), length.axis)
    if length is not None and length.axis != axis:
        raise site.refused("along two axes")
    count = _count(x.shape[axis]) if length is None else length.count
    if length is not None:
        x = blank(x, count, axis, _lowest(x, 1 if call["largest"] in (None, 1) else -1))
    most = None if isinstance(asked, int) or k is None else site.lengths.upper(k)
    room = asked if isinstance(asked, int) else x.shape[axis] if most is None else int(most.reshape(()))
    values, places = ops.top_k(x, max(0, min(room, x.shape[axis])), axis, call["largest"] in (None, 1))
    used = ops.minimum(ops.maximum(_count(asked), 0), count)
    return [Ragged(values, axis, used), Ragged(places, axis, used)]


def _cumulative(site: Site) -> Outputs:
    """A running sum goes from the used places to the others, unless it goes backwards."""
    length = site.sole()
    if site.call["reverse"]:
        x = blank(length.tensor, length.count, length.axis, 1.0 if site.call.node.kind == "CumProd" else 0.0)
        return _all_at(site, site.run(*site.with_input(0, x)), length.axis)
    return _all_at(site, site.run(*site.inputs), length.axis)


# Selecting again


def _nonzero(site: Site) -> Outputs:
    length = site.sole()
    return site.run(blank(length.tensor, length.count, length.axis))


def _compress(site: Site) -> Outputs:
    call, x, condition = site.call, site.tensor(0), site.tensor(1)
    data, mask = site.held.get(0), site.held.get(1)
    if data is not None and (call["axis"] is None or call.from_front(call["axis"], x.ndim) != data.axis):
        raise site.refused("along another axis")
    for length in (data, mask):
        if length is not None and condition.shape[0] <= length.tensor.shape[length.axis]:
            condition = blank(condition, length.count, 0)
    return site.run(x, condition)


def _suppress(site: Site) -> Outputs:
    """Boxes and scores of which the first are there: the other scores are below any."""
    wanted = {0: 1, 1: 2}
    lengths = list(site.held.values())
    if any(wanted.get(n) != r.axis for n, r in site.held.items()) or not same_count(
        lengths[0].count, lengths[-1].count
    ):
        raise site.refused("in that place")
    scores = blank(site.tensor(1), lengths[0].count, 2, -math.inf)
    given = [*site.inputs, *(None,) * (5 - len(site.inputs))]
    least = given[4] if given[4] is not None else constant(-math.inf)
    return site.run(site.tensor(0), scores, given[2], given[3], least)


def _regions(site: Site) -> Outputs:
    """Boxes of which the first are there, and the picture of each; the others are boxes of the first picture."""
    boxes = list(site.held.values())
    if 0 in site.held or any(r.axis or not same_count(r.count, boxes[0].count) for r in boxes):
        raise site.refused("in that place")
    inputs = list(site.inputs)
    for number, length in site.held.items():
        inputs[number] = blank(length.tensor, length.count, 0)
    return _all_at(site, site.run(*inputs), 0)


def _one_hot(site: Site) -> Outputs:
    length, call = site.sole(), site.call
    axis = call.from_front(call["axis"], length.tensor.ndim + 1)
    return _all_at(site, site.run(*site.inputs), length.axis + (axis <= length.axis))


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
    **dict.fromkeys(["Shape", "Size"], _shape),
    **dict.fromkeys(["RoiAlign", "MaxRoiPool"], _regions),
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Slice": _slice,
    "ConstantOfShape": _filled,
    "Expand": _expand,
    "Range": _range,
    "Tile": _tile,
    "TopK": _top_k,
    "NonZero": _nonzero,
    "Compress": _compress,
    "NonMaxSuppression": _suppress,
    "OneHot": _one_hot,
}  # fmt: skip
"""By operator. What is not here is refused."""

SIZED = ("ConstantOfShape", "Expand", "Range", "Reshape", "Slice", "Tile", "TopK")
"""Operators that give something ragged where the sizes that they are told depend on values."""
