"""Networks that were opened from a file, given back as that file with the weights that they have now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.graph import input
from pellucid.interop.errors import OnnxError, require_onnx
from pellucid.interop.onnx_reader import OnnxNetwork
from pellucid.interop.onnx_writer.sides import LIMIT, Sides
from pellucid.interop.onnx_writer.site import ELEMENTS
from pellucid.op import Shape
from pellucid.scopes import inference_mode

OWN_FACTS = ("classes", "preprocessing", "task")
"""What `save_onnx` states in a file's metadata, as JSON."""


def returned(net: OnnxNetwork, sides: Sides, facts: Mapping[str, str], anew: bool) -> Any:
    """The file as a ModelProto, or None where it must be written anew.

    Axes that it leaves open stay so where `sides` does not fix them. With `anew` what the file stated of classes and the like
    holds no longer.
    """
    held = sum(p.nbytes for p in net.named_parameters().values())
    if held > LIMIT:
        raise OnnxError(f"its weights take {held / 2**30:.1f} GiB; an ONNX file holds at most 2 GiB")
    proto = net.proto()
    if proto is None:
        return None
    given = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in given]
    for value in inputs:
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_value") and dim.dim_value < 0:  # another way to say that a size is not known
                dim.Clear()
    _declare(net, proto)
    shapes = sides.shapes_of(list(net.input_shapes))
    if shapes or sides.batch is not None:
        _fix(net, proto, inputs, shapes, sides.batch)
    _state(proto, facts, anew)
    return proto


def _declare(net: OnnxNetwork, proto: Any) -> None:
    """Say the shapes of outputs of which the file does not, as the format wants: what follows from it, else how many axes."""
    if all(value.type.tensor_type.HasField("shape") for value in proto.graph.output):
        return
    known = require_onnx().shape_inference.infer_shapes(proto).graph.output
    symbols = {dim.dim_param for value in proto.graph.input for dim in value.type.tensor_type.shape.dim}
    with inference_mode():
        made = net.named_outputs(net(*net.example_inputs()))
    for value, found, node in zip(proto.graph.output, known, made.values(), strict=True):
        tensor = value.type.tensor_type
        if not tensor.HasField("shape"):
            tensor.MergeFrom(found.type.tensor_type)
            for dim in tensor.shape.dim:
                if dim.dim_param not in symbols:
                    dim.ClearField("dim_param")
            while len(tensor.shape.dim) < node.ndim:
                tensor.shape.dim.add()
            tensor.elem_type = tensor.elem_type or ELEMENTS[node.dtype]
            tensor.shape.SetInParent()


def _fix(
    net: OnnxNetwork, proto: Any, inputs: Sequence[Any], shapes: Mapping[str, Sequence[int]], batch: int | None
) -> None:
    """Write numbers for open axes of the inputs, and wherever else the file has their symbols; the network must take them."""
    symbols: dict[str, int] = {}
    tried: dict[str, Shape] = {}
    for value in inputs:
        dims = value.type.tensor_type.shape.dim
        wanted = [batch, *shapes.get(value.name, [None] * (len(dims) - 1))]
        if len(wanted) != len(dims):
            raise OnnxError(
                f"input {value.name!r}: has {len(dims)} axes, shape gives {len(wanted) - 1} after the first"
            )
        sizes = list(net.input_shapes[value.name])
        for axis, (dim, size) in enumerate(zip(dims, wanted, strict=True)):
            if size is None:
                continue
            if dim.HasField("dim_value") and dim.dim_value != size:
                raise OnnxError(
                    f"input {value.name!r}: axis {axis} is {dim.dim_value} in its file, it cannot be {size}"
                )
            if dim.dim_param:
                symbols[dim.dim_param] = size
            dim.dim_value = sizes[axis] = size
        tried[value.name] = tuple(sizes)
    types = {x.name: x.dtype for x in net.example_inputs()}
    net(*(input(shape, types[name], name) for name, shape in tried.items()))
    graph = proto.graph
    for value in [*inputs, *graph.output, *graph.value_info]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in symbols:
                dim.dim_value = symbols[dim.dim_param]


def _state(proto: Any, facts: Mapping[str, str], anew: bool) -> None:
    """Put `facts` among the file's metadata; a `task` in words is another package's and stays."""
    kept = {entry.key: entry.value for entry in proto.metadata_props}
    for name in OWN_FACTS if anew else ():
        if name != "task" or kept.get(name, "").startswith("{"):
            kept.pop(name, None)
    del proto.metadata_props[:]
    for key, value in {**kept, **facts}.items():
        proto.metadata_props.add(key=key, value=value)
