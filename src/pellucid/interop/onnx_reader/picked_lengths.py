"""Lengths of what is picked, put or cut: by indices and ends, some of which are not used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid import ops
from pellucid.graph import Constant, Tensor, constant
from pellucid.interop.onnx_reader.operators.registry import Call
from pellucid.interop.onnx_reader.ragged import Outputs, Ragged, RaggedSite, all_at, count_of, same_count
from pellucid.ops.selection import blank, is_used
from pellucid.scopes import qualified


def _from_end(picks: Tensor, count: Tensor) -> Tensor:
    """Indices below 0 as indices from the front of the first `count` places."""
    if isinstance(picks.op, Constant) and not (picks.op.value < 0).any():
        return picks
    return ops.where(ops.less(picks, 0), picks + count, picks)


def _within(site: RaggedSite, picks: Tensor, count: Tensor, beyond: Tensor) -> Tensor:
    """Indices from the front of the first `count` places, `beyond` the room where there is no such place, which is an error.

    Counts and room are numbers, or as many as indices stand in a row. In a graph that is not entered nothing is an error.
    """
    picks = _from_end(picks, count)
    found = ops.where(ops.less(picks, 0), beyond, ops.where(ops.less(picks, count), picks, beyond))
    return site.in_entered(found).named(qualified("place_or_end_of_room"))


def _used(site: RaggedSite, picks: Tensor) -> Tensor:
    """Indices, 0 where no index is used."""
    length = site.held.get(1)
    return picks if length is None else blank(picks, length.count, length.axis)


def _within_axis(site: RaggedSite, axis: int, room: int) -> Tensor:
    """Indices along an axis of what there is of x, checked against its length; `room` is what lies outside."""
    data = site.held.get(0)
    count = count_of(site.tensor(0).shape[axis]) if data is None or data.axis != axis else data.count
    return _within(site, site.tensor(1), count, constant(room))


def _within_rows(site: RaggedSite, room: Sequence[int]) -> Tensor:
    """Rows of indices along the first axes of what there is of x, checked against its lengths."""
    x, data, depth = site.tensor(0), site.held.get(0), site.tensor(1).shape[-1]
    counts = [data.count if data is not None and data.axis == a else constant(x.shape[a]) for a in range(depth)]
    together = ops.concat([ops.reshape(n, (1,)) for n in counts], 0)
    return _within(site, site.tensor(1), together, constant(np.array(room[:depth], np.int64)))


def of_gather(site: RaggedSite) -> Outputs:
    call, x, picks = site.call, site.tensor(0), site.tensor(1)
    axis = call.from_front(call["axis"], x.ndim)
    data, chosen = site.held.get(0), site.held.get(1)
    if data is not None and data.axis == axis:
        x, picks = blank(x, data.count, axis), _within_axis(site, axis, x.shape[axis])
        data = None
    if data is not None and chosen is not None:
        raise site.refused("by another")
    lone = not picks.ndim and not isinstance(picks.op, Constant)
    (y,) = site.run(x, ops.reshape(picks, (1,)) if lone else _used(site, picks))
    assert isinstance(y, Tensor)
    y = ops.reshape(y, (*x.shape[:axis], *x.shape[axis + 1 :])) if lone else y
    if chosen is not None:
        return [chosen.at(y, axis + chosen.axis)]
    return [y if data is None else data.at(y, data.axis + (picks.ndim - 1 if data.axis > axis else 0))]


def of_gather_elements(site: RaggedSite) -> Outputs:
    call, x, picks = site.call, site.tensor(0), site.tensor(1)
    axis = call.from_front(call["axis"], x.ndim)
    data, chosen = site.held.get(0), site.held.get(1)
    if data is not None and data.axis == axis:
        picks = _within_axis(site, axis, x.shape[axis])
    elif data is not None and (chosen is None or chosen.axis != data.axis):
        raise site.refused("by another")
    (y,) = site.run(x, _used(site, picks))
    assert isinstance(y, Tensor)
    return [y if chosen is None else chosen.at(y, chosen.axis)]


def of_gather_nd(site: RaggedSite) -> Outputs:
    x, picks = site.tensor(0), site.tensor(1)
    data, chosen = site.held.get(0), site.held.get(1)
    depth = (site.call["batch_dims"] or 0) + picks.shape[-1]
    if (data is not None and (data.axis >= depth or site.call["batch_dims"])) or (
        chosen is not None and chosen.axis == picks.ndim - 1
    ):
        raise site.refused("by another")
    if data is not None:
        picks = _within_rows(site, x.shape)
    (y,) = site.run(x, _used(site, picks))
    assert isinstance(y, Tensor)
    return [y if chosen is None else chosen.at(y, chosen.axis)]


def of_scatter_elements(site: RaggedSite) -> Outputs:
    call, x = site.call, site.tensor(0)
    axis = call.from_front(call["axis"] or 0, x.ndim)
    behind = int(_is_put(site))
    return _scattered(site, axis, _within_axis(site, axis, x.shape[axis] + behind), constant(x.shape[axis]))


def of_scatter_nd(site: RaggedSite) -> Outputs:
    x, depth = site.tensor(0), site.tensor(1).shape[-1]
    behind = int(_is_put(site))
    if behind and site.held[1].axis == site.tensor(1).ndim - 1:
        raise site.refused("in that place")
    beyond = np.zeros(depth, np.int64)
    beyond[0] = x.shape[0]
    return _scattered(site, 0, _within_rows(site, [x.shape[0] + behind, *x.shape[1:]]), constant(beyond))


def _is_put(site: RaggedSite) -> bool:
    """Whether as many indices as updates are used, by a count; all are where it is neither."""
    places, updates = site.held.get(1), site.held.get(2)
    if places is None and updates is None:
        return False
    if places is None or updates is None or places.axis != updates.axis or not same_count(places.count, updates.count):
        raise site.refused("in that place")
    return True


def _scattered(site: RaggedSite, axis: int, picks: Tensor, behind: Tensor) -> Outputs:
    """What no index is used for is put `behind` x, into a slice that is cut off again."""
    x, chosen, data = site.tensor(0), site.held.get(1), site.held.get(0)
    if chosen is None:
        return all_at(site, site.run(*site.with_input(1, picks)), site.held[0].axis)
    wide = ops.pad(x, [(0, int(a == axis)) for a in range(x.ndim)])
    used = is_used(chosen.count, chosen.tensor.shape, chosen.axis)
    (y,) = site.run(wide, ops.where(used, picks, behind), site.tensor(2))
    assert isinstance(y, Tensor)
    y = y[(*(slice(None),) * axis, slice(0, x.shape[axis]))]
    return [y if data is None else data.at(y, data.axis)]


def of_slice(site: RaggedSite) -> Outputs:
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
        size = length.count if length is not None and mine else count_of(x.shape[at])
        length = _cut(x, size, start, end, at)
        x = length.tensor
    return [x if length is None else length.at(x, length.axis)]


def _number_of(call: Call, starts: Tensor | None) -> int:
    return starts.size if starts is not None else len(call["starts"] or ())


def _places(call: Call, name: str, tensor: Tensor | None, count: int) -> list[int | Tensor]:
    if tensor is None or isinstance(tensor.op, Constant):
        return list(call.axes(name, tensor) or ())
    return [ops.reshape(ops.reshape(tensor, (count,))[n : n + 1], ()) for n in range(count)]


def _sliced(site: RaggedSite, x: Tensor, start: int, end: int, axis: int, step: int) -> list[Tensor]:
    rows = (constant(np.array([n], np.int64)) for n in (start, end, axis, step))
    handler, call = site.handler.function, site.call
    return [handler(call, x, *rows)]


def _cut(x: Tensor, size: Tensor, start: int | Tensor, end: int | Tensor, axis: int) -> Ragged:
    """Places `start` to `end` along an axis of which `size` places are used."""
    first, last = (count_of(p) if isinstance(p, int) and p >= 0 else _from_end(count_of(p), size) for p in (start, end))
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
