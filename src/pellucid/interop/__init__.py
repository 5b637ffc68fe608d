"""Weights and networks of other frameworks; each is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.lazily import lazy_names

if TYPE_CHECKING:
    from pellucid.interop.errors import OnnxError
    from pellucid.interop.listing import WeightsList, list_weights
    from pellucid.interop.loading import WeightsReport, load_weights
    from pellucid.interop.onnx_reader import OnnxNetwork, load_onnx
    from pellucid.interop.onnx_writer import OnnxFile, save_onnx
    from pellucid.interop.torch_module import from_torch
    from pellucid.interop.weights import read_weights

_LAZY = {
    "OnnxError": "errors",
    "OnnxFile": "onnx_writer",
    "OnnxNetwork": "onnx_reader",
    "WeightsList": "listing",
    "WeightsReport": "loading",
    "from_torch": "torch_module",
    "list_weights": "listing",
    "load_onnx": "onnx_reader",
    "load_weights": "loading",
    "read_weights": "weights",
    "save_onnx": "onnx_writer",
}
__getattr__ = lazy_names(__name__, _LAZY)

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
