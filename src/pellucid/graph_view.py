"""How a graph is shown: as a table of text, as a picture in SVG, and by its first difference from another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pellucid.graph import Parameter
from pellucid.op import Op
from pellucid.screen import markup
from pellucid.text import shortened, text_table

if TYPE_CHECKING:
    from pellucid.graph import Graph, Tensor

MAX_DRAWN = 150


def table(graph: Graph) -> str:
    """One line per node: name, op with attributes, inputs, element type and shape."""
    rows = [["name", "op", "inputs", "value"]]
    for node in graph.nodes:
        inputs = ", ".join(graph.names[i] for i in node.inputs)
        rows.append([graph.names[node], operation(node.op), inputs, f"{node.dtype}{list(node.shape)}"])
    cells = [[shortened(cell, limit) for cell, limit in zip(row, (36, 44, 44, 32), strict=True)] for row in rows]
    return text_table(cells[0], cells[1:], "llll")


def operation(op: Op) -> str:
    """The kind of op with its attributes."""
    shown: dict[str, Any] = {k: v for k, v in op.attributes.items() if not isinstance(v, bytes)}
    return op.kind + (f"({', '.join(f'{k}={v}' for k, v in shown.items())})" if shown else "")


def difference(graph: Graph, other: Graph) -> str:
    """The first difference between two graphs in the order of their nodes, or "" if there is none."""
    for a, b in zip(graph.nodes, other.nodes, strict=False):
        if found := _node_difference(graph, other, a, b):
            return found
    for longer, word in ((graph, "first"), (other, "second")):
        shorter = min(len(graph), len(other))
        if len(longer) > shorter:
            return f"only the {word} has {longer.names[longer.nodes[shorter]]!r}"
    mine, theirs = ([g.names[o] for o in g.outputs] for g in (graph, other))
    return "" if mine == theirs else f"outputs: {mine} and {theirs}"


def _node_difference(graph: Graph, other: Graph, a: Tensor, b: Tensor) -> str:
    name = graph.names[a]
    if name != other.names[b]:
        return f"{name!r} ({a.op.kind}) stands where the other has {other.names[b]!r} ({b.op.kind})"
    pairs: dict[str, tuple[Any, Any]] = {
        "kind of op": (a.op.kind, b.op.kind),
        "inputs": ([graph.names[i] for i in a.inputs], [other.names[i] for i in b.inputs]),
        "shape": (a.shape, b.shape),
        "element type": (a.dtype, b.dtype),
        "trainable": (getattr(a, "trainable", None), getattr(b, "trainable", None)),
    }
    for what, (mine, theirs) in pairs.items():
        if mine != theirs:
            return f"{name!r}: {what} is {mine}, of the other {theirs}"
    if a.op != b.op:
        attributes = [n for n, v in a.op.attributes.items() if v != b.op.attributes.get(n)]
        return f"{name!r}: {operation(a.op)} differs from {operation(b.op)} in {', '.join(attributes)}"
    values = [n.value.tobytes() for n in (a, b) if isinstance(n, Parameter)]
    return f"{name!r}: the parameter's values differ" if len(set(values)) > 1 else ""


_STYLE = (
    ".pl text{font:11px system-ui,sans-serif;fill:#111827}.pl rect{fill:#eff6ff;stroke:#2563eb;rx:5}"
    ".pl .leaf rect{fill:#fef3c7;stroke:#d97706}.pl .out rect{fill:#dcfce7;stroke:#059669}"
    ".pl path{fill:none;stroke:#6b7280;marker-end:url(#pl-arrow)}.pl .dim{fill:#6b7280}.pl .paper{fill:#fff;stroke:none}"
)


def svg(graph: Graph) -> str:
    """A self-contained drawing, inputs at the top. A large graph is drawn by the part of its names before the first `/`."""
    groups: dict[Tensor, str] = {n: graph.names[n] for n in graph.nodes}
    note = ""
    if len(graph.nodes) > MAX_DRAWN:
        groups = {n: name.split("/")[0] if "/" in name else name for n, name in groups.items()}
        note = f"{len(graph.nodes)} nodes, drawn by the first part of their names"
    boxes: dict[str, list[str]] = {}
    edges: set[tuple[str, str]] = set()
    kinds: dict[str, str] = {}
    for node in graph.nodes:
        group = groups[node]
        boxes[group] = [group, node.op.kind, f"{node.dtype}{list(node.shape)}"]
        kinds[group] = "out" if any(node is o for o in graph.outputs) else ("" if node.inputs else "leaf")
        edges.update((groups[i], group) for i in node.inputs if groups[i] != group)
    return draw(boxes, sorted(edges), kinds, note)


def draw(
    boxes: dict[str, list[str]],
    edges: Sequence[tuple[str, str]],
    kinds: dict[str, str],
    note: str = "",
    labels: dict[tuple[str, str], tuple[str, str]] | None = None,
) -> str:
    """Boxes of text lines in layers, joined by arrows that may carry a label above and one below."""
    layers = _layers(list(boxes), edges)
    width_of = {key: max(7 * max(len(line) for line in lines), 50) + 16 for key, lines in boxes.items()}
    height = 14 * max(len(lines) for lines in boxes.values()) + 12
    step = height + (60 if labels else 40)
    total = max(sum(width_of[k] + 24 for k in layer) for layer in layers)
    at: dict[str, tuple[float, float]] = {}
    parts: list[str] = []
    for number, layer in enumerate(layers):
        x = (total - sum(width_of[k] + 24 for k in layer)) / 2 + 12
        for key in layer:
            at[key] = (x, 24 + number * step)
            x += width_of[key] + 24
    arriving: dict[str, list[str]] = {}
    for source, target in edges:
        arriving.setdefault(target, []).append(source)
    for sources in arriving.values():
        sources.sort(key=lambda key: at[key][0])
    for source, target in edges:
        ends = arriving[target]
        x1, y1 = at[source][0] + width_of[source] / 2, at[source][1] + height
        x2, y2 = at[target][0] + width_of[target] * (ends.index(source) + 1) / (len(ends) + 1), at[target][1]
        middle = (y1 + y2) / 2
        parts.append(
            f'<path d="M{x1:.0f},{y1:.0f} C{x1:.0f},{middle:.0f} {x2:.0f},{middle:.0f} {x2:.0f},{y2 - 4:.0f}"/>'
        )
        if labels and (source, target) in labels:
            above, below = (markup(text) for text in labels[source, target])
            x, y = (4 * x1 + x2) / 5, (2 * y1 + y2) / 3
            parts.append(f'<text x="{x + 5:.0f}" y="{y - 4:.0f}" style="fill:#047857">{above}</text>')
            parts.append(f'<text x="{x + 5:.0f}" y="{y + 9:.0f}" style="fill:#b91c1c">{below}</text>')
    for key, lines in boxes.items():
        x, y = at[key]
        parts.append(
            f'<g class="{kinds.get(key, "")}"><rect x="{x:.0f}" y="{y:.0f}" width="{width_of[key]}" height="{height}"/>'
        )
        for number, line in enumerate(lines):
            style = ' class="dim"' if number else ""
            middle = x + width_of[key] / 2
            parts.append(
                f'<text x="{middle:.0f}" y="{y + 18 + 14 * number:.0f}" text-anchor="middle"{style}>{markup(line)}</text>'
            )
        parts.append("</g>")
    bottom = 24 + len(layers) * step
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="pl" viewBox="0 0 {total:.0f} {bottom}" width="{total:.0f}" height="{bottom}" role="img">'
        f"<style>{_STYLE}</style><defs><marker id='pl-arrow' viewBox='0 0 6 6' refX='5' refY='3' markerWidth='6' markerHeight='6' "
        f"orient='auto'><path d='M0,0 L6,3 L0,6' style='fill:#6b7280;stroke:none;marker-end:none'/></marker></defs>"
        f'<rect class="paper" width="100%" height="100%"/><text x="8" y="14" class="dim">{markup(note)}</text>{"".join(parts)}</svg>'
    )


def _layers(keys: list[str], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Boxes by longest way from a start; leaves are pulled down to just above their users, then sorted to cross less."""
    users: dict[str, list[str]] = {k: [] for k in keys}
    sources: dict[str, list[str]] = {k: [] for k in keys}
    for source, target in edges:
        users[source].append(target)
        sources[target].append(source)
    level: dict[str, int] = {}
    for key in keys:  # keys come in topological order
        level[key] = max((level.get(s, 0) + 1 for s in sources[key]), default=0)
    for key in reversed(keys):
        if users[key] and not sources[key]:
            level[key] = max(0, min(level[u] for u in users[key]) - 1)
    layers: list[list[str]] = [[] for _ in range(max(level.values(), default=0) + 1)]
    for key in keys:
        layers[level[key]].append(key)
    position: dict[str, float] = {}
    for layer in layers:
        centre = {
            k: sum(position.get(s, 0.5) for s in sources[k]) / len(sources[k]) if sources[k] else 0.5 for k in layer
        }
        layer.sort(key=lambda k: centre[k])
        position.update({k: (i + 1) / (len(layer) + 1) for i, k in enumerate(layer)})
    return layers
