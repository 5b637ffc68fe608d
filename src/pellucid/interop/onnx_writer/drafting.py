"""From a network or a graph to the operators that say it: built for two sizes of batch, composites found, names given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pellucid.graph import Constant, Graph, Input, Parameter, Tensor, distinct_names
from pellucid.interop.errors import OnnxError
from pellucid.interop.onnx_writer.composites import worded, write_match
from pellucid.interop.onnx_writer.primitives import write_primitive
from pellucid.interop.onnx_writer.recurrent import Layer, find_layers, write_layer
from pellucid.interop.onnx_writer.sides import LIMIT, AskedSides, Sides, named_outputs
from pellucid.interop.onnx_writer.site import Draft, Inexpressible, Operator, Site
from pellucid.interop.onnx_writer.splitting import find_splits, write_split
from pellucid.nn.module import Module
from pellucid.scopes import inference_mode
from pellucid.templates import Match


@dataclass(frozen=True)
class BuiltGraph:
    """A network at one size of batch: inputs, those that nothing reads among them, and outputs, under the names wanted."""

    inputs: Sequence[tuple[str, Tensor]]
    outputs: Sequence[tuple[str, Tensor]]

    @cached_property
    def graph(self) -> Graph:
        """What computes the outputs."""
        return Graph([node for _, node in self.outputs])


def draft_of_graph(graph: Graph, opset: int) -> Draft:
    """A graph, with the shapes and names that it has; an output that is a leaf, or is given twice, has a name of its own."""
    outputs: list[tuple[str, Tensor]] = []
    named: set[Tensor] = set()
    for node in graph.outputs:
        other = _is_leaf(node) or node in named
        outputs.append((graph.names[node] + ("_output" if other else ""), node))
        named.add(node)
    built = BuiltGraph([(graph.names[node], node) for node in graph.inputs], outputs)
    return _drafted(built, built, opset)


def _is_leaf(node: Tensor) -> bool:
    return not node.inputs and not isinstance(node.op, Constant)


def draft_of_network(net: Module, sides: Sides, opset: int) -> Draft:
    """A network as it computes in inference, for batches of any size unless `sides` says one."""
    inputs = sides.inputs(net)
    built, twin = (_built(net, inputs, n) for n in (_FEW if sides.batch is None else (sides.batch,) * 2))
    if not _alike(built.graph, twin.graph) or len(built.outputs) != len(twin.outputs):
        raise OnnxError(_DEPENDS)
    if sides.batch is None and any(a.has_batch for a in inputs):
        _check_growth(built.graph, twin.graph, _built(net, inputs, _MANY).graph)
    return _drafted(built, twin, opset)


_DEPENDS = "what the network computes depends on the size of the batch, which must then be fixed (batch=)"
_FEW, _MANY = (2, 3), 257
"""Sizes of batch for which a network is built: which axes grow is seen in the first two, that they always do in the third."""


def _check_growth(graph: Graph, twin: Graph, large: Graph) -> None:
    """Raise `OnnxError` for a node that two small batches go through whole, and a large one does not."""
    if not _alike(graph, large):
        raise OnnxError(_DEPENDS)
    for node, other, third in zip(graph.nodes, twin.nodes, large.nodes, strict=True):
        sizes = zip(node.shape, other.shape, third.shape, strict=True)
        if (node.op == other.op and node.op != third.op) or not all(_grows(*three) for three in sizes):
            raise OnnxError(
                f"{graph.names[node]!r} ({node.op.kind}): depends on the size of the batch otherwise than by growing with it "
                f"({list(third.shape)} for {_MANY}); the size must then be fixed (batch=)"
            )


def _grows(first: int, second: int, third: int) -> bool:
    """Whether a size is fixed, grows with the batch in equal steps, or is a multiple of its square."""
    few, more = _FEW
    even = third == first + (second - first) * (_MANY - few) // (more - few)
    return even or (first * more**2 == second * few**2 and first * _MANY**2 == third * few**2)


def _built(net: Module, asked: Sequence[AskedSides], batch: int) -> BuiltGraph:
    inputs = tuple(a.tensor(batch) for a in asked)
    with inference_mode():
        made = net(*inputs)
    return BuiltGraph([(x.name, x) for x in inputs], [*named_outputs(net, made).items()])


def _alike(graph: Graph, twin: Graph) -> bool:
    """Whether two graphs have the same ops on the same inputs, sizes apart."""
    if len(graph) != len(twin):
        return False
    place, other = ({n: i for i, n in enumerate(g.nodes)} for g in (graph, twin))
    return all(
        type(a.op) is type(b.op) and a.ndim == b.ndim and [place[i] for i in a.inputs] == [other[i] for i in b.inputs]
        for a, b in zip(graph.nodes, twin.nodes, strict=True)
    )


def _drafted(built: BuiltGraph, twin: BuiltGraph, opset: int) -> Draft:
    """The operators of a graph, or an `OnnxError` that names every node that ONNX cannot express."""
    graph = built.graph
    held = sum(n.nbytes for n in graph.nodes if isinstance(n, Parameter) or isinstance(n.op, Constant))
    if held > LIMIT:
        raise OnnxError(f"its weights take {held / 2**30:.1f} GiB; an ONNX file holds at most 2 GiB")
    values, outputs = _value_names(built)
    draft = Draft(graph, twin.graph, opset, values, [node for _, node in built.inputs], outputs)
    draft.twins.update((a, b) for (_, a), (_, b) in zip(built.inputs, twin.inputs, strict=True))
    others = worded(twin.graph, opset)
    matches = worded(graph, opset, lambda match: _is_same(match, others.get(draft.twins[match.root])))
    layers = find_layers(draft)
    needed = _needed(graph, matches, layers)
    single = [n for n in graph.nodes if n in needed and n not in matches and n not in layers]
    splits = find_splits(draft, single)
    problems: list[str] = []
    for node in graph.nodes:
        if node not in needed or isinstance(node, Parameter) or isinstance(node.op, Input):
            continue
        site, match = Site(draft, node), matches.get(node)
        try:
            if node in layers:
                write_layer(site, layers[node])
            elif match is not None:
                write_match(site, match)
            elif node not in splits:
                _write_op(site)
            elif splits[node]:
                write_split(site, splits[node])
        except Inexpressible as reason:
            problems.append(f"{site.name!r} ({node.op.kind}): {reason}")
    if problems:
        count = f"{len(problems)} nodes" if len(problems) > 1 else "one node"
        raise OnnxError(f"{count} cannot be written for operator set {opset}: {'; '.join(problems)}")
    for name, node in draft.outputs:
        if draft.values[node] != name:  # an output has a name of its own, and each is given once
            draft.operators.append(Operator("Identity", name, (draft.values[node],), (name,), {}))
    return draft


def _value_names(built: BuiltGraph) -> tuple[dict[Tensor, str], list[tuple[str, Tensor]]]:
    """The name of each node's value, and those of the outputs: inputs and outputs have their own, others give way to these."""
    graph = built.graph
    known = {node: name for name, node in built.inputs}
    sides = len(built.inputs) + len(built.outputs)
    rest = [node for node in graph.nodes if node not in known]
    wanted = [name for name, _ in (*built.inputs, *built.outputs)] + [graph.names[node] for node in rest]
    names = distinct_names(wanted)
    outputs = [(name, node) for name, (_, node) in zip(names[len(built.inputs) : sides], built.outputs, strict=True)]
    for name, node in outputs:
        if not _is_leaf(node):
            known.setdefault(node, name)
    return {**dict(zip(rest, names[sides:], strict=True)), **known}, outputs


def _is_same(match: Match, other: Match | None) -> bool:
    """Whether what is found does not depend on the size of the batch."""
    return other is not None and (match.name, match.attributes) == (other.name, other.attributes)


def _write_op(site: Site) -> None:
    op = site.node.op
    if not isinstance(op, Constant):
        write_primitive(site)
        return
    if op != site.draft.twins[site.node].op:
        raise Inexpressible("its value depends on the size of the batch, which must then be fixed (batch=)")
    site.last("Constant", value=op.value)


def _needed(graph: Graph, matches: Mapping[Tensor, Match], layers: Mapping[Tensor, Layer]) -> set[Tensor]:
    """The nodes whose values the file must give: what is inside of a composite or a layer is not among them."""
    needed: set[Tensor] = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node in layers:
            needed.update(layers[node].needed())
        elif node in needed:
            match = matches.get(node)
            needed.update(match.tensors.values() if match else node.inputs)
    return needed
