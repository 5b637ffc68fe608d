"""What each pass did to a graph: nodes before and after, those it made, and those that it took away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pellucid.executors.passes import USUAL, run_passes
from pellucid.executors.setting import Setting
from pellucid.graph import Constant, Graph, Parameter, Tensor
from pellucid.graph_view import diagram, operation
from pellucid.pictures import Answer, Grid, Page
from pellucid.plain import plain
from pellucid.text import shortened
from pellucid.walks import Outputs

_WIDTH = 116


@dataclass(frozen=True)
class Change:
    """A node that a pass made, or (with `moved`) set on other inputs. `instead_of` are nodes that it stands for."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]
    moved: bool
    instead_of: tuple[str, ...]

    def __str__(self) -> str:
        replaced = f", in place of {', '.join(self.instead_of)}" if self.instead_of else ""
        return f"{'moved' if self.moved else 'made '} {self.name} = {self.kind}({', '.join(self.inputs)}){replaced}"


@dataclass(frozen=True)
class PassRecord(Answer):
    """One pass over one graph: what it is for, and what it changed. Printing gives all of it, with the whole graph."""

    name: str
    purpose: str
    num_before: int
    changes: tuple[Change, ...]
    gone: dict[str, str]
    """Nodes that are there no more: name and kind of op."""
    graph: Graph = field(repr=False)
    """The graph as the pass left it."""

    def to_dict(self, with_graph: bool = False) -> dict[str, Any]:
        """Plain data for JSON; with the nodes of the graph only if wanted, for there may be thousands."""
        facts: dict[str, Any] = {
            "name": self.name,
            "purpose": self.purpose,
            "nodes_before": self.num_before,
            "nodes_after": len(self.graph),
            "changes": plain(self.changes),
            "gone": self.gone,
        }
        return {**facts, "graph": list(_plain_nodes(self.graph))} if with_graph else facts

    def summary(self) -> str:
        """What the pass did, nodes of one kind in one line."""
        lines = [self._headline()]
        if self.gone:
            lines.append(f"  gone   {', '.join(f'{n} {kind}' for kind, n in Counter(self.gone.values()).items())}")
        made: dict[str, list[str]] = {}
        for change in self.changes:
            if not change.moved:
                made.setdefault(change.kind, []).append(change.name)
        named = [f"{len(names)} {kind}: {', '.join(names)}" for kind, names in made.items() if kind != "constant"]
        if "constant" in made:
            named.append(f"{len(made['constant'])} constant")
        lines += [f"  {'' if number else 'made':<6} {text}" for number, text in enumerate(named)]
        if moved := [c.name for c in self.changes if c.moved]:
            lines.append(f"  moved  {', '.join(moved)}")
        return "\n".join([lines[0], *(shortened(line, _WIDTH) for line in lines[1:])])

    def __str__(self) -> str:
        gone = [f"  gone  {name} ({kind})" for name, kind in self.gone.items()]
        return "\n".join([self._headline(), *gone, *(f"  {c}" for c in self.changes), "", str(self.graph)])

    def picture(self) -> Page:
        """What the pass did, and the whole graph as it left it."""
        gone = [["gone", name, kind, ""] for name, kind in self.gone.items()]
        done = [
            ["moved" if c.moved else "made", c.name, f"{c.kind}({', '.join(c.inputs)})", ", ".join(c.instead_of)]
            for c in self.changes
        ]
        changes = Grid(["", "node", "operation", "in place of"], [*gone, *done], "llll")
        parts = (self._headline(), *([changes] if changes.rows else []), diagram(self.graph))
        return Page(f"After the pass {self.name}", parts)

    def _headline(self) -> str:
        counts = f"{self.num_before} -> {len(self.graph)}"
        return f"{self.name:<20} {counts:<12} {self.purpose}"


def trace_passes(
    outputs: Outputs,
    changing: Sequence[Parameter] = (),
    without: Collection[str] = (),
    setting: Setting = USUAL,
) -> list[PassRecord]:
    """A record of every pass that `run_passes` would run."""
    records: list[PassRecord] = []

    def watch(name: str, purpose: str, before: Outputs, after: Outputs) -> None:
        records.append(_record(name, purpose, Graph(before), Graph(after)))

    run_passes(outputs, changing, without, watch, setting)
    return records


Key = tuple[str, Any]
"""What a node is, whatever it is computed from: name and op."""


def _record(name: str, purpose: str, before: Graph, after: Graph) -> PassRecord:
    gone = _missing(before, after)
    changes = tuple(_changes(before, after, gone))
    return PassRecord(name, purpose, len(before), changes, {before.names[n]: n.op.kind for n in gone}, after)


def _key(node: Tensor) -> Key:
    return node.name, node.op


def _signature(node: Tensor) -> tuple[Key, tuple[Key, ...]]:
    return _key(node), tuple(map(_key, node.inputs))


def _missing(before: Graph, after: Graph) -> list[Tensor]:
    """Nodes of `before` that `after` has no counterpart of."""
    left = Counter(map(_key, after))
    here = set(after)
    left.subtract(_key(n) for n in before if n in here)
    missing: list[Tensor] = []
    for node in before:
        if node in here:
            continue
        left[_key(node)] -= 1
        if left[_key(node)] < 0:
            missing.append(node)
    return missing


def _changes(before: Graph, after: Graph, gone: Sequence[Tensor]) -> Iterator[Change]:
    """Nodes of `after` that `before` has not: a node rebuilt because something further back changed is not among them."""
    known = set(before)
    keys, signatures = Counter(map(_key, before)), Counter(map(_signature, before))
    for node in after:
        if node in known:
            keys[_key(node)] -= 1
            signatures[_signature(node)] -= 1
    unexplained = dict.fromkeys(gone)
    by_name = {node.name: node for node in gone}
    for node in after:
        if node in known:
            continue
        keys[_key(node)] -= 1
        signatures[_signature(node)] -= 1
        if signatures[_signature(node)] >= 0:
            continue
        moved = keys[_key(node)] >= 0
        replaced = [] if moved else _behind(by_name.get(node.name), unexplained)
        yield Change(
            after.names[node],
            node.op.kind,
            tuple(_argument(after, i) for i in node.inputs),
            node.dtype,
            node.shape,
            moved,
            tuple(before.names[n] for n in reversed(replaced)),
        )


def _behind(node: Tensor | None, gone: dict[Tensor, None]) -> list[Tensor]:
    """`node` and what it was made of, as far as it is gone too; each of `gone` is named once."""
    found: list[Tensor] = []
    stack = [] if node is None else [node]
    while stack:
        value = stack.pop(0)
        if value in gone:
            del gone[value]
            found.append(value)
            stack.extend(value.inputs)
    return found


def _argument(graph: Graph, node: Tensor) -> str:
    if isinstance(node.op, Constant) and node.size == 1:
        return f"{node.op.value.reshape(()).item():g}"
    return graph.names[node]


def _plain_nodes(graph: Graph) -> Iterator[dict[str, Any]]:
    for node in graph:
        yield {
            "name": graph.names[node],
            "op": operation(node.op),
            "inputs": [graph.names[i] for i in node.inputs],
            "dtype": node.dtype,
            "shape": list(node.shape),
        }
