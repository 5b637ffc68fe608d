"""PyTorch's operators as ours: every file of this folder adds to the register by being here."""

from pellucid.interop.torch_module.aten import (
    arithmetic,
    layers,
    picking,
    pooling,
    recurrent,
    reduction,
    resizing,
    shape,
)
from pellucid.interop.torch_module.aten.registry import OPERATORS, RANDOM

__all__ = [
    "OPERATORS",
    "RANDOM",
    "arithmetic",
    "layers",
    "picking",
    "pooling",
    "recurrent",
    "reduction",
    "resizing",
    "shape",
]
