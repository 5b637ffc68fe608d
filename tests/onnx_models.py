"""Small ONNX models that tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, parser

RANDOM = np.random.default_rng(0)


def normal(*shape: int, random: np.random.Generator = RANDOM) -> np.ndarray:
    """Random numbers whose sums over all axes but the first have a spread of about 1."""
    return (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def save(
    path: Path,
    nodes: list[Any],
    inputs: dict[str, tuple[Any, ...]],
    outputs: tuple[str, ...] = ("y",),
    arrays: dict[str, np.ndarray] | None = None,
    opset: int = 17,
    **parts: Any,
) -> Path:
    """Write a model of float inputs and outputs."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(a, name) for name, a in (arrays or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), *parts.pop("domains", ())]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10, **parts)
    path.write_bytes(model.SerializeToString())
    return path


def from_text(path: Path, inputs: str, body: str, outputs: str, opset: int = 17) -> Path:
    """The model of a graph in the text that the onnx package reads."""
    lines = "\n".join(line for line in body.splitlines() if line.strip())
    text = f'<ir_version: 9, opset_import: ["": {opset}]> graph ({inputs}) => ({outputs}) {{ {lines} }}'
    path.write_bytes(parser.parse_model(text).SerializeToString())
    return path


def small_classifier(path: Path, size: Any = 8) -> Path:
    """Convolution, batch norm, ReLU, pooling, dropout and a linear layer, with names like PyTorch's."""
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["a"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "bn.weight", "bn.bias", "bn.mean", "bn.var"], ["b"], "bn"),
        helper.make_node("Relu", ["b"], ["c"], "relu"),
        helper.make_node("GlobalAveragePool", ["c"], ["d"], "pool"),
        helper.make_node("Flatten", ["d"], ["e"], "flatten"),
        helper.make_node("Dropout", ["e"], ["f"], "drop"),
        helper.make_node("Gemm", ["f", "fc.weight", "fc.bias"], ["y"], "fc", transB=1),
    ]
    arrays = {
        "conv.weight": normal(4, 1, 3, 3),
        "conv.bias": normal(4),
        "bn.weight": normal(4) + 1,
        "bn.bias": normal(4),
        "bn.mean": normal(4),
        "bn.var": normal(4) ** 2 + 1,
        "fc.weight": normal(10, 4),
        "fc.bias": normal(10),
    }
    return save(path, nodes, {"x": ("batch", 1, size, size)}, arrays=arrays)
