"""What is in a file of weights: names, shapes and stored element types, without reading the numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import WeightsError
from pellucid.interop.matching import COUNTER
from pellucid.interop.safetensors_file import safe_header
from pellucid.interop.torch_file import TorchFile
from pellucid.interop.weights import SUFFIXES, find, opened, without_wrappers
from pellucid.pictures import Answer, Grid, Page
from pellucid.text import amount


@dataclass(frozen=True)
class StoredWeight:
    """One array as it is stored; `element` is its type there, before `read_weights` widens it."""

    name: str
    shape: tuple[int, ...]
    element: str


@dataclass(frozen=True)
class WeightsList(Answer):
    """The arrays of a file in its order."""

    weights: tuple[StoredWeight, ...]

    @property
    def num_parameters(self) -> int:
        """Numbers in all arrays but running statistics and counters."""
        kept = ("running_mean", "running_var", COUNTER)
        return sum(math.prod(w.shape) for w in self.weights if w.name.rpartition(".")[2] not in kept)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"weights": [asdict(weight) for weight in self.weights], "num_parameters": self.num_parameters}

    def grid(self) -> Grid:
        """The table."""
        rows = [[w.name, "x".join(map(str, w.shape)) or "number", w.element] for w in self.weights]
        return Grid(["weight", "shape", "type"], rows, "lrl")

    def __str__(self) -> str:
        return f"{self.grid()}\n{self._words()}"

    def picture(self) -> Page:
        """The table, and how much there is."""
        return Page("What is in a file of weights", (self.grid(), self._words()))

    def _words(self) -> str:
        return f"{amount(len(self.weights), 'array')}, {amount(self.num_parameters, 'parameter')} without running statistics"


def holds_weights(path: Path) -> bool:
    """Whether a file is one of weights alone: PyTorch's by its ending, safetensors if it is not a checkpoint of ours."""
    if path.suffix.lower() == ".safetensors" and path.is_file():
        try:
            return "pellucid" not in safe_header(path).metadata
        except WeightsError:
            return False
    return path.suffix.lower() in SUFFIXES


def list_weights(path: str | Path, part: str = "") -> WeightsList:
    """What `read_weights` would read; raises `WeightsError` as it does."""
    with opened(Path(path)) as file:
        named = without_wrappers(_in_torch_file(file, part) if isinstance(file, TorchFile) else _in_safetensors(file))
    return WeightsList(tuple(StoredWeight(name, *facts) for name, facts in named.items()))


def _in_torch_file(file: TorchFile, part: str) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (tensor.shape, tensor.element) for name, tensor in find(file.value, part).items()}


_NAMES = {"F": "float", "BF": "bfloat", "I": "int", "U": "uint"}


def _in_safetensors(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    def element(kind: str) -> str:
        letters = kind.rstrip("0123456789")
        return _NAMES.get(letters, letters.lower()) + kind.removeprefix(letters)

    return {name: (tensor.shape, element(tensor.dtype)) for name, tensor in safe_header(path).tensors.items()}
