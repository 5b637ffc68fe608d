"""Whole numbers as rows of bits, of as many as their ONNX type has."""

from __future__ import annotations

from pellucid.graph import Tensor
from pellucid.interop.onnx_reader.operators.elementwise import to_element
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.interop.onnx_reader.values import INTEGERS
from pellucid.ops.bits import bitwise

_PAIRS = {"BitwiseAnd": "and", "BitwiseOr": "or", "BitwiseXor": "xor"}


@operator(*_PAIRS)
def pair(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """a and, or, xor b, bit by bit"""
    return bitwise(_PAIRS[call.node.kind], a, b)


@operator("BitwiseNot")
def turned(call: Call, x: Tensor) -> Tensor:
    """Every bit the other way: -1 - x, in numbers without a sign the largest one less x"""
    low, high = INTEGERS.get(call.elements[0], INTEGERS["INT64"])
    if high > INTEGERS["INT64"][1]:
        raise call.error("numbers of 64 bits without a sign are computed with as int64, which has not all of them")
    return (high if low == 0 else -1) - x


@operator("BitShift")
def shifted(call: Call, x: Tensor, by: Tensor) -> Tensor:
    """x moved by so many bits; what leaves its type on the left is lost"""
    direction = call["direction"]
    if direction not in ("LEFT", "RIGHT"):
        raise call.error(f"direction must be LEFT or RIGHT, got {direction!r}")
    moved = bitwise(direction.lower(), x, by)
    return to_element(call, moved, call.elements[0]) if direction == "LEFT" and call.elements[0] else moved
