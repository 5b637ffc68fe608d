"""An ONNX file as plain data: inputs, outputs, nodes with complete attributes, arrays. Here what a file says is checked."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.files import read_limited, reason_of
from pellucid.graph import Constant, Tensor, distinct_names
from pellucid.interop.errors import OnnxError, require_onnx, schema_of
from pellucid.interop.onnx_reader.cut import read_apart
from pellucid.interop.onnx_reader.left_out import fill_in
from pellucid.interop.onnx_reader.order import in_order
from pellucid.interop.onnx_reader.values import element_name, read_tensor
from pellucid.op import Array

OLDEST_OPSET = 6
"""Operators are read as this operator set or a later one defines them."""
LARGEST = 2**31 - 1
"""Bytes of a file: protobuf's limit, larger arrays lie in files beside it."""
_IN_OLDER_SETS = {"LayerNormalization": 17}
"""Operators that ONNX Runtime writes into older operator sets than theirs, with the set that defines them."""
MAX_DEPTH = 16
"""Graphs inside of graphs, and functions that call functions, up to this depth."""


@dataclass(frozen=True)
class Value:
    """An input or output of a graph: `shape` has for each axis a number or a symbol; None if unknown.

    An axis about which the file says nothing is called after the value and its position: `x_2`.
    """

    name: str
    element: str
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True)
class Typed:
    """An array in a type that we compute with, and ONNX's name of the type that it had."""

    array: Array
    element: str
    place: int = field(default=-1, compare=False)
    """Which of the file's tensors it is, in the order of `original.tensors`."""

    def tensor(self, name: str) -> Tensor:
        """The array as a constant; all that are made of it share its bytes."""
        op = self._constant
        return Tensor(op, (), op.dimensions, op.element, name)

    @cached_property
    def _constant(self) -> Constant:
        return Constant(_bytes_of(self.array), str(self.array.dtype), self.array.shape)


def _bytes_of(array: Array) -> bytes:
    """An array's numbers: the bytes that it was read from where it shows just these."""
    held: Any = array
    while isinstance(held, np.ndarray):
        held = held.base
    return (
        held if isinstance(held, bytes) and array.flags.c_contiguous and len(held) == array.nbytes else array.tobytes()
    )


@dataclass(frozen=True)
class Reference:
    """An attribute of a function's node that takes the value of the function's own attribute `name`."""

    name: str


@dataclass(frozen=True)
class Node:
    """One operator: `domain` is "" for ONNX's own; `inputs` and `outputs` name values, "" for those left out."""

    kind: str
    domain: str
    opset: int
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.kind} node {self.name!r}"

    def reads(self) -> Iterator[str]:
        """The values that it reads: its inputs, and what graphs inside of it take from around them."""
        yield from filter(None, self.inputs)
        for body in self.attributes.values():
            if isinstance(body, Body):
                yield from body.reads()


@dataclass(frozen=True)
class Body:
    """Nodes that compute `outputs` from `inputs`, with the arrays that the file gives by name."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    arrays: Mapping[str, Typed]
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Attributes of the function that the nodes stand in, to which they may refer."""

    @cached_property
    def own(self) -> frozenset[str]:
        """The values that it has itself."""
        made = (name for node in self.nodes for name in node.outputs)
        return frozenset((*self.arrays, *(value.name for value in self.inputs), *made))

    def reads(self) -> Iterator[str]:
        """The values that it takes from around it."""
        wanted = (*(name for node in self.nodes for name in node.reads()), *(value.name for value in self.outputs))
        yield from (name for name in wanted if name not in self.own)


