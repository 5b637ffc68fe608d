"""Files opened at whatever size they can be computed at, for what does not depend on it, such as giving them back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.interop.errors import OnnxError
from pellucid.interop.onnx_reader.model import Value
from pellucid.interop.onnx_reader.network import OnnxNetwork, load_with

_SIDES = 64, 224, 320, 640
"""Rows and columns of pictures that are tried."""
_LENGTHS = 100, 16000, 512, 1
"""What is tried for other axes, such as those of signals and sequences."""


def open_at_any_size(path: Path, preset: Mapping[str, Any] | None = None) -> OnnxNetwork:
    """The network in an ONNX file; axes that it leaves open are of a size that it can take; `preset` has values of inputs.

    Raises the `OnnxError` of the first size that was tried where none fits.
    """
    guesses: dict[str, int] = {}

    def choose(inputs: Sequence[Value], number: int = 0) -> Mapping[str, int]:
        guesses.update(_guesses(inputs, number))
        return guesses

    try:
        return load_with(path, choose, preset)
    except OnnxError as error:
        for number in range(1, len(_SIDES)) if guesses else ():
            with contextlib.suppress(OnnxError):
                return load_with(path, lambda inputs: choose(inputs, number), preset)  # noqa: B023
        raise error


def _guesses(inputs: Sequence[Value], number: int) -> Iterator[tuple[str, int]]:
    """A size for each open axis, those of pictures last, which count where several inputs share one."""
    for value in sorted(inputs, key=lambda v: len(v.shape or ()) == 4):
        shape = value.shape or ()
        for axis, size in enumerate(shape):
            if isinstance(size, str):
                yield size, 1 if axis == 0 else (_SIDES if len(shape) == 4 else _LENGTHS)[number]
