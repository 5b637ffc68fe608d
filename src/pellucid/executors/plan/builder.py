"""The state of making one plan: which values lie where, the steps so far, and chains that values join."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pellucid.executors.plan.buffers import ARENA, BLOCK, BLOCKED, CHANNELS_LAST, PLAIN, Buffer, View, view_of
from pellucid.executors.plan.chains import is_arithmetic, is_number
from pellucid.executors.plan.choices import kept_values, updates_in_place
from pellucid.executors.plan.narrow import narrow_values
from pellucid.executors.plan.plan import Arrays
from pellucid.executors.plan.steps import ChainStep, Root, Step
from pellucid.graph import Graph, Parameter, Tensor
from pellucid.op import Op, Shape
from pellucid.walks import constant_nodes, users


@dataclass(frozen=True)
class Stored(Op, registered=False):
    """A value that lies in memory already"""


_WORTH_A_THREAD = 500_000
MOST_ROOTS = 6
"""Values that one chain stores or reduces; with the leaves each may have they stay within what C++ takes."""


class Builder:
    """What the lowerings of a plan read and add to. Names starting with `_` are its own."""

    def __init__(
        self,
        outputs: Sequence[Tensor],
        updates: Mapping[Parameter, Tensor],
        demoted: Collection[Parameter],
        threads: int,
        precision: str,
        without: Collection[str],
    ) -> None:
        self.outputs, self.updates = tuple(outputs), dict(updates)
        self.threads, self.precision, self.without = threads, precision, without
        everything = (*self.outputs, *self.updates.values())
        self.graph = Graph(everything)
        self.names = self.graph.names
        self.arrays = Arrays.of(self.graph, self.outputs)
        for parameter in self.updates:
            if parameter not in self.graph.names:
                self.arrays.parameters.append(parameter)
        self.bases = self.arrays.bases()
        self.readers = users(everything)
        self.fixed = constant_nodes(everything, list(self.updates))
        self.narrow = narrow_values(self.graph) if precision == "bfloat16" else frozenset[Tensor]()
        self.in_place = updates_in_place(self.graph, self.readers, self.outputs, self.updates, demoted)
        self.kept = kept_values(self.graph, self.readers, self.updates)
        self.values = _Places()
        """Where each value lies, of those that lie in memory."""
        self.steps: list[Step] = []
        self.fallbacks: set[str] = set()
        self.winners: dict[tuple[Tensor, object], tuple[str, Buffer]] = {}
        """Of the max poolings of an image under a window: the layout, and where the winners lie."""
        self.transformed: dict[tuple[Tensor, bool], Buffer] = {}
        """Weights transformed for Winograd's convolution, forward or backward."""
        self.can_join_from = 0
        """Number of the first step that values may still join."""
        self._made_at: dict[Buffer, int] = {}
        self._chains_by_value: dict[Tensor, list[int]] = {}
        """Numbers of the chains whose arithmetic comes by a value."""
        self._chains_by_buffer: dict[Buffer, list[int]] = {}
        """Numbers of the chains that write into a buffer."""
        self._relaid: dict[tuple[Tensor, str, str], View] = {}

    # Buffers

    def buffer(self, node: Tensor, layout: str = PLAIN, dtype: str | None = None) -> Buffer:
        """A new buffer in the arena for the value of `node`."""
        return Buffer(self.names.get(node, node.name), node.shape, dtype or self.dtype(node), layout)

    def image(self, node: Tensor, layout: str, dtype: str | None = None) -> Buffer:
        """A new buffer for an image; of one pixel per channel all layouts are the same."""
        single = node.shape[2] * node.shape[3] == 1 and layout == BLOCKED
        return self.buffer(node, PLAIN if single else layout, dtype)

    def scratch(self, name: str, nbytes: int) -> Buffer:
        """A new buffer of so many bytes."""
        return Buffer(name, (nbytes,), "uint8")

    def dtype(self, node: Tensor) -> str:
        """The element type in which `node` is kept."""
        return "bfloat16" if node in self.narrow else node.dtype

    def threads_for(self, flops: int) -> int:
        """Threads for a step of so much work: waking another must pay."""
        return self.threads if flops >= _WORTH_A_THREAD else 1

    # Steps, and where values lie

    def add(self, step: Step) -> None:
        """Append a step; it is constant if nothing it reads depends on an input."""
        for buffer in step.writes:
            self._made_at[buffer] = len(self.steps)
        self.steps.append(step)

    def made(self, node: Tensor, buffer: Buffer) -> None:
        """Say that `node` now lies in `buffer`."""
        self.values[node] = view_of(buffer)

    def place_leaf(self, node: Tensor) -> None:
        """Say that `node` lies in one of the caller's arrays."""
        self.made(node, Buffer(self.names[node], node.shape, node.dtype, base=self.bases[node]))

    def whole(self, node: Tensor, layout: str, dtype: str | None = None) -> View:
        """`node` from end to end in `layout`, its elements of `dtype` (by default its own); copied if it lies otherwise."""
        dtype = dtype or node.dtype
        view = self.values.get(node)
        if view is not None and view.buffer.dtype == dtype and _is_whole(view, layout):
            return view
        key = (node, layout, dtype)
        if key not in self._relaid:
            self._relaid[key] = to = view_of(self.buffer(node, layout, dtype))
            self.copy(node, view, to)
        return self._relaid[key]

    # Chains

    def copy(self, node: Tensor, view: View | None, to: View, join: bool = True, constant: bool | None = None) -> None:
        """A chain that writes the value of `node`, which lies in `view` or is computed on the way, to another place."""
        source = node if view is None else self._stored(node, view)
        self.add_root(
            Root(source, source, "store", to), node.shape, join, node in self.fixed if constant is None else constant
        )

    def _stored(self, node: Tensor, view: View) -> Tensor:
        """A stand-in for `node` that chains read and never compute."""
        stand_in = Tensor(Stored(), (), node.shape, node.dtype, self.names.get(node, node.name))
        self.values[stand_in] = view
        return stand_in

    def store(self, node: Tensor) -> None:
        """A chain that computes `node` and keeps it."""
        to = view_of(self.buffer(node, self._chain_layout(node)))
        self.add_root(Root(node, node, "store", to), node.shape)
        self.values[node] = to

    def add_root(self, root: Root, loops: Shape, join: bool = True, constant: bool | None = None) -> None:
        """Put a root into the earliest chain that reads something it reads too, or into a new one."""
        leaves = self._leaves(root.source)
        if root.source in self.values and root.source not in leaves:
            leaves.append(root.source)
        assert root.to is not None
        constant = (root.source in self.fixed if constant is None else constant) and root.to.buffer.base == ARENA
        earliest = self.can_join_from
        for leaf in leaves:
            at = self._made_at.get(self.values[leaf].buffer, -1)
            earliest = max(earliest, at if at >= 0 and self._in_chain(leaf, at, loops) else at + 1)
        number = self._chain_to_join(leaves, loops, earliest, constant) if join else None
        if number is None:
            name = self.names.get(root.node, root.node.name)
            number = len(self.steps)
            self.steps.append(ChainStep(name, "chain", [], [], loops=loops, constant=constant))
        chain = self.steps[number]
        assert isinstance(chain, ChainStep)
        chain.roots.append(root)
        self._made_at[root.to.buffer] = number
        self._chains_by_buffer.setdefault(root.to.buffer, []).append(number)
        for value in self._walked(root.source):
            self._chains_by_value.setdefault(value, []).append(number)

    def _chain_layout(self, node: Tensor) -> str:
        """As the images that the chain reads."""
        if node.ndim != 4 or node.dtype != "float32" or node.shape[2] * node.shape[3] == 1:
            return PLAIN
        views = [self.values[leaf] for leaf in self._leaves(node) if leaf.shape == node.shape]
        if node.shape[1] % BLOCK == 0 and any(v.blocked for v in views):
            return BLOCKED
        if any(not v.blocked and v.is_whole(CHANNELS_LAST) and not v.is_whole(PLAIN) for v in views):
            return CHANNELS_LAST
        return PLAIN

    def _leaves(self, node: Tensor) -> list[Tensor]:
        """The stored values from which a chain computes `node`."""
        stored = (value for value in self._walked(node) if value in self.values)
        return [value for value in stored if value is not node or not is_number(value)]

    def _walked(self, node: Tensor) -> dict[Tensor, None]:
        """The values that a chain comes by when it computes `node`, down to those that are stored."""
        found: dict[Tensor, None] = {}
        stack = [node]
        while stack:
            value = stack.pop()
            if value in found:
                continue
            found[value] = None
            if (value is node or value not in self.values) and not is_number(value):
                stack.extend(value.inputs if is_arithmetic(value) else ())
        return found

    def _in_chain(self, leaf: Tensor, at: int, loops: Shape) -> bool:
        """Whether `leaf` is computed (not reduced or copied) by the chain at `at`, under the same loops."""
        step = self.steps[at]
        if not isinstance(step, ChainStep) or step.loops != loops:
            return False
        return any(
            r.node is leaf and r.source is leaf and r.write == "store" and is_arithmetic(leaf) for r in step.roots
        )

    def _chain_to_join(self, leaves: list[Tensor], loops: Shape, earliest: int, constant: bool) -> int | None:
        wanted = {self.values[leaf].buffer for leaf in leaves if leaf.shape == loops}
        near = {number for buffer in wanted for number in self._chains_by_buffer.get(buffer, ())}
        values = (value for buffer in wanted for value in self.values.lying_in(buffer))
        near.update(number for value in values for number in self._chains_by_value.get(value, ()))
        for number in sorted(number for number in near if number >= earliest):
            step = self.steps[number]
            if not isinstance(step, ChainStep) or step.loops != loops or step.constant is not constant:
                continue
            if len(step.roots) < MOST_ROOTS and wanted & self._touched(step):
                return number
        return None

    def _touched(self, chain: ChainStep) -> set[Buffer]:
        """Buffers that a chain reads or writes."""
        touched = {root.to.buffer for root in chain.roots if root.to is not None}
        for root in chain.roots:
            read = [*self._leaves(root.source), root.source]
            touched |= {self.values[leaf].buffer for leaf in read if leaf in self.values}
        return touched


class _Places(dict[Tensor, View]):
    """Where values lie, and the values that ever lay in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self._lying: dict[Buffer, list[Tensor]] = {}

    def __setitem__(self, value: Tensor, view: View) -> None:
        super().__setitem__(value, view)
        self._lying.setdefault(view.buffer, []).append(value)

    def lying_in(self, buffer: Buffer) -> list[Tensor]:
        """The values that lie in a buffer, or did."""
        return self._lying.get(buffer, [])


def _is_whole(view: View, layout: str) -> bool:
    shape = view.shape
    single = len(shape) == 4 and shape[2] * shape[3] == 1
    if layout == BLOCKED and single and not view.blocked:
        return view.is_whole(PLAIN)
    return view.is_whole(layout)