@dataclass(frozen=True)
class Function:
    """An operator that is defined by nodes: names of inputs, outputs and attributes (with values that may be left out)."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    defaults: Mapping[str, Any]


@dataclass(frozen=True)
class Model:
    """A whole file."""

    opsets: Mapping[str, int]
    """The version of each domain of operators."""
    body: Body
    functions: Mapping[tuple[str, str], Function]
    elements: Mapping[str, str]
    """ONNX's element type of the values whose types the file states."""
    producer: str = ""
    """The program that wrote the file."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the file says of itself, by name."""
    proto: Any = field(default=None, repr=False, compare=False)
    """The ModelProto that it was read from, and the folder of data outside of the file."""
    folder: Path | None = None
    numbers: Mapping[int, bytes] = field(default_factory=dict[int, bytes], repr=False, compare=False)
    """Of those of the graph's initializers that `proto` has none of: they lie apart (see `cut`)."""


def read_model(path: Path, left_out: Mapping[str, Array] | None = None) -> Model:
    """The model in a file, or an `OnnxError` that says what is wrong with it.

    Tensors whose numbers the file leaves out may have those in `left_out`.
    """
    try:
        found = read_apart(path, LARGEST) if left_out is None else (read_limited(path, LARGEST), {})
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise OnnxError(f"{path}: cannot be read ({reason_of(error)})") from error
    return _parsed(*found, path, left_out)


def _parsed(data: bytes, numbers: Mapping[int, bytes], path: Path, left_out: Mapping[str, Array] | None) -> Model:
    """The model in the bytes of a file, some of whose numbers lie apart."""
    onnx = require_onnx()
    from google.protobuf.message import DecodeError

    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OnnxError(f"{path}: not an ONNX file, or damaged ({error})") from error
    if not proto.HasField("graph") or not proto.opset_import:
        raise OnnxError(f"{path}: not an ONNX file: it has no graph or states no operator set")
    try:
        if left_out is not None:
            fill_in(proto, left_out)
        return model_of(proto, path.parent, numbers)
    except UnicodeDecodeError as error:
        raise OnnxError(f"{path}: damaged: a name in it is not text ({error})") from error


def model_of(proto: Any, folder: Path | None = None, numbers: Mapping[int, bytes] | None = None) -> Model:
    """A ModelProto as plain data; `numbers` are those of initializers which lie apart."""
    opsets = _opsets(proto.opset_import)
    newest: int = require_onnx().defs.onnx_opset_version()
    opset = opsets.get("", newest)
    if not 1 <= opset <= newest:
        raise OnnxError(f"operator set {opset}: up to {newest} can be read with this version of the onnx package")
    reader = _Reader(folder)
    functions: dict[tuple[str, str], Function] = {}
    for function in proto.functions:
        functions[_domain(function.domain), _text(function.name)] = reader.function(function, opsets)
    body = reader.body(proto.graph, opsets, 0, numbers)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    return Model(opsets, body, functions, reader.elements, proto.producer_name, metadata, proto, folder, numbers or {})


def function_of(data: bytes, opsets: Mapping[str, int]) -> Function:
    """ONNX's own definition of an operator by others, from the bytes of its FunctionProto."""
    proto = require_onnx().FunctionProto()
    proto.ParseFromString(data)
    return _Reader(None).function(proto, opsets)


def _text(name: str | bytes) -> str:
    """A name of the file; protobuf gives bytes where it is not UTF-8."""
    if isinstance(name, bytes):
        raise OnnxError(f"damaged: the name {name!r:.80} is not text")
    return name


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else _text(name)


def _opsets(entries: Iterable[Any]) -> dict[str, int]:
    return {_domain(entry.domain): int(entry.version) for entry in entries}


def place_name(value: str, axis: int) -> str:
    """What an axis is called about which the file says nothing."""
    return f"{value}_{axis}"


_NAMELESS = ("", "?", "-1", "*", "None", "none", "unk", "unknown")
"""What files write for an axis of which nothing is known: each such axis is its own."""


def _size(dimension: Any, value: str, axis: int) -> int | str:
    """A number, or a symbol."""
    if dimension.HasField("dim_value"):
        size = int(dimension.dim_value)
        return size if size >= 0 else place_name(value, axis)
    symbol = _text(dimension.dim_param)
    return place_name(value, axis) if symbol.strip() in _NAMELESS else symbol


