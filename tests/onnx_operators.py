"""Models of one operator, against ONNX Runtime on every executor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import pellucid as pl
from pellucid.executors import available_executors
from pellucid.graph import Input, topological

EXECUTORS = [name for name, reason in available_executors().items() if not reason]
RANDOM = np.random.default_rng(0)
make = helper.make_node
MS = "com.microsoft"


def _saturates() -> bool:
    node, types = make("MatMulInteger", ["x", "w"], ["y"]), onnx.TensorProto
    arrays = {"x": np.full((1, 2), 255, np.uint8), "w": np.full((2, 1), 127, np.int8)}
    given = [helper.make_tensor_value_info("x", types.UINT8, (1, 2))]
    found = [helper.make_tensor_value_info("y", types.INT32, (1, 1))]
    graph = helper.make_graph([node], "pair", given, found, [numpy_helper.from_array(arrays["w"], "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": arrays["x"]})[0].item() != 2 * 255 * 127


SATURATES = _saturates()
"""Whether ONNX Runtime adds products of 8 bits in 16 on this processor, where two of the largest have no room: weights of 7 bits have."""
WEIGHT = 63 if SATURATES else 127
"""The largest signed number whose products with all others ONNX Runtime adds right."""


def whole(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    """Numbers of a whole type, its ends among them; signed ones no larger than `WEIGHT`."""
    ends = (-WEIGHT - 1, WEIGHT) if dtype is np.int8 else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    values = RANDOM.integers(ends[0], ends[1] + 1, shape).astype(dtype)
    values.reshape(-1)[:2] = ends
    return values


def floats(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def number(value: float, dtype: Any = np.float32) -> np.ndarray:
    return np.array(value, dtype)


@dataclass(frozen=True)
class Case:
    """One operator: what it is fed, what the file holds in order (`None` for what is left out), and its attributes."""

    kind: str
    inputs: Mapping[str, np.ndarray | None]
    fed: tuple[str, ...] = ("x",)
    domain: str = MS
    outputs: int = 1
    within: float = 1
    """How far numbers may differ: a quantum, 0 where sums are exact, and less for floats."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.label}".strip()


def session(path: Path, as_written: bool = False) -> Any:
    """ONNX Runtime, which computes each operator `as_written` or several at once."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def written(path: Path, case: Case) -> Path:
    """A model of one operator."""
    names = [name if value is not None else "" for name, value in case.inputs.items()]
    outputs = [f"out {k}" for k in range(case.outputs)]
    node = make(case.kind, names, outputs, "it", domain=case.domain, **case.attributes)
    fed = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(case.inputs[n].dtype), case.inputs[n].shape)
        for n in case.fed
    ]
    held = [numpy_helper.from_array(v, n) for n, v in case.inputs.items() if v is not None and n not in case.fed]
    made = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph([node], "one", fed, made, held)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid(MS, 1)]
    path.write_bytes(helper.make_model(graph, opset_imports=imports, ir_version=10).SerializeToString())
    return path


def results(path: Path, feeds: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """What every executor gives."""
    net = pl.load_onnx(path)
    made = net(*net.example_inputs())
    outputs = made if isinstance(made, tuple) else (made,)
    used = {n.name: feeds[n.name] for n in topological(outputs) if isinstance(n.op, Input)}
    return {executor: pl.run(outputs, used, executor) for executor in EXECUTORS}


def check(case: Case, path: Path) -> None:
    """All executors give ONNX Runtime's numbers for the operator, which is written to `path`."""
    written(path, case)
    feeds = {name: case.inputs[name] for name in case.fed}
    expected = session(path).run(None, feeds)
    for executor, values in results(path, feeds).items():
        for value, want in zip(values, expected, strict=True):
            floating = want.dtype.kind == "f"
            assert value.dtype == ("float32" if floating else "int64")
            far = case.within * max(1, np.abs(want).max()) if floating else case.within
            np.testing.assert_allclose(value, want.astype(value.dtype), rtol=0, atol=far, err_msg=executor)
            if not floating:
                assert (value != want).mean() < 0.1, "a quantum apart here and there, not everywhere"
