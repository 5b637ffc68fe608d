"""Networks written as ONNX files: composites are found again, and each of them and each op becomes ONNX operators."""

from pellucid.interop.onnx_writer.file import OnnxFile, save_onnx

__all__ = ["OnnxFile", "save_onnx"]
