"""From a network or a graph to the operators that say it: built for two sizes of batch, composites found, names given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from pellucid.graph import Constant, Graph, Input, Parameter, Tensor, distinct_names, input
from pellucid.interop.errors import OnnxError
from pellucid.interop.onnx_reader import OnnxNetwork
from pellucid.interop.onnx_writer.composites import wording_of
from pellucid.interop.onnx_writer.primitives import write_primitive
from pellucid.interop.onnx_writer.site import Draft, Inexpressible, Operator, Site
from pellucid.nn.interface import InputSpec, floating_type
from pellucid.nn.module import Module
from pellucid.op import Shape
from pellucid.recognition import Match, find_composites
from pellucid.scopes import inference_mode

if TYPE_CHECKING:
    from pellucid.data import Preparation

Shapes = Sequence[int] | Mapping[str, Sequence[int]] | Sequence[Sequence[int]]
"""The shape of an input without the batch axis, or those of several."""
LIMIT = 2**31 - 2**20
"""Bytes of weights that one file can hold: protobuf's 2 GiB, less what surrounds them."""


@dataclass(frozen=True)
class Built:
    """A network at one size of batch: inputs, those that nothing reads among them, and outputs, under the names wanted."""

    inputs: Sequence[tuple[str, Tensor]]
    outputs: Sequence[tuple[str, Tensor]]

    @cached_property
    def graph(self) -> Graph:
        """What computes the outputs."""
        return Graph([node for _, node in self.outputs])


@dataclass(frozen=True)
class Asked:
    """An input to build a network for: `shape` without the batch axis, unless `has_batch` says that it has none."""

    name: str
    shape: Shape
    dtype: str = "float32"
    has_batch: bool = True

    def tensor(self, batch: int) -> Tensor:
        """The input for batches of this size."""
        return input((batch, *self.shape) if self.has_batch else self.shape, self.dtype, self.name)


def draft_of_graph(graph: Graph, opset: int) -> Draft:
    """A graph, with the shapes and names that it has; an output that is a leaf, or is given twice, has a name of its own."""
    outputs: list[tuple[str, Tensor]] = []
    named: set[Tensor] = set()
    for node in graph.outputs:
        other = _is_leaf(node) or node in named
        outputs.append((graph.names[node] + ("_output" if other else ""), node))
        named.add(node)
    built = Built([(graph.names[node], node) for node in graph.inputs], outputs)
    return _drafted(built, built, opset)


def _is_leaf(node: Tensor) -> bool:
    return not node.inputs and not isinstance(node.op, Constant)


def draft_of_network(net: Module, inputs: Sequence[Asked], batch: int | None, opset: int) -> Draft:
    """A network as it computes in inference, for batches of size `batch`, or of any size."""
    built, twin = (_built(net, inputs, n) for n in ((2, 3) if batch is None else (batch,) * 2))
    if not _alike(built.graph, twin.graph) or len(built.outputs) != len(twin.outputs):
        raise OnnxError("what the network computes depends on the size of the batch, which must then be fixed (batch=)")
    return _drafted(built, twin, opset)


def _built(net: Module, asked: Sequence[Asked], batch: int) -> Built:
    inputs = tuple(a.tensor(batch) for a in asked)
    with inference_mode():
        made = net(*inputs)
    return Built([(x.name, x) for x in inputs], [*_named_outputs(net, made).items()])


def _named_outputs(net: Module, made: Any) -> dict[str, Tensor]:
    """What a network gives, by the names that it knows; one without a name is called `logits`."""
    found = net.named_outputs(made)
    if not found:
        raise OnnxError(f"{type(net).__name__}: must give a tensor, or a tuple, list or dict of tensors")
    return {"logits": made} if isinstance(made, Tensor) and not net.output_names else found


def asked_inputs(net: Module, shapes: Shapes | None, preprocessing: Preparation | None = None) -> list[Asked]:
    """What to build a network for: inputs of `shapes` without the batch axis, else those that the network knows."""
    specs, floating = net.input_specs(), floating_type(net)
    if isinstance(net, OnnxNetwork):
        given = by_name(shapes, [spec.name for spec in specs])
        open_ones = {spec.name for spec in specs if net.takes_batches(spec.name) or spec.name in given}
    elif shapes is None and specs and all(spec.shape for spec in specs):
        given, open_ones = {}, {spec.name for spec in specs}
    else:
        given = _own_shapes(specs, _known_shape(net, preprocessing) if shapes is None else shapes)
        specs = [next((s for s in specs if s.name == name), InputSpec(name)) for name in given]
        open_ones = set(given)
    single = len(specs) == 1 and not net.output_names and not isinstance(shapes, Mapping)
    found: list[Asked] = []
    for spec in specs:
        has_batch = spec.name in open_ones
        shape = given.get(spec.name, (spec.shape or ())[has_batch:])
        found.append(Asked("images" if single else spec.name, tuple(shape), spec.dtype or floating, has_batch))
    return found


