"""Handlers by topic: every file of this folder makes graph nodes of some ONNX operators and is found by being here."""

from pellucid.interop.onnx_reader.operators.registry import Call, find_handler, operator

__all__ = ["Call", "find_handler", "operator"]
