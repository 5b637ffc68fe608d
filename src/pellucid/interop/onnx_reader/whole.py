"""Whole numbers of narrow types lie in float32, which holds them exactly and which all kernels compute with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid import ops
from pellucid.graph import Constant, Tensor, constant
from pellucid.interop.onnx_reader.values import INTEGERS
from pellucid.op import Array

EXACT = 2**24
"""Whole numbers up to this size are exact in float32."""


def is_held(value: Tensor | None, element: str) -> bool:
    """Whether a value of ONNX's type `element` is of whole numbers that lie in floats."""
    return value is not None and element in INTEGERS and value.dtype.startswith("float")


def in_whole(value: Tensor, element: str) -> Tensor:
    """The value, as int64 if it is of whole numbers."""
    return ops.cast(value, "int64") if is_held(value, element) else value


def known(value: Tensor | None) -> Array | None:
    """The value of a constant."""
    return value.op.value if value is not None and isinstance(value.op, Constant) else None


def in_floats(value: Tensor) -> Tensor:
    """Whole numbers as float32."""
    if value.dtype == "int64" and (array := known(value)) is not None:
        return constant(array.astype(np.float32))
    return value if value.dtype.startswith("float") else ops.cast(value, "float32")


def in_one_type(inputs: Sequence[Tensor | None], elements: Sequence[str], moved: bool) -> list[Tensor | None]:
    """Inputs with whole numbers as int64; where they are only `moved` and some lie in floats, all of the first's type so."""
    pairs = list(zip(inputs, elements, strict=True))
    shared = elements[0] if moved and any(is_held(v, e) and e == elements[0] for v, e in pairs) else ""
    return [v if v is None else in_floats(v) if e and e == shared else in_whole(v, e) for v, e in pairs]
