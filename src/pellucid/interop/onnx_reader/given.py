"""Inputs of a file that are given a value when it is opened: they become arrays of the file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pellucid.budget import Budget, BudgetError
from pellucid.interop.errors import OnnxError
from pellucid.interop.onnx_reader.model import Model, Typed, Value
from pellucid.interop.onnx_reader.values import INTEGERS, dtype_of
from pellucid.op import Array


def with_given(model: Model, given: Mapping[str, Any], dimensions: Mapping[str, int], budget: Budget) -> Model:
    """The model with the inputs named in `given` as arrays; raises `OnnxError` for names and values that do not fit."""
    inputs = {value.name: value for value in model.body.inputs}
    if wrong := [name for name in given if name not in inputs]:
        raise OnnxError(
            f"no input is called {', '.join(map(repr, wrong))}, which set names; inputs: {', '.join(inputs)}"
        )
    arrays = {name: _typed(inputs[name], value, dimensions, budget) for name, value in given.items()}
    left = tuple(value for name, value in inputs.items() if name not in given)
    body = dataclasses.replace(model.body, inputs=left, arrays={**model.body.arrays, **arrays})
    return dataclasses.replace(model, body=body)


def _typed(value: Value, given: Any, dimensions: Mapping[str, int], budget: Budget) -> Typed:
    """What is given for an input, in its type and shape; one number stands for all elements."""
    element = value.element or "FLOAT"
    what = f"set: {value.name!r}"
    try:
        array: Array = np.asarray(given)
    except ValueError as error:
        raise OnnxError(f"{what} must be a number or an array of numbers, got {given!r:.80}") from error
    if array.dtype.kind not in "biuf":
        raise OnnxError(f"{what} must be a number or an array of numbers, got {given!r:.80}")
    dtype = dtype_of(what, element)
    if not dtype.startswith("float"):
        low, high = INTEGERS.get(element, (0, 1))
        if not ((array >= low) & (array <= high) & (array % 1 == 0)).all():
            raise OnnxError(f"{what} is of type {element}, got {given!r:.80}")
    shape = array.shape if value.shape is None else _shape(what, value.shape, array, dimensions)
    try:
        budget.take(kept=np.dtype(dtype).itemsize * math.prod(shape))
    except BudgetError as error:
        raise OnnxError(f"{what} as {shape}: {error}") from error
    return Typed(np.broadcast_to(array, shape).astype(dtype), element)


def _shape(what: str, declared: tuple[int | str, ...], array: Array, dimensions: Mapping[str, int]) -> tuple[int, ...]:
    """The declared shape, in which the array tells open axes; those of one number are 1 unless they are given."""
    have = array.shape if array.ndim == len(declared) else (1,) * len(declared)
    shape = tuple(
        size if isinstance(size, int) else dimensions.get(size, own) for size, own in zip(declared, have, strict=True)
    )
    if array.size != 1 and array.shape != shape:
        raise OnnxError(f"{what} has shape {shape}, got {array.shape}")
    return shape