def _own_shapes(specs: Sequence[InputSpec], shapes: Shapes) -> dict[str, Sequence[int]]:
    """Shapes by the names of the inputs of `forward`, in its order; any names where it takes any number of tensors."""
    if isinstance(shapes, Mapping) and not specs:
        return dict(shapes)
    names = [spec.name for spec in specs if not spec.optional] or [f"input_{i}" for i in range(len(shapes))]
    if isinstance(shapes, Mapping):
        found = by_name(shapes, [spec.name for spec in specs])
        if missing := [name for name in names if name not in found]:
            raise OnnxError(f"shape: that of the input {missing[0]!r} is missing")
        return {spec.name: found[spec.name] for spec in specs if spec.name in found}
    if any(not isinstance(size, int) for size in shapes):
        names += [spec.name for spec in specs if spec.optional][: max(0, len(shapes) - len(names))]
    return by_name(shapes, names)


def by_name(shapes: Shapes | None, names: Sequence[str]) -> dict[str, Sequence[int]]:
    """The shapes that are given for inputs called `names`, none of them twice."""
    if shapes is None:
        return {}
    if not isinstance(shapes, Mapping):
        several = [shapes] if all(isinstance(size, int) for size in shapes) else shapes
        if len(several) != len(names):
            raise OnnxError(
                f"shape: has the shapes of {len(several)} inputs; they are {len(names)}: {', '.join(names)}"
            )
        shapes = dict(zip(names, cast(Sequence[Sequence[int]], several), strict=True))
    if wrong := [name for name in shapes if name not in names]:
        raise OnnxError(f"shape: there is no input {wrong[0]!r}; the inputs are {', '.join(names)}")
    return dict(shapes)


def _known_shape(net: Module, preprocessing: Preparation | None) -> tuple[int, ...]:
    if preprocessing is not None:
        return preprocessing.shape
    config = net.card.config
    if config is None:
        raise OnnxError(f"{type(net).__name__}: give the shape of one image: save_onnx(net, path, shape=(C, H, W))")
    return config["in_channels"], config["image_size"], config["image_size"]


def _alike(graph: Graph, twin: Graph) -> bool:
    """Whether two graphs have the same ops on the same inputs, sizes apart."""
    if len(graph) != len(twin):
        return False
    place, other = ({n: i for i, n in enumerate(g.nodes)} for g in (graph, twin))
    return all(
        type(a.op) is type(b.op) and a.ndim == b.ndim and [place[i] for i in a.inputs] == [other[i] for i in b.inputs]
        for a, b in zip(graph.nodes, twin.nodes, strict=True)
    )


def _drafted(built: Built, twin: Built, opset: int) -> Draft:
    """The operators of a graph, or an `OnnxError` that names every node that ONNX cannot express."""
    graph = built.graph
    held = sum(n.nbytes for n in graph.nodes if isinstance(n, Parameter) or isinstance(n.op, Constant))
    if held > LIMIT:
        raise OnnxError(f"its weights take {held / 2**30:.1f} GiB; an ONNX file holds at most 2 GiB")
    values, outputs = _value_names(built)
    draft = Draft(graph, twin.graph, opset, values, [node for _, node in built.inputs], outputs)
    draft.twins.update((a, b) for (_, a), (_, b) in zip(built.inputs, twin.inputs, strict=True))
    matches = _worded(graph, opset)
    others = _worded(twin.graph, opset)
    needed = _needed(graph, matches)
    problems: list[str] = []
    for node in graph.nodes:
        if node not in needed or isinstance(node, Parameter) or isinstance(node.op, Input):
            continue
        site, match = Site(draft, node), matches.get(node)
        wording = wording_of(match, opset) if match else None
        try:
            if isinstance(node.op, Constant):
                _write_constant(site, node.op)
            elif match and wording:
                _require_same(match, others.get(draft.twins[node]))
                wording.write(site, match)
            else:
                write_primitive(site)
        except Inexpressible as reason:
            problems.append(f"{site.name!r} ({node.op.kind}): {reason}")
    if problems:
        count = f"{len(problems)} nodes" if len(problems) > 1 else "one node"
        raise OnnxError(f"{count} cannot be written for operator set {opset}: {'; '.join(problems)}")
    for name, node in draft.outputs:
        if draft.values[node] != name:  # an output has a name of its own, and each is given once
            draft.operators.append(Operator("Identity", name, (draft.values[node],), (name,), {}))
    return draft


def _value_names(built: Built) -> tuple[dict[Tensor, str], list[tuple[str, Tensor]]]:
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


def _worded(graph: Graph, opset: int) -> dict[Tensor, Match]:
    return find_composites(graph.outputs, lambda match: wording_of(match, opset) is not None)


def _require_same(match: Match, other: Match | None) -> None:
    if other is None or (match.name, match.attributes) != (other.name, other.attributes):
        raise Inexpressible("it depends on the size of the batch, which must then be fixed (batch=)")


def _write_constant(site: Site, op: Constant) -> None:
    twin = site.draft.twins[site.node].op
    if op != twin:
        raise Inexpressible("its value depends on the size of the batch, which must then be fixed (batch=)")
    site.last("Constant", value=op.value)


def _needed(graph: Graph, matches: Mapping[Tensor, Match]) -> set[Tensor]:
    """The nodes whose values the file must give: what is inside of a composite is not among them."""
    needed: set[Tensor] = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node in needed:
            match = matches.get(node)
            needed.update(match.tensors.values() if match else node.inputs)
    return needed
