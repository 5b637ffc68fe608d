"""Values that a model states instead of computing them."""

from __future__ import annotations

import math

import numpy as np

from pellucid import ops
from pellucid.graph import Tensor, constant
from pellucid.interop.onnx_reader.model import Typed
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.interop.onnx_reader.values import dtype_of, element_name


@operator("Constant")
def given(call: Call) -> Tensor:
    """The value of an attribute"""
    value = call.node.attributes.get("value")
    if isinstance(value, Typed):
        return value.tensor(call.node.name)
    for name, dtype in (
        ("value_float", "float32"),
        ("value_floats", "float32"),
        ("value_int", "int64"),
        ("value_ints", "int64"),
    ):
        if name in call.node.attributes:
            return constant(np.asarray(call[name], dtype))
    raise call.error(f"its value is a {', '.join(call.node.attributes) or 'nothing'}; numbers can be computed with")


@operator("ConstantOfShape", settings=(0,))
def filled(call: Call, shape: Tensor) -> Tensor:
    """One value everywhere"""
    value = call["value"]
    start = np.zeros((), np.float32) if value is None else np.asarray(value).reshape(())
    return ops.broadcast_to(constant(start), call.integers("shape", shape))


@operator("Range", settings=(0, 1, 2))
def numbers(call: Call, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """start, start + delta, ... below limit"""
    first, last, step = (call.values("start, limit or delta", v).reshape(()) for v in (start, limit, delta))
    if step == 0:
        raise call.error("delta must not be 0")
    count = max(0, math.ceil((float(last) - float(first)) / float(step)))
    return call.make((count,), lambda: (first + np.arange(count) * step).astype(start.dtype))


@operator("EyeLike")
def eye(call: Call, x: Tensor) -> Tensor:
    """1 on a diagonal of a matrix of x's shape, else 0"""
    dtype = x.dtype if call["dtype"] is None else dtype_of(str(call.node), element_name(call["dtype"]))
    rows, columns = x.shape
    return call.make(x.shape, lambda: np.eye(rows, columns, call["k"], dtype=dtype))
