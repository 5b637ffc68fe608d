"""Types of the compiled module (native/binding.cpp)."""

from collections.abc import Sequence
from typing import Any

Place = tuple[int, int]

class StepError(RuntimeError): ...

class Context:
    arena: int
    def set_array(self, number: int, address: int) -> None: ...

class Convolution:
    weight_bytes: int
    scratch_bytes: int
    implementation: str
    def __init__(
        self, name: str, direction: int, sizes: Sequence[int], in_size: Sequence[int], out_size: Sequence[int], kernel: Sequence[int],
        stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], layouts: Sequence[int], types: Sequence[int],
        epilogue: Sequence[bool],
    ) -> None: ...  # fmt: skip

class Product:
    scratch_bytes: int
    implementation: str
    def __init__(self, name: str, a: Any, b: Any, out: Any, epilogue: Sequence[bool]) -> None: ...

class Program:
    num_contexts: int
    def __init__(self, arena_bytes: int, num_arrays: int, threads: int) -> None: ...
    def __len__(self) -> int: ...
    def acquire(self) -> Context: ...
    def release(self, context: Context) -> None: ...
    def run(self, context: Context, first: int, last: int) -> None: ...
    def profile(self, context: Context, first: int, last: int) -> list[float]: ...

def onednn_version() -> tuple[int, int, int]: ...
def isa() -> str: ...
def operations() -> list[str]: ...
