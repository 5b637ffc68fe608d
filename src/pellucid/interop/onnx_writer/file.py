"""`save_onnx`: a network or graph as an ONNX file, for batches of any size."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pellucid.files import write_atomically
from pellucid.graph import Graph, Tensor
from pellucid.interop.errors import OnnxError, require_onnx
from pellucid.interop.onnx_reader import OnnxNetwork
from pellucid.interop.onnx_reader.left_out import tensors, without_numbers
from pellucid.interop.onnx_reader.values import element_name
from pellucid.interop.onnx_writer.drafting import draft_of_graph, draft_of_network
from pellucid.interop.onnx_writer.returned import returned
from pellucid.interop.onnx_writer.sides import LIMIT, Example, Shapes, Sides
from pellucid.interop.onnx_writer.site import ELEMENTS, Draft
from pellucid.nn.module import Module
from pellucid.nn.required import require_net
from pellucid.ops.selection import Counted
from pellucid.pictures import Answer, Grid, Page
from pellucid.text import human_bytes

if TYPE_CHECKING:
    from pellucid.data import Preparation

__all__ = ["DEFAULT_OPSET", "LIMIT", "OPSETS", "OnnxFile", "save_onnx"]

OPSETS = range(18, 23)
"""Versions of ONNX's operator set that can be written."""
DEFAULT_OPSET = 21
SUFFIX = ".onnx"
"""How the name of what is written ends."""


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
    elements: dict[str, str] = field(default_factory=dict[str, str], compare=False)
    """ONNX's element type of each input and output."""

    @property
    def open_axes(self) -> list[str]:
        """What the open axes of its inputs are called, "?" for those without a name."""
        return list(dict.fromkeys(size for shape in self.inputs.values() for size in shape if isinstance(size, str)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "path": str(self.path), "open_axes": self.open_axes}

    def __str__(self) -> str:
        sides = (", ".join(self._line(*each) for each in side.items()) for side in (self.inputs, self.outputs))
        counts = ", ".join(f"{count} {name}" for name, count in self.operators.items())
        axes = f"open axes: {', '.join(self.open_axes)}" if self.open_axes else "no open axes"
        head = f"{self.path}: {human_bytes(self.size)}, operator set {self.opset}, {axes}"
        return f"{head}\n{' -> '.join(sides)}\n{counts}"

    def _line(self, name: str, shape: list[int | str]) -> str:
        """A side's name, shape, and element type where that is not the usual one."""
        element = self.elements.get(name, "FLOAT")
        return f"{name} ({' x '.join(map(str, shape))})" + (f" {element.lower()}" if element != "FLOAT" else "")

    def picture(self) -> Page:
        """What was written, and the operators as a table."""
        rows = [[name, str(count)] for name, count in self.operators.items()]
        return Page(f"{self.path}", (*str(self).splitlines()[:2], Grid(["operator", "times"], rows, "lr")))


def save_onnx(
    source: Module | Graph | TrainedRun,
    path: Path | str,
    *,
    shape: Shapes | None = None,
    example: Example | None = None,
    batch: int | None = None,
    opset: int | None = None,
    classes: Sequence[str] = (),
    preprocessing: Preparation | None = None,
) -> OnnxFile:
    """Write a network, a run, or any graph as an ONNX file: `pl.save_onnx(net, "net.onnx")`.

    A network is written as it computes in inference, with input `images` and output `logits`. `shape` is that of one
    image, (C, H, W), where the network does not know it; its batch axis is open (`N`) unless `batch` fixes it. For a network
    with several inputs it has the shapes of all, by name, `{"left": (3, 8, 8), "right": (4,)}`, or in the order of `forward`.
    Or `example` is an input, or a dict of them, with the batch axis, which says element types as well. Several outputs are
    called as the network calls them, or `out0`, `out1`. A graph is written with the shapes and names it has. `opset` is ONNX's
    operator set, 21 unless said otherwise.

    A network that was opened from an ONNX file is written as that file, operator by operator, with the weights it has now:
    names, order, element types, open axes and operator set are the file's. There `shape` and `batch` fix open axes.

    What the network's card says goes into the file's metadata, with `classes` and `preprocessing`, where they are given, in
    its place. `OnnxError` names every node that ONNX cannot express.
    """
    path = writable(path)
    require_onnx()
    task: dict[str, Any] | None = None
    trained, named = not isinstance(source, Module | Graph), len(classes)
    if not isinstance(source, Module | Graph):
        if not hasattr(source, "task"):
            require_net(source)
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
    if not isinstance(source, Graph):
        sides = Sides(shape, example, batch, preprocessing)
        model = _network(source, sides, opset, facts, trained)
        _check_classes(model, named)
        return _written(model, path)
    if shape is not None or example is not None or batch is not None:
        raise OnnxError("a graph has its own shapes: shape, example and batch are for networks")
    return _written(_model(draft_of_graph(source, _known_opset(opset)), _texts(facts)), path)


def _check_classes(model: Any, count: int) -> None:
    """Raise `OnnxError` where the only output has one score for each of another number of classes than are named."""
    shapes = list(_shapes(model.graph.output).values())
    known = len(shapes) == 1 and all(isinstance(n, int) for n in shapes[0][1:])
    if count and known and count not in shapes[0][1:] and not (count == 2 and 1 in shapes[0][1:]):
        raise OnnxError(
            f"classes: names {count} classes, but what the network gives has the shape {shapes[0]}; name as many as it has scores"
        )


def writable(path: Path | str) -> Path:
    """The path, if its name is that of a file which is written; raises `OnnxError` for another format's."""
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        what = f"files that end in {path.suffix}" if path.suffix else "a file without an ending"
        raise OnnxError(
            f"{path}: {what} cannot be written; a network is exported as ONNX ({SUFFIX}). PyTorch takes the weights "
            "of a run's folder as they are: safetensors.torch.load_file('best.safetensors')"
        )
    return path


def graph_without_numbers(net: Module, example: tuple[int, ...]) -> bytes:
    """An ONNX file of a network for inputs of the shape of one `example`, that leaves out the numbers of parameters.

    Its tensors are called as the network's parameters are; raises `OnnxError` where that cannot be.
    """
    require_onnx()
    draft = draft_of_network(net, Sides(example, None, None, None), DEFAULT_OPSET)
    parameters = net.named_parameters()
    strange = [name for p in draft.graph.parameters if parameters.get(name := draft.values[p]) is not p]
    if strange:
        raise OnnxError(
            f"values in the graph are called otherwise than the parameters that they are: {', '.join(strange)}"
        )
    model = _model(draft, {})
    without_numbers(
        model, {place: tensor.name for place, tensor in enumerate(tensors(model)) if tensor.name in parameters}
    )
    return model.SerializeToString(deterministic=True)


def _network(net: Module, sides: Sides, opset: int | None, facts: dict[str, Any], trained: bool) -> Any:
    """The ModelProto of a network: that of the file that it came from, where there is one, or written anew."""
    if isinstance(net, OnnxNetwork) and opset in (None, net.opset):
        again = returned(net, sides, _texts(facts), trained)
        if again is not None:
            return again
    facts["architecture"] = net.card.config or type(net).__name__
    return _model(draft_of_network(net, sides, _known_opset(opset)), _texts(facts))


def _known_opset(opset: int | None) -> int:
    if opset is not None and opset not in OPSETS:
        raise OnnxError(f"operator sets from {OPSETS[0]} to {OPSETS[-1]} can be written, got {opset}")
    return DEFAULT_OPSET if opset is None else opset


def _texts(facts: Mapping[str, Any]) -> dict[str, str]:
    """Metadata as JSON, without what is not known."""
    return {name: json.dumps(value) for name, value in facts.items() if value}


def _written(model: Any, path: Path) -> OnnxFile:
    data = model.SerializeToString()
    write_atomically(path, data, folders=True)
    graph = model.graph
    given = {tensor.name for tensor in graph.initializer}
    sides = [value for value in graph.input if value.name not in given], graph.output
    kinds = (f"{node.domain}.{node.op_type}" if node.domain else node.op_type for node in graph.node)
    counts = Counter(kind for kind in kinds if kind != "Constant")
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    elements = {v.name: element_name(v.type.tensor_type.elem_type) for side in sides for v in side}
    inputs, outputs = map(_shapes, sides)
    return OnnxFile(path, len(data), opset, inputs, outputs, dict(sorted(counts.items())), elements)


def _model(draft: Draft, facts: Mapping[str, str]) -> Any:
    """The ModelProto."""
    from pellucid import __version__

    onnx = require_onnx()
    make = onnx.helper
    inputs = [_value_info(draft, node, draft.values[node]) for node in draft.inputs]
    outputs = [_value_info(draft, node, name) for name, node in draft.outputs]
    nodes = [
        make.make_node(o.kind, o.inputs, o.outputs, o.name, **{n: _attribute(v) for n, v in o.attributes.items()})
        for o in draft.operators
    ]
    weights = [onnx.numpy_helper.from_array(p.value, draft.values[p]) for p in draft.graph.parameters]
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
    if isinstance(node.op, Counted):
        shape[node.op.axis] = f"{name}_length"
    return require_onnx().helper.make_tensor_value_info(name, ELEMENTS[node.dtype], shape)


def _shapes(values: Sequence[Any]) -> dict[str, list[int | str]]:
    """Sizes by name; an open axis by its symbol, "?" without one."""
    dims = {v.name: v.type.tensor_type.shape.dim for v in values}
    return {
        name: [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in shape]
        for name, shape in dims.items()
    }
