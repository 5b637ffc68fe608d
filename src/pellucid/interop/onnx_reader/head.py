"""The last layer of an ONNX network: found from its output, and made anew for another number of classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pellucid.interop.errors import OnnxError
from pellucid.interop.onnx_reader.model import Node
from pellucid.op import Shape

_PASSED = {
    "Softmax", "LogSoftmax", "Sigmoid", "Identity", "Dropout", "Flatten", "Squeeze", "Reshape", "Relu", "Clip",
    "GlobalAveragePool", "GlobalMaxPool", "AveragePool", "ReduceMean", "BatchNormalization",
}  # fmt: skip
"""What may stand between the last layer and the scores."""


@dataclass(frozen=True)
class Head:
    """Names of the last layer's weight and bias ("" without one), and the weight's axis that counts the classes."""

    weight: str
    bias: str
    axis: int

    def shapes(self, shape: Shape, num_classes: int) -> dict[str, Shape]:
        """The shapes of weight and bias for `num_classes`, the weight having had `shape`."""
        new = tuple(num_classes if axis == self.axis else size for axis, size in enumerate(shape))
        return {self.weight: new, **({self.bias: (num_classes,)} if self.bias else {})}


def find_head(nodes: tuple[Node, ...], output: str, weights: Mapping[str, object]) -> Head:
    """The layer whose weight makes `output`; an `OnnxError` where none does so directly."""
    producers = {name: node for node in nodes for name in node.outputs}
    bias = ""
    while (node := producers.get(output)) is not None:
        if node.kind in ("Gemm", "MatMul", "Conv") and len(node.inputs) > 1 and node.inputs[1] in weights:
            own = node.inputs[2] if len(node.inputs) > 2 else ""
            rows = node.kind == "Conv" or bool(node.attributes.get("transB"))
            return Head(node.inputs[1], own or bias, 0 if rows else 1)
        if node.kind == "Add" and sum(name in weights for name in node.inputs) == 1 and not bias:
            bias, output = sorted(node.inputs, key=lambda name: name not in weights)
        elif node.kind in _PASSED:
            output = next(iter(node.inputs), "")
        else:
            raise OnnxError(f"the scores are made by {node}, not by a layer whose classes can be changed")
    raise OnnxError("the scores are made by no layer with a weight, so their number cannot be changed")
