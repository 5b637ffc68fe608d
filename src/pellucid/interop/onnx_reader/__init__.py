"""ONNX files opened as networks: a file becomes plain data, and handlers make graph nodes of its operators."""

from pellucid.interop.onnx_reader.network import OnnxNetwork, load_onnx

__all__ = ["OnnxNetwork", "load_onnx"]
