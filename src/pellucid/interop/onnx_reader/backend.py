"""Pellucid as a backend of the onnx package, by which ONNX's own conformance tests run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.executors import compile
from pellucid.graph import Tensor, constant, input
from pellucid.interop.errors import NotConstantError, require_onnx
from pellucid.interop.onnx_reader.model import model_of
from pellucid.interop.onnx_reader.network import OnnxNetwork
from pellucid.interop.onnx_reader.values import element_name, numpy_type, widened
from pellucid.op import Array


class PreparedModel:
    """A model made ready: `run(inputs)` gives its outputs in the types that the file declares."""

    def __init__(self, proto: Any, executor: str) -> None:
        self.net = OnnxNetwork(model_of(proto))
        self.net.eval()
        self.executor = executor
        given = {t.name for t in proto.graph.initializer}
        self._inputs = [(v.name, v.type.tensor_type.elem_type) for v in proto.graph.input if v.name not in given]
        self._outputs = [v.type.tensor_type.elem_type for v in proto.graph.output]

    def run(self, inputs: Sequence[Array], **options: Any) -> tuple[Array, ...]:
        """The outputs for inputs in the file's order."""
        feeds = {
            name: widened(name, np.asarray(value), element_name(element))
            for (name, element), value in zip(self._inputs, inputs, strict=True)
        }
        outputs = self._build(feeds)
        program = compile(outputs, executor=self.executor)
        used = {i.name for i in program.graph.inputs}
        values = program({name: value for name, value in feeds.items() if name in used})
        with np.errstate(over="ignore"):
            return tuple(v.astype(numpy_type(element_name(e))) for v, e in zip(values, self._outputs, strict=True))

    def _build(self, feeds: dict[str, Array]) -> tuple[Tensor, ...]:
        """The outputs; inputs whose values shape the graph become constants of it."""
        fixed: set[str] = set()
        while True:
            fed = ((name, feeds[name]) for name in self.net.input_shapes)
            inputs = (constant(v) if name in fixed else input(v.shape, str(v.dtype), name) for name, v in fed)
            try:
                made = self.net(*inputs)
            except NotConstantError as error:
                if fixed >= set(error.inputs):
                    raise
                fixed.update(error.inputs)
            else:
                return made if isinstance(made, tuple) else (made,)


def make_backend(executor: str) -> type[Any]:
    """A class of `onnx.backend.base.Backend` that computes with one of our executors."""
    require_onnx()
    from onnx.backend.base import Backend

    class PellucidBackend(Backend):
        """Prepares and runs ONNX models with Pellucid."""

        @classmethod
        def prepare(cls, model: Any, device: str = "CPU", **options: Any) -> Any:
            return PreparedModel(model, executor)

        @classmethod
        def supports_device(cls, device: str) -> bool:
            return device == "CPU"

    return PellucidBackend
