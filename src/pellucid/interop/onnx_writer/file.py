"""`save_onnx`: a network or graph as an ONNX file, for batches of any size."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pellucid.files import write_atomically
from pellucid.graph import Constant, Graph, Input, Parameter, Tensor, input
from pellucid.interop.errors import OnnxError, require_onnx
from pellucid.interop.onnx_writer.composites import wording_of
from pellucid.interop.onnx_writer.primitives import write_primitive
from pellucid.interop.onnx_writer.site import ELEMENTS, Draft, Inexpressible, Operator, Site
from pellucid.nn.module import Module
from pellucid.pictures import Answer, Grid, Page
from pellucid.recognition import Match, find_composites
from pellucid.scopes import inference_mode
from pellucid.text import human_bytes

if TYPE_CHECKING:
    from pellucid.data import Preparation

OPSETS = range(18, 23)
"""Versions of ONNX's operator set that can be written."""
DEFAULT_OPSET = 21
LIMIT = 2**31 - 2**20
"""Bytes of weights that one file can hold: protobuf's 2 GiB, less what surrounds them."""


class TrainedRun(Protocol):
    """What holds a network, such as a run."""

    @property
    def net(self) -> Module: ...

    @property
    def task(self) -> Any:
        """What it was trained for, with a `to_dict`; None where that is not known."""


@dataclass(frozen=True)
class OnnxFile(Answer):
    """What was written: the file, its size in bytes, its inputs and outputs, and how often it has each operator."""

    path: Path
    size: int
    opset: int
    inputs: dict[str, list[int | str]]
    outputs: dict[str, list[int | str]]
    operators: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "path": str(self.path)}

    def __str__(self) -> str:
        sides = (
            ", ".join(f"{name} ({' x '.join(map(str, shape))})" for name, shape in side.items())
            for side in (self.inputs, self.outputs)
        )
        counts = ", ".join(f"{count} {name}" for name, count in self.operators.items())
        return f"{self.path}: {human_bytes(self.size)}, operator set {self.opset}\n{' -> '.join(sides)}\n{counts}"

    def picture(self) -> Page:
        """What was written, and the operators as a table."""
        rows = [[name, str(count)] for name, count in self.operators.items()]
        return Page(f"{self.path}", (*str(self).splitlines()[:2], Grid(["operator", "times"], rows, "lr")))


def save_onnx(
    source: Module | Graph | TrainedRun,
    path: Path | str,
    *,
    shape: Sequence[int] | None = None,
    batch: int | None = None,
    opset: int = DEFAULT_OPSET,
    classes: Sequence[str] = (),
    preprocessing: Preparation | None = None,
) -> OnnxFile:
    """Write a network, a run, or any graph as an ONNX file: `pl.save_onnx(net, "net.onnx")`.

    A network is written as it computes in inference, with input `images` and output `logits`. `shape` is that of one
    image, (C, H, W), where the network does not know it; its batch axis is open (`N`) unless `batch` fixes it. A graph
    is written with the shapes and names it has. What the network's card says goes into the file's metadata, with `classes`
    and `preprocessing`, where they are given, in its place.
    `OnnxError` names every node that ONNX cannot express.
    """
    require_onnx()
    path = Path(path)
    if opset not in OPSETS:
        raise OnnxError(f"operator sets from {OPSETS[0]} to {OPSETS[-1]} can be written, got {opset}")
    task: dict[str, Any] | None = None
    if not isinstance(source, Module | Graph):
        trained_for, source = source.task, source.net
        classes = classes or source.card.classes
        task = None if classes or trained_for is None else trained_for.to_dict()
    if isinstance(source, Module):
        classes, preprocessing = classes or source.card.classes, preprocessing or source.card.preprocessing
    facts: dict[str, Any] = {
        "classes": list(classes),
        "preprocessing": preprocessing and preprocessing.to_dict(),
        "task": task,
    }
    if isinstance(source, Graph):
        if shape is not None or batch is not None:
            raise OnnxError("a graph has its own shapes: shape and batch are for networks")
        draft = _drafted(source, source, opset, {})
    else:
        if shape is None:
            shape = _known_shape(source, preprocessing)
        facts["architecture"] = source.card.config or type(source).__name__
        draft = _network(source, tuple(shape), batch, opset)
    model = _model(draft, {name: json.dumps(value) for name, value in facts.items() if value})
    data = model.SerializeToString()
    write_atomically(path, data)
    counts = Counter(o.kind for o in draft.operators if o.kind != "Constant")
    graph = model.graph
    return OnnxFile(path, len(data), opset, _shapes(graph.input), _shapes(graph.output), dict(sorted(counts.items())))


