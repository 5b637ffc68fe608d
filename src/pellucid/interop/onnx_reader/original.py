"""The file that a network was opened from, kept to be given back: all of it but the numbers of the network's parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.files import reason_of
from pellucid.graph import Parameter
from pellucid.interop.errors import OnnxError, require_onnx
from pellucid.interop.onnx_reader.left_out import NUMBERS, of_graph, tensors, without_numbers
from pellucid.interop.onnx_reader.model import Model, Typed
from pellucid.interop.onnx_reader.order import in_order
from pellucid.interop.onnx_reader.values import element_name, numpy_type, read_tensor
from pellucid.op import Array, Shape


@dataclass(frozen=True)
class Original:
    """A file without the numbers of parameters. `shapes` are those that the parameters had.

    `places` says which of the file's tensors a parameter is, `others` which one a value is that is none;
    `computed` has what parameters were that the file computes. `given` are the values of inputs that are inputs no more.
    """

    data: bytes
    shapes: Mapping[str, Shape]
    places: Mapping[str, int]
    others: Mapping[str, int]
    computed: Mapping[str, Array]
    given: Mapping[str, Typed]

    @classmethod
    def of(cls, model: Model, starts: Mapping[str, Array], given: Mapping[str, Typed]) -> Original:
        """The file of a model, whose values called as in `starts` are parameters that start there."""
        stated = {name: typed.place for name, typed in _stated(model).items()}
        places = {name: place for name, place in stated.items() if name in starts}
        others = {name: place for name, place in stated.items() if name not in {*starts, *given}}
        light = require_onnx().ModelProto()
        light.CopyFrom(model.proto)
        emptied = set(places.values())
        for place, tensor in enumerate(tensors(light)):
            if place in emptied:
                for field in NUMBERS:
                    tensor.ClearField(field)
        first = sum(1 for _ in tensors(light)) - sum(1 for _ in of_graph(light.graph))
        for which, numbers in model.numbers.items():
            if first + which not in emptied:
                light.graph.initializer[which].raw_data = numbers
        _gather(light, model.folder)
        computed = {name: value for name, value in starts.items() if name not in places}
        shapes = {name: value.shape for name, value in starts.items()}
        return cls(light.SerializeToString(), shapes, places, others, computed, given)

    def value(self, name: str) -> tuple[Array, str]:
        """The numbers that one of `others` has, and ONNX's name of their element type."""
        proto = require_onnx().ModelProto()
        proto.ParseFromString(self.data)
        tensor = next(islice(tensors(proto), self.others[name], None))
        return read_tensor(tensor, None)

    def with_values(self, values: Mapping[str, Array]) -> Original:
        """The same file with other numbers for some of `others`, whose inputs have not been given values yet."""
        proto = require_onnx().ModelProto()
        proto.ParseFromString(self.data)
        new = {self.others[name]: value for name, value in values.items()}
        for place, tensor in enumerate(tensors(proto)):
            if place in new:
                tensor.CopyFrom(_tensor(tensor.name, new[place], element_name(tensor.data_type)))
        return replace(self, data=proto.SerializeToString(), given={})

    def named(self) -> bytes:
        """The file without the numbers of parameters, whose tensors are called as these are."""
        proto = require_onnx().ModelProto()
        proto.ParseFromString(self.data)
        without_numbers(proto, {place: name for name, place in self.places.items()})
        return proto.SerializeToString(deterministic=True)

    def are_resized(self, parameters: Mapping[str, Parameter]) -> bool:
        """Whether the network has another number of classes than the file."""
        return any(parameters[name].shape != shape for name, shape in self.shapes.items())

    def filled(self, parameters: Mapping[str, Parameter]) -> Any:
        """The file as a ModelProto with what the parameters, named by the file's values, hold now; its nodes in order.

        A parameter that the file computes, as from quantized numbers, is still computed unless its value has changed. None
        where one has changed that a branch computes.
        """
        proto = require_onnx().ModelProto()
        proto.ParseFromString(self.data)
        graph = proto.graph
        names = {place: name for name, place in self.places.items()}
        for place, tensor in enumerate(tensors(proto)):
            if place in names:
                own = tensor.name  # which a Constant has none of
                filled = _tensor(names[place], parameters[names[place]].value, element_name(tensor.data_type))
                filled.ClearField("name")
                tensor.CopyFrom(filled)
                if own:
                    tensor.name = own
        changed = {n for n, start in self.computed.items() if not _same(parameters[n].value, start)}
        if not changed <= {name for node in graph.node for name in node.output}:
            return None
        stated = {v.name: v.type.tensor_type.elem_type for v in graph.value_info}
        for name in sorted(changed):
            element = element_name(stated[name]) if stated.get(name) else _ELEMENTS[parameters[name].dtype]
            graph.initializer.append(_tensor(name, parameters[name].value, element))
        graph.initializer.extend(_tensor(name, typed.array, typed.element) for name, typed in self.given.items())
        if changed:
            _drop_makers(graph, changed)
        _list_initializers(proto)
        _replace(graph.node, _in_order(graph.node))
        return proto


