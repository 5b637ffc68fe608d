"""Slices that together make up what they are cut from, which ONNX writes as one `Split`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pellucid.graph import Tensor
from pellucid.interop.onnx_writer.site import Draft, Site
from pellucid.ops.indexing import Slice


def find_splits(draft: Draft, nodes: Iterable[Tensor]) -> dict[Tensor, Sequence[Tensor]]:
    """All parts of a whole, in their order, by the first of the slices among `nodes` that makes one; none by the others."""
    cuts: dict[tuple[Tensor, int], dict[tuple[int, int], Tensor]] = {}
    for node in nodes:
        axis = _axis(draft, node)
        if axis is not None:
            op = node.op
            assert isinstance(op, Slice)
            cuts.setdefault((node.inputs[0], axis), {}).setdefault((op.starts[axis], op.stops[axis]), node)
    found: dict[Tensor, Sequence[Tensor]] = {}
    for (x, axis), parts in cuts.items():
        ranges = sorted(parts)
        ends = [0, *(stop for _, stop in ranges)]
        if len(ranges) > 1 and [start for start, _ in ranges] == ends[:-1] and ends[-1] == x.shape[axis]:
            found.update(dict.fromkeys(parts.values(), ()))
            found[next(iter(parts.values()))] = [parts[r] for r in ranges]
    return found


def write_split(site: Site, parts: Sequence[Tensor]) -> None:
    """All parts of a whole at once."""
    axis = _axis(site.draft, parts[0])
    assert axis is not None
    site.all("Split", parts, *site.inputs, site.integers([part.shape[axis] for part in parts]), axis=axis)


def _axis(draft: Draft, node: Tensor) -> int | None:
    """The axis of which a slice takes a part without gaps, where it is one alone and does not grow with the batch."""
    op, twin = node.op, draft.twins[node].op
    if not isinstance(op, Slice) or not isinstance(twin, Slice):
        return None
    (x,) = node.inputs
    whole = [(op.starts[a], op.stops[a], op.steps[a]) == (0, n, 1) for a, n in enumerate(x.shape)]
    if whole.count(False) != 1:
        return None
    axis = whole.index(False)
    fits = op.steps[axis] == 1 and op.starts[axis] < op.stops[axis] and draft.sizes(x)[axis] is not None
    return axis if fits and (op.starts[axis], op.stops[axis]) == (twin.starts[axis], twin.stops[axis]) else None
