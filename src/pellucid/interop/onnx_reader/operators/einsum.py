"""Sums of products over named axes."""

from __future__ import annotations

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.interop.onnx_reader.operators.registry import Call, operator


@operator("Einsum")
def einsum(call: Call, *operands: Tensor) -> Tensor:
    """What the equation says"""
    return ops.einsum(call["equation"], *operands)
