"""Files that leave out the numbers of parameters, which lie elsewhere, as those of a run lie in its checkpoints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pellucid.interop.errors import OnnxError, require_onnx
from pellucid.interop.onnx_reader.values import element_name, numpy_type
from pellucid.op import Array

NUMBERS = ("raw_data", "float_data", "int32_data", "double_data", "external_data", "data_location")
_HELD = ("raw_data", "float_data", "int32_data", "int64_data", "uint64_data", "double_data", "string_data")
MOST_UNKNOWN = 2**26
"""Numbers that a file may leave out of parameters which nobody has, and which are 0 then."""


def tensors(proto: Any) -> Iterator[Any]:
    """Every TensorProto that is read from a file, in the order of reading."""
    for function in proto.functions:
        yield from _of_nodes(function.node)
    yield from of_graph(proto.graph)


def without_numbers(proto: Any, names: Mapping[int, str]) -> None:
    """Take out the numbers of the tensors at the places in `names`, which says what their parameters are called."""
    for place, tensor in enumerate(tensors(proto)):
        if place in names:
            for field in NUMBERS:
                tensor.ClearField(field)
            tensor.name = names[place]


def fill_in(proto: Any, values: Mapping[str, Array]) -> None:
    """Give tensors without numbers those in `values`, by name, where the shape is the same; else they are 0.

    Raises `OnnxError` where more of them are not there than could be of a last layer that was made anew.
    """
    unknown = 0
    for tensor in tensors(proto):
        shape = tuple(tensor.dims)
        if not math.prod(shape) or _has_numbers(tensor):
            continue
        value = values.get(tensor.name)
        if value is None or value.shape != shape:
            unknown += math.prod(shape)
            if min(shape) < 0 or unknown > MOST_UNKNOWN:
                raise OnnxError(f"tensor {tensor.name!r:.80} {shape} has no numbers, and nobody else has them")
            value = np.zeros(shape, np.float32)
        name = tensor.name
        with np.errstate(over="ignore"):
            array = value.astype(numpy_type(element_name(tensor.data_type)))
        tensor.CopyFrom(require_onnx().numpy_helper.from_array(array, name))


def _has_numbers(tensor: Any) -> bool:
    external = tensor.data_location == require_onnx().TensorProto.EXTERNAL
    return external or any(len(getattr(tensor, field)) for field in _HELD)


def of_graph(graph: Any) -> Iterator[Any]:
    """Every TensorProto of a graph, its initializers first."""
    yield from graph.initializer
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    kinds = require_onnx().AttributeProto
    for node in nodes:
        for attribute in node.attribute:
            if attribute.ref_attr_name:
                continue
            if attribute.type == kinds.TENSOR:
                yield attribute.t
            elif attribute.type == kinds.GRAPH:
                yield from of_graph(attribute.g)