class _Reader:
    """Turns protos into plain data; collects the element types that are stated on the way."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.elements: dict[str, str] = {}
        self._places = itertools.count()

    def function(self, proto: Any, opsets: Mapping[str, int]) -> Function:
        own = {**opsets, **_opsets(proto.opset_import)}
        defaults = {_text(a.name): self.attribute(a, own, 0) for a in proto.attribute_proto}
        nodes = self.nodes(proto.node, own, 0)
        inputs, outputs = tuple(map(_text, proto.input)), tuple(map(_text, proto.output))
        return Function(inputs, outputs, nodes, defaults)

    def body(
        self, graph: Any, opsets: Mapping[str, int], depth: int, numbers: Mapping[int, bytes] | None = None
    ) -> Body:
        if depth > MAX_DEPTH:
            raise OnnxError(f"graphs are nested more than {MAX_DEPTH} deep")
        if graph.sparse_initializer:
            raise OnnxError(f"{len(graph.sparse_initializer)} sparse tensors: only dense ones can be read")
        arrays: dict[str, Typed] = {}
        for which, tensor in enumerate(graph.initializer):
            arrays[_text(tensor.name)] = self.tensor(tensor, (numbers or {}).get(which))
        inner = depth > 0
        inputs = tuple(self.value(v, inner) for v in graph.input if v.name not in arrays)
        outputs = tuple(self.value(v, inner) for v in graph.output)
        stated = [*inputs, *outputs, *(self.value(v, True) for v in graph.value_info)]
        self.elements.update({v.name: v.element for v in stated if v.element})
        self.elements.update({name: typed.element for name, typed in arrays.items()})
        return Body(inputs, outputs, self.nodes(graph.node, opsets, depth), arrays)

    def value(self, proto: Any, inner: bool) -> Value:
        """What is said of a value: one of sequences and the like is of no shape, and must be `inner`."""
        kind = proto.type.WhichOneof("value")
        if kind not in (None, "tensor_type"):
            if inner:
                return Value(_text(proto.name), "", None)
            raise OnnxError(
                f"{proto.name!r} is a {kind.removesuffix('_type').replace('_', ' ')}; a network takes and gives tensors alone"
            )
        tensor = proto.type.tensor_type
        element = element_name(tensor.elem_type) if tensor.elem_type else ""
        if not tensor.HasField("shape"):
            return Value(_text(proto.name), element, None)
        name = _text(proto.name)
        return Value(name, element, tuple(_size(d, name, axis) for axis, d in enumerate(tensor.shape.dim)))

    def tensor(self, proto: Any, numbers: bytes | None = None) -> Typed:
        return Typed(*read_tensor(proto, self.folder, numbers), next(self._places))

    def nodes(self, protos: Sequence[Any], opsets: Mapping[str, int], depth: int) -> tuple[Node, ...]:
        """Nodes in the order of computing, under distinct names: their own, else that of their first output, or their kind."""
        wanted = [_text(p.name) or next((_text(o) for o in p.output if o), "") or _text(p.op_type) for p in protos]
        order = sorted(range(len(wanted)), key=lambda k: not protos[k].name)
        names = dict(zip(order, distinct_names([wanted[k] for k in order]), strict=True))
        return in_order([self.node(p, names[k], opsets, depth) for k, p in enumerate(protos)])

    def node(self, proto: Any, name: str, opsets: Mapping[str, int], depth: int) -> Node:
        domain = _domain(proto.domain)
        kind, inputs, outputs = _text(proto.op_type), tuple(map(_text, proto.input)), tuple(map(_text, proto.output))
        attributes = {_text(a.name): self.attribute(a, opsets, depth) for a in proto.attribute}
        opset = max(opsets.get(domain, 0), 0 if domain else _IN_OLDER_SETS.get(kind, 0))
        node = Node(kind, domain, opset, name, inputs, outputs, attributes)
        return node if any(isinstance(a, Reference) for a in attributes.values()) else completed(node)

    def attribute(self, proto: Any, opsets: Mapping[str, int], depth: int) -> Any:
        if proto.ref_attr_name:
            return Reference(_text(proto.ref_attr_name))
        kinds = require_onnx().AttributeProto
        simple = {kinds.INT: "i", kinds.FLOAT: "f", kinds.STRING: "s", kinds.INTS: "ints", kinds.FLOATS: "floats"}
        if proto.type in simple:
            value = getattr(proto, simple[proto.type])
            if proto.type == kinds.STRING:
                return value.decode("utf-8", errors="replace")
            return tuple(value) if proto.type in (kinds.INTS, kinds.FLOATS) else value
        if proto.type == kinds.STRINGS:
            return tuple(s.decode("utf-8", errors="replace") for s in proto.strings)
        if proto.type == kinds.TENSOR:
            return self.tensor(proto.t)
        if proto.type == kinds.GRAPH:
            return self.body(proto.g, opsets, depth + 1)
        return Unreadable(kinds.AttributeType.Name(proto.type) if proto.type in kinds.AttributeType.values() else "?")


@dataclass(frozen=True)
class Unreadable:
    """An attribute of a kind that no operator we know takes."""

    kind: str


def completed(node: Node) -> Node:
    """An operator of ONNX with the attributes' defaults filled in; checks what it takes, gives and says."""
    onnx = require_onnx()
    if not onnx.defs.has(node.kind, node.domain):
        return node
    try:
        schema = schema_of(node.kind, node.opset, node.domain)
    except onnx.defs.SchemaError as error:
        raise OnnxError(f"{node}: operator set {node.opset} has no {node.kind}") from error
    if not node.domain and schema.since_version != schema_of(node.kind, max(node.opset, OLDEST_OPSET)).since_version:
        raise OnnxError(
            f"{node}: operator set {node.opset} has an older {node.kind}; convert the model with onnx.version_converter"
        )
    for what, have, low, high in (
        ("inputs", len(node.inputs), schema.min_input, schema.max_input),
        ("outputs", len(node.outputs), schema.min_output, schema.max_output),
    ):
        if not low <= have <= high:
            raise OnnxError(f"{node}: wants {low if low == high else f'{low} to {high}'} {what}, got {have}")
    single = onnx.defs.OpSchema.FormalParameterOption.Single
    for formal, given in zip(schema.inputs, node.inputs, strict=False):
        if formal.option == single and not given:
            raise OnnxError(f"{node}: its input {formal.name!r} must not be left out")
    required = [n for n, a in schema.attributes.items() if a.required and n not in node.attributes]
    unknown = [n for n in node.attributes if n not in schema.attributes]
    if required or unknown:
        wrong = [f"lacks {n!r}" for n in required] + [f"has no attribute {n!r}" for n in unknown]
        raise OnnxError(f"{node}: {', '.join(wrong)} in operator set {node.opset}")
    kinds = onnx.AttributeProto
    python: dict[int, type] = {
        kinds.INT: int,
        kinds.FLOAT: float,
        kinds.STRING: str,
        kinds.INTS: tuple,
        kinds.FLOATS: tuple,
        kinds.STRINGS: tuple,
        kinds.TENSOR: Typed,
        kinds.GRAPH: Body,
    }
    elements: dict[int, type] = {kinds.INTS: int, kinds.FLOATS: float, kinds.STRINGS: str}
    for name, value in node.attributes.items():
        kind = schema.attributes[name].type.value
        fits = isinstance(value, python.get(kind, object))
        each: tuple[Any, ...] = value if isinstance(value, tuple) else ()
        if not fits or not all(isinstance(v, elements.get(kind, object)) for v in each):
            raise OnnxError(
                f"{node}: attribute {name!r} must be of type {kinds.AttributeType.Name(kind)}, got {value!r:.80}"
            )
    reader = _Reader(None)
    defaults = {
        n: reader.attribute(a.default_value, {}, 0)
        for n, a in schema.attributes.items()
        if a.default_value.type and n not in node.attributes
    }
    return dataclasses.replace(node, attributes={**defaults, **node.attributes})
