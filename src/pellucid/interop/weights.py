"""`read_weights`: the named arrays in a file of PyTorch's or of safetensors."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pellucid.errors import WeightsError, suggest
from pellucid.interop.matching import without_seeming_order
from pellucid.interop.pickled import ForeignNameError
from pellucid.interop.safetensors_file import safe_arrays
from pellucid.interop.torch_file import LEGACY_START, REMEDY, ZIP_START, StoredTensor, TorchFile, computable
from pellucid.op import Array

_USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
"""Entries under which checkpoints keep the weights of the network."""

SUFFIXES = (".pt", ".pth", ".bin")
"""How the names of PyTorch's files end."""

T = TypeVar("T")
_DEEPEST = 6


def read_weights(path: str | Path, part: str = "") -> dict[str, Array]:
    """Weights by name from a `.pt`, `.pth` or `.bin` file of PyTorch's (both formats) or a `.safetensors` file.

    Nothing in the file is run, and PyTorch need not be there. Half and bfloat16 become float32, integers int64. In a
    checkpoint the weights of the network are found; where there are several sets, `part` names the entry to read. The
    prefixes `module.` (DataParallel) and `_orig_mod.` (torch.compile) are taken off. A file that is damaged, wants to
    call something or holds no weights is a `WeightsError`, which says what to do.
    """
    with opened(Path(path)) as file:
        if isinstance(file, Path):
            return without_wrappers(_read_safetensors(file, part))
        return without_wrappers({name: file.array(tensor) for name, tensor in find(file.value, part).items()})


@contextlib.contextmanager
def opened(path: Path) -> Generator[TorchFile | Path]:
    """The file of PyTorch's at `path`, or `path` itself where it is safetensors; errors inside name the file."""
    try:
        if not path.is_file():
            raise WeightsError("there is no such file")
        with path.open("rb") as file:
            start = file.read(len(LEGACY_START))
            if start.startswith(ZIP_START) or start == LEGACY_START:
                yield TorchFile(file)
            elif start[8:9] == b"{":
                yield path
            else:
                raise WeightsError(_unknown_format(start))
    except ForeignNameError as error:
        raise WeightsError(
            f"{path}: the file wants to use {error}, which is not done: only tensors, numbers, text, lists and dictionaries "
            f"are read from it. If you trust it, {REMEDY}"
        ) from error
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def without_wrappers(weights: Mapping[str, T]) -> dict[str, T]:
    """The same under the names that they have without DataParallel and torch.compile around the network."""
    named = {re.sub(r"(^|\.)_orig_mod\.", r"\1", name): value for name, value in weights.items()}
    while named and all(name.startswith("module.") and name != "module." for name in named):
        named = {name.removeprefix("module."): value for name, value in named.items()}
    if len(named) != len(weights):
        raise WeightsError("two of its names differ in `_orig_mod.` alone; rename them in PyTorch")
    return named


def _unknown_format(start: bytes) -> str:
    if not start:
        return "the file is empty"
    if start.startswith(b"\x80"):
        return f"it is a pickle but not one of `torch.save`, and is not read; {REMEDY}"
    if start.startswith(b"\x89HDF"):
        return "it is an HDF5 file; only PyTorch's files and safetensors are read"
    return "it is neither a file of PyTorch's (.pt, .pth, .bin) nor safetensors; it may be damaged"


def _read_safetensors(path: Path, part: str) -> dict[str, Array]:
    if part:
        raise WeightsError(f"a safetensors file has no parts, and part {part!r} was asked for")
    stored = safe_arrays(path)
    named = without_seeming_order(stored, [kind for _, kind in stored.values()])
    return {name: computable(array, kind == "BF16") for name, (array, kind) in named.items()}


class _Search:
    """The way through a checkpoint's dictionaries to the weights; each is looked into once, however often it appears."""

    def __init__(self) -> None:
        self._seen: dict[int, dict[str, StoredTensor]] = {}

    def find(self, value: Any, depth: int = 0) -> dict[str, StoredTensor]:
        """The tensors of the dictionary that holds a network's weights, or nothing."""
        if (
            not isinstance(value, dict) or "param_groups" in value or depth > _DEEPEST
        ):  # an optimizer's state has groups
            return {}
        if id(value) not in self._seen:
            self._seen[id(value)] = {}
            self._seen[id(value)] = self._find(value, depth)
        return self._seen[id(value)]

    def _find(self, value: dict[Any, Any], depth: int) -> dict[str, StoredTensor]:
        for entry in _USUAL:
            if found := self.find(value.get(entry), depth + 1):
                return found
        if direct := {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, StoredTensor)}:
            return direct
        inside = {k: found for k, v in value.items() if isinstance(k, str) and (found := self.find(v, depth + 1))}
        if len(inside) > 1:
            names = ", ".join(map(repr, list(inside)[:20]))
            raise WeightsError(f"there are several sets of weights in it; choose one with part=, of {names}")
        return next(iter(inside.values()), {})


def find(value: Any, part: str) -> dict[str, StoredTensor]:
    """The tensors of the network in what was saved, or in its entry `part`."""
    if not isinstance(value, dict):
        kind = "tensor" if isinstance(value, StoredTensor) else type(value).__name__
        raise WeightsError(f"it holds a {kind}, not a dictionary of weights; {REMEDY}")
    entries = [k for k in value if isinstance(k, str)]
    shown = ", ".join(entries[:20]) or "none"
    if part and part not in entries:
        raise WeightsError(f"it has no part {part!r}{suggest(part, entries)}; its entries are: {shown}")
    found = _Search().find(value[part] if part else value)
    if not found:
        raise WeightsError(f"no weights were found in it; its entries are: {shown}")
    return found
