"""What goes wrong with files of other programs, and the optional packages that read them."""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType
from typing import Any

from pellucid.errors import PellucidError


class OnnxError(PellucidError, ValueError):
    """An ONNX file cannot be read, or asks for something that Pellucid does not do."""


class UnsupportedError(OnnxError):
    """A file has operators that Pellucid does not know."""


class NotConstantError(OnnxError):
    """A value that shapes the graph depends on inputs; `inputs` are their names."""

    def __init__(self, message: str, inputs: tuple[str, ...]) -> None:
        super().__init__(message)
        self.inputs = inputs


def how_to_fix(inputs: tuple[str, ...]) -> str:
    """What to do about a `NotConstantError`: how inputs are given their values when a file is opened."""
    shown = ", ".join(f"{name!r}: ..." for name in inputs)
    asked = " ".join(f"--set {name}=VALUE" for name in inputs)
    return f"; fix it with {asked}, or load_onnx(..., set={{{shown}}})" if inputs else ""


def require_onnx() -> ModuleType:
    """The `onnx` package, or an `OnnxError` that says how to install it."""
    try:
        import onnx
    except ImportError as error:
        raise OnnxError(f"ONNX files need the onnx package ({error}): pip install 'pellucid[onnx]'") from error
    return onnx


@lru_cache(1024)
def schema_of(kind: str, opset: int, domain: str = "") -> Any:
    """How ONNX describes an operator; raises onnx's `SchemaError` where the operator set has none of this kind."""
    return require_onnx().defs.get_schema(kind, opset, domain)