def _known_shape(net: Module, preprocessing: Preparation | None) -> tuple[int, ...]:
    if preprocessing is not None:
        return preprocessing.shape
    config = net.card.config
    if config is None:
        raise OnnxError(f"{type(net).__name__}: give the shape of one image: save_onnx(net, path, shape=(C, H, W))")
    return config["in_channels"], config["image_size"], config["image_size"]


def _network(net: Module, shape: tuple[int, ...], batch: int | None, opset: int) -> Draft:
    """A network's graph as it computes in inference, drafted for batches of size `batch`, or of any size."""
    if batch is not None and batch < 1:
        raise OnnxError(f"batch must be at least 1, got {batch}")
    with inference_mode():
        graph, twin = (
            Graph([net(input((n, *shape), name="images"))]) for n in ((2, 3) if batch is None else (batch,) * 2)
        )
    if not _alike(graph, twin):
        raise OnnxError("what the network computes depends on the size of the batch, which must then be fixed (batch=)")
    (output,) = graph.outputs
    taken = any(n.name == "logits" for n in graph.nodes if n is not output)
    return _drafted(graph, twin, opset, {} if taken else {output: "logits"})


def _alike(graph: Graph, twin: Graph) -> bool:
    """Whether two graphs have the same ops on the same inputs, sizes apart."""
    if len(graph) != len(twin):
        return False
    place, other = ({n: i for i, n in enumerate(g.nodes)} for g in (graph, twin))
    return all(
        type(a.op) is type(b.op) and a.ndim == b.ndim and [place[i] for i in a.inputs] == [other[i] for i in b.inputs]
        for a, b in zip(graph.nodes, twin.nodes, strict=True)
    )


def _drafted(graph: Graph, twin: Graph, opset: int, values: Mapping[Tensor, str]) -> Draft:
    """The operators of a graph, or an `OnnxError` that names every node that ONNX cannot express."""
    held = sum(n.nbytes for n in graph.nodes if isinstance(n, Parameter) or isinstance(n.op, Constant))
    if held > LIMIT:
        raise OnnxError(f"its weights take {held / 2**30:.1f} GiB; an ONNX file holds at most 2 GiB")
    draft = Draft(graph, twin, opset, {**graph.names, **values})
    matches = _worded(graph, opset)
    others = _worded(twin, opset)
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
    return draft


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


def _model(draft: Draft, facts: Mapping[str, str]) -> Any:
    """The ModelProto."""
    from pellucid import __version__

    onnx = require_onnx()
    make = onnx.helper
    graph = draft.graph
    inputs = [_value_info(draft, node, draft.values[node]) for node in graph.inputs]
    outputs: list[Any] = []
    given: set[str] = {
        draft.values[node] for node in graph.nodes if not node.inputs and not isinstance(node.op, Constant)
    }
    for node in graph.outputs:
        name = draft.values[node]
        if name in given:  # an output has a name of its own, and each is given once
            name = draft.free_name(f"{name}_output")
            draft.operators.append(Operator("Identity", name, (draft.values[node],), name, {}))
        given.add(name)
        outputs.append(_value_info(draft, node, name))
    nodes = [
        make.make_node(o.kind, o.inputs, (o.output,), o.name, **{n: _attribute(v) for n, v in o.attributes.items()})
        for o in draft.operators
    ]
    weights = [onnx.numpy_helper.from_array(p.value, draft.values[p]) for p in graph.parameters]
    proto = make.make_graph(nodes, "pellucid", inputs, outputs, weights)
    sets = [make.make_opsetid("", draft.opset)]
    model = make.make_model(
        proto,
        opset_imports=sets,
        ir_version=make.find_min_ir_version_for(sets),
        producer_name="pellucid",
        producer_version=__version__,
    )
    make.set_model_props(model, facts)
    return model


def _attribute(value: Any) -> Any:
    return require_onnx().numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value


def _value_info(draft: Draft, node: Tensor, name: str) -> Any:
    pairs = zip(draft.sizes(node), node.shape, strict=True)
    shape = [("N" if at == 2 else f"N*{at / 2:g}") if size is None else size for size, at in pairs]
    return require_onnx().helper.make_tensor_value_info(name, ELEMENTS[node.dtype], shape)


def _shapes(values: Sequence[Any]) -> dict[str, list[int | str]]:
    dims = {v.name: v.type.tensor_type.shape.dim for v in values}
    return {name: [d.dim_param or d.dim_value for d in shape] for name, shape in dims.items()}