def _gather(proto: Any, folder: Path | None) -> None:
    """Take in the data that lies in other files."""
    onnx = require_onnx()
    try:
        onnx.external_data_helper.load_external_data_for_model(proto, str(folder or ""))
    except (onnx.checker.ValidationError, OSError, ValueError) as error:
        raise OnnxError(f"data outside of the file cannot be read: {reason_of(error)}") from error


def _stated(model: Model) -> dict[str, Typed]:
    """The values that the file states: its arrays, and those of Constants."""
    constants = {
        node.outputs[0]: value
        for node in model.body.nodes
        if (node.kind, node.domain) == ("Constant", "") and isinstance(value := node.attributes.get("value"), Typed)
    }
    return {**constants, **model.body.arrays}


def restate(proto: Any, shapes: Sequence[Shape]) -> None:
    """Declare the outputs with the sizes in `shapes` where the file has numbers, and no longer what lies between."""
    for output, shape in zip(proto.graph.output, shapes, strict=True):
        for dim, size in zip(output.type.tensor_type.shape.dim, shape, strict=False):
            if dim.HasField("dim_value"):
                dim.dim_value = size
    del proto.graph.value_info[:]


_ELEMENTS = {"float32": "FLOAT", "float64": "DOUBLE"}


def _tensor(name: str, value: Array, element: str) -> Any:
    """A TensorProto of ONNX's type `element`."""
    with np.errstate(over="ignore"):
        array = value.astype(numpy_type(element))
    if not np.array_equal(np.isfinite(array.astype(value.dtype)), np.isfinite(value)):
        raise OnnxError(
            f"{name}: the file keeps it as {element}, which cannot hold {np.abs(value[np.isfinite(value)]).max():.6g}"
        )
    return require_onnx().numpy_helper.from_array(array, name)


def _list_initializers(proto: Any) -> None:
    """Before version 4 of the format initializers are among the inputs; those that are, with the sizes that they have."""
    listed = {v.name: v for v in proto.graph.input}
    for tensor in proto.graph.initializer:
        if tensor.name in listed or proto.ir_version < 4:
            value = require_onnx().helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            (listed.get(tensor.name) or proto.graph.input.add()).CopyFrom(value)


def _same(value: Array, start: Array) -> bool:
    return value.shape == start.shape and np.array_equal(value, start, equal_nan=True)


def _drop_makers(graph: Any, names: set[str]) -> None:
    """Take out the nodes that made values which are given now, and what nothing reads after that."""
    for node in graph.node:
        node.output[:] = ["" if name in names else name for name in node.output]
    read = {v.name for v in graph.output}
    kept: list[Any] = []
    for node in reversed(_in_order(graph.node)):
        if read.intersection(node.output):
            kept.append(node)
            read.update(_reads(node))
    _replace(graph.node, reversed(kept))
    dropped = {tensor.name for tensor in graph.initializer} - read
    for field in (graph.initializer, graph.input):
        _replace(field, [part for part in field if part.name not in dropped])


def _replace(field: Any, parts: Iterable[Any]) -> None:
    """Put `parts`, which come out of it, in the place of what a repeated field holds."""
    new, old = list(parts), list(field)
    if len(new) != len(old) or any(a is not b for a, b in zip(new, old, strict=True)):
        del field[:]
        field.extend(new)


@dataclass(frozen=True)
class _Listed:
    """A NodeProto among others that are put in order."""

    proto: Any

    @property
    def outputs(self) -> Sequence[str]:
        return self.proto.output

    def reads(self) -> Iterable[str]:
        return _reads(self.proto)


def _in_order(nodes: Iterable[Any]) -> list[Any]:
    return [listed.proto for listed in in_order([_Listed(node) for node in nodes])]


def _reads(node: Any) -> set[str]:
    """Names of the values that a NodeProto reads, those that graphs inside of it take from outside among them."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
            own = {v.name for v in inner.input} | {t.name for t in inner.initializer}
            made = {name for n in inner.node for name in n.output}
            needed = set[str]().union(*(_reads(n) for n in inner.node), (v.name for v in inner.output))
            names |= needed - own - made
    return names
