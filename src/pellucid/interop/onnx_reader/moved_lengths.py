"""Lengths of tensors whose elements are moved or counted: shapes, sizes that are computed, joins."""

from __future__ import annotations

import math

import numpy as np

from pellucid import ops
from pellucid.graph import Constant, Tensor, constant
from pellucid.interop.onnx_reader.counts import origin
from pellucid.interop.onnx_reader.ragged import Outputs, Ragged, RaggedSite, all_at, count_of, same_count
from pellucid.ops.selection import compacted


def _reshaped(site: RaggedSite, y: Tensor, place: int, exactly: bool = False) -> Ragged:
    """The ragged input under a new shape: how much is used at `place`, `exactly` as much as before where the shape says so.

    What is before that axis must be what was before it, so that the used elements stay the first of every row.
    """
    length = site.held[0]
    before, axis = length.tensor.shape, length.axis
    inner, width = math.prod(before[axis + 1 :]), math.prod(y.shape[place + 1 :])
    if math.prod(y.shape[:place]) != math.prod(before[:axis]) or (inner != width and (exactly or not width)):
        raise site.refused(f"as {y.shape}")
    if inner == width:
        return Ragged(y, place, length.count)
    common = math.gcd(inner, width)
    total, each = length.count * (inner // common), width // common
    if each == 1:
        return Ragged(y, place, total)
    count = ops.whole_divide(total, each)
    return Ragged(y, place, count + site.none(total - count * each, f"left_over_by_rows_of_{width}"))


def of_reshape(site: RaggedSite) -> Outputs:
    """The ragged axis of the new shape is the one that has a count, else that which keeps its size, else the one worked out."""
    call, length = site.call, site.held.get(0)
    wanted, sizes = _sizes(site, site.tensor(1))
    shown = [f"as many as {sizes[at].name}" if at in sizes else n for at, n in enumerate(wanted)]
    if length is not None and wanted[length.axis : length.axis + 1] == [0] and not call["allowzero"]:
        sizes = {length.axis: length.count, **sizes}
    if len(sizes) > 1 or (not sizes and -1 not in wanted):
        raise site.refused(f"as {shown}")
    place, count = next(iter(sizes.items()), (wanted.index(-1) if -1 in wanted else 0, None))
    exactly = length is not None and count is not None and same_count(count, length.count)
    if count is not None and -1 in wanted and not exactly:
        raise site.refused(f"as {shown}, of which it may be no multiple")
    wanted[place] = length.tensor.shape[length.axis] if length is not None and exactly else -1
    (y,) = site.run(site.tensor(0), constant(np.array(wanted, np.int64)))
    assert isinstance(y, Tensor)
    if length is not None or count is None:
        return [_reshaped(site, y, place, exactly)]
    left = site.none(y.shape[place] - count_of(count), f"left_over_of_{y.shape[place]}")
    return [Ragged(ops.gather(y, constant(np.arange(y.shape[place])) + left, place), place, count)]


def of_flatten(site: RaggedSite) -> Outputs:
    length = site.sole()
    (y,) = site.run(*site.inputs)
    assert isinstance(y, Tensor)
    ndim = length.tensor.ndim
    cut = site.call["axis"]
    return [_reshaped(site, y, int(length.axis >= (cut + ndim if cut < 0 else cut)))]


def of_squeeze(site: RaggedSite) -> Outputs:
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
    return all_at(site, [y], length.axis - sum(a < length.axis for a in dropped))


def of_unsqueeze(site: RaggedSite) -> Outputs:
    length, call = site.sole(), site.call
    (y,) = site.run(*site.inputs)
    assert isinstance(y, Tensor)
    given = call.axes("axes", site.inputs[1] if len(site.inputs) > 1 else None) or []
    new = {call.from_front(a, y.ndim) for a in given}
    return all_at(site, [y], [a for a in range(y.ndim) if a not in new][length.axis])


def of_transpose(site: RaggedSite) -> Outputs:
    length = site.sole()
    order = site.call["perm"] or range(length.tensor.ndim)[::-1]
    return all_at(site, site.run(*site.inputs), list(order).index(length.axis))


def of_concat(site: RaggedSite) -> Outputs:
    call, first = site.call, next(iter(site.held.values()))
    parts = [site.tensor(number) for number in range(len(site.inputs))]
    axis = call.from_front(call["axis"], first.tensor.ndim)
    if all(r.axis == axis for r in site.held.values()):
        room = [p.shape[axis] for p in parts]
        counts = [site.held[n].count if n in site.held else count_of(p.shape[axis]) for n, p in enumerate(parts)]
        (y,) = site.run(*parts)
        assert isinstance(y, Tensor)
        return [Ragged(*_with_axis(compacted(y, room, counts, axis), axis))] if y.shape[axis] else [y]
    whole = len(site.held) == len(parts)
    if not whole or any(r.axis != first.axis or not same_count(r.count, first.count) for r in site.held.values()):
        raise site.refused("beside another")
    return all_at(site, site.run(*parts), first.axis)


def _with_axis(made: tuple[Tensor, Tensor], axis: int) -> tuple[Tensor, int, Tensor]:
    return made[0], axis, made[1]


def of_shape(site: RaggedSite) -> Outputs:
    length, call = site.sole(), site.call
    shape = length.tensor.shape
    sizes = [length.count if a == length.axis else constant(n) for a, n in enumerate(shape)]
    if call.node.kind == "Size":
        return [length.count * (length.tensor.size // max(1, shape[length.axis]))]
    end = call["end"]
    chosen = sizes[slice(call["start"] or 0, len(sizes) if end is None else end)]
    return [ops.concat([ops.reshape(n, (1,)) for n in chosen], 0) if chosen else constant(np.zeros(0, np.int64))]


def _sizes(site: RaggedSite, tensor: Tensor) -> tuple[list[int], dict[int, Tensor]]:
    """The largest that each size can be, and those sizes that depend on values."""
    call = site.call
    if isinstance(tensor.op, Constant):
        return call.integers("shape", tensor), {}
    most = site.lengths.upper(tensor)
    if most is None:
        return call.integers("its shape", tensor), {}
    flat = ops.reshape(tensor, (tensor.size,))
    parts = [origin(flat, n) for n in range(tensor.size)]
    known = [int(p.op.value.reshape(())) if isinstance(p.op, Constant) else None for p in parts]
    sizes = {n: parts[n] for n, value in enumerate(known) if value is None}
    return [int(m) if k is None else k for m, k in zip(most.reshape(-1), known, strict=True)], sizes


def _one_size(site: RaggedSite, sizes: dict[int, Tensor]) -> tuple[int, Tensor]:
    if len(sizes) != 1:
        raise site.refused("along two axes")
    return next(iter(sizes.items()))


def of_filled(site: RaggedSite) -> Outputs:
    most, sizes = _sizes(site, site.tensor(0))
    axis, count = _one_size(site, sizes)
    (y,) = site.run(constant(np.array(most, np.int64)))
    assert isinstance(y, Tensor)
    return [Ragged(y, axis, count)]


def of_expand(site: RaggedSite) -> Outputs:
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


def of_range(site: RaggedSite) -> Outputs:
    start, limit, delta = (site.tensor(n) for n in range(3))
    first, step = (int(site.call.values("start and delta", t).reshape(())) for t in (start, delta))
    most = site.lengths.upper(limit)
    if most is None or step != 1 or limit.dtype != "int64":
        return site.run(start, limit, delta)
    (y,) = site.run(start, constant(most.astype(np.int64)), delta)
    assert isinstance(y, Tensor)
    count = origin(limit, 0)
    if first or count not in site.lengths.most:
        count = ops.maximum(count_of(limit) - first, 0)
    return [Ragged(y, 0, count)]


def of_tile(site: RaggedSite) -> Outputs:
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
