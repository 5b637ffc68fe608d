"""Weights and networks of other frameworks."""

from pellucid.interop.errors import OnnxError
from pellucid.interop.listing import WeightsList, list_weights
from pellucid.interop.loading import WeightsReport, load_weights
from pellucid.interop.onnx_reader import OnnxNetwork, load_onnx
from pellucid.interop.onnx_writer import OnnxFile, save_onnx
from pellucid.interop.torch_module import from_torch
from pellucid.interop.weights import read_weights

__all__ = [
    "OnnxError",
    "OnnxFile",
    "OnnxNetwork",
    "WeightsList",
    "WeightsReport",
    "from_torch",
    "list_weights",
    "load_onnx",
    "load_weights",
    "read_weights",
    "save_onnx",
]
