"""Networks written in PyTorch, taken over whole."""

from pellucid.interop.torch_module.convert import from_torch

__all__ = ["from_torch"]
